/* AWS KMS: keys that never leave it. Guarantees: a key is named by its ARN, which no alias can redirect; a call that
 * makes a key is sent once, and when its answer is lost the key is looked for; a key that could not be brought to its
 * end is put up for deletion; nothing is signed that KMS would take for something else than it is. */
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "crypto/key.h"
#include "engine/aws_kms.h"
#include "engine/key_wrap.h"

enum { RAW_MAX = 4096, DELETE_DAYS = 7, FRESH_TRIES = 4, FRESH_PAUSE_MS = 400 };

static const struct {
	const char *type, *spec;
} specs[] = {
	{ "rsa:2048", "RSA_2048" },	    { "rsa:3072", "RSA_3072" },	      { "rsa:4096", "RSA_4096" },
	{ "ecdsa:256", "ECC_NIST_P256" },   { "ecdsa:384", "ECC_NIST_P384" }, { "ecdsa:521", "ECC_NIST_P521" },
	{ "ed25519", "ECC_NIST_EDWARDS25519" }, { "ml-dsa:44", "ML_DSA_44" }, { "ml-dsa:65", "ML_DSA_65" },
	{ "ml-dsa:87", "ML_DSA_87" }
};

static int check(struct arena *a, void *rec, struct err *e)
{
	const struct aws_config *c = rec;
	bool known = !c->key_spec;

	for (size_t i = 0; i < COUNT(specs); i++)
		known |= c->key_spec && strcmp(c->key_spec, specs[i].spec) == 0;
	if (!known)
		return err_set(e, ERR_INVALID, "key_spec: \"%s\" is not a kind of key that signs", c->key_spec);
	if (strcmp(c->key_usage, "SIGN_VERIFY") != 0)
		return err_set(e, ERR_INVALID, "key_usage: must be SIGN_VERIFY");
	return aws_config_check(a, c, e);
}

static const struct field kms_fields[] = {
	AWS_FIELDS,
	STR(aws_config, key_spec, "Accepted for compatibility: the type is given when a key is made."),
	STR(aws_config, key_usage, "Accepted for compatibility.", .dflt = "SIGN_VERIFY"),
	STR(aws_config, alias, "What the aliases of keys begin with in KMS: alias/lamassu/NAME.", .dflt = "lamassu"),
	BOOL(aws_config, multi_region, "Make keys that can be replicated into other regions.", .dflt = "false"),
	INT(aws_config, pending_window_days, "Days between the request to delete a key and its end.", .dflt = "30",
	    .min = 7, .max = 30),
	END
};

static const struct schema kms_type = {
	.name = "config", .doc = "AWS KMS", .size = sizeof(struct aws_config), .fields = kms_fields, .check = check
};

static int kms_open(struct ctx *ctx, struct engine *en, const void *config, struct err *e)
{
	struct kms *k = arena_new_array(en->arena, 1, struct kms);

	k->config = config;
	if (aws_open(ctx, en, &aws_kms_service, config, &k->aws, e) != 0)
		return -1;
	en->priv = k;
	return 0;
}

static void kms_close(struct engine *en)
{
	struct kms *k = en->priv;

	aws_close(k->aws);
	en->priv = NULL;
}

json_t *kms_about(const char *key)
{
	return json_pack("{s:s}", "KeyId", key);
}

/* KMS has no call that lists its types; that it answers is asked once. Whoever may not list keys may still use them. */
static int kms_keytypes(struct engine *en, uint32_t *ret, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct kms *k = en->priv;
	struct err why = { 0 };
	uint32_t bits = 0;

	if (!k->reached && aws_call(k->aws, a, "ListKeys", json_pack("{s:i}", "Limit", 1), false, NULL, &why) != 0 &&
	    !text_has_prefix(why.msg, "kms ListKeys: AccessDenied")) {
		*e = why;
		return -1;
	}
	k->reached = true;
	for (size_t i = 0; keytypes[i].name; i++)
		for (size_t s = 0; s < COUNT(specs); s++)
			if (strcmp(keytypes[i].name, specs[s].type) == 0 && keytype_available(&keytypes[i]))
				bits |= UINT32_C(1) << i;
	*ret = bits;
	return 0;
}

/* --- making --- */

static const char *spec_of(const struct keytype *type)
{
	for (size_t i = 0; i < COUNT(specs); i++)
		if (strcmp(specs[i].type, type->name) == 0)
			return specs[i].spec;
	return NULL;
}

static void pause_ms(long ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static int get_public(struct kms *k, struct arena *a, const char *key, EVP_PKEY **ret, struct err *e)
{
	AUTO(json_t) *j = NULL;
	const char *text;
	struct bytes der;

	if (aws_call(k->aws, a, "GetPublicKey", kms_about(key), false, &j, e) != 0)
		return -1;
	text = remote_text(j, "PublicKey");
	if (!text || b64_decode(a, bytes_of(text), &der) != 0)
		return err_set(e, ERR_REMOTE, "kms GetPublicKey: the answer holds no key");
	return key_from_spki(der, ret, e) == 0 ? 0 : err_ctx(e, "kms GetPublicKey");
}

/* Not every part of KMS knows of a new key at once. */
static int get_fresh_public(struct kms *k, struct arena *a, const char *key, EVP_PKEY **ret, struct err *e)
{
	for (int i = 1;; i++) {
		struct err why = { 0 };

		if (get_public(k, a, key, ret, &why) == 0)
			return 0;
		if (why.code != ERR_NOT_FOUND || i == FRESH_TRIES) {
			*e = why;
			return -1;
		}
		pause_ms(FRESH_PAUSE_MS * i);
	}
}

static json_t *tag(const char *key, const char *value)
{
	return json_pack("{s:s,s:s}", "TagKey", key, "TagValue", value);
}

/* Not every part of KMS knows of a new key at once. */
static int search_made(struct kms *k, struct arena *a, const char *request, const char **ret_arn, struct err *e)
{
	*ret_arn = NULL;
	for (int i = 1;; i++) {
		if (kms_made(k, a, request, ret_arn, e) != 0)
			return -1;
		if (*ret_arn || i == FRESH_TRIES)
			return 0;
		pause_ms(FRESH_PAUSE_MS * i);
	}
}

/* After a CreateKey that failed for `e` without saying that it made nothing. */
static int find_made(struct kms *k, struct arena *a, const char *request, const char **ret_arn, struct err *e)
{
	struct err ignored = { 0 };

	if (search_made(k, a, request, ret_arn, &ignored) != 0)
		return err_ctx(e,
			       "no key was recorded; if AWS made one nevertheless it has "
			       "the tag " KMS_TAG_REQUEST "=%s", request);
	if (!*ret_arn)
		return err_ctx(e, "no key was recorded, and KMS shows none with the tag " KMS_TAG_REQUEST "=%s",
			       request);
	*e = (struct err){ 0 };
	return 0;
}

/* One CreateKey, and no second one: when its answer is lost the tag tells which key it made. */
static int create(struct ctx *ctx, struct engine *en, const char *spec, bool external, const char *label,
		  const char **ret_arn, struct err *e)
{
	struct kms *k = en->priv;
	struct arena *a = ctx->arena;
	const char *request = arena_strndup(a, engine_passphrase_random(a), 32), *arn;
	AUTO(json_t) *j = NULL;
	json_t *in = json_pack("{s:s,s:s,s:s,s:b,s:s,s:[o,o,o]}", "KeySpec", spec, "KeyUsage", "SIGN_VERIFY", "Origin",
			       external ? "EXTERNAL" : "AWS_KMS", "MultiRegion", k->config->multi_region, "Description",
			       label ? label : "", "Tags", tag("lamassu:engine", en->doc->id),
			       tag("lamassu:name", aws_tag_value(a, label)), tag(KMS_TAG_REQUEST, request));

	if (aws_call(k->aws, a, "CreateKey", in, true, &j, e) != 0)
		return e->code == ERR_REMOTE ? find_made(k, a, request, ret_arn, e) : -1;
	arn = remote_text(j, "KeyMetadata.Arn");
	if (!arn) {
		(void)!err_set(e, ERR_REMOTE, "kms CreateKey: the answer names no key");
		return find_made(k, a, request, ret_arn, e);
	}
	*ret_arn = arena_strdup(a, arn);
	return 0;
}

/* A key that nobody will use. */
static void drop(struct ctx *ctx, struct kms *k, const char *arn)
{
	struct err e = { 0 };
	json_t *in = json_pack("{s:s,s:i}", "KeyId", arn, "PendingWindowInDays", DELETE_DAYS);

	if (aws_call(k->aws, ctx->arena, "ScheduleKeyDeletion", in, false, NULL, &e) != 0)
		ctx_warn(ctx, "the key %s stays in KMS, unused: %s", arn, e.msg);
}

/* The alias under which the original looked for its keys. Without permission for it the key is as good. */
static int finish(struct ctx *ctx, struct kms *k, const char *arn, const EVP_PKEY *pub, const char *label,
		  struct keyref *ret, struct err *e)
{
	struct err why = { 0 };
	struct bytes spki;
	const char *id;

	if (key_spki(ctx->arena, pub, &spki, e) != 0)
		return -1;
	id = key_id(ctx->arena, spki);
	if (kms_alias(k, ctx->arena, arena_printf(ctx->arena, "alias/%s", id), arn, &why) != 0)
		ctx_warn(ctx, "the key has no alias in KMS: %s", why.msg);
	*ret = (struct keyref){ .handle = arn, .id = id, .label = label };
	return 0;
}

static int kms_generate(struct ctx *ctx, struct engine *en, const struct keytype *type, const char *label,
			struct keyref *ret, EVP_PKEY **ret_pub, struct err *e)
{
	struct kms *k = en->priv;
	AUTO(EVP_PKEY) *pub = NULL;
	const char *arn;

	if (create(ctx, en, spec_of(type), false, label, &arn, e) != 0)
		return -1;
	if (get_fresh_public(k, ctx->arena, arn, &pub, e) != 0 || finish(ctx, k, arn, pub, label, ret, e) != 0) {
		drop(ctx, k, arn);
		return -1;
	}
	*ret_pub = pub;
	pub = NULL;
	return 0;
}

/* --- import --- */

static int parameters(struct kms *k, struct arena *a, const char *arn, EVP_PKEY **ret_rsa, const char **ret_token,
		      struct err *e)
{
	AUTO(json_t) *j = NULL;
	json_t *in = json_pack("{s:s,s:s,s:s}", "KeyId", arn, "WrappingAlgorithm", "RSA_AES_KEY_WRAP_SHA_256",
			       "WrappingKeySpec", "RSA_4096");
	const char *text, *token;
	struct bytes der;

	if (aws_call(k->aws, a, "GetParametersForImport", in, false, &j, e) != 0)
		return -1;
	text = remote_text(j, "PublicKey");
	token = remote_text(j, "ImportToken");
	if (!text || !token || b64_decode(a, bytes_of(text), &der) != 0 || key_from_spki(der, ret_rsa, e) != 0)
		return err_set(e, ERR_REMOTE, "kms GetParametersForImport: the answer holds no wrapping key");
	*ret_token = arena_strdup(a, token);
	return 0;
}

static int send_material(struct kms *k, struct arena *a, const char *arn, EVP_PKEY *key, struct err *e)
{
	AUTO(EVP_PKEY) *rsa = NULL;
	const char *token;
	struct bytes wrapped;
	json_t *in;

	if (parameters(k, a, arn, &rsa, &token, e) != 0 || key_wrap(a, rsa, key, &wrapped, e) != 0)
		return -1;
	in = json_pack("{s:s,s:s,s:s,s:s}", "KeyId", arn, "ImportToken", token, "EncryptedKeyMaterial",
		       b64_encode(a, wrapped), "ExpirationModel", "KEY_MATERIAL_DOES_NOT_EXPIRE");
	return aws_call(k->aws, a, "ImportKeyMaterial", in, false, NULL, e);
}

static int kms_import(struct ctx *ctx, struct engine *en, EVP_PKEY *key, const char *label, struct keyref *ret,
		      struct err *e)
{
	struct kms *k = en->priv;
	AUTO(EVP_PKEY) *pub = NULL;
	const char *arn;

	if (create(ctx, en, spec_of(keytype_of(key)), true, label, &arn, e) != 0)
		return -1;
	if (send_material(k, ctx->arena, arn, key, e) == 0 && get_fresh_public(k, ctx->arena, arn, &pub, e) == 0) {
		if (!key_matches(key, pub))
			err_set(e, ERR_REMOTE, "KMS says that it holds another key than the one it was given");
		else if (finish(ctx, k, arn, pub, label, ret, e) == 0)
			return 0;
	}
	drop(ctx, k, arn);
	return -1;
}

/* --- using --- */

static const char *algorithm_of(const struct sigalg *alg)
{
	if (strcmp(alg->name, "Ed25519") == 0)
		return "ED25519_SHA_512";
	return text_has_prefix(alg->name, "ML_DSA_") ? "ML_DSA_SHAKE_256" : alg->name;
}

static int kms_sign(struct engine *en, const struct keyref *ref, const struct sigalg *alg, struct bytes in,
		    struct buf *sig, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct kms *k = en->priv;
	AUTO(json_t) *j = NULL;
	const char *text;
	struct bytes raw;

	if (!alg->md && in.n > RAW_MAX)
		return err_set(e, ERR_UNSUPPORTED, "KMS signs at most %d bytes with %s, and this is %zu: an ECDSA or "
			       "RSA key has no such limit, and CRLs can be partitioned", RAW_MAX, alg->name, in.n);
	if (aws_call(k->aws, a, "Sign",
		     json_pack("{s:s,s:s,s:s,s:s}", "KeyId", ref->handle, "Message", b64_encode(a, in), "MessageType",
			       alg->md ? "DIGEST" : "RAW", "SigningAlgorithm", algorithm_of(alg)), false, &j, e) != 0)
		return -1;
	text = remote_text(j, "Signature");
	if (!text || b64_decode(a, bytes_of(text), &raw) != 0)
		return err_set(e, ERR_REMOTE, "kms Sign: the answer holds no signature");
	buf_put(sig, raw.p, raw.n);
	return 0;
}

static int kms_pubkey(struct ctx *ctx, struct engine *en, const struct keyref *ref, EVP_PKEY **ret, struct err *e)
{
	return get_public(en->priv, ctx->arena, ref->handle, ret, e);
}

static int kms_destroy(struct ctx *ctx, struct engine *en, const struct keyref *ref, int64_t *ret_gone_at,
		       struct err *e)
{
	struct kms *k = en->priv;
	AUTO(json_t) *j = NULL;
	struct key_state state;
	json_t *in = json_pack("{s:s,s:I}", "KeyId", ref->handle, "PendingWindowInDays",
			       (json_int_t)k->config->pending_window_days);

	if (aws_call(k->aws, ctx->arena, "ScheduleKeyDeletion", in, false, &j, e) == 0) {
		*ret_gone_at = (int64_t)json_number_value(remote_member(j, "DeletionDate"));
		return 0;
	}
	/* It may be on its way already: the answer of an earlier request was lost, or somebody else did it. */
	if (kms_state(ctx, en, ref, &state, &(struct err){ 0 }) != 0 || state.standing != KEY_DELETING)
		return -1;
	*e = (struct err){ 0 };
	*ret_gone_at = state.gone_at;
	return 0;
}

static const char *const kms_aka[] = { "AWSKMS", NULL };

const struct engine_ops aws_kms_engine = {
	.kind = "AWS_KMS", .aka = kms_aka, .provider = "AWS KMS", .security_level = 1, .scheme = "awskms",
	.outside = true,
	.config = &kms_type, .caps = CAP_GENERATE | CAP_IMPORT | CAP_DELETE | CAP_LIST, .inflight = 64,
	.open = kms_open, .close = kms_close, .keytypes = kms_keytypes, .generate = kms_generate, .import = kms_import,
	.sign = kms_sign, .pubkey = kms_pubkey, .destroy = kms_destroy, .each = kms_each, .find = kms_find,
	.state = kms_state, .annotate = kms_annotate
};
