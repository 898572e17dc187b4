/* A disk that fails: each system call of fs_write fails in turn, until none is left to fail. Whatever fails, the old
 * content is there, or the new one, whole; no temporary file stays; and nothing half done is reported as done. */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tap.h"

static int fail_at, calls; /* the call that fails, counted from 1; 0: none */
static bool short_writes;

static bool fails(int error)
{
	if (++calls != fail_at)
		return false;
	errno = error;
	return true;
}

/* Linked with --wrap: the library's calls arrive here. */
ssize_t __real_write(int, const void *, size_t);
ssize_t __wrap_write(int, const void *, size_t);
int __real_fsync(int);
int __wrap_fsync(int);
int __real_rename(const char *, const char *);
int __wrap_rename(const char *, const char *);
int __real_renameat2(int, const char *, int, const char *, unsigned);
int __wrap_renameat2(int, const char *, int, const char *, unsigned);

ssize_t __wrap_write(int fd, const void *p, size_t n)
{
	if (fd > 2 && fails(ENOSPC))
		return -1;
	return __real_write(fd, p, short_writes && n > 1 ? n / 2 : n);
}

int __wrap_fsync(int fd)
{
	return fails(EIO) ? -1 : __real_fsync(fd);
}

int __wrap_rename(const char *from, const char *to)
{
	return fails(EIO) ? -1 : __real_rename(from, to);
}

int __wrap_renameat2(int fd1, const char *from, int fd2, const char *to, unsigned flags)
{
	return fails(flags == RENAME_NOREPLACE ? EINVAL : EIO) ? -1 : __real_renameat2(fd1, from, fd2, to, flags);
}

/* One name in the folder, with the old or the new content; the new when the write was reported as done. */
static bool sound(struct arena *a, bool done_, const char *old)
{
	struct err e = { 0 };
	struct strv names;
	struct bytes b = { 0 };

	fail_at = 0;
	if (fs_list(a, ".", 9, &names, &e) != 0 || names.n > 1 || (names.n == 0 && (old || done_)))
		return false;
	if (names.n == 0)
		return true;
	if (fs_read(a, "f", 99, &b, &e) != 0)
		return false;
	return bytes_equal(b, bytes_of("new content")) || (!done_ && old && bytes_equal(b, bytes_of(old)));
}

static void sweep(struct arena *a, const char *old, bool halves)
{
	for (int n = 1; n < 50; n++) {
		struct err e = { 0 };
		bool reached;
		int result;

		fail_at = calls = 0;
		short_writes = false;
		unlink("f");
		if (old && fs_write("f", bytes_of(old), 0644, false, &e) != 0)
			break;
		short_writes = halves;
		fail_at = n;
		calls = 0;
		result = fs_write("f", bytes_of("new content"), 0644, old != NULL, &e);
		reached = calls >= n;
		ok(sound(a, result == 0, old), "call %d of fs_write fails: %s", n, result == 0 ? "done" : e.msg);
		if (!reached) {
			is_int(result, 0, "nothing left to fail");
			return;
		}
	}
	ok(false, "the sweep came to no end");
}

int main(void)
{
	char dir[] = "/tmp/lamassu-test-fault-XXXXXX";
	SCOPED_ARENA *a = arena_new();

	if (!mkdtemp(dir) || chdir(dir) != 0)
		return 1;
	sweep(a, "old", false);
	sweep(a, NULL, false);
	sweep(a, "old", true);
	unlink("f");
	ok(chdir("/") == 0 && rmdir(dir) == 0, "tidied up");
	return done();
}
