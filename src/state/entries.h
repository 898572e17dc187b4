#pragma once
#include "state/store.h"

/* What a range of the ledger adds, entry by entry in the order of store_diff. */
struct entry_seen {
	const char *path;
	struct bytes text;
	const char *why; /* NULL, or why the text cannot be had: too large, or no file */
};
typedef int entries_fn(void *arg, struct arena *scratch, const struct entry_seen *, struct err *);

/* *ret_rewritten: an entry of old_tree is gone or has another content; the walk ends there with an error. old_tree NULL:
 * everything, which a second thread reads ahead: until the end only that thread uses the store. `scratch` lives for a few
 * calls. */
int entries_each(struct store *, const struct oid *old_tree, const struct oid *new_tree, entries_fn *, void *arg, bool *ret_rewritten,
		 struct err *) NODISCARD;
