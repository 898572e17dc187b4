#pragma once
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"

/* The one table of key types and the one table of signature algorithms. */
struct keytype {
	const char *name;      /* "ecdsa:256": --key-type, key_type fields */
	const char *algorithm; /* "ECDSA": key records and documents */
	int bits;
	const char *ossl;      /* EVP name: "EC", "RSA", "ED25519", "ML-DSA-44" */
	const char *group;     /* EC: "P-256" */
};
/* ends with an empty row; RSA 2048/3072/4096, P-224…521, Ed25519, ML-DSA where OpenSSL has it */
extern const struct keytype keytypes[];
/* "rsa:4096", "ECDSA 256"; NULL with ERR_INVALID listing the known */
const struct keytype *keytype_parse(const char *, struct err *);
const struct keytype *keytype_find(const char *algorithm, int64_t bits);     /* NULL if not in the table */
/* NULL for other keys (RSA 1024, brainpool) */
const struct keytype *keytype_of(const EVP_PKEY *);
/* ML-DSA: only where this OpenSSL makes such keys */
bool keytype_available(const struct keytype *);

struct sigalg {
	const char *name;   /* "ECDSA_SHA_256": kms key sign --algorithm */
	const char *ossl;   /* EVP key type: "RSA", "EC", "ED25519" */
	const char *md;     /* "SHA256"; NULL for Ed25519 and ML-DSA */
	bool pss;           /* salt length = digest length */
	struct bytes der;   /* AlgorithmIdentifier in certificates; empty for those that only `kms key sign` uses */
};
extern const struct sigalg sigalgs[]; /* ends with an empty row */
const struct sigalg *sigalg_find(const char *name);
/* what a CA with this key signs with: SHA-256 for RSA and P-224/256, SHA-384, SHA-512 */
const struct sigalg *sigalg_default(const EVP_PKEY *);
/* AlgorithmIdentifier bytes -> row; NULL when unknown. Does not look at the key that should go with it. */
const struct sigalg *sigalg_by_der(struct bytes);
bool sigalg_fits(const struct sigalg *, const EVP_PKEY *); /* the key is of the type that this algorithm signs with */
