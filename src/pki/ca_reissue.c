/* Reissuing authorities (C8). Guarantees: subject and (with the same key) key identifier stay, the old certificate is kept and both
 * sides carry the metadata that links them; a revoked or expired authority is refused. */
#include "pki/ca_reissue.h"

#include <string.h>

#include "base/text.h"
#include "base/tm.h"
#include "crypto/key.h"
#include "engine/engine.h"
#include "pki/ca_create.h"
#include "pki/issue.h"
#include "pki/keys.h"
#include "state/ledger.h"

static int shape(struct ctx *ctx, const struct authority *a, const struct ca_renewal *in, struct profile *ret, struct err *e)
{
	const char *id = in->profile ? in->profile : a->rec.profile_id;

	if (id == NULL) {
		if (a->parent)
			profile_builtin_sub(ctx->arena, ret);
		else
			profile_builtin_root(ctx->arena, ret);
	} else if (profile_load(ctx, id, ret, e) != 0) {
		return -1;
	}
	if (!ret->sign_as_ca)
		return err_set(e, ERR_INVALID, "profile %s has no sign_as_ca, so it shapes no authority", ret->id);
	if (in->profile == NULL && ret->path_length < 0)
		ret->path_length = a->cert.path_length;
	if (in->validity == NULL) {
		int64_t secs = a->cert.not_after - a->cert.not_before;
		ret->validity = (struct validity){ .type = VALIDITY_DURATION, .duration = { secs, dur_format(ctx->arena, secs) } };
	}
	return 0;
}

/* Signs a certificate for `pub` with the name of `a`; `issuer` NULL: self-signed with `key`. */
static int sign_for(struct ctx *ctx, const struct authority *a, struct authority *issuer, const struct profile *prof,
		    const struct ca_renewal *in, EVP_PKEY *pub, EVP_PKEY *key, bool outlive, struct bytes *ret_der,
		    struct certrec *ret_head, struct err *e)
{
	struct request req = { .subject = a->cert.subject, .pub = pub, .exts = &a->cert.exts };
	struct wishes wishes = NO_WISHES;
	struct plan plan;

	wishes.validity = in->validity;
	wishes.allow_outlive = outlive;
	if (key_spki(ctx->arena, pub, &req.spki, e) != 0 ||
	    plan_issue(ctx->arena, state_config(ctx->state), issuer, prof, &req, &wishes, ctx->now, false, &plan, e) != 0)
		return -1;
	if (cert_sign(ctx->arena, &plan.tbs, key, sigalg_default(key), ret_der, e) != 0 ||
	    issue_head(ctx->arena, issuer, prof->id, &plan, &req, *ret_der, ctx->now, ret_head, e) != 0)
		return -1;
	if (issuer == NULL)
		ret_head->ca = a->rec.id;
	if (plan.warning)
		ctx_warn(ctx, "ca %s: %s", a->rec.id, plan.warning);
	return 0;
}

static int note(struct ctx *ctx, char **metadata, const char *key, const char *value, struct err *e)
{
	return any_set(ctx->arena, *metadata, key, value, metadata, e);
}

/* Both sides know each other: the record in ca.yaml, and the certificates in the ledger. */
static int link_both(struct ctx *ctx, const char *old_ca, const char *old_serial, struct ca *rec, const struct certrec *head,
		     const char *reason, struct err *e)
{
	char *when = tm_format(ctx->arena, ctx->now);
	struct metachange as = { arena_strdup(ctx->arena, "certificate"), arena_printf(ctx->arena, "%s/%s", old_ca, old_serial),
		arena_strdup(ctx->arena, "lamassu.io/ca/reissued-as"), arena_printf(ctx->arena, "\"%s\"", head->serial_number), ctx->now };
	struct metachange at = as;

	at.key = arena_strdup(ctx->arena, "lamassu.io/ca/reissued-at");
	at.value = arena_printf(ctx->arena, "\"%s\"", when);
	return note(ctx, &rec->metadata, "lamassu.io/ca/reissued-from", arena_printf(ctx->arena, "\"%s\"", old_serial), e) != 0 ||
	       note(ctx, &rec->metadata, "lamassu.io/ca/reissue-reason", reason, e) != 0 ||
	       note(ctx, &rec->metadata, "lamassu.io/ca/reissued-at", when, e) != 0 ||
	       ledger_add_meta(ctx->state, &as, e) != 0 || ledger_add_meta(ctx->state, &at, e) != 0 ? -1 : 0;
}

static int head_links(struct ctx *ctx, struct certrec *head, const char *old_serial, const char *reason, struct err *e)
{
	return note(ctx, &head->metadata, "lamassu.io/ca/reissued-from", arena_printf(ctx->arena, "\"%s\"", old_serial), e) != 0 ||
	       note(ctx, &head->metadata, "lamassu.io/ca/reissue-reason", reason, e) != 0 ? -1 : 0;
}

static const char *issuer_id(const struct authority *a)
{
	return a->parent ? a->parent->rec.id : a->rec.id;
}

static int same_key(struct ctx *ctx, struct authority *a, const struct profile *prof, const struct ca_renewal *in,
		    const char *reason, struct err *e)
{
	AUTO(EVP_PKEY) *pub = NULL;
	struct strv *prev = &a->rec.previous_serials;
	char *old = a->rec.serial_number;
	struct certrec head;
	struct bytes der;

	if (cert_pubkey(&a->cert, &pub, e) != 0 ||
	    sign_for(ctx, a, a->parent, prof, in, pub, a->parent ? a->parent->key : a->key, false, &der, &head, e) != 0)
		return -1;
	prev->v = arena_grow(ctx->arena, prev->v, prev->n, sizeof(char *));
	prev->v[prev->n++] = old;
	prev->set = true;
	if (link_both(ctx, issuer_id(a), old, &a->rec, &head, reason, e) != 0 || head_links(ctx, &head, old, reason, e) != 0)
		return -1;
	return ca_store(ctx, &a->rec, der, &head, e);
}

/* --- a new key --- */

static char *next_id(struct ctx *ctx, const struct ca_renewal *in)
{
	char *id = NULL;

	if (in->new_id)
		return arena_strdup(ctx->arena, in->new_id);
	for (int g = 2; g < 1000; g++) {
		id = arena_printf(ctx->arena, "%s-g%d", in->id, g);
		if (!state_has(ctx->state, &ca_type, id))
			break;
	}
	return id;
}

static int store_link(struct ctx *ctx, const char *ca, const char *issuer, const char *name, struct bytes der, struct certrec *head,
		      struct err *e)
{
	head->is_ca = true;
	head->ca_id = arena_strdup(ctx->arena, ca);
	head->ca = arena_strdup(ctx->arena, issuer);
	return state_write(ctx->state, arena_printf(ctx->arena, "cas/%s/%s.pem", ca, name), cert_pem(ctx->arena, der), e) != 0
		? -1 : issue_record(ctx, head, der, e);
}

/* RFC 4210 4.4: the old key vouches for the new one and the other way round. */
static int make_links(struct ctx *ctx, struct authority *old, struct authority *fresh, const struct profile *prof,
		      const struct ca_renewal *in, struct err *e)
{
	AUTO(EVP_PKEY) *old_pub = NULL, *new_pub = NULL;
	struct certrec head;
	struct bytes der;
	struct ca_renewal plain = { .id = in->id };

	if (cert_pubkey(&old->cert, &old_pub, e) != 0 || cert_pubkey(&fresh->cert, &new_pub, e) != 0 ||
	    authority_open_key(ctx, fresh, e) != 0)
		return -1;
	if (sign_for(ctx, fresh, old, prof, &plain, new_pub, old->key, false, &der, &head, e) != 0 ||
	    store_link(ctx, fresh->rec.id, old->rec.id, "new-with-old", der, &head, e) != 0)
		return err_ctx(e, "link certificate NewWithOld");
	if (sign_for(ctx, old, fresh, prof, &plain, old_pub, fresh->key, false, &der, &head, e) != 0 ||
	    store_link(ctx, old->rec.id, fresh->rec.id, "old-with-new", der, &head, e) != 0)
		return err_ctx(e, "link certificate OldWithNew");
	return 0;
}

static int new_key(struct ctx *ctx, struct authority *old, struct profile *prof, const struct ca_renewal *in, const char *reason,
		   struct authority *ret, struct err *e)
{
	AUTO(EVP_PKEY) *pub = NULL;
	SCOPED_AUTHORITY fresh = { 0 };
	const struct keytype *kt = in->keytype;
	struct ca_order order = { .id = next_id(ctx, in), .parent = old->rec.parent_id, .subject = old->cert.subject,
		.engine = in->engine ? in->engine : old->rec.engine_id, .profile = in->profile ? in->profile : old->rec.profile_id,
		.issuance_profile = old->rec.issuance_profile_id, .path_length = old->cert.path_length,
		.validity = in->validity ? in->validity : prof->validity.duration.text, .metadata = old->rec.metadata };
	struct certrec head;

	if (kt == NULL && (cert_pubkey(&old->cert, &pub, e) != 0 || (kt = keytype_of(pub)) == NULL))
		return err_set(e, ERR_UNSUPPORTED, "give --key-type: the old key is of a type that is not made here");
	order.keytype = kt;
	if (ca_create(ctx, &order, &fresh, e) != 0)
		return -1;
	head.serial_number = fresh.rec.serial_number;
	if (link_both(ctx, issuer_id(old), old->rec.serial_number, &fresh.rec, &head, reason, e) != 0 ||
	    note(ctx, &old->rec.metadata, "lamassu.io/ca/reissued-as", arena_printf(ctx->arena, "\"%s\"", head.serial_number), e) != 0 ||
	    note(ctx, &old->rec.metadata, "lamassu.io/ca/reissued-at", tm_format(ctx->arena, ctx->now), e) != 0 ||
	    state_put(ctx->state, &ca_type, old->rec.id, &old->rec, e) != 0 ||
	    state_put(ctx->state, &ca_type, fresh.rec.id, &fresh.rec, e) != 0)
		return -1;
	if (authority_is_root(old) && make_links(ctx, old, &fresh, prof, in, e) != 0)
		return -1;
	return authority_load(ctx, fresh.rec.id, ret, e);
}

int ca_reissue(struct ctx *ctx, const struct ca_renewal *in, struct authority *ret, struct err *e)
{
	SCOPED_AUTHORITY a = { 0 };
	struct profile prof;
	const char *reason = in->reason ? in->reason : "certificate-reissuance";
	int rc;

	if (authority_load(ctx, in->id, &a, e) != 0)
		return -1;
	if (a.status != CA_ACTIVE)
		return err_set(e, ERR_DENIED, "ca %s is %s and is not reissued", a.rec.id, ca_status_names[a.status]);
	if (a.parent == NULL && !authority_is_root(&a))
		return err_set(e, ERR_DENIED, "the parent of ca %s is elsewhere: use `ca request` and `ca install`", a.rec.id);
	if (shape(ctx, &a, in, &prof, e) != 0)
		return -1;
	if (a.parent ? authority_may_issue(a.parent, e) != 0 || authority_open_key(ctx, a.parent, e) != 0
		     : authority_open_key(ctx, &a, e) != 0)
		return -1;
	rc = in->new_key ? new_key(ctx, &a, &prof, in, reason, ret, e) : same_key(ctx, &a, &prof, in, reason, e);
	if (a.parent)
		authority_release(a.parent);
	if (rc != 0)
		return err_ctx(e, "ca %s", a.rec.id);
	return in->new_key ? 0 : authority_load(ctx, a.rec.id, ret, e);
}
