/* Addresses and what each may take of a worker. Guarantees: memory is fixed; an address with open connections is not
 * forgotten; strangers cannot choose with whom they share a place, and where all places are taken, those that come are
 * not counted, nor hindered. */
#include "serve/peers.h"

#include <netdb.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/arena.h"
#include "base/network.h"

enum { SETS = 2048, WAYS = 8, BURST_SECS = 2 };

struct peers {
	uint32_t rate;
	uint64_t seed;
	struct peer sets[SETS][WAYS];
};

struct peers *peers_new(uint32_t rate)
{
	struct peers *all = OPENSSL_zalloc(sizeof(*all));

	if (!all || RAND_bytes((unsigned char *)&all->seed, sizeof(all->seed)) != 1)
		out_of_memory();
	all->rate = rate;
	return all;
}

void peers_free(struct peers *all)
{
	OPENSSL_free(all);
}

/* false: not one that is counted. 127.0.0.1 and ::1 are the proxy, the test, the operator on this machine. */
static bool key_of(const struct sockaddr *sa, unsigned char key[9])
{
	const struct sockaddr_in6 *six = (const void *)sa;
	const struct sockaddr_in *four = (const void *)sa;
	struct in_addr in;

	memset(key, 0, 9);
	key[0] = 4;
	if (sa->sa_family == AF_INET) {
		in = four->sin_addr;
	} else if (sa->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
		memcpy(&in, six->sin6_addr.s6_addr + 12, sizeof(in));
	} else {
		if (sa->sa_family != AF_INET6 || IN6_IS_ADDR_LOOPBACK(&six->sin6_addr))
			return false;
		key[0] = 6;
		memcpy(key + 1, six->sin6_addr.s6_addr, 8);
		return true;
	}
	memcpy(key + 1, &in, sizeof(in));
	return in.s_addr != htonl(INADDR_LOOPBACK);
}

static struct peer *set_of(struct peers *all, const unsigned char key[9])
{
	uint64_t h = all->seed;

	for (int round = 0; round < 2; round++) /* so that the seed reaches every bit */
		for (int i = 0; i < 9; i++) {
			h = (h ^ key[i]) * 0xff51afd7ed558ccdu;
			h ^= h >> 32;
		}
	return all->sets[h % SETS];
}

struct peer *peers_find(struct peers *all, const struct sockaddr *sa)
{
	struct peer *set, *best = NULL;
	unsigned char key[9];

	if (!key_of(sa, key))
		return NULL;
	set = set_of(all, key);
	for (int i = 0; i < WAYS; i++) {
		if (memcmp(set[i].key, key, sizeof(key)) == 0)
			return &set[i];
		if (set[i].open == 0 && (!best || set[i].credited_ms < best->credited_ms))
			best = &set[i];
	}
	if (best) {
		*best = (struct peer){ .credit = INT64_MAX };
		memcpy(best->key, key, sizeof(key));
	}
	return best;
}

bool peer_may_begin(const struct peers *all, struct peer *p, int64_t now_ms)
{
	const int64_t most = (int64_t)all->rate * 1000 * BURST_SECS;

	if (all->rate == 0)
		return true;
	if (p->credit == INT64_MAX || now_ms - p->credited_ms >= BURST_SECS * 1000)
		p->credit = most;
	else if (now_ms > p->credited_ms)
		p->credit += (now_ms - p->credited_ms) * all->rate;
	if (p->credit > most)
		p->credit = most;
	p->credited_ms = now_ms;
	if (p->credit < 1000)
		return false;
	p->credit -= 1000;
	return true;
}

void peer_give_back(const struct peers *all, struct peer *p)
{
	if (all->rate)
		p->credit += 1000;
}

bool peer_exempt(const struct strv *networks, const struct sockaddr *sa)
{
	char text[NI_MAXHOST];
	socklen_t n = sa->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	const char *mapped = "::ffff:";

	if (networks->n == 0 || getnameinfo(sa, n, text, sizeof(text), NULL, 0, NI_NUMERICHOST) != 0)
		return false;
	for (size_t i = 0; i < networks->n; i++)
		if (network_has(networks->v[i], strncmp(text, mapped, strlen(mapped)) == 0 ? text +
				strlen(mapped) : text))
			return true;
	return false;
}
