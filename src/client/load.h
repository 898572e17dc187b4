#pragma once
#include "client/est.h"
#include "crypto/algs.h"
#include "rec/schema.h"

/* Many devices at once, to see what a server can do. Nothing is kept of what they get. */
struct load_order {
	size_t count;
	unsigned connections;
	const char *prefix; /* devices are PREFIX-000001 … */
	const struct keytype *type;
};
enum { LOAD_COUNT_MAX = 1000000, LOAD_CONNECTIONS_MAX = 256 };

struct load_report {
	int64_t count, enrolled, failed;
	char *seconds, *rate;               /* texts with digits after the point */
	char *p50_ms, *p90_ms, *p99_ms, *slowest_ms;
	char *error;                        /* of the first that failed */
};
extern const struct schema load_report_type;
int load_run(struct ctx *, struct est *, const struct load_order *, struct load_report *ret, struct err *) NODISCARD;
