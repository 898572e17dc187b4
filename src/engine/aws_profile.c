/* Credentials from the environment and from AWS's shared files: keys, roles over other profiles, the cache of `aws
 * sso login`. Guarantees: the files are read anew each time, since others change them; no program is run; a cache is
 * only read. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "base/tm.h"
#include "crypto/ossl.h"
#include "engine/aws_keys.h"

enum { MAX_DEPTH = 5, MAX_FILE = 1 << 20 };

/* --- the files --- */

static char *in_home(struct arena *a, const char *path)
{
	const char *home = aws_env("HOME");

	return home ? fs_join(a, home, path) : NULL;
}

static int read_file(struct arena *a, const char *variable, const char *usual, const char **ret_path,
		     struct aws_ini *ret, struct err *e)
{
	const char *given = aws_env(variable), *path = given ? given : in_home(a, usual);
	struct bytes text;

	*ret = (struct aws_ini){ 0 };
	*ret_path = path ? path : usual;
	if (!path)
		return 0;
	if (fs_read_input(a, path, MAX_FILE, &text, e) == 0)
		return aws_ini_parse(a, path, text, ret, e);
	if (e->code != ERR_NOT_FOUND)
		return -1;
	*e = (struct err){ 0 };
	return 0;
}

int aws_files_read(struct arena *a, struct aws_files *ret, struct err *e)
{
	return read_file(a, "AWS_CONFIG_FILE", ".aws/config", &ret->config_path, &ret->config, e) != 0 ||
	       read_file(a, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", &ret->credentials_path,
			 &ret->credentials, e) != 0
	       ? -1 : 0;
}

/* [default] may also be written [profile default]. */
static const char *config_section(const struct aws_files *f, struct arena *a, const char *profile)
{
	const char *name = arena_printf(a, "profile %s", profile);

	return strcmp(profile, "default") == 0 && !aws_ini_has(&f->config, name) ? "default" : name;
}

const char *aws_profile_get(const struct aws_files *f, struct arena *a, const char *profile, const char *key)
{
	const char *value = aws_ini_get(&f->credentials, profile, key);

	return value ? value : aws_ini_get(&f->config, config_section(f, a, profile), key);
}

static bool has_profile(const struct aws_files *f, struct arena *a, const char *profile)
{
	return aws_ini_has(&f->credentials, profile) || aws_ini_has(&f->config, config_section(f, a, profile));
}

static int open_files(const struct aws *w, struct arena *a, struct aws_files *ret, struct err *e)
{
	if (aws_files_read(a, ret, e) != 0)
		return -1;
	if (w->profile_named && !has_profile(ret, a, w->profile))
		return err_set(e, ERR_NOT_FOUND, "profile \"%s\" is neither in %s nor in %s", w->profile,
			       ret->config_path, ret->credentials_path);
	return 0;
}

/* --- keys as they stand --- */

int aws_from_environment(struct aws *w, struct arena *a, struct aws_keys *ret, bool *ret_found, struct err *e)
{
	const char *token = aws_env("AWS_SESSION_TOKEN"), *until = aws_env("AWS_CREDENTIAL_EXPIRATION");
	struct aws_keys k = { .access = aws_env("AWS_ACCESS_KEY_ID"), .secret = aws_env("AWS_SECRET_ACCESS_KEY"),
			      .source = "the environment" };

	*ret_found = k.access && !w->config->profile;
	if (!*ret_found)
		return 0;
	if (!k.secret)
		return err_set(e, ERR_DENIED, "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not");
	if (until && tm_parse(until, &k.expires, e) != 0)
		return err_ctx(e, "AWS_CREDENTIAL_EXPIRATION");
	k.token = token ? token : aws_env("AWS_SECURITY_TOKEN");
	(void)a;
	*ret = k;
	return 0;
}

static int static_keys(const struct aws_files *f, struct arena *a, const char *profile, struct aws_keys *ret,
		       bool *ret_found, struct err *e)
{
	struct aws_keys k = { .access = aws_profile_get(f, a, profile, "aws_access_key_id"),
			      .secret = aws_profile_get(f, a, profile, "aws_secret_access_key"),
			      .token = aws_profile_get(f, a, profile, "aws_session_token"),
			      .source = arena_printf(a, "profile \"%s\"", profile) };

	*ret_found = k.access && k.access[0];
	if (!*ret_found)
		return 0;
	if (!k.secret || !k.secret[0])
		return err_set(e, ERR_DENIED, "profile \"%s\" has aws_access_key_id, but no aws_secret_access_key",
			       profile);
	*ret = k;
	return 0;
}

int aws_from_profile(struct aws *w, struct arena *a, struct aws_keys *ret, bool *ret_found, struct err *e)
{
	struct aws_files f;

	if (open_files(w, a, &f, e) != 0 || static_keys(&f, a, w->profile, ret, ret_found, e) != 0)
		return -1;
	if (!*ret_found && aws_profile_get(&f, a, w->profile, "credential_process"))
		return err_set(e, ERR_UNSUPPORTED, "profile \"%s\": credential_process is not run; give its command as "
			       "secret_access_key: command:…", w->profile);
	return 0;
}

/* --- roles --- */

static int read_web_token(struct arena *a, const char *path, const char **ret, struct err *e)
{
	struct bytes text;
	char *token;

	if (fs_read_input(a, path, MAX_FILE, &text, e) != 0)
		return err_ctx(e, "web identity token");
	token = arena_strndup(a, (const char *)text.p, text.n);
	token[strcspn(token, "\r\n")] = '\0';
	*ret = token;
	return token[0] ? 0 : err_set(e, ERR_DENIED, "web identity token: %s is empty", path);
}

static int role_of(struct aws *w, struct arena *a, const struct aws_files *f, const char *profile, struct aws_role *ret,
		   struct err *e)
{
	const char *secs = aws_profile_get(f, a, profile, "duration_seconds");
	const char *session = aws_profile_get(f, a, profile, "role_session_name"),
		*region = aws_profile_get(f, a, profile, "region");
	const char *web = aws_profile_get(f, a, profile, "web_identity_token_file");

	if (aws_profile_get(f, a, profile, "mfa_serial"))
		return err_set(e, ERR_DENIED, "profile \"%s\": its role wants a one-time password (mfa_serial), which "
			       "nobody can give here", profile);
	*ret = (struct aws_role){ .arn = aws_profile_get(f, a, profile, "role_arn"),
				  .session = session ? session : w->config->role_session_name,
				  .external_id = aws_profile_get(f, a, profile, "external_id"),
				  .region = region ? region : w->region, .secs = secs ? strtol(secs, NULL, 10) : 0 };
	return web ? read_web_token(a, web, &ret->web_token, e) : 0;
}

/* credential_source: where the keys for the role are. */
static int keys_from(struct aws *w, struct arena *a, const char *profile, const char *source, struct aws_keys *ret,
		     struct err *e)
{
	bool found = false;
	int rc;

	if (strcmp(source, "Environment") == 0)
		rc = aws_from_environment(w, a, ret, &found, e);
	else if (strcmp(source, "Ec2InstanceMetadata") == 0)
		rc = aws_from_instance(w, a, ret, &found, e);
	else if (strcmp(source, "EcsContainer") == 0)
		rc = aws_from_container(w, a, ret, &found, e);
	else
		return err_set(e, ERR_INVALID, "profile \"%s\": credential_source \"%s\" is not known", profile,
			       source);
	return rc != 0 || found ? rc : err_set(e, ERR_DENIED, "profile \"%s\": there are no credentials in %s", profile,
					       source);
}

static int profile_keys(struct aws *w, struct arena *a, const struct aws_files *f, const char *profile, int depth,
			struct aws_keys *ret, struct err *e)
{
	const char *from = aws_profile_get(f, a, profile, "source_profile"),
		*source = aws_profile_get(f, a, profile, "credential_source");
	bool found = false;
	struct aws_keys base = { 0 };
	struct aws_role role;

	if (depth == MAX_DEPTH)
		return err_set(e, ERR_INVALID, "profile \"%s\": source_profile leads in a circle or too far", profile);
	if (!has_profile(f, a, profile))
		return err_set(e, ERR_NOT_FOUND, "profile \"%s\" is not there", profile);
	if (depth > 0 && static_keys(f, a, profile, ret, &found, e) != 0)
		return -1;
	if (found)
		return 0;
	if (role_of(w, a, f, profile, &role, e) != 0)
		return -1;
	if (!role.arn)
		return err_set(e, ERR_DENIED, "profile \"%s\" has neither keys nor a role", profile);
	if (from && strcmp(from, profile) == 0) {
		if (static_keys(f, a, profile, &base, &found, e) != 0)
			return -1;
		if (!found)
			return err_set(e, ERR_DENIED, "profile \"%s\" has no keys", profile);
	} else if (from ? profile_keys(w, a, f, from, depth + 1, &base, e) != 0
			: source && keys_from(w, a, profile, source, &base, e) != 0) {
		return -1;
	}
	if (!base.access && !role.web_token)
		return err_set(e, ERR_DENIED, "profile \"%s\": role_arn needs source_profile, credential_source or "
			       "web_identity_token_file", profile);
	return aws_assume(w, a, &role, &base, ret, e) == 0 ? 0 : err_ctx(e, "profile \"%s\"", profile);
}

int aws_from_profile_role(struct aws *w, struct arena *a, struct aws_keys *ret, bool *ret_found, struct err *e)
{
	struct aws_files f;

	if (open_files(w, a, &f, e) != 0)
		return -1;
	*ret_found = aws_profile_get(&f, a, w->profile, "role_arn") != NULL;
	return *ret_found ? profile_keys(w, a, &f, w->profile, 0, ret, e) : 0;
}

int aws_from_web_identity(struct aws *w, struct arena *a, struct aws_keys *ret, bool *ret_found, struct err *e)
{
	const char *file = aws_env("AWS_WEB_IDENTITY_TOKEN_FILE"), *session = aws_env("AWS_ROLE_SESSION_NAME");
	struct aws_role role = { .arn = aws_env("AWS_ROLE_ARN"), 
				 .session = session ? session : w->config->role_session_name, .region = w->region };

	*ret_found = file != NULL;
	if (!file)
		return 0;
	if (!role.arn)
		return err_set(e, ERR_DENIED, "AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not");
	if (read_web_token(a, file, &role.web_token, e) != 0)
		return -1;
	return aws_assume(w, a, &role, &(struct aws_keys){ 0 }, ret, e);
}

/* --- IAM Identity Center --- */

struct sso {
	const char *cache_name; /* what the name of the token's file is made from */
	const char *region, *account, *role;
};

static int sso_settings(const struct aws_files *f, struct arena *a, const char *profile, struct sso *ret, struct err *e)
{
	const char *session = aws_profile_get(f, a, profile, "sso_session");
	const char *section = session ? arena_printf(a, "sso-session %s", session) : NULL;

	*ret = (struct sso){ .cache_name = session ? session : aws_profile_get(f, a, profile, "sso_start_url"),
			     .region = section ? aws_ini_get(&f->config, section, "sso_region")
				     : aws_profile_get(f, a, profile, "sso_region"),
			     .account = aws_profile_get(f, a, profile, "sso_account_id"),
			     .role = aws_profile_get(f, a, profile, "sso_role_name") };
	if (ret->cache_name && (!ret->region || !ret->account || !ret->role || !aws_region_valid(ret->region)))
		return err_set(e, ERR_INVALID, "profile \"%s\": sso_region, sso_account_id and sso_role_name belong "
			       "together", profile);
	return 0;
}

static int sso_token(struct aws *w, struct arena *a, const struct sso *s, const char **ret, struct err *e)
{
	unsigned char sha1[EVP_MAX_MD_SIZE];
	AUTO(json_t) *j = NULL;
	const char *token, *until, *path;
	struct bytes text;
	unsigned n = 0;
	int64_t end;

	if (EVP_Digest(s->cache_name, strlen(s->cache_name), sha1, &n, ossl_md("SHA1"), NULL) != 1)
		return err_ossl(e, "SHA-1");
	path = in_home(a, arena_printf(a, ".aws/sso/cache/%s.json", hex_encode(a, (struct bytes){ sha1, n })));
	if (!path || fs_read_input(a, path, MAX_FILE, &text, e) != 0)
		return err_set(e, ERR_DENIED, "nobody is logged in; run: aws sso login --profile %s", w->profile);
	if (remote_json(text, &j, e) != 0)
		return err_ctx(e, "%s", path);
	token = remote_text(j, "accessToken");
	until = remote_text(j, "expiresAt");
	if (!token || !until || tm_parse(until, &end, e) != 0 || end <= aws_now(w))
		return err_set(e, ERR_DENIED, "the login has expired; run: aws sso login --profile %s", w->profile);
	*ret = arena_strdup(a, token);
	return 0;
}

static int sso_ask(struct aws *w, struct arena *a, const struct aws_files *f, const struct sso *s, const char *token,
		   json_t **ret, struct err *e)
{
	const struct net_header bearer = { "x-amz-sso_bearer_token", token };
	char *base, *host, *url;

	if (aws_locate(w, a, f, &aws_sso_service, s->region, &base, &host, e) != 0)
		return -1;
	url = arena_printf(a, "%s/federation/credentials?account_id=%s&role_name=%s", base,
			   url_encode(a, bytes_of(s->account)), url_encode(a, bytes_of(s->role)));
	return aws_get_json(w, w->net, a, "sso GetRoleCredentials", url, &bearer, 1, ret, e);
}

int aws_from_sso(struct aws *w, struct arena *a, struct aws_keys *ret, bool *ret_found, struct err *e)
{
	static const char *const names[] = { "accessKeyId", "secretAccessKey", "sessionToken", NULL };
	AUTO(json_t) *j = NULL;
	const char *token;
	json_t *keys, *end;
	struct aws_files f;
	struct sso s;

	if (open_files(w, a, &f, e) != 0 || sso_settings(&f, a, w->profile, &s, e) != 0)
		return -1;
	*ret_found = s.cache_name != NULL;
	if (!s.cache_name)
		return 0;
	if (sso_token(w, a, &s, &token, e) != 0 || sso_ask(w, a, &f, &s, token, &j, e) != 0)
		return err_ctx(e, "profile \"%s\"", w->profile);
	keys = remote_member(j, "roleCredentials");
	end = remote_member(keys, "expiration");
	if (aws_keys_read(a, keys, names, ret, e) != 0)
		return err_ctx(e, "sso GetRoleCredentials");
	ret->expires = json_integer_value(end) / 1000;
	ret->source = arena_printf(a, "the SSO login of profile \"%s\"", w->profile);
	return 0;
}
