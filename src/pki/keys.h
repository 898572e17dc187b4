#pragma once
#include "base/ctx.h"
#include "crypto/algs.h"
#include "model/key.h"

/* Key records on top of repository and engines: finding, naming, binding. One grammar wherever a key is named: id (or a
 * unique prefix of at least 8 digits), alias, name, or URI (pkcs11:…, awskms:…, azurekv:…, vault:…, file:…). */
int keys_resolve(struct ctx *, const char *ref, struct key *ret, struct err *) NODISCARD;

/* Makes a key in an engine (NULL: the default) and puts its record into the transaction. When the command fails
 * afterwards, keys_abandon removes the private half again. */
int keys_create(struct ctx *, const char *engine_id, const struct keytype *, const char *name, struct key *ret,
		struct err *) NODISCARD;
/* ERR_EXISTS when there is a record with a private part already; one of the public part only is completed. */
int keys_import(struct ctx *, const char *engine_id, EVP_PKEY *, const char *name, struct key *ret,
		struct err *) NODISCARD;
/* A key to verify with: only its public part, in no engine. DSA too. */
int keys_import_public(struct ctx *, const EVP_PKEY *, const char *name, struct key *ret, struct err *) NODISCARD;
/* Removes the private half from its engine: before the commit when a command failed, after it when the record is gone.
 * What fails is a warning. */
void keys_abandon(struct ctx *, const struct key *);
int keys_put(struct ctx *, const struct key *, struct err *) NODISCARD; /* into the transaction */
int keys_all(struct ctx *, struct key **ret, size_t *ret_n, struct err *) NODISCARD;

/* Notes what uses a key (lamassu.io/kms/binded-resources); both put the changed record into the transaction. */
int keys_bind(struct ctx *, struct key *, const char *resource_type, const char *resource_id, struct err *) NODISCARD;
int keys_unbind(struct ctx *, struct key *, const char *resource_type, const char *resource_id, struct err *) NODISCARD;
/* Removes the record and notes the reason in the ledger (K9); the private half goes with keys_abandon, after the
 * commit. Where the engine's document sets a retention, the first call notes reason and time only and sets *ret_gone
 * false. ERR_CONFLICT naming the resources while any is bound, and while the retention lasts. */
int keys_delete(struct ctx *, struct key *, const char *reason, bool *ret_gone, struct err *) NODISCARD;
/* An alias belongs to one key. `move` takes it from the one that has it; without, that is ERR_EXISTS. */
int keys_alias_add(struct ctx *, struct key *, const char *alias, bool move, struct err *) NODISCARD;
int keys_alias_remove(struct ctx *, struct key *, const char *alias, struct err *) NODISCARD;
int keys_tag(struct ctx *, struct key *, const char *tag, bool remove, struct err *) NODISCARD;
bool keys_is_in(const struct key *, const char *engine_id); /* there, or as a replica */
bool keys_have(struct ctx *, const char *key_id); /* is there a record for this SPKI digest? */
/* Fills strength, security_level and pkcs11_uri, and puts the bindings into the metadata, for display; not to be
 * stored. */
void keys_compute(struct ctx *, struct key *);

/* Numbers for `kms stats`; the distributions are JSON objects. */
struct key_stats {
	int64_t total_keys, total_with_private_key;
	char *per_engine, *per_algorithm, *per_strength;
};
extern const struct schema key_stats_type;
int keys_stats(struct ctx *, struct key_stats *ret, struct err *) NODISCARD;

/* A private key from a file's content: PKCS#1, PKCS#8, SEC1, PKCS#12, PEM or DER; asks for the passphrase that it
 * needs. */
int keys_read(struct ctx *, const char *file, struct bytes text, EVP_PKEY **ret, struct err *) NODISCARD;
