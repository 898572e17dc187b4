#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "model/config.h"
#include "rec/schema.h"

/* The repository: two histories (policy branch and ledger) behind one transaction. Open, get/put/add on an overlay in
 * memory, then commit: what is acknowledged is durable. Leaving without commit changes nothing. docs/repository.md
 * shows them. */
struct state;

enum state_flags {
	/* take the lock, recover what a killed process left, refuse states of git that forbid a change */
	STATE_WRITE = 1,
	STATE_DRY_RUN = 2  /* commit shows a diff instead of writing */
};

struct state_env { /* what the caller knows; all may be NULL or 0 */
	const char *actor;          /* "Name <mail>": LAMASSU_OPERATOR; else lamassu.operator, user.name + user.email */
	const char *trailers;       /* lines for every commit, each with its end: about the actor */
	int64_t now;
	int64_t lock_timeout_ms;
	const char *message;        /* -m: replaces the subject line of commits */
	const char *op;             /* "ca.create": trailer Lamassu-Op */
	uint64_t push_step;         /* bytes of one push of the ledger at most; 0: 500 MiB */
	void (*warn)(void *arg, const char *msg);
	void (*note)(void *arg, const char *msg); /* what was done, for those who want to know; arg is warn_arg */
	void *warn_arg;
	void (*diff)(void *arg, const char *text); /* receives the diff of a dry run */
	void *diff_arg;
};

/* The nearest parent of `start` with a lamassu.yaml at the top of a work tree, or a bare repository that has one. */
int state_discover(struct arena *, const char *start, char **ret_dir, struct err *) NODISCARD;

struct state_init_opts {
	const char *name;          /* of the PKI; may be NULL */
	const char *ledger_branch; /* default "ledger" */
	const char *operator_;     /* stored as lamassu.operator in the repository's git config; may be NULL */
};
/* Makes (or adopts) a git repository in `dir`, writes the files given by the overlay that `fill` puts, and makes the
 * first commit of both histories. */
int state_init(struct arena *, const char *dir, const struct state_init_opts *, const struct state_env *,
	       int (*fill)(void *arg, struct state *, struct err *), void *arg, struct err *) NODISCARD;

int state_open(struct arena *, const char *dir, unsigned flags, const struct state_env *, struct state **ret,
	       struct err *) NODISCARD;
void state_close(struct state *); /* NULL is allowed; drops an uncommitted overlay and the lock */

const struct config *state_config(const struct state *);
const char *state_dir(const struct state *);     /* top of the work tree (or the bare repository) */
/* Whether git's configuration of this clone, user or system, which no commit can change, says that `key` is true. */
bool state_git_flag(const struct state *, const char *key);
const char *state_private(const struct state *); /* .git/lamassu: keys, cache, locks; mode 0700 */

/* Refuses (ERR_DENIED) when env.now is more than ten minutes before the newest ledger commit (clocks of several clones
 * differ) or before the day this program was built; whoever signs calls it, unless the operator gave the time. */
int state_clock_check(struct state *, struct err *) NODISCARD;

/* Batches and listeners: while a state opened with STATE_WRITE holds the lock all the time, state_pause gives it up
 * between chunks and state_resume takes it again; *ret_moved tells that policy or ledger moved meanwhile (records read
 * before must be read again). */
int state_pause(struct state *, struct err *) NODISCARD;
int state_resume(struct state *, bool *ret_moved, struct err *) NODISCARD;

/* --- listeners --- */
/* Before each request, on a handle that was opened for reading: what others have committed since is seen, results from
 * now on live in `results`, an overlay is dropped. When the policy has moved, open a new handle. */
int state_follow(struct state *, struct arena *results, int64_t now, bool *ret_policy_moved, struct err *) NODISCARD;
struct state_at { /* the commits that a handle reads, policy and ledger; compared with memcmp */
	unsigned char commits[2][20];
};
void state_at(const struct state *, struct state_at *ret);
/* Where the branches are at this moment; the handle goes on reading what it read. Costs two small files. */
int state_look(struct state *, struct state_at *ret, struct err *) NODISCARD;
/* The ledger entries of the transaction as bytes for another process, which adds them to its own with state_receive;
 * the overlay is empty then. */
int state_ship(struct state *, struct buf *out, struct err *) NODISCARD;
int state_receive(struct state *, struct bytes shipped, struct err *) NODISCARD;
void state_drop(struct state *); /* forgets the transaction */
/* Commits of this handle bring the cache up to date, which else the next reader does: for one that commits while others
 * read. */
int state_tend_cache(struct state *, struct err *) NODISCARD;
void state_clock(struct state *, int64_t now); /* what the next commit says */

/* --- policy: records and files of the policy branch's tip, seen through the overlay --- */
/* ERR_NOT_FOUND names nearest */
int state_get(struct state *, const struct schema *, const char *id, void *rec, struct err *) NODISCARD;
bool state_has(struct state *, const struct schema *, const char *id);
int state_ids(struct state *, const struct schema *, struct strv *ret, struct err *) NODISCARD; /* sorted */
/* All records of a type, in the order of their ids: an array; NULL on failure. */
void *state_all(struct state *, const struct schema *, size_t *ret_n, struct err *) NODISCARD;
int state_put(struct state *, const struct schema *, const char *id, const void *rec, struct err *) NODISCARD;
/* In-place edit that keeps comments; validates the result. value NULL removes. */
int state_set(struct state *, const struct schema *, const char *id, const char *path, const char *value,
	      struct err *) NODISCARD;
int state_set_all(struct state *, const struct schema *, const char *id, const struct rec_change *, size_t n,
		  struct err *) NODISCARD;
int state_del(struct state *, const struct schema *, const char *id, struct err *) NODISCARD;

int state_read(struct state *, const char *path, struct bytes *ret, struct err *) NODISCARD; /* ERR_NOT_FOUND */
int state_write(struct state *, const char *path, struct bytes, struct err *) NODISCARD;
int state_remove(struct state *, const char *path, struct err *) NODISCARD; /* a folder too */
/* Whole paths of what is directly in a folder ("cas/root": cas/root/ca.yaml …; "" is the top), files and folders,
 * sorted. */
int state_names(struct state *, const char *dir, struct strv *ret, struct err *) NODISCARD;

/* One commit per history that was touched, ledger first, both with the same Lamassu-Op-Id. subject: "ca: create root".
 * On return the overlay is empty and the cache is current. ERR_CONFLICT when an uncommitted edit is in the way. */
int state_commit(struct state *, const char *subject, struct err *) NODISCARD;
