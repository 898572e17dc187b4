/* Keys from files and from requests: no input may crash, stall or come out as a key that does not sign. */
#include <stdlib.h>

#include "crypto/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(EVP_PKEY) *key = NULL;
	AUTO(EVP_PKEY) *pub = NULL;
	struct bytes in = { data, size };
	struct err e = { 0 };

	key_is_encrypted(in);
	if (key_load(in, "passphrase", &key, &e) == 0 && !sigalg_default(key))
		abort();
	if (key_from_spki(in, &pub, &e) == 0)
		key_weakness(pub);
	return 0;
}
