/* Framing of requests: the same however the bytes are cut, never more than there are, and no request that says two
 * things. */
#include <stdlib.h>
#include <string.h>

#include "serve/framing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct framing at_once, cut;
	size_t n, done = 0, step = size ? data[0] % 7 + 1 : 1;

	framing_begin(&at_once, 1000);
	framing_begin(&cut, 1000);
	n = framing_take(&at_once, data, size);
	while (done < size && !cut.status && !framing_whole(&cut))
		done += framing_take(&cut, data + done, size - done < step ? size - done : step);
	if (n > size || n != done || at_once.status != cut.status || framing_whole(&at_once) != framing_whole(&cut) ||
	    at_once.fields != cut.fields)
		abort();
	if (n < size && !at_once.status && !framing_whole(&at_once))
		abort();
	if (at_once.status ? !at_once.why || framing_whole(&at_once) : framing_whole(&at_once) && at_once.sized &&
	    at_once.chunked)
		abort();
	return 0;
}
