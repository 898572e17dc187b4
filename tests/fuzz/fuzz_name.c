/* Names, as DER and as text: what is accepted prints as text that reads as an equal name, and OpenSSL reads our DER.
 * Alternative names likewise. */
#include <stdlib.h>
#include <string.h>

#include "crypto/cert.h"
#include "crypto/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void text_to_der(struct arena *a, const char *text)
{
	struct err e = { 0 };
	struct bytes der, again;
	const unsigned char *p;
	char *shown;

	if (name_parse(a, text, &der, &e) < 0)
		return;
	p = der.p;
	AUTO(X509_NAME) *name = d2i_X509_NAME(NULL, &p, (long)der.n);
	if (!name || name_check(der, &e) < 0)
		abort();
	if (name_format(a, der, &shown, &e) < 0 || name_parse(a, shown, &again, &e) < 0 || !name_equal(der, again))
		abort();
}

static void san(struct arena *a, struct bytes value)
{
	struct strv names, again;
	struct err e = { 0 };
	struct bytes built;

	if (san_parse(a, value, &names, &e) < 0 || san_build(a, &names, &built, &e) < 0)
		return;
	if (san_parse(a, built, &again, &e) < 0 || again.n > names.n)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED_ARENA *a = arena_new();
	struct bytes der = { data, size }, merged;
	struct subject_fields none = { 0 };
	struct err e = { 0 };
	char *shown, *text = arena_strndup(a, (const char *)data, size);

	text_to_der(a, text);
	san(a, der);
	if (name_format(a, der, &shown, &e) == 0 && name_merge(a, der, &none, &merged, &e) == 0 &&
	    name_check(der, &e) == 0 &&
	    !name_equal(der, merged))
		abort();
	return 0;
}
