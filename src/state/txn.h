#pragma once
#include "state/internal.h"
#include "state/locks.h"
#include "state/pack.h"
#include "state/worktree.h"

/* One move of one or both histories, from state_commit or from a sync. The caller fills in the new tips, adds the
 * objects to the pack, and holds the work tree when the policy moves; txn_publish does the rest. */
struct txn {
	struct state *st;
	struct arena *arena;
	const char *subject;
	int64_t time;
	struct pack *pack;
	struct worktree *worktree;  /* NULL: bare */
	struct filelock ledger_lock, policy_lock;
	struct tip ledger, policy;  /* as they will be */
	bool ledger_moves, policy_moves;
	struct entry *entries;      /* of state_commit: with their final paths and ids */
};

void txn_begin(struct txn *ret, struct state *, struct arena *, const char *subject);
/* Makes the objects durable and moves the branches; st->ledger and st->policy are the new tips then. */
int txn_publish(struct txn *, struct err *) NODISCARD;
void txn_end(struct txn *); /* releases everything, published or not */
