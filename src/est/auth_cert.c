/* Client certificates (E7). Guarantees: a path by RFC 5280 to one of the authorities that the manager names, whatever
 * else the client sent; possession of the key was proven by TLS (or is vouched for by a trusted proxy); a certificate
 * that our records know as revoked or on hold is refused, and so is one whose revocation must be known and is not. */
#include <string.h>

#include "base/text.h"
#include "base/tm.h"
#include "crypto/name.h"
#include "est/auth.h"
#include "est/revoked.h"
#include "est/service.h"
#include "pki/cert_find.h"
#include "pki/device.h"
#include "state/ledger.h"

enum { CHAIN_MAX = PEER_CHAIN_MAX + 32 };

/* For renewals without settings of their own: the device's current certificate, strictly. */
static const struct client_cert_auth renewal_rules = { .require_valid_chain = true, .chain_level_validation = -1,
						       .check_revocation = true,
						       .revocation_unreachable = UNREACHABLE_DENY };

struct path {
	struct bytes chain[CHAIN_MAX]; /* presented and our own: what may stand between */
	size_t n;
	int64_t at;
};

static void add_ours(struct path *p, const struct authority *a)
{
	for (; a && p->n < CHAIN_MAX; a = a->parent)
		if (a->cert.der.n)
			p->chain[p->n++] = a->cert.der;
}

/* The authority is a trust anchor here, so a path ends at it; that it and those above it still stand is a question of
 * its own. */
static const struct authority *find_anchor(struct asking *q, const struct path *p, const struct authority *v, size_t n,
					   struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		struct err why = { 0 };

		if (v[i].cert.der.n == 0)
			continue;
		if (cert_verify(q->chain[0], p->chain, p->n, &v[i].cert.der, 1, NULL, 0, p->at, &why) == 0)
			return &v[i];
		*e = why;
	}
	return NULL;
}

static int check_above(struct asking *q, const struct client_cert_auth *rules, const struct authority *a,
		       struct refusal *why)
{
	struct err e = { 0 };

	if (!rules->require_valid_chain)
		return 0;
	for (int64_t level = 1; a && (rules->chain_level_validation < 0 || level <= rules->chain_level_validation);
	     level++, a = a->parent) {
		struct authority now = *a;

		if (authority_check_revoked(&q->post->ctx, &now, &e) != 0)
			return refuse_err(why, &e);
		if (now.rec.compromised || now.status == CA_REVOKED || now.status == CA_EXPIRED)
			return refuse(why, 401, "untrusted_certificate",
				      "the authority %s of the client's certificate is %s", now.rec.id,
				      now.rec.compromised ? "compromised" : ca_status_names[now.status]);
	}
	return 0;
}

/* RFC 7030 3.3.2: fit for clients of TLS, who sign their handshake, or not limited at all. */
static int check_usage(struct asking *q, const struct cert *c, struct refusal *why)
{
	const struct ext *eku = exts_find(&c->exts, OID_EKU);
	struct strv names;
	struct err e = { 0 };

	if (c->key_usage && !(c->key_usage & USE_DIGITAL_SIGNATURE))
		return refuse(why, 401, "untrusted_certificate",
			      "the key of the client's certificate is not for signatures");
	if (!eku)
		return 0;
	if (ext_parse_eku(q->http->arena, eku->value, &names, &e) != 0)
		return refuse_err(why, &e);
	for (size_t i = 0; i < names.n; i++)
		if (strcmp(names.v[i], "clientAuth") == 0 || strcmp(names.v[i], "anyExtendedKeyUsage") == 0)
			return 0;
	return refuse(why, 401, "untrusted_certificate", "the client's certificate is not for clients of TLS");
}

static int find_record(struct asking *q, struct identity *who, struct refusal *why)
{
	struct ctx *ctx = &q->post->ctx;
	struct err e = { 0 };

	if (ledger_cert(ctx->state, NULL, cert_fingerprint(ctx->arena, who->cert), &who->rec, &e) == 0)
		who->recorded = true;
	else if (e.code != ERR_NOT_FOUND)
		return refuse_err(why, &e);
	return 0;
}

/* The issuer among what stands between, or the anchor. */
static int find_issuer(struct asking *q, const struct path *p, const struct cert *c, const struct authority *anchor,
		       struct cert *ret)
{
	struct err ignored = { 0 };

	if (cert_issued_by(c, &anchor->cert)) {
		*ret = anchor->cert;
		return 0;
	}
	for (size_t i = 0; i < p->n; i++)
		if (cert_parse(q->http->arena, p->chain[i], ret, &ignored) == 0 && !bytes_equal(ret->der, c->der) &&
		    cert_issued_by(c, ret))
			return 0;
	return -1;
}

/* From a certificate that is not of our records up to the anchor, which check_above judges. */
static int check_path(struct asking *q, const struct client_cert_auth *rules, const struct cert *leaf,
		      const struct path *p, const struct authority *anchor, struct refusal *why)
{
	const struct cert *c = leaf;

	for (size_t level = 0; level < CHAIN_MAX && !bytes_equal(c->der, anchor->cert.der); level++) {
		struct cert *issuer = arena_new_array(q->http->arena, 1, struct cert);

		if (level && rules->chain_level_validation > 0 && (int64_t)level > rules->chain_level_validation)
			return 0;
		if (find_issuer(q, p, c, anchor, issuer) != 0)
			return refuse(why, 401, "untrusted_certificate",
				      "the issuer of the client's certificate is not there");
		if (auth_revoked(q, rules, c, issuer, why) != 0)
			return -1;
		c = issuer;
	}
	return 0;
}

static int check_revocation(struct asking *q, const struct client_cert_auth *rules, struct identity *who,
			    const struct path *p, const struct authority *anchor, struct refusal *why)
{
	if (who->recorded && who->rec.status == CERT_HELD)
		return refuse(why, 401, "revoked_certificate", "the client's certificate is on hold");
	if (device_spent(&q->post->ctx, q->csr, who))
		return 0;
	if (who->recorded && who->rec.revoked_at && who->rec.revoked_at <= q->post->ctx.now &&
	    who->rec.status == CERT_REVOKED)
		return refuse(why, 401, "revoked_certificate", "the client's certificate is revoked");
	if (who->recorded || !rules->check_revocation)
		return 0;
	if (anchor->rec.type != CA_IMPORTED_WITHOUT_KEY && cert_issued_by(who->cert, &anchor->cert))
		return refuse(why, 401, "untrusted_certificate", "there is no record of the client's certificate here");
	return check_path(q, rules, who->cert, p, anchor, why);
}

static int check_dates(struct asking *q, bool allow_expired, const struct cert *c, struct path *p, struct refusal *why)
{
	int64_t now = q->post->ctx.now;

	if (now < c->not_before)
		return refuse(why, 401, "untrusted_certificate", "the client's certificate is not valid yet");
	if (now > c->not_after && !allow_expired)
		return refuse(why, 401, "expired_certificate", "the client's certificate has expired");
	p->at = now > c->not_after ? c->not_after - 1 : now; /* for OpenSSL the last second is one too many */
	return 0;
}

static bool same_cn(struct asking *q, const struct cert *c)
{
	const char *cn = name_cn(q->http->arena, c->subject), *asked = name_cn(q->http->arena, q->csr->subject);

	return cn && asked && strcmp(cn, asked) == 0;
}

/* A certificate that the enrolment authority issued speaks for its own device only. */
static void take_device(struct asking *q, struct identity *who)
{
	for (size_t i = 0; i < q->served->nrenewal && !who->enrolled; i++)
		who->enrolled = cert_issued_by(who->cert, &q->served->renewal[i].cert);
	if (!who->enrolled)
		return;
	who->device = who->recorded && who->rec.device ? who->rec.device : name_cn(q->http->arena, who->cert->subject);
	if (!who->device)
		who->device = "";
}

/* Whom a client's certificate may come from. A device whose own has ended may show what it enrolled with (E11). */
static size_t anchors(struct asking *q, const struct authority **ret)
{
	const struct served *s = q->served;
	struct authority *v;

	if (q->kind != ENROLL_RENEW) {
		*ret = s->validation;
		return s->nvalidation;
	}
	*ret = s->renewal;
	if (!s->dms.settings.reenrollment_settings.enable_expired_renewal || s->nvalidation == 0)
		return s->nrenewal;
	v = arena_new_array(q->http->arena, s->nrenewal + s->nvalidation, struct authority);
	memcpy(v, s->renewal, s->nrenewal * sizeof(*v));
	memcpy(v + s->nrenewal, s->validation, s->nvalidation * sizeof(*v));
	*ret = v;
	return s->nrenewal + s->nvalidation;
}

int auth_cert(struct asking *q, struct identity *who, struct refusal *why)
{
	bool renewal = q->kind == ENROLL_RENEW, own_rules = q->how->type == AUTH_CERT ||
		       q->how->type == AUTH_CERT_AND_WEBHOOK;
	const struct client_cert_auth *rules = own_rules ? &q->how->client_certificate : &renewal_rules;
	const struct authority *v, *anchor;
	size_t n = anchors(q, &v);
	/* An expired one renews nothing by itself: it takes the webhook's word too. */
	bool allow_expired = renewal ? q->how->type == AUTH_CERT_AND_WEBHOOK &&
			     q->served->dms.settings.reenrollment_settings.enable_expired_renewal
				     : rules->allow_expired;
	struct cert *leaf = arena_new_array(q->http->arena, 1, struct cert);
	struct path *p = arena_new_array(q->http->arena, 1, struct path);
	struct err e = { 0 };

	if (q->nchain == 0)
		return refuse(why, 401, "no_certificate", "a client certificate is needed");
	if (cert_parse(q->http->arena, q->chain[0], leaf, &e) != 0)
		return refuse(why, 401, "untrusted_certificate", "the client's certificate: %s", e.msg);
	for (size_t i = 1; i < q->nchain && p->n < CHAIN_MAX; i++)
		p->chain[p->n++] = q->chain[i];
	for (size_t i = 0; i < n; i++)
		add_ours(p, &v[i]);
	if (check_dates(q, allow_expired, leaf, p, why) != 0)
		return -1;
	anchor = find_anchor(q, p, v, n, &e);
	if (!anchor)
		return refuse(why, 401, "untrusted_certificate", "%s",
			      e.code ? e.msg : "no authority is trusted for clients here");
	who->cert = leaf;
	who->via = "certificate";
	if (check_above(q, rules, anchor, why) != 0 || check_usage(q, leaf, why) != 0 ||
	    find_record(q, who, why) != 0 ||
	    check_revocation(q, rules, who, p, anchor, why) != 0)
		return -1;
	if (rules->require_cn_match && !same_cn(q, leaf))
		return refuse(why, 403, "device_mismatch", "the client's certificate is for another name");
	take_device(q, who);
	return who->recorded ? device_credential(q->http->arena, &q->served->dms, who, why) : 0;
}
