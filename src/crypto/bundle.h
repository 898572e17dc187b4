#pragma once
#include <stdbool.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "crypto/ossl.h"

/* Containers: PKCS#7 certs-only (RFC 2315, RFC 5652 5) and PKCS#12 (RFC 7292). */
int p7_certs(struct arena *, const struct bytes *ders, size_t n, struct bytes *ret_der, struct err *) NODISCARD;
/* The certificates of a PKCS#7, in its order, which the caller has yet to parse; signatures in it are not looked at. */
int p7_split(struct arena *, struct bytes der, struct bytes **ret_v, size_t *ret_n, struct err *) NODISCARD;
struct p12 {
	EVP_PKEY *key;       /* owned by the caller; NULL when absent */
	struct bytes *certs; /* DER; the key's own certificate first */
	size_t ncerts;
	char *name;
};
/* ERR_DENIED for a wrong passphrase. Size and iteration limits against hostile files. */
int p12_load(struct arena *, struct bytes der, const char *passphrase, struct p12 *ret, struct err *) NODISCARD;
/* PBES2 AES-256 and HMAC-SHA-256; `legacy`: 3DES and SHA-1, for old importers (C11). */
int p12_build(struct arena *, EVP_PKEY *, const struct bytes *certs, size_t ncerts, const char *name,
	      const char *passphrase, bool legacy, struct bytes *ret_der, struct err *) NODISCARD;
