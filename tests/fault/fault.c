/* Bad days, one call at a time. Linked with --wrap around the product's own sources: the calls with which they write,
 * make durable, rename and sign arrive here and are counted. LAMASSU_FAULT=n fails call n (LAMASSU_FAULT_ERRNO: EIO, or
 * ENOSPC, with which the disk stays full); LAMASSU_FAULT_KILL=n ends the process there with SIGKILL. A write that fails
 * has written half. What was hit is appended to the file LAMASSU_FAULT_LOG; without it nothing was left to fail. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WRAP(type, name, ...) type __real_##name(__VA_ARGS__); type __wrap_##name(__VA_ARGS__)
WRAP(ssize_t, write, int, const void *, size_t);
WRAP(ssize_t, pwrite, int, const void *, size_t, off_t);
WRAP(int, fsync, int);
WRAP(int, fdatasync, int);
WRAP(int, ftruncate, int, off_t);
WRAP(int, rename, const char *, const char *);
WRAP(int, renameat, int, const char *, int, const char *);
WRAP(int, renameat2, int, const char *, int, const char *, unsigned);
WRAP(int, link, const char *, const char *);
WRAP(int, mkdir, const char *, mode_t);
WRAP(int, mkdirat, int, const char *, mode_t);
WRAP(int, open, const char *, int, ...);
WRAP(int, openat, int, const char *, int, ...);
WRAP(int, EVP_DigestSign, EVP_MD_CTX *, unsigned char *, size_t *, const unsigned char *, size_t);
WRAP(int, EVP_PKEY_sign, EVP_PKEY_CTX *, unsigned char *, size_t *, const unsigned char *, size_t);

enum what { GOES_ON, FAILS, DIES };
static atomic_ulong calls;

static unsigned long number(const char *name)
{
	const char *v = getenv(name);

	return v ? strtoul(v, NULL, 10) : 0;
}

static void note(unsigned long n, const char *call)
{
	const char *path = getenv("LAMASSU_FAULT_LOG");
	char line[128];
	int len = snprintf(line, sizeof(line), "%lu %s\n", n, call);
	int fd = path ? __real_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;

	if (fd < 0 || __real_write(fd, line, (size_t)len) != len || close(fd) != 0)
		abort();
}

static enum what next(const char *call, bool takes_space)
{
	unsigned long n = atomic_fetch_add(&calls, 1) + 1, fail_at = number("LAMASSU_FAULT");
	const char *error = getenv("LAMASSU_FAULT_ERRNO");
	bool full = error && strcmp(error, "ENOSPC") == 0;

	if (n == number("LAMASSU_FAULT_KILL")) {
		note(n, call);
		return DIES;
	}
	if (fail_at == 0 || !(n == fail_at || (full && takes_space && n > fail_at)))
		return GOES_ON;
	if (n == fail_at)
		note(n, call);
	errno = full ? ENOSPC : EIO;
	return FAILS;
}

static bool fails(const char *call, bool takes_space)
{
	enum what w = next(call, takes_space);

	if (w == DIES)
		raise(SIGKILL);
	return w == FAILS;
}

ssize_t __wrap_write(int fd, const void *p, size_t n)
{
	enum what w = fd == STDERR_FILENO ? GOES_ON : next("write", fd != STDOUT_FILENO);
	int error = errno;

	if (w == GOES_ON)
		return __real_write(fd, p, n);
	if (fd != STDOUT_FILENO && __real_write(fd, p, n / 2) < 0)
		abort();
	if (w == DIES)
		raise(SIGKILL);
	errno = error;
	return -1;
}

ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at)
{
	return fails("pwrite", true) ? -1 : __real_pwrite(fd, p, n, at);
}

int __wrap_fsync(int fd)
{
	return fails("fsync", false) ? -1 : __real_fsync(fd);
}

int __wrap_fdatasync(int fd)
{
	return fails("fdatasync", false) ? -1 : __real_fdatasync(fd);
}

int __wrap_ftruncate(int fd, off_t n)
{
	return fails("ftruncate", true) ? -1 : __real_ftruncate(fd, n);
}

int __wrap_rename(const char *from, const char *to)
{
	return fails("rename", false) ? -1 : __real_rename(from, to);
}

int __wrap_renameat(int dir1, const char *from, int dir2, const char *to)
{
	return fails("renameat", false) ? -1 : __real_renameat(dir1, from, dir2, to);
}

int __wrap_renameat2(int dir1, const char *from, int dir2, const char *to, unsigned flags)
{
	return fails("renameat2", false) ? -1 : __real_renameat2(dir1, from, dir2, to, flags);
}

int __wrap_link(const char *from, const char *to)
{
	return fails("link", true) ? -1 : __real_link(from, to);
}

int __wrap_mkdir(const char *path, mode_t mode)
{
	return fails("mkdir", true) ? -1 : __real_mkdir(path, mode);
}

int __wrap_mkdirat(int dir, const char *path, mode_t mode)
{
	return fails("mkdirat", true) ? -1 : __real_mkdirat(dir, path, mode);
}

/* Only what may make a file is counted; the mode is there exactly then. */
static mode_t mode_of(int flags, va_list ap)
{
	return flags & O_CREAT ? (mode_t)va_arg(ap, unsigned) : 0;
}

int __wrap_open(const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return flags & O_CREAT && fails("open", true) ? -1 : __real_open(path, flags, mode);
}

int __wrap_openat(int dir, const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return flags & O_CREAT && fails("openat", true) ? -1 : __real_openat(dir, path, flags, mode);
}

int __wrap_EVP_DigestSign(EVP_MD_CTX *c, unsigned char *sig, size_t *n, const unsigned char *in, size_t len)
{
	return fails("EVP_DigestSign", false) ? 0 : __real_EVP_DigestSign(c, sig, n, in, len);
}

int __wrap_EVP_PKEY_sign(EVP_PKEY_CTX *c, unsigned char *sig, size_t *n, const unsigned char *in, size_t len)
{
	return fails("EVP_PKEY_sign", false) ? 0 : __real_EVP_PKEY_sign(c, sig, n, in, len);
}
