#pragma once
#include <sys/stat.h>

#include "state/store.h"

/* git's index, read from a file that nobody else writes: the real one for looking, a copy for changing. */
struct gitindex;

int gitindex_open(struct arena *, const char *file, struct gitindex **ret, struct err *) NODISCARD;
void gitindex_close(struct gitindex *); /* NULL is allowed */
/* only size and mtime of *ret_stat */
bool gitindex_get(struct gitindex *, const char *path, struct oid *ret_oid, struct stat *ret_stat);
int gitindex_set(struct gitindex *, const char *path, const struct oid *, unsigned mode, const struct stat *,
		 struct err *) NODISCARD;
int gitindex_remove(struct gitindex *, const char *path, struct err *) NODISCARD; /* nothing when it is not there */
int gitindex_write(struct gitindex *, struct err *) NODISCARD;
