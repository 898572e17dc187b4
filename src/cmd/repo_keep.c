/* `repo reindex`, `gc`, `sync`, `upgrade`: keeping the repository in order. What is recorded is never changed by any of
 * them. */
#include <string.h>

#include "base/text.h"
#include "cmd/repo.h"
#include "model/config.h"
#include "pki/reuse.h"
#include "state/gc.h"
#include "state/ledger.h"
#include "state/state.h"
#include "state/sync.h"

/* --- reindex --- */

static void tick(void *arg, uint64_t done)
{
	ctx_progress(arg, "reading entries", done, 0);
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
	return out_done(ctx, e, "rebuilt the cache: %s", text_count(ctx->arena, (uint64_t)total, "certificate", NULL));
}

const struct cmd repo_reindex_cmd = {
	.name = "reindex", .brief = "Rebuild the cache from the ledger", .needs = NEED_STATE, .run = run_reindex,
	.doc = "Drops the cache in .git/lamassu/index.db and reads every entry of the ledger anew. The cache is never "
	       "the truth: it may be deleted at any time, and a missing or damaged one is rebuilt without being asked."
};

/* --- gc --- */

static int run_gc(struct ctx *ctx, void *args, struct err *e)
{
	(void)args;
	if (cli_confirm(ctx, e, "repack %s?", state_dir(ctx->state)) != 0 || state_gc(ctx->state, e) != 0)
		return -1;
	return out_done(ctx, e, "repacked %s", state_dir(ctx->state));
}

const struct cmd repo_gc_cmd = {
	.name = "gc", .brief = "Repack the repository", .needs = NEED_STATE | NEED_WRITE | NEED_CONFIRM, .run = run_gc,
	.doc = "Joins all packs into one, with deltas, as `git gc` does. Nothing that a branch or a reflog reaches is "
	       "lost; other commands go on meanwhile."
};

/* --- sync --- */

struct sync_args {
	const char *remote;
};

static const struct field sync_fields[] = {
	STR(sync_report, remote, "The remote.", .flags = F_KEY),
	BOOL(sync_report, policy_in, "The policy branch had commits that were not here.", .flags = F_SHOW0),
	BOOL(sync_report, policy_merged, "Both policy branches had, and were merged.", .flags = F_SHOW0),
	BOOL(sync_report, policy_out, "Commits of the policy branch were pushed.", .flags = F_SHOW0),
	BOOL(sync_report, ledger_in, "The ledger had entries that were not here.", .flags = F_SHOW0),
	BOOL(sync_report, ledger_merged, "Both ledgers had, and were united.", .flags = F_SHOW0),
	BOOL(sync_report, ledger_out, "Entries were pushed.", .flags = F_SHOW0),
	END
};
static const struct schema sync_type = {
	.name = "sync", .doc = "What a sync did", .size = sizeof(struct sync_report), .fields = sync_fields
};

static const char *what_happened(bool in, bool merged, bool out)
{
	if (merged)
		return "united";
	if (in && out)
		return "received and sent";
	return in ? "received" : out ? "sent" : "up to date";
}

/* What only the united ledger shows, and then everybody must know. */
static int settle(struct ctx *ctx, const char *remote, struct sync_report *r, struct err *e)
{
	struct sync_report again;
	size_t n;

	if (reuse_settle(ctx, &n, e) != 0)
		return -1;
	if (n == 0)
		return 0;
	ctx_warn(ctx, "%zu certificate%s revoked: enrolled with a bootstrap certificate that had been used in "
		 "another clone", n, n == 1 ? " was" : "s were");
	if (state_commit(ctx->state,
			 arena_printf(ctx->arena, "repo: revoke %zu that enrolled with used bootstrap certificates", n),
			 e) != 0 ||
	    state_sync(ctx->state, remote, &again, e) != 0)
		return -1;
	r->ledger_out = true;
	return 0;
}

static int run_sync(struct ctx *ctx, void *args, struct err *e)
{
	const struct sync_args *a = args;
	struct sync_report r;

	if (state_sync(ctx->state, a->remote, &r, e) != 0 ||
	    (r.ledger_in && !ctx->dry_run && settle(ctx, a->remote, &r, e) != 0))
		return -1;
	if (!out_is_table(ctx))
		return out_record(ctx, &sync_type, &r, e);
	if (ctx->dry_run) /* not muted: nothing would be shown otherwise */
		ctx_warn(ctx, "by what was fetched last, the ledger would be %s, policy %s",
			 what_happened(r.ledger_in, r.ledger_merged, r.ledger_out),
				 what_happened(r.policy_in, r.policy_merged, r.policy_out));
	return out_done(ctx, e, "synced with %s: ledger %s, policy %s", r.remote,
			what_happened(r.ledger_in, r.ledger_merged, r.ledger_out),
			what_happened(r.policy_in, r.policy_merged, r.policy_out));
}

static const struct operand sync_operands[] = {
	PARAM(sync_args, remote, "remote", "A remote of git. Default: the one that the policy branch follows, else "
					   "the only one, else origin.",
	      .flags = P_OPTIONAL),
	{ 0 }
};

const struct cmd repo_sync_cmd = {
	.name = "sync", .brief = "Meet another clone", .operands = sync_operands, .argsize = sizeof(struct sync_args),
	.needs = NEED_STATE | NEED_WRITE, .run = run_sync, .type = &sync_type,
	.doc = "Fetches, unites the ledgers, which never conflict, fast-forwards or merges policy as git does, and "
	       "pushes both; again when somebody else was faster. Where two clones each accepted the same bootstrap "
	       "certificate of single use, the certificate of the later enrolment is revoked and an event recorded. "
	       "All of it or nothing: files of the policy branch that both sides changed are named, and a person "
	       "decides with git merge. The user's hooks, commit.gpgsign and filters are not run.",
	.example = "git remote add origin git@example.org:pki.git && lamassu repo sync"
};

/* --- upgrade --- */

static int run_upgrade(struct ctx *ctx, void *args, struct err *e)
{
	(void)args;
	/* Opening for writing has refused a newer format; there is no older one. */
	return out_done(ctx, e, "the repository has format %d, the newest: nothing to do",
			(int)state_config(ctx->state)->format);
}

const struct cmd repo_upgrade_cmd = {
	.name = "upgrade", .brief = "Bring the repository to this program's format", .needs = NEED_STATE | NEED_WRITE,
	.run = run_upgrade,
	.doc = "A newer format is read with a warning and never written; upgrading is one commit."
};
