#pragma once
#include <stddef.h>

/* Allocation for libraries that take theirs from the program (libcurl, jansson): what passes through them are tokens
 * and keys, so everything is wiped when they free it or move it. May be freed by free() too, but is not wiped then. */
void *wipe_malloc(size_t);
void *wipe_calloc(size_t n, size_t size);
void *wipe_realloc(void *, size_t);
char *wipe_strdup(const char *);
void wipe_free(void *);
