#pragma once
#include "base/buf.h"
#include "base/tm.h"
#include "state/index.h"
#include "state/state.h"
#include "state/store.h"

/* What the files of this folder share: the inside of a transaction. */
struct change { /* of a file on the policy branch; later ones replace earlier ones of the same path */
	const char *path;
	struct bytes text;
	bool gone;
};

struct tip { /* of a branch, as this transaction sees it */
	char ref[128];   /* "refs/heads/main" */
	bool exists;     /* false only inside state_init */
	struct oid commit, tree;
};

enum { GC_PACKS = 96 };    /* so many are past what joining small ones keeps up with */
enum { CLOCK_SKEW = 600 }; /* seconds by which the clocks of two clones may differ */

struct state {
	struct arena *arena;     /* of results */
	struct arena *lasting;   /* of the handle: the same, until state_follow gives results another */
	const char *dir, *private_dir;
	unsigned flags;
	struct state_env env;
	char *operator_;         /* "Name <mail>"; NULL while only reading */
	struct config config;
	struct store *store;
	unsigned follows; /* how often state_follow was called */
	struct index *index;     /* opened on first use: state_index() */
	struct tip policy, ledger;
	bool tree_late;          /* ledger.tree is not of ledger.commit yet: state_ledger_tree() */
	char op_id[33];          /* of the next commit: hex, random */
	struct arena *overlay;   /* holds what follows, until the commit; NULL while it is empty */
	struct change *changes;  /* of the policy branch */
	size_t nchanges;
	struct entry *entries;   /* new ledger entries, without folders yet: path = "<kind>/<name>" */
	size_t nentries;
	int lock_fd;             /* -1: not held */
	size_t packs;            /* about how many there are; kept while the lock is held */
	/* git's index, to tell uncommitted edits of records that are read; NULL before the first */
	struct gitindex *seen;
	bool seen_tried;
	struct dms_deltas *deltas; /* of the policy commit below, in `lasting`; NULL: not asked for yet */
	size_t ndeltas;
	struct oid deltas_of;
	struct strv warned;      /* records that a warning has named */
};

/* The cache, brought up to this transaction's ledger tip. */
int state_index(struct state *, struct index **ret, struct err *) NODISCARD;
/* The tree of the ledger tip, which state_follow leaves for those who need it. */
int state_ledger_tree(struct state *, const struct oid **ret, struct err *) NODISCARD;
/* The cache as it was found, for those who will not read what is in it. */
int state_index_as_is(struct state *, struct index **ret, struct err *) NODISCARD;
/* Adds an entry "<kind>/<name>" (kind: issued, revoked, crls, meta, devices, events) to the overlay. The commit puts
 * it into the newest folder of its kind that has room: <kind>/HH/HH/HH/<name>, 128 entries a folder. */
int state_add_entry(struct state *, const char *kind, const char *name, struct bytes text, struct err *) NODISCARD;

/* --- open.c --- */
int state_check_format(struct state *, struct err *) NODISCARD;
void state_warn(struct state *, const char *fmt, ...) PRINTF(2, 3);
int state_new_op(struct state *, struct err *) NODISCARD; /* a fresh op_id */
void state_clear(struct state *);                         /* empties the overlay */
/* The operator: env.actor, else lamassu.operator, else user.name and user.email. `config` looks a key up. */
int state_find_operator(struct arena *, const char *actor, const char *(*config)(void *arg, const char *key), void *arg,
			char **ret,
			struct err *) NODISCARD;
int state_private_dir(struct state *, struct err *) NODISCARD; /* makes .git/lamassu */
int state_take_lock(struct state *, struct err *) NODISCARD;   /* flock, then recovery */
int state_tip(struct state *, struct tip *, struct err *) NODISCARD; /* reads the branch tip->ref */

/* --- records.c --- */
/* without the check of kind and name */
int state_overlay_entry(struct state *, const char *path, struct bytes, struct err *) NODISCARD;
bool path_valid(const char *); /* relative, plain components, nothing that git treats specially */
int state_overlay_put(struct state *, const char *path, struct bytes, bool gone, struct err *) NODISCARD;

/* --- commit_text.c --- */
struct commit_text {
	struct oid tree;
	const struct oid *parents;
	size_t nparents;
	const char *who;     /* author and committer */
	int64_t time;
	const char *subject, *op, *op_id;
	const char *more;         /* trailers of the caller, whole lines; NULL: none */
	const struct oid *policy; /* the policy commit that was in force; NULL: left out */
};
/* A commit object with our trailers: Lamassu-Op, Lamassu-Op-Id, Lamassu-Policy. */
void commit_text_build(const struct commit_text *, struct buf *out);

/* --- seen.c: the newest ledger commit that this clone has seen --- */
int seen_check(struct state *, struct err *) NODISCARD; /* ERR_CONFLICT when the branch no longer contains it */
void seen_save(struct state *);

/* --- recover.c --- */
struct intent { /* what a commit is about to do; written before the first ref moves */
	const char *op_id;
	const char *workdir; /* that will be brought up to date; NULL: bare */
	/* of a history that is not touched old and new are equal */
	struct tip ledger_old, ledger_new, policy_old, policy_new;
};
int intent_write(struct state *, const struct intent *, struct err *) NODISCARD;
void intent_drop(struct state *);
/* With the repository's lock held: removes what a killed process of ours left and finishes what it had begun to
 * publish. `died`: the last holder of the lock did not give it up, so the folders below ours are looked at too. */
int state_recover(struct state *, bool died, struct err *) NODISCARD;
