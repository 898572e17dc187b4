/* What a listener must know before it listens, found out in a child (apart.c): its settings, as the user that it will
 * be, and what its service prepares, with the secrets that this asked for. */
#include "serve/prepare.h"

#include <string.h>

#include "engine/engine.h"
#include "pki/keys.h"
#include "serve/apart.h"
#include "serve/link.h"
#include "serve/process.h"
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

/* --- a child's answer: runs of bytes, each after its length --- */

static struct bytes take(struct arena *a, struct bytes *from)
{
	struct bytes b = { 0 };

	if (bytes_take_run(from, &b))
		b.p = memcpy(arena_alloc(a, 1, b.n + 1), b.p, b.n); /* followed by a NUL */
	return b;
}

/* Opens it too, which asks for the secrets that workers will need. */
static int find_tls_key(struct ctx *ctx, const struct listen_options *o, char **ret_id, struct err *e)
{
	EVP_PKEY *opened;
	struct key key;

	if (keys_resolve(ctx, o->tls_key_ref, &key, e) != 0 || engine_key(ctx, &key, &opened, e) != 0)
		return err_ctx(e, "--tls-key");
	EVP_PKEY_free(opened);
	*ret_id = key.id;
	return 0;
}

static int look(struct ctx *ctx, const struct listen_options *o, struct prepared *ret, struct err *e)
{
	const struct state_env env = { .now = ctx->now, .op = o->service->name, .lock_timeout_ms = o->lock_timeout_ms,
				       .actor = ctx_actor(ctx), .trailers = ctx->trailers, .warn = ctx->warn,
				       .warn_arg = ctx->warn_arg };
	int r;

	if (state_open(ctx->arena, o->dir, STATE_WRITE, &env, &ctx->state, e) != 0)
		return -1;
	r = keys_describe_engines(ctx, e) != 0 || o->service->prepare(ctx, o->options, ret, e) != 0 ||
	    (o->tls_key_ref && find_tls_key(ctx, o, &ret->tls_key_id, e) != 0);
	state_close(ctx->state);
	return r ? -1 : 0;
}

static int prepare(struct ctx *ctx, void *arg, struct buf *text, struct err *e)
{
	struct recorder r = { .ask = ctx->secret };
	struct prepared p = { 0 };

	ctx->secret = record;
	ctx->secret_arg = &r;
	if (look(ctx, arg, &p, e) != 0)
		return -1;
	buf_put_run(text, p.tls_cert);
	buf_put_run(text, p.tls_key);
	buf_put_run(text, bytes_of(p.tls_key_id ? p.tls_key_id : ""));
	buf_put_run(text, p.own);
	buf_put_run(text, p.client_cas);
	buf_put_run(text, bytes_of(p.psk ? "psk" : ""));
	for (size_t i = 0; i < r.n; i++) {
		buf_put_run(text, bytes_of(r.v[i].what));
		buf_put_run(text, bytes_of(r.v[i].text));
	}
	buf_put_run(text, (struct bytes){ 0 }); /* nothing is asked for without a name */
	for (size_t i = 0; i < p.about.n; i++)
		buf_put_run(text, bytes_of(p.about.v[i]));
	return 0;
}

int prepare_apart(struct ctx *ctx, const struct listen_options *o, struct prepared *ret,
		  struct known_secret **ret_secrets, size_t *ret_n, struct err *e)
{
	SCOPED_BUF text = buf_init(LINK_MAX);
	struct known_secret *secrets = NULL;
	struct arena *a = ctx->arena;
	struct bytes left, what, line, key_id;
	size_t nsecrets = 0;

	if (apart_run(ctx, prepare, (void *)(uintptr_t)o, &text, e) != 0)
		return -1;
	left = buf_bytes(&text);
	ret->tls_cert = take(a, &left);
	ret->tls_key = take(a, &left);
	key_id = take(a, &left);
	ret->tls_key_id = key_id.n ? (char *)(uintptr_t)key_id.p : NULL;
	ret->own = take(a, &left);
	ret->client_cas = take(a, &left);
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

/* --- settings --- */

struct asked {
	const char *dir, *user;
};

static int read_config(struct ctx *ctx, void *arg, struct buf *text, struct err *e)
{
	const struct state_env env = { .now = ctx->now, .warn = ctx->warn, .warn_arg = ctx->warn_arg };
	const struct asked *q = arg;
	struct state *st;
	struct bytes yaml;
	int r;

	if ((q->user && process_become(q->user, e) != 0) || state_open(ctx->arena, q->dir, 0, &env, &st, e) != 0)
		return -1;
	r = state_read(st, config_type.path, &yaml, e);
	if (r == 0) {
		buf_put_run(text, bytes_of(state_dir(st)));
		buf_put_run(text, yaml);
	}
	state_close(st);
	return r;
}

int listen_config(struct ctx *ctx, const char *dir, const char *user, struct config *ret, const char **ret_top,
		  struct err *e)
{
	SCOPED_BUF text = buf_init(LINK_MAX);
	struct asked q = { dir, user };
	struct bytes left;

	if (apart_run(ctx, read_config, &q, &text, e) != 0)
		return -1;
	left = buf_bytes(&text);
	*ret_top = (const char *)take(ctx->arena, &left).p;
	return rec_load(ctx->arena, &config_type, config_type.path, take(ctx->arena, &left), ret, e);
}
