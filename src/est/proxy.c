/* Client certificates behind a proxy that ends TLS: Envoy's x-forwarded-client-cert, nginx's ssl-client-cert, AWS ALB's
 * x-amzn-mtls-clientcert. Guarantees: believed only from an address that --trusted-proxy names, and refused, not
 * ignored, from any other, so that nobody gets in by a header. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/network.h"
#include "base/text.h"
#include "est/auth.h"
#include "est/service.h"

static const char *const header_names[] = { "x-forwarded-client-cert", "ssl-client-cert", "x-amzn-mtls-clientcert" };

static bool is_trusted(const struct est_options *o, const char *address)
{
	for (size_t i = 0; i < o->trusted_proxies.n; i++)
		if (network_has(o->trusted_proxies.v[i], address))
			return true;
	return false;
}

/* Where a piece ends: at one of `ends` outside of quotes, or at the end of the text. */
static const char *piece_end(const char *s, const char *ends)
{
	bool quoted = false;

	for (; *s && (quoted || !strchr(ends, *s)); s++) {
		if (*s == '\\' && quoted && s[1])
			s++;
		else if (*s == '"')
			quoted = !quoted;
	}
	return s;
}

static const char *value_of(const char *pair, const char *name)
{
	size_t n = strlen(name);

	pair += strspn(pair, " \t");
	return strncasecmp(pair, name, n) == 0 && pair[n] == '=' ? pair + n + 1 : NULL;
}

/* The first Chain or Cert of the last element of Envoy's list: the proxy nearest to us appends. Other values are in
 * quotes, and a subject may hold any of the characters that separate. */
static char *envoy_value(struct arena *a, const char *value)
{
	const char *end;

	while (*(end = piece_end(value, ",")))
		value = end + 1;
	for (;; value = end + 1) {
		const char *from = value_of(value, "Chain");

		end = piece_end(value, ";");
		from = from ? from : value_of(value, "Cert");
		if (from && *from == '"' && end - from >= 2)
			return url_decode(a,
					  (struct bytes){ (const unsigned char *)from + 1, (size_t)(end - from) - 2 });
		if (from)
			return url_decode(a, (struct bytes){ (const unsigned char *)from, (size_t)(end - from) });
		if (!*end)
			return NULL;
	}
}

/* The one header that is there; *ret_value NULL: none. Empty ones say that the client has no certificate. */
static int find_header(const struct est_options *o, const struct http_request *in, const char **ret_name,
		       const char **ret_value, struct refusal *why)
{
	*ret_name = *ret_value = NULL;
	for (size_t i = 0; i < COUNT(header_names) * in->nheaders; i++) {
		const char *name = header_names[i / in->nheaders];
		const struct net_header *h = &in->headers[i % in->nheaders];

		if (strcmp(h->name, name) != 0)
			continue;
		if (!is_trusted(o, in->address))
			return refuse(why, 403, "untrusted_proxy",
				      "the header %s is accepted from trusted proxies only", name);
		if (*h->value && *ret_value) /* one of them may be the client's */
			return refuse(why, 400, "malformed_request",
				      "more than one header has a certificate of the client");
		if (*h->value) {
			*ret_name = name;
			*ret_value = h->value;
		}
	}
	return 0;
}

int proxy_chain(struct arena *a, const struct est_options *o, const struct http_request *in, struct bytes **ret,
		size_t *ret_n, struct refusal *why)
{
	const char *name, *value;
	struct err e = { 0 };
	char *pem;

	*ret_n = 0;
	if (find_header(o, in, &name, &value, why) != 0)
		return -1;
	if (!value)
		return 0;
	pem = name == header_names[0] ? envoy_value(a, value) : url_decode(a, bytes_of(value));
	if (!pem || cert_split(a, bytes_of(pem), ret, ret_n, &e) != 0 || *ret_n > PEER_CHAIN_MAX)
		return refuse(why, 400, "malformed_request", "the header %s holds no certificates", name);
	return 0;
}

int proxy_check(const struct est_options *o, struct err *e)
{
	for (size_t i = 0; i < o->trusted_proxies.n; i++)
		if (!network_valid(o->trusted_proxies.v[i]))
			return err_set(e, ERR_USAGE, "--trusted-proxy %s: neither an address nor ADDRESS/BITS",
				       o->trusted_proxies.v[i]);
	return 0;
}
