/* Client certificates in the header of a proxy: the first byte says in which one. Only certificates come out, none only
 * where it is empty, and nothing from a stranger. */
#include <stdlib.h>

#include "est/auth.h"
#include "est/service.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "x-forwarded-client-cert", "ssl-client-cert", "x-amzn-mtls-clientcert" };
	static char trusted[] = "10.0.0.0/8", *one[] = { trusted };
	const struct est_options o = { .trusted_proxies = { .v = one, .n = 1 } };
	SCOPED_ARENA *a = arena_new();
	struct net_header h = { names[size ? data[0] % 3 : 0],
				size ? arena_strndup(a, (const char *)data + 1, size - 1) : "" };
	struct http_request in = { .arena = a, .headers = &h, .nheaders = 1, .address = "10.1.2.3" };
	struct refusal why;
	struct bytes *v = NULL;
	size_t n = 0;

	if (proxy_chain(a, &o, &in, &v, &n, &why) == 0 && ((n == 0 && *h.value) || n > PEER_CHAIN_MAX))
		abort();
	in.address = "11.1.2.3";
	if (proxy_chain(a, &o, &in, &v, &n, &why) == 0)
		abort();
	return 0;
}
