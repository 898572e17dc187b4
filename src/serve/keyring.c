/* Keys that the threads of a worker share. Guarantees: a key is opened by one thread at a time and then used by all;
 * what an open key needs (its engine) stays until the process ends; an engine that is away is asked once a second,
 * however many wait for it. */
#include "serve/keyring.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/tm.h"
#include "engine/engine.h"
#include "pki/keys.h"
#include "state/state.h"

enum { RETRY_MS = 1000, ID_MAX = 128 };

struct opened {
	const char *id;
	EVP_PKEY *key;
	struct opened *next;
};

struct keyring {
	pthread_mutex_t lock;
	struct ctx ctx;
	const char *dir;
	struct opened *first;
	struct {             /* the last key that could not be opened: */
		char id[ID_MAX];
		int64_t until;   /* not tried again before then, whoever asks */
		struct err why;
	} failed;
};

struct keyring *keyring_new(const struct ctx *like, const char *dir)
{
	struct arena *a = arena_new();
	struct keyring *k = arena_new_array(a, 1, struct keyring);

	*k = (struct keyring){ .ctx = *like, .dir = dir };
	k->ctx.arena = a;
	k->ctx.state = NULL;
	k->ctx.engines = NULL;
	pthread_mutex_init(&k->lock, NULL);
	return k;
}

/* The policy may have moved since the last key was opened, so each key has engines of its own, as they are described
 * now; they stay as long as the key, which is for ever. What an attempt that fails has taken is given back. */
static int open_anew(struct keyring *k, const char *id, struct opened **ret, struct err *e)
{
	struct arena *a = arena_new();
	struct ctx *ctx = arena_memdup(a, &k->ctx, sizeof(*ctx));
	const struct state_env env = { .now = ctx->now };
	struct opened *o = arena_new_array(a, 1, struct opened);
	struct key rec;
	int r;

	ctx->arena = a;
	o->id = arena_strdup(a, id);
	r = state_open(a, k->dir, 0, &env, &ctx->state, e) != 0 || keys_describe_engines(ctx, e) != 0 ||
	    state_get(ctx->state, &key_type, id, &rec, e) != 0 || engine_key(ctx, &rec, &o->key, e) != 0 ? -1 : 0;
	state_close(ctx->state);
	ctx->state = NULL;
	if (r == 0) {
		*ret = o;
		return 0;
	}
	engines_free(ctx->engines);
	arena_free(a);
	return -1;
}

static void add(struct keyring *k, struct opened *o)
{
	o->next = k->first;
	k->first = o;
}

/* An engine that is away is asked once in a while, not by each request that waits here. */
static void note_failure(struct keyring *k, const char *id, const struct err *e)
{
	snprintf(k->failed.id, sizeof(k->failed.id), "%s", id);
	k->failed.until = tm_mono_ms() + RETRY_MS;
	k->failed.why = *e;
}

int keyring_open(struct keyring *k, const char *id, EVP_PKEY **ret, struct err *e)
{
	struct opened *o;
	int r = 0;

	pthread_mutex_lock(&k->lock);
	for (o = k->first; o && strcmp(o->id, id) != 0; o = o->next)
		;
	if (!o && strcmp(k->failed.id, id) == 0 && tm_mono_ms() < k->failed.until) {
		*e = k->failed.why;
		r = -1;
	} else if (!o) {
		r = open_anew(k, id, &o, e);
		if (r == 0)
			add(k, o);
		else
			note_failure(k, id, e);
	}
	if (r == 0) {
		EVP_PKEY_up_ref(o->key);
		*ret = o->key;
	}
	pthread_mutex_unlock(&k->lock);
	return r;
}

/* --- copies --- */

/* With engines of its own, described by the policy as it is now. */
static int begin(struct keyring *k, const struct ctx *like, struct ctx *ret, struct err *e)
{
	const struct state_env env = { .now = like->now };

	*ret = k->ctx;
	ret->arena = like->arena;
	ret->now = like->now;
	if (state_open(ret->arena, k->dir, 0, &env, &ret->state, e) != 0)
		return -1;
	if (keys_describe_engines(ret, e) == 0)
		return 0;
	state_close(ret->state);
	return -1;
}

static void end(struct ctx *ctx)
{
	engines_free(ctx->engines);
	state_close(ctx->state);
}

int keyring_deposit(struct keyring *k, const struct ctx *like, const char *engine_id, EVP_PKEY *key, const char *name,
		    struct key *ret, struct err *e)
{
	struct ctx ctx;
	int r;

	pthread_mutex_lock(&k->lock);
	r = begin(k, like, &ctx, e);
	if (r == 0) {
		r = engine_import(&ctx, engine_id, key, name, ret, e);
		end(&ctx);
	}
	pthread_mutex_unlock(&k->lock);
	return r;
}

void keyring_withdraw(struct keyring *k, struct ctx *like, const struct key *copy)
{
	struct err e = { 0 };
	struct ctx ctx;

	pthread_mutex_lock(&k->lock);
	if (begin(k, like, &ctx, &e) == 0) {
		keys_abandon(&ctx, copy);
		end(&ctx);
	} else {
		ctx_warn(like, "key %s stays in engine %s: %s", copy->id, copy->engine_id, e.msg);
	}
	pthread_mutex_unlock(&k->lock);
}
