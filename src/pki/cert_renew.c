/* Renewal with the same key. Guarantees: only certificates whose key is in our engines, that are not revoked, and
 * (unless the operator says so) that are inside their profile's window; names stay what they were; each certificate is
 * renewed once. */
#include <string.h>

#include "base/tm.h"
#include "crypto/key.h"
#include "crypto/name.h"
#include "pki/cert_issue.h"
#include "pki/keys.h"
#include "state/ledger.h"

enum { DAY = 86400 };

static int64_t window_of(const struct profile *p)
{
	return p->renewal_policy.renewal_window_days * DAY;
}

static int check(struct ctx *ctx, const struct certrec *c, struct err *e)
{
	if (c->status == CERT_REVOKED || c->status == CERT_HELD)
		return err_set(e, ERR_DENIED, "it is %s", cert_status_names[c->status]);
	if (c->is_ca)
		return err_set(e, ERR_DENIED, "it is an authority's: use `ca reissue`");
	if (!keys_have(ctx, c->key_id))
		return err_set(e, ERR_DENIED, "its key is not in our engines: sign a new request with `ca sign`");
	return 0;
}

/* A profile may have changed since. */
static int load_profile(struct ctx *ctx, const struct certrec *c, struct profile *ret, struct err *e)
{
	if (profile_load(ctx, c->profile, ret, e) != 0)
		return -1;
	return ret->sign_as_ca ? err_set(e, ERR_DENIED, "profile %s makes authorities", ret->id) : 0;
}

static int check_window(struct ctx *ctx, const struct certrec *c, const struct profile *p, struct err *e)
{
	int64_t opens = c->not_after - window_of(p);

	if (window_of(p) && ctx->now < opens)
		return err_set(e, ERR_DENIED, "profile %s renews from %s on; --force renews now", p->id,
			       tm_format(ctx->arena, opens));
	return 0;
}

/* The same names: those of the old certificate stand, whatever the profile says of requests. */
static int same_names(struct ctx *ctx, const struct cert *old, const struct certrec *c, const struct profile *p,
		      struct request *req, struct wishes *w, struct err *e)
{
	char *subject;

	req->subject = old->subject;
	w->san = c->san;
	w->device = c->device;
	if (p->honor_subject)
		return 0;
	if (name_format(ctx->arena, old->subject, &subject, e) != 0)
		return -1;
	w->subject = subject;
	return 0;
}

static int use_authority(struct ctx *ctx, struct authority *ca, const char *id, struct err *e)
{
	if (ca->rec.id && strcmp(ca->rec.id, id) == 0)
		return 0;
	authority_release(ca);
	*ca = (struct authority){ 0 };
	if (authority_load(ctx, id, ca, e) != 0 || authority_may_issue(ca, e) != 0 ||
	    authority_open_key(ctx, ca, e) != 0) {
		ca->rec.id = NULL;
		return -1;
	}
	return 0;
}

/* The key is bound to its newest certificate, not to all that it ever had. */
static int rebind(struct ctx *ctx, const struct certrec *from, const struct certrec *to, struct err *e)
{
	struct key k;

	if (state_get(ctx->state, &key_type, to->key_id, &k, e) != 0 ||
	    keys_unbind(ctx, &k, "certificate", arena_printf(ctx->arena, "%s/%s", from->ca, from->serial_number),
			e) != 0)
		return -1;
	return keys_bind(ctx, &k, "certificate", arena_printf(ctx->arena, "%s/%s", to->ca, to->serial_number), e);
}

static int record(struct ctx *ctx, const struct certrec *old, struct issued *made, struct err *e)
{
	struct certrec *rec = &made->rec;

	rec->device = old->device;
	rec->dms = old->dms;
	if (old->device)
		rec->bind = arena_strdup(ctx->arena, "RENEWED");
	if (any_set(ctx->arena, rec->metadata, META_RENEWED_FROM,
		    arena_printf(ctx->arena, "\"%s\"", old->serial_number), &rec->metadata, e) ||
	    issue_record(ctx, rec, made->der, e) != 0 || rebind(ctx, old, rec, e) != 0)
		return -1;
	return cert_set_metadata(ctx, old, META_RENEWED_AS, arena_printf(ctx->arena, "\"%s\"", rec->serial_number), e);
}

int cert_renew(struct ctx *ctx, struct authority *ca, const struct certrec *old, bool early, struct issued *ret,
	       struct err *e)
{
	AUTO(EVP_PKEY) *pub = NULL;
	struct wishes w = NO_WISHES;
	struct request req = { 0 };
	struct issued made;
	struct profile p;
	struct bytes pem;
	struct cert c;

	if (check(ctx, old, e) != 0 || load_profile(ctx, old, &p, e) != 0 ||
	    (!early && check_window(ctx, old, &p, e) != 0) ||
	    ledger_cert_pem(ctx->state, old, &pem, e) != 0 || cert_parse(ctx->arena, pem, &c, e) != 0 ||
	    cert_pubkey(&c, &pub, e) != 0 ||
	    same_names(ctx, &c, old, &p, &req, &w, e) != 0 || use_authority(ctx, ca, old->ca, e) != 0)
		return err_ctx(e, "certificate %s", old->serial_number);
	req.spki = c.spki;
	req.pub = pub;
	if (issue_sign(ctx, ca, &p, &req, &w, &made, e) != 0 || record(ctx, old, &made, e) != 0)
		return err_ctx(e, "certificate %s", old->serial_number);
	*ret = made;
	return 0;
}

/* --- what is due --- */

struct search {
	struct ctx *ctx;
	struct profile *profiles;
	size_t nprofiles;
	bool only_auto;
	struct certrec *found;
	size_t n;
};

static bool is_due(const struct search *s, const struct certrec *c)
{
	for (size_t i = 0; i < s->nprofiles; i++) {
		const struct profile *p = &s->profiles[i];
		if (c->profile && strcmp(c->profile, p->id) == 0)
			return window_of(p) && c->not_after - window_of(p) <= s->ctx->now &&
			       (!s->only_auto || p->renewal_policy.auto_renew_enabled);
	}
	return false;
}

static int consider(void *arg, const struct certrec *c, struct err *e)
{
	struct search *s = arg;
	struct arena *ar = s->ctx->arena;

	(void)e;
	if (c->is_ca || !is_due(s, c) || any_get(ar, c->metadata, META_RENEWED_AS) || !keys_have(s->ctx, c->key_id))
		return 0;
	s->found = arena_grow(ar, s->found, s->n, sizeof(*s->found));
	s->found[s->n++] = (struct certrec){ .serial_number = arena_strdup(ar, c->serial_number),
					     .ca = arena_strdup(ar, c->ca) };
	return 0;
}

static int load_profiles(struct search *s, int64_t *ret_widest, struct err *e)
{
	*ret_widest = 0;
	s->profiles = state_all(s->ctx->state, &profile_type, &s->nprofiles, e);
	for (size_t i = 0; s->profiles && i < s->nprofiles; i++) {
		int64_t window = window_of(&s->profiles[i]);

		*ret_widest = window > *ret_widest ? window : *ret_widest;
	}
	return s->profiles ? 0 : -1;
}

int cert_renewals_due(struct ctx *ctx, bool only_auto, struct certrec **ret, size_t *ret_n, struct err *e)
{
	struct search s = { .ctx = ctx, .only_auto = only_auto };
	int64_t widest;

	if (load_profiles(&s, &widest, e) != 0)
		return -1;
	struct filter f[] = {
		{ .field = "type", .op = OP_EQ, .value = "MANAGED" },
		{ .field = "status", .op = OP_EQ, .value = "ACTIVE" },
		{ .field = "not_after", .op = OP_LE, .value = tm_format(ctx->arena, ctx->now + widest) }
	};
	struct query q = { .filters = f, .nfilters = COUNT(f), .sort_by = "not_after" };
	if (ledger_each_cert(ctx->state, &q, consider, &s, e) != 0)
		return -1;
	for (size_t i = 0; i < s.n; i++)
		if (ledger_cert(ctx->state, s.found[i].ca, s.found[i].serial_number, &s.found[i], e) != 0)
			return -1;
	*ret = s.found;
	*ret_n = s.n;
	return 0;
}
