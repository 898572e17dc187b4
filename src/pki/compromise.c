/* An authority's key is compromised. Guarantees: after the commit it issues nothing, it and all below it are revoked,
 * and every live certificate that this touches is in the list, in the memory of a few. */
#include "pki/compromise.h"

#include <string.h>

#include "base/tm.h"
#include "pki/revoke.h"
#include "state/ledger.h"

enum { REASON_CA_COMPROMISE = 2, ROWS = 200 };

static const struct field affected_fields[] = {
	STR(affected, serial_number, "Serial number.", .flags = F_COL | F_KEY),
	STR(affected, subject, "Subject.", .flags = F_COL),
	STR(affected, ca, "Issuing authority.", .flags = F_COL),
	STR(affected, device, "Device."),
	STR(affected, profile, "Profile.", .flags = F_COL),
	TIME(affected, not_after, "End of its validity.", .flags = F_COL),
	STR(affected, action, "What to do.", .flags = F_COL),
	END
};
const struct schema affected_type = {
	.name = "affected", .plural = "affected", .doc = "A certificate that a compromise touches",
	.size = sizeof(struct affected),
	.fields = affected_fields
};

struct each {
	struct ctx *ctx;
	compromise_fn *fn;
	void *arg;
	struct arena *a; /* of the rows */
	struct affected rows[ROWS];
	size_t n;
};

static int pass_on(struct each *l, struct err *e)
{
	int r = l->n ? l->fn(l->arg, l->rows, l->n, e) : 0;

	arena_free(l->a);
	l->a = arena_new();
	l->n = 0;
	return r;
}

static int on_cert(void *arg, const struct certrec *c, struct err *e)
{
	struct each *l = arg;
	bool own = c->ca_id && strcmp(c->ca_id, c->ca) == 0;
	const char *action = c->is_ca ? "make a new authority" : c->device ? "enrol the device again with a new key"
									  : "issue again from another authority";

	if (own || c->status != CERT_REVOKED || c->revocation_reason != REASON_CA_COMPROMISE ||
	    c->not_after < l->ctx->now)
		return 0;
	l->rows[l->n++] = (struct affected){ arena_strdup(l->a, c->serial_number), arena_strdup(l->a, c->subject),
		arena_strdup(l->a, c->ca), arena_strdup(l->a, c->device), arena_strdup(l->a, c->profile), c->not_after,
		arena_strdup(l->a, action) };
	return l->n == ROWS ? pass_on(l, e) : 0;
}

static int each_below(struct each *l, const struct authority *all, size_t n, const char *ca, struct err *e)
{
	struct filter only = { .field = "ca", .op = OP_EQ, .value = ca };
	struct query q = { .filters = &only, .nfilters = 1, .sort_by = "serial_number" };

	if (ledger_each_cert(l->ctx->state, &q, on_cert, l, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (all[i].rec.parent_id && strcmp(all[i].rec.parent_id, ca) == 0 &&
		    each_below(l, all, n, all[i].rec.id, e) != 0)
			return -1;
	return 0;
}

int compromise_each(struct ctx *ctx, const char *ca, compromise_fn *fn, void *arg, struct err *e)
{
	struct each l = { .ctx = ctx, .fn = fn, .arg = arg, .a = arena_new() };
	struct authority *all;
	size_t n;
	int r;

	r = authority_all(ctx, &all, &n, e) != 0 || each_below(&l, all, n, ca, e) != 0 || pass_on(&l, e) != 0 ? -1 : 0;
	arena_free(l.a);
	return r;
}

int compromise_authority(struct ctx *ctx, struct authority *a, const char *note, const char *subject, struct err *e)
{
	struct revoke_order o = { .action = REVOKE_REVOKE, .reason = REASON_CA_COMPROMISE, .note = note,
				  .chunk = REVOKE_CHUNK,
				.subject = subject };
	size_t revoked = 0;

	a->rec.compromised = true;
	if (state_put(ctx->state, &ca_type, a->rec.id, &a->rec, e) != 0)
		return -1;
	return revoke_authority(ctx, a, &o, true, &revoked, e);
}

int compromise_notice(struct ctx *ctx, const struct authority *a, size_t affected, struct buf *out, struct err *e)
{
	struct ca_view v;

	if (authority_view(ctx, a, &v, e) != 0)
		return -1;
	buf_printf(out, "NOTICE TO RELYING PARTIES\n\nThe private key of the certificate authority\n\n    %s\n\n",
		   v.subject);
	buf_printf(out, "serial number %s, SHA-256 fingerprint\n%s,\nmust be considered compromised as of %s.\n\n",
		   v.serial_number, v.fingerprint, tm_format(ctx->arena, ctx->now));
	buf_printf(out, "It was revoked, with the %zu live certificates below it. Remove it from your trust stores, "
		   "fetch the new revocation list, and accept no certificate that it issued.\n", affected);
	return 0;
}
