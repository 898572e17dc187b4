/* A request of evhttp's as services know requests. Guarantees: a copy, in the exchange's own arena; names of headers in
 * lower case, each header as often as it was sent. */
#include "serve/request.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <netdb.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>

#include "serve/tls.h"

static const char *method_name(enum evhttp_cmd_type m)
{
	switch (m) {
	case EVHTTP_REQ_GET:
		return "GET";
	case EVHTTP_REQ_HEAD:
		return "HEAD";
	case EVHTTP_REQ_POST:
		return "POST";
	case EVHTTP_REQ_PUT:
		return "PUT";
	case EVHTTP_REQ_DELETE:
		return "DELETE";
	case EVHTTP_REQ_OPTIONS:
		return "OPTIONS";
	default:
		return "OTHER";
	}
}

/* `most`: those that evhttp adds from behind the body are not looked at. */
static void take_headers(struct exchange *x, struct evhttp_request *req, size_t most)
{
	const struct evkeyvalq *all = evhttp_request_get_input_headers(req);
	struct net_header *v;
	struct evkeyval *kv;
	size_t n = 0;

	v = arena_new_array(x->arena, most + 1, struct net_header);
	for (kv = TAILQ_FIRST(all); kv && n < most; kv = TAILQ_NEXT(kv, next)) {
		char *name = arena_strdup(x->arena, kv->key);

		for (char *p = name; *p; p++)
			if (*p >= 'A' && *p <= 'Z')
				*p = (char)(*p - 'A' + 'a');
		v[n++] = (struct net_header){ name, arena_strdup(x->arena, kv->value) };
	}
	x->in.headers = v;
	x->in.nheaders = n;
}

static void take_body(struct exchange *x, struct evhttp_request *req)
{
	struct evbuffer *b = evhttp_request_get_input_buffer(req);
	size_t n = evbuffer_get_length(b);
	unsigned char *p = arena_alloc(x->arena, 1, n + 1);

	if (evbuffer_copyout(b, p, n) != (ev_ssize_t)n)
		n = 0;
	x->in.body = (struct bytes){ p, n };
}

static struct exchange *begin(SSL *ssl)
{
	struct arena *a = arena_new();
	struct exchange *x = arena_new_array(a, 1, struct exchange);
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	*x = (struct exchange){ .arena = a, .began_us = (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000 };
	x->in.arena = a;
	if (ssl)
		x->in.tls = tls_peer_of(a, ssl);
	return x;
}

struct exchange *request_take(struct evhttp_request *req, size_t fields, SSL *ssl)
{
	const char *uri = evhttp_request_get_uri(req), *query = strchr(uri, '?');
	struct exchange *x = begin(ssl);
	struct arena *a = x->arena;
	char *address = NULL;
	ev_uint16_t port;

	x->req = req;
	x->in.method = method_name(evhttp_request_get_command(req));
	x->in.path = arena_strndup(a, uri, query ? (size_t)(query - uri) : strlen(uri));
	x->in.query = query ? arena_strdup(a, query + 1) : NULL;
	evhttp_connection_get_peer(evhttp_request_get_connection(req), &address, &port);
	x->in.address = arena_strdup(a, address ? address : "");
	take_headers(x, req, fields);
	take_body(x, req);
	return x;
}

struct exchange *request_none(int fd, SSL *ssl)
{
	struct exchange *x = begin(ssl);
	struct sockaddr_storage from;
	socklen_t n = sizeof(from);
	char address[NI_MAXHOST];

	if (getpeername(fd, (struct sockaddr *)&from, &n) == 0 &&
	    getnameinfo((struct sockaddr *)&from, n, address, sizeof(address), NULL, 0, NI_NUMERICHOST) == 0)
		x->in.address = arena_strdup(x->arena, address);
	return x;
}
