/* Wrapping of keys for import, undone by OpenSSL's own unwrapping. */
#include <openssl/crypto.h>
#include <openssl/rsa.h>

#include "engine/key_wrap.h"

#include "tap.h"

static struct arena *arena;

static int unwrap_aes(EVP_PKEY *rsa, struct bytes in, unsigned char *out)
{
	AUTO(EVP_PKEY_CTX) *pc = EVP_PKEY_CTX_new(rsa, NULL);
	unsigned char big[1024];
	size_t n = sizeof(big);

	if (!pc || EVP_PKEY_decrypt_init(pc) <= 0 || EVP_PKEY_CTX_set_rsa_padding(pc, RSA_PKCS1_OAEP_PADDING) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_oaep_md(pc, EVP_sha256()) <= 0 ||
		    EVP_PKEY_CTX_set_rsa_mgf1_md(pc, EVP_sha256()) <= 0 ||
	    EVP_PKEY_decrypt(pc, big, &n, in.p, in.n) <= 0 || n != 32)
		return -1;
	memcpy(out, big, n);
	return 0;
}

static int unwrap(EVP_PKEY *rsa, struct bytes in, struct bytes *ret)
{
	size_t head = (size_t)EVP_PKEY_get_size(rsa);
	unsigned char aes[32], *out = arena_alloc(arena, 1, in.n);
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n = 0, rc;

	if (in.n <= head || unwrap_aes(rsa, (struct bytes){ in.p, head }, aes) != 0)
		return -1;
	EVP_CIPHER_CTX_set_flags(c, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	rc = EVP_DecryptInit_ex(c, EVP_aes_256_wrap_pad(), NULL, aes, NULL) == 1 &&
	     EVP_DecryptUpdate(c, out, &n, in.p + head, (int)(in.n - head)) == 1 ? 0 : -1;
	EVP_CIPHER_CTX_free(c);
	*ret = (struct bytes){ out, (size_t)n };
	return rc;
}

static void round_trip(EVP_PKEY *rsa, const char *type)
{
	struct err e = { 0 };
	AUTO(EVP_PKEY) *key = NULL;
	AUTO(EVP_PKEY) *back = NULL;
	struct bytes wrapped, again, plain, pkcs8;
	bool good = key_generate(keytype_parse(type, &e), &key, &e) == 0 &&
		key_wrap(arena, rsa, key, &wrapped, &e) == 0 &&
		    key_wrap(arena, rsa, key, &again, &e) == 0;

	if (!ok(good, "%s is wrapped", type))
		return;
	ok(!bytes_equal(wrapped, again), "%s: never twice the same", type);
	ok(unwrap(rsa, wrapped, &plain) == 0 && key_pkcs8(arena, key, &pkcs8, &e) == 0 && bytes_equal(plain, pkcs8),
	   "%s: it is PKCS#8 inside", type);
	ok(key_load(plain, NULL, &back, &e) == 0 && key_matches(back, key), "%s: the same key comes back", type);
}

int main(void)
{
	static const char *const types[] = { "rsa:2048", "ecdsa:224", "ecdsa:256", "ecdsa:384", "ecdsa:521",
					     "ed25519" };
	AUTO(EVP_PKEY) *rsa = NULL;
	AUTO(EVP_PKEY) *ec = NULL;
	struct err e = { 0 };
	struct bytes out;

	arena = arena_new();
	ok(key_generate(keytype_parse("rsa:2048", &e), &rsa, &e) == 0, "a wrapping key");
	for (size_t i = 0; i < COUNT(types); i++)
		round_trip(rsa, types[i]);
	ok(key_generate(keytype_parse("ecdsa:256", &e), &ec, &e) == 0 && key_wrap(arena, ec, ec, &out, &e) != 0 &&
	   e.code == ERR_REMOTE, "another kind of wrapping key is refused");
	arena_free(arena);
	return done();
}
