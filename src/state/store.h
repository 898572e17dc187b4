#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"

/* Objects and refs of the git repository, for the files of this folder only. git.c is the only user of libgit2. */
struct store;

struct oid { /* SHA-1 */
	unsigned char b[20];
};
enum obj_type { OBJ_COMMIT = 1, OBJ_TREE = 2, OBJ_BLOB = 3 };
enum { STORE_COMMIT_MAX = 1 << 20 };

static inline bool oid_equal(const struct oid *a, const struct oid *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}
char *oid_hex(struct arena *, const struct oid *);
int oid_parse(const char *hex, struct oid *ret) NODISCARD;

int store_open(struct arena *, const char *dir, struct store **ret, struct err *) NODISCARD;
void store_close(struct store *);
/* Lets go of all that was read: packs that others have joined since stay mapped, and open, as long as a handle knows
 * them. */
int store_reopen(struct store *, struct err *) NODISCARD;
/* --- before there is a repository --- */
/* an empty one with a work tree; its branch is git's init.defaultBranch, or main */
int store_make(const char *dir, struct err *) NODISCARD;
char *store_above(struct arena *, const char *dir); /* the repository that an existing folder lies in, or NULL;
								 looks no higher than GIT_CEILING_DIRECTORIES */
char *store_user_config(struct arena *, const char *key); /* of the user and the system; NULL when absent */

int store_remotes(struct store *, struct arena *, struct strv *ret, struct err *) NODISCARD; /* their names */
/* Makes a plain `git push` send the ledger beside the current branch, for every remote that has no push setting of
 * its own. */
int store_set_push(struct store *, const char *tmp_dir, const char *ledger_branch, struct err *) NODISCARD;
const char *store_git_dir(const struct store *);  /* the common dir */
/* of this work tree: HEAD and index; the common dir but for linked work trees */
const char *store_own_dir(const struct store *);
const char *store_workdir(const struct store *);  /* NULL: bare */
/* adds the rights that core.sharedRepository gives a new file or folder */
void store_share(const struct store *, int fd);
bool store_is_shared(const struct store *);

/* The object's content (arena), at most `max` bytes; looks for new packs once when it is missing. */
int store_read(struct store *, struct arena *, const struct oid *, enum obj_type, size_t max, struct bytes *ret,
	       struct err *) NODISCARD;
int store_size(struct store *, const struct oid *, size_t *ret, struct err *) NODISCARD; /* of the content */
int store_ref(struct store *, const char *ref, bool *ret_found, struct oid *ret, struct err *) NODISCARD;
int store_commit_tree(struct store *, const struct oid *commit, struct oid *ret, struct err *) NODISCARD;
/* of the committer */
int store_commit_time(struct store *, const struct oid *commit, int64_t *ret, struct err *) NODISCARD;
/* A file or folder by path below a tree; symbolic links and submodules count as absent. */
int store_lookup(struct store *, const struct oid *tree, const char *path, bool *ret_found, enum obj_type *ret_type,
		 struct oid *ret, struct err *) NODISCARD;
bool store_is_ancestor(struct store *, const struct oid *older, const struct oid *newer); /* or the same */
/* "refs/heads/…"; NULL: detached */
int store_head(struct store *, struct arena *, char **ret_branch, struct err *) NODISCARD;
/* The tracking ref of a remote's branch ("refs/remotes/origin/ledger"): of the remote that the current branch
 * follows, of origin, or of any; NULL when none was fetched. */
int store_remote_branch(struct store *, struct arena *, const char *branch, char **ret_ref, struct err *) NODISCARD;
const char *store_busy(struct store *); /* "merge", "rebase" … that the user is in the middle of; NULL: none */
/* git's configuration as it was when the store was opened or last set; NULL when absent or empty. */
const char *store_config(struct store *, const char *key);
/* in the repository's own file */
int store_config_set(struct store *, const char *key, const char *value, struct err *) NODISCARD;

/* --- git_walk.c: commits, newest first by the committer's time, without those that `hidden` reaches --- */
struct walk;
int walk_open(struct store *, struct arena *, const struct oid *tips, size_t ntips, const struct oid *hidden,
	      size_t nhidden, struct walk **ret, struct err *) NODISCARD;
void walk_first_parents(struct walk *); /* before the first step: only these are followed */
int walk_next(struct walk *, bool *ret_more, struct oid *ret, struct err *) NODISCARD;
void walk_close(struct walk *); /* NULL is allowed */
/* a commit, or a tag of one; false: neither */
bool store_peel(struct store *, const struct oid *, struct oid *ret_commit);
static inline void walk_close_scoped(struct walk **w)
{
	walk_close(*w);
}
#define SCOPED_WALK __attribute__((cleanup(walk_close_scoped))) struct walk

/* Calls cb for each blob below new_tree (NULL: nothing) that old_tree (NULL: empty) lacks or has with other content,
 * and, with gone = true, for each that only old_tree has. Equal subtrees are not read; symbolic links and submodules
 * are left out. Order: git's, folders as if they ended in '/'. */
typedef int store_diff_fn(void *arg, const char *path, const struct oid *, bool gone, struct err *);
int store_diff(struct store *, const struct oid *old_tree, const struct oid *new_tree, store_diff_fn *, void *arg,
	       struct err *) NODISCARD;

/* The change of one file as `git diff` prints it; old or new is NULL when the file is made or removed. */
int store_patch(struct arena *, const char *path, const struct bytes *old, const struct bytes *new, char **ret,
		struct err *) NODISCARD;

/* --- git_remote.c, git_push.c --- */
/* Fetches branches into refs/remotes/<remote>/; one that the remote does not have is passed over. */
int store_fetch(struct store *, const char *remote, const char *const *branches, size_t n, struct err *) NODISCARD;
/* *ret_rejected says why the remote did not take a branch (it moved, a hook said no); NULL when all is well. */
int store_push(struct store *, struct arena *, const char *remote, const char *const *branches, size_t n,
	       char **ret_rejected,
	       struct err *) NODISCARD;
/* The same for one branch, which becomes this commit there; one that it has here. */
int store_push_part(struct store *, struct arena *, const char *remote, const char *branch, const struct oid *,
		    char **ret_rejected, struct err *) NODISCARD;
int store_merge_base(struct store *, const struct oid *, const struct oid *, bool *ret_found, struct oid *ret,
		     struct err *) NODISCARD;
/* A merge as git does it, without a work tree. *ret_conflicts lists the files that both changed; else NULL and the
 * tree is written. */
int store_merge(struct store *, struct arena *, const struct oid *ours, const struct oid *theirs, char **ret_conflicts,
		struct oid *ret_tree, struct err *) NODISCARD;

/* --- git_status.c --- */
/* Files of the work tree, new ones too, that are not as they are committed. */
int store_uncommitted(struct store *, struct arena *, struct strv *ret, struct err *) NODISCARD;
/* How many commits each of two has that the other lacks. */
int store_apart(struct store *, const struct oid *ours, const struct oid *theirs, int64_t *ret_ahead,
		int64_t *ret_behind, struct err *) NODISCARD;
