/* What git itself would say: which committed files were changed and not committed yet, and how far branches are
 * apart. */
#include "state/git.h"

DEFINE_AUTO(git_status_list, git_status_list_free)

int store_uncommitted(struct store *s, struct arena *a, struct strv *ret, struct err *e)
{
	AUTO(git_status_list) *list = NULL;
	struct strv v = { .set = true };
	git_status_options o;

	*ret = v;
	if (!s->workdir)
		return 0;
	git_status_options_init(&o, GIT_STATUS_OPTIONS_VERSION);
	o.show = GIT_STATUS_SHOW_INDEX_AND_WORKDIR;
	o.flags = GIT_STATUS_OPT_EXCLUDE_SUBMODULES | GIT_STATUS_OPT_INCLUDE_UNTRACKED;
	if (git_status_list_new(&list, s->repo, &o))
		return err_git(e, ERR_IO, "work tree");
	for (size_t i = 0; i < git_status_list_entrycount(list); i++) {
		const git_status_entry *x = git_status_byindex(list, i);
		const git_diff_delta *d = x->index_to_workdir ? x->index_to_workdir : x->head_to_index;

		v.v = arena_grow(a, v.v, v.n, sizeof(*v.v));
		v.v[v.n++] = arena_strdup(a, d->new_file.path ? d->new_file.path : d->old_file.path);
	}
	*ret = v;
	return 0;
}

int store_apart(struct store *s, const struct oid *ours, const struct oid *theirs, int64_t *ret_ahead,
		int64_t *ret_behind,
		struct err *e)
{
	git_oid x = oid_to_git(ours), y = oid_to_git(theirs);
	size_t ahead, behind;

	if (git_graph_ahead_behind(&ahead, &behind, s->repo, &x, &y))
		return err_git(e, ERR_IO, "history");
	*ret_ahead = (int64_t)ahead;
	*ret_behind = (int64_t)behind;
	return 0;
}
