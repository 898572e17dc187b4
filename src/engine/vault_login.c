/* Logging in to Vault: which method, its request, the token that comes back, and the token's renewal. Guarantees: a
 * wrapping token is used once; a refused login is not tried again; nothing secret is in a message; nothing is kept on
 * disk. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "engine/vault.h"

#define KUBERNETES_TOKEN "file:/var/run/secrets/kubernetes.io/serviceaccount/token"

static const char *token_of_env(void)
{
	const char *t = getenv("VAULT_TOKEN");

	return t && *t ? t : getenv("BAO_TOKEN");
}

static enum vault_login method_of(const struct vault_config *c)
{
	if (c->auth != VAULT_AUTO)
		return (enum vault_login)c->auth;
	if (c->token)
		return VAULT_TOKEN;
	if (c->role_id)
		return VAULT_APPROLE;
	if (c->jwt || (c->role && !c->cert_file))
		return VAULT_KUBERNETES;
	return c->cert_file ? VAULT_CERT : VAULT_TOKEN;
}

static int copy_secret(char to[4096], const char *from, const char *what, struct err *e)
{
	size_t n = strlen(from);

	if (n >= 4096)
		return err_set(e, ERR_INVALID, "%s: longer than one can be", what);
	if (n == 0 || from[strcspn(from, "\r\n")])
		return err_set(e, ERR_INVALID, "%s: empty, or of several lines", what);
	memcpy(to, from, n + 1);
	return 0;
}

int vault_credentials(struct arena *a, const struct vault_config *c, struct vault_credentials *ret, struct err *e)
{
	const char *what = "token";
	char *secret = NULL;

	*ret = (struct vault_credentials){ .config = c, .how = method_of(c) };
	switch (ret->how) {
	case VAULT_APPROLE:
		what = "secret_id";
		if (!c->role_id)
			return err_set(e, ERR_INVALID, "role_id: must be given for a login by AppRole");
		if (!c->secret_id)
			return 0; /* roles with bind_secret_id=false */
		break;
	case VAULT_KUBERNETES:
		return c->role ? 0 : err_set(e, ERR_INVALID, "role: must be given for a login by Kubernetes");
	case VAULT_CERT:
		return 0;
	default:
		if (!c->token && token_of_env())
			return copy_secret(ret->secret_id, token_of_env(), "VAULT_TOKEN", e);
		if (!c->token)
			return err_set(e, ERR_DENIED,
				       "a login is needed: token, role_id and secret_id, role, or cert_file in the "
				       "engine's document, or VAULT_TOKEN in the environment");
	}
	if (secret_resolve(a, what, strcmp(what, "token") == 0 ? c->token : c->secret_id, &secret, e) != 0)
		return -1;
	return copy_secret(ret->secret_id, secret, what, e);
}

/* The token of an answer to a login. */
static int take_auth(json_t *j, struct vault_lease *ret, struct err *e)
{
	const char *token = remote_text(j, "auth.client_token");
	json_int_t secs = json_integer_value(remote_member(j, "auth.lease_duration"));

	if (!token || copy_secret(ret->token, token, "token", e) != 0)
		return err_set(e, ERR_REMOTE,
			       "the answer to the login has no token; a second factor cannot be given here");
	ret->own = true;
	ret->renewable = json_is_true(remote_member(j, "auth.renewable"));
	ret->secs = secs > 0 ? secs : 0;
	return 0;
}

/* A response-wrapped secret id. The wrapping token can be used once, so whoever comes second learns that he does. */
static int unwrap(struct vault *v, struct arena *a, struct vault_credentials *c, struct err *e)
{
	const struct vault_request r = { .method = "POST", .path = "sys/wrapping/unwrap", .what = "unwrap",
					 .once = true };
	AUTO(json_t) *j = NULL;
	const char *id;
	int status;

	if (vault_raw(v, a, c->secret_id, &r, &status, &j, e) != 0) {
		if (e->code != ERR_DENIED && strstr(e->msg, "wrapping token") == NULL)
			return -1;
		return err_set(e, ERR_DENIED, "secret_id: the wrapping token is not valid: it has expired or was used "
			       "already; if not by you, the secret id inside is known to somebody else");
	}
	id = remote_text(j, "data.secret_id");
	if (!id || copy_secret(c->secret_id, id, "secret_id", e) != 0)
		return err_set(e, ERR_DENIED, "secret_id: what was wrapped is not the secret id of an AppRole");
	c->unwrapped = true;
	return 0;
}

static int login_body(struct vault *v, struct arena *a, struct vault_credentials *c, json_t **ret, struct err *e)
{
	const struct vault_config *cf = c->config;
	char *jwt;

	switch (c->how) {
	case VAULT_APPROLE:
		if (cf->secret_id_wrapped && !c->unwrapped && unwrap(v, a, c, e) != 0)
			return -1;
		*ret = json_pack("{s:s, s:s*}", "role_id", cf->role_id, "secret_id",
				 c->secret_id[0] ? c->secret_id : NULL);
		return 0;
	case VAULT_KUBERNETES: /* read anew each time: Kubernetes replaces it */
		if (secret_resolve(a, "jwt", cf->jwt ? cf->jwt : KUBERNETES_TOKEN, &jwt, e) != 0)
			return -1;
		*ret = json_pack("{s:s, s:s}", "role", cf->role, "jwt", jwt);
		return 0;
	default:
		*ret = json_pack("{s:s*}", "name", cf->role);
		return 0;
	}
}

/* How long the token that was given may be used; one whose policy does not let it look is used as it is. */
static int look_up(struct vault *v, struct arena *a, struct vault_lease *lease, struct err *e)
{
	const struct vault_request r = { .method = "GET", .path = "auth/token/lookup-self", .what = "look up token" };
	AUTO(json_t) *j = NULL;
	json_int_t secs;
	int status;

	if (vault_raw(v, a, lease->token, &r, &status, &j, e) != 0) {
		if (e->code != ERR_DENIED)
			return -1;
		*e = (struct err){ 0 };
		return 0;
	}
	secs = json_integer_value(remote_member(j, "data.ttl"));
	lease->secs = secs > 0 ? secs : 0;
	lease->renewable = json_is_true(remote_member(j, "data.renewable"));
	return 0;
}

int vault_login(struct vault *v, struct arena *a, struct vault_credentials *c, struct vault_lease *ret, struct err *e)
{
	static const char *const names[] = { [VAULT_APPROLE] = "AppRole", [VAULT_KUBERNETES] = "Kubernetes",
					     [VAULT_CERT] = "certificate" };
	static const char *const mounts[] = { [VAULT_APPROLE] = "approle", [VAULT_KUBERNETES] = "kubernetes",
					      [VAULT_CERT] = "cert" };
	struct vault_request r = { .method = "POST", .what = "log in" };
	const char *mount;
	AUTO(json_t) *body = NULL;
	AUTO(json_t) *j = NULL;
	int status;

	*ret = (struct vault_lease){ 0 };
	if (c->how == VAULT_TOKEN) {
		memcpy(ret->token, c->secret_id, sizeof(ret->token));
		return look_up(v, a, ret, e);
	}
	if (login_body(v, a, c, &body, e) != 0)
		return -1;
	mount = c->config->auth_mount ? c->config->auth_mount : mounts[c->how];
	r.path = vault_path(a, "auth", mount, NULL, "login");
	r.body = body;
	if (vault_raw(v, a, NULL, &r, &status, &j, e) != 0) {
		if (e->code == ERR_NOT_FOUND || e->code == ERR_INVALID)
			e->code = ERR_DENIED;
		return err_ctx(e, "login by %s at auth/%s", names[c->how], mount);
	}
	return take_auth(j, ret, e);
}

int vault_renew(struct vault *v, struct arena *a, struct vault_lease *lease, struct err *e)
{
	const struct vault_request r = { .method = "POST", .path = "auth/token/renew-self", .what = "renew token" };
	AUTO(json_t) *j = NULL;
	json_int_t secs;
	int status;

	if (vault_raw(v, a, lease->token, &r, &status, &j, e) != 0)
		return -1;
	secs = json_integer_value(remote_member(j, "auth.lease_duration"));
	lease->renewable = json_is_true(remote_member(j, "auth.renewable"));
	lease->secs = secs > 0 ? secs : 0;
	return 0;
}
