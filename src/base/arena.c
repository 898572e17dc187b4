/* Bump allocation in blocks of 2 KiB, growing to 64, all zeroed, wiped when the arena ends: a secret never outlives the
 * command that used it. No caller ever sees a failed allocation. With ARENA_EACH_MALLOC every allocation is a block of
 * its own of exactly its size, so that the address sanitizer sees each overrun. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef ARENA_EACH_MALLOC
enum { FIRST = 0, BLOCK = 0, ALIGN = 1 };
#else
enum { FIRST = 2 << 10, BLOCK = 64 << 10, ALIGN = 16 };
#endif
enum { HUGE_PAGE = 2 << 20 };

struct block {
	struct block *next;
	size_t cap, used;
	_Alignas(16) unsigned char data[];
};

struct arena {
	struct block *head; /* the only one with room worth using */
};

void out_of_memory(void)
{
	static const char msg[] = "lamassu: out of memory\n";

	/* _exit, because handlers of exit() would run beside other threads and may allocate. */
	if (write(STDERR_FILENO, msg, sizeof(msg) - 1) < 0)
		_exit(1);
	_exit(1);
}

struct arena *arena_new(void)
{
	struct arena *a = calloc(1, sizeof(*a));

	if (!a)
		out_of_memory();
	return a;
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	while (a->head) {
		struct block *b = a->head;

		a->head = b->next;
		explicit_bzero(b->data, b->used);
		free(b);
	}
	free(a);
}

void arena_adopt(struct arena *a, struct arena *child)
{
	struct block **last = &child->head;

	while (*last)
		last = &(*last)->next;
	/* Behind our head, which keeps being filled. */
	if (a->head) {
		*last = a->head->next;
		a->head->next = child->head;
	} else {
		a->head = child->head;
	}
	free(child);
}

/* Most arenas live in one small function: each starts small, because zeroing costs more than allocating. */
static size_t next_cap(const struct arena *a)
{
	size_t next = a->head ? 4 * a->head->cap : FIRST;

	return next > BLOCK ? BLOCK : next;
}

/* A hint for the few large ones (CRLs): the kernel then gives 2 MiB at a time instead of 4 KiB. */
static void prefer_huge(unsigned char *p, size_t n)
{
	size_t skip = (HUGE_PAGE - (uintptr_t)p % HUGE_PAGE) % HUGE_PAGE;

	if (n >= 2 * HUGE_PAGE && madvise(p + skip, (n - skip) / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE) != 0)
		return; /* small pages do as well */
}

/* A new block with room for `want`; a large one goes behind the head so that the head's rest is not lost. */
static struct block *add_block(struct arena *a, size_t want)
{
	size_t usual = next_cap(a), cap = want > usual / 4 ? want : usual;
	struct block *b = calloc(1, sizeof(*b) + cap);

	if (!b)
		out_of_memory();
	prefer_huge(b->data, cap);
	b->cap = cap;
	if (cap == want && a->head) {
		b->next = a->head->next;
		a->head->next = b;
	} else {
		b->next = a->head;
		a->head = b;
	}
	return b;
}

void *arena_alloc(struct arena *a, size_t count, size_t size)
{
	struct block *b = a->head;
	size_t want;
	void *p;

	if (__builtin_mul_overflow(count, size, &want) || want > PTRDIFF_MAX - BLOCK)
		out_of_memory();
	want = (want + (ALIGN - 1)) & ~(size_t)(ALIGN - 1);
	if (BLOCK == 0 || !b || b->cap - b->used < want)
		b = add_block(a, want);
	p = b->data + b->used;
	b->used += want;
	return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return s ? arena_memdup(a, s, strlen(s) + 1) : NULL;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *p;

	if (!s)
		return NULL;
	n = strnlen(s, n);
	p = arena_alloc(a, 1, n + 1);
	memcpy(p, s, n);
	return p;
}

void *arena_memdup(struct arena *a, const void *p, size_t n)
{
	void *copy = arena_alloc(a, 1, n);

	if (n)
		memcpy(copy, p, n);
	return copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0) /* EOVERFLOW: a text of 2 GiB */
		out_of_memory();
	s = arena_alloc(a, 1, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(s, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return s;
}

void *arena_grow(struct arena *a, void *old, size_t n, size_t size)
{
	void *p;

	if (n & (n - 1)) /* not a power of two: the array has room */
		return old;
	if (n > SIZE_MAX / 2)
		out_of_memory();
	p = arena_alloc(a, n ? 2 * n : 1, size);
	if (n)
		memcpy(p, old, n * size);
	return p;
}
