#pragma once
#include <stddef.h>

#include "base/arena.h"
#include "base/auto.h"
#include "base/err.h"

/* Runs jobs 0 … n-1 on threads that share nothing but `arg`: each has an arena of its own and each job writes to its
 * own slot of the caller's. What jobs allocate is handed to `keep` at the end. threads 0 = one per online core, the
 * caller's included. A job that returns -1 stops the run: no further job starts, and the error of the lowest such job
 * is returned. An outcome that should not stop the others belongs in the slot. tick, if not NULL, is called from the
 * calling thread only. */
int pool_run(size_t n, unsigned threads, int (*job)(void *arg, size_t i, struct arena *, struct err *), void *arg,
	     struct arena *keep, void (*tick)(void *arg, size_t done), struct err *) NODISCARD;

/* The same in two steps: between them the other threads are at work, and with one thread nobody is. The pool lives in
 * `keep` and ends with one of the two calls below. */
struct pool;
struct pool *pool_start(size_t n, unsigned threads, int (*job)(void *arg, size_t i, struct arena *, struct err *),
			void *arg, struct arena *keep);
/* works too, until all is done */
int pool_finish(struct pool *, void (*tick)(void *arg, size_t done), struct err *) NODISCARD;
void pool_stop(struct pool *); /* starts no further job and waits; NULL is allowed */
