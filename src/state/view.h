#pragma once
#include "state/state.h"

/* For small fleets: the newest certificates as files certs/<ca>/<serial>.pem in the work tree (`view: N` in
 * lamassu.yaml; 0 is none). Ignored by git and never read back. What goes wrong here is a warning: the ledger has
 * everything. */
/* certificates of this transaction that will be shown; 0 when there is no view */
int64_t view_pending(const struct state *);
/* After the commit of so many: shows them, and drops what is no longer among the newest N. */
void view_update(struct state *, int64_t added);
void view_rebuild(struct state *); /* writes the newest N again */
