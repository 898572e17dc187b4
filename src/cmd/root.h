#pragma once
#include "cli/cli.h"

/* The whole command line of the program. */
extern const struct cli lamassu_cli;
