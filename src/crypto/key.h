#pragma once
#include <stdbool.h>

#include "base/buf.h"
#include "crypto/algs.h"
#include "crypto/ossl.h"

/* Keys as EVP_PKEY: making, reading, writing, judging. */
int key_generate(const struct keytype *, EVP_PKEY **ret, struct err *) NODISCARD;
/* DER SubjectPublicKeyInfo */
int key_spki(struct arena *, const EVP_PKEY *, struct bytes *ret, struct err *) NODISCARD;
int key_from_spki(struct bytes der, EVP_PKEY **ret, struct err *) NODISCARD;
char *key_id(struct arena *, struct bytes spki); /* lower-case hex SHA-256 */
int key_public_pem(struct arena *, const EVP_PKEY *, char **ret, struct err *) NODISCARD;
int key_from_public_pem(struct bytes pem, EVP_PKEY **ret, struct err *) NODISCARD;

/* A private key from PEM or DER: PKCS#1, PKCS#8 (encrypted too), SEC1. `passphrase` may be NULL; a wrong or missing one
 * is ERR_DENIED. What follows the first key is ignored only if it is PEM of another kind. */
int key_load(struct bytes text, const char *passphrase, EVP_PKEY **ret, struct err *) NODISCARD;
bool key_is_encrypted(struct bytes text); /* looks like an encrypted PEM or PKCS#8 */

/* How PKCS#8 is protected at rest (K11): a typed passphrase through scrypt, a generated one through PBKDF2. */
enum key_kdf { KDF_NONE, KDF_SCRYPT, KDF_PBKDF2 };
struct key_seal {
	int kdf; /* enum key_kdf */
	int64_t n, r, p;      /* scrypt */
	int64_t iterations;   /* PBKDF2 */
	struct bytes salt;    /* one per engine, so that one derivation opens all its keys */
};
/* A new seal: fresh salt, and the parameters that suit the kind of passphrase. */
int key_seal_new(struct arena *, int kdf, struct key_seal *ret, struct err *) NODISCARD;
/* AES-256 key from a passphrase as PKCS#5 v2 does; 32 bytes in the arena (wiped with it). */
int key_derive(struct arena *, const struct key_seal *, const char *passphrase, struct bytes *ret,
	       struct err *) NODISCARD;
/* EncryptedPrivateKeyInfo (PBES2, AES-256-CBC) that `openssl pkey -passin` opens, made with an already derived key. */
int key_seal_pem(struct arena *, const struct key_seal *, struct bytes derived, const EVP_PKEY *, struct bytes *ret_pem,
		 struct err *) NODISCARD;
/* Opens one made with the same seal and derived key, without deriving again; ERR_DENIED when it does not open. */
int key_unseal_pem(struct arena *, const struct key_seal *, struct bytes derived, struct bytes pem, EVP_PKEY **ret,
		   struct err *) NODISCARD;
/* DER, not encrypted; wiped with the arena */
int key_pkcs8(struct arena *, const EVP_PKEY *, struct bytes *ret_der, struct err *) NODISCARD;
/* PKCS#8, not encrypted */
int key_plain_pem(struct arena *, const EVP_PKEY *, struct bytes *ret_pem, struct err *) NODISCARD;

/* Why this public key must not be certified (P9), in one phrase, or NULL: RSA below 2048 or e = 1 or even or ROCA,
 * explicit EC parameters, a curve below 224 bits, an unsupported type. (A point at infinity does not become a key at
 * all.) */
const char *key_weakness(const EVP_PKEY *);
const char *key_strength(const char *algorithm, int64_t bits); /* HIGH, MEDIUM, LOW */
bool key_matches(const EVP_PKEY *priv, const EVP_PKEY *pub);   /* same public half */

/* A key whose private half is elsewhere, as an EVP_PKEY that signs certificates, CRLs, CSRs, OCSP, CMS and TLS through
 * `sign` (crypto/provider.c), from any thread. `in` is the digest, or the message where md is NULL. Every signature is
 * verified with `pub` before it is returned (K12); a wrong one is ERR_REMOTE, with `where` before the message unless it
 * is NULL. `arg` and `where` must outlive the key; `release` (may be NULL) is told its end. The message of a failed
 * `sign` is found again with key_remote_error. */
typedef int key_sign_fn(void *arg, const struct sigalg *, struct bytes in, struct buf *sig, struct err *);
struct key_backend {
	key_sign_fn *sign;
	void (*release)(void *arg);
	void *arg;
	const char *where;
};
int key_remote(EVP_PKEY *pub, const struct key_backend *, EVP_PKEY **ret, struct err *) NODISCARD;
/* moves this thread's last error of a remote signer into err (NULL: drops it); false if none */
bool key_remote_error(struct err *);

/* One signature; `msg` is hashed as alg says. Reuses nothing, fit for threads. */
int key_sign(EVP_PKEY *, const struct sigalg *, struct bytes msg, struct buf *sig, struct err *) NODISCARD;
/* `digest` is already hashed (kms key sign --message-type digest); its length must be the hash's. */
int key_sign_digest(EVP_PKEY *, const struct sigalg *, struct bytes digest, struct buf *sig, struct err *) NODISCARD;
int key_verify(EVP_PKEY *pub, const struct sigalg *, struct bytes msg, bool is_digest, struct bytes sig,
	       bool *ret_valid, struct err *) NODISCARD;
/* An ECDSA signature of `n` octets, r and s of equal length in a row as PKCS#11, JOSE and Azure have it, as DER.
 * Refused: any other length, a number that is zero. */
int key_ecdsa_der(struct bytes raw, size_t n, struct buf *ret, struct err *) NODISCARD;
