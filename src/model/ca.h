#pragma once
#include "model/profile.h"
#include "rec/schema.h"

/* A certificate authority: cas/<id>/ca.yaml; its newest certificate is cas/<id>/ca.pem, older ones <serial>.pem beside
 * it. Dates, status and subject come from the certificate and the ledger and are never stored here. */
enum ca_kind { CA_MANAGED, CA_IMPORTED_WITH_KEY, CA_IMPORTED_WITHOUT_KEY };
/* PENDING: requested, and its certificate is not installed yet */
enum ca_status { CA_ACTIVE, CA_EXPIRED, CA_REVOKED, CA_INACTIVE, CA_PENDING };
extern const char *const ca_kind_names[], *const ca_status_names[];

struct key_spec { /* key_metadata of the input document */
	char *type;    /* RSA, ECDSA, Ed25519, ML-DSA */
	int64_t bits;
	char *key_id;  /* an existing key */
};

struct ca_crl {
	int64_t crl_update_interval_hours;
	struct dur validity;
	struct strv crl_distribution_points;
	char *issuer_key;   /* indirect CRL issuer: key reference */
	int64_t partitions;
	struct strv publish; /* folders or https URLs that `ca crl` writes to */
};

struct ca {
	char *id;
	int type;                    /* enum ca_kind */
	char *parent_id;             /* absent: root, or parent unknown */
	char *key;                   /* id of the key record (SHA-256 of SPKI); absent when the key is elsewhere */
	char *engine_id;
	char *profile_id;            /* shape of this authority's own certificate */
	char *issuance_profile_id;   /* default for what it issues */
	bool disabled;               /* operator's switch: INACTIVE */
	bool compromised;
	char *serial_number;         /* of ca.pem */
	struct strv previous_serials; /* older certificates of the same key, oldest first */
	struct ca_crl crl;
	char *metadata;
	int64_t created_at;
};
extern const struct schema ca_type;
extern const struct schema ca_crl_type; /* also the fragment that `ca set -f` takes */

/* The documents of `ca create -f`: subject, key_metadata, ca_expiration, parent_id, profile ids, engine_id, metadata,
 * type. */
struct ca_create_doc {
	char *id, *parent_id;
	struct subject_fields subject;
	struct key_spec key_metadata;
	struct validity ca_expiration;
	char *profile_id, *ca_issuance_profile_id, *issuance_profile_id;
	char *engine_id, *type, *metadata;
};
extern const struct schema ca_create_type;

struct issuer_metadata {
	char *serial_number, *id;
	int64_t level; /* -1: unknown */
};

/* What `ca show` and `ca list` print. */
struct ca_view {
	char *id;
	int status, type;
	int64_t level;
	char *subject, *issuer;
	char *serial_number, *parent_id, *key_id, *key_type, *engine_id, *security_level;
	char *profile_id, *issuance_profile_id;
	int64_t valid_from, valid_to;
	char *subject_key_id, *authority_key_id, *fingerprint;
	struct issuer_metadata issuer_metadata;
	char *metadata;
	struct strv previous_serials;
	char *certificate; /* PEM */
	int64_t created_at;
};
extern const struct schema ca_view_type;
