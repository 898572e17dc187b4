#pragma once
#include "engine/engine.h"
#include "engine/remote.h"

/* HashiCorp Vault and OpenBao: what the KV store and the Transit engine share. */

enum vault_login { VAULT_AUTO, VAULT_TOKEN, VAULT_APPROLE, VAULT_KUBERNETES, VAULT_CERT };
enum vault_delete { VAULT_DESTROY, VAULT_SOFT };

struct vault_config { /* of both kinds; each shows the fields that it has */
	char *address; /* ANY */
	char *protocol, *hostname, *base_path;
	int64_t port;
	char *namespace_, *ca_file, *cert_file, *key_file;
	bool insecure_skip_verify;
	int auth; /* enum vault_login */
	char *auth_mount, *token, *role_id, *secret_id, *role, *jwt;
	bool secret_id_wrapped, auto_unseal_enabled;
	struct strv auto_unseal_keys;
	struct dur timeout;
	char *mount_path, *path;
	int delete_mode; /* enum vault_delete */
	bool unencrypted;
	char *passphrase;
};

/* Where the server is and how it proves itself, from config and environment. */
struct vault_place {
	char *url;       /* "https://host:8200/base", without a slash at its end */
	const char *namespace_; /* NULL: none */
	struct net_options net;
};
int vault_place(struct arena *, const struct vault_config *, struct vault_place *ret, struct err *) NODISCARD;
extern const char *const vault_login_names[];

struct vault;

int vault_open(struct ctx *, struct engine *, const struct vault_config *, struct vault **ret, struct err *) NODISCARD;
void vault_close(struct vault *); /* gives back the token of a login */

struct vault_request {
	const char *method, *path; /* below /v1/, encoded */
	json_t *body;              /* NULL: none; stays the caller's */
	const char *what;          /* for --verbose: "kv read" */
	bool once;                 /* remote_call.once */
	bool missing_ok;           /* 404 is an answer */
};
/* From any thread. *ret_status 200 … 299, or 404; *ret NULL where the answer has no body. ERR_NOT_FOUND; ERR_CONFLICT
 * when a check-and-set did not hold; ERR_DENIED; ERR_REMOTE. */
int vault_call(struct vault *, struct arena *, const struct vault_request *, int *ret_status, json_t **ret,
	       struct err *) NODISCARD;
/* Whether it can name a key; names come from records, which others may have written. */
bool vault_name_ok(const char *);
/* "mount/kind/path/name" with all segments encoded; NULL parts are left out. */
char *vault_path(struct arena *, const char *mount, const char *kind, const char *path, const char *name);

/* Inside of the client: vault_login.c. */
struct vault_lease {
	char token[4096];
	bool own, renewable; /* own: of a login, given back at the end */
	int64_t secs;        /* 0: for ever */
};
struct vault_credentials { /* what a login needs that is resolved once */
	const struct vault_config *config;
	enum vault_login how;
	char secret_id[4096];
	bool unwrapped;
};
int vault_credentials(struct arena *, const struct vault_config *, struct vault_credentials *ret,
		      struct err *) NODISCARD;
/* One request with this token, or none; no login, no renewal. */
int vault_raw(struct vault *, struct arena *, const char *token, const struct vault_request *, int *ret_status,
	      json_t **ret, struct err *) NODISCARD;
int vault_login(struct vault *, struct arena *, struct vault_credentials *, struct vault_lease *ret,
		struct err *) NODISCARD;
int vault_renew(struct vault *, struct arena *, struct vault_lease *, struct err *) NODISCARD;

/* vault_seal.c: engine_ops.report; and unsealing, where the config has shares. */
int vault_report(struct ctx *, struct vault *, const struct vault_config *, char **ret, struct err *) NODISCARD;
int vault_unseal(struct vault *, struct arena *, const struct vault_config *, struct err *) NODISCARD;

extern const struct engine_ops vault_kv_engine, vault_transit_engine;

#define VAULT_SECRET(m, d) STR(vault_config, m, d, .flags = F_SECRET)
/* The rows of both kinds. */
#define VAULT_ROWS \
	ANY(vault_config, address, \
	    "The server: a URL, or a mapping {host, port, protocol, base_path, tls: {ca_file, cert_file, key_file}}. " \
	    "Default: the variable VAULT_ADDR or BAO_ADDR."), \
	STR(vault_config, protocol, "https or, on this machine only, http.", .dflt = "https"), \
	STR(vault_config, hostname, "The server's name, where address is not given.", .aka = vault_host_aka), \
	INT(vault_config, port, "The server's port.", .dflt = "8200", .min = 1, .max = 65535), \
	STR(vault_config, base_path, "What stands before /v1 in the server's URLs."), \
	{ .name = "namespace", .kind = F_STR, .off = offsetof(struct vault_config, namespace_), \
	  .doc = "The namespace, such as team/a. Default: VAULT_NAMESPACE or BAO_NAMESPACE." }, \
	STR(vault_config, ca_file, \
	    "Authorities that the server's certificate must come from, PEM. Default: VAULT_CACERT or " \
	    "BAO_CACERT, else the system's.", .aka = vault_ca_aka), \
	STR(vault_config, cert_file, \
	    "The client's certificate for TLS, PEM. Default: VAULT_CLIENT_CERT or BAO_CLIENT_CERT."), \
	STR(vault_config, key_file, "Its private key, PEM. Default: VAULT_CLIENT_KEY or BAO_CLIENT_KEY."), \
	BOOL(vault_config, insecure_skip_verify, "Refused: the server is always verified.", .dflt = "false"), \
	ENUM(vault_config, auth, vault_login_names, \
	     "How to log in: token, approle, kubernetes or cert. auto: what the other fields are for.", \
	     .dflt = "auto"), \
	STR(vault_config, auth_mount, "Where the method is mounted, below auth/. Default: the method's name."), \
	VAULT_SECRET(token, "A token. Default: VAULT_TOKEN or BAO_TOKEN."), \
	STR(vault_config, role_id, "AppRole: the role's id."), \
	VAULT_SECRET(secret_id, "AppRole: the secret id, or the token that it is wrapped in."), \
	BOOL(vault_config, secret_id_wrapped, \
	     "secret_id is a response-wrapping token, good for one login: for one command, or for one run of a " \
	     "listener.", \
	     .dflt = "false"), \
	STR(vault_config, role, \
	    "Kubernetes: the role. Certificate: its entry at the server; without it the server looks."), \
	VAULT_SECRET(jwt, "Kubernetes: the service account's token. Default: where Kubernetes puts it."), \
	BOOL(vault_config, auto_unseal_enabled, \
	     "The server unseals itself by a hardware module or a cloud's key: its keys count as SL1. `kms engine " \
	     "show` says whether that is so.", .dflt = "false"), \
	STRV(vault_config, auto_unseal_keys, \
	     "Shares of the unseal key, by reference: a sealed server is unsealed with them. Better leave that to " \
	     "the server.", \
	     .flags = F_SECRET), \
	DUR(vault_config, timeout, "For one operation with all its attempts.", .dflt = "15s", .min = 1, .max = 600)
extern const char *const vault_host_aka[], *const vault_ca_aka[];
