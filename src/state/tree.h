#pragma once
#include "base/buf.h"
#include "state/pack.h"
#include "state/store.h"

/* Trees as git stores them: "MODE NAME\0" and 20 bytes of id, sorted as if folders ended in '/'. */
enum { TREE_MAX = 64 << 20, TREE_DEPTH = 32, MODE_DIR = 040000, MODE_FILE = 0100644 };

struct tree_entry {
	const char *name; /* inside the tree's bytes, ends with NUL */
	size_t n;
	unsigned mode;
	struct oid oid;
};
/* The next entry of `rest`, which it shortens; *ret_more is false at the end. */
int tree_next(struct bytes *rest, bool *ret_more, struct tree_entry *ret, struct err *) NODISCARD;
int tree_order(const struct tree_entry *, const struct tree_entry *); /* as memcmp */
void tree_put(struct buf *, const struct tree_entry *);
static inline bool mode_is_file(unsigned mode)
{
	return (mode & 0170000) == 0100000;
}
int tree_read(struct store *, struct arena *, const struct oid *, struct bytes *ret, struct err *) NODISCARD;
/* The entry at a path of any kind, symbolic links and submodules too. */
int tree_find(struct store *, const struct oid *tree, const char *path, bool *ret_found, struct tree_entry *ret,
	      struct err *) NODISCARD;

/* As store_diff, for entries of every kind but folders; a change of mode counts. old or new is NULL where that tree has
 * none. */
typedef int tree_diff_fn(void *arg, const char *path, const struct tree_entry *old, const struct tree_entry *new,
			 struct err *);
int tree_diff(struct store *, const struct oid *old_tree, const struct oid *new_tree, tree_diff_fn *, void *arg,
	      struct err *) NODISCARD;

/* The union of two trees that grew apart from `base` (NULL: empty) by adding entries only. ERR_CONFLICT names an
 * entry that either side changed or removed, or that both added with different content. *ret is one of the two where
 * it has everything. */
int tree_union(struct store *, struct pack *, const struct oid *base, const struct oid *ours, const struct oid *theirs,
	       struct oid *ret,
	       struct err *) NODISCARD;

struct splice { /* one file that changes */
	const char *path;
	struct oid oid;
	bool gone;
};
/* Writes the trees that change into the pack. `base` may be NULL; the list is sorted in place. *ret_empty tells that
 * nothing is left. Modes of files that were there stay. */
int tree_splice(struct store *, struct pack *, const struct oid *base, struct splice *, size_t n, bool *ret_empty,
		struct oid *ret,
		struct err *) NODISCARD;
