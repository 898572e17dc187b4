/* Filters and bookmarks from outside: what is accepted survives the way through a bookmark, and running it never fails
 * on a field that was accepted. */
#include <stdlib.h>

#include "rec/query.h"

#include "../unit/sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void need(bool good)
{
	if (!good)
		abort();
}

static void run(struct arena *a, const struct query *q)
{
	static const char doc[] = "{id: a, level: 3, until: 2030-01-01, tags: [x], metadata: {k: [1, v]}}";
	struct sample recs[2];
	size_t count = COUNT(recs);
	struct err e = { 0 };
	char *next;

	for (size_t i = 0; i < count; i++)
		need(rec_load(a, &sample_type, "doc", bytes_of(doc), &recs[i], &e) == 0);
	if (query_run(a, q, &sample_type, recs, &count, 1900000000, &next, &e) != 0)
		need(*e.msg && e.code == ERR_USAGE);
	else
		need(count <= COUNT(recs));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	SCOPED_ARENA *a = arena_new();
	const char *text = arena_strndup(a, (const char *)data, n);
	struct filter f;
	struct query q = { .filters = &f, .nfilters = 1, .page_size = 1, .sort_by = "level" }, again;
	struct err e = { 0 };

	if (query_from_bookmark(a, text, &again, &e) == 0)
		run(a, &again);
	if (filter_parse(a, text, &f, &e) != 0)
		return 0;
	run(a, &q);
	need(query_from_bookmark(a, query_bookmark(a, &q, 1), &again, &e) == 0 && again.nfilters == 1);
	need(strcmp(again.filters[0].field, f.field) == 0 && strcmp(again.filters[0].value, f.value) == 0);
	need(again.filters[0].op == f.op && again.filters[0].ignore_case == f.ignore_case);
	return 0;
}
