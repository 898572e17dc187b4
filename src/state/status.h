#pragma once
#include "rec/schema.h"
#include "state/state.h"

/* How the repository stands, for people: nothing here is needed to work with it. */
struct remote_status { /* against what was fetched last */
	char *name, *url;
	bool policy_fetched, ledger_fetched; /* false: the branch was never seen there */
	int64_t policy_ahead, policy_behind, ledger_ahead, ledger_behind;
};

struct repo_status {
	char *name;            /* of the PKI */
	char *dir;
	int64_t format;
	char *branch;          /* that is checked out; absent: detached, or bare */
	char *policy_branch, *policy_commit;
	char *busy;            /* merge, rebase … that git is in the middle of */
	struct strv uncommitted; /* policy files that differ from what is committed */
	char *ledger_branch, *ledger_commit;
	int64_t authorities, certificates, revoked;
	char *cache;           /* current, behind, missing */
	int64_t packs, pack_bytes;
	bool gc_due;
	struct vec remotes;    /* struct remote_status */
	char *lock;            /* who holds the repository's lock; absent: nobody */
	struct strv stale;     /* what killed processes left */
	int64_t private_keys;  /* files of the software engine, which are only here */
	struct strv advice;
};
/* Fills all but the counts of records, the keys and the advice. Looks at the cache as it is: bringing it up to date is
 * left to the first question. */
int state_status(struct state *, struct repo_status *ret, struct err *) NODISCARD;
