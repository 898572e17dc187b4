/* Device managers: the stored record and the rules that need nothing but the document. Guarantees: a record that passed
 * says everything in one form, however it was written; nothing that would let anybody in without a credential passes
 * unless it says so in so many words (no_auth, verify_csr_signature: false). Whether what it names exists is checked
 * above. */
#include "model/dms.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "model/ca.h"
#include "model/config.h"
#include "model/engine.h"

#define ENROLL "settings.enrollment_settings."
#define REENROLL "settings.reenrollment_settings."

const char *const dms_auth_names[] = {
	"", "client_certificate", "external_webhook", "client_certificate_and_external_webhook", "jwt", "psk",
	"no_auth", NULL
};
const char *const dms_registration_names[] = { "JITP", "PRE_REGISTRATION", NULL };
static const char *const unreachable_names[] = { "deny", "allow", NULL };
static const char *const store_names[] = { "scrypt", "ha1", "tls", NULL };
static const char *const id_names[] = { "common_name", "serial_number", "san_dns", "san_uri", "san_email", NULL };
static const char *const keygen_names[] = { "ECDSA", "RSA", NULL };
enum { HOOK_JWT = HOOK_MTLS + 1 }; /* the original's name of HOOK_OIDC */
static const char *const hook_names[] = { "noauth", "apikey", "oidc", "mtls", "jwt", NULL };

/* --- one form --- */

/* Encoders of JSON write "" for what was not said. */
static void drop_empty(struct arena *a, const struct schema *s, void *rec)
{
	for (const struct field *f = s->fields; f->name; f++) {
		char *at = (char *)rec + f->off, **text = (char **)(void *)at;

		if (f->kind == F_OBJ)
			drop_empty(a, f->sub, at);
		else if (f->kind == F_STR && *text && **text == '\0')
			*text = arena_strdup(a, f->dflt);
	}
}

static const struct schema authentication_type, est_type;

/* Moves what the original writes one level higher to where it belongs. */
static int settle_est(struct arena *a, struct est_settings *est, const char *where, struct err *e)
{
	struct dms_authentication none;

	rec_default(a, &authentication_type, &none);
	if (rec_equal(&authentication_type, &est->flat, &none))
		return 0;
	if (!rec_equal(&authentication_type, &est->authentication, &none))
		return err_set(e, ERR_INVALID, "%s: authentication and auth_mode exclude each other", where);
	est->authentication = est->flat;
	est->flat = none;
	return 0;
}

static int settle(struct arena *a, struct dms *d, struct err *e)
{
	struct enrollment_settings *en = &d->settings.enrollment_settings;
	struct reenrollment_settings *re = &d->settings.reenrollment_settings;
	struct dms_authentication none;

	rec_default(a, &authentication_type, &none);
	if (settle_est(a, &en->est_rfc7030_settings, ENROLL "est_rfc7030_settings", e) != 0 ||
	    settle_est(a, &re->est_rfc7030_settings, REENROLL "est_rfc7030_settings", e) != 0)
		return -1;
	if (!rec_equal(&authentication_type, &re->est_rfc7030_settings.authentication, &none)) {
		if (!rec_equal(&authentication_type, &re->authentication, &none))
			return err_set(e, ERR_INVALID, REENROLL "est_rfc7030_settings: excludes authentication");
		re->authentication = re->est_rfc7030_settings.authentication;
		rec_default(a, &est_type, &re->est_rfc7030_settings);
	}
	if (text_same_name(en->protocol, "EST_RFC7030") || text_same_name(en->protocol, "EST"))
		en->protocol = arena_strdup(a, "EST");
	return 0;
}

/* --- rules --- */

static int check_hook(const char *where, struct hook_auth_settings *h, struct err *e)
{
	const struct hook_config *c = &h->config;

	if (url_check(where, h->url, "url", e) != 0)
		return -1;
	if (strcmp(h->method, "POST") != 0 && strcmp(h->method, "PUT") != 0)
		return err_set(e, ERR_INVALID, "%s.method: must be POST or PUT", where);
	if (h->config.auth_mode == HOOK_JWT)
		h->config.auth_mode = HOOK_OIDC;
	if (c->auth_mode == HOOK_APIKEY && !c->apikey.key)
		return err_set(e, ERR_INVALID, "%s.config.apikey.key: is required with auth_mode apikey", where);
	if (c->auth_mode == HOOK_OIDC && (!c->oidc.client_id || !c->oidc.client_secret))
		return err_set(e, ERR_INVALID,
			       "%s.config.oidc: client_id and client_secret are required with auth_mode oidc", where);
	if (c->auth_mode == HOOK_OIDC && url_check(where, c->oidc.well_known, "config.oidc.well_known", e) != 0)
		return -1;
	if (c->auth_mode == HOOK_MTLS && (!c->mtls.cert || !c->mtls.key))
		return err_set(e, ERR_INVALID, "%s.config.mtls: cert and key are required with auth_mode mtls", where);
	return 0;
}

static int check_auth(const char *where, struct dms_authentication *au, bool again, struct err *e)
{
	bool cert = au->type == AUTH_CERT || au->type == AUTH_CERT_AND_WEBHOOK;
	bool hook = au->type == AUTH_WEBHOOK || au->type == AUTH_CERT_AND_WEBHOOK;
	const struct strv *crls = &au->client_certificate.crls;
	char part[160];

	if (au->type == AUTH_NONE && !again)
		return err_set(e, ERR_INVALID, "%s.type: is required; who may enrol is never left open", where);
	if (cert && !again && au->client_certificate.validation_cas.n == 0)
		return err_set(e, ERR_INVALID,
			       "%s.client_certificate.validation_cas: at least one authority is required", where);
	for (size_t i = 0; i < crls->n; i++)
		if (crls->v[i][0] != '/' && !text_has_prefix(crls->v[i], "http://") &&
		    !text_has_prefix(crls->v[i], "https://"))
			return err_set(e, ERR_INVALID,
				       "%s.client_certificate.crls: must be absolute paths or http and https URLs",
				       where);
	snprintf(part, sizeof(part), "%s.external_webhook", where);
	if (hook && check_hook(part, &au->external_webhook, e) != 0)
		return -1;
	if (again && (au->psk.secrets || au->psk.engine))
		return err_set(e, ERR_INVALID, "%s.psk: where the secrets are is said once, for enrolments", where);
	if (au->psk.secrets && au->psk.engine)
		return err_set(e, ERR_INVALID, "%s.psk: secrets and engine exclude each other", where);
	snprintf(part, sizeof(part), "%s.jwt", where);
	return au->type == AUTH_JWT ? jwt_check(part, &au->jwt, false, e) : 0;
}

static int check_enrollment(struct enrollment_settings *s, struct err *e)
{
	if (!text_same_name(s->protocol, "EST"))
		return err_set(e, ERR_INVALID, ENROLL "protocol: must be EST");
	if (!s->enrollment_ca)
		return err_set(e, ERR_INVALID, ENROLL "enrollment_ca: is required");
	return check_auth(ENROLL "est_rfc7030_settings.authentication", &s->est_rfc7030_settings.authentication, false,
			  e);
}

static int check_reenrollment(const struct reenrollment_settings *s, struct err *e)
{
	struct err ignored;
	int64_t secs;

	if (s->reenrollment_delta.secs < 0 || s->preventive_delta.secs < 0 || s->critical_delta.secs < 0)
		return err_set(e, ERR_INVALID,
			       REENROLL "reenrollment_delta: deltas count back from the end and are not negative");
	if (s->critical_delta.secs > s->preventive_delta.secs)
		return err_set(e, ERR_INVALID, REENROLL "critical_delta: must not be longer than preventive_delta");
	if (strcmp(s->revoke_after, "issue") != 0 && strcmp(s->revoke_after, "first_use") != 0 &&
	    (dur_parse(s->revoke_after, &secs, &ignored) != 0 || secs <= 0))
		return err_set(e, ERR_INVALID, REENROLL "revoke_after: must be issue, first_use or a duration");
	return 0;
}

static int check_keygen(struct keygen_key *k, struct err *e)
{
	bool ok;

	if (k->bits == 0)
		k->bits = k->type == KEYGEN_RSA ? 3072 : 256;
	ok = k->type == KEYGEN_RSA ? k->bits == 2048 || k->bits == 3072 || k->bits == 4096
				   : k->bits == 256 || k->bits == 384 || k->bits == 521;
	return ok ? 0 : err_set(e, ERR_INVALID, "settings.server_keygen_settings.key.bits: must be %s",
				k->type == KEYGEN_RSA ? "2048, 3072 or 4096" : "256, 384 or 521");
}

int dms_validate(struct arena *a, struct dms *d, struct err *e)
{
	static const char *const operations[] = { "cacerts", "simpleenroll", "simplereenroll", "fullcmc",
						  "serverkeygen", "csrattrs" };
	struct dms_settings *s = &d->settings;
	const struct ca_distribution_settings *c = &s->ca_distribution_settings;

	drop_empty(a, &dms_type, d);
	for (size_t i = 0; d->id && i < COUNT(operations); i++)
		if (strcmp(d->id, operations[i]) == 0)
			return err_set(e, ERR_INVALID,
				       "id: \"%s\" is an operation of EST, whose addresses it would make ambiguous",
				       d->id);
	if (settle(a, d, e) != 0 || check_enrollment(&s->enrollment_settings, e) != 0)
		return -1;
	if (check_reenrollment(&s->reenrollment_settings, e) != 0 ||
	    check_auth(REENROLL "authentication", &s->reenrollment_settings.authentication, true, e) != 0)
		return -1;
	if (!c->include_lamassu_system_ca && !c->include_enrollment_ca && c->managed_cas.n == 0)
		return err_set(e, ERR_INVALID, "settings.ca_distribution_settings: nothing would be distributed; give "
			       "include_enrollment_ca, include_lamassu_system_ca or managed_cas");
	if (s->issuance_profile && s->issuance_profile_id)
		s->issuance_profile = NULL; /* the id goes first */
	return check_keygen(&s->server_keygen_settings.key, e);
}

static int complete(struct arena *a, const char *where, struct dms_authentication *au, const struct config *c,
		    const char *top, struct err *e)
{
	if (au->type != AUTH_JWT)
		return 0;
	jwt_inherit(a, &au->jwt, &c->identity_extractors.jwt, top);
	return jwt_check(where, &au->jwt, true, e);
}

int dms_complete(struct arena *a, struct dms *d, const struct config *c, const char *top, struct err *e)
{
	return complete(a, ENROLL "est_rfc7030_settings.authentication.jwt",
			&d->settings.enrollment_settings.est_rfc7030_settings.authentication, c,
			top, e) != 0 ||
	       complete(a, REENROLL "authentication.jwt", &d->settings.reenrollment_settings.authentication, c, top,
			e) != 0 ? -1 : 0;
}

static int dms_check(struct arena *a, void *rec, struct err *e)
{
	return dms_validate(a, rec, e);
}

enum dms_revoke_after dms_revoke_when(const struct dms *d, int64_t *ret_delay)
{
	const char *s = d->settings.reenrollment_settings.revoke_after;
	struct err ignored;

	*ret_delay = 0;
	if (strcmp(s, "issue") == 0)
		return REVOKE_AT_ISSUE;
	if (strcmp(s, "first_use") == 0 || dur_parse(s, ret_delay, &ignored) != 0)
		return REVOKE_AT_FIRST_USE;
	return REVOKE_AFTER_DELAY;
}

/* --- tables --- */

#define PART(st, nm, d) { .name = nm, .doc = d, .size = sizeof(struct st), .fields = st##_fields }

static const struct field client_cert_auth_fields[] = {
	REFV(client_cert_auth, validation_cas, &ca_type,
	     "Authorities whose certificates are accepted as a credential, such as that of a bootstrap batch."),
	BOOL(client_cert_auth, require_valid_chain,
	     "Check the whole path of RFC 5280, not the issuer's signature alone.", .dflt = "true", .flags = F_SHOW0),
	INT(client_cert_auth, chain_level_validation,
	    "How many issuers above the certificate are checked; 0 or -1: up to the root.",
	    .dflt = "-1", .min = -1, .max = 16, .flags = F_SHOW0),
	BOOL(client_cert_auth, check_revocation, "Refuse revoked certificates: by our own records, CRLs and OCSP.",
	     .dflt = "true", .flags = F_SHOW0),
	ENUM(client_cert_auth, revocation_unreachable, unreachable_names,
	     "What to do when nobody can say whether a certificate is revoked: deny, or allow, which lets revoked ones "
	     "in while a responder is down.",
	     .dflt = "deny"),
	STRV(client_cert_auth, crls,
	     "CRLs of authorities whose revocations are not in this repository: absolute paths or URLs."),
	STR(client_cert_auth, ocsp_url, "OCSP responder to ask instead of the one that certificates name."),
	BOOL(client_cert_auth, allow_expired, "Accept certificates that have expired.", .dflt = "false",
	     .flags = F_SHOW0),
	BOOL(client_cert_auth, require_cn_match,
	     "The certificate's common name must be the device's id; false allows shared bootstrap certificates.",
	     .dflt = "false"),
	END
};
static const struct schema client_cert_auth_type = PART(client_cert_auth, "client_certificate",
							"Authentication by TLS client certificate.");

static const struct field hook_oidc_fields[] = {
	STR(hook_oidc, client_id, "Client at the OpenID provider."),
	STR(hook_oidc, client_secret, "Its secret, by reference.", .flags = F_SECRET),
	STR(hook_oidc, well_known, "URL of the provider's discovery document."),
	END
};
static const struct schema hook_oidc_type = PART(hook_oidc, "oidc", "Client credentials of OpenID Connect.");

static const struct field hook_apikey_fields[] = {
	STR(hook_apikey, key, "The key, by reference.", .flags = F_SECRET),
	STR(hook_apikey, header, "Header that carries it.", .dflt = "X-API-Key"),
	END
};
static const struct schema hook_apikey_type = PART(hook_apikey, "apikey", "A key in a header.");

static const struct field hook_mtls_fields[] = {
	STR(hook_mtls, cert, "File of the client certificate, PEM."),
	STR(hook_mtls, key, "Its private key, by reference.", .flags = F_SECRET),
	END
};
static const struct schema hook_mtls_type = PART(hook_mtls, "mtls", "A TLS client certificate.");

static const struct field hook_config_fields[] = {
	BOOL(hook_config, validate_server_cert, "Check the hook's TLS certificate.", .dflt = "true"),
	STR(hook_config, ca_file, "PEM file of trusted authorities, instead of the system's."),
	STR(hook_config, log_level, "Accepted for compatibility."),
	ENUM(hook_config, auth_mode, hook_names,
	     "How we prove who we are: noauth, apikey, oidc (also called jwt) or mtls.", .dflt = "noauth"),
	DUR(hook_config, call_timeout, "How long an answer may take; after that the device is refused.", .dflt = "10s",
	    .min = 1, .max = 300),
	OBJ(hook_config, oidc, &hook_oidc_type, "For auth_mode oidc."),
	OBJ(hook_config, apikey, &hook_apikey_type, "For auth_mode apikey."),
	OBJ(hook_config, mtls, &hook_mtls_type, "For auth_mode mtls."),
	END
};
static const struct schema hook_config_type = PART(hook_config, "config", "How the hook is called.");

static const struct field hook_auth_settings_fields[] = {
	STR(hook_auth_settings, name, "A title for people."),
	STR(hook_auth_settings, url, "Where the request goes; https, or http to this machine."),
	STR(hook_auth_settings, method, "POST or PUT.", .dflt = "POST"),
	OBJ(hook_auth_settings, config, &hook_config_type, "How it is called."),
	END
};
static const struct schema hook_type = PART(hook_auth_settings, "external_webhook",
					    "A service that is asked whether a device may enrol.");

static const struct field psk_auth_fields[] = {
	ENUM(psk_auth, store, store_names, "How secrets are kept, and so how devices show them: scrypt (HTTP Basic), "
	     "ha1 (Basic, or Digest of RFC 7616), or tls: the key itself, which devices prove to have in the TLS "
	     "handshake and never send.", .dflt = "scrypt", .flags = F_SHOW0),
	STR(psk_auth, secrets, "A reference to the secrets, instead of .git/lamassu/psk: lines DEVICE:SECRET, which a "
	    "listener reads when it starts. Each secret serves once.", .flags = F_SECRET),
	REF(psk_auth, engine, &engine_type,
	    "The engine in whose store such a list is (Vault's KV store, AWS Secrets Manager), as lamassu.psk.DMS; "
	    "device psk writes it."),
	END
};
static const struct schema psk_type = PART(psk_auth, "psk", "Authentication by a secret shared with each device.");

#define AUTH_DOC "client_certificate, external_webhook, client_certificate_and_external_webhook, jwt, psk, or " \
		 "no_auth, which est-serve accepts with " \
		 "--allow-no-auth only."
static const char *const cert_aka[] = { "client_certificate_settings", NULL };
static const char *const hook_aka[] = { "external_webhook_settings", NULL };
static const char *const type_aka[] = { "auth_mode", NULL };
static const struct field authentication_fields[] = {
	ENUM(dms_authentication, type, dms_auth_names, AUTH_DOC, .aka = type_aka),
	OBJ(dms_authentication, client_certificate, &client_cert_auth_type, "TLS client certificates.",
	    .aka = cert_aka),
	OBJ(dms_authentication, external_webhook, &hook_type, "A service that decides.", .aka = hook_aka),
	OBJ(dms_authentication, jwt, &jwt_type,
	    "Bearer tokens; what is not said here is as in identity_extractors.jwt of lamassu.yaml."),
	OBJ(dms_authentication, psk, &psk_type, "Shared secrets."),
	END
};
static const struct schema authentication_type = {
	.name = "authentication", .doc = "How a device proves who it is.", .size = sizeof(struct dms_authentication),
	.fields = authentication_fields
};

#define FLAT(nm, m, k, d, ...) { .name = nm, .kind = k, .flags = F_IN, .off = offsetof(struct est_settings, flat.m), \
				 .doc = d, __VA_ARGS__ }
static const char *const old_hook_aka[] = { "external_webhook", NULL };
static const struct field est_fields[] = {
	OBJ(est_settings, authentication, &authentication_type, "How a device proves who it is."),
	FLAT("auth_mode", type, F_ENUM, "The same as authentication.type.", .names = dms_auth_names),
	FLAT("client_certificate_settings", client_certificate, F_OBJ, "The same as authentication.client_certificate.",
	     .sub = &client_cert_auth_type),
	FLAT("external_webhook_settings", external_webhook, F_OBJ, "The same as authentication.external_webhook.",
	     .sub = &hook_type, .aka = old_hook_aka),
	FLAT("jwt_settings", jwt, F_OBJ, "The same as authentication.jwt.", .sub = &jwt_type),
	FLAT("psk_settings", psk, F_OBJ, "The same as authentication.psk.", .sub = &psk_type),
	END
};
static const struct schema est_type = {
	.name = "est_rfc7030_settings", .doc = "Settings of EST (RFC 7030).", .size = sizeof(struct est_settings),
	.fields = est_fields
};

static const struct field device_profile_fields[] = {
	STR(device_profile, icon, "Icon of new devices, for user interfaces."),
	STR(device_profile, icon_color, "Its colours, as in \"#25ee32-#222222\"."),
	ANY(device_profile, metadata, "Metadata of new devices."),
	STRV(device_profile, tags, "Tags of new devices."),
	END
};
static const struct schema device_profile_type = PART(device_profile, "device_provisioning_profile",
						      "What new devices start with.");

static const struct field enrollment_settings_fields[] = {
	STR(enrollment_settings, protocol, "EST.", .dflt = "EST", .flags = F_SHOW0),
	REF(enrollment_settings, enrollment_ca, &ca_type, "The authority that issues."),
	ENUM(enrollment_settings, registration_mode, dms_registration_names,
	     "JITP: a device is registered when it first enrols. PRE_REGISTRATION: only devices that are registered "
	     "already may.",
	     .dflt = "JITP", .flags = F_SHOW0),
	ENUM(enrollment_settings, device_id_from, id_names,
	     "Where the request names the device: common_name, serial_number (of the subject), san_dns, san_uri or "
	     "san_email.", .dflt = "common_name"),
	BOOL(enrollment_settings, verify_csr_signature,
	     "Check that the device has the private key (RFC 2986). false needs --allow-unverified-csr on est-serve "
	     "and fails audit.",
	     .dflt = "true", .flags = F_SHOW0),
	BOOL(enrollment_settings, enable_replaceable_enrollment, "A device that has a certificate may enrol anew.",
	     .dflt = "false", .flags = F_SHOW0),
	BOOL(enrollment_settings, csrattrs_template,
	     "Answer csrattrs with the request template of RFC 9908, which few clients know, instead of "
						     "extensionRequest.", .dflt = "false"),
	OBJ(enrollment_settings, est_rfc7030_settings, &est_type, "Settings of EST."),
	OBJ(enrollment_settings, device_provisioning_profile, &device_profile_type, "What new devices start with."),
	END
};
static const struct schema enrollment_type = PART(enrollment_settings, "enrollment_settings",
						  "A device's first certificate.");

static const struct field reenrollment_settings_fields[] = {
	OBJ(reenrollment_settings, authentication, &authentication_type,
	    "How a device proves who it is; absent: by its current certificate."),
	OBJ(reenrollment_settings, est_rfc7030_settings, &est_type, "The same as authentication, on input."),
	REFV(reenrollment_settings, additional_validation_cas, &ca_type,
	     "Authorities of current certificates besides the enrolment authority."),
	DUR(reenrollment_settings, reenrollment_delta,
	    "Renewal is allowed this long before the end; absent: the profile's renewal_window_days, else always."),
	DUR(reenrollment_settings, preventive_delta, "A device is RENEWAL_PENDING this long before the end.",
	    .dflt = "90d", .flags = F_SHOW0),
	DUR(reenrollment_settings, critical_delta, "A device is EXPIRING_SOON this long before the end.", .dflt = "30d",
	    .flags = F_SHOW0),
	BOOL(reenrollment_settings, enable_expired_renewal, "A device whose certificate has expired may renew, with a "
	     "bootstrap certificate or by the webhook's word.", .dflt = "false", .flags = F_SHOW0),
	BOOL(reenrollment_settings, revoke_on_reenrollment, "Revoke the certificate that was renewed (superseded).",
	     .dflt = "true", .flags = F_SHOW0),
	STR(reenrollment_settings, revoke_after, "When: issue, first_use (of the new one), or a duration after issue.",
	    .dflt = "first_use", .flags = F_SHOW0),
	END
};
static const struct schema reenrollment_type = PART(reenrollment_settings, "reenrollment_settings", "Renewals.");

static const char *const system_aka[] = { "include_system_ca", NULL };
static const struct field ca_distribution_settings_fields[] = {
	BOOL(ca_distribution_settings, include_lamassu_system_ca,
	     "The authority of the listener's own TLS certificate.", .dflt = "false", .flags = F_SHOW0,
	     .aka = system_aka),
	BOOL(ca_distribution_settings, include_enrollment_ca, "The enrolment authority.", .dflt = "true",
	     .flags = F_SHOW0),
	REFV(ca_distribution_settings, managed_cas, &ca_type, "Further authorities, in this order."),
	BOOL(ca_distribution_settings, full_chain, "Every issuer up to the root too (RFC 7030 4.1.3).", .dflt = "true"),
	END
};
static const struct schema ca_distribution_type = PART(ca_distribution_settings, "ca_distribution_settings",
						       "What cacerts answers.");

static const struct field keygen_key_fields[] = {
	ENUM(keygen_key, type, keygen_names, "ECDSA or RSA.", .dflt = "ECDSA", .flags = F_SHOW0),
	INT(keygen_key, bits, "256, 384 or 521; of RSA keys 2048, 3072 or 4096.", .max = 4096),
	END
};
static const struct schema keygen_key_type = PART(keygen_key, "key", "Which key is made.");

static const struct field server_keygen_settings_fields[] = {
	BOOL(server_keygen_settings, enabled, "Make keys for devices that ask for one.", .dflt = "false",
	     .flags = F_SHOW0),
	OBJ(server_keygen_settings, key, &keygen_key_type, "Which key, unless the request says."),
	REF(server_keygen_settings, escrow, &engine_type,
	    "Engine that keeps a copy of each key; absent: none is kept."),
	END
};
static const struct schema keygen_type = PART(server_keygen_settings, "server_keygen_settings",
					      "Keys that are made here (RFC 7030 4.4).");

static const struct field dms_settings_fields[] = {
	OBJ(dms_settings, enrollment_settings, &enrollment_type, "A device's first certificate."),
	OBJ(dms_settings, reenrollment_settings, &reenrollment_type, "Renewals.", .flags = F_SHOW0),
	OBJ(dms_settings, ca_distribution_settings, &ca_distribution_type, "What cacerts answers.", .flags = F_SHOW0),
	OBJ(dms_settings, server_keygen_settings, &keygen_type, "Keys that are made here."),
	REF(dms_settings, issuance_profile_id, &profile_type,
	    "Profile of what is issued; absent: the enrolment authority's default."),
	ANY(dms_settings, issuance_profile, "A profile document instead: `dms create` makes a profile of it.",
	    .flags = F_IN),
	END
};
static const struct schema dms_settings_type = PART(dms_settings, "settings", "Who may enrol, how, and what it gets.");

static const char *const created_aka[] = { "creation_ts", NULL };
static const struct field dms_fields[] = {
	STR(dms, id, "Name of the device manager: [a-z0-9][a-z0-9._-]{0,63}, not the name of an EST operation.",
	    .flags = F_KEY | F_COL),
	STR(dms, name, "A title for people.", .flags = F_COL),
	ANY(dms, metadata, "Free-form data, kept as it is."),
	OBJ(dms, settings, &dms_settings_type, "Who may enrol, how, and what it gets."),
	TIME(dms, created_at, "When the record was made.", .aka = created_aka),
	END
};
const struct schema dms_type = {
	.name = "dms", .plural = "dms", .path = "dms/%s.yaml",
	.doc = "A device manager: a policy of enrolment. The original's names (auth_mode, client_certificate_settings, "
	       "include_system_ca …) are accepted too; null is the same as leaving a field out.",
	.size = sizeof(struct dms), .fields = dms_fields, .check = dms_check
};
