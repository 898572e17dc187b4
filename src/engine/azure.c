/* The engine of Azure Key Vault and Managed HSM: its settings, and opening it. Guarantees: nothing is sent before it is
 * needed; the vault's address is https and comes from the document alone; what is wrong with the settings is said
 * before anything is sent. */
#include <string.h>

#include "base/text.h"
#include "engine/azure.h"
#include "engine/sealed.h"

enum { ATTEMPTS = 4, DEADLINE_SECS = 30, BASE_MS = 800, CAP_MS = 64000, INFLIGHT = 32, METADATA_CONNECT_MS = 1000 };

static const char *const clouds[] = { "public", "china", "us_government", NULL };
static const struct {
	const char *authority, *vaults, *hsms;
} domains[] = {
	{ "https://login.microsoftonline.com", "vault.azure.net", "managedhsm.azure.net" },
	{ "https://login.chinacloudapi.cn", "vault.azure.cn", "managedhsm.azure.cn" },
	{ "https://login.microsoftonline.us", "vault.usgovcloudapi.net", "managedhsm.usgovcloudapi.net" },
};
static const char *const credentials[] = { "auto", "client_secret", "certificate", "workload_identity",
					   "managed_identity", "azure_cli", NULL };
static const char *const delete_modes[] = { "soft", "purge", NULL };
static const char *const assertion_algorithms[] = { "PS256", "RS256", NULL };

static const char *const vault_aka[] = { "vault", "key_vault_name", NULL }, *const hsm_aka[] = { "managed_hsm", NULL };
static const char *const endpoint_aka[] = { "vault_url", "vault_uri", "address", NULL };
static const char *const tenant_aka[] = { "tenant", NULL }, *const client_aka[] = { "client", NULL };
static const char *const certificate_aka[] = { "client_certificate", "certificate", NULL };
static const char *const password_aka[] = { "client_certificate_password", NULL };
static const char *const subscription_aka[] = { "subscription_id", NULL },
					      *const federated_aka[] = { "federated", NULL };

static const struct field azure_fields[] = {
	STR(azure_config, vault_name, "Name of the vault; its address is made of this and `cloud`.", .aka = vault_aka),
	STR(azure_config, hsm_name, "Name of the Managed HSM, instead of a vault.", .aka = hsm_aka),
	STR(azure_config, endpoint, "Address of the vault or HSM, instead of its name.", .aka = endpoint_aka),
	STR(azure_config, connect_to,
	    "HOST:PORT that connections to the vault go to. Its name and certificate are checked all the same."),
	STR(azure_config, ca_file,
	    "Authorities (PEM) that the vault's certificate is trusted by, instead of the system's."),
	ENUM(azure_config, cloud, clouds, "public, china or us_government.", .dflt = "public"),
	STR(azure_config, api_version, "Version of the interface.", .dflt = "7.4"),
	BOOL(azure_config, hsm,
	     "Make and import keys in hardware (types RSA-HSM and EC-HSM), which a Premium vault has. Always so in a "
	     "Managed HSM.", .dflt = "false"),
	ENUM(azure_config, delete_mode, delete_modes,
	     "soft: a deleted key can be recovered as long as the vault keeps it. purge: it is gone at once, if "
	     "the vault allows that.", .dflt = "soft"),
	ENUM(azure_config, credential, credentials,
	     "Where tokens come from. auto: client_secret, certificate_file, federated_token_file, then "
	     "the identity of the machine, whichever is there first. azure_cli is never chosen by auto.",
	     .dflt = "auto"),
	STR(azure_config, tenant_id, "Tenant of the vault. Default: AZURE_TENANT_ID, else what the vault says.",
	    .aka = tenant_aka),
	STRV(azure_config, allowed_tenants, "Other tenants that a vault may belong to; * is any.", .flags = F_LAX),
	STR(azure_config, client_id, "Application, or managed identity, that signs in. Default: AZURE_CLIENT_ID.",
	    .aka = client_aka),
	STR(azure_config, client_secret, "Secret of the application. Default: AZURE_CLIENT_SECRET.", .flags = F_SECRET),
	STR(azure_config, certificate_file, "Certificate and RSA key of the application, PEM or PKCS#12. Default: "
	     "AZURE_CLIENT_CERTIFICATE_PATH.", .aka = certificate_aka),
	STR(azure_config, certificate_password, "Passphrase of that file. Default: AZURE_CLIENT_CERTIFICATE_PASSWORD.",
	    .flags = F_SECRET, .aka = password_aka),
	ENUM(azure_config, certificate_algorithm, assertion_algorithms, "How assertions are signed: PS256 or RS256.",
	     .dflt = "PS256"),
	BOOL(azure_config, send_certificate_chain,
	     "Send the certificate itself (x5c), for applications that trust its subject and issuer.",
	     .dflt = "false"),
	STR(azure_config, federated_token_file,
	    "File with a token of a workload identity; read anew for each sign-in. Default: "
	     "AZURE_FEDERATED_TOKEN_FILE.", .aka = federated_aka),
	STR(azure_config, identity_object_id, "Managed identity by object id, instead of client_id."),
	STR(azure_config, identity_resource_id, "Managed identity by resource id, instead of client_id."),
	STRV(azure_config, cli_command,
	     "The Azure command line and its first words, for credential azure_cli. Run without a shell, and only "
	     "where the machine allows it (lamassu.allowCommands). Default: az.",
	     .flags = F_LAX),
	STR(azure_config, authority_host, "Address of Entra. Default: AZURE_AUTHORITY_HOST, else that of `cloud`."),
	STR(azure_config, authority_ca_file,
	    "Authorities (PEM) that Entra's certificate is trusted by, instead of the system's."),
	BOOL(azure_config, verify_challenge_resource,
	     "Send a token only if it is meant for the domain that the vault's address is in.",
	     .dflt = "true"),
	DUR(azure_config, timeout, "Time for one operation with all its repetitions.", .dflt = "30s", .min = 1,
	    .max = 3600),
	INT(azure_config, max_retries, "How often a failed request is sent again.", .dflt = "3", .max = 100),
	STR(azure_config, subscription, "For your notes.", .aka = subscription_aka),
	STR(azure_config, resource_group, "For your notes."),
	END
};

/* An address without a path, or with one where that is allowed; NULL is fine. */
static int check_address(struct arena *a, const char *field, const char *text, bool path, struct err *e)
{
	struct azure_url url = { .path = "" };

	if (text && azure_url_parse(a, text, &url, e) != 0)
		return err_ctx(e, "%s", field);
	return path || !url.path[0] || strcmp(url.path, "/") == 0 ? 0
								  : err_set(e, ERR_INVALID, "%s: \"%s\" has a path",
									    field, text);
}

static int check_config(struct arena *a, void *rec, struct err *e)
{
	struct azure_config *c = rec;

	if (check_address(a, "endpoint", c->endpoint, false, e) != 0 ||
	    check_address(a, "authority_host", c->authority_host, true, e) != 0)
		return -1;

	if (!!c->vault_name + !!c->hsm_name + !!c->endpoint != 1)
		return err_set(e, ERR_INVALID, "one of vault_name, hsm_name and endpoint must be given");
	for (size_t i = 0; i < 2; i++) {
		const char *name = i ? c->hsm_name : c->vault_name;
		size_t n = name ? strlen(name) : 1;

		if (n < 1 || n > 63 ||
		    (name && strspn(name, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") != n))
			return err_set(e, ERR_INVALID, "%s: \"%s\" is not the name of one",
				       i ? "hsm_name" : "vault_name", name);
	}
	if (c->client_secret && c->certificate_file)
		return err_set(e, ERR_INVALID, "client_secret and certificate_file exclude each other");
	if (strspn(c->api_version, "0123456789.-previw") != strlen(c->api_version) || !c->api_version[0])
		return err_set(e, ERR_INVALID, "api_version: \"%s\" is not one", c->api_version);
	if (!c->cli_command.n) {
		c->cli_command = (struct strv){ arena_new_array(a, 1, char *), 1, true };
		c->cli_command.v[0] = arena_strdup(a, "az");
	}
	c->hsm = c->hsm || c->hsm_name;
	return 0;
}

static const struct schema azure_type = {
	.name = "config", .doc = "Azure Key Vault and Managed HSM", .size = sizeof(struct azure_config),
	.fields = azure_fields, .check = check_config
};

/* --- opening --- */

static int read_addresses(struct azure *az, struct err *e)
{
	const struct azure_config *c = az->config;
	const char *vault = c->endpoint, *authority = c->authority_host, *from_env = getenv("AZURE_AUTHORITY_HOST");

	if (!vault)
		vault = arena_printf(az->arena, "https://%s.%s", c->hsm_name ? c->hsm_name : c->vault_name,
				     c->hsm_name ? domains[c->cloud].hsms : domains[c->cloud].vaults);
	if (!authority)
		authority = from_env && *from_env ? from_env : domains[c->cloud].authority;
	az->resource = arena_printf(az->arena, "https://%s",
				    c->hsm_name ? domains[c->cloud].hsms : domains[c->cloud].vaults);
	if (azure_url_parse(az->arena, vault, &az->vault, e) != 0)
		return err_ctx(e, "endpoint");
	return azure_url_parse(az->arena, authority, &az->authority, e) == 0 ? 0 : err_ctx(e, "authority_host");
}

static int open_clients(struct ctx *ctx, struct azure *az, struct err *e)
{
	const struct azure_config *c = az->config;
	const struct net_options vault = { .ca_file = c->ca_file, .connect_to = c->connect_to },
				 authority = { .ca_file = c->authority_ca_file },
				 local = { .no_proxy = true, .connect_timeout_ms = METADATA_CONNECT_MS,
					   .ca_file = c->authority_ca_file };

	return net_here->open(ctx, &vault, &az->vault_client, e) != 0 ||
	       net_here->open(ctx, &authority, &az->authority_client, e) != 0 ||
	       net_here->open(ctx, &local, &az->local_client, e) != 0 ? -1 : 0;
}

static void azure_close(struct engine *en)
{
	struct azure *az = en->priv;
	struct net_client *const clients[] = { az->vault_client, az->authority_client, az->local_client };

	for (size_t i = 0; i < COUNT(clients); i++)
		if (clients[i])
			net_here->close(clients[i]);
	EVP_PKEY_free(az->seen_key);
	azure_certificate_free(az->certificate);
	arena_free(az->token.arena);
	arena_free(az->own);
	pthread_cond_destroy(&az->turn);
	pthread_mutex_destroy(&az->lock);
	en->priv = NULL;
}

static int azure_open(struct ctx *ctx, struct engine *en, const void *config, struct err *e)
{
	struct azure *az = arena_new_array(en->arena, 1, struct azure);

	process_harden();
	az->config = config;
	az->arena = en->arena;
	az->own = arena_new();
	az->policy = (struct remote_policy){ .attempts = (unsigned)az->config->max_retries + 1,
					     .deadline_ms = az->config->timeout.secs * 1000, .base_ms = BASE_MS,
					     .cap_ms = CAP_MS };
	pthread_mutex_init(&az->lock, NULL);
	pthread_cond_init(&az->turn, NULL);
	en->priv = az;
	if (read_addresses(az, e) == 0 && azure_source_open(ctx, az, e) == 0 && open_clients(ctx, az, e) == 0)
		return 0;
	azure_close(en);
	return -1;
}

/* Without `hsm` keys are Azure's software keys, whatever the vault could do. */
static int azure_level(const void *config)
{
	const struct azure_config *c = config;

	return c->hsm;
}

static const char *const azure_aka[] = { "AZURE", "AZURE_KEYVAULT", NULL };

const struct engine_ops azure_engine = {
	.kind = "AZURE_KEY_VAULT", .aka = azure_aka, .provider = "Azure Key Vault", .security_level = 1,
	.level = azure_level, .scheme = "azurekv", .outside = true,
	.config = &azure_type, .caps = CAP_GENERATE | CAP_IMPORT | CAP_DELETE | CAP_LIST, .inflight = INFLIGHT,
	.open = azure_open, .close = azure_close, .keytypes = azure_keytypes, .generate = azure_generate,
	.import = azure_import, .sign = azure_sign, .pubkey = azure_pubkey, .destroy = azure_destroy,
	.each = azure_each, .find = azure_find, .recover = azure_recover, .state = azure_state,
	.annotate = azure_annotate
};
