#pragma once
#include "state/index.h"
#include "state/state.h"
#include "state/store.h"

/* What the files of this folder share: the inside of a transaction. */
struct change { /* of a file on the policy branch; later ones replace earlier ones of the same path */
	const char *path;
	struct bytes text;
	bool gone;
};

struct state {
	struct arena *arena;
	const char *dir, *private_dir;
	unsigned flags;
	struct state_env env;
	struct config config;
	struct store *store;
	struct index *index;             /* opened on first use: state_index() */
	struct oid policy, policy_tree;  /* the tip that this transaction reads */
	struct oid ledger, ledger_tree;
	char policy_ref[128], ledger_ref[128]; /* "refs/heads/main" */
	char op_id[33];                  /* of the transaction: hex, random */
	struct change *changes;          /* overlay of the policy branch */
	size_t nchanges;
	struct entry *entries;           /* new ledger entries, without folders yet: path = "<kind>/<name>" */
	size_t nentries;
	int lock_fd;                     /* -1: not held */
};

/* The cache, brought up to this transaction's ledger tip. */
int state_index(struct state *, struct index **ret, struct err *) NODISCARD;
/* Adds an entry "<kind>/<name>" (kind: issued, revoked, crls, meta, devices, events) to the overlay. The commit puts it into the
 * newest folder of its kind that has room: <kind>/HH/HH/HH/<name>, 128 entries a folder. */
int state_add_entry(struct state *, const char *kind, const char *name, struct bytes text, struct err *) NODISCARD;
