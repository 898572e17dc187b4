/* malloc() and its kin, with a free() that leaves nothing behind. Guarantees: no byte of a block is readable once the
 * library has let go of it; a failed allocation is NULL, as these libraries expect. */
#include "base/wipe.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void *wipe_malloc(size_t n)
{
	return malloc(n);
}

void *wipe_calloc(size_t n, size_t size)
{
	return calloc(n, size);
}

char *wipe_strdup(const char *s)
{
	return strdup(s);
}

void wipe_free(void *p)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

void *wipe_realloc(void *old, size_t n)
{
	size_t had = old ? malloc_usable_size(old) : 0;
	void *p;

	if (old && n == 0) {
		wipe_free(old);
		return NULL;
	}
	p = malloc(n);
	if (!p)
		return NULL;
	if (had)
		memcpy(p, old, had < n ? had : n);
	wipe_free(old);
	return p;
}
