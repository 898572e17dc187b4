/* `dms check`: what a device manager would do with a certificate, a request, or both, and why. Nothing is written, no
 * key is opened and nobody is asked over the network, so hooks and tokens are reported as what they are: still to
 * come. */
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "cmd/dms.h"
#include "crypto/name.h"
#include "pki/device.h"
#include "pki/enroll.h"
#include "state/ledger.h"

struct check_args {
	const char *dms, *csr, *cert;
	bool renew;
};

/* What is printed; also the conversation on the way to it. */
struct verdict {
	char *decision, *reason, *text; /* accepted, refused, open */
	int64_t status;                 /* HTTP */
	char *device, *device_status, *credential, *ca, *profile, *subject;
	int64_t not_after;
};
static const struct field verdict_fields[] = {
	STR(verdict, decision, "accepted, refused, or open: a hook, token or secret decides.", .flags = F_KEY),
	STR(verdict, reason, "Why it is refused, one of a closed list."),
	STR(verdict, text, "Why, for people."),
	INT(verdict, status, "What a listener would answer.", .flags = F_SHOW0),
	STR(verdict, device, "The device that the request is for."),
	STR(verdict, device_status, "Its status; absent: it is not registered."),
	STR(verdict, credential, "What the certificate is taken for."),
	STR(verdict, ca, "The authority that would issue."),
	STR(verdict, profile, "The profile that would be applied."),
	STR(verdict, subject, "Subject of the certificate that would be issued."),
	TIME(verdict, not_after, "Its end."),
	END
};
static const struct schema verdict_type = {
	.name = "verdict", .plural = "verdicts", .doc = "What would be granted", .size = sizeof(struct verdict),
	.fields = verdict_fields
};

struct checking {
	struct ctx *ctx;
	const struct check_args *a;
	struct dms dms;
	struct profile profile;
	struct cert cert;
	struct csr csr;
	struct identity who;
	struct refusal why;
	struct verdict *out;
};

/* --- the certificate --- */

static int load_cas(struct checking *c, const struct strv *ids, struct authority **v, size_t *n, struct err *e)
{
	for (size_t i = 0; i < ids->n; i++) {
		*v = arena_grow(c->ctx->arena, *v, *n, sizeof(**v));
		(*v)[*n] = (struct authority){ 0 };
		if (authority_load(c->ctx, ids->v[i], &(*v)[*n], e) != 0)
			return -1;
		++*n;
	}
	return 0;
}

/* Those that a credential may come from: validation authorities for the first enrolment; for renewals the issuing ones,
 * so many in the beginning, and the others where a device may renew what has expired. */
static int trusted(struct checking *c, struct authority **ret, size_t *ret_n, size_t *ret_issuing, struct err *e)
{
	struct dms_settings *s = &c->dms.settings;
	const struct strv issuing = { .v = &s->enrollment_settings.enrollment_ca, .n = 1 };
	const struct strv *validation =
		&s->enrollment_settings.est_rfc7030_settings.authentication.client_certificate.validation_cas;

	*ret = NULL;
	*ret_n = *ret_issuing = 0;
	if (c->a->renew && (load_cas(c, &issuing, ret, ret_n, e) != 0 ||
			    load_cas(c, &s->reenrollment_settings.additional_validation_cas, ret, ret_n, e) != 0))
		return -1;
	*ret_issuing = *ret_n;
	return c->a->renew && !s->reenrollment_settings.enable_expired_renewal
	       ? 0 : load_cas(c, validation, ret, ret_n, e);
}

static int judge_path(struct checking *c, const struct authority *v, size_t n, size_t issuing)
{
	struct arena *ar = c->ctx->arena;
	int64_t at = c->ctx->now > c->cert.not_after ? c->cert.not_after - 1 : c->ctx->now;
	struct err e = { 0 };

	for (size_t i = 0; i < n; i++) {
		struct bytes *chain;
		size_t nchain;

		if (!v[i].cert.der.n || authority_chain(ar, &v[i], &chain, &nchain, &e) != 0 ||
		    cert_verify(c->cert.der, chain, nchain, &v[i].cert.der, 1, NULL, 0, at, &e) != 0)
			continue;
		if (v[i].rec.compromised || v[i].status == CA_REVOKED)
			return refuse(&c->why, 401, "untrusted_certificate",
				      "its authority %s is revoked or compromised", v[i].rec.id);
		c->out->credential = arena_printf(ar, "certificate of %s", v[i].rec.id);
		c->who.enrolled = i < issuing;
		return 0;
	}
	return refuse(&c->why, 401, "untrusted_certificate", "%s",
		      e.code ? e.msg : "no authority is trusted for clients here");
}

static int judge_cert(struct checking *c, struct err *e)
{
	const struct client_cert_auth *rules =
		&c->dms.settings.enrollment_settings.est_rfc7030_settings.authentication.client_certificate;
	const struct reenrollment_settings *renewal = &c->dms.settings.reenrollment_settings;
	bool expired_too = c->a->renew ? renewal->enable_expired_renewal &&
			   renewal->authentication.type == AUTH_CERT_AND_WEBHOOK : rules->allow_expired;
	struct authority *v;
	struct bytes text;
	struct err missing = { 0 };
	size_t n, issuing;

	if (fs_read_input(c->ctx->arena, c->a->cert, FS_LIMIT_CERT, &text, e) != 0 ||
	    cert_parse(c->ctx->arena, text, &c->cert, e) != 0)
		return err_ctx(e, "--cert");
	if (trusted(c, &v, &n, &issuing, e) != 0)
		return -1;
	c->who.cert = &c->cert;
	c->who.via = "certificate";
	if (c->ctx->now < c->cert.not_before)
		return refuse(&c->why, 401, "untrusted_certificate", "it is not valid yet");
	if (c->ctx->now > c->cert.not_after && !expired_too)
		return refuse(&c->why, 401, "expired_certificate", "it has expired");
	if (judge_path(c, v, n, issuing) != 0)
		return -1;
	c->who.recorded = ledger_cert(c->ctx->state, NULL, cert_fingerprint(c->ctx->arena, &c->cert), &c->who.rec,
				      &missing) == 0;
	if (c->who.recorded && (c->who.rec.status == CERT_REVOKED || c->who.rec.status == CERT_HELD))
		return refuse(&c->why, 401, "revoked_certificate", "it is revoked or on hold");
	if (c->who.recorded)
		return device_credential(c->ctx->arena, &c->dms, &c->who, &c->why);
	return 0;
}

/* --- the request --- */

static int would_issue(struct checking *c, const struct enrolment *en, const char *device)
{
	struct err e = { 0 };
	struct plan plan;

	if (authority_may_issue(en->ca, &e) != 0)
		return refuse(&c->why, 503, "ca_not_active", "%s", e.msg);
	if (enroll_plan(c->ctx, en, device, &plan, &c->why) != 0)
		return -1;
	c->out->not_after = plan.tbs.not_after;
	return name_format(c->ctx->arena, plan.tbs.subject, &c->out->subject, &e);
}

static int judge_csr(struct checking *c, struct err *e)
{
	AUTO(EVP_PKEY) *pub = NULL;
	SCOPED_AUTHORITY ca = { 0 };
	struct request req;
	struct enrolled r;
	struct bytes text;
	struct device dev;
	bool found;
	char *id;

	if (fs_read_input(c->ctx->arena, c->a->csr, FS_LIMIT_CERT, &text, e) != 0 ||
	    authority_load(c->ctx, c->dms.settings.enrollment_settings.enrollment_ca, &ca, e) != 0)
		return -1;
	if (request_from_csr(c->ctx->arena, text, &c->csr, &req, &pub, e) != 0)
		return refuse(&c->why, 400, e->code == ERR_DENIED ? "policy" : "malformed_request", "%s", e->msg);
	if (enroll_device(c->ctx->arena, &c->dms, &c->csr, &id, &c->why) != 0)
		return -1;
	c->out->device = id;
	if (ledger_find_device(c->ctx->state, id, &found, &dev, e) != 0)
		return -1;
	if (found)
		c->out->device_status = arena_strdup(c->ctx->arena, device_status_names[dev.status]);
	if (c->who.device && strcmp(c->who.device, id) != 0)
		return refuse(&c->why, 403, "device_mismatch", "the credential is for device %s", c->who.device);
	const struct enrolment en = { .dms = &c->dms, .ca = &ca, .profile = &c->profile,
				      .kind = c->a->renew ? ENROLL_RENEW : ENROLL_NEW, .csr = &c->csr, .request = &req,
				      .who = &c->who };
	if (enroll_judge(c->ctx, &en, id, &r, &c->why) != 0)
		return -1;
	return would_issue(c, &en, id);
}

/* --- all of it --- */

static int load(struct checking *c, struct err *e)
{
	struct ca ca;
	const char *id;

	if (state_get(c->ctx->state, &dms_type, c->a->dms, &c->dms, e) != 0 ||
	    state_get(c->ctx->state, &ca_type, c->dms.settings.enrollment_settings.enrollment_ca, &ca, e) != 0)
		return -1;
	id = c->dms.settings.issuance_profile_id ? c->dms.settings.issuance_profile_id : ca.issuance_profile_id;
	if (profile_load(c->ctx, id, &c->profile, e) != 0)
		return -1;
	c->out->ca = ca.id;
	c->out->profile = c->profile.id;
	return 0;
}

static void conclude(struct checking *c, bool refused)
{
	int type = c->dms.settings.enrollment_settings.est_rfc7030_settings.authentication.type;
	struct arena *ar = c->ctx->arena;
	const char *open = NULL;

	if (c->a->renew)
		type = c->dms.settings.reenrollment_settings.authentication.type;
	if (c->a->renew && type == AUTH_NONE)
		type = AUTH_CERT;
	if (type == AUTH_WEBHOOK || type == AUTH_CERT_AND_WEBHOOK)
		open = "nothing speaks against it; the hook decides, and is not asked here";
	else if (type == AUTH_JWT || type == AUTH_PSK)
		open = "nothing speaks against it; the token or secret that the device shows decides, and none is "
		       "judged here";
	else if (type == AUTH_CERT && !c->a->cert)
		open = "nothing speaks against it; the certificate that the device shows decides: give --cert";
	c->out->decision = arena_strdup(ar, refused ? "refused" : open ? "open" : "accepted");
	c->out->status = refused ? c->why.status : 200;
	c->out->reason = refused ? arena_strdup(ar, c->why.reason) : NULL;
	c->out->text = refused ? arena_strdup(ar, c->why.text) : arena_strdup(ar, open);
}

static int run_check(struct ctx *ctx, void *args, struct err *e)
{
	struct verdict v = { 0 };
	struct checking *c = arena_new_array(ctx->arena, 1, struct checking);
	int rc = 0;

	*c = (struct checking){ .ctx = ctx, .a = args, .out = &v, .who.via = "no_auth" };
	if (!c->a->csr && !c->a->cert)
		return err_set(e, ERR_USAGE, "give --csr, --cert, or both");
	if (load(c, e) != 0)
		return -1;
	if (c->a->cert)
		rc = judge_cert(c, e);
	if (rc == 0 && c->a->csr)
		rc = judge_csr(c, e);
	if (rc != 0 && !c->why.reason)
		return -1;
	*e = (struct err){ 0 };
	conclude(c, rc != 0);
	if (out_record(ctx, &verdict_type, &v, e) != 0)
		return -1;
	return rc != 0 ? err_set(e, ERR_DENIED, "dms %s would refuse it: %s", c->dms.id, c->why.text) : 0;
}

static const struct opt check_opts[] = {
	OSTR(check_args, csr, 0, "file", "A request, PEM or DER."),
	OSTR(check_args, cert, 0, "file", "The certificate that the device shows."),
	OFLAG(check_args, renew, 0, "As a renewal (simplereenroll), not a first enrolment."), OEND
};
static const struct operand dms_operand[] = { PARAM(check_args, dms, "dms", "The device manager."), { 0 } };
const struct cmd dms_check_cmd = {
	.name = "check", .brief = "Say what would be granted, and why not", .opts = check_opts, .operands = dms_operand,
	.argsize = sizeof(struct check_args), .needs = NEED_STATE, .run = run_check,
	.doc = "Judges a request and a credential as a listener would, without signing anything. Hooks are not asked "
	       "and tokens and secrets not judged: where one of them decides, and nothing else speaks against the "
	       "request, the decision is \"open\". Exit status 5 when it would be refused.",
	.example = "lamassu dms check factory --csr sensor-1.csr --cert bootstrap-000001.pem"
};
