#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"

/* File access with limits and durability. Paths are never followed through a symlink in the last component, except by
 * fs_read_input, fs_read_found, fs_mkdirs and fs_is_dir. A missing file is ERR_NOT_FOUND, other failures of the system
 * are ERR_IO. */
enum { FS_LIMIT_DOC = 1 << 20, FS_LIMIT_CERT = 1 << 20, FS_LIMIT_BATCH = 1 << 30 }; /* bytes */

/* Reads a regular file of at most `max` bytes ("-" is standard input); the result is followed by a NUL. */
int fs_read(struct arena *, const char *path, size_t max, struct bytes *ret, struct err *) NODISCARD;
/* The same for a file that the user named on the command line: symlinks, pipes and /dev/fd/N are read too. */
int fs_read_input(struct arena *, const char *path, size_t max, struct bytes *ret, struct err *) NODISCARD;
/* For a file found in a folder that the user named: through symlinks, but regular files only, so that nothing there can
 * hang. */
int fs_read_found(struct arena *, const char *path, size_t max, struct bytes *ret, struct err *) NODISCARD;
/* Makes what was read of standard input and of pipes at /dev/fd/N readable again, for a program that this process is
 * about to become. */
int fs_inputs_again(struct err *) NODISCARD;
/* Temporary file in the same folder, write, fsync, rename, fsync of the folder. Refuses an existing file
 * (ERR_EXISTS) unless `replace`, and a symlink always; a device or a pipe is written to as it is. */
int fs_write(const char *path, struct bytes, mode_t, bool replace, struct err *) NODISCARD;
/* The same without fsync, replacing: for copies of what is durable elsewhere already. */
int fs_put(const char *path, struct bytes, mode_t, struct err *) NODISCARD;
int fs_write_fd(int fd, struct bytes, struct err *) NODISCARD; /* all of it, or ERR_IO */
int fs_mkdirs(const char *path, mode_t, struct err *) NODISCARD;
int fs_sync_dir(const char *path, struct err *) NODISCARD;
bool fs_exists(const char *path); /* a dangling symlink exists */
bool fs_is_dir(const char *path);
bool fs_is_temp(const char *name); /* of a file that fs_write was writing */
bool fs_names_dir(const char *path); /* is a folder, or ends with / */
/* Names in a folder, sorted, without . and ..; at most `max` of them. */
int fs_list(struct arena *, const char *path, size_t max, struct strv *ret, struct err *) NODISCARD;
char *fs_join(struct arena *, const char *dir, const char *name);

/* A descriptor that is closed when its scope ends; -1 is none. */
static inline void fd_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define AUTO_FD __attribute__((cleanup(fd_close))) int

