/* CRLs from the ledger's fold. Guarantees: numbers of a scope only grow; a CRL is made only from a ledger that contains what the
 * last one was made from; an entry stays until one CRL past its certificate's end (RFC 5280 3.3). */
#include "pki/crl_issue.h"

#include <string.h>

#include "base/text.h"
#include "base/tm.h"
#include "crypto/crl.h"
#include "crypto/digest.h"
#include "crypto/key.h"
#include "engine/engine.h"
#include "pki/keys.h"
#include "pki/plan_parts.h"
#include "state/ledger.h"

enum { STORED_MAX = 256 << 10 };

struct making {
	struct ctx *ctx;
	struct authority *ca;
	const struct crl_order *order;
	crl_builder *builder;
	struct crlrec rec, base;      /* base: the newest full CRL of the scope */
	bool have_base;
	struct bytes certificate_issuer; /* indirect CRLs */
};

int64_t crl_partitions(struct ctx *ctx, const struct authority *a)
{
	return a->rec.crl.partitions ? a->rec.crl.partitions : state_config(ctx->state)->crl.partitions;
}

static char *scope_name(struct arena *ar, bool delta, int64_t partition)
{
	const char *kind = delta ? "delta" : "full";

	return partition < 0 ? arena_strdup(ar, kind) : arena_printf(ar, "%s/%d", kind, (int)partition);
}

/* --- numbers --- */

/* Numbers are decimal text without leading zeros: up to 20 octets (RFC 5280 5.2.3), more than an int64_t. */
static int compare_numbers(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);

	return n != m ? (n < m ? -1 : 1) : strcmp(a, b);
}

static char *number_after(struct arena *ar, const char *number)
{
	char *out = arena_printf(ar, "0%s", number);
	size_t i = strlen(out) - 1;

	for (; out[i] == '9'; i--)
		out[i] = '0';
	out[i]++;
	return *out == '0' ? out + 1 : out;
}

/* Full and delta CRLs of a scope share one sequence: max(last + 1, time). */
static int next_number(struct making *m, char **ret, struct err *e)
{
	struct ctx *ctx = m->ctx;
	char *number = arena_printf(ctx->arena, "%lld", (long long)m->rec.this_update);

	for (int delta = 0; delta < 2; delta++) {
		struct crlrec r;
		bool found;

		if (ledger_last_crl(ctx->state, m->ca->rec.id, scope_name(ctx->arena, delta, m->order->partition), &found, &r, e) != 0)
			return -1;
		if (!found)
			continue;
		if (compare_numbers(r.number, number) >= 0)
			number = number_after(ctx->arena, r.number);
		if (r.ledger_commit && !ledger_contains(ctx->state, r.ledger_commit))
			return err_set(e, ERR_CONFLICT, "CRL %s of %s was made from ledger commit %.12s, which is not here: run `lamassu "
				       "repo sync` first, or a revocation could be lost", r.number, m->ca->rec.id, r.ledger_commit);
		if (!delta) {
			m->base = r;
			m->have_base = true;
		}
	}
	*ret = number;
	return 0;
}

/* --- extensions --- */

static struct strv one(struct arena *ar, char *uri)
{
	struct strv v = { arena_new_array(ar, 1, char *), 1, true };

	v.v[0] = uri;
	return v;
}

static int add_freshest(struct making *m, struct exts *x, struct err *e)
{
	struct arena *ar = m->ctx->arena;
	const struct config *c = state_config(m->ctx->state);
	char *ski = hex_encode(ar, authority_key_id(ar, m->ca));
	struct strv uri;

	if (m->order->delta || !c->crl.delta || c->va_domains.n == 0)
		return 0;
	uri = one(ar, m->order->partition < 0
		? arena_printf(ar, "http://%s/crl/%s.delta.crl", c->va_domains.v[0], ski)
		: arena_printf(ar, "http://%s/crl/%s.%d.delta.crl", c->va_domains.v[0], ski, (int)m->order->partition));
	return ext_cdp(ar, x, OID_FRESHEST, &uri, e);
}

static int build_exts(struct making *m, bool indirect, struct bytes keyid, struct exts *x, struct err *e)
{
	struct arena *ar = m->ctx->arena;
	struct crl_idp idp = { .indirect = indirect };

	ext_aki(ar, x, keyid);
	crl_ext_number(ar, x, OID_CRL_NUMBER, m->rec.number);
	if (m->order->delta)
		crl_ext_number(ar, x, OID_DELTA_CRL, m->base.number);
	if (m->order->partition >= 0)
		idp.uris = authority_cdp(ar, state_config(m->ctx->state), m->ca, m->order->partition);
	if (m->order->partition >= 0 && idp.uris.n == 0)
		return err_set(e, ERR_INVALID, "partitioned CRLs need va_domains or crl_distribution_points with ${partition}: a "
			       "partition's name equals its certificates' (RFC 5280 5.2.5)");
	if ((idp.uris.n || indirect) && crl_ext_idp(ar, x, &idp, e) != 0)
		return -1;
	return add_freshest(m, x, e);
}

/* --- who signs --- */

/* An indirect CRL is signed by another key, whose certificate must be in the ledger and carry cRLSign. */
static int indirect_signer(struct making *m, EVP_PKEY **ret_key, struct cert *ret_cert, struct err *e)
{
	struct ctx *ctx = m->ctx;
	struct filter only = { .field = "key_id", .op = OP_EQ };
	struct query q = { .filters = &only, .nfilters = 1, .sort_by = "not_after", .desc = true, .page_size = 1 };
	struct certrec *v;
	struct bytes pem;
	struct key k;
	char *next;
	size_t n;

	if (keys_resolve(ctx, m->ca->rec.crl.issuer_key, &k, e) != 0)
		return -1;
	only.value = k.id;
	if (ledger_certs(ctx->state, &q, &v, &n, &next, e) != 0)
		return -1;
	if (n == 0)
		return err_set(e, ERR_NOT_FOUND, "CRL issuer key %s has no certificate in the ledger", m->ca->rec.crl.issuer_key);
	if (ledger_cert_pem(ctx->state, &v[0], &pem, e) != 0 || cert_parse(ctx->arena, pem, ret_cert, e) != 0)
		return -1;
	if (!(ret_cert->key_usage & USE_CRL_SIGN))
		return err_set(e, ERR_DENIED, "certificate %s of the CRL issuer lacks cRLSign (RFC 5280 6.3.3)", v[0].serial_number);
	return engine_key(ctx, &k, ret_key, e);
}

static int add_row(void *arg, const struct revoked_row *r, struct err *e)
{
	struct making *m = arg;
	struct crl_entry entry = { .serial = { r->serial, r->serial_n }, .time = r->time, .reason = r->reason,
		.invalidity = r->invalidity, .certificate_issuer = m->certificate_issuer };

	if (m->order->partition >= 0 && r->partition != m->order->partition)
		return 0;
	if (r->removed && !m->order->delta)
		return 0;
	if (r->removed)
		entry.reason = 8; /* removeFromCRL, in deltas only (RFC 5280 5.3.1) */
	m->certificate_issuer = (struct bytes){ 0 }; /* holds for the entries that follow (RFC 5280 5.3.3) */
	return crl_add(m->builder, &entry, e);
}

static int fill_and_sign(struct making *m, const struct crl_head *head, EVP_PKEY *key, struct bytes *ret, struct err *e)
{
	AUTO(crl_builder) *b = crl_new(head);
	const char *since = m->order->delta ? m->base.ledger_commit : NULL;
	int64_t expired = m->have_base ? m->base.this_update : 0;

	m->builder = b;
	if (ledger_each_revoked(m->ctx->state, m->ca->rec.id, expired, since, add_row, m, e) != 0)
		return -1;
	m->rec.entries = (int64_t)crl_count(b);
	return crl_sign(m->ctx->arena, b, key, sigalg_default(key), ret, e);
}

static int make(struct making *m, struct bytes *ret, struct err *e)
{
	AUTO(EVP_PKEY) *other = NULL;
	struct cert other_cert = { 0 };
	bool indirect = m->ca->rec.crl.issuer_key != NULL;
	struct crl_head head = { .this_update = m->rec.this_update, .next_update = m->rec.next_update };
	const struct cert *signer = indirect ? &other_cert : &m->ca->cert;

	if (indirect ? indirect_signer(m, &other, &other_cert, e) != 0 : authority_open_key(m->ctx, m->ca, e) != 0)
		return -1;
	if (!indirect && signer->key_usage && !(signer->key_usage & USE_CRL_SIGN))
		return err_set(e, ERR_DENIED, "ca %s: its certificate lacks cRLSign (RFC 5280 4.2.1.3)", m->ca->rec.id);
	if (indirect)
		m->certificate_issuer = m->ca->cert.subject;
	head.issuer = signer->subject;
	if (build_exts(m, indirect, signer->ski.n ? signer->ski : cert_key_id(m->ctx->arena, signer->spki), &head.exts, e) != 0)
		return -1;
	return fill_and_sign(m, &head, indirect ? other : m->ca->key, ret, e);
}

static int record(struct ctx *ctx, struct crlrec *rec, struct bytes der, struct err *e)
{
	rec->sha256 = sha256_hex(ctx->arena, der);
	rec->stored = der.n <= STORED_MAX;
	return ledger_add_crl(ctx->state, rec, rec->stored ? der : (struct bytes){ 0 }, e);
}

int crl_issue(struct ctx *ctx, struct authority *ca, const struct crl_order *o, struct crl_made *ret, struct err *e)
{
	struct making m = { .ctx = ctx, .ca = ca, .order = o };
	int64_t validity = o->validity ? o->validity : state_config(ctx->state)->crl.validity.secs;
	struct bytes der;

	if (ca->cert.der.n == 0)
		return err_set(e, ERR_CONFLICT, "ca %s is PENDING and has no CRL", ca->rec.id);
	m.rec = (struct crlrec){ .ca = ca->rec.id, .scope = scope_name(ctx->arena, o->delta, o->partition),
		.this_update = o->this_update ? o->this_update : ctx->now,
		.ledger_commit = arena_strdup(ctx->arena, ledger_tip(ctx->state)) };
	m.rec.next_update = m.rec.this_update + validity;
	if (next_number(&m, &m.rec.number, e) != 0)
		return err_ctx(e, "ca %s", ca->rec.id);
	if (o->delta && !m.have_base)
		return err_set(e, ERR_CONFLICT, "ca %s: a delta CRL needs a full one first", ca->rec.id);
	if (o->delta)
		m.rec.base_number = m.base.number;
	if (make(&m, &der, e) != 0 || record(ctx, &m.rec, der, e) != 0)
		return -1;
	*ret = (struct crl_made){ der, m.rec };
	return 0;
}

int crl_install(struct ctx *ctx, struct authority *ca, struct bytes text, struct crl_made *ret, struct err *e)
{
	AUTO(EVP_PKEY) *pub = NULL;
	struct crlrec last, rec = { .ca = ca->rec.id };
	struct crl crl;
	bool found;

	if (crl_parse(ctx->arena, text, &crl, e) != 0 || cert_pubkey(&ca->cert, &pub, e) != 0 || crl_verify(&crl, pub, e) != 0)
		return err_ctx(e, "ca %s", ca->rec.id);
	if (!bytes_equal(crl.issuer, ca->cert.subject))
		return err_set(e, ERR_DENIED, "the CRL's issuer is not ca %s", ca->rec.id);
	rec.scope = scope_name(ctx->arena, crl.base_number != NULL, -1);
	rec.number = crl.number;
	rec.base_number = crl.base_number;
	rec.this_update = crl.this_update;
	rec.next_update = crl.next_update;
	if (rec.number == NULL)
		return err_set(e, ERR_INVALID, "the CRL has no number (RFC 5280 5.2.3)");
	if (ledger_last_crl(ctx->state, ca->rec.id, rec.scope, &found, &last, e) != 0)
		return -1;
	if (found && compare_numbers(last.number, rec.number) >= 0)
		return err_set(e, ERR_CONFLICT, "CRL number %s is not above %s, the last one here", rec.number, last.number);
	if (record(ctx, &rec, crl.der, e) != 0)
		return -1;
	*ret = (struct crl_made){ crl.der, rec };
	return 0;
}

int crl_due(struct ctx *ctx, const struct authority *ca, int64_t until, bool *ret, struct err *e)
{
	int64_t hours = ca->rec.crl.crl_update_interval_hours;
	struct crlrec last;
	bool found;

	*ret = false;
	if (ca->rec.key == NULL || ca->cert.der.n == 0)
		return 0;
	if (ledger_last_crl(ctx->state, ca->rec.id, scope_name(ctx->arena, false, crl_partitions(ctx, ca) ? 0 : -1), &found, &last, e) != 0)
		return -1;
	if (found)
		*ret = last.next_update <= until || (hours && last.this_update + hours * 3600 <= ctx->now);
	else
		*ret = hours > 0;
	return 0;
}
