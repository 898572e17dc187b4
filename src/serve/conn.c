/* Connections of a worker. Guarantees: every one has an absolute deadline at every moment (handshake, request), with
 * TLS and without, so none that trickles bytes lives for ever; those in their handshake have a limit of their own, and
 * the oldest of them gives way; evhttp sees no request that is not framed as it should be. One thread. */
#include "serve/conn.h"

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include "base/tm.h"
#include "serve/request.h"
#include "serve/sockets.h"

enum { TELL_SECS = 2 };

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

void conn_set_phase(struct conn *c, enum phase phase, int secs)
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

/* One that never sent a request ends here, for evhttp too, unless it has let go: it would go on reading, and what
 * watches has gone. */
void conn_end(struct conn *c)
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
void conn_part(struct conn *c)
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
	conn_part(c);
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
	evbuffer_add_printf(bufferevent_get_output(c->bev),
			    "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n"
			    "Connection: close\r\n\r\n%s\n", f->status, r->phrase, strlen(f->why) + 1, f->why);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	conn_set_phase(c, WAITING, TELL_SECS);
	report(c, f->status, r->reason);
}

void conn_look(struct conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	struct evbuffer_iovec v;
	struct evbuffer_ptr at;

	if (c->unseen && !c->last && c->requests && framing_fresh(&c->framing))
		conn_set_phase(c, WAITING, c->server->limits.request_secs);
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
		conn_look(c);
}

/* What may wait to be read is as much as one request, however much the client sends while its answers are on their
 * way. */
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
	conn_set_phase(c, c->phase, c->phase == HANDSHAKE ? s->limits.handshake_secs : s->limits.request_secs);
	if (getpeername(bufferevent_getfd(c->bev), (struct sockaddr *)&from, &n) != 0 ||
	    peer_exempt(&s->limits.exempt, (struct sockaddr *)&from))
		return;
	c->peer = peers_find(s->peers, (struct sockaddr *)&from);
	if (!c->peer || ++c->peer->open <= s->limits.per_address || !s->limits.per_address)
		return;
	while (old && (old->peer != c->peer || old->ending))
		old = old->next;
	conn_end(old ? old : c);
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
		conn_end(c);
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
		conn_set_phase(c, WAITING, c->server->limits.request_secs);
	}
}

static void make_room(struct server *s)
{
	if (s->lists[HANDSHAKE].n >= s->limits.handshakes)
		conn_end(s->lists[HANDSHAKE].first);
	if (s->connections >= s->limits.connections && s->lists[WAITING].first)
		conn_end(s->lists[WAITING].first);
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

struct bufferevent *conn_new_tls(struct event_base *base, void *arg)
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
	conn_set_phase(c, HANDSHAKE, s->limits.handshake_secs);
	event_active(c->deadline, EV_TIMEOUT, 0); /* arrive, when evhttp has given it its socket */
	return c->bev;
}

struct bufferevent *conn_new_plain(struct event_base *base, void *arg)
{
	struct server *s = arg;
	struct conn *c = new_conn(s);

	c->bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (!c->bev)
		out_of_memory();
	bufferevent_incref(c->bev);
	c->held = true;
	watch(c);
	conn_set_phase(c, WAITING, s->limits.request_secs);
	event_active(c->deadline, EV_TIMEOUT, 0);
	return c->bev;
}

/* Of a request that has just come; without TLS it is one of those that wait, most likely a late one. */
struct conn *conn_of(struct server *s, struct evhttp_request *req, SSL **ret_ssl)
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

/* Whoever has begun is answered, once, while the time lasts: a worker that is replaced should not be noticed. */
bool conn_owed(const struct conn *c)
{
	bool answering = evbuffer_get_length(bufferevent_get_output(c->bev)) != 0;

	return answering || c->phase == HANDSHAKE || c->requests == 0 || !framing_fresh(&c->framing);
}

void conn_follow_tls(SSL_CTX *tls)
{
	if (conn_index < 0)
		conn_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, on_ssl_free);
	SSL_CTX_set_info_callback(tls, on_tls_info);
	SSL_CTX_set_client_hello_cb(tls, on_hello, NULL);
}
