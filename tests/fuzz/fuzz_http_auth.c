/* The Authorization field, Basic and Digest: what is accepted has all of its parts, and Basic is what it was written
 * from. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "est/http_auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void need(bool good)
{
	if (!good)
		abort();
}

static void try_basic(struct arena *a, const char *field)
{
	struct err e = { 0 };
	struct basic b;

	if (http_basic(a, field, &b, &e) != 0) {
		need(*e.msg);
		return;
	}
	need(!strchr(b.user, ':') && strlen(b.user) + b.secret.n < strlen(field));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	SCOPED_ARENA *a = arena_new();
	char *text = arena_strndup(a, (const char *)data, n);
	struct digest d;
	struct err e = { 0 };

	try_basic(a, text);
	try_basic(a, arena_printf(a, "Basic %s", b64_encode(a, (struct bytes){ data, n })));
	if (http_digest(a, text, &d, &e) == 0 || http_digest(a, arena_printf(a, "Digest %s", text), &d, &e) == 0)
		need(d.username && d.realm && d.nonce && d.uri && d.response && d.qop && d.nc && d.cnonce &&
		     strlen(d.response) < n);
	return 0;
}
