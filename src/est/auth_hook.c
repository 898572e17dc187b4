/* The manager's webhook (E8): asks whether a device may enrol. Guarantees: fails closed; an answer counts only when it
 * is a success that says authorized: true; redirects are not followed; nobody waits longer than call_timeout, or is put
 * off for longer than a day. What the hook is told: the request for a certificate, the manager, the device's common
 * name, and the HTTP request's headers and path. */
#include <string.h>

#include "base/text.h"
#include "base/tm.h"
#include "crypto/name.h"
#include "engine/engine.h"
#include "est/auth.h"
#include "est/json.h"
#include "est/service.h"
#include "net/net.h"

enum { TIMEOUT_MS = 10000, ANSWER_MAX = 64 << 10, RETRY_MAX = 86400 };

/* --- what is sent and what is read --- */

struct hook_http {
	char *headers, *url;
};
struct hook_request {
	char *csr, *aps, *device_cn;
	struct hook_http http_request;
};
static const struct field hook_http_fields[] = { ANY(hook_http, headers, "First value of each header."),
						 STR(hook_http, url, "Path."), END };
static const struct schema hook_http_type = { .name = "http_request", .size = sizeof(struct hook_http),
					      .fields = hook_http_fields };
static const struct field hook_request_fields[] = {
	STR(hook_request, csr, "base64 of the request in PEM.", .flags = F_SHOW0),
	STR(hook_request, aps, "Id of the manager.", .flags = F_SHOW0),
	STR(hook_request, device_cn, "Common name of the request.", .flags = F_SHOW0),
	OBJ(hook_request, http_request, &hook_http_type, "The HTTP request."),
	END
};
static const struct schema hook_request_type = { .name = "request", .size = sizeof(struct hook_request),
						 .fields = hook_request_fields };

/* --- one call --- */

struct calling {
	struct asking *q;
	const struct hook_auth_settings *hook;
	struct net_client *client;
	int64_t until; /* monotonic, milliseconds */
	struct refusal *why;
};

static int unreachable(const struct calling *c, const char *what, const char *detail)
{
	ctx_warn(&c->q->post->ctx, "dms %s: webhook: %s%s%s", c->q->served->dms.id, what, detail ? ": " : "",
		 detail ? detail : "");
	return refuse(c->why, 503, "webhook_unreachable", "whether the device may enrol cannot be asked at the moment");
}

static int exchange(const struct calling *c, struct net_request *r, struct net_answer *ret)
{
	enum net_fault fault;
	struct err e = { 0 };

	r->timeout_ms = c->until - tm_mono_ms();
	if (r->timeout_ms <= 0)
		return unreachable(c, "no answer in time", NULL);
	return net_here->send(c->client, c->q->http->arena, r, ret, &fault, &e) == 0 ? 0 : unreachable(c, e.msg, NULL);
}

static int read_token(const struct calling *c, struct net_request *r, struct node *ret)
{
	struct net_answer a;
	struct err e = { 0 };

	if (exchange(c, r, &a) != 0)
		return -1;
	if (a.status != 200 || est_json(c->q->http->arena, "answer", a.body, ret, &e) != 0)
		return unreachable(c, "no token for it",
				   a.status != 200 ? arena_printf(c->q->http->arena, "status %d", a.status) : e.msg);
	return 0;
}

/* OpenID Connect discovery, then the client credentials grant (RFC 6749 4.4). */
static int oidc_token(const struct calling *c, char **ret)
{
	static const struct net_header form = { "Content-Type", "application/x-www-form-urlencoded" };
	const struct hook_oidc *o = &c->hook->config.oidc;
	struct arena *a = c->q->http->arena;
	struct net_request get = { .method = "GET", .url = o->well_known, .what = "webhook oidc" },
				 post = { .method = "POST" };
	const char *endpoint, *text;
	struct node found, token;
	struct err e = { 0 };
	char *secret;

	if (secret_resolve(a, "client_secret of the webhook", o->client_secret, &secret, &e) != 0)
		return unreachable(c, e.msg, NULL);
	if (read_token(c, &get, &found) != 0)
		return -1;
	endpoint = est_json_str(&found, "token_endpoint");
	if (!endpoint || !text_has_prefix(endpoint, "https://"))
		return unreachable(c, "the identity provider names no token endpoint", NULL);
	post.url = endpoint;
	post.headers = &form;
	post.nheaders = 1;
	post.what = "webhook token";
	post.body = bytes_of(arena_printf(a, "grant_type=client_credentials&client_id=%s&client_secret=%s",
					  url_encode(a, bytes_of(o->client_id)), url_encode(a, bytes_of(secret))));
	if (read_token(c, &post, &token) != 0)
		return -1;
	text = est_json_str(&token, "access_token");
	if (!text)
		return unreachable(c, "the identity provider gave no token", NULL);
	*ret = arena_printf(a, "Bearer %s", text);
	return 0;
}

static int add_credential(const struct calling *c, struct net_header *v, size_t *n)
{
	const struct hook_config *cfg = &c->hook->config;
	struct arena *a = c->q->http->arena;
	struct err e = { 0 };
	char *text;

	if (cfg->auth_mode == HOOK_APIKEY) {
		if (secret_resolve(a, "key of the webhook", cfg->apikey.key, &text, &e) != 0)
			return unreachable(c, e.msg, NULL);
		v[(*n)++] = (struct net_header){ cfg->apikey.header ? cfg->apikey.header : "X-API-Key", text };
	} else if (cfg->auth_mode == HOOK_OIDC) {
		if (oidc_token(c, &text) != 0)
			return -1;
		v[(*n)++] = (struct net_header){ "Authorization", text };
	}
	return 0;
}

static int headers_json(const struct http_request *in, char **ret, struct err *e)
{
	*ret = NULL;
	for (size_t i = 0; i < in->nheaders; i++) {
		SCOPED_BUF quoted = buf_init(BUF_TEXT); /* so that a number stays text */

		json_print_text(in->headers[i].value, &quoted);
		if (any_set(in->arena, *ret, in->headers[i].name, buf_str(&quoted), ret, e) != 0)
			return -1;
	}
	return 0;
}

static int body_of(const struct calling *c, struct bytes *ret)
{
	struct arena *a = c->q->http->arena;
	struct hook_request r = { .csr = b64_encode(a, pem_encode(a, "CERTIFICATE REQUEST", c->q->csr->der)),
				  .aps = c->q->served->dms.id, .device_cn = name_cn(a, c->q->csr->subject),
				  .http_request.url = arena_strdup(a, c->q->http->path) };
	SCOPED_BUF text = buf_init(BUF_TEXT);
	struct err e = { 0 };

	if (headers_json(c->q->http, &r.http_request.headers, &e) != 0)
		return refuse(c->why, 400, "malformed_request", "a header is no text");
	rec_json(&hook_request_type, &r, 0, &text);
	*ret = bytes_of(arena_strdup(a, buf_str(&text)));
	return 0;
}

/* No, or not yet (RFC 7030 4.2.3): what is known of the request stays with the hook, which is asked again by each
 * retry. */
static int not_now(const struct calling *c, const struct node *said)
{
	double secs = 0;

	if (!est_json_number(said, "retry_after", &secs) || !(secs > 0))
		return refuse(c->why, 401, "webhook_denied", "the webhook denies it");
	refuse(c->why, 202, "deferred", "the webhook has not decided yet");
	c->why->retry_after = secs < 1 ? 1 : secs < RETRY_MAX ? (int64_t)secs : RETRY_MAX;
	return -1;
}

static int ask(const struct calling *c)
{
	struct net_header headers[2] = { { "Content-Type", "application/json" } };
	struct net_request r = { .method = c->hook->method ? c->hook->method : "POST", .url = c->hook->url,
				 .headers = headers, .nheaders = 1, .what = "webhook" };
	struct node said;
	struct net_answer a;
	struct err e = { 0 };

	if (add_credential(c, headers, &r.nheaders) != 0 || body_of(c, &r.body) != 0 || exchange(c, &r, &a) != 0)
		return -1;
	if (a.status >= 500 || a.status == 429 || a.status < 200 || (a.status >= 300 && a.status < 400))
		return unreachable(c, "status", arena_printf(c->q->http->arena, "%d", a.status));
	if (a.status > 299)
		return refuse(c->why, 401, "webhook_denied", "the webhook denies it");
	if (est_json(c->q->http->arena, "answer", a.body, &said, &e) != 0)
		return unreachable(c, "its answer is no JSON object", NULL);
	return est_json_true(&said, "authorized") ? 0 : not_now(c, &said);
}

static int set_certificate(const struct calling *c, struct net_options *o)
{
	const struct hook_config *cfg = &c->hook->config;
	struct err e = { 0 };
	char *key;

	if (cfg->auth_mode != HOOK_MTLS)
		return 0;
	if (secret_resolve(c->q->http->arena, "key for the webhook", cfg->mtls.key, &key, &e) != 0)
		return unreachable(c, e.msg, NULL);
	o->cert_file = cfg->mtls.cert;
	o->key_pem = key;
	return 0;
}

int auth_webhook(struct asking *q, struct identity *who, struct refusal *why)
{
	const struct hook_auth_settings *hook = &q->how->external_webhook;
	const struct hook_config *cfg = &hook->config;
	struct net_options options = { .ca_file = cfg->ca_file, .no_verify = !cfg->validate_server_cert,
				       .answer_max = ANSWER_MAX };
	struct calling c = { .q = q, .hook = hook, .why = why,
			     .until = tm_mono_ms() +
				      (cfg->call_timeout.secs ? cfg->call_timeout.secs * 1000 : TIMEOUT_MS) };
	struct err e = { 0 };
	int r = -1;

	if (set_certificate(&c, &options) != 0 || wait_begin(q, why) != 0)
		return -1;
	if (net_here->open(&q->post->ctx, &options, &c.client, &e) == 0) {
		r = ask(&c);
		net_here->close(c.client);
	} else {
		r = unreachable(&c, e.msg, NULL);
	}
	wait_end(q);
	if (r == 0 && !who->via)
		who->via = "webhook";
	return r;
}
