#pragma once
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

/* The wire between a handler thread of a worker and the parent: one stream socket a thread, frames of a kind and a
 * text. The parent holds what must be decided in one place: who may work on which device now, how many may still be
 * issued, and the commits. */
enum link_kind {
	/* thread: "1" or "0" (counts towards the target), then keys, each ended by NUL. Waits for its turn. */
	LINK_CLAIM = 'C',
	LINK_RECORD = 'R', /* thread: a shipped transaction; answered when it is durable. Ends the claim. */
	LINK_RELEASE = 'X',/* thread: gives the claim up; no answer */
	LINK_DONE = 'D',   /* thread: an exchange for the summary; no answer */
	LINK_REFUSED = 'N',/* thread: a refusal, for those who watch; no answer */
	LINK_YES = 'Y',    /* parent: done */
	LINK_FULL = 'F',   /* parent: to a claim: the target is reached */
	LINK_ERROR = 'E'   /* parent: an error code in decimal, a space, the message */
};
enum { LINK_MAX = 8 << 20 };

struct link_frame {
	uint32_t n;  /* length of the text */
	uint8_t kind;
};
enum { LINK_HEAD = 5 }; /* bytes of a frame's head on the wire */

/* Both ends of so many links: all, or none. */
int link_pairs(int *ret_ours, int *ret_theirs, size_t n, struct err *) NODISCARD;
void link_close(const int *fds, size_t n);

void link_head(unsigned char head[LINK_HEAD], enum link_kind, size_t n);
/* false: over LINK_MAX */
bool link_parse(const unsigned char head[LINK_HEAD], enum link_kind *ret_kind, size_t *ret_n);

/* The thread's side, blocking. */
int link_send(int fd, enum link_kind, struct bytes text, struct err *) NODISCARD;
int link_receive(int fd, enum link_kind *ret_kind, struct buf *ret_text, struct err *) NODISCARD;

/* The text of LINK_ERROR, and what it says: always -1. */
void link_put_error(struct buf *, const struct err *);
int link_take_error(const struct buf *, struct err *) NODISCARD;
