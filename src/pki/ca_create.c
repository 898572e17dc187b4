/* Making authorities. Guarantees: everything that can be refused is refused before a key is made; a key that was made
 * for an authority that could not be is removed again; record, certificate, key binding and ledger entry enter one
 * transaction. */
#include "pki/ca_create.h"

#include <string.h>

#include "base/text.h"
#include "base/tm.h"
#include "crypto/digest.h"
#include "crypto/key.h"
#include "crypto/name.h"
#include "engine/engine.h"
#include "pki/issue.h"
#include "pki/keys.h"
#include "state/ledger.h"

int ca_order_key(struct ctx *ctx, const struct ca_order *o, struct key *ret, bool *ret_new, struct err *e)
{
	*ret_new = o->key == NULL;
	if (o->key == NULL)
		return keys_create(ctx, o->engine, o->keytype, o->id, ret, e);
	if (keys_take(ctx, o->key, o->engine, ret, e) != 0)
		return -1;
	if (!ret->has_private_key)
		return err_set(e, ERR_DENIED, "key \"%s\" has only its public part here",
			       text_escape(ctx->arena, bytes_of(o->key)));
	return ca_key_is_free(ctx, ret, e);
}

/* Two authorities of one key would have the same addresses of CRLs and the same key identifier. */
int ca_key_is_free(struct ctx *ctx, const struct key *k, struct err *e)
{
	const struct key_binding *v = k->bound.v;

	for (size_t i = 0; i < k->bound.n; i++)
		if (strcmp(v[i].resource_type, "ca") == 0 && state_has(ctx->state, &ca_type, v[i].resource_id))
			return err_set(e, ERR_CONFLICT, "the key is that of ca %s", v[i].resource_id);
	return 0;
}

/* The parent may be in this repository too, and have recorded what it signed. */
static bool is_recorded(struct ctx *ctx, const struct certrec *head)
{
	struct err none = { 0 };
	struct certrec old;

	return ledger_cert(ctx->state, head->ca, head->fingerprint, &old, &none) == 0;
}

int ca_store(struct ctx *ctx, struct ca *rec, struct bytes der, struct certrec *head, struct err *e)
{
	struct bytes pem = cert_pem(ctx->arena, der);
	const char *dir = arena_printf(ctx->arena, "cas/%s", rec->id);

	rec->serial_number = head->serial_number;
	head->is_ca = true;
	head->ca_id = rec->id;
	return state_write(ctx->state, arena_printf(ctx->arena, "%s/ca.pem", dir), pem, e) != 0 ||
	       state_write(ctx->state, arena_printf(ctx->arena, "%s/%s.pem", dir, head->serial_number), pem, e) != 0 ||
	       state_put(ctx->state, &ca_type, rec->id, rec, e) != 0 ||
	       (!is_recorded(ctx, head) && issue_record(ctx, head, der, e) != 0)
	       ? -1 : 0;
}

static int check_id(struct ctx *ctx, const char *id, struct err *e)
{
	if (!id_valid(id))
		return err_set(e, ERR_INVALID, "\"%s\" is not an id: [a-z0-9][a-z0-9._-]{0,63}",
			       text_escape(ctx->arena, bytes_of(id)));
	if (state_has(ctx->state, &ca_type, id))
		return err_set(e, ERR_EXISTS, "ca %s exists already", id);
	return 0;
}

/* The ledger would mix up what two authorities issued under one name. */
static int check_id_unused(struct ctx *ctx, const char *id, struct err *e)
{
	struct filter only = { .field = "ca", .op = OP_EQ, .value = id };
	struct query q = { .filters = &only, .nfilters = 1, .page_size = 1 };
	struct certrec *v;
	char *next;
	size_t n;

	if (check_id(ctx, id, e) != 0 || ledger_certs(ctx->state, &q, &v, &n, &next, e) != 0)
		return -1;
	if (n > 0)
		return err_set(e, ERR_EXISTS, "ca %s was deleted, and the ledger has what it issued: take another id",
			       id);
	return 0;
}

static int shape(struct ctx *ctx, const struct ca_order *o, struct profile *ret, struct err *e)
{
	if (o->shape) {
		*ret = *o->shape;
		return 0;
	}
	if (o->profile == NULL) {
		if (o->parent)
			profile_builtin_sub(ctx->arena, ret);
		else
			profile_builtin_root(ctx->arena, ret);
		return 0;
	}
	if (profile_load(ctx, o->profile, ret, e) != 0)
		return -1;
	if (!ret->sign_as_ca)
		return err_set(e, ERR_INVALID, "profile %s has no sign_as_ca, so it shapes no authority", o->profile);
	return 0;
}

/* Everything that can be said before a key exists. */
static int check_order(struct ctx *ctx, const struct ca_order *o, struct profile *prof, struct authority *parent,
		       struct err *e)
{
	struct profile issuance;

	if (check_id_unused(ctx, o->id, e) != 0 || shape(ctx, o, prof, e) != 0)
		return -1;
	if (o->issuance_profile && profile_load(ctx, o->issuance_profile, &issuance, e) != 0)
		return -1;
	if (name_empty(o->subject))
		return err_set(e, ERR_INVALID,
			       "the subject of an authority is never empty (RFC 5280 4.1.2.6): give --subject");
	if (o->parent == NULL)
		return authority_clock(ctx, e);
	if (authority_load(ctx, o->parent, parent, e) != 0 || authority_may_issue(parent, e) != 0)
		return -1;
	return authority_open_key(ctx, parent, e);
}

static struct ca new_record(struct ctx *ctx, const struct ca_order *o, const struct profile *prof, const struct key *k)
{
	struct arena *ar = ctx->arena;
	struct ca rec;

	rec_default(ar, &ca_type, &rec);
	rec.id = arena_strdup(ar, o->id);
	rec.parent_id = arena_strdup(ar, o->parent);
	rec.key = k->id;
	rec.engine_id = k->engine_id;
	rec.profile_id = arena_strdup(ar, o->profile);
	rec.issuance_profile_id = arena_strdup(ar, o->issuance_profile);
	rec.metadata = o->metadata;
	rec.created_at = ctx->now;
	if (o->crl) {
		rec.crl = *o->crl;
	} else if (prof) {
		rec.crl.crl_update_interval_hours = prof->crl_update_interval_hours;
		rec.crl.validity = prof->crl_validity;
	}
	return rec;
}

/* Signs the authority's own certificate with its parent's key, or its own. */
static int make_certificate(struct ctx *ctx, const struct ca_order *o, const struct profile *prof,
			    struct authority *parent, const struct key *k, struct ca *rec, struct err *e)
{
	AUTO(EVP_PKEY) *pub = NULL, *own = NULL;
	struct request req = { .subject = o->subject, .exts = o->exts };
	struct wishes wishes = NO_WISHES;
	struct plan plan;
	struct certrec head;
	struct bytes der;
	const struct sigalg *alg = parent ? parent->alg : NULL;

	wishes.validity = o->validity;
	wishes.path_length = o->path_length;
	wishes.keep_subject = o->keep_subject;
	wishes.allow_outlive = o->allow_outlive;
	if (key_from_public_pem(bytes_of(k->public_key), &pub, e) != 0 || key_spki(ctx->arena, pub, &req.spki, e) != 0)
		return -1;
	req.pub = pub;
	if (plan_issue(ctx->arena, state_config(ctx->state), parent, prof, &req, &wishes, ctx->now, false, &plan,
		       e) != 0)
		return -1;
	if (parent == NULL) {
		if (engine_key(ctx, k, &own, e) != 0)
			return -1;
		alg = sigalg_default(own);
	}
	if (cert_sign(ctx->arena, &plan.tbs, parent ? parent->key : own, alg, &der, e) != 0 ||
	    issue_head(ctx->arena, parent, prof->id, &plan, &req, der, ctx->now, &head, e) != 0)
		return -1;
	if (parent == NULL)
		head.ca = rec->id;
	if (plan.warning)
		ctx_warn(ctx, "ca %s: %s", rec->id, plan.warning);
	return ca_store(ctx, rec, der, &head, e);
}

int ca_create(struct ctx *ctx, const struct ca_order *o, struct authority *ret, struct err *e)
{
	SCOPED_AUTHORITY parent = { 0 };
	struct profile prof;
	struct key k;
	struct ca rec;
	bool made;

	if (check_order(ctx, o, &prof, &parent, e) != 0 || ca_order_key(ctx, o, &k, &made, e) != 0)
		return -1;
	rec = new_record(ctx, o, &prof, &k);
	if (make_certificate(ctx, o, &prof, o->parent ? &parent : NULL, &k, &rec, e) != 0 ||
	    keys_bind(ctx, &k, "ca", rec.id, e) != 0 || authority_load(ctx, rec.id, ret, e) != 0) {
		if (made)
			keys_abandon(ctx, &k);
		return err_ctx(e, "ca %s", o->id);
	}
	return 0;
}

int ca_commit(struct ctx *ctx, const struct authority *a, bool key_is_new, const char *subject, struct err *e)
{
	struct err ignored = { 0 };
	struct key k;
	bool have = key_is_new && a->rec.key && state_get(ctx->state, &key_type, a->rec.key, &k, &ignored) == 0;
	int rc = state_commit(ctx->state, subject, e);

	if (have && (rc != 0 || ctx->dry_run))
		keys_abandon(ctx, &k);
	return rc;
}

/* --- a parent elsewhere (C12) --- */

static int build_csr(struct ctx *ctx, struct bytes subject, const struct key *k, int64_t path_length, struct bytes *ret,
		     struct err *e)
{
	AUTO(EVP_PKEY) *key = NULL;
	struct exts exts = { 0 };

	if (engine_key(ctx, k, &key, e) != 0)
		return -1;
	ext_basic_constraints(ctx->arena, &exts, true, path_length);
	ext_key_usage(ctx->arena, &exts, USE_CERT_SIGN | USE_CRL_SIGN);
	return csr_build(ctx->arena, subject, &exts, key, sigalg_default(key), ret, e);
}

static int request_existing(struct ctx *ctx, const char *id, struct bytes subject, struct bytes *ret, struct err *e)
{
	SCOPED_AUTHORITY a = { 0 };
	struct key k;

	if (authority_load(ctx, id, &a, e) != 0 || authority_key_record(ctx, &a, &k, e) != 0)
		return -1;
	if (a.cert.der.n && !name_empty(subject) && !name_equal(subject, a.cert.subject))
		return err_set(e, ERR_EXISTS,
			       "ca %s exists already, and has another subject; without --subject it asks for its own",
			       id);
	if (a.cert.der.n)
		subject = a.cert.subject;
	if (name_empty(subject))
		return err_set(e, ERR_USAGE, "ca %s has no certificate yet: give --subject", id);
	return build_csr(ctx, subject, &k, a.cert.der.n ? a.cert.path_length : -1, ret, e);
}

int ca_request(struct ctx *ctx, const struct ca_order *o, struct bytes *ret, struct err *e)
{
	struct profile issuance;
	struct key k;
	struct ca rec;
	bool made;

	if (state_has(ctx->state, &ca_type, o->id))
		return request_existing(ctx, o->id, o->subject, ret, e);
	if (check_id_unused(ctx, o->id, e) != 0 ||
	    (o->issuance_profile && profile_load(ctx, o->issuance_profile, &issuance, e) != 0))
		return -1;
	if (name_empty(o->subject))
		return err_set(e, ERR_USAGE, "the subject of an authority is never empty: give --subject");
	if (ca_order_key(ctx, o, &k, &made, e) != 0)
		return -1;
	rec = new_record(ctx, o, NULL, &k);
	rec.parent_id = NULL; /* known when the answer arrives */
	if (build_csr(ctx, o->subject, &k, o->path_length, ret, e) != 0 || keys_bind(ctx, &k, "ca", rec.id, e) != 0 ||
	    state_put(ctx->state, &ca_type, rec.id, &rec, e) != 0) {
		if (made)
			keys_abandon(ctx, &k);
		return err_ctx(e, "ca %s", o->id);
	}
	return 0;
}
