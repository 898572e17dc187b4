#pragma once
#include "state/state.h"

/* Repacks the repository, with deltas, as `git gc` does; without git on the machine, joins all small packs. Other
 * commands go on meanwhile: the lock is not held. */
int state_gc(struct state *, struct err *) NODISCARD;
/* Has the repository so many packs that a gc pays? */
int state_gc_due(struct state *, bool *ret, struct err *) NODISCARD;
