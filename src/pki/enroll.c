/* What a device manager grants. Guarantees: the decision depends on the policy, the ledger and who asks, never on the
 * order in which workers see requests (the caller holds a claim); one transaction holds everything that a grant
 * entails, so it is granted whole or not at all; a request that is sent again gets the certificate that it got
 * before. */
#include "pki/enroll.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/tm.h"
#include "crypto/name.h"
#include "pki/device.h"
#include "pki/keys.h"
#include "pki/revoke.h"
#include "state/ledger.h"

enum { RESEND_SECS = 24 * 3600 }; /* how long a repeated request is taken for the same one */

const char *const refusal_reasons[] = {
	"authentication_failure", "authorization_denied", "binding_mismatch", "binding_missing", "ca_not_active",
	"deferred", "device_blocked",
	"device_decommissioned", "device_exists", "device_mismatch", "device_not_registered", "engine",
	"expired_certificate", "fault",
	"identity_mismatch", "key_set_unreachable", "malformed_request", "media_type", "method", "no_certificate",
	"not_found", "other_dms", "overloaded", "policy",
	"proof_of_possession", "repository", "revocation_unreachable", "revoked_certificate", "target_reached",
	"too_early", "unknown_dms", "unsupported",
	"untrusted_certificate", "untrusted_proxy", "webhook_denied", "webhook_unreachable", NULL
};

int refuse(struct refusal *r, int status, const char *reason, const char *fmt, ...)
{
	va_list ap;

	r->status = status;
	r->reason = reason;
	r->retry_after = 0;
	va_start(ap, fmt);
	vsnprintf(r->text, sizeof(r->text), fmt, ap);
	va_end(ap);
	return -1;
}

int refuse_err(struct refusal *r, const struct err *e)
{
	switch (e->code) {
	case ERR_INVALID:
	case ERR_USAGE:
		return refuse(r, 400, "malformed_request", "%s", e->msg);
	case ERR_DENIED:
		return refuse(r, 403, "policy", "%s", e->msg);
	case ERR_IO:
	case ERR_CONFLICT:
		return refuse(r, 503, "repository", "the repository cannot be written at the moment");
	case ERR_REMOTE:
		return refuse(r, 503, "engine", "the key of the authority is out of reach at the moment");
	default:
		return refuse(r, 500, "fault", "a fault on this side");
	}
}

/* --- which device --- */

static const char *san_of(struct arena *a, const struct csr *csr, const char *prefix)
{
	const struct ext *san = exts_find(&csr->exts, OID_SAN);
	struct err ignored = { 0 };
	struct strv names;

	if (!san || san_parse(a, san->value, &names, &ignored) != 0)
		return NULL;
	for (size_t i = 0; i < names.n; i++)
		if (text_has_prefix(names.v[i], prefix))
			return names.v[i] + strlen(prefix);
	return NULL;
}

/* Whoever has one name must not get a certificate that has another beside it: programs differ in which of them they
 * read. */
static const char *the_one(const struct strv *names)
{
	return names->n == 1 ? names->v[0] : NULL;
}

static const char *named(struct arena *a, int from, const struct csr *csr)
{
	struct err ignored = { 0 };
	struct subject_fields f;

	switch (from) {
	case DEVICE_ID_SAN_DNS:
		return san_of(a, csr, "DNS:");
	case DEVICE_ID_SAN_URI:
		return san_of(a, csr, "URI:");
	case DEVICE_ID_SAN_EMAIL:
		return san_of(a, csr, "email:");
	default:
		if (name_fields(a, csr->subject, &f, &ignored) != 0)
			return NULL;
		return the_one(from == DEVICE_ID_SERIAL_NUMBER ? &f.serial_number : &f.common_name);
	}
}

int enroll_device(struct arena *a, const struct dms *dms, const struct csr *csr, char **ret, struct refusal *why)
{
	const char *id = named(a, dms->settings.enrollment_settings.device_id_from, csr);
	struct err e = { 0 };

	if (!id || !*id)
		return refuse(why, 400, "malformed_request", "the request does not name one device");
	if (device_id_check(id, &e) != 0)
		return refuse(why, 400, "malformed_request", "%s", e.msg);
	*ret = arena_strdup(a, id);
	return 0;
}

size_t enroll_claims(struct arena *a, const struct enrolment *en, const char *device, const char **ret_keys)
{
	size_t n = 0;

	ret_keys[n++] = arena_printf(a, "device/%s", device);
	ret_keys[n++] = arena_printf(a, "request/%s", en->request->sha256);
	if (en->who->credential)
		ret_keys[n++] = en->who->credential;
	return n;
}

/* --- the decision --- */

struct decision {
	struct ctx *ctx;
	const struct enrolment *en;
	const char *device;
	struct device dev;
	bool known;             /* there is a record of the device */
	struct certrec current; /* its active certificate */
	bool has_current;
	struct refusal *why;
};

static int find_device(struct decision *d)
{
	struct err e = { 0 };

	if (ledger_find_device(d->ctx->state, d->device, &d->known, &d->dev, &e) != 0)
		return refuse_err(d->why, &e);
	if (!d->known || !d->dev.identity.serial_number)
		return 0;
	if (ledger_cert(d->ctx->state, d->dev.identity.ca, d->dev.identity.serial_number, &d->current, &e) != 0)
		return refuse_err(d->why, &e);
	d->has_current = true;
	return 0;
}

static int check_device(struct decision *d)
{
	if (!d->known)
		return 0;
	if (d->dev.blocked)
		return refuse(d->why, 403, "device_blocked", "the device is blocked");
	if (d->dev.status == DEVICE_DECOMMISSIONED)
		return refuse(d->why, 403, "device_decommissioned", "the device is decommissioned");
	if (d->dev.dms && strcmp(d->dev.dms, d->en->dms->id) != 0)
		return refuse(d->why, 403, "other_dms", "the device belongs to another device manager");
	return 0;
}

/* The answer to the same request of a while ago, if its certificate still stands: a reply may have been lost on its
 * way. */
static int find_earlier(struct decision *d, bool *ret_found, struct enrolled *ret)
{
	struct err e = { 0 };
	struct certrec rec;
	struct bytes pem;
	bool found;

	*ret_found = false;
	if (d->en->keygen)
		return 0;
	if (ledger_cert_by_request(d->ctx->state, d->en->ca->rec.id, d->en->request->sha256, &found, &rec, &e) != 0)
		return refuse_err(d->why, &e);
	if (!found || !rec.device || strcmp(rec.device, d->device) != 0 || rec.status != CERT_ACTIVE ||
	    rec.revoked_at ||
	    d->ctx->now - rec.issued_at > RESEND_SECS)
		return 0;
	if (ledger_cert_pem(d->ctx->state, &rec, &pem, &e) != 0 ||
	    !pem_next(d->ctx->arena, &pem, "CERTIFICATE", NULL, &ret->der))
		return refuse(d->why, 500, "fault", "a fault on this side");
	ret->rec = rec;
	ret->existing = *ret_found = true;
	return 0;
}

static int judge_new(struct decision *d)
{
	const struct enrollment_settings *s = &d->en->dms->settings.enrollment_settings;

	if (!d->known && s->registration_mode == REGISTER_BEFORE)
		return refuse(d->why, 403, "device_not_registered", "the device is not registered");
	if (d->has_current && !s->enable_replaceable_enrollment)
		return refuse(d->why, 403, "device_exists",
			      "the device has enrolled already; it may renew, but not enrol anew");
	return 0;
}

/* Subject and SAN of the certificate that is renewed, against those that the request would get (RFC 7030 4.2.2). */
static bool same_names(struct arena *a, const struct cert *old, const struct plan *plan)
{
	const struct ext *was = exts_find(&old->exts, OID_SAN), *is = exts_find(&plan->tbs.exts, OID_SAN);
	struct strv x = { 0 }, y = { 0 };
	struct err ignored = { 0 };

	if (!name_equal(old->subject, plan->tbs.subject))
		return false;
	if ((was && san_parse(a, was->value, &x, &ignored) != 0) ||
	    (is && san_parse(a, is->value, &y, &ignored) != 0) || x.n != y.n)
		return false;
	for (size_t i = 0; i < x.n; i++) {
		size_t k = 0;

		while (k < y.n && strcmp(x.v[i], y.v[k]) != 0)
			k++;
		if (k == y.n)
			return false;
	}
	return true;
}

static int64_t window_secs(const struct enrolment *en)
{
	const struct reenrollment_settings *s = &en->dms->settings.reenrollment_settings;

	if (s->reenrollment_delta.secs)
		return s->reenrollment_delta.secs;
	return en->profile->renewal_policy.renewal_window_days * 86400;
}

/* Whose own certificate has ended shows what it enrolled with, or somebody is asked about it (E11). */
static bool may_renew_expired(const struct decision *d)
{
	const struct identity *who = d->en->who;
	bool asked = strcmp(who->via, "webhook") == 0 || strcmp(who->via, "certificate_and_webhook") == 0;

	return d->en->dms->settings.reenrollment_settings.enable_expired_renewal &&
	       (asked || (who->cert && !who->enrolled));
}

static int judge_renewal(struct decision *d)
{
	bool expired = d->has_current && d->current.not_after < d->ctx->now;
	int64_t window = window_secs(d->en);

	if (!d->known || !d->has_current)
		return refuse(d->why, 403, "device_not_registered", "the device has no certificate to renew");
	if (d->current.status == CERT_REVOKED || d->current.status == CERT_HELD)
		return refuse(d->why, 403, "revoked_certificate", "the certificate of the device is revoked");
	if (expired && !may_renew_expired(d))
		return refuse(d->why, 403, "expired_certificate", "the certificate of the device has expired");
	if (!expired && d->en->who->cert && !d->en->who->enrolled)
		return refuse(d->why, 403, "identity_mismatch",
			      "the client's certificate is not one that may be renewed here");
	if (window && d->ctx->now < d->current.not_after - window)
		return refuse(d->why, 403, "too_early", "renewal is allowed from %s on",
			      tm_format(d->ctx->arena, d->current.not_after - window));
	return 0;
}

static int decide(struct decision *d, struct enrolled *ret)
{
	bool earlier;

	if (find_device(d) != 0 || check_device(d) != 0 || find_earlier(d, &earlier, ret) != 0)
		return -1;
	if (earlier)
		return 0;
	if (d->en->who->spent)
		return refuse(d->why, 401, "revoked_certificate", "the bootstrap certificate was used already");
	return d->en->kind == ENROLL_NEW ? judge_new(d) : judge_renewal(d);
}

int enroll_judge(struct ctx *ctx, const struct enrolment *en, const char *device, struct enrolled *ret,
		 struct refusal *why)
{
	struct decision d = { .ctx = ctx, .en = en, .device = device, .why = why };

	*ret = (struct enrolled){ .device = arena_strdup(ctx->arena, device) };
	return decide(&d, ret);
}

/* --- the transaction --- */

/* The certificate that is renewed: what the client showed, if it was that, else the device's current one. */
static int find_renewed(struct decision *d, struct cert *ret)
{
	struct err e = { 0 };
	struct bytes pem;

	if (d->en->who->cert && d->en->who->enrolled) {
		*ret = *d->en->who->cert;
		return 0;
	}
	if (ledger_cert_pem(d->ctx->state, &d->current, &pem, &e) != 0 || cert_parse(d->ctx->arena, pem, ret, &e) != 0)
		return refuse(d->why, 500, "fault", "a fault on this side");
	return 0;
}

/* A renewal without names of its own inherits those of the certificate (E11). */
static void inherit_san(const struct cert *old, struct request *req, struct exts *exts, struct arena *a)
{
	const struct ext *was = exts_find(&old->exts, OID_SAN);

	if (!was || (req->exts && exts_find(req->exts, OID_SAN)))
		return;
	for (size_t i = 0; req->exts && i < req->exts->n; i++)
		exts_add(a, exts, req->exts->v[i].oid, req->exts->v[i].critical, req->exts->v[i].value);
	exts_add(a, exts, was->oid, was->critical, was->value);
	req->exts = exts;
}

/* The request as it is signed; *old is filled for renewals. */
static int complete(struct decision *d, struct request *req, struct exts *exts, struct cert *old)
{
	*req = *d->en->request;
	if (d->en->profile->sign_as_ca) /* which it was not when the manager was made */
		return refuse(d->why, 403, "policy", "profile %s makes authorities, not devices", d->en->profile->id);
	if (d->en->kind != ENROLL_RENEW)
		return 0;
	if (find_renewed(d, old) != 0)
		return -1;
	inherit_san(old, req, exts, d->ctx->arena);
	return 0;
}

static int check_names(struct decision *d, const struct cert *old, const struct plan *plan)
{
	if (d->en->kind != ENROLL_RENEW || same_names(d->ctx->arena, old, plan))
		return 0;
	return refuse(d->why, 403, "identity_mismatch",
		      "subject and alternative names must be those of the certificate that is renewed (RFC "
		      "7030 4.2.2)");
}

int enroll_plan(struct ctx *ctx, const struct enrolment *en, const char *device, struct plan *ret, struct refusal *why)
{
	struct decision d = { .ctx = ctx, .en = en, .device = device, .why = why };
	struct wishes wishes = NO_WISHES;
	struct request req;
	struct exts exts = { 0 };
	struct err e = { 0 };
	struct cert old;

	wishes.device = device;
	if (find_device(&d) != 0 || complete(&d, &req, &exts, &old) != 0)
		return -1;
	if (plan_issue(ctx->arena, state_config(ctx->state), en->ca, en->profile, &req, &wishes, ctx->now, false, ret,
		       &e) != 0)
		return refuse_err(why, &e);
	return check_names(&d, &old, ret);
}

static int sign(struct decision *d, struct issued *ret)
{
	struct wishes wishes = NO_WISHES;
	struct request req;
	struct exts exts = { 0 };
	struct err e = { 0 };
	struct cert old;

	wishes.device = d->device;
	if (complete(d, &req, &exts, &old) != 0)
		return -1;
	if (issue_sign(d->ctx, d->en->ca, d->en->profile, &req, &wishes, ret, &e) != 0)
		return refuse_err(d->why, &e);
	return check_names(d, &old, &ret->plan);
}

static int add_device(struct decision *d, struct err *e)
{
	const struct device_profile *p = &d->en->dms->settings.enrollment_settings.device_provisioning_profile;
	const struct device_entry entry = { .device = arena_strdup(d->ctx->arena, d->device), .action = DEVICE_REGISTER,
					    .time = d->ctx->now, .dms = d->en->dms->id, .icon = p->icon,
					    .icon_color = p->icon_color, .tags = p->tags, .metadata = p->metadata };

	return d->known ? 0 : ledger_add_device(d->ctx->state, &entry, e);
}

/* After so many seconds, which may outlast the certificate. Recorded now: nothing has to come back to it. */
static int supersede(struct ctx *ctx, const struct certrec *rec, int64_t delay, const char *note, struct err *e)
{
	/* superseded */
	const struct revoke_order order = { .action = REVOKE_REVOKE, .reason = 4, .at = ctx->now + delay, .ahead = true,
					    .note = note };

	return rec->status == CERT_REVOKED || delay >= rec->not_after - ctx->now ? 0 : revoke_cert(ctx, rec, &order, e);
}

/* The certificate that is replaced, and a credential that served once. */
static int revoke_old(struct decision *d, struct err *e)
{
	const struct dms_settings *s = &d->en->dms->settings;
	int64_t delay = 0;
	bool anew = d->en->kind == ENROLL_NEW;

	if (d->has_current && (anew || (s->reenrollment_settings.revoke_on_reenrollment &&
					dms_revoke_when(d->en->dms, &delay) != REVOKE_AT_FIRST_USE)) &&
	    supersede(d->ctx, &d->current, anew ? 0 : delay, anew ? "enrolled anew" : "renewed", e) != 0)
		return -1;
	if (d->en->who->single_use && d->en->who->recorded)
		return supersede(d->ctx, &d->en->who->rec, 0, "used to enrol", e);
	return 0;
}

static const char *bind_mode(const struct decision *d)
{
	return d->en->kind == ENROLL_RENEW ? BIND_RENEWED : d->known && d->dev.identity.serial_number
	       ? "RE-PROVISIONED" : "PROVISIONED";
}

int enroll_issue(struct ctx *ctx, const struct enrolment *en, const char *device, struct enrolled *ret,
		 struct refusal *why)
{
	struct decision d = { .ctx = ctx, .en = en, .device = device, .why = why };
	struct enrolled r = { .device = arena_strdup(ctx->arena, device) };
	struct issued is;
	struct err e = { 0 };
	bool ignored;

	if (decide(&d, &r) != 0)
		return -1;
	if (!r.existing) {
		if (sign(&d, &is) != 0)
			return -1;
		if (en->kind == ENROLL_RENEW && enroll_first_use(ctx, en->dms, en->who, &ignored, &e) != 0)
			return refuse_err(why, &e);
		is.rec.dms = en->dms->id;
		is.rec.bind = arena_strdup(ctx->arena, bind_mode(&d));
		if (en->who->token && any_set(ctx->arena, is.rec.metadata, META_TOKEN, en->who->token, &is.rec.metadata,
					      &e) != 0)
			return refuse_err(why, &e);
		if (en->who->recorded && (en->kind == ENROLL_NEW || !en->who->enrolled) &&
		    any_set(ctx->arena, is.rec.metadata, META_AUTHORIZED_BY,
			    arena_printf(ctx->arena, "\"%s\"", en->who->rec.serial_number),
			    &is.rec.metadata, &e) != 0)
			return refuse_err(why, &e);
		if (add_device(&d, &e) != 0 || issue_record(ctx, &is.rec, is.der, &e) != 0 || revoke_old(&d, &e) != 0)
			return refuse_err(why, &e);
		r.der = is.der;
		r.rec = is.rec;
		r.warning = is.warning;
	}
	*ret = r;
	return 0;
}

/* --- what a renewal replaced --- */

/* Of the versions of an identity the later one has the later notBefore, then the higher serial number. */
static bool is_before(const struct certrec *x, const struct certrec *y)
{
	return x->not_before != y->not_before ? x->not_before < y->not_before
					      : strcmp(x->serial_number, y->serial_number) < 0;
}

int enroll_first_use(struct ctx *ctx, const struct dms *dms, const struct identity *who, bool *ret_changed,
		     struct err *e)
{
	const struct certrec *new = &who->rec;
	struct certrec *v;
	struct device dev;
	bool found;
	size_t n;
	int64_t delay;

	*ret_changed = false;
	if (!who->recorded || !new->device || !new->bind || strcmp(new->bind, BIND_RENEWED) != 0 || !new->dms ||
	    strcmp(new->dms, dms->id) != 0 ||
	    !dms->settings.reenrollment_settings.revoke_on_reenrollment ||
	    dms_revoke_when(dms, &delay) != REVOKE_AT_FIRST_USE)
		return 0;
	if (ledger_find_device(ctx->state, new->device, &found, &dev, e) != 0)
		return -1;
	if (!found)
		return 0;
	if (ledger_device_certs(ctx->state, &dev, &v, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (v[i].status != CERT_ACTIVE || !v[i].dms || strcmp(v[i].dms, dms->id) != 0 || !is_before(&v[i], new))
			continue;
		if (supersede(ctx, &v[i], 0, "renewed", e) != 0)
			return -1;
		*ret_changed = true;
	}
	return 0;
}
