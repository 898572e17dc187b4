/* Pushing through libgit2. Branches are never forced, and what was taken is noted in refs/remotes. Into a repository on this
 * machine libgit2 looks first and writes later, so that of two clones that push at once one would take back what the other has
 * sent: there the objects come under a name of their own, and the branch moves by compare-and-swap, under git's own lock. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "state/git.h"

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
	git_repository *there; /* NULL: not on this machine */
	char *incoming;        /* the folder of refs that the objects come under there */
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

static int open_there(struct pushing *p, git_remote *r, struct err *e)
{
	const char *path = path_of_url(p->arena, git_remote_url(r));
	unsigned long long x;

	if (!fs_is_dir(path) || git_repository_open(&p->there, path)) /* libgit2 says why, in a moment */
		return 0;
	if (getrandom(&x, sizeof(x), 0) != sizeof(x))
		return err_sys(e, "random numbers");
	p->incoming = arena_printf(p->arena, "refs/lamassu/incoming-%016llx", x);
	return 0;
}

static int move_branch(struct pushing *p, const struct piece *v, struct err *e)
{
	AUTO(git_reference) *made = NULL;
	char *ref = arena_printf(p->arena, "refs/heads/%s", v->branch);
	git_oid old;
	int r = git_reference_name_to_id(&old, p->there, ref);

	if (r == GIT_ENOTFOUND) {
		r = git_reference_create(&made, p->there, ref, &v->at, false, "push");
	} else if (r == 0 && !git_oid_equal(&old, &v->at)) {
		if (git_graph_descendant_of(p->there, &v->at, &old) != 1)
			r = GIT_EMODIFIED;
		else
			r = git_reference_create_matching(&made, p->there, ref, &v->at, true, &old, "push");
	}
	if (r == GIT_EMODIFIED || r == GIT_EEXISTS || r == GIT_ELOCKED)
		moved(p);
	else if (r)
		return err_git(e, ERR_REMOTE, p->remote);
	return 0;
}

static void drop_incoming(struct pushing *p)
{
	for (size_t i = 0; i < p->n; i++)
		git_reference_remove(p->there, arena_printf(p->arena, "%s/%s", p->incoming, p->v[i].branch));
}

/* --- anywhere --- */

static int send(struct pushing *p, git_remote *r, struct err *e)
{
	git_strarray specs = { arena_new_array(p->arena, p->n, char *), p->n };
	git_push_options o;
	int code;

	for (size_t i = 0; i < p->n; i++)
		specs.strings[i] = arena_printf(p->arena, "%s:%s/%s", p->v[i].from, p->there ? p->incoming : "refs/heads",
						p->v[i].branch);
	git_push_options_init(&o, GIT_PUSH_OPTIONS_VERSION);
	o.callbacks.credentials = remote_credential;
	o.callbacks.push_update_reference = note_rejection;
	o.callbacks.payload = &p->talk;
	o.proxy_opts.type = GIT_PROXY_AUTO;
	code = git_remote_push(r, &specs, &o);
	if (code == GIT_ENONFASTFORWARD)
		moved(p);
	if (code && !p->talk.rejected)
		return err_git(e, ERR_REMOTE, p->remote);
	for (size_t i = 0; p->there && i < p->n && !p->talk.rejected; i++)
		if (move_branch(p, &p->v[i], e))
			return -1;
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
	AUTO(git_remote) *r = NULL;
	int rc = -1;

	p->talk.arena = p->arena;
	for (size_t i = 0; i < p->n; i++)
		if (git_reference_name_to_id(&p->v[i].at, p->store->repo, p->v[i].from))
			return err_git(e, ERR_IO, p->v[i].from);
	if (remote_open(p->store, p->remote, true, &r, e) == 0 && open_there(p, r, e) == 0)
		rc = send(p, r, e);
	if (p->there)
		drop_incoming(p);
	git_repository_free(p->there);
	if (rc == 0 && !p->talk.rejected)
		rc = note_there(p, e);
	*ret_rejected = p->talk.rejected;
	return rc;
}

int store_push(struct store *s, struct arena *a, const char *remote, const char *const *branches, size_t n, char **ret_rejected,
	       struct err *e)
{
	struct pushing p = { .store = s, .arena = a, .remote = remote, .v = arena_new_array(a, n, struct piece), .n = n };

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
