/* `repo status`: how the repository stands, and what there is to do about it. */
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "cmd/repo.h"
#include "model/ca.h"
#include "state/ledger.h"
#include "state/status.h"

static const struct field remote_fields[] = {
	STR(remote_status, name, "Name."),
	STR(remote_status, url, "Where it is."),
	BOOL(remote_status, policy_fetched, "Whether its policy branch was ever fetched.", .flags = F_SHOW0),
	BOOL(remote_status, ledger_fetched, "Whether its ledger was ever fetched.", .flags = F_SHOW0),
	INT(remote_status, policy_ahead, "Commits of the policy branch that it lacks.", .flags = F_SHOW0),
	INT(remote_status, policy_behind, "Commits of its policy branch that are not here.", .flags = F_SHOW0),
	INT(remote_status, ledger_ahead, "Commits of the ledger that it lacks.", .flags = F_SHOW0),
	INT(remote_status, ledger_behind, "Commits of its ledger that are not here.", .flags = F_SHOW0),
	END
};
static const struct schema remote_type = {
	.name = "remote", .doc = "Another clone, as it was when last fetched", .size = sizeof(struct remote_status),
	.fields = remote_fields
};

static const struct field status_fields[] = {
	STR(repo_status, name, "Name of the PKI."),
	STR(repo_status, dir, "Where the repository is.", .flags = F_KEY),
	INT(repo_status, format, "Version of its format.", .flags = F_SHOW0),
	STR(repo_status, branch, "The branch that is checked out; absent while HEAD is detached."),
	STR(repo_status, policy_branch, "The branch that holds policy."),
	STR(repo_status, policy_commit, "Its tip."),
	STR(repo_status, busy, "What git is in the middle of; commands that write refuse until then."),
	STRV(repo_status, uncommitted, "Files that are not as they are committed: the commit counts."),
	STR(repo_status, ledger_branch, "The branch that holds what happened."),
	STR(repo_status, ledger_commit, "Its tip."),
	INT(repo_status, authorities, "Certificate authorities.", .flags = F_SHOW0),
	INT(repo_status, certificates, "Certificates in the ledger.", .flags = F_SHOW0),
	INT(repo_status, revoked, "Those of them that are revoked.", .flags = F_SHOW0),
	STR(repo_status, cache, "current; behind or missing, when it is brought up to date by the next question."),
	INT(repo_status, packs, "Files that hold the objects.", .flags = F_SHOW0),
	INT(repo_status, pack_bytes, "Their size.", .flags = F_SHOW0),
	BOOL(repo_status, gc_due, "Whether repo gc pays."),
	OBJV(repo_status, remotes, &remote_type, "Other clones."),
	STR(repo_status, lock, "The process that is writing now."),
	STRV(repo_status, stale, "What killed processes left; the next command that writes removes what is its own."),
	INT(repo_status, private_keys, "Private keys that are kept in this repository's .git.", .flags = F_SHOW0),
	STRV(repo_status, advice, "What to do."),
	END
};
static const struct schema status_type = {
	.name = "status", .plural = "status", .doc = "How the repository stands", .size = sizeof(struct repo_status),
	.fields = status_fields
};

static void advise(struct ctx *ctx, struct repo_status *s, char *text)
{
	s->advice.v = arena_grow(ctx->arena, s->advice.v, s->advice.n, sizeof(char *));
	s->advice.v[s->advice.n++] = text;
	s->advice.set = true;
}

static int count_records(struct ctx *ctx, struct repo_status *s, struct err *e)
{
	struct cert_count *v;
	struct strv ids;
	size_t n;

	if (ledger_count(ctx->state, &v, &n, e) != 0 || state_ids(ctx->state, &ca_type, &ids, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		s->certificates += v[i].n;
		if (v[i].status == CERT_REVOKED)
			s->revoked += v[i].n;
	}
	s->authorities = (int64_t)ids.n;
	return 0;
}

/* Keys of the software engine; keys elsewhere are the engine's care. */
static void count_keys(struct ctx *ctx, struct repo_status *s)
{
	struct err ignored = { 0 };
	struct strv names;

	if (fs_list(ctx->arena, fs_join(ctx->arena, state_private(ctx->state), "keys"), SIZE_MAX, &names,
		    &ignored) != 0)
		return;
	for (size_t i = 0; i < names.n; i++) {
		size_t n = strlen(names.v[i]);

		s->private_keys += n > 4 && strcmp(names.v[i] + n - 4, ".pem") == 0;
	}
}

static void advise_remotes(struct ctx *ctx, struct repo_status *s)
{
	const struct remote_status *r = s->remotes.v;

	for (size_t i = 0; i < s->remotes.n; i++)
		if (!r[i].policy_fetched || !r[i].ledger_fetched || r[i].policy_ahead || r[i].policy_behind ||
		    r[i].ledger_ahead ||
		    r[i].ledger_behind)
			advise(ctx, s, arena_printf(ctx->arena, "lamassu repo sync %s: the clones differ", r[i].name));
}

static void advise_all(struct ctx *ctx, struct repo_status *s)
{
	struct arena *ar = ctx->arena;

	if (s->busy)
		advise(ctx, s, arena_printf(ar, "finish or abort the %s: until then nothing can be written", s->busy));
	if (s->branch && strcmp(s->branch, s->policy_branch) != 0)
		advise(ctx, s, arena_printf(ar, "git switch %s: policy is there, and %s is checked out",
					    s->policy_branch, s->branch));
	if (!s->branch)
		advise(ctx, s, arena_printf(ar, "git switch %s: HEAD is detached", s->policy_branch));
	if (s->uncommitted.n)
		advise(ctx, s, arena_printf(ar, "git commit: %s %s not as committed, and the commit counts",
					    text_count(ar, s->uncommitted.n, "file", NULL), s->uncommitted.n == 1
					    ? "is" : "are"));
	advise_remotes(ctx, s);
	if (s->gc_due)
		advise(ctx, s, arena_strdup(ar, "lamassu repo gc: there are many packs"));
	if (s->stale.n)
		advise(ctx, s, arena_strdup(ar, "locks of git that are left over: remove them if no git runs; those "
						"of lamassu go by themselves"));
	if (s->private_keys)
		advise(ctx, s, arena_printf(ar, "%lld private keys exist only here, in %s/keys: git carries none of "
						"them, and losing .git "
					    "loses them", (long long)s->private_keys, state_private(ctx->state)));
}

static int run_status(struct ctx *ctx, void *args, struct err *e)
{
	struct repo_status s;

	(void)args;
	if (state_status(ctx->state, &s, e) != 0 || count_records(ctx, &s, e) != 0)
		return -1;
	count_keys(ctx, &s);
	advise_all(ctx, &s);
	return out_record(ctx, &status_type, &s, e);
}

const struct cmd repo_status_cmd = {
	.name = "status", .brief = "Show how the repository stands", .needs = NEED_STATE, .run = run_status,
	.type = &status_type,
	.doc = "Branches, uncommitted files, the ledger and its cache, packs, how far remotes are apart (as they were "
	       "when last fetched), who writes now, what killed processes left, and what to do about all that."
};
