/* AWS Secrets Manager: a store of encrypted keys, one secret each. Guarantees: a secret is replaced only where the
 * caller's version is still the present one, which Secrets Manager itself checks when the label AWSCURRENT moves;
 * what was replaced loses its label; deleted keys can be restored for some days. Payload: {"key": "<base64 of
 * PEM>"}. */
#include <ctype.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/text.h"
#include "engine/aws.h"
#include "engine/sealed.h"

enum { PAGES_MAX = 1000, KEY_ID_LEN = 64, TOKEN_LEN = 32 };

struct sm {
	struct aws *aws;
	const struct aws_config *config;
};

static int check(struct arena *a, void *rec, struct err *e)
{
	const struct aws_config *c = rec;
	size_t n = strlen(c->prefix);

	if (n > 200 || strspn(c->prefix, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_+=.@-") != n)
		return err_set(e, ERR_INVALID, "prefix: a name holds letters, digits and /_+=.@- only, and a prefix "
			       "200 of them at most");
	if (c->recovery_window_days && c->recovery_window_days < 7)
		return err_set(e, ERR_INVALID, "recovery_window_days: 7 to 30, or 0 for none");
	return aws_config_check(a, c, e);
}

static const struct field sm_fields[] = {
	AWS_FIELDS,
	STR(aws_config, prefix, "What the names of the secrets begin with; \"\" finds the keys of the original.",
	    .dflt = "lamassu/"),
	STR(aws_config, kms_key_id, "Key of KMS that new secrets are encrypted with. Default: the account's own for "
	    "secrets."),
	INT(aws_config, recovery_window_days, "Days in which a deleted key can be restored, 7 to 30; 0: it is gone at "
	    "once.", .dflt = "7", .max = 30),
	BOOL(aws_config, unencrypted, "Keep new keys as they are, protected by AWS alone.", .dflt = "false"),
	SEALED_PASSPHRASE(aws_config),
	END
};

static const struct schema sm_type = {
	.name = "config", .doc = "AWS Secrets Manager", .size = sizeof(struct aws_config), .fields = sm_fields,
	.check = check
};

static int sm_open(struct ctx *ctx, struct engine *en, const void *config, struct err *e)
{
	struct sm *s = arena_new_array(en->arena, 1, struct sm);

	s->config = config;
	en->unencrypted = s->config->unencrypted;
	en->passphrase = s->config->passphrase;
	if (aws_open(ctx, en, &aws_sm_service, config, &s->aws, e) != 0)
		return -1;
	en->priv = s;
	return 0;
}

static void sm_close(struct engine *en)
{
	struct sm *s = en->priv;

	aws_close(s->aws);
	en->priv = NULL;
}

/* Names come from records, which others may have written. */
static int secret_name(struct ctx *ctx, struct engine *en, const char *name, const char **ret, struct err *e)
{
	const struct sm *s = en->priv;
	size_t n = strlen(name);

	if (n == 0 || n > 200 || strspn(name, "0123456789abcdefghijklmnopqrstuvwxyz._-") != n)
		return err_set(e, ERR_INVALID, "\"%s\" is not the name of a key of Secrets Manager", name);
	*ret = arena_printf(ctx->arena, "%s%s", s->config->prefix, name);
	return 0;
}

static bool is_deleted(const struct err *e)
{
	return e->code == ERR_CONFLICT && (strstr(e->msg, "deletion") || strstr(e->msg, "deleted"));
}

/* --- reading --- */

/* {"key": base64}, a PEM as it is, or bytes. */
static int payload(struct arena *a, json_t *j, struct bytes *ret, struct err *e)
{
	const char *text = remote_text(j, "SecretString"), *binary = remote_text(j, "SecretBinary"), *key;
	AUTO(json_t) *inner = NULL;
	struct err not_json = { 0 };

	if (binary && b64_decode(a, bytes_of(binary), ret) == 0)
		return 0;
	if (text && remote_json(bytes_of(text), &inner, &not_json) == 0) {
		key = remote_text(inner, "key");
		if (key && b64_decode(a, bytes_of(key), ret) == 0)
			return 0;
	} else if (text) {
		*ret = bytes_of(arena_strdup(a, text));
		return 0;
	}
	return err_set(e, ERR_REMOTE, "the secret holds no key");
}

static int sm_get(struct ctx *ctx, struct engine *en, const char *name, struct bytes *ret, const char **ret_version,
		  struct err *e)
{
	struct sm *s = en->priv;
	AUTO(json_t) *j = NULL;
	struct err why = { 0 };
	const char *secret, *version;

	if (secret_name(ctx, en, name, &secret, e) != 0)
		return -1;
	if (aws_call(s->aws, ctx->arena, "GetSecretValue",
		     json_pack("{s:s,s:s}", "SecretId", secret, "VersionStage", "AWSCURRENT"), false, &j, &why) != 0) {
		if (is_deleted(&why))
			return err_set(e, ERR_NOT_FOUND, "the secret %s was deleted; it can still be restored "
				       "(RestoreSecret)", secret);
		*e = why;
		return -1;
	}
	version = remote_text(j, "VersionId");
	if (!version)
		return err_set(e, ERR_REMOTE, "secretsmanager GetSecretValue: the answer names no version");
	if (payload(ctx->arena, j, ret, e) != 0)
		return err_ctx(e, "%s", secret);
	if (ret_version)
		*ret_version = arena_strdup(ctx->arena, version);
	return 0;
}

/* --- writing --- */

static int token(struct arena *a, const char **ret, struct err *e)
{
	const char *text = engine_passphrase_random(a);

	if (!text)
		return err_set(e, ERR_CRYPTO, "no random numbers");
	*ret = arena_strndup(a, text, TOKEN_LEN);
	return 0;
}

static const char *wrapped(struct arena *a, struct bytes blob)
{
	return arena_printf(a, "{\"key\":\"%s\"}", b64_encode(a, blob));
}

static int make(struct ctx *ctx, struct engine *en, const char *secret, struct bytes blob, struct err *e)
{
	struct sm *s = en->priv;
	const char *id;
	json_t *in;

	if (token(ctx->arena, &id, e) != 0)
		return -1;
	in = json_pack("{s:s,s:s,s:s,s:s*,s:[{s:s,s:s}]}", "Name", secret, "SecretString", wrapped(ctx->arena, blob),
		       "ClientRequestToken", id, "KmsKeyId", s->config->kms_key_id, "Tags", "Key", "lamassu:engine",
		       "Value", en->doc->id);
	return aws_call(s->aws, ctx->arena, "CreateSecret", in, false, NULL, e);
}

static int move_label(struct sm *s, struct arena *a, const char *secret, const char *label, const char *to,
		      const char *from, struct err *e)
{
	json_t *in = json_pack("{s:s,s:s,s:s*,s:s*}", "SecretId", secret, "VersionStage", label, "MoveToVersionId", to,
			       "RemoveFromVersionId", from);

	return aws_call(s->aws, a, "UpdateSecretVersionStage", in, false, NULL, e);
}

/* Check and set: the new version comes in under a label of its own, and AWSCURRENT moves to it from the version that
 * was read. */
static int replace(struct ctx *ctx, struct engine *en, const char *secret, struct bytes blob, const char *over,
		   struct err *e)
{
	struct sm *s = en->priv;
	struct err why = { 0 }, ignored = { 0 };
	const char *id, *label;
	json_t *in;
	int rc;

	if (token(ctx->arena, &id, e) != 0)
		return -1;
	label = arena_printf(ctx->arena, "lamassu-%s", id);
	in = json_pack("{s:s,s:s,s:s,s:[s]}", "SecretId", secret, "SecretString", wrapped(ctx->arena, blob),
		       "ClientRequestToken", id, "VersionStages", label);
	if (aws_call(s->aws, ctx->arena, "PutSecretValue", in, false, NULL, e) != 0)
		return -1;
	rc = move_label(s, ctx->arena, secret, "AWSCURRENT", id, over, &why);
	(void)!move_label(s, ctx->arena, secret, label, NULL, id, &ignored);
	if (rc == 0) { /* what was replaced may be under an old passphrase */
		(void)!move_label(s, ctx->arena, secret, "AWSPREVIOUS", NULL, over, &ignored);
		return 0;
	}
	if (strstr(why.msg, "InvalidParameter") || why.code == ERR_NOT_FOUND)
		return err_set(e, ERR_CONFLICT, "%s was changed at the same time by somebody else", secret);
	*e = why;
	return -1;
}

/* A secret that waits for its deletion has its name still: it is brought back, with the new content. */
static int revive(struct ctx *ctx, struct engine *en, const char *name, const char *secret, struct bytes blob,
		  struct err *e)
{
	struct sm *s = en->priv;
	const char *version;
	struct bytes old;

	if (aws_call(s->aws, ctx->arena, "RestoreSecret", json_pack("{s:s}", "SecretId", secret), false, NULL,
		     e) != 0 ||
	    sm_get(ctx, en, name, &old, &version, e) != 0)
		return -1;
	return replace(ctx, en, secret, blob, version, e);
}

static int put_new(struct ctx *ctx, struct engine *en, const char *name, const char *secret, struct bytes blob,
		   struct err *e)
{
	struct sm *s = en->priv;
	AUTO(json_t) *j = NULL;
	struct err why = { 0 };
	bool deleted;

	if (make(ctx, en, secret, blob, &why) == 0)
		return 0;
	deleted = is_deleted(&why);
	if (why.code == ERR_EXISTS &&
	    aws_call(s->aws, ctx->arena, "DescribeSecret", json_pack("{s:s}", "SecretId", secret), false, &j,
		     &(struct err){ 0 }) == 0)
		deleted = json_is_number(remote_member(j, "DeletedDate"));
	if (deleted)
		return revive(ctx, en, name, secret, blob, e);
	*e = why;
	return -1;
}

static int sm_put(struct ctx *ctx, struct engine *en, const char *name, struct bytes blob, const char *over,
		  struct err *e)
{
	struct err why = { 0 };
	struct bytes old;
	const char *secret;

	if (secret_name(ctx, en, name, &secret, e) != 0)
		return -1;
	if (over && over[0])
		return replace(ctx, en, secret, blob, over, e);
	if (over && sm_get(ctx, en, name, &old, &over, &why) == 0)
		return replace(ctx, en, secret, blob, over, e);
	if (why.code && why.code != ERR_NOT_FOUND) {
		*e = why;
		return -1;
	}
	return put_new(ctx, en, name, secret, blob, e);
}

static bool is_key(const char *name)
{
	size_t n = 0;

	while (isdigit((unsigned char)name[n]) || (name[n] >= 'a' && name[n] <= 'f'))
		n++;
	return n == KEY_ID_LEN;
}

static int sm_del(struct ctx *ctx, struct engine *en, const char *name, int64_t *ret_gone_at, struct err *e)
{
	struct sm *s = en->priv;
	AUTO(json_t) *j = NULL;
	struct err why = { 0 };
	const char *secret;
	/* Passing forms of a key are not worth keeping: they open with another passphrase. */
	bool at_once = s->config->recovery_window_days == 0 || !is_key(name) || name[KEY_ID_LEN];
	json_t *in;

	if (secret_name(ctx, en, name, &secret, e) != 0)
		return -1;
	in = at_once ? json_pack("{s:s,s:b}", "SecretId", secret, "ForceDeleteWithoutRecovery", 1)
		     : json_pack("{s:s,s:I}", "SecretId", secret, "RecoveryWindowInDays",
				 (json_int_t)s->config->recovery_window_days);
	if (aws_call(s->aws, ctx->arena, "DeleteSecret", in, false, &j, &why) != 0) {
		if (is_deleted(&why))
			return err_set(e, ERR_NOT_FOUND, "the secret %s is deleted already", secret);
		*e = why;
		return -1;
	}
	*ret_gone_at = at_once ? 0 : (int64_t)json_number_value(remote_member(j, "DeletionDate"));
	return 0;
}

/* --- the rest --- */

/* Names of keys, and their passing forms; an account has other secrets too. */
static int each_name(const struct sm *s, struct arena *a, json_t *list, int (*cb)(void *, const char *, struct err *),
		     void *arg, struct err *e)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		const char *name = remote_text(item, "Name");

		if (!name || !text_has_prefix(name, s->config->prefix))
			continue;
		name += strlen(s->config->prefix);
		if (is_key(name) && strspn(name, "0123456789abcdefghijklmnopqrstuvwxyz._-") == strlen(name) &&
		    cb(arg, arena_strdup(a, name), e) != 0)
			return -1;
	}
	return 0;
}

static int sm_each(struct ctx *ctx, struct engine *en, int (*cb)(void *, const char *, struct err *), void *arg,
		   struct err *e)
{
	struct sm *s = en->priv;
	const char *next = NULL;

	for (int page = 0; page < PAGES_MAX; page++) {
		AUTO(json_t) *j = NULL;
		json_t *in = json_pack("{s:i,s:s*}", "MaxResults", 100, "NextToken", next);

		if (s->config->prefix[0])
			json_object_set_new(in, "Filters", json_pack("[{s:s,s:[s]}]", "Key", "name", "Values",
								     s->config->prefix));
		if (aws_call(s->aws, ctx->arena, "ListSecrets", in, false, &j, e) != 0 ||
		    each_name(s, ctx->arena, remote_member(j, "SecretList"), cb, arg, e) != 0)
			return -1;
		next = arena_strdup(ctx->arena, remote_text(j, "NextToken"));
		if (!next)
			return 0;
	}
	return err_set(e, ERR_REMOTE, "secretsmanager ListSecrets: more than %d pages", PAGES_MAX);
}

static int drop_stale(struct sm *s, struct arena *a, const char *secret, const struct strv *tags, struct err *e)
{
	AUTO(json_t) *gone = json_array();
	AUTO(json_t) *j = NULL;
	json_t *item;
	size_t i;

	if (aws_call(s->aws, a, "DescribeSecret", json_pack("{s:s}", "SecretId", secret), false, &j, e) != 0)
		return -1;
	json_array_foreach(remote_member(j, "Tags"), i, item) {
		const char *key = remote_text(item, "Key");
		bool wanted = !key || !text_has_prefix(key, AWS_TAG_PREFIX);

		for (size_t t = 0; t < tags->n && !wanted; t++)
			wanted = strcmp(key, aws_tag_key(a, tags->v[t])) == 0;
		if (!wanted)
			json_array_append_new(gone, json_string(key));
	}
	if (json_array_size(gone) == 0)
		return 0;
	return aws_call(s->aws, a, "UntagResource", json_pack("{s:s,s:O}", "SecretId", secret, "TagKeys", gone), false,
			NULL, e);
}

static int sm_annotate(struct ctx *ctx, struct engine *en, const char *name, const struct key_notes *notes,
		       struct err *e)
{
	struct sm *s = en->priv;
	const char *secret;
	json_t *tags = json_pack("[{s:s,s:s}]", "Key", "lamassu:name", "Value", aws_tag_value(ctx->arena, notes->name));

	for (size_t i = 0; i < notes->tags.n; i++)
		json_array_append_new(tags, json_pack("{s:s,s:s}", "Key", aws_tag_key(ctx->arena, notes->tags.v[i]),
						      "Value", ""));
	if (secret_name(ctx, en, name, &secret, e) != 0) {
		json_decref(tags);
		return -1;
	}
	if (aws_call(s->aws, ctx->arena, "TagResource", json_pack("{s:s,s:o}", "SecretId", secret, "Tags", tags), false,
		     NULL, e) != 0)
		return -1;
	return drop_stale(s, ctx->arena, secret, &notes->tags, e);
}

static const struct store_ops sm_store = {
	.shared = true, .open = sm_open, .close = sm_close, .get = sm_get, .put = sm_put, .del = sm_del,
	.each = sm_each, .annotate = sm_annotate
};

const struct engine_ops aws_sm_engine = {
	.kind = "AWS_SECRETS_MANAGER", .provider = "AWS Secrets Manager", .security_level = 0, .outside = true,
	.config = &sm_type, .store = &sm_store, SEALED_OPS, .find = sealed_find, .annotate = sealed_annotate
};
