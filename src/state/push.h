#pragma once
#include "state/store.h"

enum { PUSH_STEP = 500 << 20 }; /* bytes: what hosts take in one push */

/* Where a push of a branch is cut, so that each piece is of about `step` bytes at most: commits on its way from `there`
 * (what the remote has; NULL: nothing) to `tip`, the oldest first, without the tip. None when everything is small. */
int push_cuts(struct store *, struct arena *, const struct oid *there, const struct oid *tip, uint64_t step,
	      struct oid **ret, size_t *ret_n, struct err *) NODISCARD;
