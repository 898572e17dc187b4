/* `repo reindex`, `repo upgrade`: keeping the repository in order. What is recorded is never changed by any of them. */
#include "cmd/repo.h"
#include "model/config.h"
#include "state/ledger.h"
#include "state/state.h"

/* --- reindex --- */

static void tick(void *arg, uint64_t done)
{
	struct ctx *ctx = arg;

	if (ctx->progress)
		ctx->progress(ctx->progress_arg, "reading entries", done, 0);
}

static int run_reindex(struct ctx *ctx, void *args, struct err *e)
{
	struct cert_count *v;
	int64_t total = 0;
	size_t n;

	(void)args;
	if (ctx->dry_run)
		return out_done(ctx, e, "the cache would be rebuilt");
	if (ledger_reindex(ctx->state, tick, ctx, e) != 0 || ledger_count(ctx->state, &v, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		total += v[i].n;
	return out_done(ctx, e, "rebuilt the cache: %lld certificates", (long long)total);
}

const struct cmd repo_reindex_cmd = {
	.name = "reindex", .brief = "Rebuild the cache from the ledger", .needs = NEED_STATE, .run = run_reindex,
	.doc = "Drops the cache in .git/lamassu/index.db and reads every entry of the ledger anew. The cache is never the truth: it may be "
	       "deleted at any time, and a missing or damaged one is rebuilt without being asked."
};

/* --- upgrade --- */

static int run_upgrade(struct ctx *ctx, void *args, struct err *e)
{
	(void)args;
	/* Opening for writing has refused a newer format; there is no older one. */
	return out_done(ctx, e, "the repository has format %d, the newest: nothing to do", (int)state_config(ctx->state)->format);
}

const struct cmd repo_upgrade_cmd = {
	.name = "upgrade", .brief = "Bring the repository to this program's format", .needs = NEED_STATE | NEED_WRITE, .run = run_upgrade,
	.doc = "A newer format is read with a warning and never written; upgrading is one commit."
};
