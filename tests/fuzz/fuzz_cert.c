/* Certificates: what we read, OpenSSL reads; all that is in it can be shown. */
#include <stdlib.h>

#include "crypto/cert.h"
#include "crypto/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED_ARENA *a = arena_new();
	struct bytes text = { arena_memdup(a, data, size), size }, *all;
	const unsigned char *p;
	struct err e = { 0 };
	struct cert c;
	char *shown;
	size_t n;

	if (cert_parse(a, text, &c, &e) == 0) {
		p = c.der.p;
		AUTO(X509) *x = d2i_X509(NULL, &p, (long)c.der.n);
		if (!x || name_format(a, c.subject, &shown, &e) < 0 || name_format(a, c.issuer, &shown, &e) < 0)
			abort();
		for (size_t i = 0; i < c.exts.n; i++)
			ext_describe(a, &c.exts.v[i]);
		cert_issued_by(&c, &c);
		if (c.exts.n && cert_check_name_constraints(a, c.exts.v[0].value, c.subject, text, &e) == 0)
			e.code = ERR_NONE;
	}
	if (cert_split(a, text, &all, &n, &e) == 0 && n == 0)
		abort();
	return 0;
}
