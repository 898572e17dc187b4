#pragma once
#include "cli/cli.h"
#include "model/config.h"

/* Who acts, by a token (LAMASSU_TOKEN, --token-file, --token-fd). */
bool identify_given(const struct globals *);
/* Of a command on a repository, before anything else; becomes the program that can verify tokens. Does nothing without
 * one. */
int identify_operator(struct ctx *, const struct globals *, const char *dir, struct err *) NODISCARD;
/* The same where lamassu.yaml was read already; `cache` is where sets of keys are kept (NULL: nowhere). */
int identify_by(struct ctx *, const struct globals *, const struct config *, const char *top, const char *cache,
		struct err *) NODISCARD;
/* ERR_DENIED when lamassu.yaml requires a token and there was none. */
int identify_required(struct ctx *, const struct config *, struct err *) NODISCARD;
