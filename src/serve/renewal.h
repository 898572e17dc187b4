#pragma once
#include <event2/event.h>

#include "serve/link.h"
#include "serve/outfit.h"

/* The certificate that a listener issued for itself, while it listens: another one when a third of its life is left. */
struct renewal;

struct renewal_setup {
	struct event_base *base;
	struct ctx *ctx;
	const struct worker_setup *workers; /* what they have: service, repository, secrets */
	struct outfit *outfit;              /* gets the new one */
	void (*record)(void *arg, struct bytes shipped); /* to be committed; then renewal_recorded */
	void *arg;
};
struct renewal *renewal_new(struct arena *, const struct renewal_setup *);
void renewal_tick(struct renewal *); /* NULL is allowed */
/* how the commit went; true: the outfit is new */
bool renewal_recorded(struct renewal *, enum link_kind, struct bytes text);
void renewal_free(struct renewal *); /* likewise */
