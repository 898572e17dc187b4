#pragma once
#include "cli/cli.h"

extern const struct cmd profile_cmd; /* the noun `profile` */
/* Verbs, by file. */
extern const struct cmd profile_lint_cmd, profile_preview_cmd, profile_schema_cmd; /* profile_check.c */
