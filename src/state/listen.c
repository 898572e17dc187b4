/* The repository for processes that go on: handles that follow what others commit, and transactions that one process
 * fills and another commits. Guarantees: a handle that follows takes no lock; what is shipped holds ledger entries
 * only, and the receiver checks their names as if it had made them itself. */
#include <string.h>

#include "state/git_index.h"
#include "state/internal.h"

enum { REOPEN_AFTER = 64 };

int state_follow(struct state *st, struct arena *results, int64_t now, bool *ret_policy_moved, struct err *e)
{
	struct tip policy = st->policy;
	struct oid before = st->ledger.commit;
	struct index *ix;

	if (state_index_as_is(st, &ix, e)) /* which lives as long as the handle, so before the arena changes */
		return -1;
	gitindex_close(st->seen);
	st->seen = NULL;
	st->seen_tried = true; /* a listener tells nobody of uncommitted edits */
	state_clear(st);
	st->arena = results;
	st->env.now = now;
	if (++st->follows % REOPEN_AFTER == 0 && store_reopen(st->store, e))
		return -1;
	if (store_ref(st->store, st->ledger.ref, &st->ledger.exists, &st->ledger.commit, e) ||
	    store_ref(st->store, policy.ref, &policy.exists, &policy.commit, e))
		return -1;
	st->tree_late = st->tree_late || !oid_equal(&before, &st->ledger.commit);
	*ret_policy_moved = !policy.exists || !oid_equal(&policy.commit, &st->policy.commit);
	return 0;
}

int state_ledger_tree(struct state *st, const struct oid **ret, struct err *e)
{
	if (st->tree_late && store_commit_tree(st->store, &st->ledger.commit, &st->ledger.tree, e))
		return -1;
	st->tree_late = false;
	*ret = &st->ledger.tree;
	return 0;
}

static void fill_at(const struct oid *policy, const struct oid *ledger, struct state_at *ret)
{
	memcpy(ret->commits[0], policy->b, sizeof(policy->b));
	memcpy(ret->commits[1], ledger->b, sizeof(ledger->b));
}

void state_at(const struct state *st, struct state_at *ret)
{
	fill_at(&st->policy.commit, &st->ledger.commit, ret);
}

int state_look(struct state *st, struct state_at *ret, struct err *e)
{
	struct oid policy, ledger;
	bool found;

	if (store_ref(st->store, st->policy.ref, &found, &policy, e))
		return -1;
	if (found && store_ref(st->store, st->ledger.ref, &found, &ledger, e))
		return -1;
	if (!found)
		return err_set(e, ERR_NOT_FOUND, "a branch has gone");
	fill_at(&policy, &ledger, ret);
	return 0;
}

/* --- handing over: for each entry the lengths of path and text, 32 bits each, and both --- */

int state_ship(struct state *st, struct buf *out, struct err *e)
{
	if (st->nchanges)
		return err_set(e, ERR_UNSUPPORTED, "a listener does not change the policy");
	for (size_t i = 0; i < st->nentries; i++) {
		buf_put_run(out, bytes_of(st->entries[i].path));
		buf_put_run(out, st->entries[i].text);
	}
	state_clear(st);
	if (out->over)
		return err_set(e, ERR_INVALID, "too much for one transaction");
	return state_new_op(st, e);
}

static int take_entry(struct state *st, struct bytes path, struct bytes text, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	char *kind = arena_strndup(a, (const char *)path.p, path.n), *slash = strchr(kind, '/');

	if (!slash || strlen(kind) != path.n)
		return err_set(e, ERR_INVALID, "the name of a shipped entry is damaged");
	*slash = '\0';
	return state_add_entry(st, kind, slash + 1, text, e);
}

int state_receive(struct state *st, struct bytes shipped, struct err *e)
{
	struct bytes path, text;

	while (shipped.n > 0) {
		if (!bytes_take_run(&shipped, &path) || !bytes_take_run(&shipped, &text))
			return err_set(e, ERR_INVALID, "a shipped transaction is cut off");
		if (take_entry(st, path, text, e))
			return -1;
	}
	return 0;
}

void state_drop(struct state *st)
{
	state_clear(st);
}

void state_clock(struct state *st, int64_t now)
{
	st->env.now = now;
}
