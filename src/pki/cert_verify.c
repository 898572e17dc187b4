/* Judging certificates. Guarantees: only roots of this repository are trusted; a revoked or compromised authority
 * anywhere above makes the certificate bad; the first reason found is the one that matters most. */
#include "pki/cert_verify.h"

#include "base/text.h"
#include "base/tm.h"
#include "crypto/name.h"

static const struct field cert_verdict_fields[] = {
	STR(cert_verdict, serial_number, "Serial number.", .flags = F_KEY),
	BOOL(cert_verdict, valid, "Whether it is good.", .flags = F_SHOW0),
	STR(cert_verdict, reason, "Why it is not."),
	STR(cert_verdict, subject, "Subject."),
	STR(cert_verdict, ca, "The authority that issued it."),
	ENUM(cert_verdict, status, cert_status_names, "By dates and our own records.", .flags = F_SHOW0),
	BOOL(cert_verdict, recorded, "Whether this repository has a record of it.", .flags = F_SHOW0),
	TIME(cert_verdict, not_before, "Start of its validity."),
	TIME(cert_verdict, not_after, "End of its validity."),
	STRV(cert_verdict, chain, "Subjects from the certificate up to the root."),
	END
};
const struct schema cert_verdict_type = {
	.name = "verdict", .plural = "verdicts", .doc = "What `cert verify` found", .size = sizeof(struct cert_verdict),
	.fields = cert_verdict_fields
};

/* Why our own records speak against it; NULL: they do not. */
static char *revoked(struct ctx *ctx, const struct certrec *c)
{
	const char *reason = c->revocation_reason > 0 ? revocation_reason_names[c->revocation_reason] : "unspecified";

	if (c->status == CERT_HELD)
		return arena_strdup(ctx->arena, "it is on hold");
	if (c->status != CERT_REVOKED || c->revoked_at > ctx->now)
		return NULL;
	return arena_printf(ctx->arena, "it was revoked %s (%s)", tm_format(ctx->arena, c->revoked_at), reason);
}

static char *bad_authority(struct ctx *ctx, const struct authority *ca)
{
	for (; ca; ca = ca->parent) {
		if (ca->rec.compromised)
			return arena_printf(ctx->arena, "its authority %s is compromised", ca->rec.id);
		if (ca->status == CA_REVOKED)
			return arena_printf(ctx->arena, "its authority %s is REVOKED", ca->rec.id);
	}
	return NULL;
}

static int subjects(struct ctx *ctx, const struct bytes *ders, size_t n, struct strv *ret, struct err *e)
{
	ret->v = arena_new_array(ctx->arena, n, char *);
	for (; ret->n < n; ret->n++) {
		struct cert c;
		if (cert_parse(ctx->arena, ders[ret->n], &c, e) != 0 ||
		    name_format(ctx->arena, c.subject, &ret->v[ret->n], e) != 0)
			return -1;
	}
	return 0;
}

/* The path by the rules of RFC 5280 6; *ret_why NULL when it holds. */
static int path(struct ctx *ctx, const struct bytes *ders, size_t n, char **ret_why, struct err *e)
{
	struct cert top;
	struct err why = { 0 };

	if (cert_parse(ctx->arena, ders[n - 1], &top, e) != 0)
		return -1;
	*ret_why = NULL;
	if (!top.is_ca || !cert_issued_by(&top, &top))
		*ret_why = arena_strdup(ctx->arena, n == 1 ? "no authority of this repository issued it"
							   : "its chain does not end at a root of this repository");
	else if (cert_verify(ders[0], ders + 1, n - 1, &ders[n - 1], 1, NULL, 0, ctx->now, &why) != 0)
		*ret_why = arena_strdup(ctx->arena, why.msg);
	return 0;
}

/* A self-signed certificate is trusted only as one of an authority here, be it an older one. */
static int known_root(struct ctx *ctx, const struct found_cert *f, bool *ret, struct err *e)
{
	struct authority *all;
	size_t n;

	*ret = f->recorded && f->rec.ca_id && state_has(ctx->state, &ca_type, f->rec.ca_id);
	if (*ret)
		return 0;
	if (authority_all(ctx, &all, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		*ret = *ret || bytes_equal(all[i].cert.der, f->cert.der);
	return 0;
}

int cert_judge(struct ctx *ctx, const struct found_cert *f, struct cert_verdict *ret, struct err *e)
{
	struct cert_verdict v = { .serial_number = f->rec.serial_number, .subject = f->rec.subject,
				  .status = f->rec.status,
		.recorded = f->recorded, .not_before = f->cert.not_before, .not_after = f->cert.not_after };
	struct authority ca = { 0 };
	struct bytes *ders;
	bool found, trusted = true;
	char *why;
	size_t n;

	if (cert_issuer(ctx, f, &ca, &found, e) != 0 || cert_chain(ctx, f, &ders, &n, e) != 0 ||
	    path(ctx, ders, n, &why, e) != 0 ||
	    subjects(ctx, ders, n, &v.chain, e) != 0 || (n == 1 && known_root(ctx, f, &trusted, e) != 0))
		return -1;
	v.ca = found ? ca.rec.id : f->recorded ? f->rec.ca : NULL;
	v.reason = f->recorded ? revoked(ctx, &f->rec) : NULL;
	if (v.reason == NULL && found)
		v.reason = bad_authority(ctx, &ca);
	if (v.reason == NULL)
		v.reason = why;
	if (v.reason == NULL && !trusted)
		v.reason = arena_strdup(ctx->arena, "no authority of this repository issued it");
	if (v.reason == NULL && !f->recorded)
		ctx_warn(ctx, "there is no record of this certificate here, so nothing is known of its revocation");
	v.valid = v.reason == NULL;
	*ret = v;
	return 0;
}
