/* Certificate authorities: the stored record, the document of `ca create -f`, and the view that commands print. Nothing
 * here reads a certificate; dates and status are put into views by pki/. */
#include "model/ca.h"

#include <string.h>

#include "base/text.h"
#include "model/engine.h"

const char *const ca_kind_names[] = { "MANAGED", "IMPORTED_WITH_KEY", "IMPORTED_WITHOUT_KEY", NULL };
const char *const ca_status_names[] = { "ACTIVE", "EXPIRED", "REVOKED", "INACTIVE", "PENDING", NULL };

static const struct field ca_crl_fields[] = {
	INT(ca_crl, crl_update_interval_hours, "How often a new CRL is due; 0 is on demand only.", .dflt = "0",
	    .max = 87600),
	DUR(ca_crl, validity,
	    "How long a CRL is good for. Absent: crl.validity of lamassu.yaml, and longer than the interval.",
	    .min = 60, .max = INT64_C(3153600000)),
	STRV(ca_crl, crl_distribution_points,
	     "Addresses of this authority's CRL, put into what it issues; with ${partition} when it is partitioned."),
	STR(ca_crl, issuer_key, "Key that signs the CRLs instead of the authority's own (indirect CRL)."),
	INT(ca_crl, partitions, "How many partitions the CRL has; 0 is one CRL for all.", .dflt = "0", .max = 4096),
	STRV(ca_crl, publish,
	     "Where `ca crl` puts new CRLs: folders, and http or https addresses that take a PUT of ADDRESS/NAME.crl."),
	END
};

const struct schema ca_crl_type = {
	.name = "crl", .doc = "Revocation lists of this authority", .size = sizeof(struct ca_crl),
	.fields = ca_crl_fields
};

static const struct field ca_fields[] = {
	STR(ca, id, "Identifier.", .flags = F_REQ | F_KEY),
	ENUM(ca, type, ca_kind_names, "Where certificate and key come from.", .flags = F_SHOW0, .dflt = "MANAGED"),
	REF(ca, parent_id, &ca_type, "The authority that issued this one; absent for roots and when it is not known."),
	STR(ca, key, "The key's id (SHA-256 of the public key); absent when the key is elsewhere."),
	REF(ca, engine_id, &engine_type, "The engine that holds the key."),
	REF(ca, profile_id, &profile_type, "Profile that shapes this authority's own certificate."),
	REF(ca, issuance_profile_id, &profile_type, "Default profile for what it issues."),
	BOOL(ca, disabled, "Switched off by an operator: status INACTIVE.", .dflt = "false"),
	BOOL(ca, compromised, "Its key was reported as compromised; it never issues again.", .dflt = "false"),
	STR(ca, serial_number, "Serial number of the newest certificate, ca.pem."),
	STRV(ca, previous_serials, "Serial numbers of older certificates of the same key, oldest first."),
	OBJ(ca, crl, &ca_crl_type, "Revocation lists of this authority."),
	ANY(ca, metadata, "Free key-value data."),
	TIME(ca, created_at, "When the record was made."),
	END
};

static int ca_check(struct arena *a, void *rec, struct err *e)
{
	const struct ca *ca = rec;

	(void)a;
	if (!id_valid(ca->id))
		return err_set(e, ERR_INVALID, "id: \"%s\" is not an id: [a-z0-9][a-z0-9._-]{0,63}", ca->id);
	if (ca->parent_id && strcmp(ca->parent_id, ca->id) == 0)
		return err_set(e, ERR_INVALID, "parent_id: an authority is not its own parent");
	return 0;
}

const struct schema ca_type = {
	.name = "ca", .plural = "cas", .path = "cas/%s/ca.yaml", .doc = "A certificate authority",
	.size = sizeof(struct ca),
	.fields = ca_fields, .check = ca_check
};

static const struct field key_spec_fields[] = {
	STR(key_spec, type, "RSA, ECDSA, Ed25519 or ML-DSA."),
	INT(key_spec, bits, "Size in bits.", .dflt = "0", .max = 16384),
	STR(key_spec, key_id, "An existing key: id, alias or URI."),
	END
};

static const struct schema key_spec_type = {
	.name = "key_metadata", .doc = "Which key", .size = sizeof(struct key_spec), .fields = key_spec_fields
};

static const char *const type_aka[] = { "ca_type", NULL };

static const struct field ca_create_fields[] = {
	STR(ca_create_doc, id, "Identifier."),
	REF(ca_create_doc, parent_id, &ca_type, "Authority that issues this one; absent for a root."),
	OBJ(ca_create_doc, subject, &subject_type, "Distinguished name."),
	OBJ(ca_create_doc, key_metadata, &key_spec_type, "The key to make or to use."),
	OBJ(ca_create_doc, ca_expiration, &validity_type,
	    "Validity of the authority's certificate; beats its profile's."),
	REF(ca_create_doc, profile_id, &profile_type, "Profile that shapes this authority's own certificate."),
	REF(ca_create_doc, ca_issuance_profile_id, &profile_type, "Default profile for what it issues."),
	REF(ca_create_doc, issuance_profile_id, &profile_type,
	    "The first of the two above if that profile has sign_as_ca, else the second."),
	REF(ca_create_doc, engine_id, &engine_type, "Engine where the key is made."),
	STR(ca_create_doc, type, "MANAGED; accepted for compatibility.", .aka = type_aka),
	ANY(ca_create_doc, metadata, "Free key-value data."),
	END
};

const struct schema ca_create_type = {
	.name = "ca-create", .plural = "ca-create", .doc = "Document of `ca create -f`",
	.size = sizeof(struct ca_create_doc),
	.fields = ca_create_fields
};

static const struct field issuer_metadata_fields[] = {
	STR(issuer_metadata, serial_number, "Serial number of the issuer's certificate."),
	STR(issuer_metadata, id, "The issuer's id; - when it is not known."),
	INT(issuer_metadata, level, "The issuer's level; -1 when it is not known.", .flags = F_SHOW0),
	END
};

static const struct schema issuer_metadata_type = {
	.name = "issuer_metadata", .doc = "The issuer", .size = sizeof(struct issuer_metadata),
	.fields = issuer_metadata_fields
};

static const struct field ca_view_fields[] = {
	STR(ca_view, id, "Identifier.", .flags = F_KEY | F_COL),
	ENUM(ca_view, status, ca_status_names, "ACTIVE, EXPIRED, REVOKED, INACTIVE or PENDING.",
	     .flags = F_COL | F_SHOW0),
	ENUM(ca_view, type, ca_kind_names, "Where certificate and key come from.", .flags = F_SHOW0),
	INT(ca_view, level, "0 for roots, then one more than the parent's.", .flags = F_COL | F_SHOW0),
	STR(ca_view, subject, "Distinguished name.", .flags = F_COL),
	STR(ca_view, issuer, "Distinguished name of the issuer."),
	STR(ca_view, serial_number, "Serial number, hexadecimal."),
	STR(ca_view, parent_id, "The authority that issued this one.", .flags = F_COL),
	STR(ca_view, key_id, "SHA-256 of the public key."),
	STR(ca_view, key_type, "Type and size of the key.", .flags = F_COL),
	STR(ca_view, engine_id, "The engine that holds the key.", .flags = F_COL),
	STR(ca_view, security_level, "SL0, SL1 or SL2.", .flags = F_COL),
	STR(ca_view, profile_id, "Profile of this authority's own certificate."),
	STR(ca_view, issuance_profile_id, "Default profile for what it issues."),
	TIME(ca_view, valid_from, "notBefore."),
	TIME(ca_view, valid_to, "notAfter.", .flags = F_COL),
	STR(ca_view, subject_key_id, "Subject key identifier, hexadecimal."),
	STR(ca_view, authority_key_id, "Authority key identifier, hexadecimal."),
	STR(ca_view, fingerprint, "SHA-256 of the certificate."),
	OBJ(ca_view, issuer_metadata, &issuer_metadata_type, "The issuer."),
	ANY(ca_view, metadata, "Free key-value data."),
	STRV(ca_view, previous_serials, "Serial numbers of older certificates of the same key."),
	STR(ca_view, certificate, "The certificate in PEM.", .flags = F_HIDE),
	TIME(ca_view, created_at, "When the record was made."),
	END
};

const struct schema ca_view_type = {
	.name = "ca", .plural = "cas", .doc = "A certificate authority as commands show it",
	.size = sizeof(struct ca_view),
	.fields = ca_view_fields
};
