#pragma once
#include "cli/cli.h"
#include "state/state.h"

/* Opens what a command needs into ctx (repository, engines), and closes it: the callbacks of struct cli. */
int cmd_prepare(struct ctx *, const struct globals *, const struct cmd *, struct err *) NODISCARD;
void cmd_finish(struct ctx *);
void cmd_names(struct ctx *, const char *kind, void (*emit)(void *, const char *name, const char *doc), void *arg);
/* The repository that --repo, $LAMASSU_REPO or the working directory names. */
int cmd_find_repo(struct ctx *, const struct globals *, char **ret, struct err *) NODISCARD;
int64_t cmd_lock_timeout_ms(const struct globals *); /* -1: do not wait at all */
/* What state/ must be told: operator, clock, lock time-out, message, where warnings and diffs go. */
void cmd_state_env(struct ctx *, const struct globals *, struct state_env *ret);
