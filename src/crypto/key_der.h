#pragma once
#include "crypto/key.h"

/* Keys as DER: what the files about keys share. */

/* PKCS#8, PKCS#1 or SEC1, not encrypted, without trailing bytes. ERR_UNSUPPORTED for kinds of key that cannot sign
 * here. */
int key_from_der(struct bytes der, EVP_PKEY **ret, struct err *) NODISCARD;

/* The usual forms of keys on NIST's curves; NULL: something else, or not a key at all. */
/* content of the AlgorithmIdentifier and of the BIT STRING */
EVP_PKEY *key_ec_public(struct bytes alg, struct bytes point);
EVP_PKEY *key_ec_private(struct bytes pkcs8);

/* EncryptedPrivateKeyInfo under PBES2 (RFC 8018 A.4), taken apart; points into the DER. */
struct pbes2 {
	struct key_seal seal;
	const char *prf;    /* digest of PBKDF2's HMAC */
	const char *cipher; /* EVP name */
	size_t key_n;
	struct bytes iv, data;
};
enum { PBES2_KEY_MAX = 32 };
/* ERR_UNSUPPORTED when it is another scheme or uses unknown algorithms, ERR_INVALID when malformed or made to be too
 * costly. */
int pbes2_parse(struct bytes der, struct pbes2 *ret, struct err *) NODISCARD;
int pbes2_derive(const struct pbes2 *, const char *passphrase, unsigned char key[PBES2_KEY_MAX],
		 struct err *) NODISCARD;
/* ERR_DENIED when the padding is wrong. A wrong key may pass with probability 1/256: the content must be checked
 * too. */
int pbes2_decrypt(struct arena *, const struct pbes2 *, const unsigned char *key, struct bytes *ret,
		  struct err *) NODISCARD;
/* The inverse, always AES-256-CBC with a fresh IV. */
int pbes2_encrypt(struct arena *, const struct key_seal *, const unsigned char key[PBES2_KEY_MAX], struct bytes plain,
		  struct bytes *ret_der, struct err *) NODISCARD;
/* A number of rounds that somebody else chose and that we are willing to compute. */
bool kdf_rounds_ok(uint64_t rounds);
