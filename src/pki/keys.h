#pragma once
#include "base/ctx.h"
#include "crypto/algs.h"
#include "model/key.h"

/* Makes ctx->engines from the repository's documents; none is opened before it is asked for. */
int keys_describe_engines(struct ctx *, struct err *) NODISCARD;

/* Key records on top of repository and engines: finding, naming, binding. One grammar wherever a key is named: id (or a
 * unique prefix of at least 8 digits), alias, name, or URI (pkcs11:…, an engine's scheme such as awskms:…, file:…). A
 * URI that no record matches is asked of the engines that it may mean; a key that has no record yet is ERR_NOT_FOUND,
 * saying how it gets one. */
int keys_resolve(struct ctx *, const char *ref, struct key *ret, struct err *) NODISCARD;
/* The same for commands that write: such a key gets its record in this transaction. With an engine (may be NULL) `ref`
 * may be any name that the engine knows the key by. */
int keys_take(struct ctx *, const char *ref, const char *engine_id, struct key *ret, struct err *) NODISCARD;
/* `kms key import URI`: a record for a key that an engine has. Where the key has a record in another engine it becomes
 * a replica. `name` NULL: as the engine calls it. ERR_EXISTS when it is recorded there already. */
int keys_adopt(struct ctx *, const char *ref, const char *engine_id, const char *name, struct key *ret,
	       struct err *) NODISCARD;
/* The keys in all engines that have no record; an engine that cannot be asked is a warning. */
int keys_strangers(struct ctx *, int (*cb)(void *, const struct key *, struct err *), void *arg,
		   struct err *) NODISCARD;
/* Among the records alone. */
int keys_find(struct ctx *, const char *ref, bool *ret_found, struct key *ret, struct err *) NODISCARD;
int keys_missing(struct ctx *, const char *ref, struct err *) NODISCARD; /* sets ERR_NOT_FOUND, with the nearest name */
/* The scheme of an engine's URI and what follows it, or NULL. */
const char *keys_scheme(const char *ref, const char **ret_rest);

/* Makes a key in an engine (NULL: the default) and puts its record into the transaction. When the command fails
 * afterwards, keys_abandon removes the private half again. */
int keys_create(struct ctx *, const char *engine_id, const struct keytype *, const char *name, struct key *ret,
		struct err *) NODISCARD;
/* ERR_EXISTS when there is a record with a private part already; one of the public part only is completed. */
int keys_import(struct ctx *, const char *engine_id, EVP_PKEY *, const char *name, struct key *ret,
		struct err *) NODISCARD;
/* Imports a private key that has a record into a second engine, as its replica; *ret_copy is what keys_abandon removes
 * again. */
int keys_replicate(struct ctx *, const char *engine_id, EVP_PKEY *, struct key *ret, struct key *ret_copy,
		   struct err *) NODISCARD;
/* Makes `engine_id` the key's engine, in its record and its authorities: a replica there is promoted, else the key is
 * imported, which its engine and the other one must allow. The new place is proven by a signature. The old one becomes
 * a replica with `keep`, else *ret_old is what keys_destroy removes after the commit. *ret_made is what keys_abandon
 * removes when the commit fails; its id is NULL when nothing was made. */
int keys_move(struct ctx *, struct key *, const char *engine_id, bool keep, struct key *ret_old, struct key *ret_made,
	      struct err *) NODISCARD;
/* A key to verify with: only its public part, in no engine. DSA too. */
int keys_import_public(struct ctx *, const EVP_PKEY *, const char *name, struct key *ret, struct err *) NODISCARD;
/* Removes the private half that a command made from its engine again, since the command failed. What fails is a
 * warning. */
void keys_abandon(struct ctx *, const struct key *);
/* Before the commit that removes a record: opens every engine that has the key, and asks whether it deletes keys at
 * all. */
int keys_may_destroy(struct ctx *, const struct key *, struct err *) NODISCARD;
/* After it: removes the private half everywhere. What fails is a warning. Returns when it will be gone for good; 0:
 * now. */
int64_t keys_destroy(struct ctx *, const struct key *);
int keys_put(struct ctx *, const struct key *, struct err *) NODISCARD; /* into the transaction */
int keys_all(struct ctx *, struct key **ret, size_t *ret_n, struct err *) NODISCARD;

/* Notes what uses a key (lamassu.io/kms/binded-resources); both put the changed record into the transaction. */
int keys_bind(struct ctx *, struct key *, const char *resource_type, const char *resource_id, struct err *) NODISCARD;
int keys_unbind(struct ctx *, struct key *, const char *resource_type, const char *resource_id, struct err *) NODISCARD;
/* Removes the record and notes the reason in the ledger (K9); the private half goes with keys_destroy, after the
 * commit. Where the engine's document sets a retention, the first call notes reason and time only and sets *ret_gone
 * false. ERR_CONFLICT naming the resources while any is bound, and while the retention lasts. */
int keys_delete(struct ctx *, struct key *, const char *reason, bool *ret_gone, struct err *) NODISCARD;
/* An alias belongs to one key. `move` takes it from the one that has it; without, that is ERR_EXISTS. */
int keys_alias_add(struct ctx *, struct key *, const char *alias, bool move, struct err *) NODISCARD;
int keys_alias_remove(struct ctx *, struct key *, const char *alias, struct err *) NODISCARD;
int keys_tag(struct ctx *, struct key *, const char *tag, bool remove, struct err *) NODISCARD;
/* How the engine names the key, there or as a replica; NULL when it is not in it. */
const char *keys_handle_in(const struct key *, const char *engine_id);
bool keys_is_in(const struct key *, const char *engine_id);
int keys_add_replica(struct ctx *, struct key *, const char *engine_id, const char *handle, struct err *) NODISCARD;
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
