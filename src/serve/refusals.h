#pragma once
#include "base/ctx.h"
#include "state/state.h"

/* Refused attempts (S5), in the parent: each is a line of a local log, .git/lamassu/security.log, JSON in the shape of
 * CloudEvents 1.0, which rotates; the ledger gets their number, once for each type, manager, reason and hour. */
struct refusal_log;
struct refused {
	const char *type;              /* "enrollment.failed": service->event */
	const char *op, *reason;
	const char *realm, *subject, *address; /* NULL: not known */
	int status;
	bool silent;                   /* counted for the ledger, not logged */
};

/* Takes over what an earlier listener counted in an hour that had its summary. */
struct refusal_log *refusals_new(struct ctx *, const char *dir, struct err *);
void refusals_add(struct refusal_log *, const struct refused *);
/* An hour is over, or, after refusals_finish, something was counted: a commit is to take it along. */
bool refusals_due(const struct refusal_log *);
void refusals_finish(struct refusal_log *);
void refusals_put(struct refusal_log *, struct state *); /* into the transaction; what fails stays for later */
void refusals_committed(struct refusal_log *, bool yes); /* what became of it */
void refusals_end(struct refusal_log *);                 /* keeps what is left for the next listener; NULL is allowed */
