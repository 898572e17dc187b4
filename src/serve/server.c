/* Requests and answers of a worker, by libevent's evhttp. Guarantees: an answer always has a length and never is HTML;
 * a client that has gone costs nothing; whoever has begun when the end comes is answered, while the time lasts. One
 * thread. */
#include "serve/conn.h"

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/http_struct.h>
#include <event2/listener.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "serve/request.h"
#include "serve/tls.h"

enum { IDLE_SECS = 60, BACKLOG = 1024, PARTINGS_SHARE = 8 };

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
		conn_set_phase(c, BUSY, 0);
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
	return (req->flags & EVHTTP_PROXY_REQUEST) ||
	       (req->minor == 0 && !(said && strncasecmp(said, "keep-alive", 10) == 0));
}

static void on_sent(struct evhttp_request *req, void *arg)
{
	struct conn *c = arg;

	(void)req;
	if (c->last)
		conn_part(c);
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

/* Who asks for authorities or attributes comes back to enrol; who has enrolled does not. Sessions of a shared key are
 * never resumed. */
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
		conn_set_phase(c, WAITING, IDLE_SECS);
		offer_ticket(c, x);
		c->last = is_last(s, c, req);
		framing_begin(&c->framing, s->limits.body); /* what has come meanwhile is of the next one */
		conn_look(c);
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
			  void (*on_request)(void *, struct exchange *),
			  void (*on_refused)(void *, const struct exchange *), void *arg,
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
	evhttp_set_allowed_methods(s->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_PUT |
				   EVHTTP_REQ_DELETE |
				   EVHTTP_REQ_OPTIONS);
	evhttp_set_default_content_type(s->http, NULL);
	evhttp_set_gencb(s->http, on_http, s);
	if (tls)
		conn_follow_tls(tls);
	evhttp_set_bevcb(s->http, tls ? conn_new_tls : conn_new_plain, s);
	if (listen_on(s, fd, e) != 0) {
		server_free(s);
		return NULL;
	}
	return s;
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
			if (!conn_owed(c))
				conn_end(c);
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
