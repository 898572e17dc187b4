/* Records and files of the policy branch: what is committed, seen through the overlay of this transaction. Paths are
 * built only from checked ids; symbolic links and submodules in the tree are refused, never followed; nothing larger
 * than a document may be is read. */
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "state/git_index.h"
#include "state/internal.h"
#include "state/tree.h"
#include "state/worktree.h"

enum { PATH_LONGEST = 1024 };

/* A component that git itself, or a file system that git guards against, would take for .git; or none at all. */
static bool component_valid(const char *p, size_t n)
{
	if (n == 0 || n > 255 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f || p[i] == '\\' || p[i] == ':')
			return false;
	return !(n >= 4 && strncasecmp(p, ".git", 4) == 0 && (n == 4 || p[4] == ' ' || p[4] == '.')) &&
	       !(n >= 5 && strncasecmp(p, "git~1", 5) == 0);
}

bool path_valid(const char *path)
{
	const char *p = path;

	for (;;) {
		size_t n = strcspn(p, "/");

		if (!component_valid(p, n))
			return false;
		if (!p[n])
			return strlen(path) <= PATH_LONGEST && utf8_valid(bytes_of(path));
		p += n + 1;
	}
}

static int check_path(const char *path, struct err *e)
{
	return path_valid(path) ? 0 : err_set(e, ERR_INVALID, "\"%s\" is not a path inside the repository", path);
}

/* --- overlay --- */

static struct arena *overlay(struct state *st)
{
	if (!st->overlay)
		st->overlay = arena_new();
	return st->overlay;
}

int state_overlay_put(struct state *st, const char *path, struct bytes text, bool gone, struct err *e)
{
	struct arena *a = overlay(st);
	struct change c = { arena_strdup(a, path), { arena_memdup(a, text.p, text.n), text.n }, gone };

	if (check_path(path, e))
		return -1;
	for (size_t i = 0; i < st->nchanges; i++)
		if (strcmp(st->changes[i].path, path) == 0) {
			st->changes[i] = c;
			return 0;
		}
	st->changes = arena_grow(a, st->changes, st->nchanges, sizeof(*st->changes));
	st->changes[st->nchanges++] = c;
	return 0;
}

int state_overlay_entry(struct state *st, const char *path, struct bytes text, struct err *e)
{
	struct arena *a = overlay(st);
	struct bytes copy = { arena_memdup(a, text.p, text.n), text.n };

	if (check_path(path, e))
		return -1;
	st->entries = arena_grow(a, st->entries, st->nentries, sizeof(*st->entries));
	st->entries[st->nentries++] = (struct entry){ arena_strdup(a, path), copy, { { 0 } } };
	return 0;
}

int state_add_entry(struct state *st, const char *kind, const char *name, struct bytes text, struct err *e)
{
	SCOPED_ARENA *a = arena_new();

	if (!id_valid(kind) || !*name || strchr(name, '/') || name[0] == '.')
		return err_set(e, ERR_INVALID, "\"%s\" is not the name of a ledger entry", name);
	return state_overlay_entry(st, arena_printf(a, "%s/%s", kind, name), text, e);
}

static const struct change *changed(const struct state *st, const char *path)
{
	for (size_t i = 0; i < st->nchanges; i++)
		if (strcmp(st->changes[i].path, path) == 0)
			return &st->changes[i];
	return NULL;
}

static void add_name(struct arena *a, struct strv *v, const char *name)
{
	v->v = arena_grow(a, v->v, v->n, sizeof(*v->v));
	v->v[v->n++] = arena_strdup(a, name);
}

static bool has_name(const struct strv *v, const char *name)
{
	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->v[i], name) == 0)
			return true;
	return false;
}

/* --- reading --- */

/* Is the index entry of the file what is committed, and do size and time show the file untouched since? */
static bool untouched(struct state *st, const char *path, const struct oid *committed)
{
	struct stat indexed, now;
	struct oid o;

	return st->seen && gitindex_get(st->seen, path, &o, &indexed) && oid_equal(&o, committed) &&
	       lstat(fs_join(st->arena, store_workdir(st->store), path), &now) == 0 && now.st_size == indexed.st_size &&
	       now.st_mtim.tv_sec == indexed.st_mtim.tv_sec && now.st_mtim.tv_nsec == indexed.st_mtim.tv_nsec;
}

/* Policy is what is committed; whoever edits a record and forgets to commit is told so. */
static void warn_uncommitted(struct state *st, const char *path, const struct oid *committed)
{
	struct err ignored = { 0 };

	if (!st->env.warn || !store_workdir(st->store))
		return;
	if (!st->seen_tried) {
		st->seen_tried = true;
		if (gitindex_open(st->arena, fs_join(st->arena, store_own_dir(st->store), "index"), &st->seen,
				  &ignored))
			st->seen = NULL;
	}
	if (has_name(&st->warned, path) || untouched(st, path, committed) ||
	    worktree_compare(st->store, path, committed) == WT_SAME)
		return;
	add_name(st->arena, &st->warned, path);
	state_warn(st, "%s differs from what is committed: the commit counts; commit the file to make it count",
			   path);
}

static int read_tree(struct state *st, const char *path, bool *ret_found, struct bytes *ret, struct err *e)
{
	struct tree_entry t;

	*ret_found = false;
	if (!st->policy.exists)
		return 0;
	if (tree_find(st->store, &st->policy.tree, path, ret_found, &t, e))
		return -1;
	if (!*ret_found || t.mode == MODE_DIR) {
		*ret_found = false;
		return 0;
	}
	if (!mode_is_file(t.mode))
		return err_set(e, ERR_INVALID,
			       "%s is a symbolic link or a submodule in the repository, which is never followed", path);
	if (store_read(st->store, st->arena, &t.oid, OBJ_BLOB, FS_LIMIT_DOC, ret, e))
		return err_ctx(e, "%s", path);
	warn_uncommitted(st, path, &t.oid);
	return 0;
}

static int read_any(struct state *st, const char *path, bool *ret_found, struct bytes *ret, struct err *e)
{
	const struct change *c = changed(st, path);

	if (check_path(path, e))
		return -1;
	if (!c)
		return read_tree(st, path, ret_found, ret, e);
	*ret_found = !c->gone;
	*ret = c->text;
	return 0;
}

int state_read(struct state *st, const char *path, struct bytes *ret, struct err *e)
{
	bool found;
	struct bytes text;

	if (read_any(st, path, &found, &text, e))
		return -1;
	if (!found)
		return err_set(e, ERR_NOT_FOUND, "%s is not in the repository", path);
	*ret = text;
	return 0;
}

int state_write(struct state *st, const char *path, struct bytes text, struct err *e)
{
	if (text.n > FS_LIMIT_DOC)
		return err_set(e, ERR_INVALID, "%s: larger than %d bytes", path, FS_LIMIT_DOC);
	return state_overlay_put(st, path, text, false, e);
}

struct removal {
	struct state *st;
	const char *dir;
};

static int remove_one(void *arg, const char *path, const struct oid *o, bool gone, struct err *e)
{
	struct removal *r = arg;
	SCOPED_ARENA *a = arena_new();

	(void)o;
	(void)gone;
	return state_overlay_put(r->st, fs_join(a, r->dir, path), (struct bytes){ 0 }, true, e);
}

int state_remove(struct state *st, const char *path, struct err *e)
{
	char *below = arena_printf(st->arena, "%s/", path);
	struct removal r = { st, path };
	struct tree_entry t = { 0 };
	bool found = false;

	if (check_path(path, e))
		return -1;
	for (size_t i = 0; i < st->nchanges; i++)
		if (text_has_prefix(st->changes[i].path, below))
			st->changes[i].gone = true;
	if (st->policy.exists && tree_find(st->store, &st->policy.tree, path, &found, &t, e))
		return -1;
	if (found && t.mode == MODE_DIR)
		return store_diff(st->store, NULL, &t.oid, remove_one, &r, e);
	return found || changed(st, path) ? state_overlay_put(st, path, (struct bytes){ 0 }, true, e) : 0;
}

/* --- listing --- */

static int by_name(const void *x, const void *y)
{
	return strcmp(*(char *const *)x, *(char *const *)y);
}

/* Overlay entries below `prefix` ("cas/"; "" is the top), by the first component after it. */
static void add_changed(struct state *st, const char *prefix, bool folders, struct strv *v)
{
	for (size_t i = 0; i < st->nchanges; i++) {
		const struct change *c = &st->changes[i];

		if (c->gone || !text_has_prefix(c->path, prefix))
			continue;
		const char *rest = c->path + strlen(prefix);
		size_t n = strcspn(rest, "/");
		char *name = arena_strndup(st->arena, rest, n);
		if ((folders || !rest[n]) && !has_name(v, name))
			add_name(st->arena, v, name);
	}
}

struct survey {
	struct state *st;
	const char *dir;
	bool found;
};

static int survey_one(void *arg, const char *path, const struct oid *o, bool gone, struct err *e)
{
	struct survey *s = arg;
	const struct change *c = changed(s->st, fs_join(s->st->arena, s->dir, path));

	(void)o;
	(void)gone;
	s->found = !c || !c->gone;
	return s->found ? err_set(e, ERR_CANCELLED, "found") : 0; /* ends the walk */
}

/* Every file below a folder of the tree may have been removed in the overlay: then the folder is not there. */
static bool has_file_below(struct state *st, const char *path, const struct oid *tree)
{
	struct survey s = { st, path, false };
	struct err stop = { 0 };

	if (!st->nchanges)
		return true;
	return store_diff(st->store, NULL, tree, survey_one, &s, &stop) != 0 || s.found;
}

static int names_of(struct state *st, const char *dir, bool folders, struct strv *ret, struct err *e)
{
	struct tree_entry t = { 0 };
	struct bytes text;
	struct strv v = { .set = true };
	bool found = false, more;

	if (st->policy.exists && tree_find(st->store, &st->policy.tree, dir, &found, &t, e))
		return -1;
	if (found && t.mode == MODE_DIR) {
		if (tree_read(st->store, st->arena, &t.oid, &text, e))
			return -1;
		while (tree_next(&text, &more, &t, e) == 0 && more) {
			char *path = fs_join(st->arena, dir, t.name);
			const struct change *c = changed(st, path);

			if (t.mode == MODE_DIR ? folders && has_file_below(st, path, &t.oid) : mode_is_file(t.mode) &&
			    !(c && c->gone))
				add_name(st->arena, &v, t.name);
		}
	}
	add_changed(st, *dir ? arena_printf(st->arena, "%s/", dir) : "", folders, &v);
	if (v.n)
		qsort(v.v, v.n, sizeof(*v.v), by_name);
	*ret = v;
	return 0;
}

int state_names(struct state *st, const char *dir, struct strv *ret, struct err *e)
{
	if (*dir && check_path(dir, e))
		return -1;
	if (names_of(st, dir, true, ret, e))
		return -1;
	for (size_t i = 0; i < ret->n; i++)
		ret->v[i] = fs_join(st->arena, dir, ret->v[i]);
	return 0;
}

/* --- records --- */

/* "cas/%s/ca.yaml" around its id: folder "cas", suffix of the component "", rest "/ca.yaml". */
struct place {
	const char *dir, *suffix, *rest;
};

static struct place place_of(struct arena *a, const struct schema *sc)
{
	const char *at = strstr(sc->path, "%s"), *slash = at;

	if (!at) /* one record only, such as lamassu.yaml */
		return (struct place){ "", "", "" };
	while (slash > sc->path && slash[-1] != '/')
		slash--;
	size_t n = slash > sc->path ? (size_t)(slash - sc->path - 1) : 0, k = strcspn(at + 2, "/");
	return (struct place){ arena_strndup(a, sc->path, n), arena_strndup(a, at + 2, k), at + 2 + k };
}

static int record_path(struct state *st, const struct schema *sc, const char *id, char **ret, struct err *e)
{
	if (strstr(sc->path, "%s") && !(id && id_valid(id)))
		return err_set(e, ERR_INVALID,
			       "%s: \"%s\" is not an id: lower-case letters, digits and . _ - are, at most 64",
					sc->name, id ? id : "");
	*ret = schema_path(st->arena, sc, id);
	return 0;
}

static int not_found(struct state *st, const struct schema *sc, const char *id, struct err *e)
{
	struct err ignored = { 0 };
	struct strv ids = { 0 };
	const char *near = NULL;

	if (state_ids(st, sc, &ids, &ignored) == 0) {
		const char **list = arena_new_array(st->arena, ids.n + 1, const char *);

		for (size_t i = 0; i < ids.n; i++)
			list[i] = ids.v[i];
		near = text_nearest(id, list);
	}
	if (near)
		return err_set(e, ERR_NOT_FOUND, "%s \"%s\" not found; did you mean \"%s\"?", sc->name, id, near);
	return err_set(e, ERR_NOT_FOUND, "%s \"%s\" not found", sc->name, id);
}

static int read_record(struct state *st, const struct schema *sc, const char *id, char **ret_path, struct bytes *ret,
		       struct err *e)
{
	bool found;

	if (record_path(st, sc, id, ret_path, e) || read_any(st, *ret_path, &found, ret, e))
		return -1;
	return found ? 0 : not_found(st, sc, id ? id : sc->path, e);
}

/* A record is what its file's name says, or it is not read: ids in a repository may be written by anybody. */
static int load(struct arena *a, const struct schema *sc, const char *path, const char *id, struct bytes text,
		void *rec, struct err *e)
{
	if (rec_load(a, sc, path, text, rec, e))
		return -1;
	for (const struct field *f = sc->fields; f->name && strstr(sc->path, "%s"); f++) {
		const char *own = f->kind == F_STR ? *(char *const *)((const char *)rec + f->off) : NULL;

		if ((f->flags & F_KEY) && f->kind == F_STR && strcmp(own ? own : "", id) != 0)
			return err_set(e, ERR_INVALID, "%s: %s: must be \"%s\", as in the name of the file", path,
				       f->name, id);
	}
	return 0;
}

int state_get(struct state *st, const struct schema *sc, const char *id, void *rec, struct err *e)
{
	struct bytes text;
	char *path;

	return read_record(st, sc, id, &path, &text, e) ? -1 : load(st->arena, sc, path, id, text, rec, e);
}

bool state_has(struct state *st, const struct schema *sc, const char *id)
{
	struct err ignored = { 0 };
	struct tree_entry t;
	bool found = false;
	char *path;

	if (record_path(st, sc, id, &path, &ignored))
		return false;
	const struct change *c = changed(st, path);
	if (c || !st->policy.exists)
		return c && !c->gone;
	return tree_find(st->store, &st->policy.tree, path, &found, &t, &ignored) == 0 && found && mode_is_file(t.mode);
}

int state_ids(struct state *st, const struct schema *sc, struct strv *ret, struct err *e)
{
	struct place p = place_of(st->arena, sc);
	size_t suffix = strlen(p.suffix);
	struct strv names = { 0 }, ids = { .set = true };

	if (!suffix && !*p.rest)
		return err_set(e, ERR_INVALID, "%s has no ids", sc->name);
	if (names_of(st, p.dir, *p.rest != '\0', &names, e))
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		size_t n = strlen(names.v[i]);

		if (n <= suffix || strcmp(names.v[i] + n - suffix, p.suffix) != 0)
			continue;
		char *id = arena_strndup(st->arena, names.v[i], n - suffix);
		if (!id_valid(id) || (*p.rest && !state_has(st, sc, id)))
			continue;
		ids.v = arena_grow(st->arena, ids.v, ids.n, sizeof(*ids.v));
		ids.v[ids.n++] = id;
	}
	if (ids.n) /* "a.yaml" and "a-b.yaml" sort otherwise than "a" and "a-b" */
		qsort(ids.v, ids.n, sizeof(*ids.v), by_name);
	*ret = ids;
	return 0;
}

void *state_all(struct state *st, const struct schema *sc, size_t *ret_n, struct err *e)
{
	struct strv ids;
	char *recs;

	if (state_ids(st, sc, &ids, e) != 0)
		return NULL;
	recs = arena_alloc(st->arena, ids.n + 1, sc->size);
	for (size_t i = 0; i < ids.n; i++)
		if (state_get(st, sc, ids.v[i], recs + i * sc->size, e) != 0)
			return NULL;
	*ret_n = ids.n;
	return recs;
}

/* What is stored is read back first, so that nothing that cannot be loaded ever gets into a commit. */
int state_put(struct state *st, const struct schema *sc, const char *id, const void *rec, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	SCOPED_BUF text = buf_init(REC_MAX_BYTES);
	char *path;

	if (record_path(st, sc, id, &path, e))
		return -1;
	rec_emit(sc, rec, &text);
	if (text.over)
		return err_set(e, ERR_INVALID, "%s: larger than %d bytes", path, REC_MAX_BYTES);
	if (load(a, sc, path, id, buf_bytes(&text), arena_alloc(a, 1, sc->size), e))
		return -1;
	return state_overlay_put(st, path, buf_bytes(&text), false, e);
}

int state_set_all(struct state *st, const struct schema *sc, const char *id, const struct rec_change *v, size_t n,
		  struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	SCOPED_BUF out = buf_init(REC_MAX_BYTES);
	struct bytes text;
	char *path;

	if (read_record(st, sc, id, &path, &text, e) || rec_set_all(st->arena, sc, path, text, v, n, &out, e) ||
	    load(a, sc, path, id, buf_bytes(&out), arena_alloc(a, 1, sc->size), e))
		return -1;
	return state_overlay_put(st, path, buf_bytes(&out), false, e);
}

int state_set(struct state *st, const struct schema *sc, const char *id, const char *field, const char *value,
	      struct err *e)
{
	return state_set_all(st, sc, id, &(struct rec_change){ field, value }, 1, e);
}

int state_del(struct state *st, const struct schema *sc, const char *id, struct err *e)
{
	struct place p = place_of(st->arena, sc);
	struct bytes text;
	char *path;

	if (read_record(st, sc, id, &path, &text, e))
		return -1;
	/* A record with a folder of its own goes with everything in it. */
	return state_remove(st, *p.rest ? arena_printf(st->arena, "%s/%s", p.dir, id) : path, e);
}
