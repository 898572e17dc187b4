/* Vault's Transit: keys that sign in the server and never leave it. Guarantees: a handle names one version of one key,
 * and a signature of another version is refused, so that rotation at the server changes nothing here; a key with
 * several versions is not deleted, since all would go; keys are made unexportable, and cannot be deleted at the server
 * without saying so first. */
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "engine/key_wrap.h"
#include "engine/vault.h"

static const struct field transit_fields[] = {
	VAULT_ROWS,
	STR(vault_config, mount_path, "Where Transit is mounted.", .dflt = "transit"),
	END
};

static const struct schema transit_type = {
	.name = "config", .doc = "The engine HASHICORP_VAULT_TRANSIT", .size = sizeof(struct vault_config),
	.fields = transit_fields
};

/* clang-format off */
static const struct { const char *name, *type; } types[] = {
	{ "rsa:2048", "rsa-2048" }, { "rsa:3072", "rsa-3072" }, { "rsa:4096", "rsa-4096" },
	{ "ecdsa:256", "ecdsa-p256" },
	{ "ecdsa:384", "ecdsa-p384" }, { "ecdsa:521", "ecdsa-p521" }, { "ed25519", "ed25519" },
};
static const struct { const char *md, *name; } hashes[] = {
	{ "SHA256", "sha2-256" }, { "SHA384", "sha2-384" }, { "SHA512", "sha2-512" },
};
/* clang-format on */

struct transit {
	struct vault *vault;
	const struct vault_config *config;
};

static int transit_open(struct ctx *ctx, struct engine *en, const void *config, struct err *e)
{
	const struct vault_config *c = config;
	struct transit *t = arena_new_array(en->arena, 1, struct transit);

	t->config = c;
	en->priv = t;
	return vault_open(ctx, en, c, &t->vault, e);
}

static void transit_close(struct engine *en)
{
	const struct transit *t = en->priv;

	vault_close(t->vault);
	en->priv = NULL;
}

static const char *transit_name(const struct keytype *type)
{
	for (size_t i = 0; i < COUNT(types); i++)
		if (strcmp(types[i].name, type->name) == 0)
			return types[i].type;
	return NULL;
}

static bool signs(const char *type)
{
	for (size_t i = 0; type && i < COUNT(types); i++)
		if (strcmp(types[i].type, type) == 0)
			return true;
	return false;
}

static int transit_keytypes(struct engine *en, uint32_t *ret, struct err *e)
{
	uint32_t bits = 0;

	(void)en, (void)e;
	for (size_t i = 0; keytypes[i].name; i++)
		if (transit_name(&keytypes[i]))
			bits |= UINT32_C(1) << i;
	*ret = bits;
	return 0;
}

/* "name:3" */
static int split_handle(struct arena *a, const char *handle, char **ret_name, int64_t *ret_version, struct err *e)
{
	const char *colon = strrchr(handle, ':');
	char *end = NULL;
	long version = colon ? strtol(colon + 1, &end, 10) : 0;

	char *name = colon ? arena_strndup(a, handle, (size_t)(colon - handle)) : NULL;

	if (!name || !vault_name_ok(name) || version < 1 || *end)
		return err_set(e, ERR_INVALID, "\"%s\" is not the name of a key of Transit with its version",
			       text_escape(a, bytes_of(handle)));
	*ret_name = name;
	*ret_version = version;
	return 0;
}

static int call(const struct transit *t, struct arena *a, struct vault_request *r, const char *kind, const char *name,
		const char *tail, json_t **ret, struct err *e)
{
	int status;

	r->path = vault_path(a, t->config->mount_path, kind, name, tail);
	return vault_call(t->vault, a, r, &status, ret, e);
}

static int read_key(const struct transit *t, struct arena *a, const char *name, json_t **ret, struct err *e)
{
	struct vault_request r = { .method = "GET", .what = "transit read key" };

	if (!vault_name_ok(name))
		return err_set(e, ERR_INVALID, "\"%s\" is not the name of a key of Transit",
			       text_escape(a, bytes_of(name)));
	if (call(t, a, &r, "keys", name, NULL, ret, e) == 0)
		return 0;
	if (e->code == ERR_NOT_FOUND)
		return err_set(e, ERR_NOT_FOUND, "the engine has no key \"%s\"", text_escape(a, bytes_of(name)));
	return -1;
}

/* Ed25519 keys come as 32 bytes, all others as PEM. */
static int parse_public(struct arena *a, const char *text, EVP_PKEY **ret, struct err *e)
{
	static const unsigned char head[] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00 };
	unsigned char *spki;
	struct bytes raw;

	if (!text)
		return err_set(e, ERR_NOT_FOUND, "the server does not have this version of the key");
	if (text_has_prefix(text, "-----BEGIN "))
		return key_from_public_pem(bytes_of(text), ret, e);
	if (b64_decode(a, bytes_of(text), &raw) != 0 || raw.n != 32)
		return err_set(e, ERR_REMOTE, "the server's answer holds no public key");
	spki = arena_alloc(a, 1, sizeof(head) + raw.n);
	memcpy(spki, head, sizeof(head));
	memcpy(spki + sizeof(head), raw.p, raw.n);
	return key_from_spki((struct bytes){ spki, sizeof(head) + raw.n }, ret, e);
}

static int transit_pubkey(struct ctx *ctx, struct engine *en, const struct keyref *ref, EVP_PKEY **ret, struct err *e)
{
	AUTO(json_t) *j = NULL;
	int64_t version;
	char *name;

	if (split_handle(ctx->arena, ref->handle, &name, &version, e) != 0 ||
	    read_key(en->priv, ctx->arena, name, &j, e) != 0)
		return -1;
	return parse_public(ctx->arena,
			    remote_text(j, arena_printf(ctx->arena, "data.keys.%lld.public_key", (long long)version)),
			    ret, e);
}

/* What the label says, as far as a name can, and 64 random bits: nobody else's key is met. */
static int new_name(struct arena *a, const char *label, char **ret, struct err *e)
{
	unsigned char mark[8];
	SCOPED_BUF b = buf_init(256);

	if (RAND_bytes(mark, sizeof(mark)) != 1)
		return err_set(e, ERR_CRYPTO, "no random bytes");
	for (const char *p = label ? label : ""; *p && b.n < 64; p++)
		buf_putc(&b, strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", *p) ? *p : '-');
	*ret = arena_printf(a, "lamassu-%s-%s", buf_str(&b), hex_encode(a, (struct bytes){ mark, sizeof(mark) }));
	return 0;
}

static struct keyref made(struct arena *a, const char *name, const char *label)
{
	return (struct keyref){ .handle = arena_printf(a, "%s:1", name), .label = label };
}

static int transit_generate(struct ctx *ctx, struct engine *en, const struct keytype *type, const char *label,
			    struct keyref *ret, EVP_PKEY **ret_pub, struct err *e)
{
	/* Asked for twice, the name being the same, it is made once. */
	struct vault_request r = { .method = "POST", .what = "transit make key" };
	AUTO(json_t) *body = json_pack("{s:s, s:b, s:b}", "type", transit_name(type), "exportable", 0,
				       "allow_plaintext_backup", 0);
	AUTO(json_t) *j = NULL;
	struct keyref ref;
	char *name;

	r.body = body;
	if (new_name(ctx->arena, label, &name, e) != 0 ||
	    call(en->priv, ctx->arena, &r, "keys", name, NULL, &j, e) != 0)
		return -1;
	ref = made(ctx->arena, name, label);
	if (transit_pubkey(ctx, en, &ref, ret_pub, e) != 0)
		return err_ctx(e, "the key %s was made and stays at the server", name);
	*ret = ref;
	return 0;
}

/* The key that keys on their way in are wrapped with. */
static int wrapping_key(const struct transit *t, struct arena *a, EVP_PKEY **ret, struct err *e)
{
	struct vault_request r = { .method = "GET", .what = "transit wrapping key" };
	AUTO(json_t) *j = NULL;

	return call(t, a, &r, "wrapping_key", NULL, NULL, &j, e) == 0
	       ? parse_public(a, remote_text(j, "data.public_key"), ret, e) : -1;
}

/* Whether a request came through whose answer was lost: its name is known to nobody else. */
static bool came_in(struct ctx *ctx, struct engine *en, const struct keyref *ref, const EVP_PKEY *priv)
{
	struct err ignored = { 0 };
	AUTO(EVP_PKEY) *pub = NULL;

	return transit_pubkey(ctx, en, ref, &pub, &ignored) == 0 && key_matches(priv, pub);
}

static int transit_import(struct ctx *ctx, struct engine *en, EVP_PKEY *priv, const char *label, struct keyref *ret,
			  struct err *e)
{
	struct vault_request r = { .method = "POST", .what = "transit import key", .once = true };
	AUTO(EVP_PKEY) *rsa = NULL;
	AUTO(json_t) *body = NULL;
	AUTO(json_t) *j = NULL;
	struct keyref ref;
	struct bytes blob;
	char *name;

	if (new_name(ctx->arena, label, &name, e) != 0 || wrapping_key(en->priv, ctx->arena, &rsa, e) != 0 ||
	    key_wrap(ctx->arena, rsa, priv, &blob, e) != 0)
		return -1;
	body = json_pack("{s:s, s:s, s:s, s:b, s:b}", "type", transit_name(keytype_of(priv)), "hash_function", "SHA256",
			 "ciphertext", b64_encode(ctx->arena, blob), "exportable", 0, "allow_plaintext_backup", 0);
	r.body = body;
	ref = made(ctx->arena, name, label);
	if (call(en->priv, ctx->arena, &r, "keys", name, "import", &j, e) != 0) {
		if (e->code != ERR_REMOTE || !came_in(ctx, en, &ref, priv))
			return -1;
		*e = (struct err){ 0 };
	}
	*ret = ref;
	return 0;
}

static json_t *sign_body(struct arena *a, const struct sigalg *alg, struct bytes in, int64_t version)
{
	const char *hash = NULL;
	bool rsa = strcmp(alg->ossl, "RSA") == 0;

	for (size_t i = 0; alg->md && i < COUNT(hashes); i++)
		if (strcmp(hashes[i].md, alg->md) == 0)
			hash = hashes[i].name;
	if (alg->md && !hash)
		return NULL;
	return json_pack("{s:s, s:I, s:b, s:s*, s:s*, s:s*, s:s*}", "input", b64_encode(a, in), "key_version",
			 (json_int_t)version,
			 "prehashed", hash != NULL, "hash_algorithm", hash, "signature_algorithm",
			 rsa ? alg->pss ? "pss" : "pkcs1v15" : NULL,
			 "salt_length", rsa && alg->pss ? "hash" : NULL, "marshaling_algorithm", rsa ? NULL : "asn1");
}

static int transit_sign(struct engine *en, const struct keyref *ref, const struct sigalg *alg, struct bytes in,
			struct buf *sig, struct err *e)
{
	struct vault_request r = { .method = "POST", .what = "transit sign" };
	SCOPED_ARENA *a = arena_new();
	AUTO(json_t) *body = NULL;
	AUTO(json_t) *j = NULL;
	const char *text, *prefix;
	struct bytes raw;
	int64_t version;
	char *name;

	if (split_handle(a, ref->handle, &name, &version, e) != 0)
		return -1;
	body = sign_body(a, alg, in, version);
	if (!body)
		return err_set(e, ERR_UNSUPPORTED, "Transit cannot sign with %s", alg->name);
	r.body = body;
	if (call(en->priv, a, &r, "sign", name, NULL, &j, e) != 0) {
		if (strstr(e->msg, "key not found"))
			e->code = ERR_NOT_FOUND;
		return -1;
	}
	text = remote_text(j, "data.signature");
	prefix = arena_printf(a, "vault:v%lld:", (long long)version);
	if (!text || !text_has_prefix(text, prefix) || b64_decode(a, bytes_of(text + strlen(prefix)), &raw) != 0)
		return err_set(e, ERR_REMOTE, "the server's answer is no signature by version %lld of the key",
			       (long long)version);
	buf_put(sig, raw.p, raw.n);
	return 0;
}

static int transit_destroy(struct ctx *ctx, struct engine *en, const struct keyref *ref, int64_t *ret_gone_at,
			   struct err *e)
{
	struct vault_request allow = { .method = "POST", .what = "transit allow deletion" };
	struct vault_request r = { .method = "DELETE", .what = "transit delete key" };
	AUTO(json_t) *body = json_pack("{s:b}", "deletion_allowed", 1);
	AUTO(json_t) *key = NULL;
	AUTO(json_t) *allowed = NULL;
	AUTO(json_t) *j = NULL;
	int64_t version;
	char *name;

	*ret_gone_at = 0;
	if (split_handle(ctx->arena, ref->handle, &name, &version, e) != 0)
		return -1;
	if (ctx->dry_run)
		return 0;
	if (read_key(en->priv, ctx->arena, name, &key, e) != 0)
		return -1;
	if (json_integer_value(remote_member(key, "data.latest_version")) != 1)
		return err_set(e, ERR_CONFLICT, "the key %s has other versions, which would be deleted with it: delete "
			       "it at the server", name);
	allow.body = body;
	if (call(en->priv, ctx->arena, &allow, "keys", name, "config", &allowed, e) != 0)
		return -1;
	return call(en->priv, ctx->arena, &r, "keys", name, NULL, &j, e);
}

/* All versions of one key, each a key to us. */
static int each_version(struct arena *a, const char *name, json_t *key,
			int (*cb)(void *, const struct keyref *, struct err *), void *arg,
			struct err *e)
{
	json_t *item;
	const char *version;

	if (!signs(remote_text(key, "data.type")))
		return 0;
	json_object_foreach(remote_member(key, "data.keys"), version, item) {
		const struct keyref ref = { .handle = arena_printf(a, "%s:%s", name, version),
					    .label = arena_strdup(a, name) };

		if (json_is_object(item) && cb(arg, &ref, e) != 0)
			return -1;
	}
	return 0;
}

static int transit_each(struct ctx *ctx, struct engine *en, int (*cb)(void *, const struct keyref *, struct err *),
			void *arg, struct err *e)
{
	struct vault_request r = { .method = "LIST", .what = "transit list keys", .missing_ok = true };
	AUTO(json_t) *list = NULL;
	json_t *item;
	size_t i;

	if (call(en->priv, ctx->arena, &r, "keys", NULL, NULL, &list, e) != 0)
		return -1;
	json_array_foreach(remote_member(list, "data.keys"), i, item) {
		AUTO(json_t) *key = NULL;
		struct err why = { 0 };

		if (!json_is_string(item) || !vault_name_ok(json_string_value(item)))
			continue;
		if (read_key(en->priv, ctx->arena, json_string_value(item), &key, &why) != 0) {
			if (why.code == ERR_NOT_FOUND) /* deleted meanwhile */
				continue;
			*e = why;
			return -1;
		}
		if (each_version(ctx->arena, json_string_value(item), key, cb, arg, e) != 0)
			return -1;
	}
	return 0;
}

/* "name" is its newest version, "name:2" that one. */
static int transit_find(struct ctx *ctx, struct engine *en, const char *name, struct keyref *ret, struct err *e)
{
	struct err no_version = { 0 };
	AUTO(json_t) *key = NULL;
	int64_t version = 0;
	char *bare;

	if (split_handle(ctx->arena, name, &bare, &version, &no_version) != 0)
		bare = arena_strdup(ctx->arena, name);
	if (read_key(en->priv, ctx->arena, bare, &key, e) != 0)
		return -1;
	if (!signs(remote_text(key, "data.type")))
		return err_set(e, ERR_UNSUPPORTED, "the key %s is of a type that signs nothing here",
			       text_escape(ctx->arena, bytes_of(bare)));
	if (!version)
		version = json_integer_value(remote_member(key, "data.latest_version"));
	*ret = (struct keyref){ .handle = arena_printf(ctx->arena, "%s:%lld", bare, (long long)version),
				.label = bare };
	return 0;
}

static int transit_state(struct ctx *ctx, struct engine *en, const struct keyref *ref, struct key_state *ret,
			 struct err *e)
{
	AUTO(json_t) *key = NULL;
	struct err why = { 0 };
	json_t *this;
	int64_t version;
	char *name;

	if (split_handle(ctx->arena, ref->handle, &name, &version, e) != 0)
		return -1;
	*ret = (struct key_state){ .standing = KEY_GONE };
	if (read_key(en->priv, ctx->arena, name, &key, &why) != 0) {
		if (why.code == ERR_NOT_FOUND)
			return 0;
		*e = why;
		return -1;
	}
	this = remote_member(key, arena_printf(ctx->arena, "data.keys.%lld", (long long)version));
	if (!this)
		return 0;
	ret->created = arena_strdup(ctx->arena, remote_text(this, "creation_time"));
	ret->standing = json_is_true(remote_member(key, "data.soft_deleted")) ||
			json_integer_value(remote_member(key, "data.min_encryption_version")) > version
			? KEY_DISABLED : KEY_USABLE;
	return 0;
}

/* Logs in, and sees that the key can sign, before a batch begins. */
static int transit_prepare(struct ctx *ctx, struct engine *en, const struct keyref *ref, struct err *e)
{
	struct key_state state;

	if (transit_state(ctx, en, ref, &state, e) != 0)
		return -1;
	if (state.standing == KEY_GONE)
		return err_set(e, ERR_NOT_FOUND, "the engine has no key %s", ref->handle);
	if (state.standing != KEY_USABLE)
		return err_set(e, ERR_DENIED,
			       "the key %s is disabled at the server, deleted for now or below min_encryption_version",
			       ref->handle);
	return 0;
}

static int transit_report(struct ctx *ctx, struct engine *en, char **ret, struct err *e)
{
	const struct transit *t = en->priv;

	return vault_report(ctx, t->vault, t->config, ret, e);
}

static const char *const transit_aka[] = { "VAULT_TRANSIT", "TRANSIT", NULL };

const struct engine_ops vault_transit_engine = {
	.kind = "HASHICORP_VAULT_TRANSIT", .aka = transit_aka, .provider = "HashiCorp Vault Transit",
	.security_level = 1, .scheme = "transit", .outside = true, .config = &transit_type,
	.caps = CAP_GENERATE | CAP_IMPORT | CAP_DELETE | CAP_LIST, .inflight = 32, .open = transit_open,
	.close = transit_close, .keytypes = transit_keytypes, .generate = transit_generate, .import = transit_import,
	.sign = transit_sign, .pubkey = transit_pubkey, .destroy = transit_destroy, .each = transit_each,
	.find = transit_find, .state = transit_state, .prepare = transit_prepare, .report = transit_report
};
