/* Remotes and merges through libgit2: local paths, ssh (agent, else key files without passphrase, known_hosts as
 * libgit2 checks it), https, http and git. Branches are never forced. */
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "state/git.h"

DEFINE_AUTO(git_commit, git_commit_free)
DEFINE_AUTO(git_index_conflict_iterator, git_index_conflict_iterator_free)

static int give_key_file(git_credential **ret, struct talk *t, const char *user)
{
	static const char *const names[] = { "id_ed25519", "id_ecdsa", "id_rsa" };
	const char *home = getenv("HOME");

	while (home && t->key_files < COUNT(names)) {
		char *file = arena_printf(t->arena, "%s/.ssh/%s", home, names[t->key_files++]);

		if (fs_exists(file))
			return git_credential_ssh_key_new(ret, user, NULL, file, NULL);
	}
	return GIT_EAUTH;
}

int remote_credential(git_credential **ret, const char *url, const char *user, unsigned allowed, void *arg)
{
	const char *agent = getenv("SSH_AUTH_SOCK");
	struct talk *t = arg;

	(void)url;
	user = user ? user : "git";
	patience_renew(&t->patience);
	if (allowed & GIT_CREDENTIAL_USERNAME)
		return git_credential_username_new(ret, user);
	t->asked++;
	if (allowed & GIT_CREDENTIAL_SSH_KEY)
		return t->asked == 1 && agent && fs_exists(agent) ? git_credential_ssh_key_from_agent(ret, user)
								  : give_key_file(ret, t, user);
	if ((allowed & GIT_CREDENTIAL_DEFAULT) && t->asked == 1)
		return git_credential_default_new(ret);
	return GIT_EAUTH;
}

static int look_up(struct store *s, const char *remote, git_remote **ret, struct err *e)
{
	int r = git_remote_lookup(ret, s->repo, remote);

	if (r == GIT_ENOTFOUND || r == GIT_EINVALIDSPEC)
		return err_set(e, ERR_NOT_FOUND, "remote \"%s\" not found: git remote add %s URL", remote, remote);
	return r ? err_git(e, ERR_IO, remote) : 0;
}

static bool is_path(const char *url)
{
	return !strstr(url, "://") && strcspn(url, "/") <= strcspn(url, ":");
}

/* The same remote without its configured refspecs: git_remote_fetch would take `remote.<name>.push = refs/heads/ledger`
 * for a thing to fetch too, and set the local ledger back. Relative paths begin where git lets them begin, wherever the
 * command runs. */
int remote_open(struct store *s, const char *remote, bool push, git_remote **ret, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	AUTO(git_remote) *named = NULL;
	git_remote_create_options o;
	const char *url;

	if (git_trust(e) || look_up(s, remote, &named, e))
		return -1;
	url = push && git_remote_pushurl(named) ? git_remote_pushurl(named) : git_remote_url(named);
	if (is_path(url) && *url != '/')
		url = fs_join(a, s->workdir ? s->workdir : s->git_dir, url);
	git_remote_create_options_init(&o, GIT_REMOTE_CREATE_OPTIONS_VERSION);
	o.repository = s->repo;
	o.flags = GIT_REMOTE_CREATE_SKIP_INSTEADOF | GIT_REMOTE_CREATE_SKIP_DEFAULT_FETCHSPEC;
	return git_remote_create_with_opts(ret, url, &o) ? err_git(e, ERR_IO, remote) : 0;
}

int remote_failed(struct talk *t, const char *remote, struct err *e)
{
	if (patience_end(&t->patience))
		return err_set(e, ERR_REMOTE, "%s: no sign of life for %d seconds, so it was given up", remote,
			       t->patience.seconds);
	return err_git(e, ERR_REMOTE, remote);
}

/* A branch that the remote no longer has (a server set up anew) must not pass for one that is up to date there. */
static int forget_missing(struct store *s, git_remote *r, const char *remote, const char *branch, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	AUTO(git_reference) *tracking = NULL;
	char *name = arena_printf(a, "refs/heads/%s", branch);
	const git_remote_head **heads;
	size_t n;
	int code;

	if (git_remote_ls(&heads, &n, r))
		return err_git(e, ERR_REMOTE, remote);
	for (size_t i = 0; i < n; i++)
		if (strcmp(heads[i]->name, name) == 0)
			return 0;
	code = git_reference_lookup(&tracking, s->repo, arena_printf(a, "refs/remotes/%s/%s", remote, branch));
	if (code == GIT_ENOTFOUND)
		return 0;
	return code || git_reference_delete(tracking) ? err_git(e, ERR_IO, branch) : 0;
}

int store_fetch(struct store *s, const char *remote, const char *const *branches, size_t n, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	AUTO(git_remote) *r = NULL;
	struct talk t = { .arena = a };
	git_fetch_options o;
	git_strarray specs = { arena_new_array(a, n, char *), n };

	if (remote_open(s, remote, false, &r, e))
		return -1;
	git_fetch_options_init(&o, GIT_FETCH_OPTIONS_VERSION);
	o.callbacks.credentials = remote_credential;
	o.callbacks.payload = &t;
	patience_listen(&o.callbacks);
	o.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
	o.proxy_opts.type = GIT_PROXY_AUTO;
	for (size_t i = 0; i < n; i++)
		specs.strings[i] = arena_printf(a, "+refs/heads/%s:refs/remotes/%s/%s", branches[i], remote,
						branches[i]);
	patience_begin(s, &t.patience);
	if (git_remote_fetch(r, &specs, &o, "lamassu: sync"))
		return remote_failed(&t, remote, e);
	patience_end(&t.patience);
	for (size_t i = 0; i < n; i++)
		if (forget_missing(s, r, remote, branches[i], e))
			return -1;
	return 0;
}

int store_merge_base(struct store *s, const struct oid *x, const struct oid *y, bool *ret_found, struct oid *ret,
		     struct err *e)
{
	git_oid a = oid_to_git(x), b = oid_to_git(y), base;
	int r = git_merge_base(&base, s->repo, &a, &b);

	if (r && r != GIT_ENOTFOUND)
		return err_git(e, ERR_IO, "common history");
	*ret_found = r == 0;
	if (r == 0)
		*ret = oid_of_git(&base);
	return 0;
}

/* The files that a person must look at, one name each. */
static char *conflicts_of(struct arena *a, git_index *ix)
{
	AUTO(git_index_conflict_iterator) *all = NULL;
	const git_index_entry *base, *ours, *theirs;
	char *list = arena_strdup(a, "");

	if (git_index_conflict_iterator_new(&all, ix))
		return list;
	while (git_index_conflict_next(&base, &ours, &theirs, all) == 0) {
		const git_index_entry *x = ours ? ours : theirs ? theirs : base;

		list = arena_printf(a, "%s%s%s", list, *list ? ", " : "", x->path);
	}
	return list;
}

int store_merge(struct store *s, struct arena *a, const struct oid *ours, const struct oid *theirs,
		char **ret_conflicts, struct oid *ret_tree,
		struct err *e)
{
	AUTO(git_commit) *x = NULL, *y = NULL;
	AUTO(git_index) *ix = NULL;
	git_oid o = oid_to_git(ours), t = oid_to_git(theirs), tree;

	if (git_commit_lookup(&x, s->repo, &o) || git_commit_lookup(&y, s->repo, &t) ||
	    git_merge_commits(&ix, s->repo, x, y, NULL))
		return err_git(e, ERR_IO, "merge");
	*ret_conflicts = git_index_has_conflicts(ix) ? conflicts_of(a, ix) : NULL;
	if (*ret_conflicts)
		return 0;
	if (git_index_write_tree_to(&tree, ix, s->repo))
		return err_git(e, ERR_IO, "merge");
	*ret_tree = oid_of_git(&tree);
	return 0;
}
