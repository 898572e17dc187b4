#pragma once
#include <event2/event.h>
#include <openssl/ssl.h>

#include "base/text.h"
#include "serve/exchange.h"

/* The event side of a worker: connections, TLS, HTTP framing and every limit on them. One thread. */
struct server;

struct server_limits {
	unsigned handshakes;   /* connections in their handshake; the oldest goes when there is one more */
	unsigned connections;  /* all of them; the one that has been idle for longest goes */
	unsigned requests;     /* on one connection */
	unsigned exchanges;    /* handed to the service and not yet answered; beyond: 503 */
	int handshake_secs;    /* from connection to the end of its handshake, whatever trickles in */
	int request_secs;      /* from there, or from the previous answer, to the end of a request */
	size_t body;           /* bytes */
	/* For each address that is counted (peers.h); 0: any number. */
	unsigned per_address;    /* connections; its own that is idle for longest goes, or the new one */
	unsigned handshake_rate; /* full handshakes a second; twice as many at once */
	struct strv exempt;      /* networks whose addresses are not counted */
};
extern const struct server_limits server_limits;
/* No more than the files that this process may open allow; `servers` share them. */
void server_limits_fit(struct server_limits *, size_t servers);

/* A request that is complete, until server_answer. */
struct exchange {
	struct arena *arena; /* its own */
	struct http_request in;
	struct http_response out;
	int64_t began_us;    /* monotonic: when it was complete */
	struct exchange *next;
	void *server, *req, *conn; /* the server's */
};

/* Listens on a socket that is bound already. `tls` NULL: plain HTTP. on_request owns the exchange until server_answer;
 * on_refused only looks at one that the server answers itself. */
struct server *server_new(struct event_base *, int fd, SSL_CTX *tls, const struct server_limits *,
			  void (*on_request)(void *arg, struct exchange *),
			  void (*on_refused)(void *arg, const struct exchange *), void *arg,
			  struct err *);
void server_answer(struct exchange *); /* sends `out`, or drops it when the client has gone; frees the exchange */
/* accepts nobody more; every connection closes with its next answer, those without one to come now */
void server_drain(struct server *);
size_t server_busy(const struct server *); /* exchanges that are not answered */
size_t server_open(const struct server *); /* connections */
void server_free(struct server *);
