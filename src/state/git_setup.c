/* Making and preparing a repository: what init needs of libgit2, and the push settings that carry the ledger along. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/text.h"
#include "state/git.h"
#include "state/locks.h"

static int make(const char *dir, const char *branch, struct err *e)
{
	AUTO(git_repository) *r = NULL;
	git_repository_init_options o;

	git_repository_init_options_init(&o, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
	o.flags = GIT_REPOSITORY_INIT_MKPATH | GIT_REPOSITORY_INIT_NO_REINIT;
	o.initial_head = branch;
	return git_repository_init_ext(&r, dir, &o) ? err_git(e, ERR_IO, dir) : 0;
}

int store_make(const char *dir, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	char *branch = store_user_config(a, "init.defaultbranch");
	int r;

	if (git_start(e))
		return -1;
	r = make(dir, branch ? branch : "main", e);
	git_libgit2_shutdown();
	return r;
}

char *store_above(struct arena *a, const char *dir)
{
	git_buf found = { 0 };
	struct err ignored = { 0 };
	char *r = NULL;

	if (git_start(&ignored))
		return NULL;
	if (git_repository_discover(&found, dir, 1, getenv("GIT_CEILING_DIRECTORIES")) == 0)
		r = arena_strdup(a, found.ptr);
	git_buf_dispose(&found);
	git_libgit2_shutdown();
	return r;
}

static char *look_up(struct arena *a, const char *key)
{
	AUTO(git_config) *all = NULL, *fixed = NULL;
	const char *v;

	if (git_config_open_default(&all) || git_config_snapshot(&fixed, all) ||
	    git_config_get_string(&v, fixed, key) || !*v)
		return NULL;
	return arena_strdup(a, v);
}

char *store_user_config(struct arena *a, const char *key)
{
	struct err ignored = { 0 };
	char *r;

	if (git_start(&ignored))
		return NULL;
	r = look_up(a, key);
	git_libgit2_shutdown();
	return r;
}

/* Not git_remote_list: its regular expressions leak memory on every key that does not match. */
int store_remotes(struct store *s, struct arena *a, struct strv *ret, struct err *e)
{
	AUTO(git_config_iterator) *all = NULL;
	struct strv v = { .set = true };
	git_config_entry *x;

	if (git_config_iterator_new(&all, s->config))
		return err_git(e, ERR_IO, "git's configuration");
	while (git_config_next(&x, all) == 0) {
		size_t n = strlen(x->name), head = strlen("remote."), tail = strlen(".url");

		if (n <= head + tail || !text_has_prefix(x->name, "remote.") || strcmp(x->name + n - tail, ".url") != 0)
			continue;
		v.v = arena_grow(a, v.v, v.n, sizeof(*v.v));
		v.v[v.n++] = arena_strndup(a, x->name + head, n - head - tail);
	}
	*ret = v;
	return 0;
}

static void put_push(struct buf *out, const char *remote, const char *ledger_branch)
{
	buf_puts(out, "[remote \"");
	for (; *remote; remote++) {
		if (*remote == '"' || *remote == '\\')
			buf_putc(out, '\\');
		buf_putc(out, *remote);
	}
	buf_printf(out, "\"]\n\tpush = HEAD\n\tpush = refs/heads/%s\n", ledger_branch);
}

/* Appended by hand, under git's lock: libgit2 leaks memory when it adds a second value. */
static int append_config(struct store *s, struct arena *a, const char *tmp_dir, const struct buf *more, struct err *e)
{
	char *file = fs_join(a, s->git_dir, "config");
	struct filelock l;
	struct bytes old;
	int r;

	if (filelock_take(a, s, tmp_dir, file, 0, &l, e))
		return -1;
	r = fs_read(a, file, FS_LIMIT_DOC, &old, e) || fs_write_fd(l.fd, old, e) ||
			(old.n && old.p[old.n - 1] != '\n' && fs_write_fd(l.fd, bytes_of("\n"), e)) ||
			fs_write_fd(l.fd, buf_bytes(more), e) || filelock_commit(&l, e);
	filelock_drop(&l);
	return r ? -1 : 0;
}

int store_set_push(struct store *s, const char *tmp_dir, const char *ledger_branch, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	SCOPED_BUF more = buf_init(FS_LIMIT_DOC);
	struct strv remotes;

	if (store_remotes(s, a, &remotes, e))
		return -1;
	for (size_t i = 0; i < remotes.n; i++)
		if (!store_config(s, arena_printf(a, "remote.%s.push", remotes.v[i])))
			put_push(&more, remotes.v[i], ledger_branch);
	return more.n ? append_config(s, a, tmp_dir, &more, e) : 0;
}
