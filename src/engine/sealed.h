#pragma once
#include "crypto/key.h"
#include "engine/engine.h"

/* Inside of the sealed engines: engines that keep each key as PKCS#8 in a store (store_*.c), encrypted under one
 * passphrase for the whole engine (passphrase.c), and sign in this process (sealed.c). Engine kinds put SEALED_OPS into
 * their row. */
struct seal {
	struct key_seal how;   /* how the passphrase becomes the key */
	struct bytes verifier; /* tells a right passphrase from a wrong one */
	struct bytes derived;  /* the key; n == 0: not asked for yet */
	const char *version;   /* of the blob that it was read from, where the store is shared; NULL: not read */
};

struct held { /* a private key that this process has loaded or made */
	const char *name;
	EVP_PKEY *key;
};

struct sealed {
	struct seal seal;
	const char *text; /* the passphrase, once it was asked for; keys that other programs encrypted need it */
	struct held *held;
	size_t nheld;
};

int sealed_open(struct ctx *, struct engine *, const void *config, struct err *) NODISCARD;
void sealed_close(struct engine *);
int sealed_keytypes(struct engine *, uint32_t *ret, struct err *) NODISCARD;
int sealed_generate(struct ctx *, struct engine *, const struct keytype *, const char *label, struct keyref *ret,
		    EVP_PKEY **ret_pub,
		    struct err *) NODISCARD;
int sealed_import(struct ctx *, struct engine *, EVP_PKEY *, const char *label, struct keyref *ret,
		  struct err *) NODISCARD;
int sealed_load(struct ctx *, struct engine *, const struct keyref *, EVP_PKEY **ret, struct err *) NODISCARD;
int sealed_pubkey(struct ctx *, struct engine *, const struct keyref *, EVP_PKEY **ret, struct err *) NODISCARD;
int sealed_destroy(struct ctx *, struct engine *, const struct keyref *, int64_t *ret_gone_at, struct err *) NODISCARD;
int sealed_find(struct ctx *, struct engine *, const char *name, struct keyref *ret, struct err *) NODISCARD;
int sealed_annotate(struct ctx *, struct engine *, const struct keyref *, const struct key_notes *,
		    struct err *) NODISCARD;
/* A key as it is in the store now, and its version there. */
int sealed_read(struct ctx *, struct engine *, const char *name, EVP_PKEY **ret, const char **ret_version,
		struct err *) NODISCARD;
int sealed_each(struct ctx *, struct engine *, int (*cb)(void *, const struct keyref *, struct err *), void *arg,
		struct err *) NODISCARD;
#define SEALED_OPS                                                                                             \
	.caps = CAP_GENERATE | CAP_IMPORT | CAP_DELETE | CAP_LIST | CAP_EXPORT, .open = sealed_open,           \
	.close = sealed_close, .keytypes = sealed_keytypes, .generate = sealed_generate, .import = sealed_import, \
	.load = sealed_load, .pubkey = sealed_pubkey, .destroy = sealed_destroy, .each = sealed_each

/* The rows that configs of sealed engines share. */
#define SEALED_PASSPHRASE(st)                                                                                  \
	STR(st, passphrase, "The passphrase of the engine's keys. Without it the command's options, the variable " \
	    "LAMASSU_PASSPHRASE_<ENGINE> or LAMASSU_PASSPHRASE, or the terminal are asked.", .flags = F_SECRET)

/* While all keys are being encrypted anew, a key's new form stands beside it under its name with this behind it; in a
 * shared store with the seal that it belongs to, since two may be changing the passphrase at once. */
#define SEALED_NEXT ".next"
char *sealed_next(struct arena *, const struct engine *, const struct seal *, const char *name);
/* What is no key of a shared store has a name that begins so: the seal, and blobs of others. */
#define SEALED_OWN "lamassu."
#define SEALED_SEAL SEALED_OWN "seal"

/* passphrase.c: makes seal.derived available, from the session keyring or by asking. `create`: the engine's first key
 * is about to be made, so a missing seal is made with a new passphrase. ERR_DENIED for a wrong one; it is asked for
 * once. */
int seal_open(struct ctx *, struct engine *, bool create, struct err *) NODISCARD;
/* What says how the keys are encrypted; *ret_found false when there is none yet. */
int seal_read(struct ctx *, struct engine *, bool *ret_found, struct err *) NODISCARD;
/* Asks for the engine's passphrase; `fresh`: for one to be set. */
int seal_ask(struct ctx *, struct engine *, bool fresh, const char **ret, struct err *) NODISCARD;
/* ERR_CONFLICT when another machine has changed the passphrase since the seal was read. */
int seal_unchanged(struct ctx *, struct engine *, struct err *) NODISCARD;
/* Whether `derived` is the key that the verifier was made from. */
bool seal_verify(const struct seal *, struct bytes derived);

/* The engine with its document only, whether open or not: for looking at the keyring. NULL when there is none of this
 * id. */
struct engine *engine_unopened(struct ctx *, const char *id);

/* unlock.c: the derived key in the kernel's session keyring. */
bool keyring_get(struct engine *, struct bytes *ret);
int keyring_put(struct engine *, struct bytes derived, int64_t secs, struct err *) NODISCARD;
bool keyring_drop(struct engine *); /* false: it was not there */

/* private.c: no core dumps and no ptrace from now on; called before the first private key is in memory. */
void process_harden(void);
/* A file of mode 0600 and the folders that it needs. Changes the umask for a moment: not beside other threads. */
int private_write(const char *path, struct bytes, bool replace, struct err *) NODISCARD;

extern const struct engine_ops software_engine;
