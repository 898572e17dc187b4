/* Requests from strangers: no input may crash or stall; what is accepted is all of the input and reads the same
 * again. */
#include <stdlib.h>

#include "crypto/csr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED_ARENA *a = arena_new();
	AUTO(EVP_PKEY) *key = NULL;
	struct bytes text = { data, size }, *v = NULL;
	struct csr c, again;
	struct err e = { 0 };
	size_t n = 0;

	if (csr_parse(a, text, &c, &e) == 0) {
		if (csr_parse(a, c.der, &again, &e) || !bytes_equal(c.spki, again.spki) || c.exts.n != again.exts.n)
			abort();
		if (csr_verify(&c, &key, &e) && e.msg[0] == '\0')
			abort();
	} else if (e.code == ERR_NONE || e.msg[0] == '\0') {
		abort();
	}
	if (csr_split(a, text, &v, &n, &e) == 0 && n == 0)
		abort();
	return 0;
}
