/* Times and durations: what is read, what is refused and why, and how they are written. */
#include "base/tm.h"

#include "tap.h"

static const struct {
	const char *in;
	int64_t want;
	const char *error; /* part of the message; NULL: fine */
} durations[] = {
	{ "0", 0, NULL },
	{ "-0", 0, NULL },
	{ "+0", 0, NULL },
	{ "0s", 0, NULL },
	{ "5s", 5, NULL },
	{ "+5s", 5, NULL },
	{ "-5s", -5, NULL },
	{ "8760h", 31536000, NULL },
	{ "2160h", 7776000, NULL },
	{ "1y", 31536000, NULL },
	{ "365d", 31536000, NULL },
	{ "1w", 604800, NULL },
	{ "1d", 86400, NULL },
	{ "1m", 60, NULL },
	{ "90d", 7776000, NULL },
	{ "1w2d3h4m5s", 604800 + 2 * 86400 + 3 * 3600 + 4 * 60 + 5, NULL },
	{ "1y2w3d4h5m6s", 31536000 + 2 * 604800 + 3 * 86400 + 4 * 3600 + 5 * 60 + 6, NULL },
	{ "250y1w3d23h47m16s854ms775us807ns", INT64_C(250) * 31536000 + 604800 + 3 * 86400 + 23 * 3600 + 47 * 60 + 16,
	  NULL },
	{ "5s1h", 3605, NULL }, /* any order */
	{ "1h1h", 7200, NULL }, /* repeated units are summed */
	{ "1.5h", 5400, NULL },
	{ ".5h", 1800, NULL },
	{ "1.h", 3600, NULL },
	{ "0.5d", 43200, NULL },
	{ "0.1y", 3153600, NULL },
	{ "-1.5h", -5400, NULL },
	{ "0.3333333333333333333333h", 1199, NULL },
	{ "0.00000000000000000000000000000000000001y", 0, NULL },
	{ "999ms", 0, NULL },
	{ "1500ms", 1, NULL },
	{ "-1500ms", -1, NULL },
	{ "500ms500ms", 1, NULL }, /* parts of a second add up */
	{ "0.5s0.5s", 1, NULL },
	{ "999ms999us1us", 1, NULL },
	{ "999ms999us1000ns", 1, NULL },
	{ "1000000us", 1, NULL },
	{ "1000000\xc2\xb5s", 1, NULL },
	{ "1000000\xce\xbcs", 1, NULL },
	{ "9223372036854775807ns", 9223372036, NULL },
	{ "10000y", DUR_MAX, NULL },
	{ "315360000000s", DUR_MAX, NULL },
	{ "000000000000000000000000000001s", 1, NULL },
	{ "10000y1s", 0, "longer than 10000 years" },
	{ "10000y1000ms", 0, "longer than 10000 years" },
	{ "315360000001s", 0, "longer than 10000 years" },
	{ "9223372036854775807s", 0, "longer than" },
	{ "9223372036854775808s", 0, "longer than" },
	{ "9223372036854775807y", 0, "longer than" },
	{ "99999999999999999999999999999ns", 0, "longer than" },
	{ "-99999999999999999999y", 0, "longer than" },
	{ "", 0, "is not a duration" },
	{ "-", 0, "is not a duration" },
	{ "--1h", 0, "is not a duration" },
	{ ".", 0, "is not a duration" },
	{ ".h", 0, "is not a duration" },
	{ "h", 0, "is not a duration" },
	{ " 1h", 0, "is not a duration" },
	{ "1h-5m", 0, "unknown unit \"h-\"" },
	{ "1h ", 0, "unknown unit \"h \"" },
	{ "1.5.5h", 0, "lacks a unit" },
	{ "1", 0, "lacks a unit" },
	{ "1h5", 0, "lacks a unit" },
	{ "00", 0, "lacks a unit" },
	{ "1M", 0, "no unit for months" },
	{ "1y2M3w4d5h6m7s", 0, "no unit for months" },
	{ "1H", 0, "unknown unit \"H\"" },
	{ "1Y", 0, "unknown unit \"Y\"" },
	{ "1hour", 0, "unknown unit \"hour\"" },
	{ "1\x1b[31m", 0, "unknown unit \"\\x1b[\"" },
	{ "Indefinite", 0, "is not a duration" },
};

static const struct {
	int64_t secs;
	const char *want;
} formatted[] = {
	{ 0, "0s" },
	{ 1, "1s" },
	{ -1, "-1s" },
	{ 86400, "1d" },
	{ 31536000, "1y" },
	{ 7776000, "12w6d" },
	{ 43800 * 3600, "5y" },
	{ 3661, "1h1m1s" },
	{ 31536000 + 604800 + 86400 + 3600 + 60 + 1, "1y1w1d1h1m1s" },
	{ DUR_MAX, "10000y" },
	{ INT64_MAX, "292471208677y27w6d15h30m7s" },
	{ INT64_MIN, "-292471208677y27w6d15h30m8s" },
};

static const struct {
	const char *in;
	int64_t want;
	const char *error;
} times[] = {
	{ "1970-01-01T00:00:00Z", 0, NULL },
	{ "2026-11-21T12:00:00Z", 1795262400, NULL },
	{ "2026-11-21t12:00:00z", 1795262400, NULL },
	{ "2026-11-21 12:00:00Z", 1795262400, NULL },
	{ "2026-11-21T12:00:00.999999999Z", 1795262400, NULL },
	{ "2026-11-21T12:00:00-00:00", 1795262400, NULL },
	{ "2026-11-21T13:30:00+01:30", 1795262400, NULL },
	{ "2026-11-21T04:00:00-08:00", 1795262400, NULL },
	{ "2026-11-21", 1795219200, NULL },
	{ "2000-02-29", 951782400, NULL },
	{ "1969-12-31T23:59:59Z", -1, NULL },
	{ "0000-01-01T00:00:00Z", INT64_C(-62167219200), NULL },
	{ "9999-12-31T23:59:59Z", TIME_MAX, NULL },
	{ "2016-12-31T23:59:60Z", 1483228800, NULL }, /* a leap second */
	{ "2016-12-31T15:59:60-08:00", 1483228800, NULL },
	{ "2016-12-31T23:58:60Z", 0, "no such time of day" },
	{ "1900-02-29", 0, "no such day" },
	{ "2026-02-29T00:00:00Z", 0, "no such day" },
	{ "2026-04-31", 0, "no such day" },
	{ "2026-13-01", 0, "no such day" },
	{ "2026-00-01", 0, "no such day" },
	{ "2026-01-00", 0, "no such day" },
	{ "2026-01-01T24:00:00Z", 0, "no such time of day" },
	{ "2026-01-01T00:60:00Z", 0, "no such time of day" },
	{ "2026-01-01T00:00:61Z", 0, "no such time of day" },
	{ "0000-01-01T00:00:00+00:01", 0, "outside the years" },
	{ "9999-12-31T23:59:59-00:01", 0, "outside the years" },
	{ "9999-12-31T23:59:60Z", 0, "outside the years" },
	{ "", 0, "is not a time" },
	{ "2026-11-21T12:00:00", 0, "is not a time" }, /* which zone? */
	{ "2026-11-21T12:00Z", 0, "is not a time" },
	{ "2026-11-21T12:00:00.Z", 0, "is not a time" },
	{ "2026-11-21T12:00:00+0100", 0, "is not a time" },
	{ "2026-11-21T12:00:00+24:00", 0, "is not a time" },
	{ "2026-11-21T12:00:00Z ", 0, "is not a time" },
	{ "2026-1-1", 0, "is not a time" },
	{ "+2026-01-01", 0, "is not a time" },
	{ "12026-01-01", 0, "is not a time" },
	{ "20260101", 0, "is not a time" },
	{ "1795262400", 0, "is not a time" },
};

static void is_refused(int result, const struct err *e, const char *part, const char *in)
{
	ok(result == -1 && e->code == ERR_INVALID && strstr(e->msg, part), "\"%s\" is refused: %s", in, part);
	if (!strstr(e->msg, part))
		printf("#   got: %s\n", e->msg);
}

static void test_durations(struct arena *a)
{
	for (size_t i = 0; i < COUNT(durations); i++) {
		struct err e = { 0 };
		int64_t got = -99, again = 0;
		int result = dur_parse(durations[i].in, &got, &e);

		if (durations[i].error) {
			is_refused(result, &e, durations[i].error, durations[i].in);
			is_int(got, -99, "a refused duration leaves the result alone");
			continue;
		}
		ok(result == 0 && e.code == ERR_NONE, "\"%s\" is a duration %s", durations[i].in, e.msg);
		is_int(got, durations[i].want, durations[i].in);
		ok(dur_parse(dur_format(a, got), &again, &e) == 0 && again == got, "%s reads back", dur_format(a, got));
	}
	for (size_t i = 0; i < COUNT(formatted); i++)
		is_str(dur_format(a, formatted[i].secs), formatted[i].want, formatted[i].want);
}

static void test_times(struct arena *a)
{
	for (size_t i = 0; i < COUNT(times); i++) {
		struct err e = { 0 };
		int64_t got = -99, again = -99;
		int result = tm_parse(times[i].in, &got, &e);

		if (times[i].error) {
			is_refused(result, &e, times[i].error, times[i].in);
			continue;
		}
		ok(result == 0 && e.code == ERR_NONE, "\"%s\" is a time %s", times[i].in, e.msg);
		is_int(got, times[i].want, times[i].in);
		ok(tm_parse(tm_format(a, got), &again, &e) == 0 && again == got, "%s reads back", tm_format(a, got));
	}
	is_str(tm_format(a, 1795262400), "2026-11-21T12:00:00Z", "times are written in UTC");
	is_str(tm_format(a, INT64_MAX), "9999-12-31T23:59:59Z", "a time beyond the calendar is its end");
	is_str(tm_format(a, INT64_MIN), "0000-01-01T00:00:00Z", "a time before the calendar is its beginning");
}

/* Every day of ten thousand years, against counting. */
static void test_calendar(void)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int64_t t = INT64_C(-62167219200);
	bool same = true;

	for (int y = 0; y <= 9999; y++)
		for (int m = 1; m <= 12; m++) {
			int last = days[m - 1] + (m == 2 && ((y % 4 == 0 && y % 100 != 0) || y % 400 == 0));

			for (int d = 1; d <= last; d++, t += 86400) {
				struct civil c = tm_civil(t + 86399);

				same = same && c.year == y && c.month == m && c.day == d && c.hour == 23 &&
				       c.minute == 59 && c.second == 59;
				same = same && tm_from_civil(c) == t + 86399;
			}
		}
	ok(same, "every day from year 0 to 9999 converts both ways");
	is_int(t - 1, TIME_MAX, "the last second is TIME_MAX");
}

int main(void)
{
	SCOPED_ARENA *a = arena_new();
	int64_t before = tm_mono_ms();

	test_durations(a);
	test_times(a);
	test_calendar();
	ok(tm_now() > 1700000000 && tm_now() < TIME_MAX, "the clock tells a time");
	ok(tm_mono_ms() >= before, "the other clock does not go back");
	return done();
}
