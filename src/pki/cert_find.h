#pragma once
#include "model/ledger_records.h"
#include "pki/authority.h"

/* Naming one certificate: a serial number (any case, ':' and '-' between digits, 8 digits or more of it when unique), a
 * SHA-256 fingerprint, or a file. */
struct found_cert {
	struct certrec rec;
	struct cert cert;
	bool recorded; /* false: rec says what the file says */
};
/* `ca` narrows and may be NULL. ERR_NOT_FOUND also for a file whose certificate is not recorded here. */
int cert_find(struct ctx *, const char *ca, const char *ref, struct found_cert *ret, struct err *) NODISCARD;
/* The same, but a file will do. */
int cert_find_any(struct ctx *, const char *ca, const char *ref, struct found_cert *ret, struct err *) NODISCARD;

/* The authority that issued it. *ret_found is false when none here did, or when it is a root's own certificate. */
int cert_issuer(struct ctx *, const struct found_cert *, struct authority *ret, bool *ret_found,
		struct err *) NODISCARD;
/* Certificates from this one up to the root, or as far as they are known here. */
int cert_chain(struct ctx *, const struct found_cert *, struct bytes **ret_ders, size_t *ret_n, struct err *) NODISCARD;
/* A change of its metadata: value is JSON or plain text, NULL removes the key. Put into the transaction. */
int cert_set_metadata(struct ctx *, const struct certrec *, const char *key, const char *value, struct err *) NODISCARD;
