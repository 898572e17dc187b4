/* The repository through libgit2: opening (with every refusal that has a name), objects, refs, configuration.
 * Objects and refs are only read here; writing is done by pack.c and locks.c. libgit2 checks the SHA-1 of each
 * object that it reads, and refuses repositories of other users; that check is never switched off. */
#include "state/git.h"

#include <git2/sys/repository.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"

/* Enough for all small packs of a busy ledger; a big pack is mapped in windows, so that memory stays bounded. */
enum { CACHE_BYTES = 32 << 20, WINDOW_BYTES = 16 << 20, MAPPED_BYTES = 64 << 20 };

int err_git(struct err *e, enum err_code code, const char *what)
{
	const git_error *g = git_error_last();

	return err_set(e, code, "%s: %s", what, g && g->message ? g->message : "unknown reason");
}

int git_start(struct err *e)
{
	/* Written by newer gits beside sparse checkouts; neither changes what objects or refs mean. */
	const char *known[] = { "worktreeconfig", "preciousobjects" };
	int n = git_libgit2_init();

	if (n < 0)
		return err_git(e, ERR_IO, "libgit2");
	if (n > 1)
		return 0;
	git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1);
	git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, (ssize_t)CACHE_BYTES);
	git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, (size_t)WINDOW_BYTES);
	git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, (size_t)MAPPED_BYTES);
	git_libgit2_opts(GIT_OPT_SET_EXTENSIONS, known, COUNT(known));
	return 0;
}

static char *without_slash(struct arena *a, const char *path)
{
	size_t n = path ? strlen(path) : 0;

	while (n > 1 && path[n - 1] == '/')
		n--;
	return path ? arena_strndup(a, path, n) : NULL;
}

/* remote.<any>.promisor: newer gits mark a partial clone only so. */
static bool has_promisor(git_config *c)
{
	AUTO(git_config_iterator) *all = NULL;
	git_config_entry *x;
	const char *dot;
	int on;

	if (git_config_iterator_new(&all, c))
		return false;
	while (git_config_next(&x, all) == 0) {
		dot = strrchr(x->name, '.');
		if (dot && strcmp(dot, ".promisor") == 0 && git_config_parse_bool(&on, x->value) == 0 && on)
			return true;
	}
	return false;
}

/* Why a repository that git can open is refused: the kinds that libgit2 or the ledger cannot serve, by name. */
static int refuse_kind(git_config *c, const char *dir, struct err *e)
{
	const char *v;

	if (git_config_get_string(&v, c, "extensions.objectformat") == 0 && strcmp(v, "sha1") != 0)
		return err_set(e, ERR_UNSUPPORTED, "%s: object format %s is not supported, only SHA-1 repositories are",
			       dir, v);
	if (git_config_get_string(&v, c, "extensions.refstorage") == 0 && strcmp(v, "files") != 0)
		return err_set(e, ERR_UNSUPPORTED, "%s: ref storage %s is not supported, only files", dir, v);
	if (git_config_get_string(&v, c, "extensions.partialclone") == 0 || has_promisor(c))
		return err_set(e, ERR_UNSUPPORTED, "%s: this is a partial clone: clone again without --filter", dir);
	return 0;
}

/* libgit2 would not open it: says why in words that lead to the fix. */
static int explain(struct arena *a, const char *dir, int code, struct err *e)
{
	AUTO(git_config) *live = NULL, *c = NULL;
	char *file = arena_printf(a, "%s/.git/config", dir);
	const git_error *g = git_error_last();
	struct err said = { 0 };

	/* Without any safe.directory libgit2 reports that setting as not found. */
	if (code == GIT_EOWNER || (g && g->message && strstr(g->message, "safe.directory")))
		return err_set(e, ERR_DENIED, "%s belongs to another user: if you trust it, run git config --global "
			       "--add safe.directory %s", dir, dir);
	if (code == GIT_ENOTFOUND)
		return err_set(e, ERR_NOT_FOUND, "%s is not a git repository", dir);
	err_git(&said, ERR_UNSUPPORTED, dir); /* before other calls fail */
	if (!fs_exists(file))
		file = arena_printf(a, "%s/config", dir);
	if (git_config_open_ondisk(&live, file) == 0 && git_config_snapshot(&c, live) == 0 && refuse_kind(c, dir, e))
		return -1;
	*e = said;
	return -1;
}

static unsigned shared_bits(git_config *c)
{
	const char *v;

	if (git_config_get_string(&v, c, "core.sharedrepository") || !*v)
		return 0;
	if (strcmp(v, "group") == 0 || strcmp(v, "true") == 0 || strcmp(v, "1") == 0)
		return 0660;
	if (strcmp(v, "all") == 0 || strcmp(v, "world") == 0 || strcmp(v, "everybody") == 0 || strcmp(v, "2") == 0)
		return 0664;
	return v[0] == '0' ? (unsigned)strtoul(v, NULL, 8) & 0666 : 0;
}

/* A server's hook sees pushed objects only in git's quarantine, which it names in the environment. */
static int add_quarantine(struct store *s, struct err *e)
{
	const char *dir = getenv("GIT_OBJECT_DIRECTORY"), *more = getenv("GIT_ALTERNATE_OBJECT_DIRECTORIES");

	if (!getenv("GIT_DIR") || !dir)
		return 0;
	if (git_odb_add_disk_alternate(s->odb, dir))
		return err_git(e, ERR_IO, "quarantine");
	while (more && *more) {
		size_t n = strcspn(more, ":");
		char *one = arena_strndup(s->arena, more, n);

		if (n && git_odb_add_disk_alternate(s->odb, one))
			return err_git(e, ERR_IO, "quarantine");
		more += n + (more[n] == ':');
	}
	return 0;
}

/* Opens the objects anew: libgit2 never forgets a pack that it has listed. */
static int open_odb(struct store *s, struct err *e)
{
	git_odb_free(s->odb);
	s->odb = NULL;
	if (git_odb_open(&s->odb, fs_join(s->arena, s->git_dir, "objects")) || git_repository_set_odb(s->repo, s->odb))
		return err_git(e, ERR_IO, s->git_dir);
	return add_quarantine(s, e);
}

static int config_now(struct store *s, struct err *e)
{
	git_config_free(s->config);
	s->config = NULL;
	if (git_repository_config_snapshot(&s->config, s->repo))
		return err_git(e, ERR_IO, "git's configuration");
	return 0;
}

static int open_checked(struct store *s, const char *dir, struct err *e)
{
	int r = git_repository_open_ext(&s->repo, dir, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);

	/* GIT_DIR of a hook or a separate repository: only where the folder itself says nothing. */
	if (r == GIT_ENOTFOUND && getenv("GIT_DIR"))
		r = git_repository_open_ext(&s->repo, dir, GIT_REPOSITORY_OPEN_FROM_ENV, NULL);
	if (r)
		return explain(s->arena, dir, r, e);
	s->git_dir = without_slash(s->arena, git_repository_commondir(s->repo));
	s->own_dir = without_slash(s->arena, git_repository_path(s->repo));
	s->workdir = without_slash(s->arena, git_repository_workdir(s->repo));
	if (config_now(s, e) || refuse_kind(s->config, dir, e))
		return -1;
	if (git_repository_is_shallow(s->repo))
		return err_set(e, ERR_UNSUPPORTED, "%s: this is a shallow clone: run git fetch --unshallow", dir);
	s->shared = shared_bits(s->config);
	return open_odb(s, e);
}

int store_open(struct arena *a, const char *dir, struct store **ret, struct err *e)
{
	struct store *s = arena_alloc(a, 1, sizeof(*s));
	char full[PATH_MAX];

	s->arena = a;
	if (!realpath(dir, full))
		return err_sys(e, dir);
	if (git_start(e))
		return -1;
	if (open_checked(s, full, e)) {
		store_close(s);
		return -1;
	}
	*ret = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	git_index_free(s->index);
	git_config_free(s->config);
	git_odb_free(s->odb);
	git_repository_free(s->repo);
	git_libgit2_shutdown();
}

int store_reopen(struct store *s, struct err *e)
{
	SCOPED_ARENA *scratch = arena_new();
	struct store *other, old = *s;

	if (store_open(scratch, s->workdir ? s->workdir : s->git_dir, &other, e))
		return -1;
	s->repo = other->repo;
	s->odb = other->odb;
	s->config = other->config;
	s->index = other->index;
	other->repo = old.repo;
	other->odb = old.odb;
	other->config = old.config;
	other->index = old.index;
	store_close(other);
	return 0;
}

const char *store_git_dir(const struct store *s)
{
	return s->git_dir;
}

const char *store_own_dir(const struct store *s)
{
	return s->own_dir;
}

const char *store_workdir(const struct store *s)
{
	return s->workdir;
}

void store_share(const struct store *s, int fd)
{
	struct stat st;

	/* git's rule: the setting adds readers, and writers only where the owner may write. */
	if (!s->shared || fstat(fd, &st))
		return;
	mode_t more = (mode_t)(st.st_mode & 0200 ? s->shared : s->shared & ~0222U);
	if (S_ISDIR(st.st_mode))
		more = (mode_t)(s->shared | (s->shared & 0444) >> 2 | S_ISGID);
	if (fchmod(fd, (st.st_mode & 07777) | more))
		return; /* of another user: then they have given the rights */
}

bool store_is_shared(const struct store *s)
{
	return s->shared != 0;
}

static int read_once(struct store *s, const git_oid *id, size_t max, bool *ret_big, git_odb_object **ret)
{
	size_t n;
	git_object_t t;
	int r = git_odb_read_header(&n, &t, s->odb, id);

	*ret_big = r == 0 && n > max;
	return r || *ret_big ? r : git_odb_read(ret, s->odb, id);
}

int store_read(struct store *s, struct arena *a, const struct oid *o, enum obj_type type, size_t max, struct bytes *ret,
	       struct err *e)
{
	AUTO(git_odb_object) *obj = NULL;
	git_oid id = oid_to_git(o);
	bool big = false;
	int r = read_once(s, &id, max, &big, &obj);

	if (r && r != GIT_ENOTFOUND) { /* a pack that `git gc` removed under us is an error, not a miss */
		if (open_odb(s, e))
			return -1;
		r = read_once(s, &id, max, &big, &obj);
	}
	if (big)
		return err_set(e, ERR_INVALID, "object %s is larger than %zu bytes", oid_hex(a, o), max);
	if (r == GIT_ENOTFOUND)
		return err_set(e, ERR_NOT_FOUND, "object %s is missing or its pack is damaged: git fsck tells more",
			       oid_hex(a, o));
	if (r)
		return err_git(e, ERR_IO, arena_printf(a, "object %s", oid_hex(a, o)));
	if ((int)git_odb_object_type(obj) != (int)type)
		return err_set(e, ERR_INVALID, "object %s is not of the expected type", oid_hex(a, o));
	size_t n = git_odb_object_size(obj);
	char *copy = arena_alloc(a, n + 1, 1);
	memcpy(copy, git_odb_object_data(obj), n);
	*ret = (struct bytes){ (unsigned char *)copy, n };
	return 0;
}

int store_size(struct store *s, const struct oid *o, size_t *ret, struct err *e)
{
	git_oid id = oid_to_git(o);
	git_object_t type;

	return git_odb_read_header(ret, &type, s->odb, &id) ? err_git(e, ERR_IO, "object") : 0;
}

int store_ref(struct store *s, const char *ref, bool *ret_found, struct oid *ret, struct err *e)
{
	git_oid id;
	int r = git_reference_name_to_id(&id, s->repo, ref);

	if (r && r != GIT_ENOTFOUND)
		return err_git(e, r == GIT_EINVALIDSPEC ? ERR_INVALID : ERR_IO, ref);
	*ret_found = r == 0;
	if (r == 0)
		*ret = oid_of_git(&id);
	return 0;
}

int store_commit_tree(struct store *s, const struct oid *commit, struct oid *ret, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct bytes text;

	if (store_read(s, a, commit, OBJ_COMMIT, STORE_COMMIT_MAX, &text, e))
		return -1;
	if (text.n < 46 || memcmp(text.p, "tree ", 5) != 0 ||
	    oid_parse(arena_strndup(a, (const char *)text.p + 5, 40), ret))
		return err_set(e, ERR_INVALID, "commit %s is damaged", oid_hex(a, commit));
	return 0;
}

bool store_is_ancestor(struct store *s, const struct oid *older, const struct oid *newer)
{
	git_oid o = oid_to_git(older), n = oid_to_git(newer);

	return oid_equal(older, newer) || git_graph_descendant_of(s->repo, &n, &o) == 1;
}

int store_head(struct store *s, struct arena *a, char **ret_branch, struct err *e)
{
	AUTO(git_reference) *head = NULL;

	if (git_reference_lookup(&head, s->repo, "HEAD"))
		return err_git(e, ERR_IO, "HEAD");
	*ret_branch = arena_strdup(a, git_reference_symbolic_target(head));
	return 0;
}

static const char *followed_remote(struct store *s)
{
	AUTO(git_reference) *head = NULL;
	SCOPED_ARENA *a = arena_new();

	if (git_reference_lookup(&head, s->repo, "HEAD") || !git_reference_symbolic_target(head))
		return NULL;
	return store_config(s, arena_printf(a, "branch.%s.remote",
					    git_reference_symbolic_target(head) + strlen("refs/heads/")));
}

int store_remote_branch(struct store *s, struct arena *a, const char *branch, char **ret_ref, struct err *e)
{
	const char *remotes[] = { followed_remote(s), "origin" }, *name;
	AUTO(git_reference_iterator) *all = NULL;
	struct oid o;
	bool found;

	for (size_t i = 0; i < COUNT(remotes); i++) {
		char *ref = remotes[i] ? arena_printf(a, "refs/remotes/%s/%s", remotes[i], branch) : NULL;

		if (ref && store_ref(s, ref, &found, &o, e))
			return -1;
		if (ref && found) {
			*ret_ref = ref;
			return 0;
		}
	}
	if (git_reference_iterator_glob_new(&all, s->repo, arena_printf(a, "refs/remotes/*/%s", branch)))
		return err_git(e, ERR_IO, "refs");
	*ret_ref = git_reference_next_name(&name, all) == 0 ? arena_strdup(a, name) : NULL;
	return 0;
}

const char *store_busy(struct store *s)
{
	static const char *const names[] = {
		[GIT_REPOSITORY_STATE_NONE] = NULL,
		[GIT_REPOSITORY_STATE_MERGE] = "merge",
		[GIT_REPOSITORY_STATE_REVERT] = "revert",
		[GIT_REPOSITORY_STATE_REVERT_SEQUENCE] = "revert",
		[GIT_REPOSITORY_STATE_CHERRYPICK] = "cherry-pick",
		[GIT_REPOSITORY_STATE_CHERRYPICK_SEQUENCE] = "cherry-pick",
		[GIT_REPOSITORY_STATE_BISECT] = "bisect",
		[GIT_REPOSITORY_STATE_REBASE] = "rebase",
		[GIT_REPOSITORY_STATE_REBASE_INTERACTIVE] = "rebase",
		[GIT_REPOSITORY_STATE_REBASE_MERGE] = "rebase",
		[GIT_REPOSITORY_STATE_APPLY_MAILBOX] = "git am",
		[GIT_REPOSITORY_STATE_APPLY_MAILBOX_OR_REBASE] = "rebase",
	};
	int n = git_repository_state(s->repo);

	return n < 0 || n >= (int)COUNT(names) ? "operation of git" : names[n];
}

const char *store_config(struct store *s, const char *key)
{
	const char *v = NULL;

	return git_config_get_string(&v, s->config, key) == 0 && *v ? v : NULL;
}

int store_config_set(struct store *s, const char *key, const char *value, struct err *e)
{
	AUTO(git_config) *all = NULL, *local = NULL;

	if (git_repository_config(&all, s->repo) || git_config_open_level(&local, all, GIT_CONFIG_LEVEL_LOCAL) ||
	    git_config_set_string(local, key, value))
		return err_git(e, ERR_IO, key);
	return config_now(s, e);
}
