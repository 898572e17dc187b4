/* The cache of a transaction: opened on first use, always brought up to the ledger commit that the transaction
 * reads. */
#include "base/fs.h"
#include "state/internal.h"

int state_index_as_is(struct state *st, struct index **ret, struct err *e)
{
	if (!st->index && index_open(st->arena, fs_join(st->arena, st->private_dir, "index.db"), &st->index, e))
		return -1;
	*ret = st->index;
	return 0;
}

int state_tend_cache(struct state *st, struct err *e)
{
	struct index *ix;

	return state_index_as_is(st, &ix, e);
}

int state_index(struct state *st, struct index **ret, struct err *e)
{
	if (state_index_as_is(st, ret, e))
		return -1;
	return index_sync(st->index, st->store, &st->ledger.commit, NULL, NULL, e);
}
