/* CRLs from the ledger's fold. Guarantees: numbers of a scope only grow; a CRL is made only from a ledger that contains
 * what the last one was made from; an entry stays until one CRL past its certificate's end (RFC 5280 3.3). */
#include "pki/crl_parts.h"

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

enum { STORED_MAX = 256 << 10, HOUR = 3600 };

struct making {
	struct ctx *ctx;
	struct authority *ca;
	const struct crl_order *order;
	crl_builder *builder;
	struct crlrec rec, base;      /* base: the newest full CRL of the scope that is in force when this one is */
	bool have_base;
	struct bytes certificate_issuer; /* indirect CRLs */
};

char *crl_scope_name(struct arena *ar, bool delta, int64_t partition)
{
	const char *kind = delta ? "delta" : "full";

	return partition < 0 ? arena_strdup(ar, kind) : arena_printf(ar, "%s/%d", kind, (int)partition);
}

/* --- numbers --- */

int crl_compare_numbers(const char *a, const char *b)
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

		if (ledger_last_crl(ctx->state, m->ca->rec.id, crl_scope_name(ctx->arena, delta, m->order->partition),
				    &found, &r, e) != 0)
			return -1;
		if (!found)
			continue;
		if (crl_compare_numbers(r.number, number) >= 0)
			number = number_after(ctx->arena, r.number);
		if (r.ledger_commit && !ledger_contains(ctx->state, r.ledger_commit))
			return err_set(e, ERR_CONFLICT, "CRL %s of %s was made from ledger commit %.12s, which is not "
				       "here: run `lamassu repo sync` first, or a revocation could be lost", r.number,
				       m->ca->rec.id, r.ledger_commit);
	}
	*ret = m->order->number ? arena_strdup(ctx->arena, m->order->number) : number;
	return 0;
}

/* The full CRL that relying parties have when this one comes out: not one dated ahead, as horizons are. */
static int find_base(struct making *m, struct err *e)
{
	const char *scope = crl_scope_name(m->ctx->arena, false, m->order->partition);
	struct crlrec *v;
	size_t n;

	if (ledger_last_crl(m->ctx->state, m->ca->rec.id, scope, &m->have_base, &m->base, e) != 0)
		return -1;
	if (!m->have_base || m->base.this_update <= m->rec.this_update)
		return 0;
	m->have_base = false;
	if (ledger_crls(m->ctx->state, m->ca->rec.id, &v, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n && !m->have_base; i++) /* the newest first */
		if (strcmp(v[i].scope, scope) == 0 && v[i].this_update <= m->rec.this_update) {
			m->base = v[i];
			m->have_base = true;
		}
	return 0;
}

bool crl_has_base(struct ctx *ctx, const struct authority *a, int64_t partition, struct err *e)
{
	struct crlrec r;
	bool found;

	return ledger_last_crl(ctx->state, a->rec.id, crl_scope_name(ctx->arena, false, partition), &found, &r,
			       e) == 0 && found;
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
	return ext_cdp(ar, x, OID_FRESHEST, &uri, (struct bytes){ 0 }, e);
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
	if ((idp.uris.n || indirect) && crl_ext_idp(ar, x, &idp, e) != 0)
		return -1;
	return add_freshest(m, x, e);
}

/* --- who signs --- */

int crl_signer(struct ctx *ctx, const struct ca *ca, struct key *ret_key, struct cert *ret_cert, struct err *e)
{
	struct filter only = { .field = "key_id", .op = OP_EQ };
	struct query q = { .filters = &only, .nfilters = 1, .sort_by = "not_after", .desc = true, .page_size = 1 };
	struct certrec *v;
	struct bytes pem;
	char *next;
	size_t n;

	if (keys_resolve(ctx, ca->crl.issuer_key, ret_key, e) != 0)
		return err_ctx(e, "ca %s: crl.issuer_key", ca->id);
	only.value = ret_key->id;
	if (ledger_certs(ctx->state, &q, &v, &n, &next, e) != 0)
		return -1;
	if (n == 0)
		return err_set(e, ERR_NOT_FOUND, "ca %s: crl.issuer_key has no certificate in the ledger", ca->id);
	if (ledger_cert_pem(ctx->state, &v[0], &pem, e) != 0 || cert_parse(ctx->arena, pem, ret_cert, e) != 0)
		return -1;
	if (!(ret_cert->key_usage & USE_CRL_SIGN))
		return err_set(e, ERR_DENIED, "ca %s: certificate %s of crl.issuer_key lacks cRLSign (RFC 5280 6.3.3)",
			       ca->id, v[0].serial_number);
	return 0;
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
	return crl_add(m->builder, &entry, e);
}

static int fill_and_sign(struct making *m, const struct crl_head *head, EVP_PKEY *key, struct bytes *ret, struct err *e)
{
	AUTO(crl_builder) *b = crl_new(head);
	const struct revoked_span span = {
		.as_of = m->rec.this_update,
		/* what ended before the last CRL was on it for the last time */
		.expired_before = m->have_base ? m->base.this_update : 0,
		.since_commit = m->order->delta ? m->base.ledger_commit : NULL,
		.since = m->base.this_update
	};

	m->builder = b;
	if (ledger_each_revoked(m->ctx->state, m->ca->rec.id, &span, add_row, m, e) != 0)
		return -1;
	m->rec.entries = (int64_t)crl_count(b);
	return crl_sign(m->ctx->arena, b, key, sigalg_default(key), ret, e);
}

static int make(struct making *m, struct bytes *ret, struct err *e)
{
	AUTO(EVP_PKEY) *other = NULL;
	struct cert other_cert = { 0 };
	struct key other_key;
	bool indirect = m->ca->rec.crl.issuer_key != NULL;
	struct crl_head head = { .this_update = m->rec.this_update, .next_update = m->rec.next_update,
		.expected = m->have_base && !m->order->delta ? (size_t)m->base.entries * 9 / 8 : 0 };
	const struct cert *signer = indirect ? &other_cert : &m->ca->cert;

	if (indirect ? crl_signer(m->ctx, &m->ca->rec, &other_key, &other_cert, e) != 0 ||
	    engine_key(m->ctx, &other_key, &other, e) != 0
		     : authority_open_key(m->ctx, m->ca, e) != 0)
		return -1;
	if (!indirect && signer->key_usage && !(signer->key_usage & USE_CRL_SIGN))
		return err_set(e, ERR_DENIED, "ca %s: its certificate lacks cRLSign (RFC 5280 4.2.1.3)", m->ca->rec.id);
	if (indirect)
		m->certificate_issuer = m->ca->cert.subject;
	head.issuer = signer->subject;
	if (build_exts(m, indirect, signer->ski.n ? signer->ski : cert_key_id(m->ctx->arena, signer->spki), &head.exts,
		       e) != 0)
		return -1;
	return fill_and_sign(m, &head, indirect ? other : m->ca->key, ret, e);
}

int crl_record(struct ctx *ctx, struct crlrec *rec, struct bytes der, struct err *e)
{
	rec->sha256 = sha256_hex(ctx->arena, der);
	rec->stored = der.n <= STORED_MAX;
	return ledger_add_crl(ctx->state, rec, rec->stored ? der : (struct bytes){ 0 }, e);
}

/* By order, by authority, by repository; never so short that it ends before the next one is due. */
static int64_t validity(const struct making *m)
{
	const struct ca_crl *own = &m->ca->rec.crl;
	int64_t secs = own->validity.secs ? own->validity.secs : state_config(m->ctx->state)->crl.validity.secs;
	int64_t interval = own->crl_update_interval_hours * HOUR;

	if (m->order->validity)
		return m->order->validity;
	return secs > interval ? secs : interval + interval / 4;
}

int crl_issue(struct ctx *ctx, struct authority *ca, const struct crl_order *o, struct crl_made *ret, struct err *e)
{
	struct making m = { .ctx = ctx, .ca = ca, .order = o };
	struct bytes der;

	if (ca->cert.der.n == 0)
		return err_set(e, ERR_CONFLICT, "ca %s is PENDING and has no CRL", ca->rec.id);
	m.rec = (struct crlrec){ .ca = ca->rec.id, .scope = crl_scope_name(ctx->arena, o->delta, o->partition),
		.this_update = o->this_update ? o->this_update : ctx->now,
		.ledger_commit = arena_strdup(ctx->arena, ledger_tip(ctx->state)) };
	m.rec.next_update = m.rec.this_update + validity(&m);
	if (m.rec.next_update <= m.rec.this_update || m.rec.next_update > TIME_MAX)
		return err_set(e, ERR_INVALID, "the CRL would end before it begins, or after the year 9999");
	if (next_number(&m, &m.rec.number, e) != 0 || find_base(&m, e) != 0)
		return -1;
	if (o->delta && !m.have_base)
		return err_set(e, ERR_CONFLICT, "ca %s: a delta CRL needs a full one first", ca->rec.id);
	if (o->delta)
		m.rec.base_number = m.base.number;
	if (make(&m, &der, e) != 0 || crl_record(ctx, &m.rec, der, e) != 0)
		return -1;
	*ret = (struct crl_made){ .der = der, .rec = m.rec };
	return 0;
}

/* --- what there is to make --- */

struct in_use {
	const char *ca;
	int64_t highest;
	bool loose; /* a certificate in no partition */
};

static int look_at(void *arg, const struct certrec *c, struct err *e)
{
	struct in_use *u = arg;

	(void)e;
	if (c->partition > u->highest)
		u->highest = c->partition;
	u->loose = u->loose || (c->partition < 0 && !(c->ca_id && strcmp(c->ca_id, u->ca) == 0));
	return 0;
}

int crl_scopes(struct ctx *ctx, const struct authority *a, struct crl_scopes *ret, struct err *e)
{
	const struct config *config = state_config(ctx->state);
	int64_t partitions = authority_partitions(config, a);
	struct filter only = { .field = "ca", .op = OP_EQ, .value = a->rec.id };
	struct query q = { .filters = &only, .nfilters = 1 };
	struct in_use used = { .ca = a->rec.id, .highest = -1 };
	struct crlrec last;
	bool before;

	if (partitions == 0 && a->rec.crl.partitions + config->crl.partitions > 0)
		return err_set(e, ERR_INVALID, "ca %s: partitioned CRLs need va_domains, or crl_distribution_points "
			       "with ${partition}: a partition's name equals its certificates' (RFC 5280 5.2.5)",
			       a->rec.id);
	if (ledger_last_crl(ctx->state, a->rec.id, crl_scope_name(ctx->arena, false, 0), &before, &last, e) != 0)
		return -1;
	if ((partitions || before) && ledger_each_cert(ctx->state, &q, look_at, &used, e) != 0)
		return -1;
	*ret = (struct crl_scopes){ partitions > used.highest ? partitions : used.highest + 1, used.loose };
	ret->complete = ret->complete || ret->partitions == 0;
	return 0;
}

static int scope_due(struct ctx *ctx, const struct authority *ca, int64_t partition, int64_t until, bool *ret,
		     struct err *e)
{
	int64_t interval = ca->rec.crl.crl_update_interval_hours * HOUR;
	struct crlrec last;
	bool found;

	if (ledger_last_crl(ctx->state, ca->rec.id, crl_scope_name(ctx->arena, false, partition), &found, &last,
			    e) != 0)
		return -1;
	if (found)
		*ret = *ret || last.next_update <= until || (interval && last.this_update + interval <= ctx->now);
	else
		*ret = *ret || interval > 0;
	return 0;
}

int crl_scope_due(struct ctx *ctx, const struct authority *ca, int64_t partition, int64_t until, bool *ret,
		  struct err *e)
{
	*ret = false;
	return scope_due(ctx, ca, partition, until, ret, e);
}

int crl_due(struct ctx *ctx, const struct authority *ca, int64_t until, bool *ret, struct err *e)
{
	struct crl_scopes s;

	*ret = false;
	if (ca->rec.key == NULL || ca->cert.der.n == 0)
		return 0;
	if (crl_scopes(ctx, ca, &s, e) != 0 || (s.complete && scope_due(ctx, ca, -1, until, ret, e) != 0))
		return -1;
	for (int64_t p = 0; p < s.partitions; p++)
		if (scope_due(ctx, ca, p, until, ret, e) != 0)
			return -1;
	return 0;
}
