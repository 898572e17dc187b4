#pragma once
#include "state/store.h"

/* What a range of the ledger adds, entry by entry in the order of store_diff. */
struct entry_seen {
	const char *path;
	struct bytes text;
	const char *why; /* NULL, or why the text cannot be had: too large, or no file */
	void *prepared;  /* what the caller made of it */
};
typedef void *entries_prepare_fn(struct arena *, const char *path, struct bytes text);
typedef int entries_fn(void *arg, const struct entry_seen *, struct err *);

/* *ret_rewritten: an entry of old_tree is gone or has another content; the walk ends there with an error. old_tree
 * NULL: everything, which a second thread reads and prepares ahead: until the end only that thread uses the store.
 * Path, text and what is prepared live until fn returns. */
int entries_each(struct store *, const struct oid *old_tree, const struct oid *new_tree, entries_prepare_fn *,
		 entries_fn *, void *arg, bool *ret_rewritten, struct err *) NODISCARD;
