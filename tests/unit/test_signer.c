/* Engines that lie or go away: no wrong signature gets into a certificate, the engine is named, and a replica stands
 * in, for one signature and for many at once. The registry of engines is compiled with a kind of this test's own in the
 * software engine's place. */
#define software_engine liar_engine
#include "engine/engine.c"
#undef software_engine

#include <stdlib.h>

#include "base/pool.h"
#include "crypto/algs.h"
#include "mini_pki.h"
#include "tap.h"

struct liar {
	char *how;
	int64_t after; /* so many right signatures come first */
	int done;
};

static const struct field liar_fields[] = {
	STR(liar, how, "What it does."), INT(liar, after, "Right signatures before that.", .dflt = "0"), END
};
static const struct schema liar_config = {
	.name = "liar", .doc = "An engine that lies", .size = sizeof(struct liar), .fields = liar_fields
};

static EVP_PKEY *right, *other;
static int closed;

static int liar_open(struct ctx *ctx, struct engine *en, const void *config, struct err *e)
{
	struct liar *l = arena_memdup(ctx->arena, config, sizeof(*l));

	if (strcmp(l->how, "unreachable") == 0)
		return err_set(e, ERR_REMOTE, "no such host");
	if (strcmp(l->how, "denied") == 0)
		return err_set(e, ERR_DENIED, "wrong PIN");
	en->priv = l;
	return 0;
}

static void liar_close(struct engine *en)
{
	(void)en;
	closed++;
}

static int liar_load(struct ctx *ctx, struct engine *en, const struct keyref *ref, EVP_PKEY **ret, struct err *e)
{
	const struct liar *l = en->priv;

	(void)ctx;
	(void)ref;
	(void)e;
	*ret = NULL;
	if (strcmp(l->how, "native") == 0 && EVP_PKEY_up_ref(right))
		*ret = right;
	return 0;
}

static int sign_as(EVP_PKEY *key, const struct sigalg *alg, struct bytes in, struct buf *sig, struct err *e)
{
	return alg->md ? key_sign_digest(key, alg, in, sig, e) : key_sign(key, alg, in, sig, e);
}

static int liar_sign(struct engine *en, const struct keyref *ref, const struct sigalg *alg, struct bytes in,
		     struct buf *sig, struct err *e)
{
	struct liar *l = en->priv;
	const char *how = __atomic_fetch_add(&l->done, 1, __ATOMIC_RELAXED) < l->after ? "good" : l->how;

	(void)ref;
	if (strcmp(how, "down") == 0)
		return err_set(e, ERR_REMOTE, "connection refused");
	if (strcmp(how, "disabled") == 0)
		return err_set(e, ERR_DENIED, "the key is disabled");
	if (strcmp(how, "empty") == 0)
		return 0;
	if (strcmp(how, "garbage") == 0) {
		buf_puts(sig, "<html>502 Bad Gateway</html>");
		return 0;
	}
	if (sign_as(strcmp(how, "other") == 0 ? other : right, alg, in, sig, e) != 0)
		return -1;
	if (strcmp(how, "wrong") == 0)
		sig->p[sig->n - 1] ^= 1;
	if (strcmp(how, "long") == 0)
		buf_puts(sig, "x");
	return 0;
}

const struct engine_ops liar_engine = {
	.kind = "LIAR", .provider = "Liar", .config = &liar_config, .inflight = 4, .open = liar_open,
	.close = liar_close, .load = liar_load, .sign = liar_sign
};

static struct arena *arena;
static char warning[1024];
static int warnings;

static void hear(void *arg, const char *msg)
{
	(void)arg;
	warnings++;
	snprintf(warning, sizeof(warning), "%s", msg);
}

/* Engines "a" and "b" that do this, and the record of `right` in a, with a replica in b. */
static struct ctx engines(const char *a, const char *b, struct key *ret_key)
{
	struct engine_doc docs[] = {
		{ .id = arena_strdup(arena, "a"), .type = arena_strdup(arena, "LIAR"),
		  .config = arena_strdup(arena, a) },
		{ .id = arena_strdup(arena, "b"), .type = arena_strdup(arena, "LIAR"),
		  .config = arena_strdup(arena, b) }
	};
	struct ctx ctx = { .arena = arena, .now = T0, .warn = hear };
	struct err e = { 0 };

	warnings = 0;
	warning[0] = '\0';
	rec_default(arena, &key_type, ret_key);
	ret_key->name = arena_strdup(arena, "ca");
	ret_key->id = arena_strdup(arena, "0123456789");
	ret_key->engine_id = docs[0].id;
	ret_key->handle = arena_strdup(arena, "1");
	ret_key->has_private_key = true;
	if (b)
		ret_key->replicas = words(arena, "b:2");
	if (key_public_pem(arena, right, &ret_key->public_key, &e) != 0)
		exit(99);
	ctx.engines = engines_new(&ctx, docs, b ? 2 : 1, NULL, "/nonexistent");
	return ctx;
}

/* A certificate signed with the key; 0, or the code of the error. */
static int certify(EVP_PKEY *key, struct arena *a, struct err *e)
{
	struct tbs t = { .not_before = T0, .not_after = T0 + DAY };
	struct bytes der = { NULL, 0 };
	struct cert cert;

	if (key_spki(a, right, &t.spki, e) != 0 || name_parse(a, "CN=x", &t.subject, e) != 0)
		return -1;
	t.issuer = t.subject;
	cert_random_serial(&t);
	if (cert_sign(a, &t, key, sigalg_default(key), &der, e) != 0)
		return der.p ? -1 : (int)e->code;
	return cert_parse(a, der, &cert, e) == 0 && cert_issued_by(&cert, &cert) ? 0 : -1;
}

static int one(const char *a, const char *b, struct err *e)
{
	AUTO(EVP_PKEY) *key = NULL;
	struct key k;
	struct ctx ctx = engines(a, b, &k);
	int rc;

	*e = (struct err){ 0 };
	rc = engine_key(&ctx, &k, &key, e) == 0 ? certify(key, arena, e) : (int)e->code;
	EVP_PKEY_free(key);
	key = NULL;
	engines_free(ctx.engines);
	return rc;
}

static void lies(void)
{
	static const char *const hows[] = { "wrong", "other", "garbage", "empty", "long" };
	static const char *const types[] = { "ecdsa:256", "ed25519", "rsa:2048" };
	struct err e = { 0 };

	for (size_t t = 0; t < COUNT(types); t++) {
		EVP_PKEY *saved[] = { right, other };

		if (key_generate(keytype_parse(types[t], &e), &right, &e) != 0 ||
		    key_generate(keytype_parse(types[t], &e), &other, &e) != 0)
			exit(99);
		is_int(one("{how: good}", NULL, &e), 0, "an honest engine");
		for (size_t i = 0; i < COUNT(hows); i++) {
			is_int(one(arena_printf(arena, "{how: %s}", hows[i]), NULL, &e), ERR_REMOTE, hows[i]);
			ok(strstr(e.msg, "engine a: ") != NULL, "the engine is named: %s", e.msg);
			is_int(one(arena_printf(arena, "{how: %s}", hows[i]), "{how: good}", &e), 0,
			       "a replica puts it right");
			ok(warnings == 1 && strstr(warning, "engine a: "), "and that is said: %s", warning);
			is_int(one(arena_printf(arena, "{how: %s}", hows[i]), "{how: other}", &e), ERR_REMOTE,
			       "both lie");
			ok(strstr(e.msg, "engine b: ") != NULL, "the last one is named: %s", e.msg);
		}
		EVP_PKEY_free(right);
		EVP_PKEY_free(other);
		right = saved[0];
		other = saved[1];
	}
}

static void failover(void)
{
	struct err e;

	is_int(one("{how: unreachable}", "{how: good}", &e), 0, "one that cannot be opened");
	ok(warnings == 1 && strstr(warning, "no such host") && strstr(warning, "engine b signs"), "%s", warning);
	is_int(one("{how: down}", "{how: good}", &e), 0, "one that fails when it signs");
	ok(warnings == 1 && strstr(warning, "connection refused") && strstr(warning, "engine b signs"), "%s", warning);
	is_int(one("{how: down}", "{how: native}", &e), 0, "a replica that gives the key away");
	is_int(one("{how: unreachable}", "{how: native}", &e), 0, "and at the start");
	is_int(one("{how: native}", "{how: unreachable}", &e), 0, "what cannot fail needs no replica");
	is_int(warnings, 0, "and opens none");
	is_int(one("{how: good}", "{how: unreachable}", &e), 0, "a replica that is out of reach");
	ok(warnings == 1 && strstr(warning, "cannot stand in"), "is told of: %s", warning);
	is_int(one("{how: down}", "{how: down}", &e), ERR_REMOTE, "none works");
	ok(strstr(e.msg, "engine b: connection refused") != NULL, "%s", e.msg);
	is_int(one("{how: unreachable}", "{how: unreachable}", &e), ERR_REMOTE, "none can be opened");
	ok(strstr(e.msg, "engine a: no such host") != NULL, "%s", e.msg);
	is_int(one("{how: denied}", "{how: good}", &e), ERR_DENIED, "a wrong PIN is not passed over");
	is_int(one("{how: disabled}", "{how: good}", &e), ERR_DENIED, "nor is a key that was disabled");
}

struct many {
	EVP_PKEY *key;
};

static int job(void *arg, size_t i, struct arena *a, struct err *e)
{
	const struct many *m = arg;

	(void)i;
	return certify(m->key, a, e) == 0 ? 0 : -1;
}

/* The engine goes away while four threads sign. */
static void many(void)
{
	struct many m = { NULL };
	struct err e = { 0 };
	struct key k;
	struct ctx ctx = engines("{how: down, after: 50}", "{how: good}", &k);

	ok(engine_key(&ctx, &k, &m.key, &e) == 0, "open %s", e.msg);
	is_int(engine_inflight(&ctx, &k, 0), 4, "as many at once as the engine takes");
	is_int(engine_inflight(&ctx, &k, 2), 2, "or fewer");
	ok(pool_run(200, 4, job, &m, arena, NULL, &e) == 0, "200 certificates on 4 threads: %s", e.msg);
	is_int(warnings, 1, "one warning");
	is_int(((struct liar *)ctx.engines->v[0].engine.priv)->done < 55, 1, "the engine that failed is left alone");
	EVP_PKEY_free(m.key);
	engines_free(ctx.engines);
}

int main(void)
{
	struct err e = { 0 };

	arena = arena_new();
	if (key_generate(keytype_parse("ecdsa:256", &e), &right, &e) != 0 ||
	    key_generate(keytype_parse("ecdsa:256", &e), &other, &e) != 0)
		return 99;
	lies();
	failover();
	many();
	ok(closed > 0, "engines are closed");
	EVP_PKEY_free(right);
	EVP_PKEY_free(other);
	arena_free(arena);
	return done();
}
