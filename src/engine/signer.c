/* Signing keys: an EVP_PKEY for a key record, wherever its private half is. Guarantees: the public half is the
 * record's; a key that is in several engines is signed with by the next one when an engine fails (ERR_REMOTE), at the
 * start or in the middle of a batch, and the one that failed is not asked again by this command. A denied, disabled or
 * missing key is never passed over. */
#include <stdatomic.h>
#include <string.h>

#include "crypto/key.h"
#include "engine/engine.h"

struct place { /* one engine that has the key */
	const char *id;
	struct engine *engine;
	struct keyref ref;
	EVP_PKEY *key; /* where the engine gives it away: OpenSSL signs */
};

struct signer {
	struct ctx *ctx; /* for warnings only: signatures come from any thread */
	const char *name;
	EVP_PKEY *pub;
	struct place *v;
	size_t n;
	atomic_size_t at; /* who signs now */
};

static const char *shown(const struct key *k)
{
	return k->name && k->name[0] ? k->name : k->id;
}

static int open_place(struct ctx *ctx, const struct key *k, EVP_PKEY *pub, const char *id, const char *handle,
		      struct place *ret, struct err *e)
{
	struct place p = { .id = id, .ref = { .handle = handle, .id = k->id, .label = k->name } };

	if (engine_get(ctx, id, &p.engine, e) != 0)
		return -1;
	if (p.engine->ops->load && p.engine->ops->load(ctx, p.engine, &p.ref, &p.key, e) != 0)
		return err_ctx(e, "engine %s", id);
	if (!p.key && p.engine->ops->prepare && p.engine->ops->prepare(ctx, p.engine, &p.ref, e) != 0)
		return err_ctx(e, "engine %s", id);
	if (p.key && !key_matches(p.key, pub)) {
		EVP_PKEY_free(p.key);
		return err_set(e, ERR_CHECK, "engine %s: the private key does not match the public key of the record",
			       id);
	}
	*ret = p;
	return 0;
}

/* One that cannot be opened is told of, since nobody would miss it before it is needed. */
static void open_replicas(struct ctx *ctx, const struct key *k, struct signer *s)
{
	for (size_t i = 0; i < k->replicas.n; i++) {
		const char *text = k->replicas.v[i], *colon = strchr(text, ':');
		const char *id = arena_strndup(ctx->arena, text, colon ? (size_t)(colon - text) : strlen(text));
		struct err why = { 0 };

		if (open_place(ctx, k, s->pub, id, colon ? colon + 1 : "", &s->v[s->n], &why) == 0)
			s->n++;
		else
			ctx_warn(ctx, "key %s: its replica cannot stand in: %s", shown(k), why.msg);
	}
}

/* The provider verifies too, but with several engines it is here that a wrong signature can be put right. */
static int verify(const struct signer *s, const struct place *p, const struct sigalg *alg, struct bytes in,
		  struct bytes sig, struct err *e)
{
	bool valid;

	if (key_verify(s->pub, alg, in, alg->md != NULL, sig, &valid, e) != 0)
		return -1;
	if (!valid)
		return err_set(e, ERR_REMOTE, "engine %s: the signature that came back is not valid for this key (%s)",
			       p->id, alg->name);
	return 0;
}

static int sign_at(const struct signer *s, const struct place *p, const struct sigalg *alg, struct bytes in,
		   struct buf *sig, struct err *e)
{
	if (p->key)
		return alg->md ? key_sign_digest(p->key, alg, in, sig, e) : key_sign(p->key, alg, in, sig, e);
	if (p->engine->ops->sign(p->engine, &p->ref, alg, in, sig, e) != 0)
		return err_ctx(e, "engine %s", p->id);
	return s->n > 1 ? verify(s, p, alg, in, buf_bytes(sig), e) : 0;
}

static int sign(void *arg, const struct sigalg *alg, struct bytes in, struct buf *sig, struct err *e)
{
	struct signer *s = arg;

	for (size_t i = atomic_load(&s->at);; i++) {
		size_t was = i;

		if (sign_at(s, &s->v[i], alg, in, sig, e) == 0)
			return 0;
		if (e->code != ERR_REMOTE || i + 1 == s->n)
			return -1;
		if (atomic_compare_exchange_strong(&s->at, &was, i + 1)) /* one of the threads says so */
			ctx_warn(s->ctx, "key %s: %s; engine %s signs from here on", s->name, e->msg, s->v[i + 1].id);
		*e = (struct err){ 0 };
		sig->n = 0;
	}
}

static void release(void *arg)
{
	struct signer *s = arg;

	for (size_t i = 0; i < s->n; i++)
		EVP_PKEY_free(s->v[i].key);
	EVP_PKEY_free(s->pub);
}

static int open_places(struct ctx *ctx, const struct key *k, struct signer *s, struct err *e)
{
	if (open_place(ctx, k, s->pub, k->engine_id, k->handle, &s->v[0], e) == 0)
		s->n = 1;
	else if (e->code != ERR_REMOTE || k->replicas.n == 0)
		return -1;
	if (s->n && s->v[0].key) /* it cannot fail any more */
		return 0;
	open_replicas(ctx, k, s);
	if (s->n == 0)
		return -1;
	if (e->code)
		ctx_warn(ctx, "key %s: %s; engine %s signs", shown(k), e->msg, s->v[0].id);
	*e = (struct err){ 0 };
	return 0;
}

int engine_key(struct ctx *ctx, const struct key *k, EVP_PKEY **ret, struct err *e)
{
	struct signer *s = arena_new_array(ctx->arena, 1, struct signer);
	struct key_backend backend = { .sign = sign, .release = release, .arg = s };

	if (!k->has_private_key)
		return err_set(e, ERR_DENIED, "key %s: only its public part is known here", shown(k));
	if (k->delete_after)
		return err_set(e, ERR_DENIED, "key %s: it waits for its deletion", shown(k));
	if (key_from_public_pem(bytes_of(k->public_key), &s->pub, e) != 0)
		return err_ctx(e, "key %s", shown(k));
	s->ctx = ctx;
	s->name = arena_strdup(ctx->arena, shown(k));
	s->v = arena_new_array(ctx->arena, k->replicas.n + 1, struct place);
	if (open_places(ctx, k, s, e) != 0) {
		release(s);
		return err_ctx(e, "key %s", shown(k));
	}
	if (s->v[0].key) {
		*ret = s->v[0].key;
		s->v[0].key = NULL;
		release(s);
		return 0;
	}
	if (s->n == 1)
		backend.where = arena_printf(ctx->arena, "engine %s", s->v[0].id);
	return key_remote(s->pub, &backend, ret, e);
}

unsigned engine_inflight(struct ctx *ctx, const struct key *k, unsigned wanted)
{
	unsigned least = wanted;

	for (size_t i = 0; i <= k->replicas.n; i++) {
		const char *id = i ? k->replicas.v[i - 1] : k->engine_id;
		struct err ignored = { 0 };
		struct engine *en;

		if (engine_get(ctx, arena_strndup(ctx->arena, id, strcspn(id, ":")), &en, &ignored) == 0 &&
		    en->ops->inflight &&
		    (least == 0 || en->ops->inflight < least))
			least = en->ops->inflight;
	}
	return least;
}
