/* Reissuing authorities (C8). Guarantees: the subject stays byte for byte and with the same key the key identifier too,
 * so that what was issued still chains; the old certificate is kept and both sides carry the metadata that links them;
 * a revoked or expired authority is refused. */
#include "pki/ca_reissue.h"

#include <string.h>

#include "base/text.h"
#include "base/tm.h"
#include "crypto/key.h"
#include "engine/engine.h"
#include "pki/ca_create.h"
#include "pki/cert_find.h"
#include "pki/issue.h"
#include "pki/keys.h"
#include "state/ledger.h"

#define META "lamassu.io/ca/"

struct reissuing {
	struct ctx *ctx;
	const struct ca_renewal *in;
	struct authority *old;
	struct profile prof;
	const char *reason;
};

/* Without a profile the new certificate asks for what the old one has: names, usages, constraints, policies. */
static void shape_as_before(struct ctx *ctx, const struct authority *a, struct profile *ret)
{
	struct strv *all = &ret->allowed_extensions;

	if (a->parent)
		profile_builtin_sub(ctx->arena, ret);
	else
		profile_builtin_root(ctx->arena, ret);
	ret->honor_extensions = ret->honor_key_usage = ret->honor_extended_key_usages = true;
	all->v = arena_new_array(ctx->arena, a->cert.exts.n, char *);
	for (; all->n < a->cert.exts.n; all->n++)
		all->v[all->n] = arena_strdup(ctx->arena, a->cert.exts.v[all->n].oid);
}

static int shape(struct reissuing *r, struct err *e)
{
	const struct authority *a = r->old;
	const char *id = r->in->profile ? r->in->profile : a->rec.profile_id;
	int64_t secs = a->cert.not_after - a->cert.not_before;

	if (id == NULL)
		shape_as_before(r->ctx, a, &r->prof);
	else if (profile_load(r->ctx, id, &r->prof, e) != 0)
		return -1;
	if (!r->prof.sign_as_ca)
		return err_set(e, ERR_INVALID, "profile %s has no sign_as_ca, so it shapes no authority", r->prof.id);
	if (r->in->profile == NULL && a->cert.path_length >= 0)
		r->prof.path_length = a->cert.path_length;
	r->prof.validity = (struct validity){ .type = VALIDITY_DURATION,
					      .duration = { secs, dur_format(r->ctx->arena, secs) } };
	return 0;
}

struct signing { /* one certificate for the name of `a` */
	const struct authority *a;
	struct authority *issuer;  /* NULL: itself */
	EVP_PKEY *pub, *key;
	const char *validity;      /* NULL: the profile's */
	int64_t not_before;        /* 0: now */
	struct bytes der;
	struct certrec head;
};

static int sign(struct reissuing *r, struct signing *s, struct err *e)
{
	struct ctx *ctx = r->ctx;
	struct request req = { .subject = s->a->cert.subject, .pub = s->pub, .exts = &r->old->cert.exts };
	struct wishes wishes = NO_WISHES;
	struct plan plan;

	wishes.keep_subject = true;
	wishes.validity = s->validity;
	wishes.allow_outlive = r->in->allow_outlive;
	if (key_spki(ctx->arena, s->pub, &req.spki, e) != 0 ||
	    plan_issue(ctx->arena, state_config(ctx->state), s->issuer, &r->prof, &req, &wishes, ctx->now, false, &plan,
		       e) != 0)
		return -1;
	if (s->not_before)
		plan.tbs.not_before = s->not_before;
	if (cert_sign(ctx->arena, &plan.tbs, s->key, sigalg_default(s->key), &s->der, e) != 0 ||
	    issue_head(ctx->arena, s->issuer, r->prof.id, &plan, &req, s->der, ctx->now, &s->head, e) != 0)
		return -1;
	if (s->issuer == NULL)
		s->head.ca = s->a->rec.id;
	if (plan.warning)
		ctx_warn(ctx, "ca %s: %s", s->a->rec.id, plan.warning);
	return 0;
}

/* --- metadata on both sides --- */

static const char *issuer_id(const struct authority *a)
{
	return a->parent ? a->parent->rec.id : a->rec.id;
}

static int note(struct reissuing *r, char **metadata, const char *key, const char *value, struct err *e)
{
	return any_set(r->ctx->arena, *metadata, key, value, metadata, e);
}

/* The certificates in the ledger know each other, and so do the records. */
static int link_both(struct reissuing *r, const struct certrec *from, const struct certrec *to, char **old_metadata,
		     char **new_metadata, struct err *e)
{
	struct ctx *ctx = r->ctx;
	const char *as = arena_printf(ctx->arena, "\"%s\"", to->serial_number);
	const char *since = arena_printf(ctx->arena, "\"%s\"", from->serial_number);
	const char *when = tm_format(ctx->arena, ctx->now);

	if (cert_set_metadata(ctx, from, META "reissued-as", as, e) != 0 ||
	    cert_set_metadata(ctx, from, META "reissued-at", when, e) != 0 ||
	    cert_set_metadata(ctx, to, META "reissued-from", since, e) != 0 ||
	    cert_set_metadata(ctx, to, META "reissue-reason", r->reason, e) != 0)
		return -1;
	if (old_metadata &&
	    (note(r, old_metadata, META "reissued-as", as, e) != 0 ||
	     note(r, old_metadata, META "reissued-at", when, e) != 0))
		return -1;
	return note(r, new_metadata, META "reissued-from", since, e) != 0 ||
	       note(r, new_metadata, META "reissued-at", when, e) != 0 ||
	       note(r, new_metadata, META "reissue-reason", r->reason, e) != 0 ? -1 : 0;
}

/* --- the same key --- */

static int same_key(struct reissuing *r, struct err *e)
{
	AUTO(EVP_PKEY) *pub = NULL;
	struct authority *a = r->old;
	struct strv *prev = &a->rec.previous_serials;
	struct certrec from = { .ca = arena_strdup(r->ctx->arena, issuer_id(a)),
				.serial_number = a->rec.serial_number };
	struct signing s = { .a = a, .issuer = a->parent, .key = a->parent ? a->parent->key : a->key,
			     .validity = r->in->validity };

	if (cert_pubkey(&a->cert, &pub, e) != 0)
		return -1;
	s.pub = pub;
	if (sign(r, &s, e) != 0)
		return -1;
	prev->v = arena_grow(r->ctx->arena, prev->v, prev->n, sizeof(*prev->v));
	prev->v[prev->n++] = from.serial_number;
	prev->set = true;
	return link_both(r, &from, &s.head, NULL, &a->rec.metadata, e) != 0
	       ? -1 : ca_store(r->ctx, &a->rec, s.der, &s.head, e);
}

/* --- a new key --- */

static char *next_id(struct reissuing *r)
{
	char *id = NULL;

	if (r->in->new_id)
		return arena_strdup(r->ctx->arena, r->in->new_id);
	for (int g = 2; id == NULL || state_has(r->ctx->state, &ca_type, id); g++)
		id = arena_printf(r->ctx->arena, "%s-g%d", r->old->rec.id, g);
	return id;
}

static int store_link(struct reissuing *r, const struct signing *s, const char *name, struct err *e)
{
	struct arena *ar = r->ctx->arena;
	struct certrec head = s->head;

	head.is_ca = true;
	head.ca_id = s->a->rec.id;
	return state_write(r->ctx->state, arena_printf(ar, "cas/%s/%s.pem", s->a->rec.id, name), cert_pem(ar, s->der),
			   e) != 0
	       ? -1 : issue_record(r->ctx, &head, s->der, e);
}

/* RFC 4210 4.4: the old key vouches for the new one and the other way round, both until the first of them ends. */
static int make_links(struct reissuing *r, struct authority *fresh, struct err *e)
{
	AUTO(EVP_PKEY) *old_pub = NULL, *new_pub = NULL;
	struct authority *old = r->old;
	int64_t end = old->cert.not_after < fresh->cert.not_after ? old->cert.not_after : fresh->cert.not_after;
	const char *until = tm_format(r->ctx->arena, end);
	struct signing new_with_old = { .a = fresh, .issuer = old, .key = old->key, .validity = until };
	struct signing old_with_new = { .a = old, .issuer = fresh, .validity = until,
					.not_before = old->cert.not_before };

	if (cert_pubkey(&old->cert, &old_pub, e) != 0 || cert_pubkey(&fresh->cert, &new_pub, e) != 0 ||
	    authority_open_key(r->ctx, fresh, e) != 0)
		return -1;
	new_with_old.pub = new_pub;
	old_with_new.pub = old_pub;
	old_with_new.key = fresh->key;
	if (sign(r, &new_with_old, e) != 0 || store_link(r, &new_with_old, "new-with-old", e) != 0)
		return err_ctx(e, "link certificate NewWithOld");
	if (sign(r, &old_with_new, e) != 0 || store_link(r, &old_with_new, "old-with-new", e) != 0)
		return err_ctx(e, "link certificate OldWithNew");
	return 0;
}

static int drop_links(struct reissuing *r, char **metadata, struct err *e)
{
	static const char *const keys[] = { META "reissued-as", META "reissued-at", META "reissued-from",
					    META "reissue-reason" };

	for (size_t i = 0; i < COUNT(keys); i++)
		if (any_get(r->ctx->arena, *metadata, keys[i]) &&
		    any_unset(r->ctx->arena, *metadata, keys[i], metadata, e) != 0)
			return -1;
	return 0;
}

/* As long as the old one, or until the parent ends. */
static const char *validity_of_new(struct reissuing *r)
{
	const struct authority *parent = r->old->parent;

	if (r->in->validity)
		return r->in->validity;
	if (parent == NULL || r->in->allow_outlive ||
	    parent->cert.not_after - r->prof.validity.duration.secs >= r->ctx->now)
		return r->prof.validity.duration.text;
	ctx_warn(r->ctx, "ca %s: its validity is shortened to %s, when its authority %s ends", r->old->rec.id,
		 tm_format(r->ctx->arena, parent->cert.not_after), parent->rec.id);
	return tm_format(r->ctx->arena, parent->cert.not_after);
}

static int create_new(struct reissuing *r, struct authority *fresh, struct err *e)
{
	AUTO(EVP_PKEY) *pub = NULL;
	struct authority *old = r->old;
	struct ca_crl crl = old->rec.crl;
	struct ca_order order = { .id = next_id(r), .parent = old->rec.parent_id, .subject = old->cert.subject,
				  .keep_subject = true,
		.keytype = r->in->keytype, .engine = r->in->engine ? r->in->engine : old->rec.engine_id,
		.shape = &r->prof, .profile = r->in->profile ? r->in->profile : old->rec.profile_id,
		.issuance_profile = old->rec.issuance_profile_id, .path_length = -1,
		.allow_outlive = r->in->allow_outlive, .validity = validity_of_new(r), .exts = &old->cert.exts,
		.crl = &crl, .metadata = old->rec.metadata };

	if (order.keytype == NULL &&
	    (cert_pubkey(&old->cert, &pub, e) != 0 || (order.keytype = keytype_of(pub)) == NULL))
		return err_set(e, ERR_UNSUPPORTED, "give --key-type: the old key is of a type that is not made here");
	if (crl.crl_distribution_points.n)
		ctx_warn(r->ctx, "ca %s: crl_distribution_points are those of the old key's CRL and are not taken over",
			 order.id);
	crl.crl_distribution_points = (struct strv){ 0 };
	return drop_links(r, &order.metadata, e) != 0 ? -1 : ca_create(r->ctx, &order, fresh, e);
}

static int finish_new(struct reissuing *r, struct authority *fresh, struct err *e)
{
	struct ctx *ctx = r->ctx;
	struct authority *old = r->old;
	const struct certrec from = { .ca = arena_strdup(ctx->arena, issuer_id(old)),
				      .serial_number = old->rec.serial_number };
	const struct certrec to = { .ca = arena_strdup(ctx->arena, issuer_id(fresh)),
				    .serial_number = fresh->rec.serial_number };

	if (link_both(r, &from, &to, &old->rec.metadata, &fresh->rec.metadata, e) != 0 ||
	    state_put(ctx->state, &ca_type, old->rec.id, &old->rec, e) != 0 ||
	    state_put(ctx->state, &ca_type, fresh->rec.id, &fresh->rec, e) != 0)
		return -1;
	return authority_is_root(old) ? make_links(r, fresh, e) : 0;
}

static int new_key(struct reissuing *r, struct authority *ret, struct err *e)
{
	SCOPED_AUTHORITY fresh = { 0 };
	struct err ignored = { 0 };
	struct key k;

	if (create_new(r, &fresh, e) != 0)
		return -1;
	if (finish_new(r, &fresh, e) != 0) {
		if (authority_key_record(r->ctx, &fresh, &k, &ignored) == 0)
			keys_abandon(r->ctx, &k);
		return -1;
	}
	return authority_load(r->ctx, fresh.rec.id, ret, e);
}

int ca_reissue(struct ctx *ctx, const struct ca_renewal *in, struct authority *ret, struct err *e)
{
	SCOPED_AUTHORITY a = { 0 };
	struct reissuing r = { .ctx = ctx, .in = in, .old = &a,
			       .reason = in->reason ? in->reason : "certificate-reissuance" };
	int rc;

	if (authority_load(ctx, in->id, &a, e) != 0)
		return -1;
	if (a.status != CA_ACTIVE)
		return err_set(e, ERR_DENIED, "ca %s is %s and is not reissued", a.rec.id, ca_status_names[a.status]);
	if (a.parent == NULL && !authority_is_root(&a))
		return err_set(e, ERR_DENIED, "the parent of ca %s is elsewhere: use `ca request` and `ca install`",
			       a.rec.id);
	if (shape(&r, e) != 0)
		return -1;
	if (a.parent ? authority_may_issue(a.parent, e) != 0 || authority_open_key(ctx, a.parent, e) != 0
		     : authority_open_key(ctx, &a, e) != 0)
		return -1;
	rc = in->new_key ? new_key(&r, ret, e) : same_key(&r, e);
	if (a.parent)
		authority_release(a.parent);
	if (rc != 0)
		return -1;
	return in->new_key ? 0 : authority_load(ctx, a.rec.id, ret, e);
}
