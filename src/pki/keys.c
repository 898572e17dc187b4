/* Key records on top of repository and engines. Guarantees: an alias belongs to one key; a key that something is bound
 * to is not deleted; every change is put into the open transaction, and only the caller's commit makes it real. The one
 * thing outside of it, a private key in its engine, is made before the commit and destroyed after it. */
#include "pki/keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/key.h"
#include "engine/engine.h"
#include "state/ledger.h"
#include "state/state.h"

static const char *shown(const struct key *k)
{
	return k->name && k->name[0] ? k->name : k->id;
}

int keys_put(struct ctx *ctx, const struct key *k, struct err *e)
{
	return state_put(ctx->state, &key_type, k->id, k, e);
}

bool keys_have(struct ctx *ctx, const char *key_id)
{
	return state_has(ctx->state, &key_type, key_id);
}

const char *keys_handle_in(const struct key *k, const char *engine_id)
{
	size_t n = strlen(engine_id);

	if (k->has_private_key && k->engine_id && strcmp(k->engine_id, engine_id) == 0)
		return k->handle;
	for (size_t i = 0; i < k->replicas.n; i++)
		if (strncmp(k->replicas.v[i], engine_id, n) == 0 && k->replicas.v[i][n] == ':')
			return k->replicas.v[i] + n + 1;
	return NULL;
}

bool keys_is_in(const struct key *k, const char *engine_id)
{
	return keys_handle_in(k, engine_id) != NULL;
}

int keys_all(struct ctx *ctx, struct key **ret, size_t *ret_n, struct err *e)
{
	struct key *v = state_all(ctx->state, &key_type, ret_n, e);

	if (!v)
		return -1;
	*ret = v;
	return 0;
}

/* A document may name a program only where this clone or its user says so. */
static void allow_commands(const struct state *st)
{
	const char *env = getenv("LAMASSU_ALLOW_COMMANDS");

	if ((env && strcmp(env, "1") == 0) || state_git_flag(st, "lamassu.allowcommands"))
		secret_allow_commands();
}

int keys_describe_engines(struct ctx *ctx, struct err *e)
{
	struct engine_doc *docs;
	size_t n;

	allow_commands(ctx->state);
	docs = state_all(ctx->state, &engine_type, &n, e);
	if (!docs)
		return -1;
	ctx->engines = engines_new(ctx, docs, n, state_config(ctx->state)->default_engine, state_private(ctx->state));
	return 0;
}

/* --- making and taking in --- */

int keys_create(struct ctx *ctx, const char *engine_id, const struct keytype *type, const char *name, struct key *ret,
		struct err *e)
{
	struct key k;

	if (engine_generate(ctx, engine_id, type, name, &k, e) != 0)
		return -1;
	if (keys_put(ctx, &k, e) != 0) {
		keys_abandon(ctx, &k);
		return -1;
	}
	*ret = k;
	return 0;
}

void keys_abandon(struct ctx *ctx, const struct key *k)
{
	int64_t gone_at = k->has_private_key ? keys_destroy(ctx, k) : 0;

	if (gone_at)
		ctx_warn(ctx, "key %s: engine %s deletes its private part on %s, until when it can be kept there",
			 shown(k), k->engine_id, tm_format(ctx->arena, gone_at));
}

/* The record that a key would get, if there is one. */
static int find_record(struct ctx *ctx, const EVP_PKEY *key, bool *ret_found, struct key *ret, struct err *e)
{
	struct bytes spki;
	char *id;

	if (key_spki(ctx->arena, key, &spki, e) != 0)
		return -1;
	id = key_id(ctx->arena, spki);
	*ret_found = keys_have(ctx, id);
	return *ret_found ? state_get(ctx->state, &key_type, id, ret, e) : 0;
}

int keys_import(struct ctx *ctx, const char *engine_id, EVP_PKEY *key, const char *name, struct key *ret, struct err *e)
{
	struct key k, old;
	bool found;

	if (find_record(ctx, key, &found, &old, e) != 0)
		return -1;
	if (found && old.has_private_key)
		return err_set(e, ERR_EXISTS, "the key is here already: %s (%s) in engine %s", shown(&old), old.id,
			       old.engine_id);
	if (engine_import(ctx, engine_id, key, name, &k, e) != 0)
		return -1;
	if (found) {
		old.engine_id = k.engine_id;
		old.handle = k.handle;
		old.has_private_key = true;
		k = old;
	}
	if (keys_put(ctx, &k, e) != 0) {
		keys_abandon(ctx, &k);
		return -1;
	}
	*ret = k;
	return 0;
}

int keys_import_public(struct ctx *ctx, const EVP_PKEY *pub, const char *name, struct key *ret, struct err *e)
{
	const char *type = EVP_PKEY_get0_type_name(pub);
	const struct keytype *known = keytype_of(pub);
	struct bytes spki;
	struct key k;
	bool found;

	if (find_record(ctx, pub, &found, &k, e) != 0)
		return -1;
	if (found)
		return err_set(e, ERR_EXISTS, "the key is here already: %s (%s)", shown(&k), k.id);
	rec_default(ctx->arena, &key_type, &k);
	if (key_spki(ctx->arena, pub, &spki, e) != 0 || key_public_pem(ctx->arena, pub, &k.public_key, e) != 0)
		return -1;
	k.id = key_id(ctx->arena, spki);
	k.name = arena_strdup(ctx->arena, name);
	k.algorithm = arena_strdup(ctx->arena, known ? known->algorithm : type &&
				   strcmp(type, "EC") == 0 ? "ECDSA" : type);
	k.size = known ? known->bits : EVP_PKEY_get_bits(pub);
	k.has_private_key = false;
	k.created_at = ctx->now;
	*ret = k;
	return keys_put(ctx, &k, e);
}

/* --- bindings --- */

static bool same_binding(const struct key_binding *b, const char *type, const char *id)
{
	return strcmp(b->resource_type, type) == 0 && strcmp(b->resource_id, id) == 0;
}

int keys_bind(struct ctx *ctx, struct key *k, const char *resource_type, const char *resource_id, struct err *e)
{
	struct key_binding *old = k->bound.v, *v = arena_new_array(ctx->arena, k->bound.n + 1, struct key_binding);

	for (size_t i = 0; i < k->bound.n; i++) {
		if (same_binding(&old[i], resource_type, resource_id))
			return 0;
		v[i] = old[i];
	}
	v[k->bound.n].resource_type = arena_strdup(ctx->arena, resource_type);
	v[k->bound.n].resource_id = arena_strdup(ctx->arena, resource_id);
	k->bound = (struct vec){ v, k->bound.n + 1 };
	return keys_put(ctx, k, e);
}

int keys_unbind(struct ctx *ctx, struct key *k, const char *resource_type, const char *resource_id, struct err *e)
{
	struct key_binding *v = k->bound.v;
	size_t n = 0;

	for (size_t i = 0; i < k->bound.n; i++)
		if (!same_binding(&v[i], resource_type, resource_id))
			v[n++] = v[i];
	k->bound.n = n;
	return keys_put(ctx, k, e);
}

/* --- deletion --- */

static int refuse_bound(const struct key *k, struct err *e)
{
	const struct key_binding *v = k->bound.v;
	SCOPED_BUF list = buf_init(BUF_TEXT);

	if (k->bound.n == 0)
		return 0;
	for (size_t i = 0; i < k->bound.n && i < 10; i++)
		buf_printf(&list, "%s%s %s", i ? ", " : "", v[i].resource_type, v[i].resource_id);
	if (k->bound.n > 10)
		buf_printf(&list, " and %zu more", k->bound.n - 10);
	return err_set(e, ERR_CONFLICT, "key %s is in use by %s", shown(k), buf_str(&list));
}

struct deletion {
	char *name, *engine_id, *reason;
};

static const struct field deletion_fields[] = {
	STR(deletion, name, "Name of the key."),
	STR(deletion, engine_id, "The engine that held it."),
	STR(deletion, reason, "Why it was deleted."),
	END
};

static const struct schema deletion_type = {
	.name = "deletion", .doc = "What was deleted and why", .size = sizeof(struct deletion),
	.fields = deletion_fields
};

/* The deletion outlives the record: the ledger says what was deleted and why. */
static int note_deletion(struct ctx *ctx, const struct key *k, const char *reason, struct err *e)
{
	struct deletion d = { k->name, k->engine_id, arena_strdup(ctx->arena, reason) };
	SCOPED_BUF json = buf_init(BUF_TEXT);
	struct metachange m = { .id = k->id, .time = ctx->now };

	rec_json(&deletion_type, &d, 0, &json);
	m.kind = arena_strdup(ctx->arena, "key");
	m.key = arena_strdup(ctx->arena, "deleted");
	m.value = arena_strdup(ctx->arena, buf_str(&json));
	return ledger_add_meta(ctx->state, &m, e);
}

int keys_delete(struct ctx *ctx, struct key *k, const char *reason, bool *ret_gone, struct err *e)
{
	struct engine_doc doc = { 0 };

	if (refuse_bound(k, e) != 0)
		return -1;
	if (k->has_private_key && state_has(ctx->state, &engine_type, k->engine_id) &&
	    state_get(ctx->state, &engine_type, k->engine_id, &doc, e) != 0)
		return -1;
	if (doc.retention.secs > 0 && !k->delete_after) {
		k->delete_after = ctx->now + doc.retention.secs;
		k->delete_reason = arena_strdup(ctx->arena, reason);
		*ret_gone = false;
		return keys_put(ctx, k, e);
	}
	if (k->delete_after > ctx->now)
		return err_set(e, ERR_CONFLICT, "key %s: the retention of engine %s lasts until %s", shown(k),
			       k->engine_id,
			       tm_format(ctx->arena, k->delete_after));
	if (doc.id)
		engine_ready(ctx, k->engine_id);
	if (note_deletion(ctx, k, reason ? reason : k->delete_reason, e) != 0)
		return -1;
	*ret_gone = true;
	return state_del(ctx->state, &key_type, k->id, e);
}

/* --- names --- */

static bool list_has(const struct strv *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i], s) == 0)
			return true;
	return false;
}

static void list_add(struct arena *a, struct strv *l, const char *s)
{
	char **v = arena_new_array(a, l->n + 1, char *);

	for (size_t i = 0; i < l->n; i++)
		v[i] = l->v[i];
	v[l->n] = arena_strdup(a, s);
	*l = (struct strv){ v, l->n + 1, true };
}

static void list_remove(struct strv *l, const char *s)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i], s) != 0)
			l->v[n++] = l->v[i];
	l->n = n;
	l->set = n > 0;
}

int keys_alias_add(struct ctx *ctx, struct key *k, const char *alias, bool move, struct err *e)
{
	struct key *v;
	size_t n;

	if (list_has(&k->aliases, alias))
		return 0;
	if (keys_all(ctx, &v, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (!list_has(&v[i].aliases, alias))
			continue;
		if (!move)
			return err_set(e, ERR_EXISTS, "the alias \"%s\" belongs to key %s; --move takes it from there",
				       alias,
				       shown(&v[i]));
		list_remove(&v[i].aliases, alias);
		if (keys_put(ctx, &v[i], e) != 0)
			return -1;
	}
	list_add(ctx->arena, &k->aliases, alias);
	return keys_put(ctx, k, e);
}

int keys_alias_remove(struct ctx *ctx, struct key *k, const char *alias, struct err *e)
{
	if (!list_has(&k->aliases, alias))
		return err_set(e, ERR_NOT_FOUND, "key %s has no alias \"%s\"", shown(k), alias);
	list_remove(&k->aliases, alias);
	return keys_put(ctx, k, e);
}

int keys_tag(struct ctx *ctx, struct key *k, const char *tag, bool remove, struct err *e)
{
	if (!tag[0])
		return err_set(e, ERR_USAGE, "a tag must not be empty");
	if (remove && !list_has(&k->tags, tag))
		return err_set(e, ERR_NOT_FOUND, "key %s has no tag \"%s\"", shown(k), tag);
	if (remove)
		list_remove(&k->tags, tag);
	else if (!list_has(&k->tags, tag))
		list_add(ctx->arena, &k->tags, tag);
	return keys_put(ctx, k, e);
}

int keys_add_replica(struct ctx *ctx, struct key *k, const char *engine_id, const char *handle, struct err *e)
{
	list_add(ctx->arena, &k->replicas, arena_printf(ctx->arena, "%s:%s", engine_id, handle));
	return keys_put(ctx, k, e);
}
