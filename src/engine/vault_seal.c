/* The seal of a Vault server: what it says of itself, for `kms engine show`, and unsealing with shares that the config
 * refers to. Guarantees: shares go to a sealed server only, one request each, and are in no message. */
#include <string.h>

#include "base/text.h"
#include "engine/vault.h"

static int seal_status(struct vault *v, struct arena *a, json_t **ret, struct err *e)
{
	const struct vault_request r = { .method = "GET", .path = "sys/seal-status", .what = "seal status" };
	int status;

	return vault_raw(v, a, NULL, &r, &status, ret, e);
}

/* Whether it is the active one; a server that does not say so is taken for it. */
static bool stands_by(struct vault *v, struct arena *a)
{
	const struct vault_request r = { .method = "GET", .what = "health",
					 .path = "sys/health?standbyok=true&perfstandbyok=true"
		"&sealedcode=200&uninitcode=200&drsecondarycode=200" };
	AUTO(json_t) *j = NULL;
	struct err ignored = { 0 };
	int status;

	return vault_raw(v, a, NULL, &r, &status, &j, &ignored) == 0 && json_is_true(json_object_get(j, "standby"));
}

int vault_report(struct ctx *ctx, struct vault *v, const struct vault_config *c, char **ret, struct err *e)
{
	AUTO(json_t) *j = NULL;
	AUTO(json_t) *said = NULL;
	const char *type;
	bool auto_unseal;
	size_t n;

	if (seal_status(v, ctx->arena, &j, e) != 0)
		return -1;
	type = remote_text(j, "type");
	auto_unseal = type && strcmp(type, "shamir") != 0;
	if (c->auto_unseal_enabled && !auto_unseal)
		ctx_warn(ctx, "auto_unseal_enabled: the server's seal is \"%s\", it does not unseal itself: SL0 is "
			 "the truth", remote_say(ctx->arena, type));
	said = json_pack("{s:s*, s:b, s:b, s:s*, s:b, s:s*}", "version", remote_text(j, "version"), "sealed",
			 json_is_true(json_object_get(j, "sealed")), "standby", stands_by(v, ctx->arena), "seal", type,
			 "auto_unseal_enabled", auto_unseal, "cluster", remote_text(j, "cluster_name"));
	n = said ? json_dumpb(said, NULL, 0, JSON_COMPACT) : 0;
	if (n == 0)
		return err_set(e, ERR_REMOTE, "the server's answer is no seal status");
	*ret = arena_alloc(ctx->arena, 1, n + 1);
	json_dumpb(said, *ret, n, JSON_COMPACT);
	return 0;
}

static int give_share(struct vault *v, struct arena *a, const char *share, bool *ret_sealed, struct err *e)
{
	AUTO(json_t) *body = json_pack("{s:s}", "key", share);
	const struct vault_request r = { .method = "PUT", .path = "sys/unseal", .what = "unseal", .body = body };
	AUTO(json_t) *j = NULL;
	int status;

	if (vault_raw(v, a, NULL, &r, &status, &j, e) != 0)
		return -1;
	*ret_sealed = !json_is_false(json_object_get(j, "sealed"));
	return 0;
}

int vault_unseal(struct vault *v, struct arena *a, const struct vault_config *c, struct err *e)
{
	AUTO(json_t) *j = NULL;
	bool sealed;
	char *share;

	if (c->auto_unseal_keys.n == 0)
		return 0;
	if (seal_status(v, a, &j, e) != 0)
		return -1;
	sealed = json_is_true(json_object_get(j, "sealed"));
	for (size_t i = 0; sealed && i < c->auto_unseal_keys.n; i++)
		if (secret_resolve(a, "auto_unseal_keys", c->auto_unseal_keys.v[i], &share, e) != 0 ||
		    give_share(v, a, share, &sealed, e) != 0)
			return -1;
	return sealed ? err_set(e, ERR_REMOTE, "the server is sealed: auto_unseal_keys has too few shares of its key")
		      : 0;
}
