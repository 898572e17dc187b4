#pragma once
#include "rec/schema.h"

/* An issuance profile: the shape of the certificates that it issues. */
enum validity_kind { VALIDITY_DURATION, VALIDITY_TIME, VALIDITY_INDEFINITE };

struct validity {
	int type; /* enum validity_kind */
	struct dur duration;
	int64_t time;
};

/* Distinguished name fields; each may have several values, in order. */
struct subject_fields {
	struct strv common_name, organization, organization_unit, country, state, locality, serial_number;
	struct strv domain_component, email;
};

/* Bit positions of RFC 5280 4.2.1.3. */
enum key_usage_bit {
	USE_DIGITAL_SIGNATURE = 1 << 0, USE_CONTENT_COMMITMENT = 1 << 1, USE_KEY_ENCIPHERMENT = 1 << 2,
	USE_DATA_ENCIPHERMENT = 1 << 3, USE_KEY_AGREEMENT = 1 << 4, USE_CERT_SIGN = 1 << 5, USE_CRL_SIGN = 1 << 6,
	USE_ENCIPHER_ONLY = 1 << 7, USE_DECIPHER_ONLY = 1 << 8
};
extern const char *const key_usage_names[];

struct crypto_enforcement {
	bool enabled;
	bool allow_rsa_keys;
	struct intv allowed_rsa_key_sizes;   /* absent: any secure size; empty: none */
	bool allow_ecdsa_keys;
	struct intv allowed_ecdsa_key_sizes;
	bool allow_ed25519_keys;
	bool allow_mldsa_keys;
};

struct san_fields { /* fixed values and templates: ${cn}, ${device_id}, ${serial_number} */
	struct strv dns, ip, uri, email;
	struct strv other_name; /* "OID;DER hex" or "OID;UTF8:text" */
};

struct authority_info {
	struct strv ocsp_server, ca_issuers;
};

struct policy_info {
	char *oid;
	char *cps;         /* URI or absent */
	char *user_notice; /* explicit text or absent */
};

struct name_constraints { /* each item "DNS:example.com", "IP:10.0.0.0/8", "email:…", "URI:…", "dirName:CN=…" */
	struct strv permitted, excluded;
};

struct custom_extension {
	char *oid;
	bool critical;
	char *der;  /* hex of the extension's value, or */
	char *asn1; /* "UTF8String:text" "INTEGER:5" "OCTETSTRING:hex" "BOOLEAN:true" "NULL" "OID:1.2" "IA5String:…" */
};

struct profile_extensions {
	struct authority_info authority_info_access;
	struct vec certificate_policies; /* struct policy_info */
	struct name_constraints name_constraints;
	bool ocsp_must_staple;
	bool ocsp_no_check;
	struct vec custom;               /* struct custom_extension */
};

struct renewal_policy {
	int64_t renewal_window_days;
	bool auto_renew_enabled;
	struct intv notification_days_before_expiry;
};

struct profile {
	char *id, *name, *description;
	char *ca_id;                /* only this authority may use it; absent: any */
	struct validity validity;
	bool sign_as_ca;
	int64_t path_length;        /* -1: none */
	bool honor_key_usage;
	unsigned key_usage;         /* enum key_usage_bit */
	bool honor_extended_key_usages;
	struct strv extended_key_usages; /* canonical: serverAuth … or dotted OID */
	bool honor_subject;
	struct subject_fields subject;
	bool honor_extensions;
	struct strv allowed_extensions;  /* OIDs of other CSR extensions that are carried */
	struct san_fields subject_alternative_names;
	struct crypto_enforcement crypto_enforcement;
	struct strv crl_distribution_points;
	struct dur crl_validity;
	int64_t crl_update_interval_hours; /* 0: none */
	struct profile_extensions extensions;
	struct renewal_policy renewal_policy;
	char *metadata; /* ANY */
};

extern const struct schema profile_type;
extern const struct schema subject_type;
extern const struct schema validity_type;

/* Canonical name of an extended key usage ("ServerAuth", "server_auth", "1.3.6.1.5.5.7.3.1" -> "serverAuth"), the input
 * if it is another dotted OID, or NULL. */
const char *eku_canonical(struct arena *, const char *);
/* Its dotted OID; `name` must be canonical. */
const char *eku_oid(const char *name);
const char *eku_nearest(const char *text); /* the usage that was probably meant, or NULL */
bool oid_valid(const char *dotted);        /* arcs of at most 18 digits, 127 characters in all */
