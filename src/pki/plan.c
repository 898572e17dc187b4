/* Applying a profile. Guarantees: what the profile does not allow is not in the plan, whatever the request asks; a leaf
 * is never a CA; nothing outlives its authority unless the operator said so; name constraints and path lengths of every
 * ancestor hold. */
#include "pki/plan.h"

#include <string.h>

#include "base/text.h"
#include "base/tm.h"
#include "crypto/key.h"
#include "crypto/name.h"
#include "pki/plan_parts.h"

void plan_reason(struct planning *p, const char *field, const char *source, const char *text)
{
	struct plan *plan = &p->plan;

	if (!p->explain)
		return;
	plan->reasons = arena_grow(p->ar, plan->reasons, plan->nreasons, sizeof(*plan->reasons));
	plan->reasons[plan->nreasons++] = (struct reason){ field, source, text };
}

static bool size_allowed(const struct intv *sizes, int bits)
{
	for (size_t i = 0; i < sizes->n; i++)
		if (sizes->v[i] == bits)
			return true;
	return !sizes->set;
}

int plan_check_key(const struct profile *prof, const EVP_PKEY *pub, struct err *e)
{
	const struct crypto_enforcement *c = &prof->crypto_enforcement;
	const char *weak = key_weakness(pub);
	const struct keytype *kt = keytype_of(pub);
	bool type_ok = false, size_ok = true;

	if (weak)
		return err_set(e, ERR_DENIED, "the key must not be certified: %s", weak);
	if (!c->enabled)
		return 0;
	if (EVP_PKEY_is_a(pub, "RSA")) {
		type_ok = c->allow_rsa_keys;
		size_ok = size_allowed(&c->allowed_rsa_key_sizes, EVP_PKEY_get_bits(pub));
	} else if (EVP_PKEY_is_a(pub, "EC")) {
		type_ok = c->allow_ecdsa_keys;
		size_ok = size_allowed(&c->allowed_ecdsa_key_sizes, EVP_PKEY_get_bits(pub));
	} else if (EVP_PKEY_is_a(pub, "ED25519")) {
		type_ok = c->allow_ed25519_keys;
	} else if (kt && strcmp(kt->algorithm, "ML-DSA") == 0) {
		type_ok = c->allow_mldsa_keys;
	}
	if (!type_ok)
		return err_set(e, ERR_DENIED, "profile %s does not allow %s keys", prof->id,
			       kt ? kt->algorithm : "such");
	if (!size_ok)
		return err_set(e, ERR_DENIED, "profile %s does not allow %s keys of %d bits", prof->id,
			       kt ? kt->algorithm : "such", EVP_PKEY_get_bits(pub));
	return 0;
}

static int plan_subject(struct planning *p, struct err *e)
{
	struct bytes base = p->req->subject;
	struct tbs *t = &p->plan.tbs;
	const char *source = "request";

	if (p->wishes->keep_subject) {
		t->subject = base;
		plan_reason(p, "subject", "rule", "as it was");
		return 0;
	}
	if (p->wishes->subject) {
		if (name_parse(p->ar, p->wishes->subject, &base, e) != 0)
			return err_ctx(e, "subject");
		source = "operator";
	} else if (name_check(base, e) != 0) {
		return err_ctx(e, "subject");
	}
	if (!p->prof->honor_subject && !p->wishes->subject) {
		if (name_from_fields(p->ar, &p->prof->subject, &t->subject, e) != 0)
			return err_ctx(e, "subject");
		plan_reason(p, "subject", "profile", "honor_subject is false: the profile's subject only");
		return 0;
	}
	if (name_merge(p->ar, base, &p->prof->subject, &t->subject, e) != 0)
		return err_ctx(e, "subject");
	plan_reason(p, "subject", source, "merged with the profile's non-empty fields, which win");
	return 0;
}

/* A Duration or Indefinite that passes the authority's end is shortened; an explicit wish or a Time is refused (C7). */
static int fit_in_authority(struct planning *p, bool refuse, struct err *e)
{
	struct tbs *t = &p->plan.tbs;
	const struct cert *ca = &p->issuer->cert;

	if (t->not_before < ca->not_before)
		t->not_before = ca->not_before;
	if (t->not_after <= ca->not_after || p->wishes->allow_outlive)
		return 0;
	if (refuse)
		return err_set(e, ERR_DENIED,
			       "the certificate would end %s, after its authority %s (%s); --allow-outlive permits it",
			       tm_format(p->ar, t->not_after), p->issuer->rec.id, tm_format(p->ar, ca->not_after));
	t->not_after = ca->not_after;
	p->plan.shortened = true;
	p->plan.warning = arena_printf(p->ar, "shortened to %s, when its authority %s ends",
				       tm_format(p->ar, ca->not_after), p->issuer->rec.id);
	plan_reason(p, "not_after", "authority", p->plan.warning);
	return 0;
}

static int plan_validity(struct planning *p, struct err *e)
{
	struct validity v = p->prof->validity;
	struct tbs *t = &p->plan.tbs;

	if (p->wishes->validity && validity_parse(p->ar, p->wishes->validity, &v, e) != 0)
		return -1;
	t->not_before = p->now - p->config->backdate.secs;
	if (validity_end(&v, p->now, &t->not_after, e) != 0)
		return -1;
	plan_reason(p, "validity", p->wishes->validity ? "operator" : "profile", tm_format(p->ar, t->not_after));
	if (p->issuer && fit_in_authority(p, p->wishes->validity || v.type == VALIDITY_TIME, e) != 0)
		return -1;
	if (t->not_after <= t->not_before)
		return err_set(e, ERR_INVALID, "the certificate would end before it begins");
	return 0;
}

static int check_issuer(struct planning *p, struct err *e)
{
	const struct authority *ca = p->issuer;

	if (p->prof->ca_id && (ca == NULL || strcmp(p->prof->ca_id, ca->rec.id) != 0))
		return err_set(e, ERR_DENIED, "profile %s is for authority %s only", p->prof->id, p->prof->ca_id);
	if (ca && !p->prof->sign_as_ca && authority_is_root(ca))
		p->plan.warning = arena_printf(p->ar, "%s is a root and signs an end-entity certificate", ca->rec.id);
	return 0;
}

/* Every ancestor's constraints bind what is issued below it (RFC 5280 4.2.1.10). */
static int check_names(struct planning *p, struct err *e)
{
	const struct tbs *t = &p->plan.tbs;
	const struct ext *san = exts_find(&t->exts, OID_SAN);

	if (name_empty(t->subject) && san == NULL)
		return err_set(e, ERR_INVALID, "subject and subjectAltName would both be empty (RFC 5280 4.1.2.6)");
	if (name_empty(t->subject) && p->prof->sign_as_ca)
		return err_set(e, ERR_INVALID, "the subject of an authority is never empty (RFC 5280 4.1.2.6)");
	for (const struct authority *a = p->issuer; a; a = a->parent) {
		const struct ext *nc = exts_find(&a->cert.exts, OID_NC);
		if (nc &&
		    cert_check_name_constraints(p->ar, nc->value, t->subject, san ? san->value : (struct bytes){ 0 },
						e) != 0)
			return err_ctx(e, "name constraints of %s", a->rec.id);
	}
	return 0;
}

int plan_issue(struct arena *ar, const struct config *config, const struct authority *issuer,
	       const struct profile *prof, const struct request *req, const struct wishes *wishes, int64_t now,
	       bool explain, struct plan *ret, struct err *e)
{
	struct planning p = { .ar = ar, .config = config, .issuer = issuer, .prof = prof, .req = req, .wishes = wishes,
		.now = now, .explain = explain, .plan = { .is_ca = prof->sign_as_ca, .partition = -1 } };
	struct tbs *t = &p.plan.tbs;

	if (check_issuer(&p, e) != 0 || plan_check_key(prof, req->pub, e) != 0 || plan_subject(&p, e) != 0 ||
	    plan_validity(&p, e) != 0)
		return -1;
	t->spki = req->spki;
	t->issuer = issuer ? issuer->cert.subject : t->subject;
	cert_random_serial(t);
	if (plan_extensions(&p, e) != 0 || check_names(&p, e) != 0)
		return -1;
	*ret = p.plan;
	return 0;
}
