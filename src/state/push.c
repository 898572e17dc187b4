/* Cutting large pushes. A piece ends at a commit of the branch's own line (first parents) that contains what the remote
 * has, so that each is a fast-forward and what the remote has between two of them is a ledger too. Sizes are of what
 * git deflates, and so never too small. Nothing is walked while all packs together are smaller than a piece. */
#include "state/push.h"

#include "state/pack.h"

/* about what the trees above an entry, and above all entries of a commit, take */
enum { ENTRY = 128, COMMIT = 24 << 10 };

struct sizes {
	struct store *store;
	uint64_t sum;
};

static int on_blob(void *arg, const char *path, const struct oid *id, bool gone, struct err *e)
{
	struct sizes *s = arg;
	size_t n;

	(void)path;
	if (gone)
		return 0;
	if (store_size(s->store, id, &n, e))
		return -1;
	s->sum += n + ENTRY;
	return 0;
}

static int commit_size(struct store *s, const struct oid *before, const struct oid *commit, uint64_t *ret,
		       struct err *e)
{
	struct sizes z = { s, COMMIT };
	struct oid old, new;

	if ((before && store_commit_tree(s, before, &old, e)) || store_commit_tree(s, commit, &new, e) ||
	    store_diff(s, before ? &old : NULL, &new, on_blob, &z, e))
		return -1;
	*ret = z.sum;
	return 0;
}

/* The branch's own line, newest first, as far as the remote does not have it. */
static int line_of(struct store *s, struct arena *a, const struct oid *there, const struct oid *tip, struct oid **ret,
		   size_t *ret_n, struct err *e)
{
	SCOPED_WALK *w = NULL;
	struct oid *v = NULL, one;
	size_t n = 0, low = 0, high;
	bool more;

	if (walk_open(s, a, tip, 1, there, there != NULL, &w, e))
		return -1;
	walk_first_parents(w);
	for (;;) {
		if (walk_next(w, &more, &one, e))
			return -1;
		if (!more)
			break;
		v = arena_grow(a, v, n, sizeof(*v));
		v[n++] = one;
	}
	/* Those before the merge that brought in what the remote has would be no fast-forward. */
	for (high = n; there && low < high;) {
		size_t middle = low + (high - low) / 2;

		if (store_is_ancestor(s, there, &v[middle]))
			low = middle + 1;
		else
			high = middle;
	}
	*ret = v;
	*ret_n = there ? low : n;
	return 0;
}

int push_cuts(struct store *s, struct arena *a, const struct oid *there, const struct oid *tip, uint64_t step,
	      struct oid **ret, size_t *ret_n, struct err *e)
{
	struct oid *line, *cuts = NULL;
	const struct oid *before = there;
	uint64_t all, sum = 0, one;
	size_t n, ncuts = 0;

	*ret_n = 0;
	if (pack_bytes(s, &all, e))
		return -1;
	if (all <= step)
		return 0;
	if (line_of(s, a, there, tip, &line, &n, e))
		return -1;
	for (size_t i = n; i-- > 0; before = &line[i]) {
		if (commit_size(s, before, &line[i], &one, e))
			return -1;
		if (sum && sum + one > step) {
			cuts = arena_grow(a, cuts, ncuts, sizeof(*cuts));
			cuts[ncuts++] = *before;
			sum = 0;
		}
		sum += one;
	}
	*ret = cuts;
	*ret_n = ncuts;
	return 0;
}
