#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"

/* File access with limits and durability. Paths are never followed through a symlink in the last component. */
enum { FS_LIMIT_DOC = 1 << 20, FS_LIMIT_CERT = 1 << 20, FS_LIMIT_BATCH = 1 << 30 }; /* bytes */

/* Reads a regular file of at most `max` bytes ("-" is standard input); the result is followed by a NUL. */
int fs_read(struct arena *, const char *path, size_t max, struct bytes *ret, struct err *) NODISCARD;
/* Temporary file in the same folder, write, fsync, rename, fsync of the folder. Refuses an existing file unless `replace`. */
int fs_write(const char *path, struct bytes, mode_t, bool replace, struct err *) NODISCARD;
int fs_write_fd(int fd, struct bytes, struct err *) NODISCARD; /* all of it, or ERR_IO */
int fs_mkdirs(const char *path, mode_t, struct err *) NODISCARD;
int fs_sync_dir(const char *path, struct err *) NODISCARD;
bool fs_exists(const char *path);
bool fs_is_dir(const char *path);
/* Names in a folder, sorted, without . and ..; at most `max` of them. */
int fs_list(struct arena *, const char *path, size_t max, struct strv *ret, struct err *) NODISCARD;
char *fs_join(struct arena *, const char *dir, const char *name);
