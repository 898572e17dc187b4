/* Entries of the ledger, which come from whoever may push: the first line is the path, the rest the text. Nothing stops
 * the fold, the same entries fold again, and the fast reader reads what rec_load reads, or nothing. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "state/entry.h"
#include "state/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void same_reading(struct arena *a, const struct schema *sc, struct bytes text)
{
	void *fast = arena_alloc(a, 1, sc->size), *slow = arena_alloc(a, 1, sc->size);
	struct err e = { 0 };

	if (entry_load_plain(a, sc, text, fast) && sc->check(a, fast, &e) == 0)
		assert(rec_load(a, sc, "head", text, slow, &e) == 0 && rec_equal(sc, fast, slow));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct schema *const types[] = { &certrec_type, &revocation_type, &crlrec_type, &metachange_type,
						      &device_entry_type, &eventrec_type };
	static struct index *ix;
	const uint8_t *nl = n ? memchr(data, '\n', n) : NULL;
	SCOPED_ARENA *a = arena_new();
	struct entry v[3];
	struct err e = { 0 };

	if (!nl || memchr(data, '\0', (size_t)(nl - data)))
		return 0;
	if (!ix)
		assert(index_open(arena_new(), "", &ix, &e) == 0);
	v[0].path = arena_strndup(a, (const char *)data, (size_t)(nl - data));
	v[0].text = (struct bytes){ nl + 1, n - (size_t)(nl + 1 - data) };
	for (size_t i = 0; i < COUNT(types); i++)
		same_reading(a, types[i], v[0].text);
	/* The same under other names: a twin, a second revocation. */
	v[1] = v[2] = v[0];
	v[1].path = arena_printf(a, "%s.", v[0].path);
	v[2].path = arena_printf(a, "issued/%s", strrchr(v[0].path, '/') ? strrchr(v[0].path, '/') + 1 : v[0].path);
	if (strcmp(v[2].path, v[0].path) == 0)
		v[2].path = "x";
	assert(index_preview(ix, v, 3, &e) == 0);
	index_forget(ix);
	return 0;
}
