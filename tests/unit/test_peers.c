/* Addresses that are counted, and how many handshakes each may make. */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "serve/peers.h"
#include "tap.h"

static struct peer *find(struct peers *all, const char *text)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	struct sockaddr_in four = { .sin_family = AF_INET };

	if (inet_pton(AF_INET, text, &four.sin_addr) == 1)
		return peers_find(all, (const struct sockaddr *)&four);
	inet_pton(AF_INET6, text, &six.sin6_addr);
	return peers_find(all, (const struct sockaddr *)&six);
}

static void test_addresses(void)
{
	struct peers *all = peers_new(10);
	char text[40];
	int counted = 0;

	ok(!find(all, "127.0.0.1") && !find(all, "::1") && !find(all, "::ffff:127.0.0.1"),
	   "this machine is not counted");
	ok(find(all, "127.0.0.2") && find(all, "192.0.2.1"), "others are");
	ok(find(all, "192.0.2.1") == find(all, "::ffff:192.0.2.1") && find(all, "192.0.2.1") != find(all, "192.0.2.2"),
	   "IPv4 by the address");
	ok(find(all, "2001:db8::1") == find(all, "2001:db8::ffff:1") &&
	   find(all, "2001:db8::1") != find(all, "2001:db8:0:1::1"), "IPv6 by 64 bits");
	for (int i = 0; i < 40000; i++) {
		struct peer *p;

		snprintf(text, sizeof(text), "10.1.%d.%d", i / 256, i % 256);
		p = find(all, text);
		if (p)
			p->open++;
		counted += p != NULL;
	}
	ok(counted > 10000 && counted < 20000, "room for so many addresses with open connections: %d", counted);
	ok(find(all, "10.1.0.0")->open == 1, "which are not forgotten");
	peers_free(all);
}

static void test_rate(void)
{
	struct peers *all = peers_new(10), *any = peers_new(0);
	struct peer *p = find(all, "192.0.2.1"), *q = find(any, "192.0.2.1");
	int n = 0;

	while (n < 100 && peer_may_begin(all, p, 5000))
		n++;
	is_int(n, 20, "twice the rate at once");
	ok(!peer_may_begin(all, p, 5099) && peer_may_begin(all, p, 5100) && !peer_may_begin(all, p, 5150),
	   "then as the rate has it");
	peer_give_back(all, p);
	ok(peer_may_begin(all, p, 5150) && !peer_may_begin(all, p, 5150), "what was resumed is given back");
	ok(!peer_may_begin(all, p, 4000), "a clock that goes back gives nothing");
	for (n = 0; n < 100 && peer_may_begin(all, p, 999000); n++)
		;
	is_int(n, 20, "after a rest as at first");
	for (n = 0; n < 100 && peer_may_begin(any, q, 0); n++)
		;
	is_int(n, 100, "no rate, no limit");
	peers_free(all);
	peers_free(any);
}

int main(void)
{
	test_addresses();
	test_rate();
	return done();
}
