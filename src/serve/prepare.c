/* Preparing a listener in a child. Guarantees: engines that it opens (tokens, whose modules must not be forked) end with it; secrets
 * pass through a socket pair of this process and nowhere else. */
#include "serve/prepare.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "pki/keys.h"
#include "serve/link.h"
#include "state/state.h"

enum { SECRETS_MAX = 32 };

struct recorder {
	int (*ask)(struct ctx *, const struct secret_ask *, char **ret, struct err *);
	struct known_secret v[SECRETS_MAX];
	size_t n;
};

static int record(struct ctx *ctx, const struct secret_ask *q, char **ret, struct err *e)
{
	struct recorder *r = ctx->secret_arg;

	if (r->ask(ctx, q, ret, e) != 0)
		return -1;
	if (r->n < SECRETS_MAX)
		r->v[r->n++] = (struct known_secret){ arena_strdup(ctx->arena, q->what), *ret };
	return 0;
}

/* --- the child's answer: runs of bytes, each after its length --- */

static struct bytes take(struct arena *a, struct bytes *from)
{
	struct bytes b = { 0 };

	if (bytes_take_run(from, &b))
		b.p = memcpy(arena_alloc(a, 1, b.n + 1), b.p, b.n); /* followed by a NUL */
	return b;
}

static int look(struct ctx *ctx, const struct listen_options *o, struct prepared *ret, struct err *e)
{
	const struct state_env env = { .now = ctx->now, .op = o->service->name, .lock_timeout_ms = o->lock_timeout_ms,
				       .actor = getenv("LAMASSU_OPERATOR"), .warn = ctx->warn, .warn_arg = ctx->warn_arg };
	int r;

	if (state_open(ctx->arena, o->dir, STATE_WRITE, &env, &ctx->state, e) != 0)
		return -1;
	r = keys_describe_engines(ctx, e) != 0 || o->service->prepare(ctx, o->options, ret, e) != 0;
	state_close(ctx->state);
	return r ? -1 : 0;
}

static _Noreturn void child(struct ctx *ctx, const struct listen_options *o, int fd)
{
	struct recorder r = { .ask = ctx->secret };
	SCOPED_BUF text = buf_init(LINK_MAX);
	struct prepared p = { 0 };
	struct err e = { 0 };
	enum link_kind kind = LINK_YES;

	ctx->secret = record;
	ctx->secret_arg = &r;
	if (look(ctx, o, &p, &e) != 0) {
		kind = LINK_ERROR;
		buf_printf(&text, "%d %s", (int)e.code, e.msg);
	} else {
		buf_put_run(&text, p.tls_cert);
		buf_put_run(&text, p.tls_key);
		buf_put_run(&text, p.own);
		buf_put_run(&text, bytes_of(p.psk ? "psk" : ""));
		for (size_t i = 0; i < r.n; i++) {
			buf_put_run(&text, bytes_of(r.v[i].what));
			buf_put_run(&text, bytes_of(r.v[i].text));
		}
		buf_put_run(&text, (struct bytes){ 0 }); /* nothing is asked for without a name */
		for (size_t i = 0; i < p.about.n; i++)
			buf_put_run(&text, bytes_of(p.about.v[i]));
	}
	_exit(link_send(fd, kind, buf_bytes(&text), &e) == 0 ? 0 : 1);
}

/* The parent's side. */
static int read_answer(struct arena *a, int fd, struct prepared *ret, struct known_secret **ret_secrets, size_t *ret_n, struct err *e)
{
	SCOPED_BUF text = buf_init(LINK_MAX);
	struct known_secret *secrets = NULL;
	enum link_kind kind;
	struct bytes left, what, line;
	size_t nsecrets = 0;
	char *end;
	long code;

	if (link_receive(fd, &kind, &text, e) != 0)
		return -1;
	if (kind == LINK_ERROR) {
		code = strtol(buf_str(&text), &end, 10);
		return err_set(e, code > 0 && code <= ERR_CANCELLED ? (enum err_code)code : ERR_IO, "%s", *end ? end + 1 : "");
	}
	left = buf_bytes(&text);
	ret->tls_cert = take(a, &left);
	ret->tls_key = take(a, &left);
	ret->own = take(a, &left);
	ret->psk = take(a, &left).n > 0;
	while ((what = take(a, &left)).n > 0) {
		secrets = arena_grow(a, secrets, nsecrets, sizeof(*secrets));
		secrets[nsecrets++] = (struct known_secret){ (const char *)what.p, (const char *)take(a, &left).p };
	}
	while ((line = take(a, &left)).p) {
		ret->about.v = arena_grow(a, ret->about.v, ret->about.n, sizeof(*ret->about.v));
		ret->about.v[ret->about.n++] = arena_strdup(a, (const char *)line.p);
	}
	*ret_secrets = secrets;
	*ret_n = nsecrets;
	return 0;
}

int prepare_apart(struct ctx *ctx, const struct listen_options *o, struct prepared *ret, struct known_secret **ret_secrets, size_t *ret_n,
		  struct err *e)
{
	int fds[2], r, status;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
		return err_sys(e, "socket pair");
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		child(ctx, o, fds[1]);
	}
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return err_sys(e, "fork");
	}
	r = read_answer(ctx->arena, fds[0], ret, ret_secrets, ret_n, e);
	close(fds[0]);
	if (waitpid(pid, &status, 0) == pid && r != 0 && WIFSIGNALED(status))
		return err_set(e, ERR_IO, "preparing to serve: ended by signal %d", WTERMSIG(status));
	return r;
}
