/* CRLs from elsewhere: no input may crash; what is accepted can be walked to its end or says why not. */
#include <stdlib.h>

#include "crypto/crl.h"

static int each(void *arg, const struct crl_entry *x, struct err *e)
{
	(void)arg;
	(void)e;
	if (x->serial.n == 0)
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED_ARENA *a = arena_new();
	struct crl crl;
	struct err e = { 0 };

	if (crl_parse(a, (struct bytes){ data, size }, &crl, &e) || crl_each(&crl, each, NULL, &e))
		if (e.code == ERR_NONE || e.msg[0] == '\0')
			abort();
	return 0;
}
