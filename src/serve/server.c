/* Connections of a worker, by libevent's evhttp. Guarantees: every connection has an absolute deadline at every moment (handshake,
 * request), with TLS and without, so none that trickles bytes lives for ever; connections in their handshake have a limit of their own
 * and the oldest of them gives way; evhttp sees no request that is not framed as it should be; an answer always has a length and never is
 * HTML; a client that has gone costs nothing. One thread. */
#include "serve/server.h"

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/text.h"
#include "base/tm.h"
#include "serve/framing.h"
#include "serve/parting.h"
#include "serve/peers.h"
#include "serve/request.h"
#include "serve/sockets.h"
#include "serve/tls.h"

enum { IDLE_SECS = 60, TELL_SECS = 2, BACKLOG = 1024, PARTINGS_SHARE = 8 };

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

static int conn_index = -1; /* of SSL's ex_data */

/* --- lists --- */

static void list_remove(struct list *l, struct conn *c)
{
	*(c->prev ? &c->prev->next : &l->first) = c->next;
	*(c->next ? &c->next->prev : &l->last) = c->prev;
	c->prev = c->next = NULL;
	l->n--;
}

static void list_append(struct list *l, struct conn *c)
{
	c->prev = l->last;
	*(l->last ? &l->last->next : &l->first) = c;
	l->last = c;
	l->n++;
}

static void set_phase(struct conn *c, enum phase phase, int secs)
{
	const struct timeval t = { .tv_sec = secs };

	if (c->phase != BUSY)
		list_remove(&c->server->lists[c->phase], c);
	c->phase = phase;
	if (phase != BUSY) {
		list_append(&c->server->lists[phase], c);
		event_add(c->deadline, &t);
	} else {
		event_del(c->deadline);
	}
}

/* evhttp notices that the other side has gone and frees what belongs to the connection. */
static void hang_up(struct conn *c)
{
	evutil_socket_t fd = bufferevent_getfd(c->bev);

	if (fd >= 0)
		shutdown(fd, SHUT_RDWR);
}

/* --- connections --- */

static void conn_free(struct conn *c)
{
	if (c->phase != BUSY)
		list_remove(&c->server->lists[c->phase], c);
	event_free(c->deadline);
	c->server->connections--;
	if (c->peer)
		c->peer->open--;
	if (c->held)
		bufferevent_decref(c->bev);
	OPENSSL_free(c);
}

static void on_ssl_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	(void)parent, (void)ad, (void)idx, (void)argl, (void)argp;
	if (ptr)
		conn_free(ptr);
}

static void on_plain_close(struct evhttp_connection *evcon, void *arg)
{
	(void)evcon;
	conn_free(arg);
}

/* One that never sent a request ends here, for evhttp too, unless it has let go: it would go on reading, and what watches has gone. */
static void end(struct conn *c)
{
	bufferevent_event_cb on_event;
	void *arg;

	c->ending = true;
	hang_up(c);
	if (!c->held || c->claimed)
		return;
	bufferevent_getcb(c->bev, NULL, NULL, &on_event, &arg);
	if (on_event)
		on_event(c->bev, BEV_EVENT_READING | BEV_EVENT_EOF, arg);
	conn_free(c);
}

/* The last answer has been written; evhttp closes its socket next. */
static void part(struct conn *c)
{
	SSL *ssl = bufferevent_openssl_get_ssl(c->bev);

	if (ssl && SSL_shutdown(ssl) < 0)
		ERR_clear_error();
	partings_add(c->server->partings, bufferevent_getfd(c->bev), c->peer);
}

/* --- what evhttp must not see --- */

static void on_gone(struct bufferevent *bev, short what, void *arg)
{
	struct conn *c = arg;

	c->on_event(bev, what, c->on_event_arg);
}

static void on_told(struct bufferevent *bev, void *arg)
{
	struct conn *c = arg;
	bool unclaimed = c->held && !c->claimed;

	if (evbuffer_get_length(bufferevent_get_output(bev)) > 0)
		return; /* it was the answer before */
	part(c);
	on_gone(bev, BEV_EVENT_READING | BEV_EVENT_EOF, c);
	if (unclaimed)
		conn_free(c);
}

static void report(const struct conn *c, int status, const char *reason)
{
	struct exchange *x = request_none(bufferevent_getfd(c->bev), bufferevent_openssl_get_ssl(c->bev));

	x->out.status = status;
	x->out.reason = reason;
	c->server->on_refused(c->server->arg, x);
	arena_free(x->arena);
}

/* From here on evhttp learns of this connection's end only. An answer that it is sending comes first. */
static void tell(struct conn *c)
{
	const struct framing *f = &c->framing;
	const struct framing_refusal *r = framing_refusal(f);

	c->told = true;
	bufferevent_getcb(c->bev, NULL, NULL, &c->on_event, &c->on_event_arg);
	bufferevent_setcb(c->bev, NULL, on_told, on_gone, c);
	evbuffer_add_printf(bufferevent_get_output(c->bev), "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n"
			    "Connection: close\r\n\r\n%s\n", f->status, r->phrase, strlen(f->why) + 1, f->why);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	set_phase(c, WAITING, TELL_SECS);
	report(c, f->status, r->reason);
}

static void look(struct conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	struct evbuffer_iovec v;
	struct evbuffer_ptr at;

	if (c->unseen && !c->last && c->requests && framing_fresh(&c->framing))
		set_phase(c, WAITING, c->server->limits.request_secs);
	while (c->unseen && !c->last && !framing_whole(&c->framing) && !c->framing.status) {
		evbuffer_ptr_set(in, &at, evbuffer_get_length(in) - c->unseen, EVBUFFER_PTR_SET);
		evbuffer_peek(in, -1, &at, &v, 1);
		c->unseen -= framing_take(&c->framing, v.iov_base, v.iov_len);
	}
	if (!c->framing.status && !c->last)
		return;
	c->unseen = 0;
	evbuffer_drain(in, evbuffer_get_length(in));
	if (!c->told && !c->last)
		event_active(c->deadline, EV_TIMEOUT, 0); /* not here, where a library is in the middle of reading */
}

/* Bytes have come, and evhttp has not been called. */
static void on_input(struct evbuffer *in, const struct evbuffer_cb_info *info, void *arg)
{
	struct conn *c = arg;

	(void)in;
	c->unseen += info->n_added;
	if (info->n_added && c->phase != BUSY)
		look(c);
}

/* What may wait to be read is as much as one request, however much the client sends while its answers are on their way. */
static void watch(struct conn *c)
{
	framing_begin(&c->framing, c->server->limits.body);
	bufferevent_setwatermark(c->bev, EV_READ, 0, c->server->limits.body + 2 * FRAMING_HEAD_MAX);
	if (!evbuffer_add_cb(bufferevent_get_input(c->bev), on_input, c))
		out_of_memory();
}

/* As soon as the address is known, before anything is read. */
static void arrive(struct conn *c)
{
	struct server *s = c->server;
	struct sockaddr_storage from;
	socklen_t n = sizeof(from);
	struct conn *old = s->lists[WAITING].first;

	c->arrived = true;
	set_phase(c, c->phase, c->phase == HANDSHAKE ? s->limits.handshake_secs : s->limits.request_secs);
	if (getpeername(bufferevent_getfd(c->bev), (struct sockaddr *)&from, &n) != 0 || peer_exempt(&s->limits.exempt, (struct sockaddr *)&from))
		return;
	c->peer = peers_find(s->peers, (struct sockaddr *)&from);
	if (!c->peer || ++c->peer->open <= s->limits.per_address || !s->limits.per_address)
		return;
	while (old && (old->peer != c->peer || old->ending))
		old = old->next;
	end(old ? old : c);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd, (void)what;
	if (!c->arrived)
		arrive(c);
	else if (c->framing.status && !c->told)
		tell(c);
	else
		end(c);
}

static int on_hello(SSL *ssl, int *alert, void *arg)
{
	struct conn *c = SSL_get_ex_data(ssl, conn_index);

	(void)arg;
	if (!c || !c->peer || c->charged)
		return SSL_CLIENT_HELLO_SUCCESS;
	c->charged = peer_may_begin(c->server->peers, c->peer, tm_mono_ms());
	*alert = SSL_AD_USER_CANCELLED;
	return c->charged ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_ERROR;
}

static void on_tls_info(const SSL *ssl, int where, int ret)
{
	struct conn *c;

	(void)ret;
	if (!(where & SSL_CB_HANDSHAKE_DONE))
		return;
	c = SSL_get_ex_data(ssl, conn_index);
	if (c && c->charged && SSL_session_reused((SSL *)(uintptr_t)ssl))
		peer_give_back(c->server->peers, c->peer);
	if (c && c->phase == HANDSHAKE) {
		sockets_acknowledge(bufferevent_getfd(c->bev));
		set_phase(c, WAITING, c->server->limits.request_secs);
	}
}

static void make_room(struct server *s)
{
	if (s->lists[HANDSHAKE].n >= s->limits.handshakes)
		end(s->lists[HANDSHAKE].first);
	if (s->connections >= s->limits.connections && s->lists[WAITING].first)
		end(s->lists[WAITING].first);
}

static struct conn *new_conn(struct server *s)
{
	struct conn *c = OPENSSL_zalloc(sizeof(*c));

	if (!c)
		out_of_memory();
	make_room(s);
	*c = (struct conn){ .server = s, .phase = BUSY, .deadline = evtimer_new(s->base, on_deadline, c) };
	if (!c->deadline)
		out_of_memory();
	s->connections++;
	return c;
}

static struct bufferevent *new_tls(struct event_base *base, void *arg)
{
	struct server *s = arg;
	struct conn *c = new_conn(s);
	SSL *ssl = SSL_new(s->tls);

	if (!ssl)
		out_of_memory();
	SSL_set_ex_data(ssl, conn_index, c);
	c->bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	if (!c->bev)
		out_of_memory();
	bufferevent_openssl_set_allow_dirty_shutdown(c->bev, 1);
	watch(c);
	set_phase(c, HANDSHAKE, s->limits.handshake_secs);
	event_active(c->deadline, EV_TIMEOUT, 0); /* arrive, when evhttp has given it its socket */
	return c->bev;
}

static struct bufferevent *new_plain(struct event_base *base, void *arg)
{
	struct server *s = arg;
	struct conn *c = new_conn(s);

	c->bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (!c->bev)
		out_of_memory();
	bufferevent_incref(c->bev);
	c->held = true;
	watch(c);
	set_phase(c, WAITING, s->limits.request_secs);
	event_active(c->deadline, EV_TIMEOUT, 0);
	return c->bev;
}

/* Of a request that has just come; without TLS it is one of those that wait, most likely a late one. */
static struct conn *conn_of(struct server *s, struct evhttp_request *req, SSL **ret_ssl)
{
	struct evhttp_connection *evcon = evhttp_request_get_connection(req);
	struct bufferevent *bev = evhttp_connection_get_bufferevent(evcon);
	struct conn *c = s->lists[WAITING].last;

	*ret_ssl = bufferevent_openssl_get_ssl(bev);
	if (*ret_ssl)
		return SSL_get_ex_data(*ret_ssl, conn_index);
	while (c && c->bev != bev)
		c = c->prev;
	if (c && !c->claimed) {
		evhttp_connection_set_closecb(evcon, on_plain_close, c);
		c->claimed = true;
	}
	return c;
}

/* --- requests --- */

/* Before the service sees it; false: it has been answered. */
static bool admit(struct server *s, struct exchange *x)
{
	if (s->busy <= s->limits.exchanges)
		return true;
	http_text(x->arena, &x->out, 503, "overloaded", "too many requests at once");
	http_add_header(&x->out, "Retry-After", "1");
	s->on_refused(s->arg, x);
	server_answer(x);
	return false;
}

static void on_http(struct evhttp_request *req, void *arg)
{
	struct server *s = arg;
	SSL *ssl;
	struct conn *c = conn_of(s, req, &ssl);
	struct exchange *x;

	if (c) {
		c->requests++;
		set_phase(c, BUSY, 0);
	}
	x = request_take(req, c ? c->framing.fields : 0, ssl);
	x->server = s;
	x->req = req;
	x->conn = c;
	s->busy++;
	if (admit(s, x))
		s->on_request(s->arg, x);
}

/* What comes behind this request is not answered. */
static bool is_last(const struct server *s, const struct conn *c, struct evhttp_request *req)
{
	const char *said = evhttp_find_header(evhttp_request_get_input_headers(req), "Connection");

	if (s->draining || c->requests >= s->limits.requests || (said && strcasecmp(said, "close") == 0))
		return true;
	/* evhttp ends those too; one that names a host is for a proxy to it. */
	return (req->flags & EVHTTP_PROXY_REQUEST) || (req->minor == 0 && !(said && strncasecmp(said, "keep-alive", 10) == 0));
}

static void on_sent(struct evhttp_request *req, void *arg)
{
	struct conn *c = arg;

	(void)req;
	if (c->last)
		part(c);
}

static void reply(const struct server *s, struct evhttp_request *req, struct exchange *x, struct conn *c)
{
	struct evkeyvalq *out = evhttp_request_get_output_headers(req);
	struct evbuffer *body = evbuffer_new();
	char length[24];

	if (!body)
		out_of_memory();
	if (x->out.type)
		evhttp_add_header(out, "Content-Type", x->out.type);
	for (size_t i = 0; i < x->out.nheaders; i++)
		evhttp_add_header(out, x->out.headers[i].name, x->out.headers[i].value);
	if (s->draining || (c && c->last))
		evhttp_add_header(out, "Connection", "close");
	if (x->out.status != 204) { /* never chunked: most EST clients cannot read that */
		snprintf(length, sizeof(length), "%zu", x->out.body.n);
		evhttp_add_header(out, "Content-Length", length);
	}
	if (c)
		evhttp_request_set_on_complete_cb(req, on_sent, c);
	if (strcmp(x->in.method, "HEAD") != 0)
		evbuffer_add(body, x->out.body.p, x->out.body.n);
	evhttp_send_reply(req, x->out.status, NULL, body);
	evbuffer_free(body);
}

/* Who asks for authorities or attributes comes back to enrol; who has enrolled does not. Sessions of a shared key are never resumed. */
static void offer_ticket(const struct conn *c, const struct exchange *x)
{
	SSL *ssl = c->held ? NULL : bufferevent_openssl_get_ssl(c->bev);

	if (ssl && c->requests == 1 && !x->in.tls->psk_identity && strcmp(x->in.method, "GET") == 0)
		tls_offer_ticket(ssl);
}

void server_answer(struct exchange *x)
{
	struct server *s = x->server;
	struct evhttp_request *req = x->req;
	struct conn *c = evhttp_request_get_connection(req) ? x->conn : NULL; /* which ends with its connection */

	s->busy--;
	if (c) {
		set_phase(c, WAITING, IDLE_SECS);
		offer_ticket(c, x);
		c->last = is_last(s, c, req);
		framing_begin(&c->framing, s->limits.body); /* what has come meanwhile is of the next one */
		look(c);
	}
	reply(s, req, x, c); /* frees a request whose client has gone */
	arena_free(x->arena);
}

/* --- the server --- */

/* Too many files are open: the oldest connections are on their way out, and who has come waits. */
static void on_full(struct evconnlistener *l, void *arg)
{
	(void)l, (void)arg;
}

/* A socket that the parent has bound; accepted descriptors are ours alone. */
static int listen_on(struct server *s, int fd, struct err *e)
{
	struct evconnlistener *l = evconnlistener_new(s->base, NULL, NULL, LEV_OPT_CLOSE_ON_EXEC, BACKLOG, fd);

	if (l)
		evconnlistener_set_error_cb(l, on_full);
	s->socket = l ? evhttp_bind_listener(s->http, l) : NULL;
	return s->socket ? 0 : err_sys(e, "listen");
}

struct server *server_new(struct event_base *base, int fd, SSL_CTX *tls, const struct server_limits *limits,
			  void (*on_request)(void *, struct exchange *), void (*on_refused)(void *, const struct exchange *), void *arg,
			  struct err *e)
{
	struct server *s = OPENSSL_zalloc(sizeof(*s));

	if (!s)
		out_of_memory();
	*s = (struct server){ .base = base, .tls = tls, .limits = *limits, .on_request = on_request,
			      .on_refused = on_refused, .arg = arg };
	s->peers = peers_new(limits->handshake_rate);
	s->partings = partings_new(base, limits->connections / PARTINGS_SHARE + 1);
	s->http = evhttp_new(base);
	if (!s->http)
		out_of_memory();
	evhttp_set_timeout(s->http, IDLE_SECS); /* of silence; deadlines are ours */
	evhttp_set_max_headers_size(s->http, 2 * FRAMING_HEAD_MAX); /* which framing keeps below */
	evhttp_set_max_body_size(s->http, (ev_ssize_t)limits->body);
	evhttp_set_allowed_methods(s->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
				   EVHTTP_REQ_OPTIONS);
	evhttp_set_default_content_type(s->http, NULL);
	evhttp_set_gencb(s->http, on_http, s);
	if (tls) {
		if (conn_index < 0)
			conn_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, on_ssl_free);
		SSL_CTX_set_info_callback(tls, on_tls_info);
		SSL_CTX_set_client_hello_cb(tls, on_hello, NULL);
	}
	evhttp_set_bevcb(s->http, tls ? new_tls : new_plain, s);
	if (listen_on(s, fd, e) != 0) {
		server_free(s);
		return NULL;
	}
	return s;
}

/* Whoever has begun is answered, once, while the time lasts: a worker that is replaced should not be noticed. */
static bool owed(const struct conn *c)
{
	bool answering = evbuffer_get_length(bufferevent_get_output(c->bev)) != 0;

	return answering || c->phase == HANDSHAKE || c->requests == 0 || !framing_fresh(&c->framing);
}

void server_drain(struct server *s)
{
	if (s->draining)
		return;
	s->draining = true;
	evhttp_del_accept_socket(s->http, s->socket); /* closes this process's descriptor only */
	s->socket = NULL;
	for (int phase = HANDSHAKE; phase <= WAITING; phase++)
		for (struct conn *c = s->lists[phase].first, *next; c; c = next) {
			next = c->next;
			if (!owed(c))
				end(c);
		}
}

size_t server_busy(const struct server *s)
{
	return s->busy;
}

size_t server_open(const struct server *s)
{
	return s->connections + partings_open(s->partings);
}

void server_free(struct server *s)
{
	evhttp_free(s->http);
	partings_free(s->partings);
	peers_free(s->peers);
	OPENSSL_free(s);
}
