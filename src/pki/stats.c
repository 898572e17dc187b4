/* Statistics from the fold. Reads counters, never all certificates. */
#include "pki/stats.h"

#include <stdlib.h>
#include <string.h>

#include "pki/authority.h"
#include "state/ledger.h"

enum { BINS = 12 };
#define BIN_SECS (INT64_C(86400) * 30)

static const struct field ca_counts_fields[] = {
	INT(ca_counts, total, "Authorities.", .flags = F_SHOW0),
	ANY(ca_counts, status_distribution, "How many of each status."),
	ANY(ca_counts, engine_distribution, "How many in each engine; - is without key."),
	END
};
static const struct schema ca_counts_type = {
	.name = "cas", .doc = "Authorities", .size = sizeof(struct ca_counts), .fields = ca_counts_fields
};

static const struct field cert_counts_fields[] = {
	INT(cert_counts, total, "Certificates.", .flags = F_SHOW0),
	ANY(cert_counts, status_distribution, "How many of each status."),
	ANY(cert_counts, ca_distribution, "How many of each issuing authority."),
	ANY(cert_counts, profile_distribution, "How many of each profile; - is imported."),
	END
};
static const struct schema cert_counts_type = {
	.name = "certificates", .doc = "Certificates", .size = sizeof(struct cert_counts), .fields = cert_counts_fields
};

static const struct field bin_fields[] = {
	TIME(expiry_bin, from, "Start of the period.", .flags = F_COL),
	TIME(expiry_bin, to, "End of the period.", .flags = F_COL),
	INT(expiry_bin, n, "How many end in it.", .flags = F_COL | F_SHOW0),
	END
};
const struct schema expiry_bin_type = { .name = "expiry", .doc = "A period", .size = sizeof(struct expiry_bin),
					.fields = bin_fields };

static const struct field stats_fields[] = {
	OBJ(pki_stats, cas, &ca_counts_type, "Authorities."),
	OBJ(pki_stats, certificates, &cert_counts_type, "Certificates."),
	OBJV(pki_stats, expiry, &expiry_bin_type,
	     "Live certificates that end in each of the next twelve periods of 30 days."),
	END
};
const struct schema stats_type = {
	.name = "stats", .plural = "stats", .doc = "Numbers", .size = sizeof(struct pki_stats), .fields = stats_fields
};

static int bump(struct arena *ar, char **json, const char *name, int64_t by, struct err *e)
{
	const char *old = any_get(ar, *json, name);
	int64_t n = (old ? strtoll(old, NULL, 10) : 0) + by;

	return any_set(ar, *json, name, arena_printf(ar, "%lld", (long long)n), json, e);
}

static int count_cas(struct ctx *ctx, const char *ca, struct ca_counts *c, struct err *e)
{
	struct authority *all;
	size_t n;

	if (authority_all(ctx, &all, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (ca && strcmp(all[i].rec.id, ca) != 0)
			continue;
		c->total++;
		if (bump(ctx->arena, &c->status_distribution, ca_status_names[all[i].status], 1, e) != 0 ||
		    bump(ctx->arena, &c->engine_distribution, all[i].rec.engine_id ? all[i].rec.engine_id : "-", 1,
			 e) != 0)
			return -1;
	}
	return 0;
}

static int count_certs(struct ctx *ctx, const char *ca, struct cert_counts *c, struct err *e)
{
	struct cert_count *v;
	size_t n;

	if (ledger_count(ctx->state, &v, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (ca && strcmp(v[i].ca, ca) != 0)
			continue;
		c->total += v[i].n;
		if (bump(ctx->arena, &c->status_distribution, cert_status_names[v[i].status], v[i].n, e) != 0 ||
		    bump(ctx->arena, &c->ca_distribution, v[i].ca, v[i].n, e) != 0 ||
		    bump(ctx->arena, &c->profile_distribution, v[i].profile ? v[i].profile : "-", v[i].n, e) != 0)
			return -1;
	}
	return 0;
}

int stats_collect(struct ctx *ctx, const char *ca, struct pki_stats *ret, struct err *e)
{
	struct pki_stats s = { 0 };
	struct expiry_bin *bins = arena_new_array(ctx->arena, BINS, struct expiry_bin);
	int64_t counts[BINS];

	if (count_cas(ctx, ca, &s.cas, e) != 0 || count_certs(ctx, ca, &s.certificates, e) != 0 ||
	    ledger_expiry(ctx->state, ca, ctx->now, BIN_SECS, BINS, counts, e) != 0)
		return -1;
	for (int i = 0; i < BINS; i++)
		bins[i] = (struct expiry_bin){ ctx->now + i * BIN_SECS, ctx->now + (i + 1) * BIN_SECS, counts[i] };
	s.expiry = (struct vec){ bins, BINS };
	*ret = s;
	return 0;
}
