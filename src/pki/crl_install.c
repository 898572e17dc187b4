/* CRLs made elsewhere for authorities of this repository (C12). Guarantees: the signature is the authority's, the
 * number has grown, and what the CRL lists is revoked here too; nothing is ever un-revoked but by the removeFromCRL of
 * a delta. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/crl.h"
#include "crypto/der.h"
#include "pki/crl_parts.h"
#include "pki/plan_parts.h"
#include "pki/revoke.h"
#include "state/ledger.h"

enum { SERIAL_MAX = 20, REASON_HOLD = 6, REASON_REMOVE = 8, CLOCKS_DIFFER = 600 };

/* --- which partition --- */

/* Only a distribution point, and no restriction to some certificates, reasons or issuers (RFC 5280 5.2.5). */
static bool is_complete(struct bytes idp)
{
	struct der d = der_of(idp);
	struct bytes v;
	int tag;

	if (!der_expect(&d, DER_SEQUENCE, &v) || !der_done(&d))
		return false;
	d = der_of(v);
	return der_next(&d, &tag, &v, NULL) && tag == DER_CTX_CONS && der_done(&d);
}

static int find_partition(struct ctx *ctx, const struct authority *ca, const struct crl *crl, int64_t *ret,
			  struct err *e)
{
	const struct ext *idp = exts_find(&crl->exts, OID_IDP);
	const struct config *config = state_config(ctx->state);

	for (int64_t p = 0; idp && p < authority_partitions(config, ca); p++) {
		struct crl_idp ours = { .uris = authority_cdp(ctx->arena, config, ca, p) };
		struct exts x = { 0 };

		if (crl_ext_idp(ctx->arena, &x, &ours, e) != 0)
			return -1;
		if (bytes_equal(x.v[0].value, idp->value)) {
			*ret = p;
			return 0;
		}
	}
	if (idp && !is_complete(idp->value))
		return err_set(e, ERR_UNSUPPORTED,
			       "the CRL covers only a part that is unknown here (issuingDistributionPoint)");
	*ret = -1;
	return 0;
}

/* --- what it lists --- */

struct listed {
	unsigned char serial[SERIAL_MAX]; /* right-aligned */
	int reason;
	int64_t time, invalidity;
};
struct taking {
	struct ctx *ctx;
	const char *number;
	bool delta;
	struct arena *ar; /* of the list */
	struct listed *v;
	size_t n, taken, missing;
};

static int note_entry(void *arg, const struct crl_entry *x, struct err *e)
{
	struct taking *t = arg;
	struct listed l = { .reason = x->reason, .time = x->time, .invalidity = x->invalidity };

	if (x->serial.n > SERIAL_MAX)
		return err_set(e, ERR_INVALID, "the CRL has a serial number of more than %d octets (RFC 5280 4.1.2.2)",
			       SERIAL_MAX);
	if (x->certificate_issuer.n) /* another authority's */
		return 0;
	memcpy(l.serial + SERIAL_MAX - x->serial.n, x->serial.p, x->serial.n);
	t->v = arena_grow(t->ar, t->v, t->n, sizeof(*t->v));
	t->v[t->n++] = l;
	return 0;
}

static int by_serial(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;

	return memcmp(x->serial, y->serial, SERIAL_MAX);
}

static const struct listed *find(const struct taking *t, struct arena *ar, const char *serial_hex)
{
	struct listed key = { 0 };
	struct bytes serial;

	if (t->n == 0 || hex_decode(ar, serial_hex, &serial) != 0 || serial.n > SERIAL_MAX)
		return NULL;
	memcpy(key.serial + SERIAL_MAX - serial.n, serial.p, serial.n);
	return bsearch(&key, t->v, t->n, sizeof(*t->v), by_serial);
}

static int compare_cert(void *arg, const struct certrec *c, struct err *e)
{
	struct taking *t = arg;
	SCOPED_ARENA *scratch = arena_new();
	const struct listed *l = find(t, scratch, c->serial_number);
	struct revoke_order o = { .note = arena_printf(t->ctx->arena, "listed in CRL %s", t->number) };

	if (l == NULL) {
		t->missing += !t->delta && (c->status == CERT_REVOKED || c->status == CERT_HELD) &&
			      c->not_after >= t->ctx->now;
		return 0;
	}
	o.action = l->reason == REASON_REMOVE ? REVOKE_UNHOLD : l->reason == REASON_HOLD ? REVOKE_HOLD : REVOKE_REVOKE;
	if (c->status == CERT_REVOKED || (c->status == CERT_HELD && o.action == REVOKE_HOLD) ||
	    (c->status != CERT_HELD && o.action == REVOKE_UNHOLD))
		return 0;
	o.reason = l->reason;
	o.at = l->time < t->ctx->now ? l->time : t->ctx->now;
	o.invalidity = l->invalidity;
	t->taken++;
	return revoke_cert(t->ctx, c, &o, e);
}

static int take_entries(struct ctx *ctx, const char *ca, const struct crl *crl, size_t *ret, struct err *e)
{
	SCOPED_ARENA *list = arena_new();
	struct taking t = { .ctx = ctx, .number = crl->number, .delta = crl->base_number != NULL, .ar = list };
	struct filter only = { .field = "ca", .op = OP_EQ, .value = ca };
	struct query q = { .filters = &only, .nfilters = 1 };

	if (crl_each(crl, note_entry, &t, e) != 0)
		return -1;
	if (t.n)
		qsort(t.v, t.n, sizeof(*t.v), by_serial);
	if (ledger_each_cert(ctx->state, &q, compare_cert, &t, e) != 0)
		return -1;
	if (t.missing)
		ctx_warn(ctx, "CRL %s of %s lacks certificates that are revoked here: %zu", crl->number, ca, t.missing);
	*ret = t.taken;
	return 0;
}

/* A CRL out of its time is taken all the same, as the clocks of two places differ; nobody should do it unawares. */
static void warn_of_time(struct ctx *ctx, const struct crlrec *c)
{
	if (c->this_update > ctx->now + CLOCKS_DIFFER)
		ctx_warn(ctx, "CRL %s of %s begins %s: until then there is none, as no earlier one can be installed "
			 "any more", c->number, c->ca, tm_format(ctx->arena, c->this_update));
	if (c->next_update && c->next_update < ctx->now)
		ctx_warn(ctx, "CRL %s of %s was good until %s", c->number, c->ca,
			 tm_format(ctx->arena, c->next_update));
}

int crl_install(struct ctx *ctx, struct authority *ca, struct bytes text, struct crl_made *ret, struct err *e)
{
	AUTO(EVP_PKEY) *pub = NULL;
	struct crl_made made = { .rec.ca = ca->rec.id };
	struct crlrec last;
	int64_t partition;
	struct crl crl;
	bool found;

	if (ca->cert.der.n == 0)
		return err_set(e, ERR_CONFLICT, "ca %s is PENDING and has no CRL", ca->rec.id);
	if (crl_parse(ctx->arena, text, &crl, e) != 0 || cert_pubkey(&ca->cert, &pub, e) != 0)
		return -1;
	if (!bytes_equal(crl.issuer, ca->cert.subject))
		return err_set(e, ERR_DENIED, "the CRL's issuer is not ca %s", ca->rec.id);
	if (crl_verify(&crl, pub, e) != 0 || find_partition(ctx, ca, &crl, &partition, e) != 0)
		return -1;
	if (crl.number == NULL)
		return err_set(e, ERR_INVALID, "the CRL has no number (RFC 5280 5.2.3)");
	made.rec.scope = crl_scope_name(ctx->arena, crl.base_number != NULL, partition);
	made.rec.number = crl.number;
	made.rec.base_number = crl.base_number;
	made.rec.this_update = crl.this_update;
	made.rec.next_update = crl.next_update;
	if (ledger_last_crl(ctx->state, ca->rec.id, made.rec.scope, &found, &last, e) != 0)
		return -1;
	if (found && crl_compare_numbers(last.number, crl.number) >= 0)
		return err_set(e, ERR_CONFLICT, "CRL number %s is not above %s, the last one here", crl.number,
			       last.number);
	if (take_entries(ctx, ca->rec.id, &crl, &made.taken, e) != 0 || crl_record(ctx, &made.rec, crl.der, e) != 0)
		return -1;
	warn_of_time(ctx, &made.rec);
	made.der = crl.der;
	*ret = made;
	return 0;
}
