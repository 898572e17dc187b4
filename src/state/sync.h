#pragma once
#include "state/state.h"

/* Meets another clone at a remote: fetch, union of the ledgers, fast-forward or merge of policy, push; again when
 * somebody else was faster. All of it or nothing: a conflict changes nothing here and is ERR_CONFLICT that names the
 * files. The state is open for writing and has an empty overlay; the lock is given up while the network is busy.
 * ERR_REMOTE when the remote fails. */
struct sync_report {
	char *remote;
	bool ledger_in, policy_in;         /* something came from the remote */
	bool ledger_merged, policy_merged; /* both sides had something */
	bool ledger_out, policy_out;       /* something was pushed */
	int rounds;
};
/* remote NULL: the one that the policy branch follows, else the only one, else origin. In a dry run nothing is
 * fetched or pushed: the report tells from what was fetched last what would move. */
int state_sync(struct state *, const char *remote, struct sync_report *ret, struct err *) NODISCARD;
int state_has_remote(struct state *, bool *ret, struct err *) NODISCARD;
