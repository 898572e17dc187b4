#pragma once
#include "rec/schema.h"

/* A key record: keys/<id>.yaml holds the public part, the engine binding and names. The private part lives in the
 * engine. */
struct key_binding {
	char *resource_type; /* "ca", "certificate" */
	char *resource_id;
};

struct key {
	char *id;              /* SHA-256 of the SubjectPublicKeyInfo, lower-case hex */
	char *name;
	struct strv aliases;   /* unique over all keys, movable */
	char *engine_id;
	char *handle;          /* the engine's own immutable name of the key; the software engine uses the id */
	char *algorithm;       /* RSA, ECDSA, Ed25519, ML-DSA, DSA */
	int64_t size;          /* bits */
	bool has_private_key;
	bool adopted;          /* made in its engine by another program, which may know it by its names there */
	char *public_key;      /* PEM */
	struct strv tags;
	char *metadata;
	struct strv replicas;  /* "engine:handle" */
	struct vec bound;      /* struct key_binding; printed as lamassu.io/kms/binded-resources */
	int64_t created_at;
	int64_t delete_after;  /* deletion was asked for and waits for the engine's retention; 0: no */
	char *delete_reason;
	/* computed */
	char *strength;        /* HIGH, MEDIUM, LOW (K10) */
	char *security_level;  /* SL0 … */
	char *pkcs11_uri;      /* RFC 7512 */
	bool recorded;         /* false: in an engine, but without a record here */
	char *state;           /* what the engine says: usable, disabled, deleting, gone */
	int64_t gone_at;       /* deleting: when it will be gone */
};
extern const struct schema key_type, key_binding_type;
