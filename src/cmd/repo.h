#pragma once
#include "cli/cli.h"

extern const struct cmd repo_cmd; /* the noun `repo` */
/* Verbs, by file. */
extern const struct cmd repo_status_cmd; /* repo_status.c */
extern const struct cmd repo_log_cmd; /* repo_log.c */
extern const struct cmd repo_reindex_cmd, repo_gc_cmd, repo_sync_cmd, repo_upgrade_cmd; /* repo_keep.c */
extern const struct cmd repo_verify_cmd; /* repo_verify.c */
extern const struct cmd repo_import_cmd; /* repo_import.c */
