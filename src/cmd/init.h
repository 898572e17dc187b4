#pragma once
#include "cli/cli.h"

extern const struct cmd init_cmd; /* the noun `init` */
