/* Key records: what the repository knows of a key. Nothing here is secret, and nothing here can sign; the private half
 * is in an engine, which knows it by `handle`. */
#include "model/key.h"

#include <string.h>

#include "base/text.h"
#include "model/engine.h"

static const struct field binding_fields[] = {
	STR(key_binding, resource_type, "Kind of the object that uses the key: ca or certificate.", .flags = F_REQ),
	STR(key_binding, resource_id, "Its id, or serial number.", .flags = F_REQ),
	END
};

const struct schema key_binding_type = {
	.name = "binding", .doc = "An object that uses the key", .size = sizeof(struct key_binding),
		.fields = binding_fields
};

static const char *const bound_aka[] = { "lamassu.io/kms/binded-resources", NULL };
static const char *const id_aka[] = { "key_id", NULL };

static const struct field key_fields[] = {
	STR(key, id, "SHA-256 of the SubjectPublicKeyInfo, in hexadecimal.", .flags = F_REQ | F_KEY | F_COL,
	    .aka = id_aka),
	STR(key, name, "Name for people; several keys may share one.", .flags = F_COL),
	STRV(key, aliases, "Other names. Each belongs to one key only and can be moved to another.", .flags = F_COL),
	REF(key, engine_id, &engine_type, "The engine that holds the private key.", .flags = F_COL),
	STR(key, handle, "The engine's own, unchanging name of the key."),
	STR(key, algorithm, "RSA, ECDSA, Ed25519, ML-DSA or DSA.", .flags = F_REQ | F_COL),
	INT(key, size, "Size in bits.", .flags = F_REQ | F_COL, .min = 1, .max = 65536),
	BOOL(key, has_private_key, "Whether the engine can sign with it.", .flags = F_SHOW0, .dflt = "true"),
	BOOL(key, adopted, "Whether another program made it in its engine: its names there are left as they are.",
	     .dflt = "false"),
	STR(key, public_key, "The public key, PEM.", .flags = F_REQ | F_HIDE),
	STRV(key, tags, "Labels to filter by."),
	ANY(key, metadata, "Free key-value data."),
	STRV(key, replicas,
	     "The same key in other engines, as engine:handle; the next one is used when one is out of reach."),
	OBJV(key, bound, &key_binding_type, "Objects that use the key; it is not deleted while there are any.",
	     .aka = bound_aka),
	TIME(key, created_at, "When the record was made."),
	TIME(key, delete_after, "The earliest time of its deletion, which was asked for."),
	STR(key, delete_reason, "Why it is to be deleted."),
	STR(key, strength, "HIGH, MEDIUM or LOW.", .flags = F_OUT | F_COL),
	STR(key, security_level, "Protection of the engine: SL0 software, SL1 cloud module, SL2 hardware module.",
	    .flags = F_OUT | F_COL),
	STR(key, pkcs11_uri, "The key as an RFC 7512 URI.", .flags = F_OUT),
	BOOL(key, recorded, "Whether there is a record of it here; false for a key that is in an engine only.",
	     .flags = F_OUT | F_SHOW0),
	STR(key, state, "What its engine says of it, where it knows states: usable, disabled, deleting or gone.",
	    .flags = F_OUT),
	TIME(key, gone_at, "When the engine will have deleted it for good.", .flags = F_OUT),
	END
};

static bool is_sha256(const char *s)
{
	return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

static int key_check(struct arena *a, void *rec, struct err *e)
{
	const struct key *k = rec;

	(void)a;
	if (!is_sha256(k->id))
		return err_set(e, ERR_INVALID, "id: \"%s\" is not a SHA-256 in lower-case hexadecimal", k->id);
	if (k->has_private_key && (!k->engine_id || !k->handle))
		return err_set(e, ERR_INVALID, "engine_id and handle must be given for a key that has a private part");
	for (size_t i = 0; i < k->aliases.n; i++) {
		const char *alias = k->aliases.v[i];

		if (!alias[0] || is_sha256(alias) || strchr(alias, ':'))
			return err_set(e, ERR_INVALID,
				       "aliases.%zu: \"%s\": must not be empty, a key id, or contain ':'", i, alias);
	}
	for (size_t i = 0; i < k->replicas.n; i++) {
		const char *colon = strchr(k->replicas.v[i], ':');

		if (!colon || colon == k->replicas.v[i] || !colon[1])
			return err_set(e, ERR_INVALID, "replicas.%zu: must be engine:handle", i);
	}
	return 0;
}

const struct schema key_type = {
	.name = "key", .plural = "keys", .path = "keys/%s.yaml", .doc = "A key and the engine that holds it",
	.size = sizeof(struct key), .fields = key_fields, .check = key_check
};
