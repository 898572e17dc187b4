/* The threads that call a PKCS#11 module. Guarantees: whoever waits for one is told when a call lasts too long, and
 * goes on; the thread that was left behind in the call writes to nothing of ours when it comes back, but hands its
 * session to the others; until then nobody else is sent in. A process that ends with a thread left behind ends without
 * the module's own clean-up, which might wait for it. */
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "engine/pkcs11.h"

#define SECOND INT64_C(1000000000)
enum { LEFT = -1 };

struct job { /* on the stack of whoever waits */
	p11_work *work;
	void *arg;
	struct err *e;
	struct arena *made; /* when it is done */
	int rc;
	bool done;
};

struct hand {
	struct hand *next, *next_idle;
	struct p11_guard *guard;
	pthread_t thread;
	pthread_cond_t given, finished;
	struct job *job;      /* not touched any more once it was left behind */
	struct arena *arena;  /* of the job */
	_Atomic(int64_t) until; /* when the present call is given up; 0: it is in none; LEFT */
	_Atomic(const char *) call;
	struct p11_use *use;
	pthread_mutex_t *locked; /* held while it calls */
	bool gone;
};

struct p11_guard {
	struct arena *arena;
	pthread_mutex_t lock; /* of the lists, and of `job`, `done`, `gone` */
	struct hand *all, *idle;
	int64_t limit; /* of a call, in nanoseconds */
	atomic_uint left;
	bool closing;
};

static _Thread_local struct hand *mine;

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * SECOND + t.tv_nsec;
}

void p11_cond_init(pthread_cond_t *c)
{
	pthread_condattr_t how;

	pthread_condattr_init(&how);
	pthread_condattr_setclock(&how, CLOCK_MONOTONIC);
	pthread_cond_init(c, &how);
	pthread_condattr_destroy(&how);
}

static void wait_until(pthread_cond_t *c, pthread_mutex_t *m, int64_t ns)
{
	const struct timespec t = { .tv_sec = ns / SECOND, .tv_nsec = ns % SECOND };

	pthread_cond_timedwait(c, m, &t);
}

void p11_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
	wait_until(c, m, now_ns() + SECOND);
}

/* --- in a thread of the guard --- */

static _Noreturn void come_back(struct hand *h)
{
	struct p11_guard *g = h->guard;

	if (h->use)
		p11_came_back(h->use, h->locked != NULL);
	if (h->locked)
		pthread_mutex_unlock(h->locked);
	arena_free(h->arena);
	pthread_detach(pthread_self());
	pthread_mutex_lock(&g->lock);
	h->gone = true;
	pthread_mutex_unlock(&g->lock);
	atomic_fetch_sub(&g->left, 1); /* from here on the guard may be gone */
	pthread_exit(NULL);
}

void p11_enter(const char *call, unsigned times)
{
	if (!mine)
		return;
	atomic_store(&mine->call, call);
	atomic_store(&mine->until, times ? now_ns() + mine->guard->limit * times : INT64_MAX);
}

void p11_leave(void)
{
	int64_t until;

	if (!mine)
		return;
	until = atomic_load(&mine->until);
	if (until == LEFT || !atomic_compare_exchange_strong(&mine->until, &until, 0))
		come_back(mine);
}

CK_RV p11_left(CK_RV rv)
{
	p11_leave();
	return rv;
}

void p11_lock(pthread_mutex_t *m)
{
	bool waited = pthread_mutex_trylock(m) != 0;

	if (waited) {
		p11_enter("a call for another request", 1);
		pthread_mutex_lock(m);
	}
	if (mine)
		mine->locked = m;
	if (waited)
		p11_leave();
}

void p11_unlock(pthread_mutex_t *m)
{
	if (mine)
		mine->locked = NULL;
	pthread_mutex_unlock(m);
}

void p11_using(struct p11_use *u)
{
	if (mine)
		mine->use = u;
}

static void *hand_main(void *arg)
{
	struct hand *h = arg;
	struct p11_guard *g = h->guard;

	mine = h;
	pthread_mutex_lock(&g->lock);
	for (;;) {
		while (!h->job && !g->closing)
			pthread_cond_wait(&h->given, &g->lock);
		if (!h->job)
			break;
		pthread_mutex_unlock(&g->lock);
		h->job->rc = h->job->work(h->job->arg, h->arena, h->job->e);
		pthread_mutex_lock(&g->lock);
		h->job->made = h->arena;
		h->job->done = true;
		h->job = NULL;
		h->next_idle = g->idle;
		g->idle = h;
		pthread_mutex_unlock(&g->lock);
		pthread_cond_signal(&h->finished); /* who waits finds the lock free */
		pthread_mutex_lock(&g->lock);
	}
	pthread_mutex_unlock(&g->lock);
	return NULL;
}

/* --- who waits --- */

static struct hand *new_hand(struct p11_guard *g)
{
	struct hand *h = arena_new_array(g->arena, 1, struct hand);
	sigset_t all, old;
	int rc;

	h->guard = g;
	p11_cond_init(&h->given);
	p11_cond_init(&h->finished);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&h->thread, NULL, hand_main, h);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0)
		return NULL;
	h->next = g->all;
	g->all = h;
	return h;
}

/* Its arena goes to whoever waits only when the work is done. */
static struct hand *send(struct p11_guard *g, struct job *job)
{
	struct hand *h = g->idle ? g->idle : new_hand(g);

	if (!h)
		return NULL;
	if (h == g->idle)
		g->idle = h->next_idle;
	h->arena = arena_new();
	h->use = NULL;
	h->job = job;
	return h;
}

/* False when it was left behind. */
static bool await(struct p11_guard *g, struct hand *h, const struct job *job)
{
	while (!job->done) {
		int64_t until = atomic_load(&h->until), now = now_ns();

		if (until == 0 || until > now) {
			wait_until(&h->finished, &g->lock, until && until - now < SECOND ? until : now + SECOND);
			continue;
		}
		atomic_fetch_add(&g->left, 1);
		if (atomic_compare_exchange_strong(&h->until, &until, LEFT))
			return false;
		atomic_fetch_sub(&g->left, 1);
	}
	return true;
}

bool p11_stuck(const struct p11_guard *g)
{
	return atomic_load(&g->left) != 0;
}

int p11_guarded(struct p11_guard *g, struct arena *a, p11_work *work, void *arg, struct err *e)
{
	struct job job = { .work = work, .arg = arg, .e = e };
	const char *call = NULL;
	struct hand *h;

	if (p11_stuck(g))
		return err_set(e, ERR_REMOTE, "the module does not answer: an earlier call has not come back");
	pthread_mutex_lock(&g->lock);
	h = send(g, &job);
	if (h) {
		pthread_mutex_unlock(&g->lock);
		pthread_cond_signal(&h->given);
		pthread_mutex_lock(&g->lock);
	}
	if (h && !await(g, h, &job))
		call = atomic_load(&h->call);
	pthread_mutex_unlock(&g->lock);
	if (!h)
		return err_set(e, ERR_IO, "the system has no room for another thread");
	if (call) {
		*e = (struct err){ 0 };
		return err_set(e, ERR_REMOTE, "the module does not answer: %s has lasted longer than %lld seconds",
			       call, (long long)(g->limit / SECOND));
	}
	if (a)
		arena_adopt(a, job.made);
	else
		arena_free(job.made);
	return job.rc;
}

/* --- the guard --- */

struct p11_guard *p11_guard_new(int64_t secs)
{
	struct arena *a = arena_new();
	struct p11_guard *g = arena_new_array(a, 1, struct p11_guard);

	g->arena = a;
	g->limit = secs * SECOND;
	pthread_mutex_init(&g->lock, NULL);
	return g;
}

static void end_now(int status, void *ignored)
{
	(void)ignored;
	fflush(NULL);
	_exit(status);
}

bool p11_guard_free(struct p11_guard *g)
{
	if (p11_stuck(g)) {
		on_exit(end_now, NULL);
		return false;
	}
	pthread_mutex_lock(&g->lock);
	g->closing = true;
	for (struct hand *h = g->idle; h; h = h->next_idle)
		pthread_cond_signal(&h->given);
	pthread_mutex_unlock(&g->lock);
	for (struct hand *h = g->all; h; h = h->next) {
		if (!h->gone)
			pthread_join(h->thread, NULL);
		pthread_cond_destroy(&h->given);
		pthread_cond_destroy(&h->finished);
	}
	pthread_mutex_destroy(&g->lock);
	arena_free(g->arena);
	return true;
}
