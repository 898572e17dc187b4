#pragma once
#include <stddef.h>

#include "base/arena.h"
#include "base/auto.h"
#include "base/err.h"

/* Runs jobs 0 … n-1 on threads that share nothing but `arg`: each has an arena of its own and each job writes to its own slot
 * of the caller's. What jobs allocate is handed to `keep` at the end. threads 0 = one per online core.
 * A job that returns -1 stops the run: no further job starts, and the error of the lowest such job is returned. An outcome
 * that should not stop the others belongs in the slot. tick, if not NULL, is called from the calling thread only. */
int pool_run(size_t n, unsigned threads, int (*job)(void *arg, size_t i, struct arena *, struct err *), void *arg,
	     struct arena *keep, void (*tick)(void *arg, size_t done), struct err *) NODISCARD;
