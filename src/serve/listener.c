/* The parent of a listener. Guarantees: sockets are bound before privileges are dropped and before anything is
 * promised; workers that die are replaced, unless they do nothing but die; the end, however it comes, waits for what is
 * under way and commits what was handed over; it holds no private key but that of TLS. */
#include "serve/listener.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "serve/committer.h"
#include "serve/outfit.h"
#include "serve/prepare.h"
#include "serve/process.h"
#include "serve/renewal.h"
#include "serve/sockets.h"
#include "serve/tickets.h"
#include "serve/worker.h"

enum { WORKERS_MAX = 64, THREADS_MAX = 64, DRAIN_SECS = 12, TICK_MS = 250, GATHER_MS = 5, EVENTS_MAX = 5,
       ADDRESS_MAX = 1000000 };
/* in a row: those that end the listener, and cost no time */
enum { YOUNG_MS = 5000, YOUNG_DEATHS_MAX = 20, YOUNG_DEATHS_FREE = 5 };

struct lane { /* to one thread of a worker, its event thread being the last */
	struct listener *listener;
	struct bufferevent *bev;
	int fd;
	size_t index, worker;
};

struct child {
	pid_t pid;        /* 0: none */
	int64_t began_ms; /* it did, or the next one will */
	bool stale;       /* it was started before the last SIGHUP */
};

struct listener {
	struct ctx *ctx;
	const struct listen_options *o;
	struct sockets sockets;
	struct event_base *base;
	struct worker_setup setup;
	struct server_limits limits;
	struct outfit outfit;
	struct renewal *renewal; /* NULL: its certificate was given */
	struct committer *committer;
	struct event *commit, *others[EVENTS_MAX];
	size_t nothers;
	struct tally *tally;
	struct refusal_log *refusals; /* NULL: none are counted */
	struct lane *lanes;  /* threads of worker 0, of worker 1, … */
	struct child *workers;
	size_t nworkers, nthreads, nlinks, alive, young_deaths;
	size_t nlanes; /* the number of the listener's own link is the next one */
	struct child *leaving; /* is finishing what it has begun, to be replaced; NULL: none is */
	int64_t leave_by_ms;
	int64_t last_request_ms, began_ms, drain_until_ms;
	bool draining, forced;
	bool by_hand; /* at a terminal, whose end is a SIGHUP */
	struct err failed;
};

/* --- a new outfit --- */

static void take_outfit(struct listener *l)
{
	l->setup.tls = l->outfit.context;
	l->setup.access_log.fd = l->outfit.log;
}

/* One worker after another, so that there is always one that accepts, or a moment in which connections wait. */
static void replace_next(struct listener *l)
{
	for (size_t i = 0; i < l->nworkers && !l->leaving && !l->draining; i++) {
		if (!l->workers[i].stale || !l->workers[i].pid)
			continue;
		l->leaving = &l->workers[i];
		l->leave_by_ms = tm_mono_ms() + DRAIN_SECS * 1000;
		kill(l->leaving->pid, SIGTERM);
	}
}

static void replace_all(struct listener *l)
{
	take_outfit(l);
	for (size_t i = 0; i < l->nworkers; i++)
		l->workers[i].stale = true;
	replace_next(l);
}

/* --- links --- */

static void answer(void *arg, size_t link, enum link_kind kind, struct bytes text)
{
	struct listener *l = arg;
	struct bufferevent *bev = link < l->nlanes ? l->lanes[link].bev : NULL;
	unsigned char head[LINK_HEAD];

	if (link == l->nlanes && renewal_recorded(l->renewal, kind, text))
		replace_all(l);
	if (!bev)
		return;
	link_head(head, kind, text.n);
	bufferevent_write(bev, head, sizeof(head));
	bufferevent_write(bev, text.p, text.n);
}

static void drain(struct listener *l)
{
	if (l->draining)
		return;
	l->draining = true;
	l->drain_until_ms = tm_mono_ms() + DRAIN_SECS * 1000;
	sockets_notify("STOPPING=1");
	for (size_t i = 0; i < l->nworkers; i++)
		if (l->workers[i].pid > 0)
			kill(l->workers[i].pid, SIGTERM);
}

static bool reached(const struct listener *l)
{
	int64_t done = l->o->service->counts_answers ? tally_counted(l->tally) : committer_done(l->committer);

	return !l->o->target || done >= l->o->target;
}

/* Runs after every frame that is there has been read: one commit for all of them. */
static void on_commit(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;

	(void)fd, (void)what;
	event_del(l->commit);
	if (committer_pending(l->committer))
		committer_run(l->committer);
	if (l->o->target && reached(l))
		drain(l);
}

/* A commit costs about the same for one and for twenty, so those who are about to hand over are waited for, for a
 * moment. */
static void commit_soon(struct listener *l)
{
	const struct timeval moment = { .tv_usec = GATHER_MS * 1000 };

	if (!committer_pending(l->committer))
		return;
	if (!committer_gathers(l->committer))
		event_active(l->commit, EV_TIMEOUT, 0);
	else if (!event_pending(l->commit, EV_TIMEOUT, NULL))
		event_add(l->commit, &moment);
}

static void take_own(void *arg, struct bytes shipped)
{
	struct listener *l = arg;

	committer_take(l->committer, l->nlanes, LINK_RECORD, shipped);
	commit_soon(l);
}

static void take_refused(struct listener *l, struct bytes text)
{
	struct refused x;

	if (!l->refusals || !report_read(text, &x))
		return;
	x.type = l->o->service->event(x.op, x.status);
	x.silent = !logs_wanted(&l->o->logs, l->o->service->class(x.op, x.status), x.status);
	if (x.type)
		refusals_add(l->refusals, &x);
}

static void take_frame(struct listener *l, size_t link, enum link_kind kind, struct bytes text)
{
	if (kind == LINK_DONE) {
		tally_add(l->tally, text);
		l->last_request_ms = tm_mono_ms();
		if (l->o->target && l->o->service->counts_answers && reached(l))
			drain(l);
		return;
	}
	if (kind == LINK_REFUSED) {
		take_refused(l, text);
		return;
	}
	committer_take(l->committer, link, kind, text);
	commit_soon(l);
}

static void on_frames(struct bufferevent *bev, void *arg)
{
	struct lane *lane = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	unsigned char head[LINK_HEAD];
	enum link_kind kind;
	size_t n;

	while (evbuffer_copyout(in, head, LINK_HEAD) == LINK_HEAD) {
		unsigned char *text;

		if (!link_parse(head, &kind, &n)) {
			kill(lane->listener->workers[lane->worker].pid, SIGKILL);
			return;
		}
		if (evbuffer_get_length(in) < LINK_HEAD + n)
			return;
		evbuffer_drain(in, LINK_HEAD);
		text = evbuffer_pullup(in, (ev_ssize_t)n);
		take_frame(lane->listener, lane->index, kind, (struct bytes){ text, n });
		evbuffer_drain(in, n);
	}
}

static void on_gone(struct bufferevent *bev, short what, void *arg)
{
	struct lane *lane = arg;

	(void)what;
	on_frames(bev, lane);
	bufferevent_free(bev);
	lane->bev = NULL;
	committer_gone(lane->listener->committer, lane->index);
	if (committer_pending(lane->listener->committer)) /* soon somebody else will have this lane */
		event_active(lane->listener->commit, EV_TIMEOUT, 0);
}

/* --- workers --- */

static _Noreturn void become_worker(struct listener *l, const int *links)
{
	struct worker_setup setup = l->setup;

	for (size_t i = 0; i < l->nlanes; i++)
		if (l->lanes[i].bev)
			close(bufferevent_getfd(l->lanes[i].bev));
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	setup.links = links;
	setup.nlinks = l->nthreads;
	setup.event_link = links[l->nthreads];
	worker_run(&setup);
}

static void add_lane(struct listener *l, size_t worker, size_t thread, int fd)
{
	struct lane *lane = &l->lanes[worker * l->nlinks + thread];

	evutil_make_socket_nonblocking(fd);
	*lane = (struct lane){ .listener = l, .index = worker * l->nlinks + thread, .worker = worker,
			       .bev = bufferevent_socket_new(l->base, fd, BEV_OPT_CLOSE_ON_FREE) };
	if (!lane->bev)
		out_of_memory();
	bufferevent_setcb(lane->bev, on_frames, NULL, on_gone, lane);
	bufferevent_enable(lane->bev, EV_READ | EV_WRITE);
}

static int spawn(struct listener *l, size_t worker, struct err *e)
{
	int ours[THREADS_MAX + 1], theirs[THREADS_MAX + 1];
	pid_t pid;

	l->workers[worker].began_ms = tm_mono_ms();
	if (link_pairs(ours, theirs, l->nlinks, e) != 0)
		return -1;
	pid = process_fork();
	if (pid == 0) {
		link_close(ours, l->nlinks);
		become_worker(l, theirs);
	}
	if (pid < 0)
		err_sys(e, "fork");
	link_close(theirs, l->nlinks);
	if (pid < 0) {
		link_close(ours, l->nlinks);
		return -1;
	}
	l->workers[worker].pid = pid;
	l->workers[worker].stale = false;
	l->alive++;
	for (size_t i = 0; i < l->nlinks; i++)
		add_lane(l, worker, i, ours[i]);
	return 0;
}

/* What a worker sent before it ended counts; its lanes must be free before the next one gets them. */
static void end_lanes(struct listener *l, size_t worker)
{
	for (size_t i = 0; i < l->nlinks; i++) {
		struct lane *lane = &l->lanes[worker * l->nlinks + i];
		struct evbuffer *in = lane->bev ? bufferevent_get_input(lane->bev) : NULL;

		if (!in)
			continue;
		evbuffer_unfreeze(in, 0);
		while (evbuffer_read(in, bufferevent_getfd(lane->bev), -1) > 0)
			;
		on_gone(lane->bev, 0, lane);
	}
}

/* It may be started again at once, or a little later. The listener ends when its workers live a moment only, again and
 * again. */
static void count_death(struct listener *l, size_t worker, const char *how)
{
	int64_t now = tm_mono_ms();

	l->young_deaths = now - l->workers[worker].began_ms < YOUNG_MS ? l->young_deaths + 1 : 0;
	l->workers[worker].began_ms = now + (l->young_deaths > YOUNG_DEATHS_FREE ? TICK_MS : 0);
	if (l->young_deaths <= YOUNG_DEATHS_MAX) {
		ctx_warn(l->ctx, "a worker was ended %s and has been replaced", how);
	} else if (!l->draining) {
		err_set(&l->failed, ERR_IO, "workers end as soon as they are started, the last one %s", how);
		drain(l);
	}
}

static void start_due(struct listener *l)
{
	struct err e = { 0 };

	for (size_t i = 0; i < l->nworkers && !l->draining; i++)
		if (!l->workers[i].pid && l->workers[i].began_ms <= tm_mono_ms() && spawn(l, i, &e) != 0)
			count_death(l, i, arena_printf(l->ctx->arena, "by a failed start (%s)", e.msg));
}

static void on_hangup(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;
	struct err e = { 0 };

	(void)fd, (void)what;
	if (l->by_hand)
		drain(l);
	if (l->draining)
		return;
	if (outfit_renew(&l->outfit, &e) != 0) {
		ctx_warn(l->ctx, "nothing is read anew: %s", e.msg);
		return;
	}
	replace_all(l);
}

static void on_child(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;
	char how[40];
	int status;
	pid_t pid;

	(void)fd, (void)what;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		size_t i = 0;

		while (i < l->nworkers && l->workers[i].pid != pid)
			i++;
		if (i == l->nworkers)
			continue;
		l->workers[i].pid = 0;
		l->alive--;
		end_lanes(l, i);
		snprintf(how, sizeof(how), WIFSIGNALED(status) ? "by signal %d" : "with status %d",
			 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		if (l->leaving == &l->workers[i])
			l->leaving = NULL;
		else if (!l->draining)
			count_death(l, i, how);
	}
	start_due(l);
	replace_next(l);
	if (l->draining && l->alive == 0)
		event_base_loopbreak(l->base);
}

/* --- signals and time --- */

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;

	(void)fd, (void)what;
	if (l->draining)
		l->forced = true; /* the second one: at once */
	drain(l);
}

static void show_progress(const struct listener *l)
{
	SCOPED_ARENA *a = arena_new(); /* the context's lasts a whole shift */
	long long refused = tally_refused(l->tally);

	ctx_progress(l->ctx, arena_printf(a, "%s, %lld refused", l->o->service->counted, refused),
		     (uint64_t)tally_counted(l->tally), (uint64_t)l->o->target);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;
	int64_t now = tm_mono_ms();

	(void)fd, (void)what;
	tickets_turn(l->outfit.context, now);
	if (l->o->timeout.text && now - l->began_ms >= l->o->timeout.secs * 1000)
		drain(l);
	if (l->o->stop_file && fs_exists(l->o->stop_file))
		drain(l);
	if (l->o->idle.text && now - l->last_request_ms >= l->o->idle.secs * 1000)
		drain(l);
	if (l->draining && (l->forced || now >= l->drain_until_ms))
		for (size_t i = 0; i < l->nworkers; i++)
			if (l->workers[i].pid > 0)
				kill(l->workers[i].pid, SIGKILL);
	if (l->leaving && now >= l->leave_by_ms)
		kill(l->leaving->pid, SIGKILL);
	start_due(l);
	if (!l->draining)
		renewal_tick(l->renewal);
	if (l->draining && l->alive == 0)
		event_base_loopbreak(l->base);
	if (l->refusals && refusals_due(l->refusals))
		event_active(l->commit, EV_TIMEOUT, 0);
	show_progress(l);
}

/* --- setting up --- */

static int add_event(struct listener *l, evutil_socket_t fd, short what, event_callback_fn fn, const struct timeval *t,
		     struct err *e)
{
	struct event *ev = event_new(l->base, fd, what, fn, l);

	if (!ev || event_add(ev, t) != 0)
		return err_set(e, ERR_IO, "events cannot be set up");
	l->others[l->nothers++] = ev;
	return 0;
}

static int set_up_events(struct listener *l, struct err *e)
{
	const struct timeval tick = { .tv_usec = TICK_MS * 1000 };

	l->base = event_base_new();
	if (!l->base || event_base_priority_init(l->base, 2) != 0)
		return err_set(e, ERR_IO, "events cannot be set up");
	l->commit = event_new(l->base, -1, 0, on_commit, l);
	if (!l->commit || event_priority_set(l->commit, 1) != 0)
		return err_set(e, ERR_IO, "events cannot be set up");
	if (add_event(l, SIGTERM, EV_SIGNAL | EV_PERSIST, on_signal, NULL, e) != 0 ||
	    add_event(l, SIGINT, EV_SIGNAL | EV_PERSIST, on_signal, NULL, e) != 0 ||
	    add_event(l, SIGHUP, EV_SIGNAL | EV_PERSIST, on_hangup, NULL, e) != 0 ||
	    add_event(l, SIGCHLD, EV_SIGNAL | EV_PERSIST, on_child, NULL, e) != 0)
		return -1;
	return add_event(l, -1, EV_PERSIST, on_tick, &tick, e);
}

static int size_up(struct listener *l, struct err *e)
{
	const struct listen_options *o = l->o;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (o->workers < 0 || o->workers > WORKERS_MAX || o->threads < 0 || o->threads > THREADS_MAX)
		return err_set(e, ERR_USAGE, "at most %d workers with %d threads each", WORKERS_MAX, THREADS_MAX);
	if (o->per_address > ADDRESS_MAX || o->handshake_rate > ADDRESS_MAX)
		return err_set(e, ERR_USAGE, "limits for an address are up to %d", ADDRESS_MAX);
	l->nworkers = o->workers ? (size_t)o->workers : cores > 1 ? (size_t)cores : 1;
	l->nthreads = o->threads ? (size_t)o->threads : o->service->threads;
	l->nlinks = l->nthreads + 1;
	l->nlanes = l->nworkers * l->nlinks;
	l->lanes = arena_new_array(l->ctx->arena, l->nlanes, struct lane);
	l->workers = arena_new_array(l->ctx->arena, l->nworkers, struct child);
	l->limits = server_limits;
	if (o->per_address)
		l->limits.per_address = o->per_address > 0 ? (unsigned)o->per_address : 0;
	if (o->handshake_rate)
		l->limits.handshake_rate = o->handshake_rate > 0 ? (unsigned)o->handshake_rate : 0;
	l->limits.exempt = o->exempt;
	return 0;
}

/* All that workers are told; each gets its own links. */
static int prepare_workers(struct listener *l, struct strv *ret_about, struct err *e)
{
	const struct listen_options *o = l->o;
	struct known_secret *secrets;
	struct prepared p = { 0 };
	size_t n;

	if (prepare_apart(l->ctx, o, &p, &secrets, &n, e) != 0 || outfit_make(l->ctx->arena, o, &p, &l->outfit, e) != 0)
		return -1;
	l->setup = (struct worker_setup){ .service = o->service, .options = o->options, .dir = o->dir, .ctx = l->ctx,
					  .sockets = l->sockets.fds, .nsockets = l->sockets.n, .limits = &l->limits,
					  .secrets = secrets, .nsecrets = n, .tls_key_id = p.tls_key_id, .own = p.own,
					  .access_log = { .settings = &o->logs, .service = o->service } };
	take_outfit(l);
	*ret_about = p.about;
	return 0;
}

static int set_up_committer(struct listener *l, struct err *e)
{
	const struct listen_options *o = l->o;
	struct committer_setup setup = { .ctx = l->ctx, .dir = o->dir, .op = o->service->name, .what = o->commits,
					 .target = o->service->counts_answers ? 0 : o->target,
					 .lock_timeout_ms = o->lock_timeout_ms, .answer = answer, .arg = l };

	l->tally = tally_new(l->ctx->arena, o->service->name);
	if (o->service->event && (l->refusals = refusals_new(l->ctx, o->dir, e)) == NULL)
		return -1;
	setup.refusals = l->refusals;
	l->committer = committer_new(l->ctx->arena, &setup, l->nlanes + 1);
	return 0;
}

static int set_up(struct listener *l, struct err *e)
{
	const struct listen_options *o = l->o;
	struct strv about;

	if (size_up(l, e) != 0)
		return -1;
	if (o->stop_file && fs_exists(o->stop_file))
		return err_set(e, ERR_CONFLICT, "--stop-file %s is there already: remove it", o->stop_file);
	process_raise_files();
	if (sockets_open(l->ctx->arena, &o->listen, &l->sockets, e) != 0 ||
	    (o->user && process_become(o->user, e) != 0) || prepare_workers(l, &about, e) != 0 ||
	    set_up_committer(l, e) != 0 || set_up_events(l, e) != 0)
		return -1;
	if (o->service->certificate && !o->tls_cert.n && l->outfit.tls.cert.n)
		l->renewal = renewal_new(l->ctx->arena, &(struct renewal_setup){ l->base, l->ctx, &l->setup, &l->outfit,
										 take_own, l });
	for (size_t i = 0; i < l->nworkers; i++)
		if (spawn(l, i, e) != 0)
			return -1;
	for (size_t i = 0; i < about.n && o->say; i++)
		o->say(about.v[i]);
	return 0;
}

static void tear_down(struct listener *l)
{
	for (size_t i = 0; i < l->nlanes; i++)
		if (l->lanes[i].bev)
			bufferevent_free(l->lanes[i].bev);
	for (size_t i = 0; i < l->nothers; i++)
		event_free(l->others[i]);
	if (l->commit)
		event_free(l->commit);
	renewal_free(l->renewal);
	if (l->base)
		event_base_free(l->base);
	if (l->committer)
		committer_free(l->committer);
	refusals_end(l->refusals);
	sockets_close(&l->sockets);
	outfit_free(&l->outfit);
}

int listen_run(struct ctx *ctx, const struct listen_options *o, struct summary *ret, struct err *e)
{
	struct listener l = { .ctx = ctx, .o = o, .outfit.log = -1,
			      .by_hand = isatty(STDERR_FILENO) || isatty(STDIN_FILENO),
			      .began_ms = tm_mono_ms(), .last_request_ms = tm_mono_ms() };
	int r = set_up(&l, e);

	if (r == 0)
		r = sockets_ready(&l.sockets, o->ready_file, o->say, e);
	if (r != 0)
		drain(&l);
	if (l.alive > 0)
		event_base_dispatch(l.base);
	if (r == 0) {
		if (l.refusals)
			refusals_finish(l.refusals);
		if (committer_pending(l.committer))
			committer_run(l.committer);
		tally_summary(l.tally, ctx->arena, ret);
		if (o->target)
			ret->target = o->target;
		ret->reached = reached(&l);
	}
	if (r == 0 && l.failed.code) {
		*e = l.failed;
		r = -1;
	}
	tear_down(&l);
	return r;
}
