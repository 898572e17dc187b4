/* Jobs on threads: each runs once, results stay, one failure stops the rest. */
#include "base/pool.h"

#include <stdatomic.h>

#include "tap.h"

enum { JOBS = 1000 };

struct work {
	char *slot[JOBS];
	atomic_int runs[JOBS];
	size_t fail_from, ticks, last;
};

static int job(void *arg, size_t i, struct arena *a, struct err *e)
{
	struct work *w = arg;

	atomic_fetch_add(&w->runs[i], 1);
	if (i >= w->fail_from)
		return err_set(e, ERR_CRYPTO, "job %zu", i);
	w->slot[i] = arena_printf(a, "result %zu", i);
	return 0;
}

static void tick(void *arg, size_t done_)
{
	struct work *w = arg;

	w->ticks++;
	w->last = done_;
}

static void test_two_steps(struct arena *a)
{
	static struct work one, two;
	struct err e = { 0 };
	struct pool *first, *second;

	one = two = (struct work){ .fail_from = JOBS };
	first = pool_start(JOBS, 2, job, &one, a);
	second = pool_start(JOBS, 2, job, &two, a);
	ok(pool_finish(first, NULL, &e) == 0 && one.runs[0] == 1 && one.runs[JOBS - 1] == 1,
	   "one is finished while another runs");
	pool_stop(second);
	ok(two.runs[0] <= 1 && two.runs[JOBS - 1] <= 1, "one that is stopped runs no job twice");
	one = (struct work){ .fail_from = JOBS };
	pool_stop(pool_start(JOBS, 1, job, &one, a));
	ok(one.runs[0] == 0, "with one thread nothing runs before the caller does");
	pool_stop(NULL);
}

int main(void)
{
	static const unsigned threads[] = { 0, 1, 2, 8, 100000 };
	static struct work w;
	SCOPED_ARENA *a = arena_new();
	struct err e = { 0 };

	for (size_t t = 0; t < COUNT(threads); t++) {
		bool good = true;

		w = (struct work){ .fail_from = JOBS };
		is_int(pool_run(JOBS, threads[t], job, &w, a, tick, &e), 0, "all jobs are done");
		for (size_t i = 0; i < JOBS; i++)
			good = good && w.runs[i] == 1 && strcmp(w.slot[i], arena_printf(a, "result %zu", i)) == 0;
		ok(good, "each once, and its result lives on");
	}
	w = (struct work){ .fail_from = JOBS };
	ok(pool_run(JOBS, 1, job, &w, a, tick, &e) == 0 && w.ticks == JOBS && w.last == JOBS,
	   "one thread reports each job");
	for (size_t t = 0; t < COUNT(threads); t++) {
		w = (struct work){ .fail_from = 100 };
		is_int(pool_run(JOBS, threads[t], job, &w, a, NULL, &e), -1, "a job fails");
		is_int(e.code, ERR_CRYPTO, "its error is returned");
		ok(threads[t] == 100000 || w.runs[JOBS - 1] == 0, "and the rest is not run");
	}
	w = (struct work){ .fail_from = 0 };
	ok(pool_run(JOBS, 1, job, &w, a, NULL, &e) == -1 && strcmp(e.msg, "job 0") == 0, "the error of the first");
	is_int(pool_run(0, 4, job, &w, a, tick, &e), 0, "no jobs, nothing to do");
	test_two_steps(a);
	return done();
}
