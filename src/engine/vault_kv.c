/* Keys in Vault's KV store, version 2: a secret a key, {"key": base64 of PEM}, as LAMASSU IoT has it. Guarantees: every
 * write is check and set, so that of two writers one is told; the version that a new one replaces is destroyed, so that
 * an old passphrase opens nothing; a key is deleted with all its versions unless the config asks for deletion that can
 * be undone. Nothing else at the mount is touched. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "engine/sealed.h"
#include "engine/vault.h"

static const char *const delete_names[] = { "destroy", "soft", NULL };

static const struct field kv_fields[] = {
	VAULT_ROWS,
	STR(vault_config, mount_path, "Where the KV store is mounted.", .dflt = "secret"),
	STR(vault_config, path, "Folder of the keys below the mount."),
	ENUM(vault_config, delete_mode, delete_names,
	     "destroy: a deleted key is gone with all its versions. soft: its version is marked deleted and can be "
	     "brought back with `kv undelete`.", .dflt = "destroy"),
	SEALED_PASSPHRASE(vault_config),
	BOOL(vault_config, unencrypted, "Keep new keys without encryption of our own, protected by the server alone.",
	     .dflt = "false"),
	END
};

static const struct schema kv_type = {
	.name = "config", .doc = "The engine HASHICORP_VAULT_KV_V2", .size = sizeof(struct vault_config),
	.fields = kv_fields
};

struct kv {
	struct vault *vault;
	const struct vault_config *config;
	bool looked; /* the mount is a KV store of version 2, or we may not know */
};

static int kv_open(struct ctx *ctx, struct engine *en, const void *config, struct err *e)
{
	const struct vault_config *c = config;
	struct kv *kv = arena_new_array(en->arena, 1, struct kv);

	if (vault_open(ctx, en, c, &kv->vault, e) != 0)
		return -1;
	kv->config = c;
	en->priv = kv;
	en->unencrypted = c->unencrypted;
	en->passphrase = c->passphrase;
	return 0;
}

static void kv_close(struct engine *en)
{
	struct kv *kv = en->priv;

	vault_close(kv->vault);
	en->priv = NULL;
}

/* "secret/data/NAME" */
static int kv_path(struct arena *a, const struct kv *kv, const char *kind, const char *name, const char **ret,
		   struct err *e)
{
	if (!vault_name_ok(name))
		return err_set(e, ERR_INVALID, "\"%s\" is not the name of a key in the KV store",
			       text_escape(a, bytes_of(name)));
	*ret = vault_path(a, kv->config->mount_path, kind, kv->config->path, name);
	return 0;
}

/* What is there now. */
struct present {
	json_t *json;
	int64_t version; /* 0: there never was one */
	bool gone;       /* the version is deleted or destroyed */
};

static int look(struct ctx *ctx, struct kv *kv, const char *name, struct present *ret, struct err *e)
{
	struct vault_request r = { .method = "GET", .what = "kv read", .missing_ok = true };
	json_t *meta;
	int status;

	if (kv_path(ctx->arena, kv, "data", name, &r.path, e) != 0 ||
	    vault_call(kv->vault, ctx->arena, &r, &status, &ret->json, e) != 0)
		return -1;
	meta = remote_member(ret->json, "data.metadata");
	ret->version = json_integer_value(json_object_get(meta, "version"));
	ret->gone = status == 404;
	if (status != 404 && ret->version <= 0) {
		json_decref(ret->json);
		return err_set(e, ERR_REMOTE, "%s: is not a KV store of version 2", kv->config->mount_path);
	}
	return 0;
}

/* The bytes of a secret; ERR_NOT_FOUND where it is none of ours. */
static int content(struct ctx *ctx, json_t *j, const char *name, struct bytes *ret, struct err *e)
{
	const char *text = remote_text(j, "data.data.key");

	if (!text)
		return err_set(e, ERR_NOT_FOUND, "%s: the secret has no member \"key\"", name);
	if (text_has_prefix(text, "-----BEGIN ")) {
		*ret = bytes_of(arena_strdup(ctx->arena, text));
		return 0;
	}
	if (b64_decode(ctx->arena, bytes_of(text), ret) != 0)
		return err_set(e, ERR_REMOTE, "%s: the member \"key\" of the secret is not base64", name);
	return 0;
}

static int kv_get(struct ctx *ctx, struct engine *en, const char *name, struct bytes *ret, const char **ret_version,
		  struct err *e)
{
	struct kv *kv = en->priv;
	struct present there;
	int rc;

	if (look(ctx, kv, name, &there, e) != 0)
		return -1;
	AUTO(json_t) *j = there.json;
	if (there.gone && there.version)
		return err_set(e, ERR_NOT_FOUND, "the engine has no private key here: version %lld of %s was deleted",
			       (long long)there.version,
			       vault_path(ctx->arena, kv->config->mount_path, NULL, kv->config->path, name));
	if (there.gone)
		return err_set(e, ERR_NOT_FOUND, "the engine has no private key here: %s",
			       vault_path(ctx->arena, kv->config->mount_path, NULL, kv->config->path, name));
	rc = content(ctx, j, name, ret, e);
	if (rc == 0 && ret_version)
		*ret_version = arena_printf(ctx->arena, "%lld", (long long)there.version);
	return rc;
}

/* Written to a store of version 1, a key would not be where it is looked for. A policy may hide what the mount is. */
static int check_mount(struct ctx *ctx, struct kv *kv, struct err *e)
{
	struct vault_request r = { .method = "GET", .what = "look at mount" };
	AUTO(json_t) *j = NULL;
	const char *type, *version;
	struct err why = { 0 };
	int status;

	if (kv->looked)
		return 0;
	r.path = vault_path(ctx->arena, "sys/internal/ui/mounts", kv->config->mount_path, NULL, NULL);
	if (vault_call(kv->vault, ctx->arena, &r, &status, &j, &why) != 0) {
		if (why.code != ERR_DENIED && why.code != ERR_NOT_FOUND) {
			*e = why;
			return -1;
		}
	} else {
		type = remote_text(j, "data.type");
		version = remote_text(j, "data.options.version");
		if (type && (strcmp(type, "kv") != 0 || !version || strcmp(version, "2") != 0))
			return err_set(e, ERR_REMOTE, "%s: is not a KV store of version 2", kv->config->mount_path);
	}
	kv->looked = true;
	return 0;
}

/* One write that takes effect only when the present version is `cas`. */
static int write_over(struct ctx *ctx, struct kv *kv, const char *name, struct bytes blob, int64_t cas, struct err *e)
{
	struct vault_request r = { .method = "POST", .what = "kv write" };
	AUTO(json_t) *body = json_pack("{s:{s:I}, s:{s:s}}", "options", "cas", (json_int_t)cas, "data", "key",
				       b64_encode(ctx->arena, blob));
	AUTO(json_t) *j = NULL;
	int status;

	r.body = body;
	if (kv_path(ctx->arena, kv, "data", name, &r.path, e) != 0)
		return -1;
	return vault_call(kv->vault, ctx->arena, &r, &status, &j, e);
}

static void destroy_version(struct ctx *ctx, struct kv *kv, const char *name, int64_t version)
{
	struct vault_request r = { .method = "PUT", .what = "kv destroy" };
	AUTO(json_t) *body = json_pack("{s:[I]}", "versions", (json_int_t)version);
	AUTO(json_t) *j = NULL;
	struct err e = { 0 };
	int status;

	r.body = body;
	if (kv_path(ctx->arena, kv, "destroy", name, &r.path, &e) != 0 ||
	    vault_call(kv->vault, ctx->arena, &r, &status, &j, &e) != 0)
		ctx_warn(ctx, "%s: version %lld, which was replaced, can still be read: %s", name, (long long)version,
			 e.msg);
}

/* After a write that met another version: what is there may be ours, when an answer was lost; and where the last
 * version was deleted, a new one is made over it. */
static int settle(struct ctx *ctx, struct kv *kv, const char *name, struct bytes blob, bool fresh, struct err *e)
{
	struct present there;
	struct err ignored = { 0 };
	struct bytes now;

	if (look(ctx, kv, name, &there, e) != 0)
		return -1;
	AUTO(json_t) *j = there.json;
	if (!there.gone && content(ctx, j, name, &now, &ignored) == 0 && bytes_equal(now, blob))
		return 0;
	if (fresh && there.gone)
		return write_over(ctx, kv, name, blob, there.version, e);
	return err_set(e, fresh ? ERR_EXISTS : ERR_CONFLICT,
		       fresh ? "%s exists already" : "%s was changed by somebody else meanwhile",
		       vault_path(ctx->arena, kv->config->mount_path, NULL, kv->config->path, name));
}

static int kv_put(struct ctx *ctx, struct engine *en, const char *name, struct bytes blob, const char *over,
		  struct err *e)
{
	struct kv *kv = en->priv;
	struct err first = { 0 };
	int64_t cas = over ? atoll(over) : 0;

	if (check_mount(ctx, kv, e) != 0)
		return -1;
	if (over && strcmp(over, STORE_ANY) == 0) {
		struct present there;

		if (look(ctx, kv, name, &there, e) != 0)
			return -1;
		json_decref(there.json);
		cas = there.version;
		over = there.version && !there.gone ? over : NULL;
	}
	if (write_over(ctx, kv, name, blob, cas, &first) != 0 &&
	    (first.code != ERR_CONFLICT || settle(ctx, kv, name, blob, !over, e) != 0)) {
		if (first.code != ERR_CONFLICT)
			*e = first;
		return -1;
	}
	if (over)
		destroy_version(ctx, kv, name, cas);
	return 0;
}

static int kv_del(struct ctx *ctx, struct engine *en, const char *name, int64_t *ret_gone_at, struct err *e)
{
	struct kv *kv = en->priv;
	bool soft = kv->config->delete_mode == VAULT_SOFT;
	struct vault_request r = { .method = "DELETE", .what = "kv delete" };
	AUTO(json_t) *j = NULL;
	struct present there;
	int status;

	/* Deleting what is not there succeeds too. */
	if (look(ctx, kv, name, &there, e) != 0)
		return -1;
	json_decref(there.json);
	if (there.version == 0 || (soft && there.gone))
		return err_set(e, ERR_NOT_FOUND, "the engine has no private key here: %s",
			       vault_path(ctx->arena, kv->config->mount_path, NULL, kv->config->path, name));
	if (kv_path(ctx->arena, kv, soft ? "data" : "metadata", name, &r.path, e) != 0 ||
	    vault_call(kv->vault, ctx->arena, &r, &status, &j, e) != 0)
		return -1;
	*ret_gone_at = 0;
	return 0;
}

/* Folders, and what cannot be the name of a key, are passed by. */
static int kv_each(struct ctx *ctx, struct engine *en, int (*cb)(void *, const char *, struct err *), void *arg,
		   struct err *e)
{
	struct kv *kv = en->priv;
	struct vault_request r = { .method = "LIST", .what = "kv list", .missing_ok = true };
	AUTO(json_t) *j = NULL;
	json_t *item;
	size_t i;
	int status;

	r.path = vault_path(ctx->arena, kv->config->mount_path, "metadata", kv->config->path, NULL);
	if (vault_call(kv->vault, ctx->arena, &r, &status, &j, e) != 0)
		return -1;
	json_array_foreach(remote_member(j, "data.keys"), i, item) {
		const char *name = json_string_value(item), *path;
		struct err unfit = { 0 };

		if (name && kv_path(ctx->arena, kv, "data", name, &path, &unfit) == 0 &&
		    cb(arg, arena_strdup(ctx->arena, name), e) != 0)
			return -1;
	}
	return 0;
}

enum { NOTE_MAX = 512 }; /* bytes of a value */

static char *note_list(struct arena *a, const struct strv *l)
{
	SCOPED_BUF b = buf_init(NOTE_MAX);

	for (size_t i = 0; i < l->n; i++)
		buf_printf(&b, "%s%s", i ? ", " : "", l->v[i]);
	return arena_strdup(a, buf_str(&b));
}

static void set_note(json_t *custom, const char *key, const char *value)
{
	if (value && value[0] && strlen(value) <= NOTE_MAX)
		json_object_set_new(custom, key, json_string(value));
	else
		json_object_del(custom, key);
}

/* What people call the key, where they look at secrets; what others have noted there stays. From now on every writer
 * must check and set. */
static int kv_annotate(struct ctx *ctx, struct engine *en, const char *name, const struct key_notes *notes,
		       struct err *e)
{
	struct kv *kv = en->priv;
	struct vault_request r = { .method = "GET", .what = "kv read metadata" };
	AUTO(json_t) *old = NULL;
	AUTO(json_t) *body = NULL;
	AUTO(json_t) *j = NULL;
	json_t *custom;
	int status;

	if (kv_path(ctx->arena, kv, "metadata", name, &r.path, e) != 0 ||
	    vault_call(kv->vault, ctx->arena, &r, &status, &old, e) != 0)
		return -1;
	custom = remote_member(old, "data.custom_metadata");
	custom = json_is_object(custom) ? json_copy(custom) : json_object();
	set_note(custom, "name", notes->name);
	set_note(custom, "aliases", note_list(ctx->arena, &notes->aliases));
	set_note(custom, "tags", note_list(ctx->arena, &notes->tags));
	body = json_pack("{s:o, s:b}", "custom_metadata", custom, "cas_required", 1);
	r = (struct vault_request){ .method = "POST", .path = r.path, .what = "kv write metadata", .body = body };
	return vault_call(kv->vault, ctx->arena, &r, &status, &j, e);
}

static int kv_report(struct ctx *ctx, struct engine *en, char **ret, struct err *e)
{
	const struct kv *kv = en->priv;

	return vault_report(ctx, kv->vault, kv->config, ret, e);
}

static int kv_level(const void *config)
{
	const struct vault_config *c = config;

	return c->auto_unseal_enabled;
}

static const struct store_ops kv_store = {
	.shared = true, .open = kv_open, .close = kv_close, .get = kv_get, .put = kv_put, .del = kv_del,
	.each = kv_each, .annotate = kv_annotate
};

static const char *const kv_aka[] = { "HASHICORP_VAULT", "VAULT_KV_V2", "VAULT", "OPENBAO", NULL };

const struct engine_ops vault_kv_engine = {
	.kind = "HASHICORP_VAULT_KV_V2", .aka = kv_aka, .provider = "HashiCorp Vault KV v2", .security_level = 1,
	.level = kv_level, .scheme = "vault", .outside = true, .config = &kv_type, .store = &kv_store, SEALED_OPS,
	.find = sealed_find, .annotate = sealed_annotate, .report = kv_report
};
