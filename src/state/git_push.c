/* Pushing through libgit2. Branches are never forced, and what was taken is noted in refs/remotes. Into a repository on
 * this machine libgit2 looks first and writes later, so that of two clones that push at once one would take back what
 * the other has sent: there a pack is written, and the branch moves by compare-and-swap, under git's own lock. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "state/git.h"

DEFINE_AUTO(git_packbuilder, git_packbuilder_free)
DEFINE_AUTO(git_revwalk, git_revwalk_free)

struct piece {
	const char *from;   /* a ref here */
	const char *branch; /* there */
	git_oid at;
};

struct pushing {
	struct store *store;
	struct arena *arena;
	const char *remote;
	struct piece *v;
	size_t n;
	struct talk talk;
};

static int note_rejection(const char *ref, const char *status, void *arg)
{
	struct talk *t = arg;

	if (status && !t->rejected)
		t->rejected = arena_printf(t->arena, "%s: %s", ref, status);
	return 0;
}

static void moved(struct pushing *p)
{
	if (!p->talk.rejected)
		p->talk.rejected = arena_strdup(p->arena, "the remote has moved");
}

/* --- a repository on this machine --- */

static char *path_of_url(struct arena *a, const char *url)
{
	char *path = arena_strdup(a, url), *to = path;
	unsigned octet;

	if (!text_has_prefix(url, "file://"))
		return path;
	for (const char *c = url + strlen("file://"); *c; c++)
		if (*c == '%' && sscanf(c + 1, "%2x", &octet) == 1 && octet && c[1] && c[2]) {
			*to++ = (char)octet;
			c += 2;
		} else {
			*to++ = *c;
		}
	*to = '\0';
	return path;
}

/* The objects of a branch that a repository lacks, which has `old` of it already (NULL: nothing). */
static int copy_objects(struct pushing *p, git_repository *there, const git_oid *at, const git_oid *old)
{
	AUTO(git_packbuilder) *pack = NULL;
	AUTO(git_revwalk) *walk = NULL;
	char *dir = fs_join(p->arena, git_repository_commondir(there), "objects/pack");

	return git_packbuilder_new(&pack, p->store->repo) || git_revwalk_new(&walk, p->store->repo) ||
	       git_revwalk_push(walk, at) ||
	       (old && git_revwalk_hide(walk, old)) || git_packbuilder_insert_walk(pack, walk) ||
	       git_packbuilder_write(pack, dir, 0, NULL, NULL);
}

static int move_branch(struct pushing *p, git_repository *there, const struct piece *v, struct err *e)
{
	AUTO(git_reference) *made = NULL;
	char *ref = arena_printf(p->arena, "refs/heads/%s", v->branch);
	git_oid old;
	int r = git_reference_name_to_id(&old, there, ref);
	bool found = r == 0;

	if (r && r != GIT_ENOTFOUND)
		return err_git(e, ERR_REMOTE, p->remote);
	if (found && git_oid_equal(&old, &v->at))
		return 0;
	if (found && git_graph_descendant_of(p->store->repo, &v->at, &old) != 1) { /* or it is not even here */
		moved(p);
		return 0;
	}
	if (copy_objects(p, there, &v->at, found ? &old : NULL))
		return err_git(e, ERR_REMOTE, p->remote);
	r = found ? git_reference_create_matching(&made, there, ref, &v->at, true, &old, "push")
		  : git_reference_create(&made, there, ref, &v->at, false, "push");
	if (r == GIT_EMODIFIED || r == GIT_EEXISTS || r == GIT_ELOCKED)
		moved(p);
	else if (r)
		return err_git(e, ERR_REMOTE, p->remote);
	return 0;
}

static int give(struct pushing *p, git_repository *there, struct err *e)
{
	if (!git_repository_is_bare(there))
		return err_set(e, ERR_REMOTE,
			       "%s: has a work tree, which a push would leave behind: use a bare repository",
			       p->remote);
	for (size_t i = 0; i < p->n && !p->talk.rejected; i++)
		if (move_branch(p, there, &p->v[i], e))
			return -1;
	return 0;
}

/* --- anywhere --- */

static int send(struct pushing *p, git_remote *r, struct err *e)
{
	git_strarray specs = { arena_new_array(p->arena, p->n, char *), p->n };
	git_push_options o;
	int code;

	for (size_t i = 0; i < p->n; i++)
		specs.strings[i] = arena_printf(p->arena, "%s:refs/heads/%s", p->v[i].from, p->v[i].branch);
	git_push_options_init(&o, GIT_PUSH_OPTIONS_VERSION);
	o.callbacks.credentials = remote_credential;
	o.callbacks.push_update_reference = note_rejection;
	o.callbacks.payload = &p->talk;
	patience_listen(&o.callbacks);
	o.proxy_opts.type = GIT_PROXY_AUTO;
	patience_begin(p->store, &p->talk.patience);
	code = git_remote_push(r, &specs, &o);
	if (code == GIT_ENONFASTFORWARD)
		moved(p);
	if (code && !p->talk.rejected)
		return remote_failed(&p->talk, p->remote, e);
	patience_end(&p->talk.patience);
	return 0;
}

static int note_there(struct pushing *p, struct err *e)
{
	for (size_t i = 0; i < p->n; i++) {
		AUTO(git_reference) *made = NULL;
		char *ref = arena_printf(p->arena, "refs/remotes/%s/%s", p->remote, p->v[i].branch);

		if (git_reference_create(&made, p->store->repo, ref, &p->v[i].at, true, "push"))
			return err_git(e, ERR_IO, ref);
	}
	return 0;
}

static int push(struct pushing *p, char **ret_rejected, struct err *e)
{
	AUTO(git_repository) *there = NULL;
	AUTO(git_remote) *r = NULL;
	const char *path;

	p->talk.arena = p->arena;
	for (size_t i = 0; i < p->n; i++)
		if (git_reference_name_to_id(&p->v[i].at, p->store->repo, p->v[i].from))
			return err_git(e, ERR_IO, p->v[i].from);
	if (remote_open(p->store, p->remote, true, &r, e))
		return -1;
	path = path_of_url(p->arena, git_remote_url(r));
	if (fs_is_dir(path) && git_repository_open(&there, path) == 0 ? give(p, there, e) : send(p, r, e))
		return -1;
	*ret_rejected = p->talk.rejected;
	return p->talk.rejected ? 0 : note_there(p, e);
}

int store_push(struct store *s, struct arena *a, const char *remote, const char *const *branches, size_t n,
	       char **ret_rejected, struct err *e)
{
	struct pushing p = { .store = s, .arena = a, .remote = remote, .v = arena_new_array(a, n, struct piece),
			     .n = n };

	for (size_t i = 0; i < n; i++)
		p.v[i] = (struct piece){ .from = arena_printf(a, "refs/heads/%s", branches[i]), .branch = branches[i] };
	return push(&p, ret_rejected, e);
}

int store_push_part(struct store *s, struct arena *a, const char *remote, const char *branch, const struct oid *at,
		    char **ret_rejected, struct err *e)
{
	/* libgit2 pushes what has a name. */
	char *ref = arena_printf(a, "refs/lamassu/push-%d", (int)getpid());
	struct piece one = { .from = ref, .branch = branch };
	struct pushing p = { .store = s, .arena = a, .remote = remote, .v = &one, .n = 1 };
	AUTO(git_reference) *named = NULL;
	git_oid id = oid_to_git(at);
	int r;

	if (git_reference_create(&named, s->repo, ref, &id, true, NULL))
		return err_git(e, ERR_IO, ref);
	r = push(&p, ret_rejected, e);
	git_reference_delete(named);
	return r;
}
