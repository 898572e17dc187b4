#pragma once
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

/* Times are seconds since 1970-01-01T00:00:00Z as int64_t; durations are seconds as int64_t. In records a time of 0
 * means "absent". */
#define TIME_MAX INT64_C(253402300799) /* 9999-12-31T23:59:59Z, RFC 5280 4.1.2.5 "no well-defined expiration" */

#define DUR_MAX INT64_C(315360000000) /* 10000 y; dur_parse never gives more, so sums of times and durations are safe */

/* A duration as written and what it means; "what was written is what is shown" (P2). */
struct dur {
	int64_t secs;
	const char *text; /* NULL: never written; print the canonical form */
};

/* RFC 3339 ("2026-11-21T12:00:00Z", offsets allowed, fractions dropped), or a bare date meaning 00:00:00Z. */
int tm_parse(const char *, int64_t *ret, struct err *) NODISCARD;
char *tm_format(struct arena *, int64_t); /* always with Z */

/* "8760h", "1y2w3d4h5m6s", "1.5h"; units ns us ms s m h d w y, y = 365 d, no month. A leading sign is
 * allowed. Fractions of a second are dropped. */
int dur_parse(const char *, int64_t *ret_secs, struct err *) NODISCARD;
char *dur_format(struct arena *, int64_t secs); /* largest units first: "1y", "12w6d" */

int64_t tm_now(void);    /* the wall clock */
int64_t tm_mono_ms(void); /* a clock that never goes back, milliseconds */
/* Civil date parts in UTC of any int64 second in years 0..9999. */
struct civil {
	int year, month, day, hour, minute, second;
};
struct civil tm_civil(int64_t);
int64_t tm_from_civil(struct civil);
