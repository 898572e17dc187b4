#pragma once
#include <openssl/evp.h>
#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"
#include "crypto/algs.h"
#include "model/engine.h"
#include "model/key.h"
#include "rec/schema.h"

/* Engines: places where private keys live. Above this folder a key is an EVP_PKEY and nobody knows where it is. Two
 * small tables: signers (sign where the key is) and blob stores (keep an encrypted PKCS#8; sealed.c signs). A new
 * engine is one file and one row in engines[] of engine.c. */
struct engine;

enum engine_caps {
	CAP_GENERATE = 1, CAP_IMPORT = 2, CAP_DELETE = 4, CAP_LIST = 8, CAP_EXPORT = 16 /* the private key can leave */
};

enum key_standing { KEY_USABLE, KEY_DISABLED, KEY_DELETING, KEY_GONE };

struct key_state { /* what an engine says of one of its keys */
	enum key_standing standing;
	int64_t gone_at;     /* KEY_DELETING: when it will be gone for good; 0 when unknown */
	const char *created; /* for people: as the engine prints it; may be NULL */
};

struct key_notes { /* what people call a key, for engines that can show it in their consoles */
	const char *name;
	struct strv aliases, tags;
};

struct keyref {       /* how an engine names one of its keys */
	const char *handle; /* immutable, the engine's own: file name, ARN, kid with version, CKA_ID */
	const char *id;     /* SHA-256 of SPKI when known, else NULL */
	const char *label;  /* for people, may be NULL */
};

struct store_ops;

struct engine_ops { /* a place that signs */
	const char *kind; /* "PKCS11": `type:` of the engine's document */
	const char *const *aka; /* other names of the kind, NULL-terminated */
	const char *provider;   /* for people: "Software", "PKCS#11" */
	int security_level;     /* 0, 1, 2; the engine's document may only lower it */
	int (*level)(const void *config); /* with these settings, where they matter; else NULL */
	/* of its keys' URIs: "awskms"; NULL: none. What follows the colon is the engine's own name. */
	const char *scheme;
	/* its bodies need the libraries of lamassu-net; opening it becomes that program (net_need) */
	bool outside;
	const struct schema *config; /* fields of `config:`; validated, documented */
	const struct store_ops *store; /* of a sealed engine: where its blobs are; NULL for those that sign
	 * themselves */
	unsigned caps;
	unsigned inflight;      /* signatures that may run at once; 0 = one per core */
	int (*open)(struct ctx *, struct engine *, const void *config, struct err *);
	void (*close)(struct engine *);
	/* Which of keytypes[] can be made or held: sets bits in *ret (index in keytypes[]). */
	int (*keytypes)(struct engine *, uint32_t *ret, struct err *);
	int (*generate)(struct ctx *, struct engine *, const struct keytype *, const char *label, struct keyref *ret,
			EVP_PKEY **ret_pub, struct err *);
	int (*import)(struct ctx *, struct engine *, EVP_PKEY *priv, const char *label, struct keyref *ret,
		      struct err *);
	/* A key that OpenSSL itself can sign with (sealed engines), or NULL: then `sign` is wrapped by
	 * crypto/provider.c. */
	int (*load)(struct ctx *, struct engine *, const struct keyref *, EVP_PKEY **ret, struct err *);
	/* May be NULL. Before a key's first signature, from the command's own thread: logs in, and sees that the key is
	 * there. */
	int (*prepare)(struct ctx *, struct engine *, const struct keyref *, struct err *);
	/* in: digest, or the whole message for Ed25519 and ML-DSA. ECDSA signatures are DER. Thread-safe up to
	 * `inflight`. */
	int (*sign)(struct engine *, const struct keyref *, const struct sigalg *, struct bytes in, struct buf *sig,
		    struct err *);
	int (*pubkey)(struct ctx *, struct engine *, const struct keyref *, EVP_PKEY **ret, struct err *);
	/* *ret_gone_at: 0 when it is gone now, else the time when the engine will have deleted it. */
	int (*destroy)(struct ctx *, struct engine *, const struct keyref *, int64_t *ret_gone_at, struct err *);
	int (*each)(struct ctx *, struct engine *, int (*cb)(void *arg, const struct keyref *, struct err *), void *arg,
		    struct err *);
	/* The four below may be NULL. A key by a name of the engine's own (label, alias, ARN, path; what follows the
	 * colon of its URI, but PKCS#11 URIs whole), made by anybody; ERR_NOT_FOUND, also where the name belongs to
	 * another region or vault, or ERR_USAGE when it names several. */
	int (*find)(struct ctx *, struct engine *, const char *name, struct keyref *ret, struct err *);
	/* Takes a deleted key back that the engine still keeps; `find` finds it then. */
	int (*recover)(struct ctx *, struct engine *, const char *name, struct err *);
	int (*state)(struct ctx *, struct engine *, const struct keyref *, struct key_state *ret, struct err *);
	int (*annotate)(struct ctx *, struct engine *, const struct keyref *, const struct key_notes *, struct err *);
	/* What the engine says of itself now, for people: a JSON object. */
	int (*report)(struct ctx *, struct engine *, char **ret, struct err *);
	int (*child)(int argc, char **argv); /* for engine_child; may be NULL */
};

/* A place that keeps bytes. Names are [a-z0-9._-]; `get` and `del` of one that is not there: ERR_NOT_FOUND. What `put`
 * has acknowledged is durable; a blob has one content at any time, and no earlier one stays readable beside it. */
struct store_ops {
	/* other machines use it too: the seal, which says how keys are encrypted, is kept in it beside the keys */
	bool shared;
	int (*open)(struct ctx *, struct engine *, const void *config, struct err *);
	void (*close)(struct engine *);
	/* *ret_version (may be NULL): for `put`, so that it replaces what was read and nothing else. */
	int (*get)(struct ctx *, struct engine *, const char *name, struct bytes *ret, const char **ret_version,
		   struct err *);
	/* Check and set. `over` NULL: a new one, ERR_EXISTS when the name is taken; else the version that is replaced,
	 * ERR_CONFLICT when it is no longer the present one; STORE_ANY: whatever is there. */
	int (*put)(struct ctx *, struct engine *, const char *name, struct bytes, const char *over, struct err *);
	/* *ret_gone_at as in engine_ops.destroy. */
	int (*del)(struct ctx *, struct engine *, const char *name, int64_t *ret_gone_at, struct err *);
	int (*each)(struct ctx *, struct engine *, int (*cb)(void *arg, const char *name, struct err *), void *arg,
		    struct err *);
	/* What people call the key, for stores that can show it; may be NULL. */
	int (*annotate)(struct ctx *, struct engine *, const char *name, const struct key_notes *, struct err *);
};
#define STORE_ANY ""

struct engine {
	const struct engine_ops *ops;
	const struct engine_doc *doc;
	void *priv;            /* of the kind, or of the store */
	struct sealed *sealed; /* of sealed.c */
	bool unencrypted;      /* set by a store's open: its config asks for plain PKCS#8 */
	const char *passphrase; /* set by a store's open: reference to the passphrase, from its config; may be NULL */
	const char *dir;       /* where local files may be kept (.git/lamassu) */
	struct arena *arena;   /* lives as long as the engine */
};

/* For main, before anything else: the exit status when an engine has started this process for work of its own, which is
 * done now; -1 otherwise. */
int engine_child(int argc, char **argv);
extern const struct engine_ops *const engine_kinds[]; /* NULL-terminated: every kind that this program has */
const struct engine_ops *engine_kind(const char *name); /* by kind or other name, ignoring case; NULL */

/* A key in a PKCS#11 token that no repository describes, by its URI (RFC 7512): module-path, else the modules of
 * p11-kit; pin-source, a file. No pin-value. */
struct engine_uri {
	struct engine_doc doc; /* its id is the token's label, or "token" */
	const char *object;    /* label; NULL: none */
	bool has_id;           /* it names one key for ever */
};
int engine_of_uri(struct arena *, const char *uri, struct engine_uri *ret, struct err *) NODISCARD;

/* The open engines of a command. `docs` are the repository's; `private_dir` is state_private(). They are opened on
 * first use. */
struct engines *engines_new(struct ctx *, const struct engine_doc *docs, size_t n, const char *default_id,
			    const char *private_dir);
void engines_free(struct engines *);
/* id NULL or "": the default. ERR_NOT_FOUND names the known ones. */
int engine_get(struct ctx *, const char *id, struct engine **ret, struct err *) NODISCARD;
/* Opens an engine that will be needed after a commit, when it is too late to become lamassu-net. Its failure shows when
 * it is used. */
void engine_ready(struct ctx *, const char *id);
const char *engine_default_id(struct ctx *); /* NULL: there is none */
/* The kind of an engine by its document alone, without opening it; NULL when there is no such engine or kind. */
const struct engine_ops *engine_ops_of(struct ctx *, const char *id);
int engine_security_level(const struct engine_doc *); /* kind's, or lower where the document says so */
/* Checks a document against its kind: config fields, references instead of secrets, security level. */
int engine_doc_check(struct arena *, struct engine_doc *, struct err *) NODISCARD;
/* What the engine says of itself, JSON; NULL where its kind says nothing. */
int engine_report(struct ctx *, const char *id, char **ret, struct err *) NODISCARD;
/* Key types that the engine can make or hold now, as it says itself: "ecdsa:256" … */
int engine_keytypes(struct ctx *, const char *id, struct strv *ret, struct err *) NODISCARD;

/* A signing key for a key record: native where the engine can give one, else wrapped; the public half is checked
 * against the record. Where an engine fails (ERR_REMOTE), now or while it signs, the key's next replica signs and one
 * warning says so. The caller owns *ret, which must go before the engines do. */
int engine_key(struct ctx *, const struct key *, EVP_PKEY **ret, struct err *) NODISCARD;
/* How many signatures with an opened key may run at once: `wanted`, or as few as its engines take. 0: one per core. */
unsigned engine_inflight(struct ctx *, const struct key *, unsigned wanted);
/* Generates or imports, and fills a new key record (id, handle, algorithm, size, public key …). */
int engine_generate(struct ctx *, const char *engine_id, const struct keytype *, const char *name, struct key *ret,
		    struct err *) NODISCARD;
int engine_import(struct ctx *, const char *engine_id, EVP_PKEY *, const char *name, struct key *ret,
		  struct err *) NODISCARD;
/* Before keys of this type are imported by nobody's hand: opens the engine and asks for the secret that it needs. */
int engine_import_ready(struct ctx *, const char *engine_id, const struct keytype *, struct err *) NODISCARD;
int engine_destroy(struct ctx *, const struct key *, int64_t *ret_gone_at, struct err *) NODISCARD;
/* What the engine says of the key; KEY_USABLE where an engine knows no states, which is not opened then. */
int engine_key_state(struct ctx *, const struct key *, struct key_state *ret, struct err *) NODISCARD;
/* Whether it does show names, so that the next one has something to do: opens it, which must be before anything is
 * written. */
bool engine_annotates(struct ctx *, const struct key *);
/* Shows name, aliases and tags in the engine; nothing where it cannot. */
int engine_annotate(struct ctx *, const struct key *, struct err *) NODISCARD;
/* A record for a key that is in the engine already, made by anybody: `name` as for engine_ops.find. */
int engine_adopt(struct ctx *, const char *engine_id, const char *name, struct key *ret, struct err *) NODISCARD;
/* Takes a deleted key back that the engine still keeps; `name` as for engine_adopt. */
int engine_recover(struct ctx *, const char *engine_id, const char *name, struct err *) NODISCARD;
/* Every key in the engine that is fit to sign, but those whose handle is in `known`; the record is as engine_adopt
 * would make it. */
int engine_each(struct ctx *, const char *engine_id, const struct strv *known,
		int (*cb)(void *, const struct key *, struct err *), void *arg, struct err *) NODISCARD;
/* Creates, signs with, verifies and deletes a throw-away key of every type that the engine supports; cb once per
 * type. */
struct engine_test_row {
	const char *keytype, *algorithm, *result; /* result: "ok" or the reason */
	int64_t micros;
};
int engine_test(struct ctx *, const char *id, int (*cb)(void *, const struct engine_test_row *), void *arg,
		struct err *) NODISCARD;

/* --- what a blob store keeps besides keys: ERR_UNSUPPORTED for an engine that is none, or of this machine alone --- */
/* *ret_version for engine_blob_put; ERR_NOT_FOUND. */
int engine_blob(struct ctx *, const char *engine_id, const char *name, struct bytes *ret, const char **ret_version,
		struct err *) NODISCARD;
/* as store_ops.put */
int engine_blob_put(struct ctx *, const char *engine_id, const char *name, struct bytes, const char *over,
		    struct err *) NODISCARD;

/* --- passphrases of sealed engines (K11); ERR_UNSUPPORTED for an engine that has none --- */
char *engine_passphrase_random(struct arena *); /* 256 random bits as text */
/* Encrypts all keys anew, or for the first time. `text` NULL asks for the new passphrase; `generated` says that it is
 * random and needs no stretching. What an interrupted change left is finished or dropped by the next one, and does not
 * hinder loading. */
int engine_passphrase(struct ctx *, const char *id, const char *text, bool generated, struct err *) NODISCARD;
int engine_unlock(struct ctx *, const char *id, int64_t secs,
		  struct err *) NODISCARD; /* into the kernel's session keyring */
int engine_lock(struct ctx *, const char *id, bool *ret_was_unlocked, struct err *) NODISCARD;
bool engine_is_unlocked(struct ctx *, const char *id); /* opens nothing */

/* --- references to secrets: ${NAME}, env:NAME, file:PATH, fd:N, command:ARGV --- */
/* The secret itself, in the arena; one line end at its end is dropped. `what` names it in errors: "pin of engine
 * hsm". */
int secret_resolve(struct arena *, const char *what, const char *ref, char **ret, struct err *) NODISCARD;
/* Lets command: references run. Documents come from whoever may push to the policy branch, so it takes a word of this
 * machine: git's lamassu.allowCommands, or LAMASSU_ALLOW_COMMANDS=1. Without it they are ERR_DENIED. */
void secret_allow_commands(void);
bool secret_commands_allowed(void);
/* The variable in which an engine's secret is looked for: LAMASSU_PASSPHRASE_MY_ENGINE. */
char *secret_env_name(struct arena *, const char *prefix, const char *id);
/* What a program prints; run only where the machine allows it, without a shell, for seconds at most. No message holds
 * any of it. */
int secret_command(struct arena *, char *const argv[], char **ret, struct err *) NODISCARD;
