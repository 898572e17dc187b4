/* CMS of strangers: capabilities in a request, and what an EST server sends a key in. Nothing stops the reader; what is
 * chosen can be used. */
#include <assert.h>
#include <stdint.h>

#include "crypto/cms.h"
#include "crypto/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Made once; the fuzzer's process ends with it. */
static EVP_PKEY *key_of(const char *algorithm, int bits)
{
	struct err e = { 0 };
	EVP_PKEY *key;

	if (key_generate(keytype_find(algorithm, bits), &key, &e) != 0)
		abort();
	return key;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static EVP_PKEY *keys[2];
	SCOPED_ARENA *a = arena_new();
	struct bytes in, out;
	struct cms_signed sd;
	struct cms_how how;
	struct err e = { 0 };

	if (n == 0)
		return 0;
	if (!keys[0]) {
		keys[0] = key_of("ECDSA", 256);
		keys[1] = key_of("RSA", 2048);
	}
	in = (struct bytes){ arena_memdup(a, data + 1, n - 1), n - 1 };
	if (data[0] & 2) {
		if (data[0] & 1 ? cms_verify(a, OID_CT_KEY_PACKAGE, in, &sd, &e) == 0
				: cms_decrypt(a, in, keys[0], (struct bytes){ 0 }, &out, &e) == 0)
			return 0;
		assert(e.code == ERR_INVALID || e.code == ERR_CHECK || e.code == ERR_CRYPTO || e.code == ERR_DENIED);
		return 0;
	}
	if (cms_choose(in, keys[data[0] & 1], &how, &e) != 0) {
		assert(e.code == ERR_INVALID || e.code == ERR_UNSUPPORTED);
		return 0;
	}
	assert(how.cipher && (!how.oaep || (how.md && how.mgf1_md)) && (data[0] & 1 || (how.kdf_md && how.wrap)));
	return 0;
}
