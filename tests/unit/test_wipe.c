/* What the libraries of the network free is wiped before it goes: seen by standing between wipe.c and free(). */
#include <malloc.h>
#include <stdlib.h>

#include "base/wipe.h"

#include "tap.h"

void __real_free(void *);
void __wrap_free(void *);

static int freed, dirty;

void __wrap_free(void *p)
{
	const unsigned char *b = p;

	freed += p != NULL;
	for (size_t i = 0, n = p ? malloc_usable_size(p) : 0; i < n; i++)
		dirty += b[i] != 0;
	__real_free(p);
}

int main(void)
{
	char *p = wipe_malloc(100), *q;

	memset(p, 'x', 100);
	p = wipe_realloc(p, 5000);
	ok(p[0] == 'x' && p[99] == 'x' && freed == 1 && dirty == 0, "moved, and wiped where it was");
	p = wipe_realloc(p, 10);
	ok(p[9] == 'x' && freed == 2 && dirty == 0, "made smaller");
	ok(wipe_realloc(p, 0) == NULL && freed == 3 && dirty == 0, "to nothing");
	p = wipe_realloc(NULL, 10);
	q = wipe_strdup("secret");
	is_str(q, "secret", "a copy");
	wipe_free(q);
	wipe_free(p);
	wipe_free(NULL);
	p = wipe_calloc(4, 4);
	ok(p[0] == 0 && p[15] == 0 && freed == 5 && dirty == 0, "freed");
	wipe_free(p);
	return done();
}
