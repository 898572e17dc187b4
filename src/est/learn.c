/* What a handler thread knows of the device managers. Guarantees: everything is of one policy commit; what only the
 * ledger says (an authority that was revoked a moment ago) is asked anew for each request. */
#include <string.h>

#include "base/text.h"
#include "est/service.h"
#include "pki/csrattrs.h"
#include "pki/est_cacerts.h"
#include "state/state.h"

static int load_authorities(struct ctx *ctx, const struct strv *ids, struct authority **ret, size_t *ret_n,
			    struct err *e)
{
	struct authority *v = arena_new_array(ctx->arena, ids->n + 1, struct authority);

	for (size_t i = 0; i < ids->n; i++)
		if (authority_load(ctx, ids->v[i], &v[i], e) != 0)
			return -1;
	*ret = v;
	*ret_n = ids->n;
	return 0;
}

static int load_renewal(struct ctx *ctx, struct served *s, struct err *e)
{
	const struct strv *more = &s->dms.settings.reenrollment_settings.additional_validation_cas;
	struct strv ids = { .v = arena_new_array(ctx->arena, more->n + 1, char *), .n = more->n + 1 };

	ids.v[0] = s->dms.settings.enrollment_settings.enrollment_ca;
	for (size_t i = 0; i < more->n; i++)
		ids.v[i + 1] = more->v[i];
	return load_authorities(ctx, &ids, &s->renewal, &s->nrenewal, e);
}

/* What cacerts and csrattrs answer. */
static int load_answers(struct ctx *ctx, const struct est_options *o, struct served *s, struct err *e)
{
	const struct csrattrs_wishes wishes = { .pop = o->require_binding,
						.template_ = s->dms.settings.enrollment_settings.csrattrs_template };
	struct bytes *ders;
	size_t n;

	return est_cacerts(ctx, &s->dms, o->tls_ca, &ders, &n, e) != 0 ||
	       est_p7(ctx->arena, ders, n, &s->cacerts, e) != 0 ||
	       csrattrs_build(ctx->arena, &s->profile, &wishes, &s->csrattrs, e) != 0 ? -1 : 0;
}

int est_load(struct ctx *ctx, const struct est_options *o, const char *id, struct served *ret, struct err *e)
{
	const struct enrollment_settings *en = &ret->dms.settings.enrollment_settings;
	const struct client_cert_auth *cc = &en->est_rfc7030_settings.authentication.client_certificate;

	*ret = (struct served){ 0 };
	if (state_get(ctx->state, &dms_type, id, &ret->dms, e) != 0)
		return -1;
	if (dms_complete(ctx->arena, &ret->dms, state_config(ctx->state), state_dir(ctx->state), e) != 0)
		return err_ctx(e, "dms %s", id);
	if (authority_load(ctx, en->enrollment_ca, &ret->ca, e) != 0 ||
	    profile_load(ctx, ret->dms.settings.issuance_profile_id ? ret->dms.settings.issuance_profile_id
								    : ret->ca.rec.issuance_profile_id,
			 &ret->profile, e) != 0 ||
	    load_authorities(ctx, &cc->validation_cas, &ret->validation, &ret->nvalidation, e) != 0 ||
	    load_renewal(ctx, ret, e) != 0 ||
	    load_answers(ctx, o, ret, e) != 0)
		return err_ctx(e, "dms %s", id);
	return 0;
}

int est_ids(struct ctx *ctx, const struct est_options *o, struct strv *ret, struct err *e)
{
	if (o->dms.n == 0)
		return state_ids(ctx->state, &dms_type, ret, e);
	*ret = o->dms;
	return 0;
}

const char *est_default(struct ctx *ctx, const struct strv *ids)
{
	const char *set = state_config(ctx->state)->est.default_dms;

	return set ? arena_strdup(ctx->arena, set) : ids->n == 1 ? ids->v[0] : NULL;
}

int est_learn(struct post *p, const void *options, struct err *e)
{
	struct est_memory *m = arena_new_array(p->ctx.arena, 1, struct est_memory);
	struct strv ids;

	if (est_ids(&p->ctx, options, &ids, e) != 0)
		return -1;
	m->v = arena_new_array(p->ctx.arena, ids.n + 1, struct served);
	m->broken.v = arena_new_array(p->ctx.arena, ids.n + 1, char *);
	for (size_t i = 0; i < ids.n; i++) {
		struct err why = { 0 };

		if (est_load(&p->ctx, options, ids.v[i], &m->v[m->n], &why) == 0) {
			m->n++;
			continue;
		}
		ctx_warn(&p->ctx, "%s", why.msg); /* the others go on; this one answers 503 until it is mended */
		if (why.code != ERR_NOT_FOUND || m->v[m->n].dms.id) /* else it was deleted */
			m->broken.v[m->broken.n++] = ids.v[i];
	}
	m->unlabelled = est_default(&p->ctx, &ids);
	p->memory = m;
	return 0;
}

void est_forget(struct post *p)
{
	struct est_memory *m = p->memory;

	for (size_t i = 0; i < m->n; i++)
		authority_release(&m->v[i].ca);
}

static int check_all(struct ctx *ctx, struct authority *a, struct err *e)
{
	for (; a; a = a->parent)
		if (authority_check_revoked(ctx, a, e) != 0)
			return -1;
	return 0;
}

int est_ready(struct post *p, struct served *s, struct refusal *why)
{
	struct err e = { 0 };
	EVP_PKEY *key;

	if (check_all(&p->ctx, &s->ca, &e) != 0)
		return refuse_err(why, &e);
	if (authority_may_issue(&s->ca, &e) != 0)
		return refuse(why, 503, "ca_not_active", "the authority issues nothing at the moment");
	if (s->ca.key)
		return 0;
	if (!s->ca.rec.key)
		return refuse(why, 503, "ca_not_active", "the key of the authority is not here");
	if (worker_key(p, s->ca.rec.key, &key, &e) != 0 || authority_take_key(&s->ca, key, &e) != 0) {
		ctx_warn(&p->ctx, "%s", e.msg);
		return refuse(why, 503, "engine", "the key of the authority is out of reach at the moment");
	}
	return 0;
}
