#pragma once
#include <stddef.h>

#include "base/auto.h"

/* Memory that lives as long as a command or a request. Everything we allocate ourselves comes from one; nothing in it
 * is freed by hand, and all of it is wiped on release. Allocation never fails: out of memory ends the process. */
struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *); /* wipes, then releases; NULL is allowed */
void arena_adopt(struct arena *, struct arena *child); /* what `child` holds lives on in the first; child is gone */
_Noreturn void out_of_memory(void); /* says so and ends the process with status 1 */

void *arena_alloc(struct arena *, size_t count, size_t size); /* zeroed, aligned to 16; overflow ends the process */
char *arena_strdup(struct arena *, const char *);             /* NULL gives NULL */
char *arena_strndup(struct arena *, const char *, size_t n);
void *arena_memdup(struct arena *, const void *, size_t n);
char *arena_printf(struct arena *, const char *fmt, ...) PRINTF(2, 3);
/* The array `old` of n items, grown to hold at least n + 1; returns it (maybe moved). Capacity is the next power of
 * two. */
void *arena_grow(struct arena *, void *old, size_t n, size_t size);
#define arena_new_array(a, n, T) ((T *)arena_alloc((a), (n), sizeof(T)))
static inline void arena_free_scoped(struct arena **p)
{
	arena_free(*p);
}
#define SCOPED_ARENA __attribute__((cleanup(arena_free_scoped))) struct arena
