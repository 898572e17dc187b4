/* Threads for batches. Jobs are taken from one atomic counter; the calling thread works too, so one thread means none
 * are started. Worker threads take no signals: those stay with the caller. */
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
	struct arena *keep;
	struct worker *workers; /* the first is the caller's */
	size_t count, running;
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

/* Starts workers 1 … count-1; fewer when the system has no room for more. */
static void start_threads(struct pool *p)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (p->running = 1; p->running < p->count; p->running++)
		if (pthread_create(&p->workers[p->running].thread, NULL, thread_main, &p->workers[p->running]) != 0)
			break;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

struct pool *pool_start(size_t n, unsigned threads, int (*job)(void *arg, size_t i, struct arena *, struct err *),
			void *arg, struct arena *keep)
{
	struct pool *p = arena_new_array(keep, 1, struct pool);

	*p = (struct pool){ .n = n, .job = job, .arg = arg, .keep = keep, .count = worker_count(n, threads) };
	p->workers = arena_new_array(keep, p->count, struct worker);
	for (size_t i = 0; i < p->count; i++)
		p->workers[i] = (struct worker){ .pool = p, .arena = arena_new(), .failed = n };
	if (n)
		start_threads(p);
	return p;
}

/* Waits for the threads; *ret_failed is the lowest job that failed, n when none did. */
static void join(struct pool *p, size_t *ret_failed, struct err *e)
{
	*ret_failed = p->n;
	for (size_t i = 1; i < p->running; i++)
		pthread_join(p->workers[i].thread, NULL);
	for (size_t i = 0; i < p->count; i++) {
		struct worker *w = &p->workers[i];

		if (w->failed < *ret_failed) {
			*ret_failed = w->failed;
			*e = w->err;
		}
		arena_adopt(p->keep, w->arena);
	}
}

int pool_finish(struct pool *p, void (*tick)(void *arg, size_t done), struct err *e)
{
	size_t failed;

	if (p->n) {
		p->workers[0].tick = tick;
		work(&p->workers[0]);
	}
	join(p, &failed, e);
	return failed < p->n ? -1 : 0;
}

void pool_stop(struct pool *p)
{
	struct err ignored;
	size_t failed;

	if (!p)
		return;
	atomic_store(&p->stop, true);
	join(p, &failed, &ignored);
}

int pool_run(size_t n, unsigned threads, int (*job)(void *arg, size_t i, struct arena *, struct err *), void *arg,
	     struct arena *keep, void (*tick)(void *arg, size_t done), struct err *e)
{
	return pool_finish(pool_start(n, threads, job, arg, keep), tick, e);
}
