/* Who signs the keys that are made here: "the party that generated the private key" (RFC 7030 4.4.2) is a worker, not
 * an authority, whose key signs certificates and nothing of the kind. Guarantees: a worker's key stays in its memory;
 * its certificate is recorded like any other and durable before the first signature, comes from the enrolment
 * authority, and is for nothing but such signatures. */
#include <pthread.h>
#include <string.h>

#include "crypto/key.h"
#include "est/keygen.h"

enum { SIGNER_DAYS = 7 };

static const char profile_text[] = "id: built-in-key-generation\n"
				   "key_usage: {digital_signature: true}\n"
				   "extended_key_usages: [emailProtection]\n" /* S/MIME: what pkcs7-mime is */
				   "honor_subject: true\n";

/* One for each authority; they live as long as the worker. */
static struct maker {
	struct maker *next;
	struct arena *arena;
	char *ca;        /* fingerprint of its certificate */
	int64_t renew_at;
	struct keygen_signer signer;
} *makers;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the list, and held while one is made */

static struct maker *find(const char *ca)
{
	struct maker *m = makers;

	while (m && strcmp(m->ca, ca) != 0)
		m = m->next;
	return m;
}

static int issue(struct est_call *c, EVP_PKEY *key, struct issued *ret, struct err *e)
{
	struct ctx *ctx = &c->post->ctx;
	struct wishes wishes = NO_WISHES;
	struct profile profile;

	wishes.subject = arena_printf(ctx->arena, "CN=%s key generation", c->served->ca.rec.id);
	wishes.validity = arena_printf(ctx->arena, "%dd", SIGNER_DAYS);
	wishes.allow_outlive = true;
	if (rec_load(ctx->arena, &profile_type, "key-generation.yaml", bytes_of(profile_text), &profile, e) != 0 ||
	    issue_own(ctx, &c->served->ca, &profile, key, &wishes, ret, e) != 0)
		return -1;
	return post_commit(c->post, e);
}

/* The certificate and what leads to the root. */
static int keep_certs(const struct est_call *c, struct maker *m, struct bytes leaf, struct err *e)
{
	struct bytes *chain;
	size_t n;

	if (authority_chain(c->in->arena, &c->served->ca, &chain, &n, e) != 0)
		return -1;
	m->signer.certs = arena_new_array(m->arena, n + 1, struct bytes);
	for (size_t i = 0; i <= n; i++) {
		struct bytes der = i ? chain[i - 1] : leaf;

		m->signer.certs[i] = (struct bytes){ arena_memdup(m->arena, der.p, der.n), der.n };
	}
	m->signer.n = n + 1;
	return 0;
}

static int make(struct est_call *c, struct maker *m, struct err *e)
{
	struct issued is;

	if (key_generate(keytype_find("ECDSA", 256), &m->signer.key, e) != 0 || issue(c, m->signer.key, &is, e) != 0 ||
	    keep_certs(c, m, is.der, e) != 0)
		return -1;
	m->renew_at = is.rec.not_after - (is.rec.not_after - c->post->ctx.now) / SIGNER_DAYS;
	return 0;
}

/* What it replaces stays for those that have it in use. */
static int renew(struct est_call *c, const char *ca, struct maker **ret, struct err *e)
{
	struct arena *a = arena_new();
	struct maker *m = arena_new_array(a, 1, struct maker);

	*m = (struct maker){ .next = makers, .arena = a, .ca = arena_strdup(a, ca) };
	if (make(c, m, e) != 0) {
		EVP_PKEY_free(m->signer.key);
		arena_free(a);
		return -1;
	}
	*ret = makers = m;
	return 0;
}

int keygen_signer(struct est_call *c, struct keygen_signer *ret, struct refusal *why)
{
	struct err e = { 0 };
	struct maker *m;
	const char *ca;
	int r = 0;

	if (est_ready(c->post, c->served, why) != 0)
		return -1;
	ca = cert_fingerprint(c->in->arena, &c->served->ca.cert);
	pthread_mutex_lock(&lock);
	m = find(ca);
	if (!m || m->renew_at < c->post->ctx.now)
		r = renew(c, ca, &m, &e);
	if (r == 0) {
		*ret = m->signer;
		EVP_PKEY_up_ref(ret->key);
	}
	pthread_mutex_unlock(&lock);
	return r == 0 ? 0 : refuse_err(why, &e);
}

int keygen_seal(struct arena *a, struct bytes pkcs8, const struct keygen_signer *s, const struct keygen_recipient *r,
		struct bytes *ret, struct err *e)
{
	struct bytes package = DER_JOIN(a, DER_SEQUENCE, pkcs8), sd; /* one OneAsymmetricKey: RFC 5958 2 */

	return cms_sign(a, OID_CT_KEY_PACKAGE, package, s->key, s->certs, s->n, &sd, e) != 0 ||
	       cms_encrypt(a, sd, r->cert, &r->how, ret, e) != 0 ? -1 : 0;
}
