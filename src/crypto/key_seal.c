/* Private keys at rest (K11 of docs/features.md). All keys of an engine share one salt, so one derivation opens them
 * all; each has its own IV. What is written is ordinary PKCS#8 that any OpenSSL opens with the passphrase. */
#include <openssl/rand.h>
#include <string.h>

#include "crypto/cert.h"
#include "crypto/key_der.h"

/* scrypt takes 24 MiB: `openssl pkey` refuses to use more than 32, so r = 8 would make files that it does not open; p
 * makes up for the work. A generated passphrase has 256 random bits and needs no stretching. */
enum { SEAL_SALT = 16, SEAL_N = 1 << 16, SEAL_R = 3, SEAL_P = 3, SEAL_ROUNDS = 1000 };

int key_seal_new(struct arena *a, int kdf, struct key_seal *ret, struct err *e)
{
	struct key_seal s = { .kdf = kdf };
	unsigned char *salt = arena_alloc(a, SEAL_SALT, 1);

	if (kdf != KDF_NONE && RAND_bytes(salt, SEAL_SALT) != 1)
		return err_ossl(e, "random salt");
	if (kdf == KDF_SCRYPT) {
		s.n = SEAL_N;
		s.r = SEAL_R;
		s.p = SEAL_P;
	} else if (kdf == KDF_PBKDF2) {
		s.iterations = SEAL_ROUNDS;
	}
	if (kdf != KDF_NONE)
		s.salt = (struct bytes){ salt, SEAL_SALT };
	*ret = s;
	return 0;
}

int key_derive(struct arena *a, const struct key_seal *s, const char *passphrase, struct bytes *ret, struct err *e)
{
	struct pbes2 x = { .seal = *s, .prf = "SHA256", .key_n = PBES2_KEY_MAX };
	unsigned char *key = arena_alloc(a, PBES2_KEY_MAX, 1);

	if (s->kdf == KDF_NONE) {
		*ret = (struct bytes){ key, 0 };
		return 0;
	}
	if (pbes2_derive(&x, passphrase, key, e))
		return -1;
	*ret = (struct bytes){ key, PBES2_KEY_MAX };
	return 0;
}

/* PKCS#8, in the arena. */
int key_pkcs8(struct arena *a, const EVP_PKEY *key, struct bytes *ret, struct err *e)
{
	AUTO(PKCS8_PRIV_KEY_INFO) *p8 = EVP_PKEY2PKCS8(key);
	unsigned char *der = NULL;
	int n = p8 ? i2d_PKCS8_PRIV_KEY_INFO(p8, &der) : -1;

	if (n <= 0)
		return err_ossl(e, "the private key cannot be taken out of its engine");
	*ret = (struct bytes){ arena_memdup(a, der, (size_t)n), (size_t)n };
	OPENSSL_clear_free(der, (size_t)n);
	return 0;
}

int key_plain_pem(struct arena *a, const EVP_PKEY *key, struct bytes *ret_pem, struct err *e)
{
	struct bytes der;

	if (key_pkcs8(a, key, &der, e))
		return -1;
	*ret_pem = pem_encode(a, "PRIVATE KEY", der);
	return 0;
}

int key_seal_pem(struct arena *a, const struct key_seal *s, struct bytes derived, const EVP_PKEY *key,
		 struct bytes *ret_pem, struct err *e)
{
	struct bytes plain, der;

	if (s->kdf == KDF_NONE)
		return key_plain_pem(a, key, ret_pem, e);
	if (derived.n != PBES2_KEY_MAX)
		return err_set(e, ERR_DENIED, "the engine is locked");
	if (key_pkcs8(a, key, &plain, e) || pbes2_encrypt(a, s, derived.p, plain, &der, e))
		return -1;
	*ret_pem = pem_encode(a, "ENCRYPTED PRIVATE KEY", der);
	return 0;
}

static bool same_seal(const struct pbes2 *x, const struct key_seal *s)
{
	if (x->seal.kdf != s->kdf || !bytes_equal(x->seal.salt, s->salt) || strcmp(x->cipher, "AES-256-CBC") != 0)
		return false;
	if (s->kdf == KDF_SCRYPT)
		return x->seal.n == s->n && x->seal.r == s->r && x->seal.p == s->p;
	return x->seal.iterations == s->iterations && strcmp(x->prf, "SHA256") == 0;
}

int key_unseal_pem(struct arena *a, const struct key_seal *s, struct bytes derived, struct bytes pem, EVP_PKEY **ret,
		   struct err *e)
{
	bool sealed = s->kdf != KDF_NONE;
	struct bytes der, plain;
	struct pbes2 x;

	if (!pem_next(a, &pem, sealed ? "ENCRYPTED PRIVATE KEY" : "PRIVATE KEY", NULL, &der))
		return err_set(e, ERR_INVALID, "no %sprivate key found", sealed ? "encrypted " : "");
	if (!sealed)
		return key_from_der(der, ret, e);
	if (pbes2_parse(der, &x, e))
		return -1;
	if (derived.n != PBES2_KEY_MAX)
		return err_set(e, ERR_DENIED, "the engine is locked");
	if (!same_seal(&x, s))
		return err_set(e, ERR_DENIED, "the key is not sealed with this engine's passphrase");
	if (pbes2_decrypt(a, &x, derived.p, &plain, e))
		return -1;
	if (key_from_der(plain, ret, e))
		return err_set(e, ERR_DENIED, "the passphrase does not open the key");
	return 0;
}
