/* Times and durations as text. Own calendar arithmetic, because the C library's depends on the zone and the locale of
 * whoever runs us. Every result is in range: no input can make an addition of times or durations overflow. */
#include "base/tm.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"

enum { MINUTE = 60, HOUR = 3600, DAY = 86400, WEEK = 7 * DAY, YEAR = 365 * DAY };
#define TIME_MIN INT64_C(-62167219200) /* 0000-01-01T00:00:00Z */
#define NANO INT64_C(1000000000)

static bool leap(int y)
{
	return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
}

static int days_in_month(int y, int m)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return m == 2 && leap(y) ? 29 : days[m - 1];
}

/* Days since 1970-01-01; the year is counted from March so that the leap day comes last. */
static int64_t days_from_civil(int y, int m, int d)
{
	int64_t year = m <= 2 ? (int64_t)y - 1 : y;
	int64_t era = (year >= 0 ? year : year - 399) / 400, in_era = year - era * 400;
	int64_t day = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;

	return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + day - 719468;
}

int64_t tm_from_civil(struct civil c)
{
	return days_from_civil(c.year, c.month, c.day) * DAY + c.hour * HOUR + c.minute * MINUTE + c.second;
}

struct civil tm_civil(int64_t t)
{
	int64_t days, secs, era, in_era, year, day, month;

	t = t < TIME_MIN ? TIME_MIN : t > TIME_MAX ? TIME_MAX : t;
	secs = (t - TIME_MIN) % DAY;
	days = (t - secs) / DAY + 719468;
	era = (days >= 0 ? days : days - 146096) / 146097;
	in_era = days - era * 146097;
	year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	day = in_era - (365 * year + year / 4 - year / 100);
	month = (5 * day + 2) / 153;
	return (struct civil){
		.year = (int)(year + era * 400 + (month >= 10)),
		.month = (int)(month < 10 ? month + 3 : month - 9),
		.day = (int)(day - (153 * month + 2) / 5 + 1),
		.hour = (int)(secs / HOUR),
		.minute = (int)(secs % HOUR / MINUTE),
		.second = (int)(secs % MINUTE),
	};
}

/* Exactly n digits. */
static bool digits(const char **s, int n, int *ret)
{
	int v = 0;

	for (; n > 0; n--, (*s)++) {
		if (**s < '0' || **s > '9')
			return false;
		v = 10 * v + (**s - '0');
	}
	*ret = v;
	return true;
}

static bool skip(const char **s, char c)
{
	if (**s != c)
		return false;
	(*s)++;
	return true;
}

/* "Z" or "+hh:mm"; seconds east of UTC. */
static bool parse_offset(const char **s, int *ret)
{
	int h, m, sign = **s == '-' ? -1 : 1;

	if (**s == 'Z' || **s == 'z') {
		(*s)++;
		*ret = 0;
		return true;
	}
	if ((!skip(s, '+') && !skip(s, '-')) || !digits(s, 2, &h) || !skip(s, ':') || !digits(s, 2, &m) || h > 23 ||
	    m > 59)
		return false;
	*ret = sign * (h * HOUR + m * MINUTE);
	return true;
}

static bool parse_clock(const char **s, struct civil *c, int *offset)
{
	if (!digits(s, 2, &c->hour) || !skip(s, ':') || !digits(s, 2, &c->minute) || !skip(s, ':') ||
	    !digits(s, 2, &c->second))
		return false;
	if (skip(s, '.')) {
		if (!isdigit((unsigned char)**s))
			return false;
		while (isdigit((unsigned char)**s))
			(*s)++;
	}
	return parse_offset(s, offset);
}

int tm_parse(const char *text, int64_t *ret, struct err *e)
{
	struct civil c = { 0 };
	const char *s = text;
	int offset = 0;
	int64_t t;

	if (!digits(&s, 4, &c.year) || !skip(&s, '-') || !digits(&s, 2, &c.month) || !skip(&s, '-') ||
	    !digits(&s, 2, &c.day) ||
	    (*s && ((!skip(&s, 'T') && !skip(&s, 't') && !skip(&s, ' ')) || !parse_clock(&s, &c, &offset))) || *s)
		return err_set(e, ERR_INVALID, "\"%s\" is not a time such as 2026-11-21T12:00:00Z (RFC 3339)", text);
	if (c.month < 1 || c.month > 12 || c.day < 1 || c.day > days_in_month(c.year, c.month))
		return err_set(e, ERR_INVALID, "time \"%s\": there is no such day", text);
	t = tm_from_civil(c) - offset;
	/* A leap second is the last one of a UTC day (RFC 3339 5.7); it becomes the next second, as in POSIX. */
	if (c.hour > 23 || c.minute > 59 || c.second > 60 || (c.second == 60 && (t - TIME_MIN) % DAY != 0))
		return err_set(e, ERR_INVALID, "time \"%s\": there is no such time of day", text);
	if (t < TIME_MIN || t > TIME_MAX)
		return err_set(e, ERR_INVALID, "time \"%s\" is outside the years 0 to 9999", text);
	*ret = t;
	return 0;
}

char *tm_format(struct arena *a, int64_t t)
{
	struct civil c = tm_civil(t);

	return arena_printf(a, "%04d-%02d-%02dT%02d:%02d:%02dZ", c.year, c.month, c.day, c.hour, c.minute, c.second);
}

static const struct {
	const char *name;
	int64_t nanos;
} units[] = {
	{ "y", YEAR * NANO },
	{ "w", WEEK * NANO },
	{ "d", DAY * NANO },
	{ "h", HOUR * NANO },
	{ "m", MINUTE * NANO },
	{ "s", NANO },
	{ "ms", 1000000 },
	{ "us", 1000 },
	{ "\xc2\xb5s", 1000 }, /* MICRO SIGN */
	{ "\xce\xbcs", 1000 }, /* GREEK SMALL LETTER MU */
	{ "ns", 1 },
};

/* "12.5" without its unit: the whole part and the run of digits after the point. */
struct number {
	int64_t whole;
	const char *frac;
	size_t nfrac;
	bool over;
};

static bool parse_number(const char **s, struct number *ret)
{
	struct number n = { 0 };
	const char *start = *s;

	for (; **s >= '0' && **s <= '9'; (*s)++)
		n.over |= __builtin_mul_overflow(n.whole, 10, &n.whole) ||
			  __builtin_add_overflow(n.whole, **s - '0', &n.whole);
	n.nfrac = 0;
	if (**s == '.') {
		n.frac = *s + 1;
		n.nfrac = strspn(n.frac, "0123456789");
		*s = n.frac + n.nfrac;
	}
	*ret = n;
	return *s - start > (n.frac != NULL);
}

/* The length in nanoseconds of the unit at *s; 0 when there is no such unit. */
static int64_t parse_unit(const char **s)
{
	size_t n = strcspn(*s, "0123456789.");

	for (size_t i = 0; i < COUNT(units); i++)
		if (n > 0 && strlen(units[i].name) == n && memcmp(units[i].name, *s, n) == 0) {
			*s += n;
			return units[i].nanos;
		}
	return 0;
}

/* Adds n units to secs and nanos; false when that is too long. */
static bool add_term(struct number n, int64_t unit, int64_t *secs, int64_t *nanos)
{
	int64_t frac = 0, whole;

	/* From the last digit on: floor((d * unit + floor(rest)) / 10) is exact, however many digits there are. */
	for (size_t i = n.nfrac; i > 0; i--)
		frac = ((n.frac[i - 1] - '0') * unit + frac) / 10;
	*nanos += frac % NANO;
	if (unit >= NANO) {
		if (__builtin_mul_overflow(n.whole, unit / NANO, &whole))
			return false;
	} else {
		whole = n.whole / (NANO / unit);
		*nanos += n.whole % (NANO / unit) * unit;
	}
	if (n.over || whole > DUR_MAX)
		return false;
	*secs += whole + frac / NANO + *nanos / NANO;
	*nanos %= NANO;
	return *secs <= DUR_MAX;
}

static int bad_unit(const char *text, const char *at, struct err *e)
{
	int n = (int)strcspn(at, "0123456789.");

	if (n == 0)
		return err_set(e, ERR_INVALID, "duration \"%s\" lacks a unit (ns us ms s m h d w y)", text);
	if (*at == 'M')
		return err_set(e, ERR_INVALID, "duration \"%s\": there is no unit for months, which differ in length; "
			       "use d, w or y (m is minutes)", text);
	return err_set(e, ERR_INVALID, "duration \"%s\": unknown unit \"%.*s\"; the units are ns us ms s m h d w y",
		       text, n, at);
}

int dur_parse(const char *text, int64_t *ret_secs, struct err *e)
{
	const char *s = text + (*text == '-' || *text == '+');
	int64_t secs = 0, nanos = 0, unit;
	struct number n;

	if (strcmp(s, "0") == 0) {
		*ret_secs = 0;
		return 0;
	}
	do {
		if (!parse_number(&s, &n))
			return err_set(e, ERR_INVALID, "\"%s\" is not a duration such as 90d or 1y2w3d4h5m6s", text);
		unit = parse_unit(&s);
		if (unit == 0)
			return bad_unit(text, s, e);
		if (!add_term(n, unit, &secs, &nanos))
			return err_set(e, ERR_INVALID, "duration \"%s\" is longer than 10000 years", text);
	} while (*s);
	*ret_secs = *text == '-' ? -secs : secs;
	return 0;
}

char *dur_format(struct arena *a, int64_t secs)
{
	SCOPED_BUF b = buf_init(64);
	uint64_t left = secs < 0 ? -(uint64_t)secs : (uint64_t)secs;

	if (left == 0)
		return arena_strdup(a, "0s");
	if (secs < 0)
		buf_putc(&b, '-');
	for (size_t i = 0; left > 0; i++) {
		uint64_t unit = (uint64_t)(units[i].nanos / NANO);

		if (left >= unit)
			buf_printf(&b, "%llu%s", (unsigned long long)(left / unit), units[i].name);
		left %= unit;
	}
	return arena_strdup(a, buf_str(&b));
}

int64_t tm_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec;
}

int64_t tm_mono_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
