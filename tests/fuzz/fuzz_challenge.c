/* WWW-Authenticate of a key vault. What is accepted is safe to build URLs and requests of. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "engine/azure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED_ARENA *a = arena_new();
	char *text = arena_strndup(a, (const char *)data, size);
	struct azure_challenge c;
	struct azure_url url;
	struct err e = { 0 };

	if (azure_url_parse(a, text, &url, &e) == 0 &&
	    (strpbrk(url.origin, "?#@\\ ") || strpbrk(url.host, ":/") || strlen(url.host) == 0))
		abort();
	if (azure_challenge_parse(a, text, &c, &e) != 0)
		return 0;
	if (c.tenant && (!c.tenant[0] || strpbrk(c.tenant, "/?#%\\ \r\n") || strcmp(c.tenant, "..") == 0))
		abort();
	if (!c.scope && !c.error)
		abort();
	if (c.scope &&
	    (azure_url_parse(a, c.resource, &url, &e) != 0 || azure_challenge_check(a, &c, "v1.evil", &e) == 0))
		abort();
	if (c.claims && c.claims[0] != '{')
		abort();
	return 0;
}
