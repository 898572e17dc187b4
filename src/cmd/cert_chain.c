/* `cert chain`, `cert verify`: what stands above a certificate, and whether it is good. */
#include "cmd/cert.h"
#include "crypto/name.h"
#include "pki/cert_verify.h"

/* --- chain --- */

struct chain_args {
	const char *cert, *ca, *out;
};

struct link {
	int64_t depth;
	char *serial_number, *subject, *issuer;
	int64_t not_after;
	bool is_ca;
	char *certificate;
};
static const struct field link_fields[] = {
	INT(link, depth, "0 is the certificate itself.", .flags = F_COL | F_SHOW0),
	STR(link, subject, "Subject.", .flags = F_COL),
	STR(link, serial_number, "Serial number.", .flags = F_COL | F_KEY),
	TIME(link, not_after, "End of validity.", .flags = F_COL),
	STR(link, issuer, "Issuer."),
	BOOL(link, is_ca, "Whether it is an authority's.", .flags = F_SHOW0),
	STR(link, certificate, "The certificate in PEM.", .flags = F_HIDE),
	END
};
static const struct schema link_type = {
	.name = "link", .plural = "links", .doc = "A certificate in a chain", .size = sizeof(struct link),
	.fields = link_fields
};

static int describe(struct ctx *ctx, struct bytes der, size_t depth, struct link *ret, struct err *e)
{
	struct bytes pem = cert_pem(ctx->arena, der);
	struct cert c;

	if (cert_parse(ctx->arena, der, &c, e) != 0)
		return -1;
	*ret = (struct link){ .depth = (int64_t)depth, .serial_number = cert_serial_hex(ctx->arena, c.serial),
			      .not_after = c.not_after,
		.is_ca = c.is_ca, .certificate = arena_strndup(ctx->arena, (const char *)pem.p, pem.n) };
	return name_format(ctx->arena, c.subject, &ret->subject, e) || name_format(ctx->arena, c.issuer, &ret->issuer,
										   e) ? -1 : 0;
}

static int run_chain(struct ctx *ctx, void *args, struct err *e)
{
	const struct chain_args *a = args;
	SCOPED_BUF pem = buf_init(BUF_BIG);
	struct found_cert f;
	struct bytes *ders;
	struct link *v;
	size_t n;

	if (cert_find_any(ctx, a->ca, a->cert, &f, e) != 0 || cert_chain(ctx, &f, &ders, &n, e) != 0)
		return -1;
	v = arena_new_array(ctx->arena, n, struct link);
	for (size_t i = 0; i < n; i++) {
		if (describe(ctx, ders[i], i, &v[i], e) != 0)
			return -1;
		buf_puts(&pem, v[i].certificate);
	}
	if (a->out)
		return out_bytes(ctx, a->out, buf_bytes(&pem), false, true, e);
	return out_list(ctx, &link_type, v, n, NULL, e);
}

static const struct opt chain_opts[] = {
	OSTR(chain_args, out, 0, "file|-", "Write the certificates in PEM, from this one to the root."),
	OSTR(chain_args, ca, 0, "ca", CERT_CA_DOC),
	OEND
};
static const struct operand chain_operands[] = { PARAM(chain_args, cert, "cert", CERT_REF_DOC), { 0 } };
const struct cmd cert_chain_cmd = {
	.name = "chain", .brief = "Show the certificates from one up to its root", .opts = chain_opts,
	.operands = chain_operands, .argsize = sizeof(struct chain_args), .needs = NEED_STATE, .run = run_chain,
	.type = &link_type,
	.example = "lamassu cert chain 5f3a0c11\nlamassu cert chain sensor-1.pem --out chain.pem"
};

/* --- verify --- */

static int run_verify(struct ctx *ctx, void *args, struct err *e)
{
	const struct cert_args *a = args;
	struct cert_verdict v;
	struct found_cert f;

	if (cert_find_any(ctx, a->ca, a->cert, &f, e) != 0 || cert_judge(ctx, &f, &v, e) != 0 ||
	    out_record(ctx, &cert_verdict_type, &v, e) != 0)
		return -1;
	return v.valid ? 0 : err_set(e, ERR_CHECK, "certificate %s is not valid: %s", v.serial_number, v.reason);
}

const struct cmd cert_verify_cmd = {
	.name = "verify", .brief = "Check a certificate: chain, dates, revocation", .opts = cert_ca_opt,
	.operands = cert_operand, .argsize = sizeof(struct cert_args), .needs = NEED_STATE, .run = run_verify,
	.type = &cert_verdict_type,
	.doc = "The path must lead to a root of this repository (RFC 5280 6), all dates must hold now (or at --at "
	       "TIME), and neither the certificate nor an authority above it may be revoked by our own records. Exit "
	       "status 5 when it is not valid.",
	.example = "lamassu cert verify sensor-1.pem"
};
