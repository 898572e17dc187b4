/* Networks in their usual notation. Guarantees: what cannot be read contains nothing. */
#include "base/network.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	return memcmp(a, b, whole) == 0 && (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

struct network {
	int family;
	unsigned char base[16];
	unsigned bits;
};

/* "10.0.0.0/8", "::1" */
static bool read_network(const char *text, struct network *ret)
{
	struct network n = { .family = strchr(text, ':') ? AF_INET6 : AF_INET };
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	char base[INET6_ADDRSTRLEN];

	if (len >= sizeof(base) ||
	    (slash && (!slash[1] || strlen(slash + 1) > 3 || slash[1 + strspn(slash + 1, "0123456789")])))
		return false;
	memcpy(base, text, len);
	base[len] = '\0';
	n.bits = slash ? (unsigned)strtoul(slash + 1, NULL, 10) : n.family == AF_INET6 ? 128 : 32;
	*ret = n;
	return n.bits <= (n.family == AF_INET6 ? 128 : 32) && inet_pton(n.family, base, ret->base) == 1;
}

bool network_has(const char *network, const char *address)
{
	unsigned char a[16];
	struct network n;

	return read_network(network, &n) && inet_pton(n.family, address, a) == 1 && same_bits(a, n.base, n.bits);
}

bool network_valid(const char *network)
{
	struct network ignored;

	return read_network(network, &ignored);
}
