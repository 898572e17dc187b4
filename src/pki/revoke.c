/* Revoking. Guarantees: a permanent revocation is never changed; reasons are those of RFC 5280 5.3.1; what a cascade
 * touches is walked from the ledger, so nothing live is forgotten, and needs the memory of one chunk however much it
 * is. */
#include "pki/revoke.h"

#include <string.h>

#include "base/tm.h"
#include "crypto/key.h"
#include "pki/keys.h"
#include "state/ledger.h"

enum { REASON_KEY_COMPROMISE = 1, REASON_CA_COMPROMISE = 2, REASON_CESSATION = 5, REASON_HOLD = 6, REASON_REMOVE = 8 };

static int check_transition(const struct certrec *c, const struct revoke_order *o, struct err *e)
{
	if (c->status == CERT_REVOKED)
		return err_set(e, ERR_CONFLICT, "certificate %s is revoked already (%s)", c->serial_number,
			       c->revocation_reason >= 0 ? revocation_reason_names[c->revocation_reason]
							 : "unspecified");
	if (o->action == REVOKE_UNHOLD && c->status != CERT_HELD)
		return err_set(e, ERR_CONFLICT, "certificate %s is not on hold", c->serial_number);
	if (o->action == REVOKE_HOLD && c->status == CERT_HELD)
		return err_set(e, ERR_CONFLICT, "certificate %s is on hold already", c->serial_number);
	if (o->action == REVOKE_REVOKE && o->reason == REASON_REMOVE)
		return err_set(e, ERR_USAGE, "remove_from_crl is no reason to revoke: use `cert unhold`");
	return 0;
}

int revoke_cert(struct ctx *ctx, const struct certrec *c, const struct revoke_order *o, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct revocation r = { .serial_number = c->serial_number, .ca = c->ca, .action = o->action,
		.time = o->at ? o->at : ctx->now, .invalidity_date = o->invalidity, .recorded = ctx->now,
		.not_after = c->not_after, .note = arena_strdup(a, o->note) };
	int reason = o->action == REVOKE_HOLD ? REASON_HOLD : o->reason;

	if (check_transition(c, o, e) != 0)
		return -1;
	if (r.time > ctx->now && !o->ahead)
		return err_set(e, ERR_USAGE, "a revocation in the future is not possible: %s", tm_format(a, r.time));
	if (o->action == REVOKE_REVOKE && reason == REASON_HOLD)
		r.action = REVOKE_HOLD;
	if (o->action != REVOKE_UNHOLD)
		r.reason = arena_strdup(a, revocation_reason_names[reason]);
	return ledger_add_revocation(ctx->state, &r, e);
}

/* Does it belong to an authority that is a child of the one that issued it, or to that one itself? revoke_authority
 * sees to those. */
static bool is_seen_to(struct ctx *ctx, const struct certrec *c)
{
	struct err ignored = { 0 };
	struct ca ca;

	if (c->ca_id == NULL || state_get(ctx->state, &ca_type, c->ca_id, &ca, &ignored) != 0)
		return false;
	return strcmp(c->ca, ca.parent_id ? ca.parent_id : ca.id) == 0;
}

struct revoking {
	struct ctx *ctx;
	const struct revoke_order *order;
	bool own;  /* an authority's certificates, not what it issued */
	size_t *n; /* of the whole cascade */
};

static int revoke_live(void *arg, const struct certrec *c, struct err *e)
{
	struct revoking *r = arg;

	if (c->status == CERT_REVOKED || (c->status == CERT_HELD && r->order->reason == REASON_HOLD) ||
	    c->not_after < r->ctx->now)
		return 0;
	if (!r->own && is_seen_to(r->ctx, c))
		return 0;
	if (revoke_cert(r->ctx, c, r->order, e) != 0)
		return -1;
	if (++*r->n % (r->order->chunk ? r->order->chunk : SIZE_MAX) != 0)
		return 0;
	ctx_progress(r->ctx, "revoking", *r->n, 0);
	return state_commit(r->ctx->state, r->order->subject, e);
}

static int revoke_where(struct revoking *r, const char *field, const char *value, struct err *e)
{
	struct filter only = { .field = field, .op = OP_EQ, .value = value };
	struct query q = { .filters = &only, .nfilters = 1 };

	return ledger_each_cert(r->ctx->state, &q, revoke_live, r, e);
}

/* A compromised key taints what it signed; a hold can be lifted, so it must not end anything below. */
static int reason_below(int reason)
{
	if (reason == REASON_HOLD)
		return REASON_HOLD;
	return reason == REASON_KEY_COMPROMISE || reason == REASON_CA_COMPROMISE
	       ? REASON_CA_COMPROMISE : REASON_CESSATION;
}

/* Children that are revoked already too: what they issued may be live. */
static int revoke_children(struct ctx *ctx, const struct authority *a, const struct revoke_order *o, size_t *n,
			   struct err *e)
{
	struct revoke_order below = *o;
	struct revoking issued = { .ctx = ctx, .order = &below, .n = n };
	struct authority *all;
	size_t count;

	below.reason = reason_below(o->reason);
	if (authority_all(ctx, &all, &count, e) != 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (all[i].rec.parent_id && strcmp(all[i].rec.parent_id, a->rec.id) == 0 && all[i].cert.der.n &&
		    revoke_authority(ctx, &all[i], &below, true, n, e) != 0)
			return -1;
	return revoke_where(&issued, "ca", a->rec.id, e);
}

int revoke_authority(struct ctx *ctx, struct authority *a, const struct revoke_order *o, bool cascade, size_t *ret_n,
		     struct err *e)
{
	struct revoking r = { .ctx = ctx, .order = o, .own = true, .n = ret_n };

	if (a->cert.der.n == 0)
		return err_set(e, ERR_CONFLICT, "ca %s is PENDING and has no certificate to revoke", a->rec.id);
	if (revoke_where(&r, "ca_id", a->rec.id, e) != 0)
		return err_ctx(e, "ca %s", a->rec.id);
	return cascade ? revoke_children(ctx, a, o, ret_n, e) : 0;
}

static bool is_live(int status)
{
	return status == CERT_ACTIVE || status == CERT_HELD;
}

static int subtract_live(void *arg, const struct certrec *c, struct err *e)
{
	int64_t *n = arg;

	(void)e;
	*n -= is_live(c->status);
	return 0;
}

/* What it issued to others: counted by the cache, without the few certificates of its own. */
static int live_certificates(struct ctx *ctx, const char *ca, int64_t *ret, struct err *e)
{
	struct filter own[] = { { .field = "ca_id", .op = OP_EQ, .value = ca },
				{ .field = "ca", .op = OP_EQ, .value = ca } };
	struct query q = { .filters = own, .nfilters = COUNT(own) };
	struct cert_count *v;
	size_t n;

	*ret = 0;
	if (ledger_count(ctx->state, &v, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (strcmp(v[i].ca, ca) == 0 && is_live(v[i].status))
			*ret += v[i].n;
	return ledger_each_cert(ctx->state, &q, subtract_live, ret, e);
}

int authority_delete(struct ctx *ctx, struct authority *a, bool cascade, struct err *e)
{
	struct authority *all;
	struct key k;
	size_t n;
	int64_t live;

	if (authority_all(ctx, &all, &n, e) != 0 || live_certificates(ctx, a->rec.id, &live, e) != 0)
		return -1;
	if (live > 0)
		return err_set(e, ERR_CONFLICT,
			       "ca %s has %lld live certificate%s: revoke them first (ca revoke --cascade)", a->rec.id,
			       (long long)live, live == 1 ? "" : "s");
	for (size_t i = 0; i < n; i++) {
		if (all[i].rec.parent_id == NULL || strcmp(all[i].rec.parent_id, a->rec.id) != 0)
			continue;
		if (!cascade)
			return err_set(e, ERR_CONFLICT, "ca %s is the parent of %s; --cascade deletes both", a->rec.id,
				       all[i].rec.id);
		if (authority_delete(ctx, &all[i], true, e) != 0)
			return -1;
	}
	if (a->rec.key && (authority_key_record(ctx, a, &k, e) != 0 || keys_unbind(ctx, &k, "ca", a->rec.id, e) != 0))
		return -1;
	return state_remove(ctx->state, arena_printf(ctx->arena, "cas/%s", a->rec.id), e);
}
