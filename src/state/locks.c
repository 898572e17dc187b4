/* Locks that survive kill -9: flock(2) for ourselves, git's <file>.lock for what git also writes. A lock file of
 * ours is a hard link to a temporary file of ours, so a stale one is recognised by its inode; git's own are waited
 * for and never removed. */
#include "state/locks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/tm.h"

enum { DEFAULT_WAIT_MS = 30000, NFS_MAGIC = 0x6969 };

/* Waits a little, longer each time; false when the deadline has passed. */
static bool wait_until(int64_t deadline, unsigned *round)
{
	int64_t left = deadline - tm_mono_ms();
	long ns = 500000L << (*round < 4 ? (*round)++ : 4); /* 0.5 to 8 ms */

	if (left <= 0)
		return false;
	nanosleep(&(struct timespec){ .tv_nsec = ns }, NULL);
	return true;
}

static int64_t deadline_of(int64_t timeout_ms)
{
	return tm_mono_ms() + (timeout_ms ? timeout_ms : DEFAULT_WAIT_MS);
}

char *tmp_path(struct arena *a, const char *dir, const char *what)
{
	static unsigned n; /* transactions run in one thread */

	return arena_printf(a, "%s/tmp.%s.%ld.%u", dir, what, (long)getpid(), n++);
}

int tmp_write(const struct store *s, const char *path, struct bytes b, mode_t mode, bool durable, struct err *e)
{
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, mode), r;

	if (fd < 0)
		return err_sys(e, path);
	store_share(s, fd);
	r = fs_write_fd(fd, b, e) ? err_ctx(e, "%s", path) : durable && fsync(fd) ? err_sys(e, path) : 0;
	if (close(fd) && !r)
		r = err_sys(e, path);
	if (r)
		unlink(path);
	return r;
}

static int refuse_network(int fd, const char *path, struct err *e)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) == 0 && fs.f_type == NFS_MAGIC)
		return err_set(e, ERR_UNSUPPORTED, "%s: is on NFS, where flock does not keep writers apart", path);
	return 0;
}

enum { HOLDER_MAX = 128 };

static void read_holder(int fd, char who[HOLDER_MAX])
{
	ssize_t n = pread(fd, who, HOLDER_MAX - 1, 0);

	who[n > 0 ? (size_t)n : 0] = '\0';
	who[strcspn(who, "\n")] = '\0';
}

static int say_busy(int fd, const char *path, struct err *e)
{
	char who[HOLDER_MAX];

	read_holder(fd, who);
	return err_set(e, ERR_CONFLICT, "%s: held by %s: try again, or wait longer with --lock-timeout", path,
		       *who ? who : "another process");
}

static int flock_until(int fd, const char *path, int64_t timeout_ms, struct err *e)
{
	int64_t deadline = deadline_of(timeout_ms);
	unsigned round = 0;

	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_sys(e, path);
		if (!wait_until(deadline, &round))
			return say_busy(fd, path, e);
	}
	return 0;
}

int repo_lock(struct arena *a, const struct store *s, const char *private_dir, const char *what, int64_t timeout_ms,
	      int *ret_fd, bool *ret_died, struct err *e)
{
	char *path = fs_join(a, private_dir, "lock");
	char *who = arena_printf(a, "process %ld (%s)\n", (long)getpid(), what ? what : "lamassu");
	int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0)
		return err_sys(e, path);
	store_share(s, fd);
	if (refuse_network(fd, path, e) || flock_until(fd, path, timeout_ms, e)) {
		close(fd);
		return -1;
	}
	*ret_died = lseek(fd, 0, SEEK_END) > 0;
	/* For people, mostly; a full disk must not keep readers of the lock from working. */
	if (ftruncate(fd, 0) == 0 && pwrite(fd, who, strlen(who), 0) < 0)
		errno = 0;
	*ret_fd = fd;
	return 0;
}

int repo_unlock(int fd)
{
	int r = ftruncate(fd, 0);

	return close(fd) || r ? -1 : 0;
}

char *repo_lock_holder(struct arena *a, const char *private_dir)
{
	AUTO_FD fd = open(fs_join(a, private_dir, "lock"), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char who[HOLDER_MAX];

	if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		return NULL;
	read_holder(fd, who);
	return arena_strdup(a, *who ? who : "another process");
}

/* --- git's locks --- */

static int link_until(const struct filelock *l, int64_t timeout_ms, struct err *e)
{
	int64_t deadline = deadline_of(timeout_ms);
	unsigned round = 0;

	while (link(l->tmp, l->path)) {
		if (errno != EEXIST)
			return err_sys(e, l->path);
		if (!wait_until(deadline, &round))
			return err_set(e, ERR_CONFLICT,
				       "%s: git holds this lock: let it finish, or remove the file if no git runs",
						l->path);
	}
	return 0;
}

/* `git pack-refs` removes folders that it has emptied. */
static int make_parent(struct arena *a, const char *target, struct err *e)
{
	char *dir = arena_strndup(a, target, (size_t)(strrchr(target, '/') - target));

	return fs_is_dir(dir) ? 0 : fs_mkdirs(dir, 0777, e);
}

/* The file that is to become the lock. */
static int stage(struct arena *a, const struct store *s, const char *tmp_dir, const char *target, struct filelock *ret,
		 struct err *e)
{
	struct filelock l = { arena_strdup(a, target), arena_printf(a, "%s.lock", target), tmp_path(a, tmp_dir, "lock"),
			tmp_path(a, tmp_dir, "old"), -1 };

	if (make_parent(a, target, e))
		return -1;
	l.fd = open(l.tmp, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
	if (l.fd < 0)
		return err_sys(e, l.tmp);
	store_share(s, l.fd);
	*ret = l;
	return 0;
}

int filelock_take(struct arena *a, const struct store *s, const char *tmp_dir, const char *target, int64_t timeout_ms,
		  struct filelock *ret, struct err *e)
{
	struct filelock l;

	if (stage(a, s, tmp_dir, target, &l, e))
		return -1;
	if (link_until(&l, timeout_ms, e)) {
		filelock_drop(&l);
		return -1;
	}
	*ret = l;
	return 0;
}

static int sync_parent(const char *target, struct err *e)
{
	SCOPED_ARENA *a = arena_new();

	return fs_sync_dir(arena_strndup(a, target, (size_t)(strrchr(target, '/') - target)), e);
}

int filelock_commit(struct filelock *l, struct err *e)
{
	if (fsync(l->fd))
		return err_sys(e, l->path);
	if (link(l->target, l->old) && errno != ENOENT)
		return err_sys(e, l->target);
	if (rename(l->path, l->target))
		return err_sys(e, l->target);
	close(l->fd);
	l->fd = -1;
	unlink(l->tmp);
	if (sync_parent(l->target, e) == 0)
		return 0;
	return filelock_undo(l) ? -1 : err_ctx(e, "what was to be done is done, but may not survive a crash");
}

/* Without a link to the old file there was none, or, of a branch, git has the old value among its packed refs. */
bool filelock_undo(struct filelock *l)
{
	struct err ignored = { 0 };
	int r = rename(l->old, l->target);

	if (r && errno == ENOENT)
		r = unlink(l->target);
	return r == 0 && sync_parent(l->target, &ignored) == 0;
}

static bool same_file(const char *path, const struct stat *st)
{
	struct stat other;

	return lstat(path, &other) == 0 && other.st_ino == st->st_ino && other.st_dev == st->st_dev;
}

void filelock_drop(struct filelock *l)
{
	struct stat st;

	if (l->old)
		unlink(l->old);
	if (l->fd < 0)
		return;
	if (fstat(l->fd, &st) == 0 && same_file(l->path, &st)) /* a sweep may have given it to somebody else */
		unlink(l->path);
	unlink(l->tmp);
	close(l->fd);
	l->fd = -1;
}

int filelock_sweep(const char *tmp_dir, const struct strv *targets, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct strv names;

	if (fs_list(a, tmp_dir, SIZE_MAX, &names, e))
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		char *tmp = fs_join(a, tmp_dir, names.v[i]);
		struct stat st;

		if (strncmp(names.v[i], "tmp.", 4) != 0 || lstat(tmp, &st))
			continue;
		for (size_t k = 0; k < targets->n && st.st_nlink > 1; k++) {
			char *lock = arena_printf(a, "%s.lock", targets->v[k]);

			if (same_file(lock, &st) && unlink(lock))
				return err_sys(e, lock);
		}
		if (S_ISREG(st.st_mode) && unlink(tmp))
			return err_sys(e, tmp);
	}
	return 0;
}

int ref_stage(struct arena *a, struct store *s, const char *tmp_dir, const char *ref, const struct oid *new,
	      struct filelock *ret, struct err *e)
{
	struct filelock l;

	if (stage(a, s, tmp_dir, fs_join(a, store_git_dir(s), ref), &l, e))
		return -1;
	if (fs_write_fd(l.fd, bytes_of(arena_printf(a, "%s\n", oid_hex(a, new))), e)) {
		filelock_drop(&l);
		return err_ctx(e, "%s", ref);
	}
	sync_file_range(l.fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* a hint; fsync tells what went wrong */
	*ret = l;
	return 0;
}

int ref_take(struct store *s, struct filelock *l, const char *ref, const struct oid *old, int64_t timeout_ms,
	     struct err *e)
{
	struct oid now;
	bool found;

	if (link_until(l, timeout_ms, e) || store_ref(s, ref, &found, &now, e))
		return -1;
	if (found != (old != NULL) || (old && !oid_equal(old, &now)))
		return err_set(e, ERR_CONFLICT, "%s moved while this command ran: try again", ref);
	return 0;
}

int ref_prepare(struct arena *a, struct store *s, const char *tmp_dir, const char *ref, const struct oid *old,
		const struct oid *new, int64_t timeout_ms, struct filelock *ret, struct err *e)
{
	if (ref_stage(a, s, tmp_dir, ref, new, ret, e))
		return -1;
	if (ref_take(s, ret, ref, old, timeout_ms, e) == 0)
		return 0;
	filelock_drop(ret);
	return -1;
}
