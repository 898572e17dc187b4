#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/bytes.h"

/* Whom the connections of a worker belong to: an IPv4 address, or the 64 bits of an IPv6 network that one subscriber
 * has. */
struct peers;
struct peer {
	unsigned char key[9];  /* family, address; zeros: free */
	uint32_t open;         /* connections */
	int64_t credit;        /* of handshakes, in thousandths, ... */
	int64_t credited_ms;   /* ... then */
};

/* `rate`: full handshakes a second and address, twice as many at once; 0: any number. */
struct peers *peers_new(uint32_t rate);
void peers_free(struct peers *);
/* NULL: nobody counts him: this machine itself, something else than internet, or more addresses than there is room
 * for. */
struct peer *peers_find(struct peers *, const struct sockaddr *);
bool peer_may_begin(const struct peers *, struct peer *, int64_t now_ms); /* a handshake; it counts */
void peer_give_back(const struct peers *, struct peer *);                 /* it was not a full one */
bool peer_exempt(const struct strv *networks, const struct sockaddr *); /* one of them has the address */
