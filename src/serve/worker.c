/* A worker process. Guarantees: requests never wait for each other but through claims; what a request allocates ends
 * with it; SIGTERM loses nothing that was acknowledged, and the end of the parent ends its workers. The event thread
 * never waits for anything. */
#include "serve/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "base/tm.h"
#include "engine/engine.h"
#include "serve/keyring.h"
#include "serve/link.h"
#include "serve/lookout.h"
#include "serve/report.h"
#include "serve/tickets.h"
#include "serve/tls.h"
#include "state/state.h"

enum { DRAIN_MS = 10000, DRAIN_STEP_MS = 20, REPORT_MS = 100, MINUTE = 60, FREE_THREADS = 2 };

struct worker {
	const struct worker_setup *setup;
	struct event_base *base;
	struct server **servers; /* one a socket */
	struct keyring *keys;
	void *shared;            /* the service's */
	struct lookout *lookout;
	struct report_batch answered; /* by the event thread, and not reported yet */
	pthread_mutex_t lock;    /* of the queues and of `waiting` */
	pthread_cond_t ready;
	struct exchange *first, *last, *done, *parked;
	size_t waiting;          /* threads between post_wait_begin and post_wait_end */
	int wake;                /* eventfd: there are done ones */
	int64_t drain_until;
};

/* --- posts --- */

static int link_ask(struct post *p, enum link_kind kind, struct bytes text, enum link_kind *ret, struct err *e)
{
	SCOPED_BUF answer = buf_init(BUF_TEXT);

	if (p->link < 0)
		return err_set(e, ERR_UNSUPPORTED, "this listener commits nothing");
	if (link_send(p->link, kind, text, e) != 0 || link_receive(p->link, ret, &answer, e) != 0) {
		p->link = -1; /* the parent has gone */
		return -1;
	}
	return *ret == LINK_ERROR ? link_take_error(&answer, e) : 0;
}

/* What the request has in hand is of the policy that it began with: when that has moved, nothing may come of it any
 * more. */
static int look_again(struct post *p, struct err *e)
{
	if (!p->ctx.now_given)
		p->ctx.now = tm_now();
	if (state_follow(p->ctx.state, p->ctx.arena, p->ctx.now, &p->moved, e) != 0)
		return -1;
	return p->moved ? err_set(e, ERR_CONFLICT, "the policy has moved; the request is handled anew") : 0;
}

int post_claim(struct post *p, const char *const *keys, size_t n, bool counts, struct err *e)
{
	SCOPED_BUF text = buf_init(BUF_TEXT);
	enum link_kind answer;

	buf_putc(&text, counts ? '1' : '0');
	for (size_t i = 0; i < n; i++)
		buf_put(&text, keys[i], strlen(keys[i]) + 1);
	if (link_ask(p, LINK_CLAIM, buf_bytes(&text), &answer, e) != 0)
		return -1;
	if (answer == LINK_FULL)
		return err_set(e, ERR_CONFLICT, "as many as were asked for have been issued");
	p->claimed = true;
	return look_again(p, e);
}

int post_commit(struct post *p, struct err *e)
{
	SCOPED_BUF shipped = buf_init(LINK_MAX);
	enum link_kind answer;

	if (state_ship(p->ctx.state, &shipped, e) != 0)
		return -1;
	p->claimed = false;
	return link_ask(p, LINK_RECORD, buf_bytes(&shipped), &answer, e);
}

void post_release(struct post *p)
{
	struct err ignored = { 0 };

	if (p->claimed && link_send(p->link, LINK_RELEASE, (struct bytes){ 0 }, &ignored) != 0)
		p->link = -1; /* the parent has gone, and the claim with it */
	p->claimed = false;
}

static size_t may_wait(const struct worker *w)
{
	return w->setup->nlinks > FREE_THREADS ? w->setup->nlinks - FREE_THREADS : 1;
}

bool post_wait_begin(struct post *p)
{
	struct worker *w = p->worker;
	bool yes;

	pthread_mutex_lock(&w->lock);
	yes = w->waiting < may_wait(w);
	w->waiting += yes;
	pthread_mutex_unlock(&w->lock);
	return yes;
}

void post_wait_end(struct post *p)
{
	pthread_mutex_lock(&p->worker->lock);
	p->worker->waiting--;
	pthread_mutex_unlock(&p->worker->lock);
}

int worker_key(struct post *p, const char *key_id, EVP_PKEY **ret, struct err *e)
{
	return keyring_open(p->worker->keys, key_id, ret, e);
}

int worker_deposit(struct post *p, const char *engine_id, EVP_PKEY *key, const char *name, struct key *ret,
		   struct err *e)
{
	return keyring_deposit(p->worker->keys, &p->ctx, engine_id, key, name, ret, e);
}

void worker_withdraw(struct post *p, const struct key *copy)
{
	keyring_withdraw(p->worker->keys, &p->ctx, copy);
}

void *worker_shared(const struct post *p)
{
	return p->worker->shared;
}

struct bytes worker_own(const struct post *p)
{
	return p->worker->setup->own;
}

/* One line at once, from any thread. */
static void say(void *arg, const char *msg)
{
	SCOPED_BUF line = buf_init(BUF_TEXT);
	struct err ignored = { 0 };

	(void)arg;
	buf_printf(&line, "lamassu: %s\n", msg);
	if (fs_write_fd(STDERR_FILENO, buf_bytes(&line), &ignored) != 0)
		return; /* nobody listens */
}

/* The policy as it is now, on a fresh handle. */
static int learn(struct post *p, struct err *e)
{
	const struct worker_setup *s = p->worker->setup;
	const struct state_env env = { .now = p->ctx.now };
	struct arena *of_request = p->ctx.arena;
	int r;

	if (p->memory && s->service->forget)
		s->service->forget(p);
	state_close(p->ctx.state);
	arena_free(p->lasting);
	p->ctx.state = NULL;
	p->memory = NULL;
	p->lasting = p->ctx.arena = arena_new();
	r = state_open(p->lasting, s->dir, 0, &env, &p->ctx.state, e);
	if (r == 0)
		r = s->service->learn(p, s->options, e);
	p->ctx.arena = of_request;
	if (r != 0)
		p->memory = NULL;
	return r;
}

/* Brings the post's view of the repository up to date. */
static int follow(struct post *p, struct err *e)
{
	bool moved = true;

	if (!p->ctx.now_given)
		p->ctx.now = tm_now();
	if (p->memory && state_follow(p->ctx.state, p->ctx.arena, p->ctx.now, &moved, e) != 0)
		return -1;
	if (moved && (learn(p, e) != 0 || state_follow(p->ctx.state, p->ctx.arena, p->ctx.now, &moved, e) != 0))
		return -1;
	return 0;
}

static void serve_one(struct post *p, struct exchange *x)
{
	const struct worker_setup *s = p->worker->setup;
	struct err e = { 0 };

	p->ctx.arena = x->arena;
	if (follow(p, &e) != 0) {
		http_text(x->arena, &x->out, 503, "repository", "the repository cannot be read at the moment");
		http_add_header(&x->out, "Retry-After", "10");
		say(NULL, arena_printf(x->arena, "%s: %s", s->dir, e.msg));
	} else {
		s->service->handle(p, s->options, &x->in, &x->out);
	}
	x->out.later = x->out.later || p->moved;
	p->moved = false;
	post_release(p);
	if (!x->out.later)
		report_exchange(p->link, &s->access_log, x);
}

static struct exchange *take(struct worker *w)
{
	struct exchange *x;

	pthread_mutex_lock(&w->lock);
	while (!w->first)
		pthread_cond_wait(&w->ready, &w->lock);
	x = w->first;
	w->first = x->next;
	pthread_mutex_unlock(&w->lock);
	return x;
}

/* At the end of the queue; the lock is held. */
static void enqueue(struct worker *w, struct exchange *x)
{
	x->next = NULL;
	*(w->first ? &w->last->next : &w->first) = x;
	w->last = x;
	pthread_cond_signal(&w->ready);
}

/* Until another one is done; at once when there is room by now. */
static void park(struct worker *w, struct exchange *x)
{
	x->out = (struct http_response){ 0 };
	pthread_mutex_lock(&w->lock);
	if (w->waiting < may_wait(w)) {
		enqueue(w, x);
	} else {
		x->next = w->parked;
		w->parked = x;
	}
	pthread_mutex_unlock(&w->lock);
}

static void hand_back(struct worker *w, struct exchange *x)
{
	struct exchange *next;
	uint64_t one = 1;

	pthread_mutex_lock(&w->lock);
	x->next = w->done;
	w->done = x;
	if ((next = w->parked) != NULL) {
		w->parked = next->next;
		enqueue(w, next);
	}
	pthread_mutex_unlock(&w->lock);
	while (write(w->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void *thread_main(void *arg)
{
	struct post *p = arg;

	for (;;) {
		struct exchange *x = take(p->worker);

		serve_one(p, x);
		if (x->out.later)
			park(p->worker, x);
		else
			hand_back(p->worker, x);
	}
	return NULL;
}

/* --- the event thread --- */

static void on_report(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	(void)fd, (void)what;
	report_flush(&w->answered, w->setup->event_link);
}

static void report_soon(void *arg, const struct exchange *x)
{
	const struct timeval soon = { .tv_usec = REPORT_MS * 1000 };
	struct worker *w = arg;
	bool first = w->answered.n == 0;

	report_gather(&w->answered, w->setup->event_link, &w->setup->access_log, x);
	if (first)
		event_base_once(w->base, -1, EV_TIMEOUT, on_report, w, &soon);
}

static void on_minute(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	(void)fd, (void)what;
	tickets_turn(w->setup->tls, tm_mono_ms());
}

static bool answer_quickly(struct worker *w, struct exchange *x)
{
	const struct worker_setup *s = w->setup;
	const struct state_at *at = s->service->quick ? lookout_now(w->lookout) : NULL;

	if (!at || !s->service->quick(w->shared, at, s->ctx->now_given ? s->ctx->now : tm_now(), &x->in, &x->out))
		return false;
	report_soon(w, x);
	server_answer(x);
	return true;
}

static void on_request(void *arg, struct exchange *x)
{
	struct worker *w = arg;

	if (answer_quickly(w, x))
		return;
	pthread_mutex_lock(&w->lock);
	enqueue(w, x);
	pthread_mutex_unlock(&w->lock);
}

static void on_done(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	struct exchange *x, *next;
	uint64_t n;

	(void)what;
	if (read(fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		return;
	pthread_mutex_lock(&w->lock);
	x = w->done;
	w->done = NULL;
	pthread_mutex_unlock(&w->lock);
	for (; x; x = next) {
		next = x->next;
		server_answer(x);
	}
}

/* Answers are complete when nothing is open any more. */
static void on_drain(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval step = { .tv_usec = DRAIN_STEP_MS * 1000 };
	struct worker *w = arg;
	bool idle = true;

	(void)fd, (void)what;
	for (size_t i = 0; i < w->setup->nsockets; i++) {
		server_drain(w->servers[i]);
		idle = idle && server_busy(w->servers[i]) == 0 && server_open(w->servers[i]) == 0;
	}
	if (idle || tm_mono_ms() >= w->drain_until) {
		report_flush(&w->answered, w->setup->event_link);
		event_base_loopbreak(w->base);
	} else {
		event_base_once(w->base, -1, EV_TIMEOUT, on_drain, w, &step);
	}
}

static void on_term(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	(void)fd, (void)what;
	if (w->drain_until)
		return;
	w->drain_until = tm_mono_ms() + DRAIN_MS;
	on_drain(-1, 0, w);
}

/* --- starting --- */

int worker_secret(struct ctx *ctx, const struct secret_ask *q, char **ret, struct err *e)
{
	const struct worker_setup *s = ctx->secret_arg;

	for (size_t i = 0; i < s->nsecrets; i++) {
		if (strcmp(s->secrets[i].what, q->what) != 0)
			continue;
		*ret = arena_strdup(ctx->arena, s->secrets[i].text);
		return 0;
	}
	return err_set(e, ERR_DENIED, "%s was not given when the listener was started", q->what);
}

static struct ctx context(struct worker *w)
{
	const struct ctx *c = w->setup->ctx;

	return (struct ctx){ .arena = arena_new(), .now = c->now_given ? c->now : tm_now(), .now_given = c->now_given,
			     .no_input = true, .warn = say, .secret = worker_secret,
			     .secret_arg = (void *)(uintptr_t)w->setup };
}

static int start_threads(struct worker *w, struct arena *a, struct err *e)
{
	const struct worker_setup *s = w->setup;
	struct post *posts = arena_new_array(a, s->nlinks, struct post);

	for (size_t i = 0; i < s->nlinks; i++) {
		pthread_t t;

		posts[i].worker = w;
		posts[i].link = s->links[i];
		posts[i].ctx = context(w);
		if (i == 0)
			w->keys = keyring_new(&posts[i].ctx, s->dir);
		if (pthread_create(&t, NULL, thread_main, &posts[i]) != 0)
			return err_set(e, ERR_IO, "threads cannot be started");
		pthread_detach(t);
	}
	return 0;
}

/* Not libevent's own signals: those of the parent's base would be mixed up with them. SIGTERM is blocked in every
 * thread. */
static int term_fd(void)
{
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	return signalfd(-1, &term, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int start(struct worker *w, struct arena *a, struct err *e)
{
	const struct worker_setup *s = w->setup;
	const struct timeval minute = { .tv_sec = MINUTE };
	struct server_limits limits = *s->limits;
	struct event *ev;

	w->base = event_base_new();
	w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!w->base || w->wake < 0)
		return err_sys(e, "events");
	ev = event_new(w->base, w->wake, EV_READ | EV_PERSIST, on_done, w);
	if (!ev || event_add(ev, NULL) != 0)
		return err_sys(e, "events");
	ev = event_new(w->base, term_fd(), EV_READ, on_term, w);
	if (!ev || event_add(ev, NULL) != 0)
		return err_sys(e, "events");
	ev = event_new(w->base, -1, EV_PERSIST, on_minute, w);
	if (!ev || event_add(ev, &minute) != 0)
		return err_sys(e, "events");
	if (s->service->requests)
		limits.requests = s->service->requests;
	server_limits_fit(&limits, s->nsockets);
	w->servers = arena_new_array(a, s->nsockets, struct server *);
	for (size_t i = 0; i < s->nsockets; i++) {
		w->servers[i] = server_new(w->base, s->sockets[i], s->tls, &limits, on_request, report_soon, w, e);
		if (!w->servers[i])
			return -1;
	}
	return 0;
}

/* A key in an engine is opened by each process for itself. */
static int open_tls_key(struct worker *w, struct err *e)
{
	EVP_PKEY *key;
	int r;

	if (!w->setup->tls_key_id)
		return 0;
	if (keyring_open(w->keys, w->setup->tls_key_id, &key, e) != 0)
		return err_ctx(e, "TLS key");
	r = tls_use_key(w->setup->tls, key, e);
	EVP_PKEY_free(key);
	return r;
}

static void quiet_signals(void)
{
	signal(SIGINT, SIG_IGN); /* a terminal sends it to all; the parent decides */
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
}

void worker_run(const struct worker_setup *s)
{
	struct arena *a = arena_new();
	struct worker *w = arena_new_array(a, 1, struct worker);
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP };
	sigset_t all;
	struct err e = { 0 };

	*w = (struct worker){ .setup = s };
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->ready, NULL);
	if (s->service->share) {
		w->shared = s->service->share();
		w->lookout = lookout_new(s->dir);
	}
	quiet_signals();
	sigfillset(&all);
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
		sigdelset(&all, faults[i]);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	if (start_threads(w, a, &e) == 0 && open_tls_key(w, &e) == 0 && start(w, a, &e) == 0)
		event_base_dispatch(w->base);
	if (e.code)
		say(NULL, e.msg);
	_exit(e.code ? 1 : 0);
}
