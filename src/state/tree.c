/* Trees on raw bytes: reading, finding a path, comparing, and splicing changed files into the trees above them.
 * Content comes from outside, so every length is checked, depth is bounded, and symbolic links are never followed. */
#include "state/tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static int damaged(struct err *e)
{
	return err_set(e, ERR_INVALID, "a tree object is damaged");
}

int tree_next(struct bytes *rest, bool *ret_more, struct tree_entry *ret, struct err *e)
{
	const unsigned char *p = rest->p, *end, *nul;
	unsigned mode = 0;

	*ret_more = rest->n > 0;
	if (!rest->n)
		return 0;
	end = p + rest->n;
	while (p < end && *p >= '0' && *p <= '7' && mode <= 0777777 / 8)
		mode = mode * 8 + (unsigned)(*p++ - '0');
	if (p == rest->p || p == end || *p++ != ' ')
		return damaged(e);
	nul = memchr(p, 0, (size_t)(end - p));
	if (!nul || nul == p || (size_t)(end - nul) < 1 + sizeof(ret->oid.b) || memchr(p, '/', (size_t)(nul - p)))
		return damaged(e);
	ret->mode = mode;
	ret->name = (const char *)p;
	ret->n = (size_t)(nul - p);
	memcpy(ret->oid.b, nul + 1, sizeof(ret->oid.b));
	p = nul + 1 + sizeof(ret->oid.b);
	*rest = (struct bytes){ p, (size_t)(end - p) };
	return 0;
}

int tree_read(struct store *s, struct arena *a, const struct oid *o, struct bytes *ret, struct err *e)
{
	return store_read(s, a, o, OBJ_TREE, TREE_MAX, ret, e);
}

static int entry_named(struct bytes tree, const char *name, size_t n, bool *ret_found, struct tree_entry *ret,
		       struct err *e)
{
	struct tree_entry t;
	bool more;

	*ret_found = false;
	while (!*ret_found) {
		if (tree_next(&tree, &more, &t, e))
			return -1;
		if (!more)
			return 0;
		*ret_found = t.n == n && memcmp(t.name, name, n) == 0;
	}
	*ret = t;
	return 0;
}

int tree_find(struct store *s, const struct oid *tree, const char *path, bool *ret_found, struct tree_entry *ret,
	      struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct tree_entry t = { .mode = MODE_DIR, .oid = *tree };
	struct bytes text;
	bool found = true;

	for (const char *p = path; *p && found;) {
		size_t n = strcspn(p, "/");

		found = t.mode == MODE_DIR;
		if (!found)
			break;
		if (tree_read(s, a, &t.oid, &text, e) || entry_named(text, p, n, &found, &t, e))
			return -1;
		p += n + (p[n] == '/');
	}
	*ret_found = found;
	if (found) {
		t.name = NULL; /* pointed into the scratch arena */
		*ret = t;
	}
	return 0;
}

int store_lookup(struct store *s, const struct oid *tree, const char *path, bool *ret_found, enum obj_type *ret_type,
		 struct oid *ret,
		 struct err *e)
{
	struct tree_entry t;
	bool found;

	if (tree_find(s, tree, path, &found, &t, e))
		return -1;
	*ret_found = found && (t.mode == MODE_DIR || mode_is_file(t.mode));
	if (*ret_found) {
		*ret_type = t.mode == MODE_DIR ? OBJ_TREE : OBJ_BLOB;
		*ret = t.oid;
	}
	return 0;
}

/* git's order: names as bytes, a folder as if it ended in '/'. */
int tree_order(const struct tree_entry *x, const struct tree_entry *y)
{
	size_t n = x->n < y->n ? x->n : y->n;
	int c = memcmp(x->name, y->name, n);

	if (c)
		return c;
	unsigned char p = x->n > n ? (unsigned char)x->name[n] : x->mode == MODE_DIR ? '/' : 0;
	unsigned char q = y->n > n ? (unsigned char)y->name[n] : y->mode == MODE_DIR ? '/' : 0;
	return (int)p - (int)q;
}

/* --- comparing --- */

struct side {
	struct bytes rest;
	struct tree_entry t;
	bool more;
};

struct diff {
	struct store *store;
	tree_diff_fn *cb;
	void *arg;
	struct err *e;
};

static int side_open(struct store *s, struct arena *a, const struct oid *tree, struct side *ret, struct err *e)
{
	*ret = (struct side){ 0 };
	if (tree && tree_read(s, a, tree, &ret->rest, e))
		return -1;
	return tree_next(&ret->rest, &ret->more, &ret->t, e);
}

static int diff_trees(struct diff *d, const char *prefix, int depth, const struct oid *old, const struct oid *new);

/* One name; at most one side may be NULL. */
static int diff_entry(struct diff *d, struct arena *a, const char *prefix, int depth, const struct tree_entry *old,
		      const struct tree_entry *new)
{
	const struct tree_entry *t = new ? new : old;
	char *path = arena_printf(a, "%s%s", prefix, t->name);

	if (old && new && oid_equal(&old->oid, &new->oid) && old->mode == new->mode)
		return 0;
	if (t->mode == MODE_DIR)
		return diff_trees(d, arena_printf(a, "%s/", path), depth + 1, old ? &old->oid : NULL, new ? &new->oid :
				  NULL);
	return d->cb(d->arg, path, old, new, d->e);
}

static int diff_trees(struct diff *d, const char *prefix, int depth, const struct oid *old, const struct oid *new)
{
	SCOPED_ARENA *a = arena_new();
	struct side x, y;

	if (depth > TREE_DEPTH)
		return err_set(d->e, ERR_INVALID, "folders are nested deeper than %d", TREE_DEPTH);
	if (side_open(d->store, a, old, &x, d->e) || side_open(d->store, a, new, &y, d->e))
		return -1;
	while (x.more || y.more) {
		int c = !x.more ? 1 : !y.more ? -1 : tree_order(&x.t, &y.t);

		if (diff_entry(d, a, prefix, depth, c <= 0 ? &x.t : NULL, c >= 0 ? &y.t : NULL))
			return -1;
		if (c <= 0 && tree_next(&x.rest, &x.more, &x.t, d->e))
			return -1;
		if (c >= 0 && tree_next(&y.rest, &y.more, &y.t, d->e))
			return -1;
	}
	return 0;
}

int tree_diff(struct store *s, const struct oid *old_tree, const struct oid *new_tree, tree_diff_fn *cb, void *arg,
	      struct err *e)
{
	struct diff d = { s, cb, arg, e };

	if (old_tree && new_tree && oid_equal(old_tree, new_tree))
		return 0;
	return diff_trees(&d, "", 0, old_tree, new_tree);
}

struct files_only {
	store_diff_fn *cb;
	void *arg;
};

static int pass_file(void *arg, const char *path, const struct tree_entry *old, const struct tree_entry *new,
		     struct err *e)
{
	struct files_only *f = arg;

	if (new && mode_is_file(new->mode))
		return f->cb(f->arg, path, &new->oid, false, e);
	return old && mode_is_file(old->mode) ? f->cb(f->arg, path, &old->oid, true, e) : 0;
}

int store_diff(struct store *s, const struct oid *old_tree, const struct oid *new_tree, store_diff_fn *cb, void *arg,
	       struct err *e)
{
	struct files_only f = { cb, arg };

	return tree_diff(s, old_tree, new_tree, pass_file, &f, e);
}

/* --- splicing --- */

struct table {
	struct tree_entry *v; /* mode 0: removed */
	size_t n, sorted;     /* the first `sorted` are in order */
};

struct splicer {
	struct store *store;
	struct pack *pack;
	struct err *e;
};

static int by_order(const void *x, const void *y)
{
	return tree_order(x, y);
}

static int by_path(const void *x, const void *y)
{
	const struct splice *p = x, *q = y;

	return strcmp(p->path, q->path);
}

static int table_load(struct splicer *s, struct arena *a, const struct oid *base, struct table *ret)
{
	struct table t = { 0 };
	struct bytes text = { 0 };
	struct tree_entry one;
	bool more;

	if (base && tree_read(s->store, a, base, &text, s->e))
		return -1;
	for (;;) {
		if (tree_next(&text, &more, &one, s->e))
			return -1;
		if (!more)
			break;
		if (t.n && tree_order(&t.v[t.n - 1], &one) >= 0)
			return damaged(s->e);
		t.v = arena_grow(a, t.v, t.n, sizeof(*t.v));
		t.v[t.n++] = one;
	}
	t.sorted = t.n;
	*ret = t;
	return 0;
}

static struct tree_entry *table_find(struct table *t, const struct tree_entry *key)
{
	return t->sorted ? bsearch(key, t->v, t->sorted, sizeof(*t->v), by_order) : NULL;
}

void tree_put(struct buf *out, const struct tree_entry *t)
{
	buf_printf(out, "%o ", t->mode);
	buf_put(out, t->name, t->n + 1);
	buf_put(out, t->oid.b, sizeof(t->oid.b));
}

static int table_save(struct splicer *s, struct table *t, bool *ret_empty, struct oid *ret)
{
	SCOPED_BUF out = buf_init(TREE_MAX);

	/* removed entries have lost their mode; the order of the others does not depend on them */
	if (t->n > t->sorted)
		qsort(t->v, t->n, sizeof(*t->v), by_order);
	for (size_t i = 0; i < t->n; i++) {
		const struct tree_entry *x = &t->v[i];

		if (x->mode)
			tree_put(&out, x);
	}
	if (out.over)
		return err_set(s->e, ERR_INVALID, "a folder has too many entries");
	*ret_empty = out.n == 0;
	return *ret_empty ? 0 : pack_add(s->pack, OBJ_TREE, buf_bytes(&out), ret, s->e);
}

static int splice_trees(struct splicer *s, const struct oid *base, const struct splice *u, size_t n, size_t skip,
			int depth,
			bool *ret_empty, struct oid *ret);

/* The changes u[0..n) all lie in or at the same name of this folder. */
static int splice_name(struct splicer *s, struct arena *a, struct table *t, const struct splice *u, size_t n,
		       size_t skip, int depth)
{
	const char *name = u->path + skip, *slash = strchr(name, '/');
	size_t len = slash ? (size_t)(slash - name) : strlen(name);
	struct tree_entry key = { arena_strndup(a, name, len), len, slash ? MODE_DIR : MODE_FILE, { { 0 } } };
	struct tree_entry *at = table_find(t, &key);
	bool gone = u[n - 1].gone;

	key.oid = u[n - 1].oid;
	if (slash && splice_trees(s, at ? &at->oid : NULL, u, n, skip + len + 1, depth + 1, &gone, &key.oid))
		return -1;
	if (at && gone) {
		at->mode = 0;
	} else if (at) {
		at->oid = key.oid;
		if (!slash && !mode_is_file(at->mode))
			at->mode = MODE_FILE;
	} else if (!gone) {
		struct tree_entry twin = { key.name, len, slash ? MODE_FILE : MODE_DIR, { { 0 } } };
		const struct tree_entry *other = table_find(t, &twin);

		if (other && other->mode)
			return err_set(s->e, ERR_EXISTS, "\"%.*s\" is a %s", (int)(skip + len), u->path,
				       slash ? "file" : "folder");
		t->v = arena_grow(a, t->v, t->n, sizeof(*t->v));
		t->v[t->n++] = key;
	}
	return 0;
}

static int splice_trees(struct splicer *s, const struct oid *base, const struct splice *u, size_t n, size_t skip,
			int depth,
			bool *ret_empty, struct oid *ret)
{
	SCOPED_ARENA *a = arena_new();
	struct table t;

	if (depth > TREE_DEPTH)
		return err_set(s->e, ERR_INVALID, "\"%s\": folders are nested deeper than %d", u->path, TREE_DEPTH);
	if (table_load(s, a, base, &t))
		return -1;
	for (size_t i = 0, j; i < n; i = j) {
		const char *name = u[i].path + skip;
		size_t len = strcspn(name, "/");

		for (j = i + 1; j < n && strncmp(u[j].path + skip, name, len) == 0 &&
		     u[j].path[skip + len] == name[len]; j++)
			;
		if (splice_name(s, a, &t, u + i, j - i, skip, depth))
			return -1;
	}
	return table_save(s, &t, ret_empty, ret);
}

int tree_splice(struct store *store, struct pack *pack, const struct oid *base, struct splice *u, size_t n,
		bool *ret_empty,
		struct oid *ret, struct err *e)
{
	struct splicer s = { store, pack, e };

	if (n)
		qsort(u, n, sizeof(*u), by_path);
	return splice_trees(&s, base, u, n, 0, 0, ret_empty, ret);
}
