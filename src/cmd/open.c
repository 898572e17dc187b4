/* Opening what a command's row asks for. Guarantees: commands that need no repository open none; engines are only
 * described here and opened when a key is used. */
#include "cmd/open.h"

#include <string.h>

#include "base/text.h"
#include "cmd/identify.h"
#include "crypto/algs.h"
#include "crypto/ossl.h"
#include "engine/engine.h"
#include "model/ca.h"
#include "model/config.h"
#include "model/ledger_records.h"
#include "net/net.h"
#include "pki/keys.h"
#include "model/dms.h"
#include "model/group.h"
#include "state/state.h"

enum { DEFAULT_LOCK_TIMEOUT_MS = 60000 };

int cmd_find_repo(struct ctx *ctx, const struct globals *g, char **ret, struct err *e)
{
	return state_discover(ctx->arena, g->repo ? g->repo : ".", ret, e);
}

static void print_diff(void *arg, const char *text)
{
	struct ctx *ctx = arg;

	out_diff(ctx, text);
}

/* Durations are whole seconds: 0, and less than one, is not to wait at all. */
int64_t cmd_lock_timeout_ms(const struct globals *g)
{
	int64_t secs = g->lock_timeout.secs < INT32_MAX ? g->lock_timeout.secs : INT32_MAX;

	if (!g->lock_timeout.text)
		return DEFAULT_LOCK_TIMEOUT_MS;
	return secs > 0 ? secs * 1000 : -1;
}

void cmd_state_env(struct ctx *ctx, const struct globals *g, struct state_env *ret)
{
	*ret = (struct state_env){ .actor = ctx_actor(ctx), .trailers = ctx->trailers, .now = ctx->now,
				   .message = g->message, .op = cli_op(ctx),
		.lock_timeout_ms = cmd_lock_timeout_ms(g), .warn = ctx->warn, .note = ctx->note,
		.warn_arg = ctx->warn_arg, .diff = print_diff, .diff_arg = ctx };
}

int cmd_prepare(struct ctx *ctx, const struct globals *g, const struct cmd *cmd, struct err *e)
{
	struct state_env env;
	unsigned flags = 0;
	char *dir;

	if (!(cmd->needs & NEED_STATE) && !(cmd->needs & NEED_WRITE))
		return 0;
	ossl_start(!net_here);
	if (cmd->needs & NEED_WRITE)
		flags |= STATE_WRITE;
	if (g->dry_run)
		flags |= STATE_DRY_RUN;
	if (cmd_find_repo(ctx, g, &dir, e) != 0 || identify_operator(ctx, g, dir, e) != 0)
		return -1;
	cmd_state_env(ctx, g, &env);
	if (state_open(ctx->arena, dir, flags, &env, &ctx->state, e) != 0)
		return -1;
	if ((flags & STATE_WRITE) && identify_required(ctx, state_config(ctx->state), e) != 0)
		return -1;
	return keys_describe_engines(ctx, e);
}

void cmd_finish(struct ctx *ctx)
{
	if (ctx->engines)
		engines_free(ctx->engines);
	state_close(ctx->state);
	ctx->engines = NULL;
	ctx->state = NULL;
}

/* What is the same in every repository. */
static void offer_words(const char *kind, void (*emit)(void *, const char *name, const char *doc), void *arg)
{
	for (size_t i = 0; strcmp(kind, "reason") == 0 && revocation_reason_names[i]; i++)
		/* ends a hold */
		if (*revocation_reason_names[i] && strcmp(revocation_reason_names[i], "remove_from_crl") != 0)
			emit(arg, revocation_reason_names[i], "");
	for (size_t i = 0; strcmp(kind, "key-type") == 0 && keytypes[i].name; i++)
		if (keytype_available(&keytypes[i]))
			emit(arg, keytypes[i].name, "");
	for (size_t i = 0; strcmp(kind, "algorithm") == 0 && sigalgs[i].name; i++)
		emit(arg, sigalgs[i].name, "");
}

void cmd_names(struct ctx *ctx, const char *kind, void (*emit)(void *, const char *name, const char *doc), void *arg)
{
	const struct { const char *kind; const struct schema *type; } kinds[] = {
		{ "ca", &ca_type }, { "profile", &profile_type }, { "engine", &engine_type }, { "key", &key_type },
		{ "dms", &dms_type }, { "group", &group_type }
	};
	struct err ignored = { 0 };
	struct strv ids;
	char *dir;

	offer_words(kind, emit, arg);
	for (size_t i = 0; i < COUNT(kinds); i++) {
		if (strcmp(kinds[i].kind, kind) != 0)
			continue;
		if (cmd_find_repo(ctx, cli_globals(ctx), &dir, &ignored) != 0 ||
		    state_open(ctx->arena, dir, 0, &(struct state_env){ .now = ctx->now }, &ctx->state, &ignored) != 0)
			return;
		if (state_ids(ctx->state, kinds[i].type, &ids, &ignored) == 0)
			for (size_t n = 0; n < ids.n; n++)
				emit(arg, ids.v[n], "");
	}
}
