/* Growing buffers with a maximum. Never writes past the maximum, never leaves old content behind when it moves or ends:
 * buffers carry keys and passphrases too. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

/* Makes room for n more bytes and a NUL; false when that would pass the maximum. */
static bool reserve(struct buf *b, size_t n)
{
	size_t need, cap;
	char *p;

	if (b->over || n > b->max - b->n || __builtin_add_overflow(b->n + 1, n, &need)) {
		b->over = true;
		return false;
	}
	if (need <= b->cap)
		return true;
	cap = b->cap > need / 2 ? 2 * b->cap : need;
	if (cap < 64)
		cap = 64;
	/* Not realloc: it would leave an unwiped copy behind. */
	p = malloc(cap);
	if (!p)
		out_of_memory();
	if (b->p) {
		memcpy(p, b->p, b->n);
		explicit_bzero(b->p, b->cap);
		free(b->p);
	}
	b->p = p;
	b->cap = cap;
	return true;
}

void buf_release(struct buf *b)
{
	if (b->p) {
		explicit_bzero(b->p, b->cap);
		free(b->p);
	}
	*b = buf_init(b->max);
}

void buf_put(struct buf *b, const void *p, size_t n)
{
	if (!reserve(b, n))
		return;
	if (n)
		memcpy(b->p + b->n, p, n);
	b->n += n;
	b->p[b->n] = '\0';
}

void buf_puts(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void buf_putc(struct buf *b, char c)
{
	buf_put(b, &c, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->over = true;
		return;
	}
	if (!reserve(b, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->n += (size_t)n;
}

void buf_put_run(struct buf *b, struct bytes run)
{
	uint32_t n = (uint32_t)run.n;

	if (run.n > UINT32_MAX) {
		b->over = true;
		return;
	}
	buf_put(b, &n, sizeof(n));
	buf_put(b, run.p, run.n);
}

bool bytes_take_run(struct bytes *from, struct bytes *ret)
{
	uint32_t n;

	if (from->n < sizeof(n))
		return false;
	memcpy(&n, from->p, sizeof(n));
	if (n > from->n - sizeof(n))
		return false;
	*ret = (struct bytes){ from->p + sizeof(n), n };
	*from = (struct bytes){ ret->p + n, from->n - sizeof(n) - n };
	return true;
}

void buf_clear(struct buf *b)
{
	b->n = 0;
	b->over = false;
	if (b->p)
		b->p[0] = '\0';
}

const char *buf_str(const struct buf *b)
{
	return b->p ? b->p : "";
}
