#pragma once
#include <stdbool.h>

#include "base/arena.h"
#include "base/bytes.h"

/* OCSP requests (RFC 6960 4.1.1), read strictly; what they hold is borrowed from their bytes. Who asks, and a
 * signature, are no matter. */
enum { OCSP_REQUEST_MAX = 16 << 10, OCSP_ASKED_MAX = 32, OCSP_NONCE_MAX = 128, OCSP_HASHES = 4 };

struct ocsp_certid {
	struct bytes whole;     /* the CertID, DER */
	int hash;               /* of ocsp_hashes[]; -1: none of them */
	struct bytes name_hash, key_hash;
	struct bytes serial;    /* content of the INTEGER */
};

struct ocsp_request {
	struct ocsp_certid ids[OCSP_ASKED_MAX];
	size_t n;               /* at least 1 */
	struct bytes nonce;     /* the extension, DER; empty: none */
};
bool ocsp_request_parse(struct bytes der, struct ocsp_request *ret); /* false: malformed */

struct ocsp_hash {
	const char *oid, *md; /* as ossl_md has it */
};
extern const struct ocsp_hash ocsp_hashes[OCSP_HASHES];
