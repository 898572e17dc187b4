/* The issuance profile as a record: its fields, their documentation, and the rules between them. A profile that
 * passes profile_check can be applied to any request without contradicting RFC 5280; what depends on the request,
 * the key or the issuing authority is judged at issuance. */
#include "model/profile.h"

#include <string.h>

#include "base/text.h"
#include "model/ca.h"

/* Year 1, which encoders write for "no time". */
#define ZERO_TIME INT64_C(-62135596800)

static int validity_check(struct arena *a, void *rec, struct err *e)
{
	struct validity *v = rec;

	(void)a;
	if (v->type != VALIDITY_TIME && v->time == ZERO_TIME)
		v->time = 0;
	if (v->type != VALIDITY_DURATION && v->duration.secs == 0)
		v->duration = (struct dur){ 0 };
	if (v->type == VALIDITY_DURATION) {
		if (v->time)
			return err_set(e, ERR_INVALID, "time: only with type Time");
		if (v->duration.secs < 0 || (v->duration.text && v->duration.secs == 0))
			return err_set(e, ERR_INVALID, "duration: must be at least one second");
		return 0;
	}
	if (v->duration.secs)
		return err_set(e, ERR_INVALID, "duration: only with type Duration");
	if (v->type == VALIDITY_INDEFINITE)
		return v->time ? err_set(e, ERR_INVALID, "time: only with type Time") : 0;
	if (v->time <= 0 || v->time > TIME_MAX)
		return err_set(e, ERR_INVALID, "time: must be given, after 1970 and at most in the year 9999");
	return 0;
}

static int subject_check(struct arena *a, void *rec, struct err *e)
{
	struct subject_fields *s = rec;
	struct strv *all[] = { &s->common_name, &s->organization, &s->organization_unit, &s->country, &s->state,
			       &s->locality, &s->serial_number, &s->domain_component, &s->email };

	for (size_t i = 0; i < COUNT(all); i++) { /* "common_name": "" means that nothing is said */
		size_t n = 0;

		for (size_t k = 0; k < all[i]->n; k++)
			if (all[i]->v[k][0])
				all[i]->v[n++] = all[i]->v[k];
		all[i]->n = n;
		all[i]->set = n > 0;
	}
	for (size_t i = 0; i < s->country.n; i++) {
		char *c = arena_strdup(a, s->country.v[i]);

		for (size_t k = 0; c[k]; k++)
			if (c[k] >= 'a' && c[k] <= 'z')
				c[k] = (char)(c[k] - 'a' + 'A');
		if (strlen(c) != 2 || strspn(c, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 2)
			return err_set(e, ERR_INVALID, "country: \"%s\" is not two letters (ISO 3166)",
				       text_escape(a, bytes_of(c)));
		s->country.v[i] = c;
	}
	return 0;
}

static int check_usages(struct arena *a, struct strv *names, struct err *e)
{
	for (size_t i = 0; i < names->n; i++) {
		const char *c = eku_canonical(a, names->v[i]), *near;

		if (!c) {
			near = eku_nearest(names->v[i]);
			return err_set(e, ERR_INVALID, "extended_key_usages: unknown usage \"%s\"%s%s%s",
				       text_escape(a, bytes_of(names->v[i])), near ? ", did you mean \"" : "",
				       near ? near : "", near ? "\"?" : "; use a registered name or an OID");
		}
		for (size_t k = 0; k < i; k++)
			if (strcmp(names->v[k], c) == 0)
				return err_set(e, ERR_INVALID, "extended_key_usages: \"%s\" is listed twice", c);
		names->v[i] = arena_strdup(a, c);
	}
	return 0;
}

static bool has_usage(const struct strv *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->v[i], name) == 0)
			return true;
	return false;
}

static int check_key_usage(const struct profile *p, struct err *e)
{
	const struct strv *eku = &p->extended_key_usages;

	if (p->sign_as_ca && !(p->key_usage & USE_CERT_SIGN))
		return err_set(e, ERR_INVALID, "key_usage: sign_as_ca needs cert_sign (RFC 5280 4.2.1.9)");
	if (!p->sign_as_ca && (p->key_usage & USE_CERT_SIGN))
		return err_set(e, ERR_INVALID, "key_usage: cert_sign needs sign_as_ca (RFC 5280 4.2.1.3)");
	if (!p->sign_as_ca && p->path_length >= 0)
		return err_set(e, ERR_INVALID, "path_length: needs sign_as_ca (RFC 5280 4.2.1.9)");
	if ((p->key_usage & (USE_ENCIPHER_ONLY | USE_DECIPHER_ONLY)) && !(p->key_usage & USE_KEY_AGREEMENT))
		return err_set(e, ERR_INVALID,
			       "key_usage: encipher_only and decipher_only need key_agreement (RFC 5280 4.2.1.3)");
	if (has_usage(eku, "timeStamping") && eku->n > 1)
		return err_set(e, ERR_INVALID, "extended_key_usages: timeStamping must stand alone (RFC 3161 2.3)");
	if (p->extensions.ocsp_no_check && !has_usage(eku, "ocspSigning"))
		return err_set(e, ERR_INVALID,
			       "extensions.ocsp_no_check: needs the usage ocspSigning (RFC 6960 4.2.2.2.1)");
	return 0;
}

static int check_crypto(const struct crypto_enforcement *c, struct err *e)
{
	static const int64_t curves[] = { 224, 256, 384, 521 };

	for (size_t i = 0; i < c->allowed_rsa_key_sizes.n; i++) {
		int64_t bits = c->allowed_rsa_key_sizes.v[i];

		if (bits < 2048 || bits > 16384)
			return err_set(e, ERR_INVALID,
				       "crypto_enforcement.allowed_rsa_key_sizes: %lld is not from 2048 to 16384",
				       (long long)bits);
	}
	for (size_t i = 0; i < c->allowed_ecdsa_key_sizes.n; i++) {
		size_t k = 0;

		while (k < COUNT(curves) && curves[k] != c->allowed_ecdsa_key_sizes.v[i])
			k++;
		if (k == COUNT(curves))
			return err_set(e, ERR_INVALID,
				       "crypto_enforcement.allowed_ecdsa_key_sizes: %lld is none of 224, 256, 384, 521",
				       (long long)c->allowed_ecdsa_key_sizes.v[i]);
	}
	return 0;
}

/* A scheme, a colon and printable ASCII: enough to catch a forgotten "http://". */
static int check_uris(struct arena *a, const char *field, const struct strv *uris, struct err *e)
{
	for (size_t i = 0; i < uris->n; i++) {
		const char *s = uris->v[i], *colon = strstr(s, "://");
		bool good = colon && colon != s;

		for (const char *c = s; *c; c++)
			good = good && *c > ' ' && *c < 0x7f;
		if (!good)
			return err_set(e, ERR_INVALID, "%s: \"%s\" is not a URI such as http://pki.example.com/ca.crl",
				       field,
				       text_escape(a, bytes_of(s)));
	}
	return 0;
}

static int check_templates(struct arena *a, const char *field, const struct strv *list, struct err *e)
{
	static const char *const known[] = { "cn", "device_id", "serial_number", "email" };

	for (size_t i = 0; i < list->n; i++) {
		if (!list->v[i][0])
			return err_set(e, ERR_INVALID, "subject_alternative_names.%s: a name is empty", field);
		for (const char *p = strstr(list->v[i], "${"); p; p = strstr(p + 2, "${")) {
			size_t n = strcspn(p + 2, "}"), k = 0;

			while (k < COUNT(known) && (strlen(known[k]) != n || strncmp(known[k], p + 2, n) != 0))
				k++;
			if (k == COUNT(known) || p[2 + n] != '}')
				return err_set(e, ERR_INVALID,
					       "subject_alternative_names.%s: unknown template in \"%s\"; known are "
					       "${cn}, ${device_id}, ${serial_number} and ${email}",
					       field, text_escape(a, bytes_of(list->v[i])));
		}
	}
	return 0;
}

/* Extensions that lamassu itself decides: a request or a custom extension must not slip another one in. */
static bool is_managed(const char *oid)
{
	static const char *const managed[] = { "2.5.29.9",  "2.5.29.14", "2.5.29.15", "2.5.29.17", "2.5.29.18",
					       "2.5.29.19", "2.5.29.30", "2.5.29.31", "2.5.29.32", "2.5.29.35",
					       "2.5.29.37", "1.3.6.1.5.5.7.1.1", "1.3.6.1.5.5.7.48.1.5" };

	for (size_t i = 0; i < COUNT(managed); i++)
		if (strcmp(managed[i], oid) == 0)
			return true;
	return false;
}

static int check_oid(struct arena *a, const char *field, const char *oid, struct err *e)
{
	if (!oid_valid(oid))
		return err_set(e, ERR_INVALID, "%s: \"%s\" is not an object identifier such as 1.3.6.1.4.1.99999.1",
			       field,
			       text_escape(a, bytes_of(oid)));
	if (is_managed(oid))
		return err_set(e, ERR_INVALID, "%s: %s is made by other fields of the profile", field, oid);
	return 0;
}

static int check_custom(struct arena *a, const struct vec *custom, struct err *e)
{
	const struct custom_extension *v = custom->v;
	struct bytes der;

	for (size_t i = 0; i < custom->n; i++) {
		if (check_oid(a, "extensions.custom.oid", v[i].oid, e) < 0)
			return -1;
		if (!v[i].der == !v[i].asn1)
			return err_set(e, ERR_INVALID, "extensions.custom: %s needs either der or asn1", v[i].oid);
		if (v[i].der && (hex_decode(a, v[i].der, &der) < 0 || der.n == 0))
			return err_set(e, ERR_INVALID, "extensions.custom: der of %s is not hexadecimal digits",
				       v[i].oid);
		for (size_t k = 0; k < i; k++)
			if (strcmp(v[i].oid, v[k].oid) == 0)
				return err_set(e, ERR_INVALID, "extensions.custom: %s is listed twice (RFC 5280 4.2)",
					       v[i].oid);
	}
	return 0;
}

static int check_policies(struct arena *a, const struct vec *policies, struct err *e)
{
	const struct policy_info *v = policies->v;

	for (size_t i = 0; i < policies->n; i++) {
		if (!oid_valid(v[i].oid))
			return err_set(e, ERR_INVALID,
				       "extensions.certificate_policies.oid: \"%s\" is not an object identifier",
				       text_escape(a, bytes_of(v[i].oid)));
		if (v[i].cps) {
			struct strv one = { .v = (char *[]){ v[i].cps }, .n = 1 };

			if (check_uris(a, "extensions.certificate_policies.cps", &one, e) < 0)
				return -1;
		}
		for (size_t k = 0; k < i; k++)
			if (strcmp(v[i].oid, v[k].oid) == 0)
				return err_set(e, ERR_INVALID,
					       "extensions.certificate_policies: %s is listed twice (RFC 5280 4.2.1.4)",
					       v[i].oid);
	}
	return 0;
}

static int check_extensions(struct arena *a, const struct profile *p, struct err *e)
{
	const struct profile_extensions *x = &p->extensions;
	const struct san_fields *san = &p->subject_alternative_names;

	for (size_t i = 0; i < p->allowed_extensions.n; i++)
		if (check_oid(a, "allowed_extensions", p->allowed_extensions.v[i], e) < 0)
			return -1;
	if (!p->sign_as_ca && (x->name_constraints.permitted.n || x->name_constraints.excluded.n))
		return err_set(e, ERR_INVALID, "extensions.name_constraints: needs sign_as_ca (RFC 5280 4.2.1.10)");
	if (check_uris(a, "crl_distribution_points", &p->crl_distribution_points, e) < 0 ||
	    check_uris(a, "extensions.authority_info_access.ocsp_server", &x->authority_info_access.ocsp_server,
		       e) < 0 ||
	    check_uris(a, "extensions.authority_info_access.ca_issuers", &x->authority_info_access.ca_issuers, e) < 0)
		return -1;
	if (check_templates(a, "dns", &san->dns, e) < 0 || check_templates(a, "ip", &san->ip, e) < 0 ||
	    check_templates(a, "uri", &san->uri, e) < 0 || check_templates(a, "email", &san->email, e) < 0 ||
	    check_templates(a, "other_name", &san->other_name, e) < 0)
		return -1;
	if (check_policies(a, &x->certificate_policies, e) < 0)
		return -1;
	return check_custom(a, &x->custom, e);
}

static int profile_check(struct arena *a, void *rec, struct err *e)
{
	struct profile *p = rec;
	const struct intv *days = &p->renewal_policy.notification_days_before_expiry;

	if (!p->id || !id_valid(p->id))
		return err_set(e, ERR_INVALID, "id: must match [a-z0-9][a-z0-9._-]{0,63}");
	if (p->validity.type == VALIDITY_DURATION && p->validity.duration.secs == 0)
		p->validity.duration = (struct dur){ 8760 * 3600, "8760h" };
	if (check_usages(a, &p->extended_key_usages, e) < 0 || check_key_usage(p, e) < 0)
		return -1;
	if (check_crypto(&p->crypto_enforcement, e) < 0 || check_extensions(a, p, e) < 0)
		return -1;
	if (p->crl_validity.secs < 0)
		return err_set(e, ERR_INVALID, "crl_validity: must not be negative");
	for (size_t i = 0; i < days->n; i++)
		if (days->v[i] < 0 || days->v[i] > 36500)
			return err_set(e, ERR_INVALID,
				       "renewal_policy.notification_days_before_expiry: not a number of days");
	return 0;
}

#define PART(st, nm, fn, d) { .name = nm, .doc = d, .size = sizeof(struct st), .fields = st##_fields, .check = fn }

static const char *const validity_names[] = { "Duration", "Time", "Indefinite", NULL };

static const struct field validity_fields[] = {
	ENUM(validity, type, validity_names,
	     "How the end is given: Duration counts from the moment of issue, Time is a fixed moment, Indefinite means "
	     "that there is no well-defined end (99991231235959Z, RFC 5280 4.1.2.5).",
	     .dflt = "Duration", .flags = F_SHOW0),
	DUR(validity, duration,
	    "For Duration: the units ns, us, ms, s, m, h, d, w and y (365 days) may be combined, as in 8760h, 90d or "
	    "1y2w3d. There is no unit for months."),
	TIME(validity, time, "For Time: the moment of expiry, RFC 3339, as in 2030-12-31T23:59:59Z. A date alone means "
			     "00:00:00Z."),
	END
};
const struct schema validity_type =
	PART(validity, "validity", validity_check, "How long a certificate is valid.");

static const char *const aka_ou[] = { "organizational_unit", NULL };
static const char *const aka_email[] = { "email_address", NULL };

static const struct field subject_fields_fields[] = {
	STRV(subject_fields, common_name, "Common name (CN), at most 64 characters.", .flags = F_LAX),
	STRV(subject_fields, organization, "Organization (O), at most 64 characters.", .flags = F_LAX),
	STRV(subject_fields, organization_unit, "Organizational unit (OU), at most 64 characters.", .flags = F_LAX,
	     .aka = aka_ou),
	STRV(subject_fields, country, "Country (C): the two letters of ISO 3166.", .flags = F_LAX),
	STRV(subject_fields, state, "State or province (ST), at most 128 characters.", .flags = F_LAX),
	STRV(subject_fields, locality, "Locality (L), at most 128 characters.", .flags = F_LAX),
	STRV(subject_fields, serial_number,
	     "Serial number of the subject, such as a device (not of the certificate), at most 64 printable "
	     "characters.",
	     .flags = F_LAX),
	STRV(subject_fields, domain_component, "Domain component (DC), one label each, most general first.",
	     .flags = F_LAX),
	STRV(subject_fields, email, "Electronic mail address. New certificates better carry it as an alternative name.",
	     .flags = F_LAX, .aka = aka_email),
	END
};
const struct schema subject_type =
	PART(subject_fields, "subject", subject_check,
	     "Fields of a distinguished name. Each takes a string or a list; several values and their order survive.");

const char *const key_usage_names[] = {
	"digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
	"cert_sign", "crl_sign", "encipher_only", "decipher_only", NULL,
};

static const struct field crypto_enforcement_fields[] = {
	BOOL(crypto_enforcement, enabled,
	     "Whether the rules below hold. Weak keys (RSA below 2048 bits, curves below 224 bits and the like) are "
	     "refused in any case."),
	BOOL(crypto_enforcement, allow_rsa_keys, "Accept RSA keys."),
	INTV(crypto_enforcement, allowed_rsa_key_sizes,
	     "Accepted RSA sizes in bits. Absent: any secure size; an empty list: none."),
	BOOL(crypto_enforcement, allow_ecdsa_keys, "Accept keys on NIST curves."),
	INTV(crypto_enforcement, allowed_ecdsa_key_sizes,
	     "Accepted curve sizes: 224, 256, 384, 521. Absent: any secure size; an empty list: none."),
	BOOL(crypto_enforcement, allow_ed25519_keys, "Accept Ed25519 keys."),
	BOOL(crypto_enforcement, allow_mldsa_keys, "Accept ML-DSA keys (post-quantum)."),
	END
};
static const struct schema crypto_enforcement_type =
	PART(crypto_enforcement, "crypto_enforcement", NULL, "Which subject keys are accepted.");

static const struct field san_fields_fields[] = {
	STRV(san_fields, dns, "DNS names. International names become A-labels.", .flags = F_LAX),
	STRV(san_fields, ip, "IPv4 and IPv6 addresses.", .flags = F_LAX),
	STRV(san_fields, uri, "URIs.", .flags = F_LAX),
	STRV(san_fields, email, "Electronic mail addresses.", .flags = F_LAX),
	STRV(san_fields, other_name, "Names of other kinds: \"OID;UTF8:text\", or \"OID;\" and the DER of the value in "
				     "hexadecimal digits.",
	     .flags = F_LAX),
	END
};
static const struct schema san_type =
	PART(san_fields, "subject_alternative_names", NULL,
	     "Alternative names put into each certificate: fixed values, or templates with ${cn}, ${device_id}, "
	     "${serial_number} and ${email}.");

static const struct field authority_info_fields[] = {
	STRV(authority_info, ocsp_server, "URIs of OCSP responders.", .flags = F_LAX),
	STRV(authority_info, ca_issuers, "URIs of the issuer's certificate.", .flags = F_LAX),
	END
};
static const struct schema authority_info_type =
	PART(authority_info, "authority_info_access", NULL,
	     "Where to find the issuer's services (RFC 5280 4.2.2.1). The authority's own addresses are added.");

static const struct field policy_info_fields[] = {
	STR(policy_info, oid, "The policy's object identifier; 2.5.29.32.0 is anyPolicy.", .flags = F_REQ),
	STR(policy_info, cps, "URI of the certification practice statement."),
	STR(policy_info, user_notice, "Text for relying parties, at most 200 characters."),
	END
};
static const struct schema policy_info_type = PART(policy_info, "certificate_policy", NULL, "A certificate policy.");

static const struct field name_constraints_fields[] = {
	STRV(name_constraints, permitted,
	     "Subtrees in which names must lie: \"DNS:example.com\", \"IP:10.0.0.0/8\", \"email:example.com\", "
	     "\"URI:.example.com\", \"dirName:O=Acme\".",
	     .flags = F_LAX),
	STRV(name_constraints, excluded, "Subtrees in which no name may lie; the same forms.", .flags = F_LAX),
	END
};
static const struct schema name_constraints_type =
	PART(name_constraints, "name_constraints", NULL,
	     "Where the names of all that an authority's subtree issues must lie (RFC 5280 4.2.1.10). Critical; only "
	     "in profiles with sign_as_ca.");

static const struct field custom_extension_fields[] = {
	STR(custom_extension, oid, "The extension's object identifier.", .flags = F_REQ),
	BOOL(custom_extension, critical, "Whether who does not know the extension must refuse the certificate."),
	STR(custom_extension, der, "The value: DER in hexadecimal digits."),
	STR(custom_extension, asn1,
	    "The value as text, instead of der: UTF8String:…, IA5String:…, PrintableString:…, INTEGER:…, BOOLEAN:true, "
	    "OCTETSTRING: and hexadecimal digits, OID:…, or NULL."),
	END
};
static const struct schema custom_extension_type =
	PART(custom_extension, "custom_extension", NULL, "An extension that lamassu has no field for.");

static const struct field profile_extensions_fields[] = {
	OBJ(profile_extensions, authority_info_access, &authority_info_type, "Addresses of the issuer's services."),
	OBJV(profile_extensions, certificate_policies, &policy_info_type, "Certificate policies (RFC 5280 4.2.1.4)."),
	OBJ(profile_extensions, name_constraints, &name_constraints_type, "Name constraints of an authority."),
	BOOL(profile_extensions, ocsp_must_staple,
	     "TLS feature status_request (RFC 7633): servers must staple an OCSP response."),
	BOOL(profile_extensions, ocsp_no_check,
	     "id-pkix-ocsp-nocheck (RFC 6960 4.2.2.2.1), for certificates of OCSP responders."),
	OBJV(profile_extensions, custom, &custom_extension_type, "Other extensions."),
	END
};
static const struct schema profile_extensions_type =
	PART(profile_extensions, "extensions", NULL, "Extensions beyond those that other fields make.");

static const struct field renewal_policy_fields[] = {
	INT(renewal_policy, renewal_window_days,
	    "Renewal is allowed this many days before expiry; 0: not limited here.",
	    .max = 36500),
	BOOL(renewal_policy, auto_renew_enabled,
	     "Renew certificates whose key is in our engines by themselves inside the window."),
	INTV(renewal_policy, notification_days_before_expiry, "Days before expiry at which an event is raised."),
	END
};
static const struct schema renewal_policy_type =
	PART(renewal_policy, "renewal_policy", NULL, "When certificates of this profile are renewed.");

static const struct field profile_fields[] = {
	STR(profile, id, "Name of the profile: [a-z0-9][a-z0-9._-]{0,63}. The file is profiles/ID.yaml.",
	    .flags = F_REQ | F_KEY | F_COL),
	STR(profile, name, "A title for people.", .flags = F_COL),
	STR(profile, description, "What the profile is for."),
	REF(profile, ca_id, &ca_type, "Only this authority may use the profile. Absent: any."),
	OBJ(profile, validity, &validity_type, "How long certificates are valid; 8760h when nothing is said."),
	BOOL(profile, sign_as_ca,
	     "Issue authorities: critical basicConstraints with CA:TRUE, and cert_sign is required. Otherwise the "
	     "certificate is never an authority, whatever the request asks.",
	     .flags = F_COL | F_SHOW0),
	INT(profile, path_length,
	    "Number of authorities that may follow in a path; -1: not limited. Only with sign_as_ca.",
	    .min = -1, .max = 64, .dflt = "-1"),
	BOOL(profile, honor_key_usage, "Take the key usage from the request instead of from key_usage."),
	FLAGS(profile, key_usage, key_usage_names,
	      "Key usage bits (RFC 5280 4.2.1.3), critical. Those that a key's algorithm rules out (RFC 8813, RFC "
	      "9295) are left out."),
	BOOL(profile, honor_extended_key_usages,
	     "Take the extended key usages from the request instead of from extended_key_usages."),
	STRV(profile, extended_key_usages,
	     "Purposes of the key: serverAuth, clientAuth, codeSigning, emailProtection, timeStamping, ocspSigning, "
	     "other registered names, or object identifiers. timeStamping stands alone and is critical (RFC 3161 2.3).",
	     .flags = F_LAX | F_COL),
	BOOL(profile, honor_subject,
	     "Take the subject from the request; fields that subject names replace the request's values of that type. "
	     "Otherwise the subject is only what this profile says."),
	OBJ(profile, subject, &subject_type, "Fields that the profile puts into the subject."),
	BOOL(profile, honor_extensions, "Carry the subject alternative names of the request."),
	STRV(profile, allowed_extensions,
	     "Object identifiers of other extensions that are carried from the request as they are.", .flags = F_LAX),
	OBJ(profile, subject_alternative_names, &san_type, "Alternative names that the profile adds."),
	OBJ(profile, crypto_enforcement, &crypto_enforcement_type, "Which subject keys are accepted."),
	STRV(profile, crl_distribution_points,
	     "URIs of the CRL, instead of those that the repository's va_domains give.", .flags = F_LAX),
	DUR(profile, crl_validity, "How long a CRL of an authority made by this profile is good for."),
	INT(profile, crl_update_interval_hours, "A new CRL is due after this many hours; 0: when the authority says.",
	    .max = 87600),
	OBJ(profile, extensions, &profile_extensions_type, "Further extensions."),
	OBJ(profile, renewal_policy, &renewal_policy_type, "When certificates are renewed."),
	ANY(profile, metadata, "Free-form data, kept as it is."),
	END
};
const struct schema profile_type = {
	.name = "profile",
	.plural = "profiles",
	.path = "profiles/%s.yaml",
	.doc = "An issuance profile: the shape of the certificates that are issued with it. Changes affect new "
	       "certificates only.",
	.size = sizeof(struct profile),
	.fields = profile_fields,
	.check = profile_check,
};
