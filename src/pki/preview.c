/* What a request would become. Guarantees: the fields are those of the very plan that issuing would sign; each names
 * its source, and whatever the request asks for and does not get is listed with the reason. Signs nothing, writes
 * nothing. */
#include "pki/preview.h"

#include <string.h>

#include "base/text.h"
#include "base/tm.h"
#include "crypto/name.h"
#include "pki/issue.h"
#include "state/state.h"

static const struct field preview_field_fields[] = {
	STR(preview_field, field, "The field of the certificate.", .flags = F_COL | F_KEY),
	STR(preview_field, value, "Its value; for what is dropped, what the request asks.", .flags = F_COL),
	STR(preview_field, source, "Where it comes from: request, profile, authority, operator or rule; or dropped.",
	    .flags = F_COL),
	STR(preview_field, reason, "Why.", .flags = F_COL),
	END
};
const struct schema preview_field_type = {
	.name = "field", .plural = "fields", .doc = "A field of a certificate that would be issued",
	.size = sizeof(struct preview_field),
	.fields = preview_field_fields
};

static const struct field preview_fields[] = {
	STR(preview, profile, "The profile that is applied.", .flags = F_KEY),
	STR(preview, ca, "The authority that would sign; absent when none was chosen."),
	STR(preview, subject, "Subject of the certificate."),
	STR(preview, issuer, "Its issuer."),
	STRV(preview, san, "Alternative names."),
	TIME(preview, not_before, "Start of its validity."),
	TIME(preview, not_after, "End of its validity."),
	STR(preview, key_type, "Type and size of the key."),
	BOOL(preview, is_ca, "Whether it is an authority.", .flags = F_SHOW0),
	OBJV(preview, fields, &preview_field_type, "Each field with its source."),
	OBJV(preview, dropped, &preview_field_type, "What the request asks for and does not get."),
	STR(preview, warning, "What to look at."),
	END
};
const struct schema preview_type = {
	.name = "preview", .plural = "previews", .doc = "The certificate that would be issued",
	.size = sizeof(struct preview),
	.fields = preview_fields
};

struct previewing {
	struct arena *ar;
	const struct authority *ca;
	const struct profile *prof;
	const struct wishes *wishes;
	const struct csr *csr;
	struct plan plan;
	struct preview out;
};

static void put(struct previewing *p, struct vec *to, const char *field, const char *value, const char *source,
		const char *reason)
{
	struct preview_field *v = arena_grow(p->ar, to->v, to->n, sizeof(*v));

	v[to->n++] = (struct preview_field){ arena_strdup(p->ar, field), arena_strdup(p->ar, value),
					     arena_strdup(p->ar, source),
		arena_strdup(p->ar, reason) };
	to->v = v;
}

static void keep(struct previewing *p, const char *field, const char *value, const char *source, const char *reason)
{
	put(p, &p->out.fields, field, value, source, reason);
}

static void drop(struct previewing *p, const char *field, const char *value, const char *reason)
{
	put(p, &p->out.dropped, field, value, "dropped", reason);
}

/* The last word of the plan on a field. */
static const struct reason *reason_of(const struct previewing *p, const char *field)
{
	const struct reason *last = NULL;

	for (size_t i = 0; i < p->plan.nreasons; i++)
		if (strcmp(p->plan.reasons[i].field, field) == 0)
			last = &p->plan.reasons[i];
	return last;
}

/* --- subject: attribute by attribute --- */

static int attribute(struct previewing *p, const struct field *f, const struct subject_fields *asked,
		     const struct subject_fields *got, struct err *e)
{
	const char *name = arena_printf(p->ar, "subject.%s", f->name);
	const bool merges = p->prof->honor_subject || p->wishes->subject;
	char *was, *is, *own;

	if (rec_get(p->ar, &subject_type, asked, f->name, &was, NULL, e) != 0 ||
	    rec_get(p->ar, &subject_type, got, f->name, &is, NULL, e) != 0 ||
	    rec_get(p->ar, &subject_type, &p->prof->subject, f->name, &own, NULL, e) != 0)
		return -1;
	if (is && own)
		keep(p, name, is, "profile",
		     merges ? "the profile's value wins" : "honor_subject is false: the profile's subject only");
	else if (is)
		keep(p, name, is, p->wishes->subject ? "operator" : "request",
		     p->wishes->subject ? "" : "honor_subject");
	if (was && (is == NULL || strcmp(was, is) != 0))
		drop(p, name, was, p->wishes->subject ? "the operator names another subject" : !merges
		     ? "honor_subject is false"
				   : "the profile's value wins");
	return 0;
}

static int explain_subject(struct previewing *p, struct err *e)
{
	struct subject_fields asked, got;

	if (name_fields(p->ar, p->csr->subject, &asked, e) != 0 ||
	    name_fields(p->ar, p->plan.tbs.subject, &got, e) != 0 ||
	    name_format(p->ar, p->plan.tbs.subject, &p->out.subject, e) != 0)
		return -1;
	for (const struct field *f = subject_type.fields; f->name; f++)
		if (attribute(p, f, &asked, &got, e) != 0)
			return -1;
	if (*p->out.subject == '\0')
		keep(p, "subject", "empty", "rule", "the alternative names are critical then (RFC 5280 4.2.1.6)");
	return 0;
}

/* --- issuer, dates, key --- */

static int explain_base(struct previewing *p, const EVP_PKEY *pub, const struct config *config, struct err *e)
{
	const struct tbs *t = &p->plan.tbs;
	const struct reason *end = reason_of(p, "not_after"), *wish = reason_of(p, "validity");
	const struct keytype *kt = keytype_of(pub);
	AUTO(EVP_PKEY) *ca_pub = NULL;

	keep(p, "serial_number", "128 random bits", "rule", "chosen when it is issued");
	if (p->ca) {
		if (name_format(p->ar, t->issuer, &p->out.issuer, e) != 0 || cert_pubkey(&p->ca->cert, &ca_pub, e) != 0)
			return -1;
		p->out.ca = p->ca->rec.id;
		keep(p, "issuer", p->out.issuer, "authority", "its subject, byte by byte");
		if (sigalg_default(ca_pub))
			keep(p, "signature_algorithm", sigalg_default(ca_pub)->name, "authority",
			     "by the type of its key");
	}
	p->out.not_before = t->not_before;
	p->out.not_after = t->not_after;
	keep(p, "not_before", tm_format(p->ar, t->not_before), "rule",
	     arena_printf(p->ar, "now, less %s (backdate)", dur_format(p->ar, config->backdate.secs)));
	keep(p, "not_after", tm_format(p->ar, t->not_after), end ? end->source : wish ? wish->source : "profile",
	     end ? end->text : "");
	p->out.key_type = arena_strdup(p->ar, kt ? kt->name : "other");
	keep(p, "public_key", p->out.key_type, "request", "");
	return 0;
}

/* --- extensions --- */

static const struct {
	const char *oid, *field;
	const char *source, *reason; /* where the plan says nothing */
} known[] = {
	{ OID_BC, "basic_constraints", "profile", "" },
	{ OID_KU, "key_usage", "profile", "" },
	{ OID_EKU, "extended_key_usages", "profile", "" },
	{ OID_SAN, "subject_alternative_names", "profile", "" },
	{ OID_SKI, "subject_key_id", "rule", "SHA-256 of the public key" },
	{ OID_AKI, "authority_key_id", "authority", "its subject key id" },
	{ OID_CDP, "crl_distribution_points", "authority", "its own, or by va_domains" },
	{ OID_AIA, "authority_info_access", "authority", "by va_domains" },
	{ OID_CP, "certificate_policies", "profile", "" },
	{ OID_NC, "name_constraints", "profile", "" },
	{ OID_TLS_FEATURE, "ocsp_must_staple", "profile", "" },
	{ OID_OCSP_NOCHECK, "ocsp_no_check", "profile", "" },
};

/* "critical: digitalSignature": ext_describe's line without the name. */
static char *value_of(struct arena *ar, const struct ext *x)
{
	char *line = ext_describe(ar, x), *colon = strstr(line, ": ");

	return arena_printf(ar, "%s%s", x->critical ? "critical: " : "", colon ? colon + 2 : line);
}

static void explain_extension(struct previewing *p, const struct ext *x)
{
	const struct profile_extensions *own = &p->prof->extensions;
	const char *field = x->oid, *source = "profile", *reason = "";
	const struct reason *r;

	for (size_t i = 0; i < COUNT(known); i++)
		if (strcmp(known[i].oid, x->oid) == 0) {
			field = known[i].field;
			source = known[i].source;
			reason = known[i].reason;
		}
	r = reason_of(p, field);
	if (r) {
		source = r->source;
		reason = r->text;
	}
	if ((strcmp(x->oid, OID_CDP) == 0 && p->prof->crl_distribution_points.n) ||
	    (strcmp(x->oid, OID_AIA) == 0 && own->authority_info_access.ocsp_server.n +
	     own->authority_info_access.ca_issuers.n)) {
		source = "profile";
		reason = "";
	}
	/* the request's were dropped, the profile has its own */
	if (strcmp(x->oid, OID_SAN) == 0 && strcmp(source, "rule") == 0) {
		source = "profile";
		reason = "subject_alternative_names";
	}
	keep(p, field, value_of(p->ar, x), source, reason);
}

/* Why a requested extension is not taken over; NULL when it is. */
static const char *why_dropped(const struct previewing *p, const struct ext *x)
{
	const struct reason *r = reason_of(p, x->oid);

	if (strcmp(x->oid, OID_SAN) == 0)
		return p->wishes->san.n ? "the operator names others" : p->prof->honor_extensions
		       ? NULL : "honor_extensions is false";
	if (strcmp(x->oid, OID_KU) == 0)
		return p->prof->honor_key_usage ? NULL : "honor_key_usage is false";
	if (strcmp(x->oid, OID_EKU) == 0)
		return p->prof->honor_extended_key_usages ? NULL : "honor_extended_key_usages is false";
	if (strcmp(x->oid, OID_BC) == 0)
		return "the profile alone decides whether this is an authority (sign_as_ca)";
	if (strcmp(x->oid, OID_SKI) == 0 || strcmp(x->oid, OID_AKI) == 0)
		return "key ids are always computed";
	if (r == NULL || strcmp(r->source, "rule") != 0)
		return NULL;
	return text_has_prefix(r->text, "dropped: ") ? r->text + strlen("dropped: ") : r->text;
}

static int explain_extensions(struct previewing *p, struct err *e)
{
	const struct exts *got = &p->plan.tbs.exts;
	const struct ext *san = exts_find(got, OID_SAN);
	struct bytes challenge;

	for (size_t i = 0; i < got->n; i++)
		if (p->ca || p->prof->sign_as_ca || strcmp(got->v[i].oid, OID_AKI) != 0)
			explain_extension(p, &got->v[i]);
	for (size_t i = 0; i < p->csr->exts.n; i++) {
		const struct ext *x = &p->csr->exts.v[i];
		const char *line = ext_describe(p->ar, x), *why = why_dropped(p, x);

		if (why)
			drop(p, arena_strndup(p->ar, line, strcspn(line, " :")), value_of(p->ar, x), why);
	}
	if (csr_attribute(p->csr, OID_CHALLENGE_PASSWORD, &challenge, e) != 0)
		return -1;
	if (challenge.n)
		drop(p, "challengePassword", "",
		     "an attribute for the authority's eyes, never part of a certificate (RFC 2985 5.4.1)");
	return san ? san_parse(p->ar, san->value, &p->out.san, e) : 0;
}

int preview_make(struct ctx *ctx, const struct authority *ca, const struct profile *prof, struct bytes text,
		 const struct wishes *wishes, struct preview *ret, struct err *e)
{
	struct csr csr;
	struct request req;
	AUTO(EVP_PKEY) *pub = NULL;
	struct previewing p = { .ar = ctx->arena, .ca = ca, .prof = prof, .wishes = wishes, .csr = &csr };

	if (request_from_csr(ctx->arena, text, &csr, &req, &pub, e) != 0 ||
	    plan_issue(ctx->arena, state_config(ctx->state), ca, prof, &req, wishes, ctx->now, true, &p.plan, e) != 0)
		return -1;
	p.out.profile = prof->id;
	p.out.is_ca = p.plan.is_ca;
	p.out.warning = arena_strdup(ctx->arena, p.plan.warning);
	if (explain_subject(&p, e) != 0 || explain_base(&p, pub, state_config(ctx->state), e) != 0 ||
	    explain_extensions(&p, e) != 0)
		return -1;
	*ret = p.out;
	return 0;
}
