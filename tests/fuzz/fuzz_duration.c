/* Durations and times from outside: what is accepted has a canonical form that means the same. */
#include <stdlib.h>

#include "base/tm.h"
#include "pki/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void need(bool good)
{
	if (!good)
		abort();
}

static void duration(struct arena *a, const char *text)
{
	struct err e = { 0 };
	int64_t secs, again;

	if (dur_parse(text, &secs, &e) != 0) {
		need(*e.msg);
		return;
	}
	need(secs <= DUR_MAX && secs >= -DUR_MAX);
	need(dur_parse(dur_format(a, secs), &again, &e) == 0 && again == secs);
}

static void point_in_time(struct arena *a, const char *text)
{
	struct err e = { 0 };
	int64_t t, again;

	if (tm_parse(text, &t, &e) == 0)
		need(tm_parse(tm_format(a, t), &again, &e) == 0 && again == t);
}

static void validity(struct arena *a, const char *text)
{
	struct err e = { 0 };
	struct validity v;
	int64_t end;

	if (validity_parse(a, text, &v, &e) == 0 && validity_end(&v, 1900000000, &end, &e) == 0)
		need(end > 1900000000 && end <= TIME_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	SCOPED_ARENA *a = arena_new();
	const char *text = arena_strndup(a, (const char *)data, n);

	duration(a, text);
	point_in_time(a, text);
	validity(a, text);
	return 0;
}
