/* An authority's key is compromised. Guarantees: after the commit it issues nothing, it and all below it are revoked, and every live
 * certificate that this touches is in the list. */
#include "pki/compromise.h"

#include <string.h>

#include "base/tm.h"
#include "pki/revoke.h"
#include "state/ledger.h"

enum { REASON_CA_COMPROMISE = 2 };

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
	.name = "affected", .plural = "affected", .doc = "A certificate that a compromise touches", .size = sizeof(struct affected),
	.fields = affected_fields
};

struct list {
	struct ctx *ctx;
	struct affected *v;
	size_t n;
};

static int list_cert(void *arg, const struct certrec *c, struct err *e)
{
	struct list *l = arg;
	struct arena *ar = l->ctx->arena;
	const char *action = c->is_ca ? "make a new authority" : c->device ? "enrol the device again with a new key"
									  : "issue again from another authority";

	(void)e;
	if (c->status == CERT_REVOKED || c->not_after < l->ctx->now || (c->ca_id && strcmp(c->ca_id, c->ca) == 0))
		return 0;
	l->v = arena_grow(ar, l->v, l->n, sizeof(*l->v));
	l->v[l->n++] = (struct affected){ arena_strdup(ar, c->serial_number), arena_strdup(ar, c->subject), arena_strdup(ar, c->ca),
		arena_strdup(ar, c->device), arena_strdup(ar, c->profile), c->not_after, arena_strdup(ar, action) };
	return 0;
}

static int list_below(struct list *l, const char *ca, struct err *e)
{
	struct filter only = { .field = "ca", .op = OP_EQ, .value = ca };
	struct query q = { .filters = &only, .nfilters = 1, .sort_by = "serial_number" };
	struct authority *all;
	size_t n;

	if (ledger_each_cert(l->ctx->state, &q, list_cert, l, e) != 0 || authority_all(l->ctx, &all, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (all[i].rec.parent_id && strcmp(all[i].rec.parent_id, ca) == 0 && list_below(l, all[i].rec.id, e) != 0)
			return -1;
	return 0;
}

int compromise_authority(struct ctx *ctx, struct authority *a, const char *note, struct affected **ret, size_t *ret_n, struct err *e)
{
	struct revoke_order o = { .action = REVOKE_REVOKE, .reason = REASON_CA_COMPROMISE, .note = note };
	struct list l = { .ctx = ctx };
	size_t revoked = 0;

	if (list_below(&l, a->rec.id, e) != 0)
		return -1;
	a->rec.compromised = true;
	if (state_put(ctx->state, &ca_type, a->rec.id, &a->rec, e) != 0 || revoke_authority(ctx, a, &o, true, &revoked, e) != 0)
		return -1;
	*ret = l.v;
	*ret_n = l.n;
	return 0;
}

int compromise_notice(struct ctx *ctx, const struct authority *a, size_t affected, struct buf *out, struct err *e)
{
	struct ca_view v;

	if (authority_view(ctx, a, &v, e) != 0)
		return -1;
	buf_printf(out, "NOTICE TO RELYING PARTIES\n\nThe private key of the certificate authority\n\n    %s\n\n", v.subject);
	buf_printf(out, "serial number %s, SHA-256 fingerprint\n%s,\nmust be considered compromised as of %s.\n\n", v.serial_number,
		   v.fingerprint, tm_format(ctx->arena, ctx->now));
	buf_printf(out, "It was revoked, with the %zu live certificates below it. Remove it from your trust stores, fetch the new revocation "
		   "list, and accept no certificate that it issued.\n", affected);
	return 0;
}
