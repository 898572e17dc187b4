/* Bodies of EST requests: what is accepted is one DER value, however it was written, and reads the same when it is sent
 * again. */
#include <stdlib.h>

#include "base/text.h"
#include "crypto/csr.h"
#include "est/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED_ARENA *a = arena_new();
	const struct http_request plain = { .arena = a };
	struct bytes der, again;
	struct csr csr;
	struct err e = { 0 };

	if (wire_decode(a, (struct bytes){ data, size }, &der, &e) != 0) {
		if (e.code == ERR_NONE || e.msg[0] == '\0')
			abort();
		return 0;
	}
	if (wire_decode(a, wire_base64(a, &plain, der), &again, &e) != 0 || !bytes_equal(der, again))
		abort();
	if (csr_parse(a, der, &csr, &e) != 0 && e.msg[0] == '\0')
		abort();
	return 0;
}
