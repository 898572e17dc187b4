#pragma once
#include "state/store.h"

/* The user's work tree and git's index, kept in step with a commit of ours. Open takes git's index.lock, before the
 * branch moves; apply writes the files and replaces the index; close gives up what is still held. */
struct worktree;

struct wt_file {
	const char *path;
	bool had, gone;        /* in the commit before, in the commit after */
	unsigned mode;         /* in the commit after */
	struct oid old, new;
};

int worktree_open(struct arena *, struct store *, const char *tmp_dir, const char *op_id, int64_t timeout_ms,
		  struct worktree **ret,
		  struct err *) NODISCARD;
/* Registers a file. `strict`: an edit that is not committed is ERR_CONFLICT; else the edit stays as it is. */
int worktree_add(struct worktree *, const struct wt_file *, bool strict, struct err *) NODISCARD;
/* Registers the files that differ between two trees (old NULL: nothing was there) and that the tree `still` has as
 * the new one has them. Strict refuses symbolic links and submodules; else they are left to git. */
int worktree_add_diff(struct worktree *, const struct oid *old_tree, const struct oid *new_tree,
		      const struct oid *still, bool strict,
		      struct err *) NODISCARD;
/* Removes the temporary files of a killed apply. */
void worktree_sweep(struct worktree *);
int worktree_apply(struct worktree *, struct err *) NODISCARD;
void worktree_close(struct worktree *); /* NULL is allowed */

/* Does the file at `path` of the work tree have this content? Symbolic links are never followed. */
enum wt_state { WT_ABSENT, WT_SAME, WT_OTHER };
enum wt_state worktree_compare(struct store *, const char *path, const struct oid *);
