/* Revoking. Guarantees: a permanent revocation is never changed; reasons are those of RFC 5280 5.3.1; what a cascade touches is
 * walked from the ledger, so nothing live is forgotten. */
#include "pki/revoke.h"

#include <string.h>

#include "base/tm.h"
#include "crypto/key.h"
#include "pki/keys.h"
#include "state/ledger.h"

enum { REASON_CESSATION = 5, REASON_HOLD = 6, REASON_REMOVE = 8, PAGE = 1000 };

static int check_transition(const struct certrec *c, const struct revoke_order *o, struct err *e)
{
	if (c->status == CERT_REVOKED)
		return err_set(e, ERR_CONFLICT, "certificate %s is revoked already (%s)", c->serial_number,
			       c->revocation_reason >= 0 ? revocation_reason_names[c->revocation_reason] : "unspecified");
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
	struct revocation r = { .serial_number = c->serial_number, .ca = c->ca, .action = o->action,
		.time = o->at ? o->at : ctx->now, .invalidity_date = o->invalidity, .recorded = ctx->now,
		.not_after = c->not_after, .note = arena_strdup(ctx->arena, o->note) };
	int reason = o->action == REVOKE_HOLD ? REASON_HOLD : o->reason;

	if (check_transition(c, o, e) != 0)
		return -1;
	if (r.time > ctx->now)
		return err_set(e, ERR_USAGE, "a revocation in the future is not possible: %s", tm_format(ctx->arena, r.time));
	if (o->action == REVOKE_REVOKE && reason == REASON_HOLD)
		r.action = REVOKE_HOLD;
	if (o->action != REVOKE_UNHOLD)
		r.reason = arena_strdup(ctx->arena, revocation_reason_names[reason]);
	return ledger_add_revocation(ctx->state, &r, e);
}

/* Is this the newest or an earlier certificate of an authority of the repository? revoke_authority sees to those itself. */
static bool is_authoritys_own(struct ctx *ctx, const struct certrec *c)
{
	struct err ignored = { 0 };
	struct ca ca;

	if (c->ca_id == NULL || state_get(ctx->state, &ca_type, c->ca_id, &ca, &ignored) != 0 || ca.serial_number == NULL)
		return false;
	for (size_t i = 0; i < ca.previous_serials.n; i++)
		if (strcmp(ca.previous_serials.v[i], c->serial_number) == 0)
			return true;
	return strcmp(ca.serial_number, c->serial_number) == 0;
}

/* Pages through live certificates, so that a million of them need no memory at once. The ledger's view does not change while
 * the transaction grows, so offsets stay true. */
int revoke_issued(struct ctx *ctx, const char *ca, const struct revoke_order *o, size_t *ret_n, struct err *e)
{
	struct filter only = { .field = "ca", .op = OP_EQ, .value = ca };
	struct query q = { .filters = &only, .nfilters = 1, .sort_by = "serial_number", .page_size = PAGE };
	size_t count = 0;

	for (char *next = NULL;; q.offset += PAGE) {
		struct certrec *v;
		size_t n;

		if (ledger_certs(ctx->state, &q, &v, &n, &next, e) != 0)
			return -1;
		for (size_t i = 0; i < n; i++) {
			if (v[i].status == CERT_REVOKED || v[i].not_after < ctx->now || is_authoritys_own(ctx, &v[i]))
				continue;
			if (revoke_cert(ctx, &v[i], o, e) != 0)
				return -1;
			count++;
		}
		if (next == NULL)
			break;
	}
	*ret_n += count;
	return 0;
}

static int revoke_own(struct ctx *ctx, const struct authority *a, const char *serial, const struct revoke_order *o, size_t *n,
		      struct err *e)
{
	const char *issuer = a->parent ? a->parent->rec.id : authority_is_root(a) ? a->rec.id : "-";
	struct certrec c;

	if (ledger_cert(ctx->state, issuer, serial, &c, e) != 0)
		return -1;
	if (c.status == CERT_REVOKED)
		return 0;
	if (revoke_cert(ctx, &c, o, e) != 0)
		return -1;
	(*n)++;
	return 0;
}

static int revoke_children(struct ctx *ctx, const struct authority *a, const struct revoke_order *o, size_t *n, struct err *e)
{
	struct revoke_order below = *o;
	struct authority *all;
	size_t count;

	if (o->reason != 2) /* a compromised CA keeps cACompromise below it; else cessationOfOperation */
		below.reason = REASON_CESSATION;
	if (authority_all(ctx, &all, &count, e) != 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (all[i].rec.parent_id && strcmp(all[i].rec.parent_id, a->rec.id) == 0 && all[i].status != CA_REVOKED &&
		    revoke_authority(ctx, &all[i], &below, true, n, e) != 0)
			return -1;
	return revoke_issued(ctx, a->rec.id, &below, n, e);
}

int revoke_authority(struct ctx *ctx, struct authority *a, const struct revoke_order *o, bool cascade, size_t *ret_n, struct err *e)
{
	if (a->cert.der.n == 0)
		return err_set(e, ERR_CONFLICT, "ca %s is PENDING and has no certificate to revoke", a->rec.id);
	for (size_t i = 0; i < a->rec.previous_serials.n; i++)
		if (revoke_own(ctx, a, a->rec.previous_serials.v[i], o, ret_n, e) != 0)
			return err_ctx(e, "ca %s", a->rec.id);
	if (revoke_own(ctx, a, a->rec.serial_number, o, ret_n, e) != 0)
		return err_ctx(e, "ca %s", a->rec.id);
	return cascade ? revoke_children(ctx, a, o, ret_n, e) : 0;
}

static int live_certificates(struct ctx *ctx, const char *ca, int64_t *ret, struct err *e)
{
	struct cert_count *v;
	size_t n;

	*ret = 0;
	if (ledger_count(ctx->state, &v, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (strcmp(v[i].ca, ca) == 0 && (v[i].status == CERT_ACTIVE || v[i].status == CERT_HELD))
			*ret += v[i].n;
	return 0;
}

int authority_delete(struct ctx *ctx, struct authority *a, bool cascade, struct err *e)
{
	struct authority *all;
	struct key k;
	size_t n;
	int64_t live;

	if (authority_all(ctx, &all, &n, e) != 0 || live_certificates(ctx, a->rec.id, &live, e) != 0)
		return -1;
	if (authority_is_root(a) && a->status == CA_ACTIVE && live > 0)
		live--; /* its own certificate */
	if (live > 0)
		return err_set(e, ERR_CONFLICT, "ca %s: %lld live certificates; revoke them first (ca revoke --cascade)", a->rec.id,
			       (long long)live);
	for (size_t i = 0; i < n; i++) {
		if (all[i].rec.parent_id == NULL || strcmp(all[i].rec.parent_id, a->rec.id) != 0)
			continue;
		if (!cascade)
			return err_set(e, ERR_CONFLICT, "ca %s is the parent of %s; --cascade deletes both", a->rec.id, all[i].rec.id);
		if (authority_delete(ctx, &all[i], true, e) != 0)
			return -1;
	}
	if (a->rec.key && (authority_key_record(ctx, a, &k, e) != 0 || keys_unbind(ctx, &k, "ca", a->rec.id, e) != 0))
		return -1;
	return state_remove(ctx->state, arena_printf(ctx->arena, "cas/%s", a->rec.id), e);
}
