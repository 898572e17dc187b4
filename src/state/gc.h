#pragma once
#include "state/state.h"

/* Repacks the repository, with deltas, as `git gc` does; without git on the machine, joins all small packs. Other
 * commands go on meanwhile: the lock is not held. */
int state_gc(struct state *, struct err *) NODISCARD;
/* After a commit or a fetch: where a gc pays, git is started on it, in the background and one at a time, as `git gc
 * --auto` is. What goes wrong is a warning. */
void gc_auto(struct state *);
/* Has the repository so many packs that a gc pays? */
int state_gc_due(struct state *, bool *ret, struct err *) NODISCARD;
