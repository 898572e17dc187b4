#pragma once
#include "cli/cli.h"

extern const struct cmd va_serve_cmd;
