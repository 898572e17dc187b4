/* The union of two ledgers that grew apart. Entries are immutable and have unique names, so a merge only ever adds;
 * whatever else it finds is reported by name and nothing is merged. Subtrees that only one side has touched are
 * taken whole. */
#include <string.h>

#include "base/buf.h"
#include "state/pack.h"
#include "state/tree.h"

struct merger {
	struct store *store;
	struct pack *pack;
	struct err *e;
};

struct cursor {
	struct bytes rest;
	struct tree_entry t;
	bool more;
};

static int cursor_open(struct merger *m, struct arena *a, const struct oid *tree, struct cursor *ret)
{
	*ret = (struct cursor){ 0 };
	if (tree && tree_read(m->store, a, tree, &ret->rest, m->e))
		return -1;
	return tree_next(&ret->rest, &ret->more, &ret->t, m->e);
}

/* Steps past the entry `t` if the cursor stands on it; says whether it did. */
static int take(struct merger *m, struct cursor *c, const struct tree_entry *t, bool *ret_had, struct tree_entry *ret)
{
	*ret_had = c->more && tree_order(&c->t, t) == 0;
	if (!*ret_had)
		return 0;
	*ret = c->t;
	return tree_next(&c->rest, &c->more, &c->t, m->e);
}

static bool same(const struct tree_entry *x, const struct tree_entry *y)
{
	return x->mode == y->mode && oid_equal(&x->oid, &y->oid);
}

static int merge_trees(struct merger *m, const char *path, int depth, const struct oid *base, const struct oid *ours,
		       const struct oid *theirs,
		       struct oid *ret);

struct three { /* one name on the three sides; NULL: absent */
	const struct tree_entry *base, *ours, *theirs;
};

static int merge_entry(struct merger *m, const char *path, int depth, struct three s, struct tree_entry *ret)
{
	if (s.base && (!s.ours || !s.theirs))
		return err_set(m->e, ERR_CONFLICT, "%s was removed from the ledger %s, and entries are never removed",
			       path,
			       s.ours ? "of the remote" : "here");
	*ret = s.ours ? *s.ours : *s.theirs;
	if (!s.ours || !s.theirs || same(s.ours, s.theirs))
		return 0;
	if (s.ours->mode == MODE_DIR && s.theirs->mode == MODE_DIR)
		return merge_trees(m, path, depth + 1, s.base ? &s.base->oid : NULL, &s.ours->oid, &s.theirs->oid,
				   &ret->oid);
	if (s.base)
		return err_set(m->e, ERR_CONFLICT, "%s was changed in the ledger %s, and entries are never changed",
			       path,
			       same(s.base, s.ours) ? "of the remote" : "here");
	return err_set(m->e, ERR_CONFLICT,
		       "%s is in both ledgers with different content: compare git show of both branches", path);
}

static int merge_trees(struct merger *m, const char *path, int depth, const struct oid *base, const struct oid *ours,
		       const struct oid *theirs,
		       struct oid *ret)
{
	SCOPED_ARENA *a = arena_new();
	SCOPED_BUF out = buf_init(TREE_MAX);
	struct cursor b, x, y;
	bool is_ours = true, is_theirs = true;

	if (depth > TREE_DEPTH)
		return err_set(m->e, ERR_INVALID, "%s: folders are nested deeper than %d", path, TREE_DEPTH);
	if (cursor_open(m, a, base, &b) || cursor_open(m, a, ours, &x) || cursor_open(m, a, theirs, &y))
		return -1;
	while (b.more || x.more || y.more) {
		struct tree_entry at = x.more ? x.t : y.more ? y.t : b.t, e[3], one;
		bool had[3];

		if (y.more && tree_order(&y.t, &at) < 0)
			at = y.t;
		if (b.more && tree_order(&b.t, &at) < 0)
			at = b.t;
		if (take(m, &b, &at, &had[0], &e[0]) || take(m, &x, &at, &had[1], &e[1]) ||
		    take(m, &y, &at, &had[2], &e[2]))
			return -1;
		struct three s = { had[0] ? &e[0] : NULL, had[1] ? &e[1] : NULL, had[2] ? &e[2] : NULL };
		if (merge_entry(m, arena_printf(a, "%s%s%s", path, *path ? "/" : "", at.name), depth, s, &one))
			return -1;
		is_ours = is_ours && had[1] && same(&one, &e[1]);
		is_theirs = is_theirs && had[2] && same(&one, &e[2]);
		tree_put(&out, &one);
	}
	*ret = is_ours ? *ours : *theirs;
	if (is_ours || is_theirs)
		return 0;
	return out.over ? err_set(m->e, ERR_INVALID, "%s has too many entries", path) :
			pack_add(m->pack, OBJ_TREE, buf_bytes(&out), ret, m->e);
}

int tree_union(struct store *s, struct pack *p, const struct oid *base, const struct oid *ours,
	       const struct oid *theirs, struct oid *ret,
	       struct err *e)
{
	struct merger m = { s, p, e };

	if (oid_equal(ours, theirs)) {
		*ret = *ours;
		return 0;
	}
	return merge_trees(&m, "", 0, base, ours, theirs, ret);
}
