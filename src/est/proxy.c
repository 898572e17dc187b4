/* Client certificates behind a proxy that ends TLS: Envoy's x-forwarded-client-cert, nginx's ssl-client-cert, AWS ALB's
 * x-amzn-mtls-clientcert. Guarantees: believed only from an address that --trusted-proxy names, and refused, not ignored, from any
 * other, so that nobody gets in by a header. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "est/auth.h"
#include "est/service.h"

static const char *const header_names[] = { "x-forwarded-client-cert", "ssl-client-cert", "x-amzn-mtls-clientcert" };

static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	return memcmp(a, b, whole) == 0 && (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

/* "10.0.0.0/8", "::1" */
static bool in_network(const char *address, const char *network)
{
	unsigned char a[16], n[16];
	const char *slash = strchr(network, '/');
	char base[INET6_ADDRSTRLEN];
	size_t len = slash ? (size_t)(slash - network) : strlen(network);
	int family = strchr(network, ':') ? AF_INET6 : AF_INET;
	unsigned long bits = family == AF_INET6 ? 128 : 32, wanted = slash ? strtoul(slash + 1, NULL, 10) : bits;

	if (len >= sizeof(base) || wanted > bits)
		return false;
	memcpy(base, network, len);
	base[len] = '\0';
	return inet_pton(family, address, a) == 1 && inet_pton(family, base, n) == 1 && same_bits(a, n, (unsigned)wanted);
}

static bool is_trusted(const struct est_options *o, const char *address)
{
	for (size_t i = 0; i < o->trusted_proxies.n; i++)
		if (in_network(address, o->trusted_proxies.v[i]))
			return true;
	return false;
}

/* Of Envoy's list the first Chain="…" or Cert="…" of the last element: the proxy nearest to us appends. */
static char *envoy_value(struct arena *a, const char *value)
{
	const char *last = strrchr(value, ','), *from, *end;

	value = last ? last + 1 : value;
	from = strstr(value, "Chain=\"");
	from = from ? from + 7 : (from = strstr(value, "Cert=\"")) ? from + 6 : NULL;
	end = from ? strchr(from, '"') : NULL;
	return end ? url_decode(a, (struct bytes){ (const unsigned char *)from, (size_t)(end - from) }) : NULL;
}

int proxy_chain(struct arena *a, const struct est_options *o, const struct http_request *in, struct bytes **ret, size_t *ret_n,
		struct refusal *why)
{
	struct err e = { 0 };

	*ret_n = 0;
	for (size_t i = 0; i < COUNT(header_names); i++) {
		const char *value = http_field(in, header_names[i]);
		char *pem;

		if (!value)
			continue;
		if (!is_trusted(o, in->address))
			return refuse(why, 403, "untrusted_proxy", "the header %s is accepted from trusted proxies only", header_names[i]);
		pem = i == 0 ? envoy_value(a, value) : url_decode(a, bytes_of(value));
		if (!pem || cert_split(a, bytes_of(pem), ret, ret_n, &e) != 0 || *ret_n > PEER_CHAIN_MAX)
			return refuse(why, 400, "malformed_request", "the header %s holds no certificates", header_names[i]);
		return 0;
	}
	return 0;
}
