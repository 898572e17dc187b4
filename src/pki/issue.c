/* Signing and recording. Guarantees: a certificate enters the transaction exactly as it was signed, with a head that
 * agrees with it; the caller commits before anything is printed. */
#include "pki/issue.h"

#include <string.h>

#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/key.h"
#include "crypto/name.h"
#include "pki/keys.h"
#include "state/ledger.h"

int profile_load(struct ctx *ctx, const char *id, struct profile *ret, struct err *e)
{
	if (id == NULL)
		return err_set(e, ERR_USAGE, "no profile: give --profile, or the authority a default: `ca set CA "
			       "issuance_profile_id=PROFILE`");
	return state_get(ctx->state, &profile_type, id, ret, e);
}

static void builtin(struct arena *ar, const char *id, const char *duration, int64_t secs, struct profile *ret)
{
	rec_default(ar, &profile_type, ret);
	ret->id = arena_strdup(ar, id);
	ret->sign_as_ca = ret->honor_subject = true;
	ret->key_usage = USE_CERT_SIGN | USE_CRL_SIGN;
	ret->validity = (struct validity){ .type = VALIDITY_DURATION,
					   .duration = { secs, arena_strdup(ar, duration) } };
}

void profile_builtin_root(struct arena *ar, struct profile *ret)
{
	builtin(ar, "built-in-root-ca", "10y", INT64_C(315360000), ret);
}

void profile_builtin_sub(struct arena *ar, struct profile *ret)
{
	builtin(ar, "built-in-subordinate-ca", "5y", INT64_C(157680000), ret);
}

static int head_names(struct arena *ar, struct bytes subject, const struct exts *exts, struct certrec *r, struct err *e)
{
	const struct ext *san = exts_find(exts, OID_SAN);

	if (name_format(ar, subject, &r->subject, e) != 0)
		return -1;
	r->common_name = name_cn(ar, subject);
	return san ? san_parse(ar, san->value, &r->san, e) : 0;
}

static int head_key(struct arena *ar, struct bytes spki, const EVP_PKEY *pub, struct certrec *r)
{
	const struct keytype *kt = keytype_of(pub);

	r->key_id = sha256_hex(ar, spki);
	r->key_type = arena_strdup(ar, kt ? kt->name : "other");
	return 0;
}

int issue_head(struct arena *ar, const struct authority *issuer, const char *profile_id, const struct plan *plan,
	       const struct request *req, struct bytes der, int64_t now, struct certrec *ret, struct err *e)
{
	const struct tbs *t = &plan->tbs;
	struct certrec r = { .is_ca = plan->is_ca, .not_before = t->not_before, .not_after = t->not_after,
			     .issued_at = now,
		.partition = plan->partition, .revocation_reason = -1 };

	r.serial_number = cert_serial_hex(ar, (struct bytes){ t->serial, t->serial_n });
	r.ca = arena_strdup(ar, issuer ? issuer->rec.id : "-");
	r.profile = arena_strdup(ar, profile_id);
	r.type = arena_strdup(ar, "ISSUED");
	r.fingerprint = sha256_hex(ar, der);
	r.request_sha256 = arena_strdup(ar, req->sha256);
	if (plan->shortened) {
		struct err ignored = { 0 };
		if (any_set(ar, NULL, META_SHORTENED, plan->warning, &r.metadata, &ignored) != 0)
			r.metadata = NULL;
	}
	if (head_names(ar, t->subject, &t->exts, &r, e) != 0 || head_key(ar, t->spki, req->pub, &r) != 0)
		return -1;
	*ret = r;
	return 0;
}

int issue_head_of(struct arena *ar, const char *ca, const struct cert *c, int64_t now, struct certrec *ret,
		  struct err *e)
{
	struct certrec r = { .is_ca = c->is_ca, .not_before = c->not_before, .not_after = c->not_after,
			     .issued_at = now,
		.partition = -1, .revocation_reason = -1 };
	AUTO(EVP_PKEY) *pub = NULL;

	r.serial_number = cert_serial_hex(ar, c->serial);
	r.ca = arena_strdup(ar, ca);
	r.type = arena_strdup(ar, "IMPORTED");
	r.fingerprint = cert_fingerprint(ar, c);
	if (head_names(ar, c->subject, &c->exts, &r, e) != 0 || cert_pubkey(c, &pub, e) != 0 ||
	    head_key(ar, c->spki, pub, &r) != 0)
		return -1;
	*ret = r;
	return 0;
}

/* A certificate for an authority's key is that authority's, whoever signed it: cross certificates, answers to
 * requests. */
static int find_owner(struct ctx *ctx, struct certrec *rec, struct err *e)
{
	const struct key_binding *v;
	struct key k;

	if (!rec->is_ca || rec->ca_id || !keys_have(ctx, rec->key_id))
		return 0;
	if (state_get(ctx->state, &key_type, rec->key_id, &k, e) != 0)
		return -1;
	v = k.bound.v;
	for (size_t i = 0; i < k.bound.n && rec->ca_id == NULL; i++)
		if (strcmp(v[i].resource_type, "ca") == 0)
			rec->ca_id = v[i].resource_id;
	return 0;
}

int issue_record(struct ctx *ctx, struct certrec *rec, struct bytes der, struct err *e)
{
	if (find_owner(ctx, rec, e) != 0)
		return -1;
	if (strcmp(rec->type, "ISSUED") == 0 && keys_have(ctx, rec->key_id))
		rec->type = arena_strdup(ctx->arena, "MANAGED");
	return ledger_add_cert(ctx->state, rec, cert_pem(ctx->arena, der), e);
}

int issue_sign(struct ctx *ctx, struct authority *ca, const struct profile *prof, const struct request *req,
	       const struct wishes *wishes, struct issued *ret, struct err *e)
{
	struct issued r = { 0 };

	if (plan_issue(ctx->arena, state_config(ctx->state), ca, prof, req, wishes, ctx->now, false, &r.plan, e) != 0 ||
	    cert_sign(ctx->arena, &r.plan.tbs, ca->key, ca->alg, &r.der, e) != 0 ||
	    issue_head(ctx->arena, ca, prof->id, &r.plan, req, r.der, ctx->now, &r.rec, e) != 0)
		return -1;
	r.rec.device = arena_strdup(ctx->arena, wishes->device);
	r.warning = r.plan.warning;
	*ret = r;
	return 0;
}

int issue_own(struct ctx *ctx, struct authority *ca, const struct profile *prof, const EVP_PKEY *key,
	      const struct wishes *wishes, struct issued *ret, struct err *e)
{
	struct request req = { .pub = key };

	if (key_spki(ctx->arena, key, &req.spki, e) != 0 ||
	    name_parse(ctx->arena, wishes->subject, &req.subject, e) != 0 ||
	    issue_sign(ctx, ca, prof, &req, wishes, ret, e) != 0)
		return -1;
	return issue_record(ctx, &ret->rec, ret->der, e);
}

int request_from_csr(struct arena *ar, struct bytes text, struct csr *csr, struct request *ret, EVP_PKEY **ret_pub,
		     struct err *e)
{
	if (csr_parse(ar, text, csr, e) != 0 || csr_verify(csr, ret_pub, e) != 0)
		return -1;
	*ret = (struct request){ .subject = csr->subject, .spki = csr->spki, .pub = *ret_pub, .exts = &csr->exts,
		.sha256 = sha256_hex(ar, csr->der) };
	return 0;
}
