/* Walks over commits: newest first, by the committer's time, and only as far as the caller goes. And what a tag
 * names. */
#include "state/git.h"

DEFINE_AUTO(git_object, git_object_free)
DEFINE_AUTO(git_revwalk, git_revwalk_free)

struct walk {
	git_revwalk *walk;
};

int walk_open(struct store *s, struct arena *a, const struct oid *tips, size_t ntips, const struct oid *hidden,
	      size_t nhidden,
	      struct walk **ret, struct err *e)
{
	AUTO(git_revwalk) *w = NULL;
	struct walk *made = arena_alloc(a, 1, sizeof(*made));

	if (git_revwalk_new(&w, s->repo))
		return err_git(e, ERR_IO, "history");
	for (size_t i = 0; i < ntips + nhidden; i++) {
		git_oid id = oid_to_git(i < ntips ? &tips[i] : &hidden[i - ntips]);

		if (i < ntips ? git_revwalk_push(w, &id) : git_revwalk_hide(w, &id))
			return err_git(e, ERR_NOT_FOUND, arena_printf(a, "commit %s", git_oid_tostr_s(&id)));
	}
	made->walk = w;
	w = NULL;
	*ret = made;
	return 0;
}

void walk_first_parents(struct walk *w)
{
	git_revwalk_simplify_first_parent(w->walk);
}

int walk_next(struct walk *w, bool *ret_more, struct oid *ret, struct err *e)
{
	git_oid id;
	int r = git_revwalk_next(&id, w->walk);

	if (r && r != GIT_ITEROVER)
		return err_git(e, ERR_NOT_FOUND, "history");
	*ret_more = r == 0;
	if (r == 0)
		*ret = oid_of_git(&id);
	return 0;
}

void walk_close(struct walk *w)
{
	if (!w)
		return;
	git_revwalk_free(w->walk);
	w->walk = NULL;
}

bool store_peel(struct store *s, const struct oid *id, struct oid *ret)
{
	AUTO(git_object) *named = NULL, *commit = NULL;
	git_oid o = oid_to_git(id);

	if (git_object_lookup(&named, s->repo, &o, GIT_OBJECT_ANY) ||
	    git_object_peel(&commit, named, GIT_OBJECT_COMMIT))
		return false;
	*ret = oid_of_git(git_object_id(commit));
	return true;
}
