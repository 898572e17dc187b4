#pragma once
/* Test Anything Protocol, for tests of modules. One file is one program: plan with done(), assert with ok(), is_str(),
 * is_int(); a failure prints both sides. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int tap_n, tap_failed;

__attribute__((format(printf, 2, 3))) static inline bool ok(bool good, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %d - ", good ? "" : "not ", ++tap_n);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	tap_failed += !good;
	return good;
}

static inline bool is_str(const char *got, const char *want, const char *what)
{
	bool same = got == want || (got && want && strcmp(got, want) == 0);

	ok(same, "%s", what);
	if (!same)
		printf("#   got: %s\n#  want: %s\n", got ? got : "(null)", want ? want : "(null)");
	return same;
}

static inline bool is_int(int64_t got, int64_t want, const char *what)
{
	ok(got == want, "%s", what);
	if (got != want)
		printf("#   got: %" PRId64 "\n#  want: %" PRId64 "\n", got, want);
	return got == want;
}

static inline int done(void)
{
	printf("1..%d\n", tap_n);
	return tap_failed != 0;
}
