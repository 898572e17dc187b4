/* Files. What fs_write reports as written is on the disk under its name; after a failure or a crash the old content is
 * there or the new one, never a part, and at most a stray ".lamassu-*.tmp". Nothing is read beyond the limit that the
 * caller gives. */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/mman.h>
#include <sys/stat.h>

DEFINE_AUTO(DIR, closedir)

enum { TEMP_MAX = PATH_MAX + 64 };

/* errno as an error about `path`. */
static int fail(struct err *e, const char *path)
{
	switch (errno) {
	case ENOENT:
		return err_set(e, ERR_NOT_FOUND, "%s: no such file or directory", path);
	case EEXIST:
		return err_set(e, ERR_EXISTS, "%s: already exists", path);
	case ELOOP:
		return err_set(e, ERR_DENIED, "%s: is a symbolic link", path);
	case ENXIO: /* a socket */
		return err_set(e, ERR_DENIED, "%s: not a regular file", path);
	default:
		return err_sys(e, path);
	}
}

/* Everything up to the end of file; `guess` is the size to expect. */
static int read_all(struct arena *a, int fd, const char *path, size_t guess, size_t max, struct bytes *ret,
		    struct err *e)
{
	size_t n = 0, cap = guess + 2; /* one for the NUL, one so that a right guess sees the end of file */
	unsigned char *p = arena_alloc(a, 1, cap);

	for (;;) {
		ssize_t got;

		if (n + 1 == cap) {
			unsigned char *more = arena_alloc(a, 2, cap);

			memcpy(more, p, n);
			p = more;
			cap *= 2;
		}
		got = read(fd, p + n, cap - 1 - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail(e, path);
		if (got == 0)
			break;
		n += (size_t)got;
		if (n > max)
			return err_set(e, ERR_INVALID, "%s: larger than %zu bytes", path, max);
	}
	p[n] = 0;
	*ret = (struct bytes){ p, n };
	return 0;
}

static int read_fd(struct arena *a, int fd, const char *path, bool regular, size_t max, struct bytes *ret,
		   struct err *e)
{
	size_t guess = 4096;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return fail(e, path);
	if (S_ISDIR(st.st_mode))
		return err_set(e, ERR_INVALID, "%s: is a directory", path);
	if (regular && !S_ISREG(st.st_mode))
		return err_set(e, ERR_DENIED, "%s: not a regular file", path);
	if (S_ISREG(st.st_mode)) {
		if ((uint64_t)st.st_size > max)
			return err_set(e, ERR_INVALID, "%s: larger than %zu bytes", path, max);
		guess = (size_t)st.st_size;
	}
	return read_all(a, fd, path, guess, max, ret, e);
}

/* What can be read only once, and was: in the arena of the command. */
static struct drained {
	int fd;
	struct bytes text;
} drained[16];
static size_t ndrained;

static int drain(struct arena *a, int fd, const char *name, int number, size_t max, struct bytes *ret, struct err *e)
{
	if (read_fd(a, fd, name, false, max, ret, e) != 0)
		return -1;
	if (number >= 0 && ndrained < COUNT(drained) && ret->n)
		drained[ndrained++] = (struct drained){ number, *ret };
	return 0;
}

static int fill(const struct drained *d, struct err *e)
{
	AUTO_FD fd = memfd_create("input", MFD_CLOEXEC);

	if (fd < 0 || fs_write_fd(fd, d->text, e) != 0 || lseek(fd, 0, SEEK_SET) != 0 || dup2(fd, d->fd) < 0)
		return err_sys(e, "what was read");
	return 0;
}

int fs_inputs_again(struct err *e)
{
	if (ndrained == COUNT(drained))
		return err_set(e, ERR_UNSUPPORTED, "%zu pipes to read are too many here: give files", ndrained);
	while (ndrained > 0)
		if (fill(&drained[--ndrained], e) != 0)
			return -1;
	return 0;
}

static int read_regular(struct arena *a, const char *path, int flags, size_t max, struct bytes *ret, struct err *e)
{
	/* O_NONBLOCK: opening a pipe that somebody planted must not hang. */
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags);

	if (fd < 0)
		return fail(e, path);
	return read_fd(a, fd, path, true, max, ret, e);
}

int fs_read(struct arena *a, const char *path, size_t max, struct bytes *ret, struct err *e)
{
	if (strcmp(path, "-") == 0)
		return drain(a, STDIN_FILENO, "standard input", STDIN_FILENO, max, ret, e);
	return read_regular(a, path, O_NOFOLLOW, max, ret, e);
}

int fs_read_found(struct arena *a, const char *path, size_t max, struct bytes *ret, struct err *e)
{
	return read_regular(a, path, 0, max, ret, e);
}

int fs_read_input(struct arena *a, const char *path, size_t max, struct bytes *ret, struct err *e)
{
	AUTO_FD fd = -1;
	int number = -1;

	if (strcmp(path, "-") == 0)
		return drain(a, STDIN_FILENO, "standard input", STDIN_FILENO, max, ret, e);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return fail(e, path);
	if (lseek(fd, 0, SEEK_CUR) < 0 && sscanf(path, "/dev/fd/%d", &number) != 1)
		number = -1;
	return drain(a, fd, path, number, max, ret, e);
}

int fs_write_fd(int fd, struct bytes b, struct err *e)
{
	while (b.n > 0) {
		ssize_t n = write(fd, b.p, b.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "write");
		b.p += n;
		b.n -= (size_t)n;
	}
	return 0;
}

/* The folder part of a path: "." when it has none. */
static int split_dir(const char *path, char dir[PATH_MAX], struct err *e)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;

	if (n >= PATH_MAX || !*path || (slash && !slash[1]))
		return err_set(e, ERR_INVALID, "%s: not the path of a file", path);
	if (n == 0)
		memcpy(dir, slash ? "/" : ".", 2);
	else
		memcpy(dir, path, n);
	if (n > 0)
		dir[n] = '\0';
	return 0;
}

int fs_sync_dir(const char *path, struct err *e)
{
	AUTO_FD fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* Some network and FUSE file systems cannot sync a folder; they say EINVAL. */
	if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL))
		return fail(e, path);
	return 0;
}

bool fs_is_temp(const char *name)
{
	size_t n = strlen(name), head = strlen(".lamassu-"), tail = strlen(".tmp");

	return n > head + tail && memcmp(name, ".lamassu-", head) == 0 && strcmp(name + n - tail, ".tmp") == 0;
}

/* A new file with a random name in `dir`, whole and, with `sync`, on disk. */
static int write_temp(const char *dir, struct bytes b, mode_t mode, bool sync, char tmp[TEMP_MAX], struct err *e)
{
	unsigned long long r;
	AUTO_FD fd = -1;

	if (getrandom(&r, sizeof(r), 0) != sizeof(r))
		return err_sys(e, "random numbers");
	snprintf(tmp, TEMP_MAX, "%s/.lamassu-%016llx.tmp", dir, r);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return fail(e, dir);
	if (fs_write_fd(fd, b, e) == 0) {
		if (!sync || fsync(fd) == 0)
			return 0;
		err_sys(e, "fsync");
	}
	unlink(tmp);
	return -1;
}

/* Gives the temporary file its name. */
static int publish(const char *tmp, const char *path, bool replace)
{
	if (replace)
		return rename(tmp, path);
	if (renameat2(AT_FDCWD, tmp, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
		return 0;
	/* Not every file system knows RENAME_NOREPLACE; link() never replaces either. */
	if ((errno != EINVAL && errno != ENOSYS) || link(tmp, path) != 0)
		return -1;
	unlink(tmp);
	return 0;
}

/* Into what is there already and is not a file: /dev/null, a pipe. */
static int write_special(const char *path, struct bytes b, struct err *e)
{
	AUTO_FD fd = open(path, O_WRONLY | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return fail(e, path);
	return fs_write_fd(fd, b, e) == 0 ? 0 : err_ctx(e, "%s", path);
}

static int put_file(const char *path, struct bytes b, mode_t mode, bool replace, bool sync, struct err *e)
{
	char dir[PATH_MAX], tmp[TEMP_MAX];
	struct stat st;

	if (split_dir(path, dir, e) != 0)
		return -1;
	if (lstat(path, &st) == 0) {
		if (S_ISLNK(st.st_mode)) {
			errno = ELOOP;
			return fail(e, path);
		}
		if (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode))
			return write_special(path, b, e);
		if (!replace) {
			errno = EEXIST;
			return fail(e, path);
		}
	}
	if (write_temp(dir, b, mode, sync, tmp, e) != 0)
		return err_ctx(e, "%s", path);
	if (publish(tmp, path, replace) != 0) {
		fail(e, path);
		unlink(tmp);
		return -1;
	}
	if (!sync || fs_sync_dir(dir, e) == 0)
		return 0;
	if (!replace) /* what was there before is lost by now */
		unlink(path);
	return err_ctx(e, "%s", path);
}

int fs_write(const char *path, struct bytes b, mode_t mode, bool replace, struct err *e)
{
	return put_file(path, b, mode, replace, true, e);
}

int fs_put(const char *path, struct bytes b, mode_t mode, struct err *e)
{
	return put_file(path, b, mode, true, false, e);
}

int fs_mkdirs(const char *path, mode_t mode, struct err *e)
{
	char dir[PATH_MAX], parent[PATH_MAX];
	size_t n = strlen(path);
	bool made;
	int error;

	if (n == 0 || n >= PATH_MAX)
		return err_set(e, ERR_INVALID, "%s: not the path of a folder", path);
	for (size_t i = 1; i <= n; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		if (path[i - 1] == '/')
			continue;
		memcpy(dir, path, i);
		dir[i] = '\0';
		made = mkdir(dir, mode) == 0;
		error = errno;
		/* EROFS and EACCES also come for a folder that exists */
		if (!made && error != EEXIST && !fs_is_dir(dir)) {
			errno = error;
			return fail(e, dir);
		}
		if (!made && !fs_is_dir(dir))
			return err_set(e, ERR_EXISTS, "%s: exists and is not a directory", dir);
		if (made && (split_dir(dir, parent, e) != 0 || fs_sync_dir(parent, e) != 0))
			return -1;
	}
	return 0;
}

bool fs_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

bool fs_is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool fs_names_dir(const char *path)
{
	size_t n = strlen(path);

	return fs_is_dir(path) || (n > 0 && path[n - 1] == '/');
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int fs_list(struct arena *a, const char *path, size_t max, struct strv *ret, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	AUTO(DIR) *dir = fd < 0 ? NULL : fdopendir(fd);
	struct strv names = { .set = true };
	struct dirent *d;

	if (!dir) {
		int saved = errno;

		fd_close(&fd);
		errno = saved;
		return fail(e, path);
	}
	for (errno = 0; (d = readdir(dir)); errno = 0) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (names.n == max)
			return err_set(e, ERR_INVALID, "%s: more than %zu entries", path, max);
		names.v = arena_grow(a, names.v, names.n, sizeof(*names.v));
		names.v[names.n++] = arena_strdup(a, d->d_name);
	}
	if (errno != 0)
		return fail(e, path);
	if (names.n > 1)
		qsort(names.v, names.n, sizeof(*names.v), by_name);
	*ret = names;
	return 0;
}

char *fs_join(struct arena *a, const char *dir, const char *name)
{
	size_t n = dir ? strlen(dir) : 0;

	if (n == 0)
		return arena_strdup(a, name);
	return arena_printf(a, "%s%s%s", dir, dir[n - 1] == '/' ? "" : "/", name);
}
