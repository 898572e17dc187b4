#pragma once
#include "model/jwt.h"
#include "model/profile.h"
#include "rec/schema.h"

/* A device manager (device manufacturing system): dms/<id>.yaml. Who may enrol through it, with which credential, at
 * which authority, and when a device may renew. The input form of the original (auth_mode, client_certificate_settings,
 * include_system_ca …) is brought into this one form when a document is read. No default is weaker than what a document
 * says. */
enum dms_auth { AUTH_NONE, AUTH_CERT, AUTH_WEBHOOK, AUTH_CERT_AND_WEBHOOK, AUTH_JWT, AUTH_PSK, AUTH_OPEN };
enum dms_registration { REGISTER_JITP, REGISTER_BEFORE };
enum dms_unreachable { UNREACHABLE_DENY, UNREACHABLE_ALLOW };
enum hook_auth { HOOK_NOAUTH, HOOK_APIKEY, HOOK_OIDC, HOOK_MTLS };
enum psk_store { PSK_SCRYPT, PSK_HA1, PSK_TLS };
enum dms_id_source { DEVICE_ID_CN, DEVICE_ID_SERIAL_NUMBER, DEVICE_ID_SAN_DNS, DEVICE_ID_SAN_URI, DEVICE_ID_SAN_EMAIL };
enum dms_revoke_after { REVOKE_AT_ISSUE, REVOKE_AT_FIRST_USE, REVOKE_AFTER_DELAY };
enum keygen_type { KEYGEN_ECDSA, KEYGEN_RSA };
extern const char *const dms_auth_names[], *const dms_registration_names[];

struct client_cert_auth {
	struct strv validation_cas;
	bool require_valid_chain;
	int64_t chain_level_validation; /* how many issuers above the leaf are checked; -1: up to a root */
	bool check_revocation;
	int revocation_unreachable;     /* enum dms_unreachable */
	struct strv crls;               /* files or URLs, for authorities whose revocations are not ours */
	char *ocsp_url;                 /* NULL: what the certificate names */
	bool allow_expired;
	bool require_cn_match;
};

struct hook_oidc {
	char *client_id, *client_secret, *well_known;
};
struct hook_apikey {
	char *key, *header;
};
struct hook_mtls {
	char *cert, *key;
};
struct hook_config {
	bool validate_server_cert;
	char *ca_file;           /* instead of the system's trusted authorities */
	char *log_level;
	int auth_mode;           /* enum hook_auth */
	struct dur call_timeout;
	struct hook_oidc oidc;
	struct hook_apikey apikey;
	struct hook_mtls mtls;
};
struct hook_auth_settings {
	char *name, *url, *method;
	struct hook_config config;
};

struct psk_auth {
	int store; /* enum psk_store */
	char *secrets; /* reference to a list of them; NULL: they are in this clone, or ... */
	char *engine;  /* ... in the store of this engine */
};

struct dms_authentication {
	int type; /* enum dms_auth; AUTH_NONE: nothing was said */
	struct client_cert_auth client_certificate;
	struct hook_auth_settings external_webhook;
	struct jwt_auth jwt;
	struct psk_auth psk;
};
struct est_settings {
	struct dms_authentication authentication;
	struct dms_authentication flat; /* input only: the original has these members here */
};

struct device_profile {
	char *icon, *icon_color, *metadata;
	struct strv tags;
};

struct enrollment_settings {
	char *protocol;
	char *enrollment_ca;
	int registration_mode; /* enum dms_registration */
	int device_id_from;    /* enum dms_id_source */
	bool verify_csr_signature;
	bool enable_replaceable_enrollment;
	bool csrattrs_template; /* answer csrattrs with the template of RFC 9908 */
	struct est_settings est_rfc7030_settings;
	struct device_profile device_provisioning_profile;
};

struct reenrollment_settings {
	struct dms_authentication authentication; /* AUTH_NONE: the device's current certificate */
	struct est_settings est_rfc7030_settings; /* input only */
	struct strv additional_validation_cas;
	struct dur reenrollment_delta; /* 0: the profile's renewal window, else no window */
	struct dur preventive_delta, critical_delta;
	bool enable_expired_renewal;
	bool revoke_on_reenrollment;
	char *revoke_after; /* issue, first_use or a duration: dms_revoke_when */
};

struct ca_distribution_settings {
	bool include_lamassu_system_ca, include_enrollment_ca, full_chain;
	struct strv managed_cas;
};

struct keygen_key {
	int type; /* enum keygen_type */
	int64_t bits;
};
struct server_keygen_settings {
	bool enabled;
	struct keygen_key key;
	char *escrow; /* engine that keeps a copy; NULL: none is kept */
};

struct dms_settings {
	struct enrollment_settings enrollment_settings;
	struct reenrollment_settings reenrollment_settings;
	struct ca_distribution_settings ca_distribution_settings;
	struct server_keygen_settings server_keygen_settings;
	char *issuance_profile_id; /* NULL: the enrolment authority's default */
	char *issuance_profile;    /* input only: a profile document; `dms create` makes a profile of it */
};

struct dms {
	char *id, *name, *metadata;
	struct dms_settings settings;
	int64_t created_at;
};
extern const struct schema dms_type;

/* Fills in what follows from the rest and checks the rules that need no other record; the schema's check does it
 * too. */
int dms_validate(struct arena *, struct dms *, struct err *) NODISCARD;
/* What managers take from lamassu.yaml, for one that is used, and the rules that hold then. `top`: the folder of that
 * file. */
struct config;
int dms_complete(struct arena *, struct dms *, const struct config *, const char *top, struct err *) NODISCARD;
/* When a replaced certificate is revoked; *ret_delay for REVOKE_AFTER_DELAY. */
enum dms_revoke_after dms_revoke_when(const struct dms *, int64_t *ret_delay);
