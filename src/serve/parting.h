#pragma once
#include <event2/event.h>

#include "serve/peers.h"

/* Connections that have their last answer and whose other side may still be sending. */
struct partings;

struct partings *partings_new(struct event_base *, size_t most); /* at once: the oldest gives way */
/* Ends our side, and keeps a descriptor of its own of the socket, whose owner closes his. peer NULL: not counted. Where
 * this cannot be had the connection ends with its owner. */
void partings_add(struct partings *, int fd, struct peer *);
size_t partings_open(const struct partings *);
void partings_free(struct partings *);
