#pragma once
#include "state/state.h"

/* For small fleets: the newest certificates as files certs/<ca>/<serial>.pem in the work tree (`view: N` in lamassu.yaml; 0 is none).
 * Ignored by git and never read back. What goes wrong here is a warning: the ledger has everything. */
/* Shows the entries of a commit that was just made, and drops what is no longer among the newest N. */
void view_update(struct state *);
void view_rebuild(struct state *); /* writes the newest N again */
