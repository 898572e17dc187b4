#pragma once
#include "model/config.h"
#include "state/history.h"
#include "state/inspect.h"
#include "state/oid.h"

/* What inspect.c and inspect_push.c share: looking at the commits of one branch. */
struct scan {
	struct store *store;
	const struct inspector *in;
	const struct commit *commit;
	bool ledger;
	bool every_blob; /* new entries are looked at too: nobody else will */
};
void scan_report(const struct inspector *, const char *object, const char *problem, const char *repair);
/* Those that `tip` reaches and `since` (NULL: nothing) does not. A history that cannot be read to its end is reported.
 * */
void scan_commits(struct scan *, const char *branch, const struct oid *tip, const struct oid *since);
