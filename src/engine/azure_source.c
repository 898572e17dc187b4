/* Where tokens come from: Entra with a secret, a certificate or somebody else's token; the identity of the machine
 * (metadata service, App Service); the Azure command line where that was asked for. Guarantees: secrets go to the
 * configured authority only, never to a host that a server named; metadata services are not asked through a proxy; no
 * answer is quoted with a secret in it. */
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "base/tm.h"
#include "engine/azure.h"

enum { EARLY_MS = 300000, TOKEN_MAX = 1 << 16, TRIES_OF_METADATA = 6, TRIES_OF_A_GUESS = 2 };

/* --- opening: what there is --- */

static const char *environment(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

static const char *either(const char *configured, const char *name)
{
	return configured ? configured : environment(name);
}

/* The first source that has what it needs, in the order of Microsoft's own clients; the command line is never
 * guessed. */
static enum azure_credential choose(const struct azure *az, const char *certificate)
{
	const struct azure_config *c = az->config;

	if (c->credential != AZURE_AUTO)
		return (enum azure_credential)c->credential;
	if (az->secret)
		return AZURE_SECRET;
	if (certificate)
		return AZURE_CERTIFICATE;
	return az->federated_file ? AZURE_WORKLOAD : AZURE_MANAGED;
}

static int require(const char *value, const char *field, const char *variable, struct err *e)
{
	if (value)
		return 0;
	return err_set(e, ERR_INVALID, "%s is not given, nor is the environment variable %s", field, variable);
}

/* Names and ids go into URLs and assertions as they are. */
static int check_word(const char *value, const char *field, struct err *e)
{
	static const char fit[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_";

	if (!value || (*value && strspn(value, fit) == strlen(value) && strcmp(value, ".") != 0 &&
		       strcmp(value, "..") != 0))
		return 0;
	return err_set(e, ERR_INVALID, "%s: not a name or an id", field);
}

static int open_credential(struct azure *az, const char *certificate, const char *password, struct err *e)
{
	switch (az->credential) {
	case AZURE_SECRET:
		return require(az->client, "client_id", "AZURE_CLIENT_ID", e) != 0 ||
		       require(az->secret, "client_secret", "AZURE_CLIENT_SECRET", e) != 0 ? -1 : 0;
	case AZURE_CERTIFICATE:
		return require(az->client, "client_id", "AZURE_CLIENT_ID", e) != 0 ||
		       require(certificate, "certificate_file", "AZURE_CLIENT_CERTIFICATE_PATH", e) != 0 ||
		       azure_certificate_load(az->arena, az->config, certificate, password, &az->certificate, e) != 0
		       ? -1 : 0;
	case AZURE_WORKLOAD:
		return require(az->client, "client_id", "AZURE_CLIENT_ID", e) != 0 ||
		       require(az->federated_file, "federated_token_file", "AZURE_FEDERATED_TOKEN_FILE", e) != 0
		       ? -1 : 0;
	default:
		return 0;
	}
}

int azure_source_open(struct ctx *ctx, struct azure *az, struct err *e)
{
	const struct azure_config *c = az->config;
	const char *certificate = c->certificate_file, *id = environment("AZURE_CLIENT_ID");
	char *password = NULL, *secret = NULL;

	if ((c->client_secret && secret_resolve(az->arena, "client_secret", c->client_secret, &secret, e) != 0) ||
	    (c->certificate_password && secret_resolve(az->arena, "certificate_password", c->certificate_password,
						       &password, e) != 0))
		return -1;
	/* The environment completes a document, it does not change what kind of credential the document names. */
	az->secret = secret || certificate ? secret : environment("AZURE_CLIENT_SECRET");
	if (!certificate && !az->secret)
		certificate = environment("AZURE_CLIENT_CERTIFICATE_PATH");
	if (!password && !c->certificate_file && environment("AZURE_CLIENT_CERTIFICATE_PASSWORD"))
		password = arena_strdup(az->arena, environment("AZURE_CLIENT_CERTIFICATE_PASSWORD"));
	az->federated_file = either(c->federated_token_file, "AZURE_FEDERATED_TOKEN_FILE");
	az->client = c->client_id ? c->client_id : id;
	az->tenant = either(c->tenant_id, "AZURE_TENANT_ID");
	az->app_endpoint = environment("IDENTITY_ENDPOINT");
	az->app_header = environment("IDENTITY_HEADER");
	az->metadata = either(NULL, "AZURE_POD_IDENTITY_AUTHORITY_HOST");
	az->metadata = az->metadata ? az->metadata : "http://169.254.169.254";
	az->credential = choose(az, certificate);
	if (check_word(az->client, "client_id", e) != 0 || check_word(az->tenant, "tenant_id", e) != 0)
		return -1;
	(void)ctx;
	return open_credential(az, certificate, password, e);
}

/* --- one request for a token --- */

struct grant {
	struct azure *az;
	const char *claims, *tenant;
	const char *secret; /* of this request, not to be quoted */
	bool metadata;
};

static void form(struct arena *a, struct buf *b, const char *name, const char *value)
{
	buf_printf(b, "%s%s=%s", b->n ? "&" : "", name, url_encode(a, bytes_of(value)));
}

static int read_federated(struct arena *a, const char *path, char **ret, struct err *e)
{
	struct bytes text;

	if (fs_read_input(a, path, TOKEN_MAX, &text, e) != 0) {
		e->code = ERR_DENIED;
		return err_ctx(e, "federated token");
	}
	while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
		text.n--;
	if (text.n == 0)
		return err_set(e, ERR_DENIED, "federated token: %s: the file is empty", path);
	*ret = arena_strndup(a, (const char *)text.p, text.n);
	return 0;
}

static int put_proof(struct grant *g, struct arena *a, const char *endpoint, struct buf *body, struct err *e)
{
	const struct azure *az = g->az;
	char *assertion;

	if (az->credential == AZURE_SECRET) {
		g->secret = az->secret;
		form(a, body, "client_secret", az->secret);
		return 0;
	}
	if (az->credential == AZURE_CERTIFICATE ? azure_assertion(a, az->certificate, az->client, endpoint, &assertion,
								  e) != 0
						: read_federated(a, az->federated_file, &assertion, e) != 0)
		return -1;
	g->secret = assertion;
	form(a, body, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
	form(a, body, "client_assertion", assertion);
	return 0;
}

static int build_entra(void *arg, struct arena *a, bool refresh, struct net_request *ret, struct err *e)
{
	static const struct net_header headers[] = { { "Content-Type", "application/x-www-form-urlencoded" },
						     { "Accept", "application/json" } };
	struct grant *g = arg;
	const struct azure *az = g->az;
	const char *url = arena_printf(a, "%s%s/%s/oauth2/v2.0/token", az->authority.origin,
				       strcmp(az->authority.path, "/") == 0 ? "" : az->authority.path, g->tenant);
	SCOPED_BUF body = buf_init(BUF_TEXT);

	(void)refresh;
	form(a, &body, "grant_type", "client_credentials");
	form(a, &body, "client_id", az->client);
	form(a, &body, "scope", az->challenge.scope);
	if (g->claims)
		form(a, &body, "claims", g->claims);
	if (put_proof(g, a, url, &body, e) != 0)
		return -1;
	*ret = (struct net_request){ .method = "POST", .url = url, .headers = headers, .nheaders = COUNT(headers),
				     .body = { arena_memdup(a, body.p, body.n), body.n }, .what = "token" };
	return 0;
}

static int build_metadata(void *arg, struct arena *a, bool refresh, struct net_request *ret, struct err *e)
{
	struct grant *g = arg;
	const struct azure *az = g->az;
	const struct azure_config *c = az->config;
	struct net_header *header = arena_new_array(a, 1, struct net_header);
	SCOPED_BUF query = buf_init(BUF_TEXT);
	bool app = az->app_endpoint && az->app_header;

	(void)refresh, (void)e;
	form(a, &query, "api-version", app ? "2019-08-01" : "2018-02-01");
	form(a, &query, "resource", az->challenge.resource);
	if (az->client)
		form(a, &query, "client_id", az->client);
	else if (c->identity_object_id)
		form(a, &query, app ? "principal_id" : "object_id", c->identity_object_id);
	else if (c->identity_resource_id)
		form(a, &query, app ? "mi_res_id" : "msi_res_id", c->identity_resource_id);
	*header = app ? (struct net_header){ "X-IDENTITY-HEADER", az->app_header }
		      : (struct net_header){ "Metadata", "true" };
	g->secret = app ? az->app_header : NULL;
	*ret = (struct net_request){ .method = "GET", .headers = header, .nheaders = 1, .what = "token of the machine",
				     .url = app ? arena_printf(a, "%s?%s", az->app_endpoint, buf_str(&query))
						: arena_printf(a, "%s/metadata/identity/oauth2/token?%s", az->metadata,
							       buf_str(&query)) };
	return 0;
}

/* What the server says of the failure, in one line, unless it repeats our secret. */
static void explain(const struct grant *g, struct arena *a, const struct net_answer *answer, enum err_code code,
		    struct err *e)
{
	AUTO(json_t) *j = NULL;
	struct err ignored = { 0 };
	const char *error = NULL, *text = NULL, *hint = "";

	if (remote_json(answer->body, &j, &ignored) == 0) {
		error = remote_text(j, "error");
		text = remote_text(j, "error_description");
	}
	if ((text && g->secret && strstr(text, g->secret)) || (error && g->secret && strstr(error, g->secret)))
		error = text = NULL;
	if (text)
		text = arena_strndup(a, text, strcspn(text, "\r\n"));
	if (text && strstr(text, "AADSTS700024"))
		hint = "; is this machine's clock right?";
	err_set(e, code, "no token: %s answers %d%s%s%s%s%s",
		g->metadata ? "the identity service of this machine" : g->az->authority.host,
		answer->status, error ? " " : "", remote_say(a, error), text ? ": " : "", remote_say(a, text), hint);
}

static enum remote_verdict judge_grant(void *arg, struct arena *a, const struct net_answer *answer, struct err *e)
{
	const struct grant *g = arg;
	int s = answer->status;
	bool again = s == 408 || s == 429 || (s >= 500 && s != 501 && s != 505) ||
		     (g->metadata && (s == 404 || s == 410));

	if (s == 200)
		return REMOTE_DONE;
	explain(g, a, answer, s == 400 || s == 401 || s == 403 ? ERR_DENIED : ERR_REMOTE, e);
	return s == 429 ? REMOTE_THROTTLED : again ? REMOTE_AGAIN : REMOTE_FAILED;
}

/* --- what came --- */

static int64_t number_of(json_t *j, const char *name)
{
	json_t *v = remote_member(j, name);
	const char *text = json_string_value(v);

	return json_is_integer(v) ? json_integer_value(v) : text ? strtoll(text, NULL, 10) : 0;
}

static int take_token(json_t *j, const char *name, struct azure_token *ret, struct err *e)
{
	const char *text = remote_text(j, name);
	int64_t secs = number_of(j, "expires_in"), until = number_of(j, "expires_on"),
		       early = number_of(j, "refresh_in"),
		now = tm_mono_ms();

	if (!text || !*text || strlen(text) > TOKEN_MAX || strpbrk(text, "\r\n \t"))
		return err_set(e, ERR_REMOTE, "no token: there is none in the answer");
	if (secs <= 0 && until > 0)
		secs = until - tm_now();
	if (secs <= 0 || secs > 366 * 86400)
		secs = secs <= 0 ? 60 : 86400;
	ret->text = arena_strdup(ret->arena, text);
	ret->expires_at = now + secs * 1000;
	ret->refresh_at = early > 0 && early < secs ? now + early * 1000 : ret->expires_at - EARLY_MS;
	if (ret->refresh_at <= now) /* a token for less than five minutes */
		ret->refresh_at = now + secs * 500;
	return 0;
}

static int by_http(struct azure *az, const char *claims, struct azure_token *ret, struct err *e)
{
	struct grant g = { .az = az, .claims = claims, .metadata = az->credential == AZURE_MANAGED,
			   .tenant = az->tenant ? az->tenant : az->challenge.tenant };
	const struct remote_call call = { .build = g.metadata ? build_metadata : build_entra, .judge = judge_grant,
					  .arg = &g };
	struct remote_policy policy = az->policy;
	AUTO(json_t) *j = NULL;
	struct net_answer answer;

	if (!g.metadata && !g.tenant)
		return err_set(e, ERR_INVALID, "tenant_id is not given, and the vault does not name its tenant");
	if (az->challenge.tenant && az->tenant && strlen(az->tenant) == 36)
		g.tenant = az->challenge.tenant; /* allowed: azure_token.c */
	if (g.metadata) /* which is a guess where nothing was configured */
		policy.attempts = az->config->credential == AZURE_AUTO && !az->app_endpoint
				  ? TRIES_OF_A_GUESS : TRIES_OF_METADATA;
	if (remote_call(g.metadata ? az->local_client : az->authority_client, ret->arena, &policy, &call, &answer,
			e) != 0)
		return e->code == ERR_REMOTE && g.metadata && az->config->credential == AZURE_AUTO
			       ? err_ctx(e, "no credentials are configured, and this machine has no identity")
			       : -1;
	return remote_json(answer.body, &j, e) != 0 || take_token(j, "access_token", ret, e) != 0 ? -1 : 0;
}

/* `az account get-access-token`, or what the operator named instead of `az`. */
static int by_command(struct azure *az, struct azure_token *ret, struct err *e)
{
	static const char *const words[] = { "account", "get-access-token", "--output", "json", "--resource" };
	const struct strv *command = &az->config->cli_command;
	char **argv = arena_new_array(ret->arena, command->n + COUNT(words) + 5, char *), *text;
	AUTO(json_t) *j = NULL;
	size_t n = 0;

	for (size_t i = 0; i < command->n; i++)
		argv[n++] = command->v[i];
	for (size_t i = 0; i < COUNT(words); i++)
		argv[n++] = arena_strdup(ret->arena, words[i]);
	argv[n++] = arena_strdup(ret->arena, az->challenge.resource);
	if (az->tenant) {
		argv[n++] = arena_strdup(ret->arena, "--tenant");
		argv[n++] = arena_strdup(ret->arena, az->tenant);
	}
	if (secret_command(ret->arena, argv, &text, e) != 0 || remote_json(bytes_of(text), &j, e) != 0)
		return err_ctx(e, "Azure CLI");
	return take_token(j, "accessToken", ret, e);
}

int azure_source_token(struct azure *az, const char *claims, struct azure_token *ret, struct err *e)
{
	return az->credential == AZURE_CLI ? by_command(az, ret, e) : by_http(az, claims, ret, e);
}
