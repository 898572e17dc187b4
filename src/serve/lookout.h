#pragma once
#include "state/state.h"

/* Where the repository's branches are, for the event thread, which must not wait: looked at anew at most each
 * LOOK_EVERY_MS. */
enum { LOOK_EVERY_MS = 10 };
struct lookout;

struct lookout *lookout_new(const char *dir);
/* NULL: cannot be read at the moment; handler threads say why. */
const struct state_at *lookout_now(struct lookout *);
