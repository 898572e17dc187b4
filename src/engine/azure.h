#pragma once
#include <pthread.h>

#include "crypto/key.h"
#include "engine/engine.h"
#include "engine/remote.h"

/* Inside of the Azure Key Vault engine: settings and keys (azure.c, azure_keys.c), calls (azure_call.c), tokens
 * (azure_token.c) and where they come from (azure_source.c, azure_assertion.c), what servers say (azure_challenge.c,
 * azure_jwk.c). */

extern const struct engine_ops azure_engine; /* azure.c */

/* --- azure_challenge.c --- */
struct azure_url { /* https://HOST[:PORT][/PATH] */
	const char *origin; /* scheme, host and port, in lower case, no slash at the end */
	const char *host;   /* lower case, no port */
	const char *path;   /* "" or begins with / */
};
/* Refused: credentials, queries, fragments, other schemes; http unless the host is this machine. */
int azure_url_parse(struct arena *, const char *text, struct azure_url *ret, struct err *) NODISCARD;

struct azure_challenge {    /* of a `WWW-Authenticate: Bearer` header; NULL: not there */
	const char *tenant;   /* first part of the path of authorization= or authorization_uri= */
	const char *scope;    /* scope=, or resource= with /.default */
	const char *resource; /* the scope's service, as metadata services want it */
	const char *error, *claims; /* claims: decoded JSON */
};
/* ERR_REMOTE when there is no Bearer challenge or it cannot be read. */
int azure_challenge_parse(struct arena *, const char *header, struct azure_challenge *ret, struct err *) NODISCARD;
/* ERR_DENIED unless the vault's host is one of the domain that the token would be good for. */
int azure_challenge_check(struct arena *, const struct azure_challenge *, const char *vault_host,
			  struct err *) NODISCARD;

/* --- azure_jwk.c: keys as JSON Web Keys (RFC 7517) --- */
int azure_jwk_public(struct arena *, json_t *jwk, EVP_PKEY **ret, struct err *) NODISCARD;
/* The private key as JSON text; the buffer wipes itself. */
int azure_jwk_private(const EVP_PKEY *, bool hsm, struct buf *ret, struct err *) NODISCARD;
/* OpenSSL's and JOSE's names are the same for those that Azure has; NULL: not one of them */
const char *azure_curve(const char *group);

/* --- settings --- */
enum azure_credential {
	AZURE_AUTO, AZURE_SECRET, AZURE_CERTIFICATE, AZURE_WORKLOAD, AZURE_MANAGED, AZURE_CLI
};
enum azure_delete { AZURE_DELETE_SOFT, AZURE_DELETE_PURGE };
struct azure_config {
	char *vault_name, *hsm_name, *endpoint, *connect_to, *ca_file, *api_version;
	int cloud;
	bool hsm;
	int delete_mode, credential;
	char *tenant_id, *client_id, *client_secret;
	char *certificate_file, *certificate_password;
	int certificate_algorithm;
	bool send_certificate_chain;
	char *federated_token_file;
	char *identity_object_id, *identity_resource_id;
	struct strv cli_command, allowed_tenants;
	char *authority_host, *authority_ca_file;
	bool verify_challenge_resource;
	struct dur timeout;
	int64_t max_retries;
	char *subscription, *resource_group;
};

struct azure_token { /* the newest; under the lock */
	struct arena *arena;
	const char *text;
	int64_t refresh_at, expires_at; /* tm_mono_ms() */
	uint64_t serial;                /* counts tokens from 1 */
};

struct azure { /* an open engine */
	const struct azure_config *config;
	struct arena *arena;
	struct arena *own; /* of the challenge; only with `busy` held */
	struct azure_url vault, authority;
	const char *resource; /* what tokens are for in this cloud, where a vault does not say */
	struct remote_policy policy;
	struct net_client *vault_client, *authority_client, *local_client;
	/* credentials; of config or environment */
	enum azure_credential credential;
	const char *tenant, *client, *secret, *federated_file;
	struct azure_certificate *certificate;
	const char *app_endpoint, *app_header; /* App Service */
	const char *metadata; /* metadata service of the machine */
	/* tokens: azure_token.c */
	pthread_mutex_t lock;
	pthread_cond_t turn;
	bool busy;              /* one thread fetches, the others wait */
	uint64_t failures;
	struct err why;         /* of the last failure; ERR_DENIED is for good */
	struct azure_challenge challenge; /* scope NULL: not asked for yet */
	struct azure_token token;
	/* of the commands' thread only */
	bool probed;
	char *seen_kid;
	EVP_PKEY *seen_key;
};

/* --- azure_source.c, azure_assertion.c --- */
int azure_source_open(struct ctx *, struct azure *, struct err *) NODISCARD; /* resolves secrets */
/* A new token; text and times of *ret are set, in its arena. `claims` may be NULL. Only with `busy` held. */
int azure_source_token(struct azure *, const char *claims, struct azure_token *ret, struct err *) NODISCARD;
int azure_certificate_load(struct arena *, const struct azure_config *, const char *file, const char *password,
			   struct azure_certificate **ret, struct err *) NODISCARD;
void azure_certificate_free(struct azure_certificate *);
/* A signed assertion for a token endpoint (RFC 7523), good for some minutes and once. */
int azure_assertion(struct arena *, const struct azure_certificate *, const char *client, const char *audience,
		    char **ret, struct err *) NODISCARD;

/* --- azure_token.c --- */
/* A token that is good for now, in the caller's arena. `refused`: serial of one that the vault has refused, else 0;
 * `claims` what it asked for, or NULL. From any thread; one of them fetches. */
int azure_token_get(struct azure *, struct arena *, uint64_t refused, const char *claims, const char **ret,
		    uint64_t *ret_serial, struct err *) NODISCARD;

/* --- azure_call.c --- */
struct azure_request {
	const char *method;
	const char *path;  /* "/keys/NAME", or a whole URL of the vault (nextLink) */
	const char *query; /* "maxresults=25" or NULL */
	struct bytes body; /* JSON; p NULL: none */
	const char *what;  /* for people: "sign" */
	bool once;         /* makes something */
	int *ret_status;   /* of the last answer; may be NULL */
};
/* *ret: the answer; NULL where there is no body. ERR_NOT_FOUND, ERR_DENIED, ERR_CONFLICT, ERR_EXISTS, else
 * ERR_REMOTE. */
int azure_call(struct azure *, struct arena *, const struct azure_request *, json_t **ret, struct err *) NODISCARD;
char *azure_json(struct arena *, const json_t *); /* as compact text */

/* --- azure_keys.c --- */
int azure_keytypes(struct engine *, uint32_t *ret, struct err *) NODISCARD;
int azure_generate(struct ctx *, struct engine *, const struct keytype *, const char *label, struct keyref *ret,
		   EVP_PKEY **ret_pub, struct err *) NODISCARD;
int azure_import(struct ctx *, struct engine *, EVP_PKEY *, const char *label, struct keyref *ret,
		 struct err *) NODISCARD;
int azure_sign(struct engine *, const struct keyref *, const struct sigalg *, struct bytes in, struct buf *sig,
	       struct err *) NODISCARD;
int azure_pubkey(struct ctx *, struct engine *, const struct keyref *, EVP_PKEY **ret, struct err *) NODISCARD;
int azure_each(struct ctx *, struct engine *, int (*cb)(void *, const struct keyref *, struct err *), void *arg,
	       struct err *) NODISCARD;
int azure_find(struct ctx *, struct engine *, const char *name, struct keyref *ret, struct err *) NODISCARD;
int azure_annotate(struct ctx *, struct engine *, const struct keyref *, const struct key_notes *,
		   struct err *) NODISCARD;
/* azure_life.c */
int azure_destroy(struct ctx *, struct engine *, const struct keyref *, int64_t *ret_gone_at, struct err *) NODISCARD;
int azure_state(struct ctx *, struct engine *, const struct keyref *, struct key_state *ret, struct err *) NODISCARD;
int azure_recover(struct ctx *, struct engine *, const char *name, struct err *) NODISCARD;

struct azure_kid { /* https://VAULT/keys/NAME/VERSION */
	const char *name, *version; /* version "" where it is not given */
};
/* The parts of a kid of this vault, or of "NAME[/VERSION]". */
int azure_kid_parse(struct arena *, const struct azure *, const char *text, struct azure_kid *ret,
		    struct err *) NODISCARD;
int azure_get(struct azure *, struct arena *, const struct azure_kid *, json_t **ret, struct err *) NODISCARD;
/* The bundle's kid, with version, checked. */
int azure_kid_of(struct arena *, const struct azure *, json_t *bundle, char **ret, struct err *) NODISCARD;
/* ERR_CONFLICT, until when it can be had back, when a key that is not there was deleted. Returns -1. */
int azure_say_deleted(struct azure *, struct arena *, const struct azure_kid *, struct err *);
