/* The work tree and git's index. Every path is walked folder by folder without following symbolic links, so nothing
 * outside the work tree is ever written; what the user has edited or staged is never overwritten. The index is
 * changed on a copy, and the copy becomes the content of git's index.lock, which is renamed at the end: libgit2
 * would not share that lock. */
#include "state/worktree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "state/git_index.h"
#include "state/locks.h"
#include "state/oid.h"
#include "state/tree.h"

enum { WT_FILE_MAX = 16 << 20, INDEX_MAX = BUF_BIG };

struct planned {
	struct wt_file f;
	bool leave; /* the user's own edit: only the index follows the commit */
};

struct worktree {
	struct arena *arena;
	struct store *store;
	const char *workdir, *op_id;
	struct filelock lock;
	struct gitindex *index;
	char *copy; /* the file that `index` is open on */
	struct planned *files;
	size_t n;
};

/* Opens the folder of a file, without following symbolic links. *ret_fd is -1 when a folder is missing and not to be
 * made. */
static int open_parent(const char *workdir, const char *path, bool make, int *ret_fd, const char **ret_name,
		       struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	int fd = open(workdir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), next;
	const char *slash;

	if (fd < 0)
		return err_sys(e, workdir);
	for (; (slash = strchr(path, '/')); path = slash + 1) {
		char *name = arena_strndup(a, path, (size_t)(slash - path));

		next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0 && errno == ENOENT && make && mkdirat(fd, name, 0777) == 0 && fsync(fd) == 0)
			next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0 && !(errno == ENOENT && !make)) {
			err_set(e, ERR_CONFLICT, "%s: %s is not a folder in the work tree (%s)", workdir, name,
				strerror(errno));
			close(fd);
			return -1;
		}
		close(fd);
		fd = next;
		if (fd < 0)
			break;
	}
	*ret_fd = fd;
	*ret_name = path;
	return 0;
}

static enum wt_state compare_at(struct arena *a, int dir, const char *name, const struct oid *o)
{
	struct hash *h;
	struct stat st;
	struct oid got;
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? WT_ABSENT : WT_OTHER;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > WT_FILE_MAX) {
		close(fd);
		return WT_OTHER;
	}
	size_t n = (size_t)st.st_size, at = 0;
	unsigned char *text = arena_alloc(a, n + 1, 1);
	for (ssize_t k; at < n && (k = read(fd, text + at, n - at)) > 0;)
		at += (size_t)k;
	close(fd);
	h = hash_new(a);
	hash_object(h, OBJ_BLOB, (struct bytes){ text, at }, &got);
	hash_free(h);
	return at == n && oid_equal(&got, o) ? WT_SAME : WT_OTHER;
}

enum wt_state worktree_compare(struct store *s, const char *path, const struct oid *o)
{
	SCOPED_ARENA *a = arena_new();
	struct err ignored = { 0 };
	const char *name;
	enum wt_state r;
	int dir;

	if (open_parent(store_workdir(s), path, false, &dir, &name, &ignored))
		return WT_OTHER;
	if (dir < 0)
		return WT_ABSENT;
	r = compare_at(a, dir, name, o);
	close(dir);
	return r;
}

/* --- taking the lock --- */

/* libgit2 wants a file of its own; git_index_write makes a lock beside it, so both names are swept as tmp.*. */
static int copy_index(struct worktree *w, const char *tmp_dir, struct err *e)
{
	char *real = fs_join(w->arena, store_own_dir(w->store), "index");
	struct bytes text = { 0 };

	w->copy = tmp_path(w->arena, tmp_dir, "index");
	if (fs_exists(real) && (fs_read(w->arena, real, INDEX_MAX, &text, e) ||
				tmp_write(w->store, w->copy, text, 0600, false, e)))
		return -1;
	return gitindex_open(w->arena, w->copy, &w->index, e);
}

int worktree_open(struct arena *a, struct store *s, const char *tmp_dir, const char *op_id, int64_t timeout_ms,
		  struct worktree **ret,
		  struct err *e)
{
	struct worktree *w = arena_alloc(a, 1, sizeof(*w));

	*w = (struct worktree){ .arena = a, .store = s, .workdir = store_workdir(s), .op_id = op_id,
			.lock = { .fd = -1 } };
	if (filelock_take(a, s, tmp_dir, fs_join(a, store_own_dir(s), "index"), timeout_ms, &w->lock, e))
		return -1;
	if (copy_index(w, tmp_dir, e)) {
		worktree_close(w);
		return -1;
	}
	*ret = w;
	return 0;
}

void worktree_close(struct worktree *w)
{
	if (!w)
		return;
	filelock_drop(&w->lock);
	gitindex_close(w->index);
	if (w->copy)
		unlink(w->copy);
}

/* --- checking --- */

/* Is what is staged neither what was committed nor what is about to be? */
static bool staged_otherwise(struct worktree *w, const struct wt_file *f)
{
	struct stat st;
	struct oid o;
	bool there = gitindex_get(w->index, f->path, &o, &st);

	if (there)
		return !(f->had && oid_equal(&o, &f->old)) && !(!f->gone && oid_equal(&o, &f->new));
	return f->had && !f->gone;
}

int worktree_add(struct worktree *w, const struct wt_file *f, bool strict, struct err *e)
{
	bool same_old = f->had ? worktree_compare(w->store, f->path, &f->old) == WT_SAME :
				 worktree_compare(w->store, f->path, &f->new) == WT_ABSENT;
	bool same_new = f->gone ? worktree_compare(w->store, f->path, &f->old) == WT_ABSENT :
				  worktree_compare(w->store, f->path, &f->new) == WT_SAME;
	struct planned p = { *f, false };

	p.f.path = arena_strdup(w->arena, f->path);
	p.leave = !same_old && !same_new;
	if (strict && p.leave)
		return err_set(e, ERR_CONFLICT,
			       "%s has changes that are not committed: commit, stash or restore it first", f->path);
	if (strict && staged_otherwise(w, f))
		return err_set(e, ERR_CONFLICT, "%s has staged changes: commit or unstage it first", f->path);
	w->files = arena_grow(w->arena, w->files, w->n, sizeof(*w->files));
	w->files[w->n++] = p;
	return 0;
}

struct comparison {
	struct worktree *w;
	const struct oid *still;
	bool strict;
};

static int find_file(struct store *s, const struct oid *tree, const char *path, bool *ret_found, struct oid *ret,
		     struct err *e)
{
	enum obj_type type;

	*ret_found = false;
	if (tree && store_lookup(s, tree, path, ret_found, &type, ret, e))
		return -1;
	*ret_found = *ret_found && type == OBJ_BLOB;
	return 0;
}

static int add_one(void *arg, const char *path, const struct tree_entry *old, const struct tree_entry *new,
		   struct err *e)
{
	struct comparison *c = arg;
	const struct tree_entry *t = new ? new : old;
	struct wt_file f = { .path = path, .gone = !new, .mode = t->mode, .new = t->oid, .old = t->oid };
	struct oid now;
	bool there;

	if (!mode_is_file(t->mode))
		return !c->strict ? 0 : err_set(e, ERR_UNSUPPORTED,
						"%s is a symbolic link or a submodule: use git merge", path);
	f.had = old && mode_is_file(old->mode);
	if (f.had)
		f.old = old->oid;
	if (find_file(c->w->store, c->still, path, &there, &now, e))
		return -1;
	if (there == f.gone || (there && !oid_equal(&now, &t->oid)))
		return 0;
	return worktree_add(c->w, &f, c->strict, e);
}

int worktree_add_diff(struct worktree *w, const struct oid *old_tree, const struct oid *new_tree,
		      const struct oid *still, bool strict,
		      struct err *e)
{
	struct comparison c = { w, still, strict };

	return tree_diff(w->store, old_tree, new_tree, add_one, &c, e);
}

/* --- writing --- */

/* In the same folder, so that the rename stays on one file system; named by the operation, so that recovery finds
 * it. */
static char *temp_name(struct worktree *w)
{
	return arena_printf(w->arena, ".lamassu-%.16s.tmp", w->op_id);
}

static int write_at(struct worktree *w, int dir, const char *name, unsigned mode, struct bytes text,
		    struct err *e)
{
	char *tmp = temp_name(w);
	int fd = openat(dir, tmp, O_CREAT | O_TRUNC | O_WRONLY | O_NOFOLLOW | O_CLOEXEC,
			0666 | (mode & 0111)), r;

	if (fd < 0)
		return err_sys(e, name);
	r = fs_write_fd(fd, text, e) ? -1 : fsync(fd) ? err_sys(e, name) : 0;
	close(fd);
	if (!r && renameat(dir, tmp, dir, name))
		r = err_sys(e, name);
	if (r)
		unlinkat(dir, tmp, 0);
	return r ? r : fsync(dir) ? err_sys(e, name) : 0;
}

static int write_file(struct worktree *w, const struct wt_file *f, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct bytes text;
	const char *name;
	int dir, r;

	if (store_read(w->store, a, &f->new, OBJ_BLOB, WT_FILE_MAX, &text, e) ||
	    open_parent(w->workdir, f->path, true, &dir, &name, e))
		return -1;
	r = compare_at(a, dir, name, &f->new) == WT_SAME ? 0 : write_at(w, dir, name, f->mode, text, e);
	close(dir);
	return r;
}

/* Removes the file and, as git does, the folders that it leaves empty. */
static void remove_file(struct worktree *w, const char *path)
{
	struct err ignored = { 0 };
	char *p = arena_strdup(w->arena, path), *slash;
	const char *name;
	int dir, flags = 0;

	for (;; flags = AT_REMOVEDIR) {
		if (open_parent(w->workdir, p, false, &dir, &name, &ignored) || dir < 0)
			return;
		int r = unlinkat(dir, name, flags);
		fsync(dir);
		close(dir);
		slash = strrchr(p, '/');
		if ((r && flags) || !slash)
			return;
		*slash = '\0';
	}
}

static int stat_file(struct worktree *w, const char *path, struct stat *ret, struct err *e)
{
	const char *name;
	int dir, r = -1;

	*ret = (struct stat){ 0 }; /* not there: git sees it as deleted, which is what the user has made of it */
	if (open_parent(w->workdir, path, false, &dir, &name, e))
		return -1;
	if (dir >= 0) {
		r = fstatat(dir, name, ret, AT_SYMLINK_NOFOLLOW);
		close(dir);
	}
	if (r)
		*ret = (struct stat){ 0 };
	return 0;
}

static int apply_one(struct worktree *w, const struct planned *p, struct err *e)
{
	struct stat st = { 0 };

	if (p->f.gone) {
		if (!p->leave)
			remove_file(w, p->f.path);
		return gitindex_remove(w->index, p->f.path, e);
	}
	if (!p->leave && (write_file(w, &p->f, e) || stat_file(w, p->f.path, &st, e)))
		return -1;
	/* With an edit in place the times stay 0, so that git compares the content and shows the file as modified. */
	return gitindex_set(w->index, p->f.path, &p->f.new, p->f.mode, &st, e);
}

void worktree_sweep(struct worktree *w)
{
	struct err ignored = { 0 };
	const char *name;
	int dir;

	for (size_t i = 0; i < w->n; i++) {
		if (open_parent(w->workdir, w->files[i].f.path, false, &dir, &name, &ignored) || dir < 0)
			continue;
		unlinkat(dir, temp_name(w), 0);
		close(dir);
	}
}

int worktree_apply(struct worktree *w, struct err *e)
{
	struct bytes text;

	for (size_t i = 0; i < w->n; i++)
		if (apply_one(w, &w->files[i], e))
			return err_ctx(e, "%s", w->files[i].f.path);
	if (gitindex_write(w->index, e) || fs_read(w->arena, w->copy, INDEX_MAX, &text, e) ||
	    fs_write_fd(w->lock.fd, text, e))
		return -1;
	return filelock_commit(&w->lock, e);
}
