#pragma once
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "net/net.h"

/* One HTTP exchange as a service sees it: everything that was received, and what is to be answered. Both live in the
 * arena of the exchange. */
enum { PEER_CHAIN_MAX = 10 };

struct tls_peer {
	const char *version;        /* "TLSv1.3" */
	const char *cipher;
	/* what the client presented, leaf first, DER; possession of the leaf's key is proven, nothing else */
	const struct bytes *chain;
	size_t nchain;
	struct bytes unique;        /* tls-unique (RFC 5929 3); TLS 1.2 only */
	struct bytes exporter;      /* tls-exporter (RFC 9266 2) */
	const char *psk_identity;   /* whose secret the handshake proved, in the service's words; NULL: none */
	struct bytes psk_proof;     /* SHA-256 of that secret */
};

struct http_request {
	struct arena *arena;
	const char *method;
	const char *path;           /* as sent, without the query */
	const char *query;          /* NULL: none */
	const struct net_header *headers; /* names in lower case */
	size_t nheaders;
	struct bytes body;
	const char *address;        /* of the peer */
	const struct tls_peer *tls; /* NULL: plain HTTP */
};
const char *http_field(const struct http_request *, const char *name); /* NULL when absent; "" when given twice */

enum { RESPONSE_HEADERS = 8 };

struct http_response {
	int status;
	const char *type;           /* Content-Type; NULL: there is no body */
	struct net_header headers[RESPONSE_HEADERS];
	size_t nheaders;
	struct bytes body;
	/* for the access log and the summary */
	const char *op;             /* "simpleenroll" */
	const char *realm;          /* the DMS or the authority */
	const char *subject;        /* the device or the serial number */
	const char *serial_number;  /* of the certificate that was granted */
	const char *reason;         /* of a refusal: one of a closed list, snake_case; NULL: none */
	bool counts;                /* it is one of those that --max-enrollments counts */
	/* nothing is answered: post_wait_begin said no, and the request is handled anew when it may wait */
	bool later;
};
void http_add_header(struct http_response *, const char *name, const char *value);
/* One line of plain text as the body, for errors; `fmt` may hold what the client sent, already escaped. */
void http_text(struct arena *, struct http_response *, int status, const char *reason, const char *fmt,
	       ...) PRINTF(5, 6);
