#pragma once
#include "base/ctx.h"
#include "rec/schema.h"

/* `repo verify`: is the repository what it says? Everything that is wrong is listed, with what to do about it. */
struct finding {
	char *object, *problem, *repair;
};
extern const struct schema finding_type;

struct verified { /* how much was looked at */
	uint64_t authorities, certificates, crls;
};
/* all: the whole of both histories, not only what is new since the last time that nothing was found. *ret_more counts
 * what was found beyond the *ret_n that are told. */
int repo_verify(struct ctx *, bool all, struct finding **ret, size_t *ret_n, uint64_t *ret_more,
		struct verified *ret_seen, struct err *) NODISCARD;
/* A push, as git describes it to its pre-receive hook on standard input. No repository is open. */
int repo_verify_push(struct ctx *, const char *dir, struct bytes lines, struct finding **ret, size_t *ret_n,
		     uint64_t *ret_more, struct err *) NODISCARD;
