/* A listener's own certificate, issued anew. Guarantees: a child makes it, which holds no lock, so that an engine that
 * is slow holds up nobody; it serves when it is recorded and durable, and until then, and when none can be had, the one
 * before stays; a warning says why, once each time that it is tried. */
#include "serve/renewal.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/tm.h"
#include "crypto/cert.h"
#include "pki/keys.h"
#include "serve/apart.h"
#include "state/state.h"

enum { RETRY_MIN_SECS = 30, RETRY_MAX_SECS = 3600 };

struct renewal {
	struct renewal_setup setup;
	int64_t due, ends;     /* 0: there is nothing to renew */
	struct event *made;    /* a child works; NULL: none does */
	int fd;                /* from it */
	struct arena *arena;   /* of cert and key, which wait to be recorded; NULL: none do */
	struct bytes cert, key;
};

static int64_t now_of(const struct renewal *r)
{
	return r->setup.ctx->now_given ? r->setup.ctx->now : tm_now();
}

static void schedule(struct renewal *r, struct bytes pem)
{
	struct arena *a = arena_new();
	struct bytes *ders;
	struct cert leaf;
	struct err e = { 0 };
	size_t n;

	r->due = 0;
	if (cert_split(a, pem, &ders, &n, &e) == 0 && cert_parse(a, ders[0], &leaf, &e) == 0) {
		r->ends = leaf.not_after;
		r->due = now_of(r) + (r->ends - now_of(r)) / 3 * 2;
	}
	arena_free(a);
}

static void failed(struct renewal *r, const char *why)
{
	int64_t wait = (r->ends - now_of(r)) / 10;

	ctx_warn(r->setup.ctx, "the listener's TLS certificate ends %s and is not issued anew: %s",
		 tm_format(r->setup.ctx->arena, r->ends), why);
	arena_free(r->arena);
	r->arena = NULL;
	r->due = now_of(r) + (wait < RETRY_MIN_SECS ? RETRY_MIN_SECS : wait > RETRY_MAX_SECS ? RETRY_MAX_SECS : wait);
}

/* --- in the child --- */

static int make(struct ctx *parents, void *arg, struct buf *text, struct err *e)
{
	const struct worker_setup *s = arg;
	struct ctx ctx = { .arena = parents->arena, .now = parents->now_given ? parents->now : tm_now(),
			   .now_given = parents->now_given, .no_input = true, .warn = parents->warn,
			   .warn_arg = parents->warn_arg, .secret = worker_secret, .secret_arg = arg };
	const struct state_env env = { .now = ctx.now };
	SCOPED_BUF shipped = buf_init(LINK_MAX);
	struct prepared p = { 0 };

	signal(SIGTERM, SIG_DFL); /* the parent's handlers would tell the parent */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (state_open(ctx.arena, s->dir, 0, &env, &ctx.state, e) != 0 || keys_describe_engines(&ctx, e) != 0 ||
	    s->service->certificate(&ctx, s->options, &p, e) != 0 || state_ship(ctx.state, &shipped, e) != 0)
		return -1;
	buf_put_run(text, p.tls_cert);
	buf_put_run(text, p.tls_key);
	buf_put_run(text, buf_bytes(&shipped));
	return 0;
}

/* --- in the parent --- */

static struct bytes copy(struct arena *a, struct bytes b)
{
	return (struct bytes){ arena_memdup(a, b.p, b.n), b.n };
}

static void on_made(evutil_socket_t fd, short what, void *arg)
{
	SCOPED_BUF text = buf_init(LINK_MAX);
	struct renewal *r = arg;
	struct bytes left, cert, key, shipped;
	struct err e = { 0 };
	int got = apart_receive(fd, &text, &e);

	(void)what;
	event_free(r->made);
	r->made = NULL;
	close(r->fd);
	left = buf_bytes(&text);
	if (got != 0 || !bytes_take_run(&left, &cert) || !bytes_take_run(&left, &key) ||
	    !bytes_take_run(&left, &shipped)) {
		failed(r, got != 0 ? e.msg : "the answer is cut off");
		return;
	}
	r->arena = arena_new();
	r->cert = copy(r->arena, cert);
	r->key = copy(r->arena, key);
	r->setup.record(r->setup.arg, shipped);
}

static int begin(struct renewal *r, struct err *e)
{
	if (apart_begin(r->setup.ctx, make, (void *)(uintptr_t)r->setup.workers, &r->fd, e) < 0)
		return -1;
	r->made = event_new(r->setup.base, r->fd, EV_READ, on_made, r);
	if (r->made && event_add(r->made, NULL) == 0)
		return 0;
	out_of_memory();
}

struct renewal *renewal_new(struct arena *a, const struct renewal_setup *setup)
{
	struct renewal *r = arena_new_array(a, 1, struct renewal);

	*r = (struct renewal){ .setup = *setup };
	schedule(r, setup->outfit->tls.cert);
	return r;
}

void renewal_tick(struct renewal *r)
{
	struct err e = { 0 };

	if (r && r->due && now_of(r) >= r->due && !r->made && !r->arena && begin(r, &e) != 0)
		failed(r, e.msg);
}

bool renewal_recorded(struct renewal *r, enum link_kind kind, struct bytes text)
{
	SCOPED_BUF why = buf_init(LINK_MAX);
	struct err e = { 0 };

	buf_put(&why, text.p, text.n);
	if ((kind != LINK_YES && link_take_error(&why, &e) != 0) ||
	    outfit_certify(r->setup.outfit, r->cert, r->key, &e) != 0) {
		failed(r, e.msg);
		return false;
	}
	schedule(r, r->cert);
	arena_free(r->arena);
	r->arena = NULL;
	return true;
}

void renewal_free(struct renewal *r)
{
	if (!r)
		return;
	if (r->made) {
		event_free(r->made);
		close(r->fd);
	}
	arena_free(r->arena);
}
