#pragma once
#include "base/ctx.h"
#include "crypto/algs.h"
#include "model/key.h"

/* Key records on top of repository and engines: finding, naming, binding. One grammar wherever a key is named: id (or a unique
 * prefix of at least 8 digits), alias, name, or URI (pkcs11:…, awskms:…, azurekv:…, vault:…, file:…). */
int keys_resolve(struct ctx *, const char *ref, struct key *ret, struct err *) NODISCARD;

/* Makes a key in an engine (NULL: the default) and puts its record into the transaction. When the command fails afterwards,
 * keys_abandon removes the private half again. */
int keys_create(struct ctx *, const char *engine_id, const struct keytype *, const char *name, struct key *ret, struct err *) NODISCARD;
int keys_import(struct ctx *, const char *engine_id, EVP_PKEY *, const char *name, struct key *ret, struct err *) NODISCARD;
void keys_abandon(struct ctx *, const struct key *);

/* Notes what uses a key (lamassu.io/kms/binded-resources); both put the changed record into the transaction. */
int keys_bind(struct ctx *, struct key *, const char *resource_type, const char *resource_id, struct err *) NODISCARD;
int keys_unbind(struct ctx *, struct key *, const char *resource_type, const char *resource_id, struct err *) NODISCARD;
/* ERR_CONFLICT naming the resources while any is bound (K9). */
int keys_delete(struct ctx *, const struct key *, const char *reason, struct err *) NODISCARD;
bool keys_have(struct ctx *, const char *key_id); /* is there a record for this SPKI digest? */
/* Fills strength, security_level and pkcs11_uri for display. */
void keys_compute(struct ctx *, struct key *);
