#pragma once
#include "cli/cli.h"

/* The manual pages of the files in a repository: lamassu.yaml(5), lamassu-profile(5) … */
extern const struct record_page manual_records[];
