#pragma once
#include <event2/bufferevent.h>
#include <event2/http.h>

#include "serve/framing.h"
#include "serve/parting.h"
#include "serve/peers.h"
#include "serve/server.h"

/* The inside of a server: its connections (conn.c) and their requests (server.c). Nobody else includes this. */
enum phase { HANDSHAKE, WAITING, BUSY };

struct conn { /* lives as long as its bufferevent */
	struct conn *prev, *next; /* in the list of its phase, oldest first; BUSY ones are in none */
	struct server *server;
	struct bufferevent *bev;
	struct event *deadline;
	enum phase phase;
	struct peer *peer; /* NULL: not counted */
	bool arrived;      /* its address was looked at */
	bool charged;      /* its handshake counts */
	unsigned requests;
	struct framing framing; /* of the request that evhttp reads, or will read next */
	size_t unseen;          /* bytes at the end of the input that it has not taken */
	bool last;              /* it has its last answer; what comes is thrown away */
	bool ending;            /* evhttp will notice */
	bool told;              /* it has been refused; what comes is thrown away */
	bufferevent_event_cb on_event; /* evhttp's, from then on */
	void *on_event_arg;
	bool held;    /* without TLS: `bev` is kept by a reference of ours, ... */
	bool claimed; /* ... which evhttp's close callback gives up, once there was a request */
};

struct list {
	struct conn *first, *last;
	size_t n;
};

struct server {
	struct event_base *base;
	struct evhttp *http;
	struct evhttp_bound_socket *socket;
	SSL_CTX *tls;
	struct server_limits limits;
	void (*on_request)(void *, struct exchange *), (*on_refused)(void *, const struct exchange *);
	void *arg;
	struct peers *peers;
	struct partings *partings;
	struct list lists[2]; /* HANDSHAKE, WAITING */
	size_t connections, busy;
	bool draining;
};

/* Those of evhttp_set_bevcb: a connection that has just been accepted, with TLS or without. */
struct bufferevent *conn_new_tls(struct event_base *, void *server);
struct bufferevent *conn_new_plain(struct event_base *, void *server);
void conn_follow_tls(SSL_CTX *); /* once, for handshakes to be seen */
/* Of a request that has just come. */
struct conn *conn_of(struct server *, struct evhttp_request *, SSL **ret_ssl);
void conn_set_phase(struct conn *, enum phase, int secs); /* secs: until it is ended; nothing to BUSY ones */
void conn_look(struct conn *);       /* at what has come while its last request was answered */
void conn_part(struct conn *);       /* its last answer has been written; evhttp closes the socket next */
bool conn_owed(const struct conn *); /* an answer, to what it has begun */
void conn_end(struct conn *);
