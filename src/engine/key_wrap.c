/* Wrapping of private keys for import. Guarantees: the AES key is fresh, and it and the plain PKCS#8 are wiped before
 * this returns, whatever happened. */
#include "engine/key_wrap.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

enum { AES_LEN = 32, KWP_OVERHEAD = 16, RSA_MIN_BITS = 2048 };

DEFINE_AUTO(EVP_CIPHER, EVP_CIPHER_free)
DEFINE_AUTO(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)

static int wrap_aes(struct arena *a, EVP_PKEY *rsa, struct bytes aes, struct bytes *ret, struct err *e)
{
	AUTO(EVP_PKEY_CTX) *pc = EVP_PKEY_CTX_new(rsa, NULL);
	size_t n = (size_t)EVP_PKEY_get_size(rsa);
	unsigned char *out = arena_alloc(a, 1, n);

	if (!pc || EVP_PKEY_encrypt_init(pc) <= 0 || EVP_PKEY_CTX_set_rsa_padding(pc, RSA_PKCS1_OAEP_PADDING) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_oaep_md(pc, ossl_md("SHA256")) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_mgf1_md(pc, ossl_md("SHA256")) <= 0 ||
		    EVP_PKEY_encrypt(pc, out, &n, aes.p, aes.n) <= 0)
		return err_ossl(e, "wrapping the key for import");
	*ret = (struct bytes){ out, n };
	return 0;
}

static int wrap_pkcs8(struct arena *a, struct bytes aes, struct bytes plain, struct bytes *ret, struct err *e)
{
	AUTO(EVP_CIPHER) *kwp = EVP_CIPHER_fetch(NULL, "AES-256-WRAP-PAD", NULL);
	AUTO(EVP_CIPHER_CTX) *c = EVP_CIPHER_CTX_new();
	unsigned char *out = arena_alloc(a, 1, plain.n + KWP_OVERHEAD);
	int n = 0, tail = 0;

	if (c)
		EVP_CIPHER_CTX_set_flags(c, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	if (!kwp || !c || EVP_EncryptInit_ex2(c, kwp, aes.p, NULL, NULL) != 1 ||
	    EVP_EncryptUpdate(c, out, &n, plain.p, (int)plain.n) != 1 || EVP_EncryptFinal_ex(c, out + n, &tail) != 1)
		return err_ossl(e, "wrapping the key for import");
	*ret = (struct bytes){ out, (size_t)(n + tail) };
	return 0;
}

int key_wrap_aes(struct arena *a, struct bytes aes, const EVP_PKEY *priv, struct bytes *ret, struct err *e)
{
	SCOPED_ARENA *secret = arena_new();
	struct bytes plain;

	return key_pkcs8(secret, priv, &plain, e) == 0 ? wrap_pkcs8(a, aes, plain, ret, e) : -1;
}

int key_wrap(struct arena *a, EVP_PKEY *rsa, const EVP_PKEY *priv, struct bytes *ret, struct err *e)
{
	SCOPED_ARENA *secret = arena_new();
	SCOPED_BUF out = buf_init(BUF_TEXT);
	unsigned char *aes = arena_alloc(secret, 1, AES_LEN);
	struct bytes aes_key = { aes, AES_LEN }, head = { 0 }, tail = { 0 };

	if (!EVP_PKEY_is_a(rsa, "RSA") || EVP_PKEY_get_bits(rsa) < RSA_MIN_BITS)
		return err_set(e, ERR_REMOTE, "the engine's wrapping key is not an RSA key of at least %d bits",
			       RSA_MIN_BITS);
	if (RAND_priv_bytes(aes, AES_LEN) != 1)
		return err_ossl(e, "random numbers");
	if (wrap_aes(a, rsa, aes_key, &head, e) != 0 || key_wrap_aes(a, aes_key, priv, &tail, e) != 0)
		return -1;
	buf_put(&out, head.p, head.n);
	buf_put(&out, tail.p, tail.n);
	ret->p = arena_memdup(a, out.p, out.n);
	ret->n = out.n;
	return 0;
}
