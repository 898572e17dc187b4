/* What a dry run shows: one file's change as git prints it. */
#include "state/git.h"

int store_patch(struct arena *a, const char *path, const struct bytes *old, const struct bytes *new, char **ret,
		struct err *e)
{
	git_diff_options opts;
	git_buf text = { 0 };
	git_patch *p = NULL;
	int r = git_diff_options_init(&opts, GIT_DIFF_OPTIONS_VERSION);

	r = r ? r : git_patch_from_buffers(&p, old ? old->p : NULL, old ? old->n : 0, path, new ? new->p : NULL,
					   new ? new->n : 0, path, &opts);
	r = r ? r : git_patch_to_buf(&text, p);
	if (r == 0)
		*ret = arena_strndup(a, text.ptr ? text.ptr : "", text.size);
	git_buf_dispose(&text);
	git_patch_free(p);
	return r ? err_git(e, ERR_IO, path) : 0;
}
