#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/auto.h"
#include "base/bytes.h"

/* The only string builder: text or bytes that grow up to a maximum given at the start. What would pass the maximum is
 * dropped and `over` is set; the owner checks once, at the end. The content is always followed by a NUL that is not
 * counted. Released (and wiped) by buf_release, or declared as SCOPED_BUF. */
struct buf {
	char *p;
	size_t n, cap, max;
	bool over;
};

enum { BUF_TEXT = 1 << 20, BUF_BIG = 1 << 30 }; /* usual maxima, in bytes */

static inline struct buf buf_init(size_t max)
{
	return (struct buf){ .max = max };
}
void buf_release(struct buf *);
#define SCOPED_BUF __attribute__((cleanup(buf_release))) struct buf

void buf_put(struct buf *, const void *, size_t n);
void buf_puts(struct buf *, const char *);
void buf_putc(struct buf *, char);
void buf_printf(struct buf *, const char *fmt, ...) PRINTF(2, 3);
/* its length in 32 bits, then it: for processes of one machine that talk */
void buf_put_run(struct buf *, struct bytes);
/* the first one, which stays where it is; false: none is left, or cut off */
bool bytes_take_run(struct bytes *from, struct bytes *ret);
void buf_clear(struct buf *);            /* empties, keeps the memory */
const char *buf_str(const struct buf *); /* never NULL; valid until the next put */
static inline struct bytes buf_bytes(const struct buf *b)
{
	return (struct bytes){ (const unsigned char *)b->p, b->n };
}
