/* OCSP requests from strangers: no input may crash or stall; what is found lies within the input. */
#include <stdlib.h>

#include "crypto/der.h"
#include "pki/ocsp_request.h"

static bool within(const uint8_t *data, size_t size, struct bytes b)
{
	return b.n == 0 || (b.p >= data && b.p + b.n <= data + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ocsp_request r;

	if (!ocsp_request_parse((struct bytes){ data, size }, &r))
		return 0;
	if (r.n < 1 || r.n > OCSP_ASKED_MAX || !within(data, size, r.nonce))
		abort();
	for (size_t i = 0; i < r.n; i++)
		if (!within(data, size, r.ids[i].whole) || !within(data, size, r.ids[i].serial) ||
		    r.ids[i].serial.n == 0)
			abort();
	return 0;
}
