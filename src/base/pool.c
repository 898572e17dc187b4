/* Threads for batches. Jobs are taken from one atomic counter; the calling thread works too, so one thread means none are
 * started. Worker threads take no signals: those stay with the caller. */
#include "base/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

enum { MAX_THREADS = 256 };

struct pool {
	size_t n;
	int (*job)(void *arg, size_t i, struct arena *, struct err *);
	void *arg;
	void (*tick)(void *arg, size_t done);
	atomic_size_t next, done;
	atomic_bool stop;
};

struct worker {
	struct pool *pool;
	pthread_t thread;
	struct arena *arena;
	void (*tick)(void *arg, size_t done); /* the caller's own worker only */
	size_t failed;                        /* job whose error err is; n when none */
	struct err err;
};

static void work(struct worker *w)
{
	struct pool *p = w->pool;
	size_t i;

	while (!atomic_load(&p->stop) && (i = atomic_fetch_add(&p->next, 1)) < p->n) {
		size_t done;

		if (p->job(p->arg, i, w->arena, &w->err) != 0) {
			w->failed = i;
			atomic_store(&p->stop, true);
			return;
		}
		done = atomic_fetch_add(&p->done, 1) + 1;
		if (w->tick)
			w->tick(p->arg, done);
	}
}

static void *thread_main(void *arg)
{
	work(arg);
	return NULL;
}

static size_t worker_count(size_t n, unsigned threads)
{
	long cores = threads ? (long)threads : sysconf(_SC_NPROCESSORS_ONLN);
	size_t count = cores < 1 ? 1 : cores > MAX_THREADS ? MAX_THREADS : (size_t)cores;

	return count < n ? count : n;
}

/* Starts workers 1 … count-1; fewer when the system has no room for more. Returns how many workers there are. */
static size_t start(struct worker *w, size_t count)
{
	sigset_t all, old;
	size_t i;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (i = 1; i < count; i++)
		if (pthread_create(&w[i].thread, NULL, thread_main, &w[i]) != 0)
			break;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return i;
}

int pool_run(size_t n, unsigned threads, int (*job)(void *arg, size_t i, struct arena *, struct err *), void *arg,
	     struct arena *keep, void (*tick)(void *arg, size_t done), struct err *e)
{
	struct pool pool = { .n = n, .job = job, .arg = arg, .tick = tick };
	size_t count = worker_count(n, threads), running, failed = n;
	struct worker *w;

	if (n == 0)
		return 0;
	w = arena_new_array(keep, count, struct worker);
	for (size_t i = 0; i < count; i++)
		w[i] = (struct worker){ .pool = &pool, .arena = arena_new(), .failed = n };
	w[0].tick = tick;
	running = start(w, count);
	work(&w[0]);
	for (size_t i = 1; i < running; i++)
		pthread_join(w[i].thread, NULL);
	for (size_t i = 0; i < count; i++) {
		if (w[i].failed < failed) {
			failed = w[i].failed;
			*e = w[i].err;
		}
		arena_adopt(keep, w[i].arena);
	}
	return failed < n ? -1 : 0;
}
