/* Private keys that move between engines, are in several of them, or leave them. Guarantees: a key is removed from one
 * engine only when its record names another that has signed with it, or none at all; every engine is open before
 * anything is written. */
#include <string.h>

#include "crypto/key.h"
#include "engine/engine.h"
#include "model/ca.h"
#include "pki/keys.h"
#include "state/state.h"

static const char *shown(const struct key *k)
{
	return k->name && k->name[0] ? k->name : k->id;
}

/* The record as it would be if the key were in one of its places only: the first is its engine, the others are
 * replicas. */
static struct key only_in(struct arena *a, const struct key *k, size_t place)
{
	struct key one = *k;
	const char *text, *colon;

	one.replicas = (struct strv){ .n = 0 };
	if (place == 0)
		return one;
	text = k->replicas.v[place - 1];
	colon = strchr(text, ':');
	one.engine_id = arena_strndup(a, text, colon ? (size_t)(colon - text) : strlen(text));
	one.handle = arena_strdup(a, colon ? colon + 1 : "");
	return one;
}

/* --- leaving --- */

/* An engine that answers now will most likely answer after the commit; one that has lost the key has nothing to
 * delete. */
static int may_destroy(struct ctx *ctx, const struct key *k, struct err *e)
{
	struct key_state state;
	struct err why = { 0 };
	struct engine *en;

	if (engine_get(ctx, k->engine_id, &en, e) != 0)
		return -1;
	if (!(en->ops->caps & CAP_DELETE))
		return err_set(e, ERR_UNSUPPORTED, "engine %s: cannot delete keys; --keep leaves the key there",
			       k->engine_id);
	if (engine_key_state(ctx, k, &state, &why) == 0 || why.code == ERR_NOT_FOUND)
		return 0;
	*e = why;
	return -1;
}

int keys_may_destroy(struct ctx *ctx, const struct key *k, struct err *e)
{
	for (size_t i = 0; k->has_private_key && i <= k->replicas.n; i++) {
		struct key one = only_in(ctx->arena, k, i);

		if (may_destroy(ctx, &one, e) != 0)
			return -1;
	}
	return 0;
}

int64_t keys_destroy(struct ctx *ctx, const struct key *k)
{
	int64_t last = 0;

	for (size_t i = 0; k->has_private_key && i <= k->replicas.n; i++) {
		struct key one = only_in(ctx->arena, k, i);
		struct err e = { 0 };
		int64_t gone_at = 0;

		if (engine_destroy(ctx, &one, &gone_at, &e) != 0 && e.code != ERR_NOT_FOUND)
			ctx_warn(ctx, "key %s: its private part stays in the engine: %s", shown(k), e.msg);
		if (gone_at > last)
			last = gone_at;
	}
	return last;
}

/* --- coming and moving --- */

/* The new place signs, and the signature is the key's. */
static int prove(struct ctx *ctx, const struct key *k, struct err *e)
{
	AUTO(EVP_PKEY) *key = NULL;
	SCOPED_BUF sig = buf_init(BUF_TEXT);
	const struct sigalg *alg;

	if (engine_key(ctx, k, &key, e) != 0)
		return -1;
	alg = sigalg_default(key);
	return alg ? key_sign(key, alg, bytes_of("lamassu: a key has moved"), &sig, e) : 0;
}

static int copy_to(struct ctx *ctx, const struct key *k, const char *engine_id, EVP_PKEY *key, struct key *ret,
		   struct err *e)
{
	struct key made;

	if (engine_import(ctx, engine_id, key, k->name && k->name[0] ? k->name : k->id, &made, e) != 0)
		return -1;
	if (strcmp(made.id, k->id) == 0 && prove(ctx, &made, e) == 0) {
		*ret = made;
		return 0;
	}
	keys_abandon(ctx, &made);
	return e->code ? -1 : err_set(e, ERR_REMOTE, "engine %s: holds another key than was imported", engine_id);
}

int keys_replicate(struct ctx *ctx, const char *engine_id, EVP_PKEY *key, struct key *ret, struct key *ret_copy,
		   struct err *e)
{
	struct bytes spki;
	struct key k;
	char *id;

	if (key_spki(ctx->arena, key, &spki, e) != 0)
		return -1;
	id = key_id(ctx->arena, spki);
	if (!keys_have(ctx, id))
		return err_set(e, ERR_NOT_FOUND, "the key is not here yet: without --replica it comes in");
	if (state_get(ctx->state, &key_type, id, &k, e) != 0)
		return -1;
	if (!k.has_private_key || keys_is_in(&k, engine_id))
		return err_set(e, ERR_CONFLICT, k.has_private_key ? "key %s is in engine %s already"
			       : "key %s has no private part yet: without --replica it comes into engine %s", shown(&k),
			       engine_id);
	if (copy_to(ctx, &k, engine_id, key, ret_copy, e) != 0)
		return -1;
	*ret = k;
	if (keys_add_replica(ctx, ret, ret_copy->engine_id, ret_copy->handle, e) == 0)
		return 0;
	keys_abandon(ctx, ret_copy);
	return -1;
}

/* The key itself, out of an engine that gives it away. */
static int take_out(struct ctx *ctx, const struct key *k, EVP_PKEY **ret, struct err *e)
{
	struct key here = only_in(ctx->arena, k, 0);
	struct engine *en;

	if (engine_get(ctx, k->engine_id, &en, e) != 0)
		return -1;
	if (!(en->ops->caps & CAP_EXPORT))
		return err_set(e, ERR_UNSUPPORTED,
			       "engine %s: private keys cannot leave it; an authority gets a new one elsewhere with: "
			       "lamassu ca reissue CA --new-key --engine ENGINE", k->engine_id);
	return engine_key(ctx, &here, ret, e);
}

/* Where the key will be: *ret, which has signed. */
static int arrive(struct ctx *ctx, const struct key *k, const char *engine_id, struct key *ret, bool *ret_made,
		  struct err *e)
{
	AUTO(EVP_PKEY) *key = NULL;

	*ret_made = false;
	for (size_t i = 1; i <= k->replicas.n; i++) {
		*ret = only_in(ctx->arena, k, i);
		if (strcmp(ret->engine_id, engine_id) == 0)
			return prove(ctx, ret, e);
	}
	if (take_out(ctx, k, &key, e) != 0 || copy_to(ctx, k, engine_id, key, ret, e) != 0)
		return -1;
	*ret_made = true;
	return 0;
}

static int rebind(struct ctx *ctx, struct key *k, const struct key *to, bool keep, struct err *e)
{
	const char *old = arena_printf(ctx->arena, "%s:%s", k->engine_id, k->handle);
	const char *new = arena_printf(ctx->arena, "%s:%s", to->engine_id, to->handle);
	struct strv l = { .v = arena_new_array(ctx->arena, k->replicas.n + 1, char *) };
	const struct key_binding *b = k->bound.v;

	for (size_t i = 0; i < k->replicas.n; i++)
		if (strcmp(k->replicas.v[i], new) != 0)
			l.v[l.n++] = k->replicas.v[i];
	if (keep)
		l.v[l.n++] = arena_strdup(ctx->arena, old);
	l.set = l.n > 0;
	k->replicas = l;
	k->engine_id = to->engine_id;
	k->handle = to->handle;
	k->adopted = to->adopted;
	for (size_t i = 0; i < k->bound.n; i++)
		if (strcmp(b[i].resource_type, "ca") == 0 && state_has(ctx->state, &ca_type, b[i].resource_id) &&
		    state_set(ctx->state, &ca_type, b[i].resource_id, "engine_id", k->engine_id, e) != 0)
			return -1;
	return keys_put(ctx, k, e);
}

int keys_move(struct ctx *ctx, struct key *k, const char *engine_id, bool keep, struct key *ret_old,
	      struct key *ret_made, struct err *e)
{
	struct key old = only_in(ctx->arena, k, 0), to;
	struct engine *target;
	bool made;

	if (!k->has_private_key || k->delete_after)
		return err_set(e, ERR_DENIED, k->delete_after ? "key %s: it waits for its deletion"
			       : "key %s: only its public part is known here", shown(k));
	if (strcmp(k->engine_id, engine_id) == 0)
		return err_set(e, ERR_CONFLICT, "key %s is in engine %s already", shown(k), engine_id);
	if (engine_get(ctx, engine_id, &target, e) != 0 || (!keep && may_destroy(ctx, &old, e) != 0) ||
	    arrive(ctx, k, engine_id, &to, &made, e) != 0)
		return err_ctx(e, "key %s", shown(k));
	*ret_made = (struct key){ .id = NULL };
	if (made)
		*ret_made = to;
	*ret_old = old;
	if (rebind(ctx, k, &to, keep, e) == 0)
		return 0;
	if (made)
		keys_abandon(ctx, &to);
	return -1;
}
