/* Tokens of operators, on the side of the command line. Guarantees: a token that was given is verified before the
 * repository is locked or anything is asked of an engine; one that is not good ends the command, also one that only
 * reads. */
#include "cmd/identify.h"

#include <stdlib.h>

#include "base/fs.h"
#include "base/text.h"
#include "net/net.h"
#include "serve/listener.h"
#include "state/state.h"

enum { TOKEN_MAX = 32 << 10 };

static const char *from_env(void)
{
	const char *t = getenv("LAMASSU_TOKEN");

	return t && *t ? t : NULL;
}

bool identify_given(const struct globals *g)
{
	return g->token_file || g->token_fd >= 0 || from_env();
}

static int read_token(struct ctx *ctx, const struct globals *g, char **ret, struct err *e)
{
	const char *name = g->token_file ? "--token-file" : g->token_fd >= 0 ? "--token-fd" : "LAMASSU_TOKEN";
	const char *file = g->token_file;
	struct bytes text = bytes_of(from_env());

	if (g->token_fd >= 0)
		file = arena_printf(ctx->arena, "/dev/fd/%lld", (long long)g->token_fd);
	if ((file && fs_read_input(ctx->arena, file, TOKEN_MAX, &text, e) != 0) ||
	    text_token(ctx->arena, text, ret, e) != 0)
		return err_ctx(e, "%s", name);
	return 0;
}

int identify_by(struct ctx *ctx, const struct globals *g, const struct config *c, const char *top, const char *cache,
		struct err *e)
{
	struct jwt_auth rules = c->identity_extractors.jwt;
	char *token;

	if (!identify_given(g))
		return 0;
	if (!jwt_configured(&rules)) {
		if (g->token_file || g->token_fd >= 0)
			return err_set(e, ERR_USAGE,
				       "a token is given, and lamassu.yaml has no identity_extractors.jwt to "
				       "verify it with");
		ctx_warn(ctx, "LAMASSU_TOKEN is not used: lamassu.yaml has no identity_extractors.jwt");
		return 0;
	}
	rules.public_key_url = rules.public_key_file = rules.ca_file = NULL;
	jwt_inherit(ctx->arena, &rules, &c->identity_extractors.jwt, top); /* with its paths */
	if (read_token(ctx, g, &token, e) != 0)
		return -1;
	return listen_here->identify(ctx, &rules, cache, token, e);
}

int identify_operator(struct ctx *ctx, const struct globals *g, const char *dir, struct err *e)
{
	const struct state_env env = { .now = ctx->now };
	struct state *st;
	int r;

	if (!identify_given(g))
		return 0;
	if (net_need(ctx, e) != 0)
		return -1;
	if (!listen_here)
		return err_set(e, ERR_UNSUPPORTED,
			       "a token is given, and this program was built without what verifies it");
	if (state_open(ctx->arena, dir, 0, &env, &st, e) != 0)
		return -1;
	r = identify_by(ctx, g, state_config(st), state_dir(st), state_private(st), e);
	state_close(st);
	return r;
}

int identify_required(struct ctx *ctx, const struct config *c, struct err *e)
{
	if (!c->identity_extractors.jwt.required || ctx->trailers)
		return 0;
	return err_set(e, ERR_DENIED, "a token is needed (identity_extractors.jwt of lamassu.yaml): set LAMASSU_TOKEN, "
		       "or give --token-file");
}
