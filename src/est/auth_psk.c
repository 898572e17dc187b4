/* Secrets shared with single devices (E9): in TLS or by HTTP Basic, and Digest with SHA-256, as the manager keeps them.
 * Guarantees: an unknown device costs the same as a wrong secret; no more than CHECKS_MAX secrets are stretched at a
 * time; who guesses is slowed down; a secret of single use is spent by the certificate that it got, and by nothing
 * else. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "base/tm.h"
#include "crypto/digest.h"
#include "est/auth.h"
#include "est/http_auth.h"
#include "est/service.h"
#include "model/device.h"
#include "pki/psk.h"
#include "state/ledger.h"

enum { CHECKS_MAX = 2, NONCE_SECS = 300, MAC = 16, GUESSERS = 4096, WHO = 8, GUESSES_MAX = 10, GUESS_MS = 60000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all that is static */
static pthread_cond_t freed = PTHREAD_COND_INITIALIZER;
static int checking;

/* --- who guesses --- */

static struct guesser {
	unsigned char who[WHO];
	int n;
	int64_t since;
} guessers[GUESSERS];

/* With the lock held. Where a device's place is cannot be told from outside: who knew could have it forgotten by
 * guessing at others. */
static struct guesser *place_of(const struct asking *q, const char *device, unsigned char who[WHO])
{
	static unsigned char seed[MAC];
	static bool seeded;
	unsigned char h[SHA256_LEN];

	if (!seeded)
		seeded = RAND_bytes(seed, sizeof(seed)) == 1;
	sha256(bytes_of(arena_printf(q->http->arena, "%s %s %s",
				     hex_encode(q->http->arena, (struct bytes){ seed, sizeof(seed) }),
				     q->http->address, device)), h);
	memcpy(who, h, WHO);
	return &guessers[(h[WHO] << 8 | h[WHO + 1]) % GUESSERS];
}

static bool is_of(const struct guesser *g, const unsigned char who[WHO])
{
	return memcmp(g->who, who, WHO) == 0 && tm_mono_ms() - g->since <= GUESS_MS;
}

static int check_guesses(const struct asking *q, const char *device, struct refusal *why)
{
	unsigned char who[WHO];
	const struct guesser *g;
	bool many;

	pthread_mutex_lock(&lock);
	g = place_of(q, device, who);
	many = is_of(g, who) && g->n >= GUESSES_MAX;
	pthread_mutex_unlock(&lock);
	return many ? refuse(why, 429, "overloaded", "too many wrong secrets; try again later") : 0;
}

static int wrong(const struct asking *q, const char *device, struct refusal *why)
{
	unsigned char who[WHO];
	struct guesser *g;

	pthread_mutex_lock(&lock);
	g = place_of(q, device, who);
	if (!is_of(g, who)) {
		*g = (struct guesser){ .since = tm_mono_ms() };
		memcpy(g->who, who, WHO);
	}
	g->n++;
	pthread_mutex_unlock(&lock);
	return refuse(why, 401, "authentication_failure", "the device or its secret is not known");
}

/* --- Basic --- */

static bool check_bounded(const struct asking *q, const struct psk *p, struct bytes secret)
{
	bool good;

	pthread_mutex_lock(&lock);
	while (checking >= CHECKS_MAX)
		pthread_cond_wait(&freed, &lock);
	checking++;
	pthread_mutex_unlock(&lock);
	good = psk_check(q->http->arena, &q->served->dms, p, secret);
	pthread_mutex_lock(&lock);
	checking--;
	pthread_cond_signal(&freed);
	pthread_mutex_unlock(&lock);
	return good;
}

/* What est_prepare has left: a key for nonces, the folder of secrets, and for each manager whose secrets are elsewhere
 * its id, where, and the list. */
static bool take_text(struct arena *a, struct bytes *own, const char **ret)
{
	struct bytes b;

	if (!bytes_take_run(own, &b))
		return false;
	*ret = arena_strndup(a, (const char *)b.p, b.n);
	return true;
}

static bool take_list(struct arena *a, struct bytes *own, struct psk_list *ret)
{
	return take_text(a, own, &ret->dms) && take_text(a, own, &ret->source) && bytes_take_run(own, &ret->text);
}

static void read_own(struct arena *a, struct bytes own, struct psk_places *ret)
{
	struct psk_list *v = NULL, list;
	struct bytes key;

	*ret = (struct psk_places){ .folder = "" };
	if (!bytes_take_run(&own, &key) || !take_text(a, &own, &ret->folder))
		return;
	while (take_list(a, &own, &list)) {
		v = arena_grow(a, v, ret->nlists, sizeof(*v));
		v[ret->nlists++] = list;
	}
	ret->lists = v;
}

static int load(struct asking *q, const char *device, struct psk *ret, struct err *e)
{
	const struct dms *dms = &q->served->dms;
	const char *source = psk_source(q->http->arena, dms);
	struct psk_places at;

	if (!source)
		return psk_load(&q->post->ctx, dms, device, ret, e);
	read_own(q->http->arena, worker_own(q->post), &at);
	for (size_t i = 0; i < at.nlists; i++)
		if (strcmp(at.lists[i].dms, dms->id) == 0 && strcmp(at.lists[i].source, source) == 0)
			return psk_load_listed(&q->post->ctx, dms, at.lists[i].text, device, ret, e);
	ctx_warn(&q->post->ctx, "dms %s: where the secrets of devices are has changed: start the listener again",
		 dms->id);
	return err_set(e, ERR_IO, "the secrets are elsewhere now");
}

/* NULL: there is none. */
static int find(struct asking *q, const char *device, struct psk *store, const struct psk **ret, struct refusal *why)
{
	struct err e = { 0 };

	*ret = NULL;
	if (device_id_check(device, &e) != 0)
		return 0;
	if (load(q, device, store, &e) == 0)
		*ret = store;
	else if (e.code != ERR_NOT_FOUND)
		return refuse_err(why, &e);
	return 0;
}

static int by_basic(struct asking *q, const char *field, const char **ret_device, const struct psk **ret,
		    struct psk *store, struct refusal *why)
{
	struct basic in;
	struct err e = { 0 };
	bool good;

	if (http_basic(q->http->arena, field, &in, &e) != 0 || in.secret.n > PSK_MAX)
		return refuse(why, 401, "authentication_failure", "%s", e.code ? e.msg : "the secret is too long");
	*ret_device = *in.user ? in.user : q->device;
	if (check_guesses(q, *ret_device, why) != 0 || find(q, *ret_device, store, ret, why) != 0 ||
	    wait_begin(q, why) != 0)
		return -1;
	good = check_bounded(q, *ret, in.secret);
	wait_end(q);
	return good ? 0 : wrong(q, *ret_device, why);
}

/* --- Digest (RFC 7616) --- */

/* The time and its MAC: no list of nonces is kept. A nonce may serve again while it is valid; TLS keeps what it serves
 * for from others. */
static char *nonce_at(const struct post *p, struct arena *a, int64_t at)
{
	struct bytes key = worker_own(p);
	char *when = arena_printf(a, "%llx", (unsigned long long)at);
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (!HMAC(EVP_sha256(), key.p, (int)key.n, (const unsigned char *)when, strlen(when), mac, &n) || n < MAC)
		out_of_memory();
	return arena_printf(a, "%s-%s", when, hex_encode(a, (struct bytes){ mac, MAC }));
}

static bool same_secret_text(const char *a, const char *b)
{
	return strlen(a) == strlen(b) && CRYPTO_memcmp(a, b, strlen(a)) == 0;
}

static bool nonce_good(const struct asking *q, const char *nonce)
{
	int64_t at = (int64_t)strtoull(nonce, NULL, 16), now = q->post->ctx.now;

	/* The MAC first: what is not ours may be any number. */
	return same_secret_text(nonce, nonce_at(q->post, q->http->arena, at)) && at <= now && now - at <= NONCE_SECS;
}

static bool is_target(const struct http_request *in, const char *uri)
{
	size_t n = strlen(in->path);

	return in->query ? strncmp(uri, in->path, n) == 0 && uri[n] == '?' && strcmp(uri + n + 1, in->query) == 0
			 : strcmp(uri, in->path) == 0;
}

static char *response_of(struct arena *a, const struct digest *d, const char *method, const char *ha1)
{
	char *ha2 = sha256_hex(a, bytes_of(arena_printf(a, "%s:%s", method, d->uri)));

	return sha256_hex(a,
			  bytes_of(arena_printf(a, "%s:%s:%s:%s:%s:%s", ha1, d->nonce, d->nc, d->cnonce, d->qop, ha2)));
}

static int by_digest(struct asking *q, const char *field, const char **ret_device, const struct psk **ret,
		     struct psk *store, struct refusal *why)
{
	static const unsigned char none[SHA256_LEN];
	struct arena *a = q->http->arena;
	struct digest d;
	struct err e = { 0 };
	char *ha1, *wanted;

	if (http_digest(a, field, &d, &e) != 0)
		return refuse(why, 401, "authentication_failure", "%s", e.msg);
	*ret_device = *d.username ? d.username : q->device;
	if (check_guesses(q, *ret_device, why) != 0 || find(q, *ret_device, store, ret, why) != 0)
		return -1;
	ha1 = hex_encode(a, *ret ? (*ret)->hash : (struct bytes){ none, sizeof(none) });
	wanted = response_of(a, &d, q->http->method, ha1);
	if (!nonce_good(q, d.nonce))
		return refuse(why, 401, "authentication_failure", "the nonce is not of now");
	if (!d.algorithm || strcasecmp(d.algorithm, "SHA-256") != 0 || strcmp(d.qop, "auth") != 0 ||
	    !is_target(q->http, d.uri) ||
	    strcmp(d.realm, psk_realm(a, &q->served->dms)) != 0 || !*ret || (*ret)->store != PSK_HA1 ||
	    !same_secret_text(wanted, d.response))
		return wrong(q, *ret_device, why);
	return 0;
}

void psk_challenge(const struct post *p, const struct dms *dms, int store, struct http_response *out)
{
	struct arena *a = p->ctx.arena;
	const char *realm = psk_realm(a, dms);

	if (store == PSK_HA1) /* the stronger one first (RFC 7616 3.7) */
		http_add_header(out, "WWW-Authenticate",
				arena_printf(a, "Digest realm=\"%s\", qop=\"auth\", algorithm=SHA-256, nonce=\"%s\"",
					     realm, nonce_at(p, a, p->ctx.now)));
	http_add_header(out, "WWW-Authenticate", arena_printf(a, "Basic realm=\"%s\", charset=\"UTF-8\"", realm));
}

/* --- single use --- */

/* What was spent on this very request is good for the answer that was lost, or for what a crash kept from being
 * issued. */
static int check_spent(struct asking *q, const char *device, struct identity *who, struct refusal *why)
{
	struct ctx *ctx = &q->post->ctx;
	char *request = sha256_hex(ctx->arena, q->csr->der), *on;
	struct certrec rec;
	struct err e = { 0 };

	if (psk_spent_on(ctx, &q->served->dms, device, who->mark, &on, &e) != 0)
		return refuse_err(why, &e);
	if (!on)
		return 0;
	if (strcmp(on, request) != 0)
		return refuse(why, 401, "authentication_failure", "the secret was used already");
	return ledger_cert_by_request(ctx->state, q->served->ca.rec.id, request, &who->spent, &rec, &e) == 0
	       ? 0 : refuse_err(why, &e);
}

/* --- TLS --- */

void est_psk(struct arena *a, const void *options, struct bytes own, const char *identity, struct tls_secret *ret)
{
	const struct est_options *o = options;
	struct psk_places at;
	struct psk_found found;

	read_own(a, own, &at);
	at.managers = o->dms;
	psk_find(a, &at, identity, &found);
	if (found.key.n == 0 || found.key.n > sizeof(ret->key))
		return;
	memcpy(ret->key, found.key.p, found.key.n);
	ret->n = found.key.n;
	ret->who = arena_printf(a, "%s/%s", found.dms, found.device);
}

/* What the handshake has proved, against what is on record by now: a connection may outlive its secret. */
static int by_tls(struct asking *q, const char **ret_device, struct psk *p, struct refusal *why)
{
	const struct tls_peer *tls = q->http->tls;
	const char *id = q->served->dms.id, *slash = strchr(tls->psk_identity, '/');
	unsigned char proof[SHA256_LEN];
	const struct psk *found;

	if ((size_t)(slash - tls->psk_identity) != strlen(id) || strncmp(tls->psk_identity, id, strlen(id)) != 0)
		return refuse(why, 401, "authentication_failure", "the secret is one of another device manager");
	*ret_device = slash + 1;
	if (find(q, *ret_device, p, &found, why) != 0)
		return -1;
	sha256(found ? found->key : (struct bytes){ 0 }, proof);
	if (!found || found->store != PSK_TLS || tls->psk_proof.n != SHA256_LEN ||
	    CRYPTO_memcmp(proof, tls->psk_proof.p, SHA256_LEN) != 0)
		return refuse(why, 401, "authentication_failure", "the secret is not that of the device any more");
	return 0;
}

static int by_http(struct asking *q, const char **ret_device, struct psk *store, struct refusal *why)
{
	const char *field = http_field(q->http, "authorization");
	const struct psk *ignored;

	if (http_is(field, "Digest") && q->how->psk.store == PSK_HA1)
		return by_digest(q, field, ret_device, &ignored, store, why);
	if (http_is(field, "Basic") && q->how->psk.store != PSK_TLS)
		return by_basic(q, field, ret_device, &ignored, store, why);
	return refuse(why, 401, "authentication_failure", "the device's name and secret are needed");
}

int auth_psk(struct asking *q, struct identity *who, struct refusal *why)
{
	bool tls = q->how->psk.store == PSK_TLS && q->http->tls && q->http->tls->psk_identity;
	const char *device = NULL;
	struct psk p;

	if (tls ? by_tls(q, &device, &p, why) != 0 : by_http(q, &device, &p, why) != 0)
		return -1;
	who->via = "psk";
	who->device = arena_strdup(q->http->arena, device);
	who->single_use = p.single_use;
	who->mark = p.mark;
	if (!p.single_use)
		return 0;
	who->credential = arena_printf(q->http->arena, "psk/%s/%s", q->served->dms.id, device);
	return check_spent(q, device, who, why);
}

int psk_use(struct post *p, const struct dms *dms, const struct identity *who, const char *request, struct refusal *why)
{
	struct err e = { 0 };

	if (!who->single_use || who->recorded || psk_spend(&p->ctx, dms, who->device, who->mark, request, &e) == 0)
		return 0;
	return e.code == ERR_DENIED ? refuse(why, 401, "authentication_failure", "%s", e.msg) : refuse_err(why, &e);
}

void psk_unuse(struct post *p, const struct dms *dms, const struct identity *who)
{
	if (who->single_use && !who->recorded)
		psk_unspend(&p->ctx, dms, who->device, who->mark);
}
