/* PKCS#12 with the passphrase "p": hostile files end quickly and leak nothing. */
#include "crypto/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED_ARENA *a = arena_new();
	struct p12 got = { 0 };
	struct err e = { 0 };

	if (p12_load(a, (struct bytes){ data, size }, "p", &got, &e) == 0)
		EVP_PKEY_free(got.key);
	return 0;
}
