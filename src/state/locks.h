#pragma once
#include <sys/types.h>

#include "state/store.h"

/* Locks that survive kill -9, and temporary files. All temporary files of ours are named <dir>/tmp.<what>.<pid>.<n>;
 * whoever holds the repository's lock knows that each such file in .git/lamassu is stale. */
char *tmp_path(struct arena *, const char *dir, const char *what);
/* Creates a file that must not exist; `durable` adds fsync. Removed again on failure. */
int tmp_write(const struct store *, const char *path, struct bytes, mode_t, bool durable, struct err *) NODISCARD;

/* The repository's lock: .git/lamassu/lock, flock(2). Waits timeout_ms (0: the default, negative: not at all), then
 * ERR_CONFLICT names the holder. The file says which process holds it and what for. */
int repo_lock(struct arena *, const struct store *, const char *private_dir, const char *what, int64_t timeout_ms,
	      int *ret_fd, bool *ret_died, struct err *) NODISCARD; /* *ret_died: the last holder did not give it up */
int repo_unlock(int fd);

/* "process 123 (ca.sign)", or NULL when nobody holds it. Takes nothing. */
char *repo_lock_holder(struct arena *, const char *private_dir);

/* git's own lock of one file, <target>.lock. It is a hard link to a temporary file of ours, so that one left by a
 * killed process can be told from git's by its inode. */
struct filelock {
	char *target, *path, *tmp;
	char *old; /* after the commit, until the drop: a hard link to what was there before */
	int fd;    /* open on the lock, for the new content; -1: not held */
};
int filelock_take(struct arena *, const struct store *, const char *tmp_dir, const char *target, int64_t timeout_ms,
		  struct filelock *ret, struct err *) NODISCARD;
/* fsync and rename over the target; the folder is made durable too. On failure the target is as it was. */
int filelock_commit(struct filelock *, struct err *) NODISCARD;
/* Takes a commit back: the target is as it was before. False: it could not be done. */
bool filelock_undo(struct filelock *);
void filelock_drop(struct filelock *); /* gives up what is still held, after a commit too */
/* Removes all temporary files in tmp_dir, and each <target>.lock that is a hard link to one. */
int filelock_sweep(const char *tmp_dir, const struct strv *targets, struct err *) NODISCARD;

/* The new value of a ref, in a file on its way to the disk; nothing is locked yet. */
int ref_stage(struct arena *, struct store *, const char *tmp_dir, const char *ref, const struct oid *new,
	      struct filelock *ret, struct err *) NODISCARD;
/* Locks the ref with it and checks that the ref still is `old` (NULL: that it does not exist); filelock_commit then
 * moves it. ERR_CONFLICT when somebody else has moved it; the caller drops it then too. */
int ref_take(struct store *, struct filelock *, const char *ref, const struct oid *old, int64_t timeout_ms,
	     struct err *) NODISCARD;
/* Both at once; nothing is left on failure. */
int ref_prepare(struct arena *, struct store *, const char *tmp_dir, const char *ref, const struct oid *old,
		const struct oid *new, int64_t timeout_ms, struct filelock *ret, struct err *) NODISCARD;
