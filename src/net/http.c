/* HTTP by libcurl. Guarantees: only http and https, TLS 1.2 at least with verification, no redirects, no credentials of
 * ~/.netrc, limits on time and on what an answer may hold. Connections are kept for the next request, of whatever
 * thread. Neither notes nor messages hold more of an address than scheme and host, nor any header or body; headers,
 * which hold credentials, are wiped. */
#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "net/http_key.h"
#include "net/http_psk.h"
#include "net/kept_tls.h"

enum { CONNECT_TIMEOUT_MS = 5000, TIMEOUT_MS = 60000, ANSWER_MAX = 1 << 20, HEADERS_MAX = 100, HEADERS_BYTES = 1 << 16,
	IDLE_MAX = 64 };

typedef struct curl_slist curl_slist;

static void wipe_list(curl_slist *list)
{
	for (const curl_slist *l = list; l; l = l->next)
		explicit_bzero(l->data, strlen(l->data));
	curl_slist_free_all(list);
}
DEFINE_AUTO(curl_slist, wipe_list)

struct net_client {
	struct net_options options;
	struct ctx *ctx;
	curl_slist *connect_to;
	struct kept_tls *kept; /* NULL: libcurl reads the files */
	pthread_mutex_t lock; /* of what follows, and of ctx->note */
	CURL *idle[IDLE_MAX];
	size_t nidle;
};

struct exchange {
	struct arena *arena;
	struct buf body;
	size_t max;
	struct net_header headers[HEADERS_MAX];
	size_t nheaders, header_bytes;
	bool too_large;
	char why[CURL_ERROR_SIZE];
};

static int client_open(struct ctx *ctx, const struct net_options *options, struct net_client **ret, struct err *e)
{
	struct net_client *c = arena_new_array(ctx->arena, 1, struct net_client);

	*c = (struct net_client){ .options = *options, .ctx = ctx };
	if (options->connect_to) {
		c->connect_to = curl_slist_append(NULL, arena_printf(ctx->arena, "::%s", options->connect_to));
		if (!c->connect_to)
			return err_set(e, ERR_IO, "out of memory");
	}
	c->kept = kept_tls_open(options);
	pthread_mutex_init(&c->lock, NULL);
	*ret = c;
	return 0;
}

static void client_close(struct net_client *c)
{
	for (size_t i = 0; i < c->nidle; i++)
		curl_easy_cleanup(c->idle[i]);
	curl_slist_free_all(c->connect_to);
	kept_tls_close(c->kept);
	pthread_mutex_destroy(&c->lock);
}

static CURL *take(struct net_client *c)
{
	CURL *h = NULL;

	pthread_mutex_lock(&c->lock);
	if (c->nidle > 0)
		h = c->idle[--c->nidle];
	pthread_mutex_unlock(&c->lock);
	return h ? h : curl_easy_init();
}

static void give_back(struct net_client *c, CURL *h)
{
	curl_easy_reset(h); /* keeps the connection */
	pthread_mutex_lock(&c->lock);
	if (c->nidle < IDLE_MAX) {
		c->idle[c->nidle++] = h;
		h = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	if (h)
		curl_easy_cleanup(h);
}

static size_t on_body(char *text, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;

	if (size * n > x->max - x->body.n) {
		x->too_large = true;
		return 0;
	}
	buf_put(&x->body, text, size * n);
	return size * n;
}

static size_t on_header(char *text, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	size_t len = size * n;
	char *line, *colon, *value, *end;

	x->header_bytes += len;
	if (x->header_bytes > HEADERS_BYTES) {
		x->too_large = true;
		return 0;
	}
	if (len >= 5 && memcmp(text, "HTTP/", 5) == 0)
		x->nheaders = 0; /* after 100 Continue or a proxy's answer */
	line = arena_strndup(x->arena, text, len);
	colon = strchr(line, ':');
	if (!colon || x->nheaders == HEADERS_MAX)
		return len;
	*colon = '\0';
	value = colon + 1 + strspn(colon + 1, " \t");
	end = value + strlen(value);
	while (end > value && strchr(" \t\r\n", end[-1]))
		*--end = '\0';
	for (char *p = line; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	x->headers[x->nheaders++] = (struct net_header){ line, value };
	return len;
}

#define SET(option, value) (curl_easy_setopt(h, CURLOPT_##option, value) == CURLE_OK)

static CURLcode on_tls(CURL *h, void *ssl_ctx, void *arg)
{
	const struct net_options *o = arg;

	(void)h;
	if (o->psk_identity)
		return http_psk_set(ssl_ctx, o) ? CURLE_OK : CURLE_SSL_CONNECT_ERROR;
	return http_key_set(ssl_ctx, o) ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

static bool set_on_tls(CURL *h, const struct net_options *o)
{
	return http_tls_is_ours() && SET(SSL_CTX_FUNCTION, on_tls) && SET(SSL_CTX_DATA, (void *)(uintptr_t)o);
}

/* The server has no certificate to verify: the secret says who it is (http_psk.c). */
static bool set_psk(CURL *h, const struct net_options *o)
{
	return SET(SSL_VERIFYPEER, 0L) && SET(SSL_VERIFYHOST, 0L) && SET(SSL_SESSIONID_CACHE, 0L) && set_on_tls(h, o);
}

static bool set_files(CURL *h, const struct net_options *o)
{
	struct curl_blob key = { .data = (void *)(uintptr_t)o->key_pem, .len = o->key_pem ? strlen(o->key_pem) : 0,
				 .flags = CURL_BLOB_NOCOPY };

	return (!o->ca_file || (SET(CAINFO, o->ca_file) && SET(CAPATH, NULL))) &&
	       (o->key ? set_on_tls(h, o) : (!o->cert_file || SET(SSLCERT, o->cert_file)) &&
		(!o->key_file || SET(SSLKEY, o->key_file))) &&
	       (!o->key_pem || SET(SSLKEY_BLOB, &key));
}

static bool set_trust(CURL *h, const struct net_client *c)
{
	const struct net_options *o = &c->options;

	return (c->kept ? kept_tls_use(c->kept, h) : set_files(h, o)) &&
	       (!o->no_proxy || SET(PROXY, "")) && (!c->connect_to || SET(CONNECT_TO, c->connect_to)) &&
	       (!o->no_verify || (SET(SSL_VERIFYPEER, 0L) && SET(SSL_VERIFYHOST, 0L))) &&
	       (!o->psk_identity || set_psk(h, o)) && (!o->pinned_key || SET(PINNEDPUBLICKEY, o->pinned_key)) &&
	       (!o->fresh || (SET(FRESH_CONNECT, 1L) && SET(FORBID_REUSE, 1L) && SET(SSL_SESSIONID_CACHE, 0L))) &&
	       SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) && SET(NETRC, (long)CURL_NETRC_IGNORED);
}

static bool set_up(CURL *h, const struct net_client *c, const struct net_request *r, curl_slist *headers,
		   struct exchange *x)
{
	int64_t connect = c->options.connect_timeout_ms ? c->options.connect_timeout_ms : CONNECT_TIMEOUT_MS;

	return SET(URL, r->url) && SET(PROTOCOLS_STR, "http,https") && SET(FOLLOWLOCATION, 0L) && SET(NOSIGNAL, 1L) &&
	       SET(PATH_AS_IS, 1L) && SET(FRESH_CONNECT, r->once ? 1L : 0L) && set_trust(h, c) &&
	       SET(CONNECTTIMEOUT_MS, (long)connect) &&
	       SET(TIMEOUT_MS, (long)(r->timeout_ms ? r->timeout_ms : TIMEOUT_MS)) && SET(ERRORBUFFER, x->why) &&
	       SET(WRITEFUNCTION, on_body) && SET(WRITEDATA, x) && SET(HEADERFUNCTION, on_header) &&
	       SET(HEADERDATA, x) &&
	       SET(HTTPHEADER, headers) && (r->body.p || strcmp(r->method, "POST") == 0
		? SET(POST, 1L) && SET(POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n) &&
		  SET(POSTFIELDS, r->body.p ? (const char *)r->body.p : "") : SET(NOBODY,
										  strcmp(r->method, "HEAD") == 0
										  ? 1L : 0L)) &&
	       SET(CUSTOMREQUEST, r->method);
}

/* "https://host:port"; without the user and the password that may stand before them. */
static char *origin(struct arena *a, const char *url)
{
	const char *scheme_end = strstr(url, "://"), *host = net_host(url);

	return arena_printf(a, "%.*s%.*s", scheme_end ? (int)(scheme_end - url) + 3 : 0, url,
			    (int)strcspn(host, "/?#\\"), host);
}

static enum net_fault fault_of(CURL *h, CURLcode rc)
{
	curl_off_t sending = 0;

	switch (rc) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
	case CURLE_SSL_CONNECT_ERROR:
		return NET_NOT_SENT;
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_PARTIAL_FILE:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		curl_easy_getinfo(h, CURLINFO_PRETRANSFER_TIME_T, &sending);
		return sending ? NET_AGAIN : NET_NOT_SENT;
	default:
		return NET_FINAL;
	}
}

/* For --verbose: what was asked for, of whom, and how it went. */
static void tell(struct net_client *c, CURL *h, struct arena *a, const struct net_request *r, const char *outcome)
{
	curl_off_t micros = 0;

	if (!c->ctx->note)
		return;
	curl_easy_getinfo(h, CURLINFO_TOTAL_TIME_T, &micros);
	pthread_mutex_lock(&c->lock);
	c->ctx->note(c->ctx->warn_arg, arena_printf(a, "%s %s%s%s: %s in %ld ms", r->method, origin(a, r->url),
						    r->what ? " " : "", r->what ? r->what : "", outcome,
						    (long)(micros / 1000)));
	pthread_mutex_unlock(&c->lock);
}

static int perform(struct net_client *c, CURL *h, struct arena *a, const struct net_request *r, struct exchange *x,
		   struct net_answer *ret, enum net_fault *ret_fault, struct err *e)
{
	char *where = origin(a, r->url);
	CURLcode rc = curl_easy_perform(h);
	long status = 0;
	char *body;

	if (rc != CURLE_OK) {
		const char *why = x->too_large ? "the answer is too large" : x->why[0]
				  ? x->why : curl_easy_strerror(rc);

		tell(c, h, a, r, text_escape(a, bytes_of(why)));
		*ret_fault = x->too_large ? NET_FINAL : fault_of(h, rc);
		return err_set(e, ERR_REMOTE, "%s: %s", where, text_escape(a, bytes_of(why)));
	}
	curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
	tell(c, h, a, r, arena_printf(a, "%ld", status));
	ret->status = (int)status;
	ret->headers = arena_memdup(a, x->headers, sizeof(x->headers[0]) * x->nheaders);
	ret->nheaders = x->nheaders;
	body = arena_alloc(a, 1, x->body.n + 1);
	if (x->body.n)
		memcpy(body, x->body.p, x->body.n);
	ret->body = (struct bytes){ (unsigned char *)body, x->body.n };
	return 0;
}

/* NULL when there is no memory, or a header would break the request: what it holds may come from a file or a server. */
static curl_slist *request_headers(struct arena *a, const struct net_request *r)
{
	curl_slist *list = curl_slist_append(NULL, "Expect:");

	for (size_t i = 0; list && i < r->nheaders; i++) {
		const struct net_header *h = &r->headers[i];
		const char *line = arena_printf(a, "%s%s%s", h->name, h->value[0] ? ": " : ";", h->value);
		curl_slist *more = line[strcspn(line, "\r\n")] ? NULL : curl_slist_append(list, line);

		if (!more) /* which leaves the list as it was */
			wipe_list(list);
		list = more;
	}
	return list;
}

static int client_send(struct net_client *c, struct arena *a, const struct net_request *r, struct net_answer *ret,
		       enum net_fault *ret_fault, struct err *e)
{
	AUTO(curl_slist) *headers = request_headers(a, r);
	size_t max = c->options.answer_max ? c->options.answer_max : ANSWER_MAX;
	struct exchange x = { .arena = a, .body = buf_init(max), .max = max };
	CURL *h = take(c);
	int rc = -1;

	*ret_fault = NET_FINAL;
	if (!headers)
		err_set(e, ERR_INVALID, "%s: a header of the request is not one line", origin(a, r->url));
	else if (!h || !set_up(h, c, r, headers, &x))
		err_set(e, ERR_UNSUPPORTED, "%s: this libcurl cannot send it", origin(a, r->url));
	else
		rc = perform(c, h, a, r, &x, ret, ret_fault, e);
	buf_release(&x.body);
	if (h)
		give_back(c, h);
	return rc;
}

DEFINE_AUTO(CURL, curl_easy_cleanup)

/* "Cert:PEM" of the first certificate that libcurl noted. */
static const char *first_cert(CURL *h)
{
	struct curl_certinfo *info = NULL;

	if (curl_easy_getinfo(h, CURLINFO_CERTINFO, &info) != CURLE_OK || !info || info->num_of_certs < 1)
		return NULL;
	for (const curl_slist *l = info->certinfo[0]; l; l = l->next)
		if (text_has_prefix(l->data, "Cert:"))
			return l->data + strlen("Cert:");
	return NULL;
}

static int client_peer(struct net_client *c, struct arena *a, const char *url, struct bytes *ret, struct err *e)
{
	AUTO(CURL) *h = curl_easy_init();
	int64_t connect = c->options.connect_timeout_ms ? c->options.connect_timeout_ms : CONNECT_TIMEOUT_MS;
	char why[CURL_ERROR_SIZE] = "";
	const char *pem;
	CURLcode rc;

	if (!h || !SET(URL, url) || !SET(PROTOCOLS_STR, "https") || !SET(NOSIGNAL, 1L) || !SET(CONNECT_ONLY, 1L) ||
	    !SET(CERTINFO, 1L) ||
	    !SET(SSL_VERIFYPEER, 0L) || !SET(SSL_VERIFYHOST, 0L) || !SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) ||
	    !SET(CONNECTTIMEOUT_MS, (long)connect) || !SET(ERRORBUFFER, why) ||
	    (c->options.no_proxy && !SET(PROXY, "")) ||
	    (c->connect_to && !SET(CONNECT_TO, c->connect_to)))
		return err_set(e, ERR_UNSUPPORTED, "%s: this libcurl cannot ask for a certificate", origin(a, url));
	rc = curl_easy_perform(h);
	if (rc != CURLE_OK)
		return err_set(e, ERR_REMOTE, "%s: %s", origin(a, url),
			       text_escape(a, bytes_of(why[0] ? why : curl_easy_strerror(rc))));
	pem = first_cert(h);
	if (!pem)
		return err_set(e, ERR_REMOTE, "%s: it showed no certificate", origin(a, url));
	*ret = bytes_of(arena_strdup(a, pem));
	return 0;
}

const struct net_ops net_curl = { .open = client_open, .close = client_close, .send = client_send,
				  .peer = client_peer };
