#pragma once
#include "rec/schema.h"

/* An engine's document: engines/<id>.yaml. `config` is a mapping whose fields the engine's kind describes. On input the
 * kind's fields may also stand at the top level (the seeds' documents); they are moved into config. */
struct engine_doc {
	char *id;
	char *type;           /* SOFTWARE (GOLANG), PKCS11, AWS_KMS, AWS_SECRETS_MANAGER, AZURE_KEY_VAULT,
		HASHICORP_VAULT_KV_V2 … */
	int64_t security_level; /* -1: the kind's own; may only be lowered */
	struct dur retention; /* how long a deleted key must wait */
	char *config;         /* ANY */
	char *metadata;
};
extern const struct schema engine_type;

/* The document of `kms engine add -f`: one engine, {default_id, engines: […]}, or crypto_engines: {pkcs11: […], …},
 * where the name of a list is the type of what it holds. *ret_default is NULL where the document names none. */
int engine_docs_load(struct arena *, const char *file, struct bytes text, struct engine_doc **ret, size_t *ret_n,
		     char **ret_default,
		     struct err *) NODISCARD;
