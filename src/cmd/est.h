#pragma once
#include "cli/cli.h"

extern const struct cmd est_serve_cmd;
