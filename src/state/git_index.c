/* git's index through libgit2, on files of our choice. Entries other than the ones that are set or removed stay as
 * they are, so whatever the user has staged survives. */
#include "state/git_index.h"

#include "state/git.h"

struct gitindex {
	git_index *ix;
};

int gitindex_open(struct arena *a, const char *file, struct gitindex **ret, struct err *e)
{
	struct gitindex *g = arena_alloc(a, 1, sizeof(*g));

	if (git_index_open(&g->ix, file))
		return err_git(e, ERR_UNSUPPORTED, "git's index");
	*ret = g;
	return 0;
}

void gitindex_close(struct gitindex *g)
{
	if (g)
		git_index_free(g->ix);
}

bool gitindex_get(struct gitindex *g, const char *path, struct oid *ret_oid, struct stat *ret_stat)
{
	const git_index_entry *x = git_index_get_bypath(g->ix, path, GIT_INDEX_STAGE_NORMAL);

	if (!x)
		return false;
	*ret_oid = oid_of_git(&x->id);
	*ret_stat = (struct stat){ .st_size = x->file_size };
	ret_stat->st_mtim.tv_sec = x->mtime.seconds;
	ret_stat->st_mtim.tv_nsec = x->mtime.nanoseconds;
	return true;
}

static git_index_time time_of(struct timespec t)
{
	return (git_index_time){ (int32_t)t.tv_sec, (uint32_t)t.tv_nsec };
}

int gitindex_set(struct gitindex *g, const char *path, const struct oid *o, unsigned mode, const struct stat *st,
		 struct err *e)
{
	/* git keeps the low 32 bits of each, and so must whoever wants git to see no change. */
	git_index_entry x = {
		.ctime = time_of(st->st_ctim),
		.mtime = time_of(st->st_mtim),
		.dev = (uint32_t)st->st_dev,
		.ino = (uint32_t)st->st_ino,
		.mode = mode & 0100 ? GIT_FILEMODE_BLOB_EXECUTABLE : GIT_FILEMODE_BLOB,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.file_size = (uint32_t)st->st_size,
		.id = oid_to_git(o),
		.path = path,
	};

	return git_index_add(g->ix, &x) ? err_git(e, ERR_IO, path) : 0;
}

int gitindex_remove(struct gitindex *g, const char *path, struct err *e)
{
	int r = git_index_remove(g->ix, path, GIT_INDEX_STAGE_NORMAL);

	return r && r != GIT_ENOTFOUND ? err_git(e, ERR_IO, path) : 0;
}

int gitindex_write(struct gitindex *g, struct err *e)
{
	return git_index_write(g->ix) ? err_git(e, ERR_IO, "git's index") : 0;
}
