/* What a device manager answers without asking who is there: cacerts and csrattrs, from the same functions as the
 * listener's. */
#include <string.h>

#include "base/text.h"
#include "cmd/dms.h"
#include "crypto/cert.h"
#include "model/ca.h"
#include "pki/csrattrs.h"
#include "pki/est_cacerts.h"
#include "state/state.h"

struct answer_args {
	const char *dms, *out;
	int format;
	bool pop, template_;
};

/* base64 in lines of 64, as on the wire. */
static int put_base64(struct ctx *ctx, const char *out, struct bytes der, struct err *e)
{
	const char *text = b64_encode(ctx->arena, der);
	SCOPED_BUF b = buf_init(BUF_BIG);

	for (size_t n = strlen(text), i = 0; i < n; i += 64)
		buf_printf(&b, "%.64s\n", text + i);
	return out_bytes(ctx, out, buf_bytes(&b), false, false, e);
}

/* --- cacerts --- */

static const char *const cacerts_formats[] = { "base64", "der", "pem", NULL };

static int run_cacerts(struct ctx *ctx, void *args, struct err *e)
{
	const struct answer_args *a = args;
	SCOPED_BUF pem = buf_init(BUF_BIG);
	struct bytes *ders, p7;
	struct dms d;
	size_t n;

	if (state_get(ctx->state, &dms_type, a->dms, &d, e) != 0 || est_cacerts(ctx, &d, NULL, &ders, &n, e) != 0)
		return -1;
	if (a->format == 2) {
		for (size_t i = 0; i < n; i++) {
			struct bytes one = cert_pem(ctx->arena, ders[i]);

			buf_put(&pem, one.p, one.n);
		}
		return out_bytes(ctx, a->out, buf_bytes(&pem), false, false, e);
	}
	if (est_p7(ctx->arena, ders, n, &p7, e) != 0)
		return -1;
	return a->format == 1 ? out_bytes(ctx, a->out, p7, false, false, e) : put_base64(ctx, a->out, p7, e);
}

static const struct operand dms_operand[] = { PARAM(answer_args, dms, "dms", "The device manager."), { 0 } };
static const struct opt cacerts_opts[] = {
	OENUM(answer_args, format, 0, cacerts_formats,
	      "base64 of the PKCS#7, as devices get it (the default), its DER, or the certificates in PEM."),
	OSTR(answer_args, out, 0, "file", "Where to write it. Default: standard output."),
	OEND
};
const struct cmd dms_cacerts_cmd = {
	.name = "cacerts", .brief = "Show what devices get as trusted authorities", .opts = cacerts_opts,
	.operands = dms_operand, .argsize = sizeof(struct answer_args), .needs = NEED_STATE, .run = run_cacerts,
	.doc = "The answer of EST's cacerts (RFC 7030 4.1.3): the authorities that ca_distribution_settings name, with "
	       "their issuers, and both generations of a root whose key was changed. Compromised, revoked and expired "
	       "ones are left out.",
	.example = "lamassu dms cacerts factory --format pem --out anchors.pem"
};

/* --- csrattrs --- */

static int profile_of(struct ctx *ctx, const struct dms *d, struct profile *ret, struct err *e)
{
	const char *id = d->settings.issuance_profile_id;
	struct ca ca;

	if (!id) {
		if (state_get(ctx->state, &ca_type, d->settings.enrollment_settings.enrollment_ca, &ca, e) != 0)
			return -1;
		id = ca.issuance_profile_id;
	}
	if (!id)
		return err_set(e, ERR_NOT_FOUND, "dms %s has no profile", d->id);
	return state_get(ctx->state, &profile_type, id, ret, e);
}

static int run_csrattrs(struct ctx *ctx, void *args, struct err *e)
{
	const struct answer_args *a = args;
	struct csrattrs_wishes w;
	struct profile p;
	struct bytes der;
	struct dms d;

	if (state_get(ctx->state, &dms_type, a->dms, &d, e) != 0 || profile_of(ctx, &d, &p, e) != 0)
		return -1;
	w = (struct csrattrs_wishes){ .pop = a->pop,
				      .template_ = a->template_ || d.settings.enrollment_settings.csrattrs_template };
	if (csrattrs_build(ctx->arena, &p, &w, &der, e) != 0)
		return -1;
	return a->format == 1 ? out_bytes(ctx, a->out, der, false, false, e) : put_base64(ctx, a->out, der, e);
}

static const char *const csrattrs_formats[] = { "base64", "der", NULL };
static const struct opt csrattrs_opts[] = {
	OENUM(answer_args, format, 0, csrattrs_formats, "base64, as devices get it (the default), or DER."),
	OFLAG(answer_args, pop, 0, "As when proof of possession must be linked to the TLS session."),
	OFLAG(answer_args, template_, 0, "The request template of RFC 9908."),
	OSTR(answer_args, out, 0, "file", "Where to write it. Default: standard output."),
	OEND
};
const struct cmd dms_csrattrs_cmd = {
	.name = "csrattrs", .brief = "Show which requests devices are asked to make", .opts = csrattrs_opts,
	.operands = dms_operand, .argsize = sizeof(struct answer_args), .needs = NEED_STATE, .run = run_csrattrs,
	.doc = "The answer of EST's csrattrs (RFC 7030 4.5, RFC 9908), made from the profile: key usages, and the kind "
	       "of key where only one is accepted.",
	.example = "lamassu dms csrattrs factory | openssl base64 -d | openssl asn1parse -inform der -i"
};
