/* Frames of threads at the committing process: byte by byte a link, a kind, a length and a text. No sequence of them
 * may crash it, nor make it answer who did not ask. */
#include <stdlib.h>
#include <string.h>

#include "serve/committer.h"

enum { LINKS = 4 };
static int waiting[LINKS];

static void answer(void *arg, size_t link, enum link_kind kind, struct bytes text)
{
	(void)arg, (void)text;
	if (link >= LINKS || waiting[link]-- <= 0 || !(kind == LINK_YES || kind == LINK_FULL || kind == LINK_ERROR))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum link_kind kinds[] = { LINK_CLAIM, LINK_RECORD, LINK_RELEASE, LINK_CLAIM };
	SCOPED_ARENA *a = arena_new();
	const struct ctx ctx = { .arena = a };
	const struct committer_setup setup = { .ctx = &ctx, .dir = "/nonexistent", .op = "test", .what = "test",
					       .target = 2, .answer = answer };
	struct committer *c = committer_new(a, &setup, LINKS);
	enum link_kind kind;
	size_t n;

	memset(waiting, 0, sizeof(waiting));
	if (size >= LINK_HEAD && link_parse(data, &kind, &n) != (n <= LINK_MAX))
		abort();
	while (size >= 2) {
		size_t link = data[0] % LINKS, len = data[1] % 16;

		if (data[0] & 0x80) {
			committer_gone(c, link);
			waiting[link] = 0;
		} else {
			kind = kinds[(data[0] >> 4) & 3];
			waiting[link] += kind != LINK_RELEASE;
			len = len < size - 2 ? len : size - 2;
			committer_take(c, link, kind, (struct bytes){ data + 2, len });
		}
		if (data[0] & 0x08)
			committer_run(c);
		len = len < size - 2 ? len : size - 2;
		data += 2 + len;
		size -= 2 + len;
	}
	if (committer_done(c) != 0)
		abort();
	committer_free(c);
	return 0;
}
