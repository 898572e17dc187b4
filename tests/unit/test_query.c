/* Filters, order and pages over a handful of records; rows of filter -> the ids that pass, or the message. */
#include "rec/query.h"

#include "sample.h"
#include "tap.h"

static const int64_t now = INT64_C(1900000000); /* 2030-03-17T17:46:40Z */

static const char *const docs[] = {
	("{id: ada, note: First Device, level: 3, mode: off, until: 2030-03-18, tags: [red, blue], organization: Acme, "
	"metadata: {site: Turin, n: 9, a.b: {c: x}, when: 2030-03-20}, usage: cert_sign}"),
	"{id: bob, note: second device, level: 20, mode: Time, until: 2031-01-01, backdate: 2h, metadata: {site: "
	"Oslo, n: 10}}",
	"{id: cyd, level: -4, until: 2029-01-01, tags: [blue], path_length: 0, parent: ada}",
	"{id: dee, note: '100%', level: 20, enabled: false, limits: {mode: Time, time: 2040-01-01}}",
};

struct row {
	const char *filter, *want; /* ids, or "!" and the beginning of the message */
};

static const struct row rows[] = {
	{ "id=bob", "bob" },
	{ "id[eq]=bob", "bob" },
	{ "id[eq]bob", "bob" },
	{ "id[equal]BOB", "" },
	{ "id[eq_ic]=BOB", "bob" },
	{ "id[ne]=bob", "ada cyd dee" },
	{ "note[ct]=DEVICE", "ada bob" },
	{ "note[nc]=device", "cyd dee" },
	{ "note[contains]=100%", "dee" },
	{ "note[sw]=First", "ada" },
	{ "note[sw]=first", "" },
	{ "note[sw_ic]=first", "ada" },
	{ "note[ew]=device", "bob" },
	{ "note[ew_ic]=DEVICE", "ada bob" },
	{ "note=", "cyd" },
	{ "description=100%", "dee" },
	{ "level[gt]=3", "bob dee" },
	{ "level[ge]=3", "ada bob dee" },
	{ "level[lt]=3", "cyd" },
	{ "level[le]=3", "ada cyd" },
	{ "level=20", "bob dee" },
	{ "level[ne]=20", "ada cyd" },
	{ "level[in]=3, -4,", "ada cyd" },
	{ "level[nin]=3,-4", "bob dee" },
	{ "level[in]=,", "ada bob cyd dee" },
	{ "mode=OFF", "ada" },
	{ "mode[in]=off,time", "ada bob" },
	{ "enabled=false", "dee" },
	{ "until[bf]=30d", "ada cyd" },
	{ "until[bf]=-30d", "cyd" },
	{ "until[af]=2030-06-01", "bob" },
	{ "until[gt]=2030-06-01T00:00:00Z", "bob" },
	{ "until=2030-03-18T00:00:00Z", "ada" },
	{ "until=", "dee" },
	{ "backdate[gt]=1h", "bob" },
	{ "backdate=120m", "bob" },
	{ "tags=blue", "ada cyd" },
	{ "tags[ne]=blue", "bob dee" },
	{ "tags[ct]=RE", "ada" },
	{ "tags.1=blue", "ada" },
	{ "organization=Acme", "ada" },
	{ "usage=CertSign", "ada" },
	{ "usage.cert_sign=true", "ada" },
	{ "limits.mode=time", "dee" },
	{ "limits.time[af]=2035-01-01", "dee" },
	{ "metadata.site=Turin", "ada" },
	{ "metadata.n[gt]=9", "bob" },
	{ "metadata.a.b.c=x", "ada" },
	{ "metadata.when[bf]=1w", "ada" },
	{ "path_length=0", "cyd" },
	{ "path-length[ge]=0", "cyd" },
	{ "parent=ada", "cyd" },
	{ "id[xx]=a", "!unknown operator \"xx\"; known are eq ne ct" },
	{ "id[_ic]=a", "!unknown operator" },
	{ "id", "!\"id\" is not a filter" },
	{ "=x", "!\"=x\" is not a filter" },
	{ "id[eq=x", "!\"id[eq=x\" has no ]" },
	{ "nte=x", "!unknown field \"nte\"; did you mean \"note\"?; known are id note country" },
	{ "limits.tme=x", "!unknown field \"tme\"; did you mean \"time\"?" },
	{ "usage.cert_sgn=true", "!usage has no \"cert_sgn\"; did you mean \"cert_sign\"?" },
	{ "note.x=y", "!note has no part \"x\"" },
	{ "note[bf]=30d", "!filter note: bf and af are for times" },
	{ "until[bf]=soon", "!filter until: \"soon\" is neither a time nor a duration" },
	{ "level[gt]=x", "!filter level: \"x\" is not an integer" },
	{ "note=\xFF", "!a filter must be UTF-8 text" },
};

static size_t load(struct arena *a, struct sample *recs)
{
	struct err e = { 0 };

	for (size_t i = 0; i < COUNT(docs); i++)
		if (rec_load(a, &sample_type, "doc", bytes_of(docs[i]), &recs[i], &e) != 0)
			ok(false, "%s", e.msg);
	return COUNT(docs);
}

static const char *ids(struct arena *a, const struct sample *recs, size_t n)
{
	char *s = arena_strdup(a, "");

	for (size_t i = 0; i < n; i++)
		s = arena_printf(a, "%s%s%s", s, i ? " " : "", recs[i].id);
	return s;
}

static void run_row(const struct row *r)
{
	SCOPED_ARENA *a = arena_new();
	struct sample recs[COUNT(docs)];
	struct filter f;
	struct query q = { .filters = &f, .nfilters = 1 };
	size_t n = load(a, recs);
	struct err e = { 0 };
	char *next;

	if (filter_parse(a, r->filter, &f, &e) != 0 || query_run(a, &q, &sample_type, recs, &n, now, &next, &e) != 0) {
		ok(*r->want == '!' && strncmp(e.msg, r->want + 1, strlen(r->want + 1)) == 0, "%s: %s", r->filter,
		   e.msg);
		return;
	}
	is_str(ids(a, recs, n), r->want, r->filter);
	ok(next == NULL, "one page");
}

static void test_sort(void)
{
	static const struct {
		const char *by;
		bool desc;
		const char *want;
	} sorts[] = {
		{ "id", true, "dee cyd bob ada" },	      { "level", false, "cyd ada bob dee" },
		{ "level", true, "bob dee ada cyd" },	      { "until", false, "cyd ada bob dee" },
		{ "until", true, "bob ada cyd dee" },	      { "metadata.n", false, "ada bob cyd dee" },
		{ "metadata.site", false, "bob ada cyd dee" }, { "backdate", true, "bob ada cyd dee" },
	};

	for (size_t i = 0; i < COUNT(sorts); i++) {
		SCOPED_ARENA *a = arena_new();
		struct sample recs[COUNT(docs)];
		struct query q = { .sort_by = sorts[i].by, .desc = sorts[i].desc };
		size_t n = load(a, recs);
		struct err e = { 0 };
		char *next;

		ok(query_run(a, &q, &sample_type, recs, &n, now, &next, &e) == 0, "sort by %s %s", sorts[i].by, e.msg);
		is_str(ids(a, recs, n), sorts[i].want, sorts[i].by);
	}
}

static void test_pages(void)
{
	SCOPED_ARENA *a = arena_new();
	struct filter fs[2];
	struct query q = { .filters = fs, .nfilters = 2, .sort_by = "level", .desc = true, .page_size = 2 }, again;
	struct sample recs[COUNT(docs)];
	size_t n = load(a, recs);
	struct err e = { 0 };
	char *next;

	ok(filter_parse(a, "id[ne_ic]==x", &fs[0], &e) == 0 && filter_parse(a, "id[nc]=ADA", &fs[1], &e) == 0,
	   "two filters");
	ok(query_run(a, &q, &sample_type, recs, &n, now, &next, &e) == 0 && next != NULL, "first page");
	is_str(ids(a, recs, n), "bob dee", "first page");
	ok(strspn(next, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == strlen(next),
	   "base64url");
	ok(query_from_bookmark(a, next, &again, &e) == 0, "bookmark is read %s", e.msg);
	is_int(again.offset, 2, "offset");
	is_int(again.page_size, 2, "page size");
	is_str(again.sort_by, "level", "order");
	is_str(again.filters[0].value, "=x", "a value that starts with =");
	ok(again.filters[0].ignore_case && again.filters[0].op == OP_NE && again.filters[1].op == OP_NC, "operators");
	n = load(a, recs);
	ok(query_run(a, &again, &sample_type, recs, &n, now, &next, &e) == 0 && next == NULL, "second page");
	is_str(ids(a, recs, n), "cyd", "second page");
	again.offset = 99;
	n = load(a, recs);
	ok(query_run(a, &again, &sample_type, recs, &n, now, &next, &e) == 0 && n == 0, "past the end");
}

/* Every prefix and every flipped bit of a bookmark either reads or is refused. */
static void test_bookmarks(void)
{
	static const char *const bad[] = { "", "x", "e30", "bnVsbA", "W10", "!!!!", "eyJvIjotMX0" };
	SCOPED_ARENA *a = arena_new();
	struct filter f;
	struct err e = { 0 };
	struct query q = { .filters = &f, .nfilters = 1, .sort_by = "id" }, got;

	for (size_t i = 0; i < COUNT(bad); i++)
		ok(query_from_bookmark(a, bad[i], &got, &e) == -1 && e.code == ERR_USAGE, "not a bookmark: %s", bad[i]);
	ok(filter_parse(a, "id=a", &f, &e) == 0, "a filter");
	char *good = query_bookmark(a, &q, 7);
	for (size_t i = 0; good[i]; i++)
		for (int bit = 0; bit < 7; bit++) {
			char *bent = arena_strdup(a, good);

			bent[i] = (char)(bent[i] ^ 1 << bit);
			if (query_from_bookmark(a, bent, &got, &e) == 0 && got.offset < 0)
				ok(false, "negative offset");
			if (query_from_bookmark(a, arena_strndup(a, good, i), &got, &e) == 0)
				ok(false, "a cut bookmark is accepted");
		}
	ok(true, "bent bookmarks");
}

int main(void)
{
	for (size_t i = 0; i < COUNT(rows); i++)
		run_row(&rows[i]);
	test_sort();
	test_pages();
	test_bookmarks();
	return done();
}
