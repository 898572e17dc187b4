/* A client of EST. Guarantees: TLS to a server that was verified by authorities, by its certificate's fingerprint, or
 * (when the caller says so) by nothing but staying the same; credentials go to no other; waiting is bounded; nothing is
 * believed of an answer before it was judged. */
#include "client/est.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "base/tm.h"
#include "client/answer.h"
#include "crypto/cert.h"
#include "crypto/csr.h"
#include "crypto/digest.h"
#include "crypto/key.h"
#include "crypto/name.h"
#include "engine/remote.h"

enum { PATIENCE_MS = 120000, REQUEST_MS = 60000, SKEW_MAX = 300, CHAIN_MAX = 10, LINE = 64 };

struct est {
	struct ctx *ctx;
	struct net_client *net;
	const struct est_target *target;
	const char *base; /* up to the operation's slash */
};

/* --- who the server is --- */

static int check_url(const char *url, struct err *e)
{
	if (strncasecmp(url, "https://", 8) != 0 || !url[8] || url[8] == '/' || url[8] == ':')
		return err_set(e, ERR_USAGE, "%s: not an https:// URL; EST has no other (RFC 7030 3.3)", url);
	if (url[strcspn(url, "?# \r\n\t@")])
		return err_set(e, ERR_USAGE, "the URL of an EST server holds no query, no user and no white space");
	return 0;
}

static char *base_of(struct arena *a, const struct est_target *t)
{
	static const char prefix[] = "/.well-known/est";
	size_t n = strlen(t->url);
	const char *label = t->label ? t->label : "";

	while (n > 8 && t->url[n - 1] == '/')
		n--;
	return arena_printf(a, "%.*s%s%s%s", (int)n, t->url, strstr(t->url, prefix) ? "" : prefix, *label ? "/" : "",
			    label);
}

int est_has_host(const char *url, bool *ret_loopback, struct err *e)
{
	const char *host = url + strlen("https://");
	size_t n;

	if (check_url(url, e) != 0)
		return -1;
	n = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
	*ret_loopback = (n == 9 && strncasecmp(host, "localhost", 9) == 0) ||
			(n == 5 && memcmp(host, "[::1]", 5) == 0) ||
			(n > 4 && memcmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == n);
	return 0;
}

/* What the server shows to anybody. */
static int server_cert(struct ctx *ctx, const char *url, struct cert *ret, struct err *e)
{
	const struct net_options none = { 0 };
	struct net_client *net;
	struct bytes pem;
	int rc;

	if (net_here->open(ctx, &none, &net, e) != 0)
		return -1;
	rc = net_here->peer(net, ctx->arena, url, &pem, e);
	net_here->close(net);
	return rc != 0 ? -1 : cert_parse(ctx->arena, pem, ret, e);
}

static const char *pin_of(struct arena *a, const struct cert *c)
{
	unsigned char digest[SHA256_LEN];

	sha256(c->spki, digest);
	return arena_printf(a, "sha256//%s", b64_encode(a, (struct bytes){ digest, sizeof(digest) }));
}

/* "AB:CD…", "sha256:ab-cd…" -> "abcd…". */
static int read_pin(struct arena *a, const char *text, const char **ret, struct err *e)
{
	char *hex = arena_strdup(a, text), *to = hex;
	struct bytes raw;

	for (const char *p = strncasecmp(text, "sha256:", 7) == 0 ? text + 7 : text; *p; p++)
		if (*p != ':' && *p != '-')
			*to++ = *p;
	*to = '\0';
	if (hex_decode(a, hex, &raw) != 0 || raw.n != SHA256_LEN)
		return err_set(e, ERR_USAGE, "a fingerprint is the SHA-256 of a certificate: 64 hexadecimal digits");
	*ret = hex_encode(a, raw);
	return 0;
}

static int open_with(struct ctx *ctx, const struct est_target *t, const char *pinned_key, struct est **ret,
		     struct err *e)
{
	const struct net_options options = { .ca_file = t->ca_file, .cert_file = t->cert_file, .key_file = t->key_file,
					     .key = t->key, .fresh = t->fresh, .pinned_key = pinned_key,
					     .no_verify = pinned_key != NULL, .psk_identity = t->psk_identity,
					     .psk = t->psk };
	struct est *est = arena_new_array(ctx->arena, 1, struct est);

	*est = (struct est){ .ctx = ctx, .target = t, .base = base_of(ctx->arena, t) };
	if (net_here->open(ctx, &options, &est->net, e) != 0)
		return -1;
	*ret = est;
	return 0;
}

int est_open(struct ctx *ctx, const struct est_target *t, struct est **ret, struct err *e)
{
	struct cert c;
	const char *pin;

	if (check_url(t->url, e) != 0)
		return -1;
	if (!t->pin)
		return open_with(ctx, t, NULL, ret, e);
	if (read_pin(ctx->arena, t->pin, &pin, e) != 0 || server_cert(ctx, t->url, &c, e) != 0)
		return -1;
	if (strcmp(cert_fingerprint(ctx->arena, &c), pin) != 0)
		return err_set(e, ERR_DENIED, "%s: the server's certificate has another fingerprint: %s", t->url,
			       cert_fingerprint(ctx->arena, &c));
	return open_with(ctx, t, pin_of(ctx->arena, &c), ret, e);
}

int est_open_unknown(struct ctx *ctx, const struct est_target *t, struct est **ret, char **ret_fingerprint,
		     struct err *e)
{
	struct cert c;

	if (check_url(t->url, e) != 0 || server_cert(ctx, t->url, &c, e) != 0 ||
	    open_with(ctx, t, pin_of(ctx->arena, &c), ret, e) != 0)
		return -1;
	*ret_fingerprint = cert_fingerprint(ctx->arena, &c);
	return 0;
}

void est_close(struct est *est)
{
	if (est)
		net_here->close(est->net);
}

/* --- one operation --- */

struct call {
	const struct est *est;
	const char *op, *accept;
	struct bytes body; /* p NULL: GET */
};

static int build(void *arg, struct arena *a, bool refresh, struct net_request *ret, struct err *e)
{
	const struct call *c = arg;
	struct net_header *h = arena_new_array(a, 5, struct net_header);
	size_t n = 0;

	(void)refresh;
	(void)e;
	h[n++] = (struct net_header){ "User-Agent", "lamassu" };
	h[n++] = (struct net_header){ "Accept", c->accept };
	if (c->body.p) {
		h[n++] = (struct net_header){ "Content-Type", "application/pkcs10" };
		/* RFC 8951 drops it, old servers want it */
		h[n++] = (struct net_header){ "Content-Transfer-Encoding", "base64" };
	}
	if (c->est->target->authorization && c->body.p)
		h[n++] = (struct net_header){ "Authorization", c->est->target->authorization };
	*ret = (struct net_request){ .method = c->body.p ? "POST" : "GET",
				     .url = arena_printf(a, "%s/%s", c->est->base, c->op),
				     .headers = h, .nheaders = n, .body = c->body, .timeout_ms = REQUEST_MS,
				     .what = c->op };
	return 0;
}

/* What the server says for people: ": text", or nothing. */
static const char *words(struct arena *a, const struct net_answer *answer)
{
	const char *type = net_header(answer, "content-type");
	const char *text = (const char *)answer->body.p;

	if (!type || strncasecmp(type, "text/plain", 10) != 0 || !text || !*text)
		return "";
	return arena_printf(a, ": %s", remote_say(a, arena_strndup(a, text, strcspn(text, "\r\n"))));
}

static enum remote_verdict judge(void *arg, struct arena *a, const struct net_answer *answer, struct err *e)
{
	const struct call *c = arg;
	const char *later = net_header(answer, "retry-after");
	int s = answer->status;

	if (s == 200)
		return REMOTE_DONE;
	if (s == 202)
		err_set(e, ERR_REMOTE, "%s: accepted, but not decided yet: ask again later", c->op);
	else
		err_set(e, s >= 400 && s < 500 && s != 408 && s != 429 ? ERR_DENIED : ERR_REMOTE,
			"%s: the server answered %d%s%s", c->op, s, words(a, answer),
			s == 401 ? " (it wants other credentials)" : "");
	if (later && (s == 202 || s == 429 || s == 503))
		err_set(e, ERR_REMOTE, "%s (Retry-After: %s)", arena_strdup(a, e->msg), remote_say(a, later));
	if (s == 202 || s == 429 || s == 503)
		return REMOTE_THROTTLED;
	return s == 500 || s == 502 || s == 504 ? REMOTE_AGAIN : REMOTE_FAILED;
}

/* The same request may be sent again: a server that has carried it out gives the same certificate for it, or
 * refuses. */
static int carry_out(struct est *est, struct arena *a, const char *op, const char *accept, struct bytes body,
		     struct net_answer *ret, struct err *e)
{
	int64_t patience_ms = est->target->patience_ms ? est->target->patience_ms : PATIENCE_MS;
	const struct remote_policy policy = { .deadline_ms = patience_ms };
	struct call c = { .est = est, .op = op, .accept = accept, .body = body };
	const struct remote_call call = { .build = build, .judge = judge, .arg = &c };

	if (remote_call(est->net, a, &policy, &call, ret, e) == 0)
		return 0;
	if (est->target->key) /* the token knows better than TLS what was wrong */
		key_remote_error(e);
	return -1;
}

int est_get_cas(struct est *est, struct arena *a, struct est_cas *ret, struct err *e)
{
	struct net_answer answer;

	if (carry_out(est, a, "cacerts", "application/pkcs7-mime", (struct bytes){ 0 }, &answer, e) != 0)
		return -1;
	return answer_certs(a, answer.body, &ret->v, &ret->n, e) != 0 ? err_ctx(e, "cacerts") : 0;
}

int est_request(struct arena *a, struct bytes subject, const struct strv *san, EVP_PKEY *key,
		const struct est_recipient *to, struct bytes *ret, struct err *e)
{
	struct exts exts = { 0 };
	struct bytes value, wishes[EST_RECIPIENT_ATTRIBUTES];

	if (san->n) {
		if (san_build(a, san, &value, e) != 0)
			return -1;
		exts_add(a, &exts, OID_SAN, name_empty(subject), value);
	}
	if (to && est_recipient_attributes(a, to, wishes, e) != 0)
		return -1;
	return csr_build_with(a, subject, &exts, wishes, to ? COUNT(wishes) : 0, key, sigalg_default(key), ret, e);
}

/* What was asked for in the clear comes in the clear, and nothing else does. */
static int take_key(const struct answer_key *k, const struct est_recipient *to, struct est_answer *ret, struct err *e)
{
	if (k->encrypted != (to != NULL))
		return err_set(e, ERR_CHECK,
			       to ? "the server sent the key without the encryption that was asked for; it is not used"
					       : "the server sent the key encrypted, which was not asked for");
	if (!to)
		return key_load(k->der, NULL, &ret->key, e);
	ret->sealed = k->der;
	return 0;
}

static int read_answer(const struct est *est, struct arena *a, enum est_op op, const struct net_answer *http,
		       struct est_answer *ret, struct err *e)
{
	struct answer_key key = { .certs = http->body };
	struct est_answer r = { 0 };

	if (op == EST_KEYGEN && answer_keygen(a, net_header(http, "content-type"), http->body, &key, e) != 0)
		return -1;
	if (answer_certs(a, key.certs, &r.certs, &r.n, e) != 0 ||
	    (op == EST_KEYGEN && take_key(&key, est->target->to, &r, e) != 0))
		return -1;
	*ret = r;
	return 0;
}

int est_send(struct est *est, struct arena *a, enum est_op op, struct bytes csr, struct est_answer *ret, struct err *e)
{
	static const char *const ops[] = { "simpleenroll", "simplereenroll", "serverkeygen" };
	const char *accept = op == EST_KEYGEN ? "multipart/mixed" : "application/pkcs7-mime";
	char *text = arena_alloc(a, 2, csr.n + 8);
	struct net_answer answer;
	struct bytes body = { (unsigned char *)text, 0 };

	body.n = (size_t)(b64_lines(text, csr, LINE) - text);
	if (carry_out(est, a, ops[op], accept, body, &answer, e) != 0)
		return -1;
	return read_answer(est, a, op, &answer, ret, e) != 0 ? err_ctx(e, "%s", ops[op]) : 0;
}

/* --- judging --- */

int est_find(const struct est_answer *answer, struct arena *a, const EVP_PKEY *key, struct bytes *ret, struct err *e)
{
	struct bytes spki;
	struct cert c;

	if (key_spki(a, key, &spki, e) != 0)
		return -1;
	for (size_t i = 0; i < answer->n; i++) {
		if (cert_parse(a, answer->certs[i], &c, e) != 0)
			return err_ctx(e, "certificate %zu of the answer", i + 1);
		if (bytes_equal(c.spki, spki)) {
			*ret = c.der;
			return 0;
		}
	}
	return err_set(e, ERR_CHECK, "the server's certificate is not for our key");
}

/* The certificates that may be between, and those that are trusted. */
struct judging {
	struct cert *v; /* all of them */
	struct bytes *ders, *roots;
	size_t n, nroots;
};

static int gather(struct arena *a, const struct est_answer *answer, const struct est_cas *cas, struct judging *j,
		  struct err *e)
{
	size_t n = answer->n + cas->n;

	j->v = arena_new_array(a, n + 1, struct cert);
	j->ders = arena_new_array(a, n + 1, struct bytes);
	j->roots = arena_new_array(a, cas->n + 1, struct bytes);
	for (size_t i = 0; i < n; i++) {
		bool ca = i < cas->n;

		j->ders[i] = ca ? cas->v[i] : answer->certs[i - cas->n];
		if (cert_parse(a, j->ders[i], &j->v[i], e) != 0)
			return err_ctx(e, "%s", ca ? "cacerts" : "a certificate of the answer");
		if (ca && cert_self_issued(&j->v[i]) && cert_issued_by(&j->v[i], &j->v[i]))
			j->roots[j->nroots++] = j->ders[i];
	}
	j->n = n;
	for (size_t i = 0; j->nroots == 0 && i < cas->n; i++)
		j->roots[i] = cas->v[i];
	j->nroots = j->nroots ? j->nroots : cas->n;
	return 0;
}

/* From below to above, without the root. */
static void build_chain(struct arena *a, const struct judging *j, const struct cert *leaf, struct est_chain *ret)
{
	const struct cert *at = leaf;

	ret->v = arena_new_array(a, CHAIN_MAX, struct bytes);
	while (ret->n < CHAIN_MAX && !cert_self_issued(at)) {
		size_t i = 0;

		while (i < j->n && !(j->v[i].is_ca && cert_issued_by(at, &j->v[i])))
			i++;
		if (i == j->n || cert_self_issued(&j->v[i]))
			return;
		at = &j->v[i];
		ret->v[ret->n++] = at->der;
	}
}

int est_judge(struct ctx *ctx, const struct est_answer *answer, const struct est_cas *cas, struct bytes leaf,
	      struct est_chain *ret, struct err *e)
{
	int64_t at = ctx->now_given ? ctx->now : tm_now();
	struct est_chain chain = { .leaf = leaf };
	struct judging j = { 0 };
	struct cert c;

	if (gather(ctx->arena, answer, cas, &j, e) != 0 || cert_parse(ctx->arena, leaf, &c, e) != 0)
		return -1;
	if (c.not_before > at && c.not_before - at <= SKEW_MAX) /* two clocks */
		at = c.not_before;
	if (cert_verify(leaf, j.ders, j.n, j.roots, j.nroots, NULL, 0, at, e) != 0)
		return err_ctx(e, "the server's certificate does not lead to the authorities that it distributes");
	build_chain(ctx->arena, &j, &c, &chain);
	*ret = chain;
	return 0;
}
