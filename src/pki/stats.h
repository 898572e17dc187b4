#pragma once
#include "base/ctx.h"
#include "rec/schema.h"

/* Numbers over authorities and certificates (C6). */
struct ca_counts {
	int64_t total;
	char *status_distribution, *engine_distribution; /* JSON objects: name to number */
};
struct cert_counts {
	int64_t total;
	char *status_distribution, *ca_distribution, *profile_distribution;
};
struct expiry_bin {
	int64_t from, to, n;
};
struct pki_stats {
	struct ca_counts cas;
	struct cert_counts certificates;
	struct vec expiry; /* struct expiry_bin: live certificates that end in the next periods of 30 days */
};
extern const struct schema stats_type, expiry_bin_type;
/* ca NULL: everything. */
int stats_collect(struct ctx *, const char *ca, struct pki_stats *ret, struct err *) NODISCARD;
