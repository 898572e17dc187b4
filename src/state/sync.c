/* Meeting other clones. The ledgers are united (entries are only ever added), policy is fast-forwarded or merged as
 * git does; both move here in one transaction, or not at all, and are then pushed without force. A remote that moved
 * meanwhile is fetched again. */
#include "state/sync.h"

#include <string.h>
#include <time.h>

#include "state/gc.h"
#include "state/push.h"
#include "state/tree.h"
#include "state/txn.h"

#define HEADS "refs/heads/"

enum { ROUNDS = 12, QUIET_ROUNDS = 5, NAP_MS = 60 };

struct sync {
	struct state *st;
	struct arena *arena; /* of one round */
	const char *remote;
	char *rejected;      /* why the remote did not take the last push; NULL: it did */
	bool moved;          /* did the last fetch bring anything? */
	struct sync_report report;
};

static const char *branch_of(const struct tip *t)
{
	return t->ref + strlen(HEADS);
}

static int choose_remote(struct state *st, const char *given, char **ret, struct err *e)
{
	char *key = arena_printf(st->arena, "branch.%s.remote", branch_of(&st->policy));
	const char *follows = store_config(st->store, key);
	struct strv all;

	if (store_remotes(st->store, st->arena, &all, e))
		return -1;
	if (!given && !all.n)
		return err_set(e, ERR_NOT_FOUND, "this repository has no remote: git remote add origin URL");
	*ret = arena_strdup(st->arena, given ? given : follows ? follows : all.n == 1 ? all.v[0] : "origin");
	return 0;
}

/* Where a branch of the remote stood when it was last fetched. */
static int remote_tip(struct sync *s, const struct tip *local, struct tip *ret, struct err *e)
{
	char *ref = arena_printf(s->arena, "refs/remotes/%s/%s", s->remote, branch_of(local));

	*ret = *local;
	if (store_ref(s->st->store, ref, &ret->exists, &ret->commit, e))
		return -1;
	return ret->exists ? store_commit_tree(s->st->store, &ret->commit, &ret->tree, e) : 0;
}

static bool contains(struct sync *s, const struct tip *newer, const struct tip *older)
{
	return store_is_ancestor(s->st->store, &older->commit, &newer->commit);
}

static int add_merge(struct sync *s, struct txn *t, const struct tip *ours, const struct tip *theirs, struct tip *new,
		     bool policy, struct err *e)
{
	SCOPED_BUF text = buf_init(STORE_COMMIT_MAX);
	struct oid parents[2] = { ours->commit, theirs->commit };
	struct commit_text c = {
		.tree = new->tree,
		.parents = parents,
		.nparents = 2,
		.who = s->st->operator_,
		.time = t->time,
		.subject = t->subject,
		.op = s->st->env.op,
		.more = s->st->env.trailers,
		.op_id = s->st->op_id,
		.policy = policy ? NULL : &s->st->policy.commit,
	};

	commit_text_build(&c, &text);
	return pack_add(t->pack, OBJ_COMMIT, buf_bytes(&text), &new->commit, e);
}

/* --- the ledger --- */

static int flag_clock(struct sync *s, const struct tip *theirs, struct err *e)
{
	int64_t when;

	if (store_commit_time(s->st->store, &theirs->commit, &when, e))
		return -1;
	if (when > tm_now() + CLOCK_SKEW)
		state_warn(s->st,
			   "the newest ledger entry of %s is from %s, ahead of this clock: one of the clocks is wrong",
					s->remote,
			   tm_format(s->arena, when));
	return 0;
}

static int join_ledger(struct sync *s, struct txn *t, struct err *e)
{
	struct state *st = s->st;
	struct tip theirs, base = st->ledger;
	bool found;

	if (remote_tip(s, &st->ledger, &theirs, e))
		return -1;
	if (!theirs.exists || contains(s, &st->ledger, &theirs))
		return 0;
	if (store_merge_base(st->store, &st->ledger.commit, &theirs.commit, &found, &base.commit, e))
		return -1;
	if (!found)
		return err_set(e, ERR_CONFLICT,
			       "the ledger of %s has no history in common with this one: it is of another PKI",
					s->remote);
	if (flag_clock(s, &theirs, e) || store_commit_tree(st->store, &base.commit, &base.tree, e) ||
	    tree_union(st->store, t->pack, &base.tree, &st->ledger.tree, &theirs.tree, &t->ledger.tree, e))
		return -1;
	t->ledger_moves = s->report.ledger_in = true;
	if (contains(s, &theirs, &st->ledger)) {
		t->ledger.commit = theirs.commit;
		return 0;
	}
	s->report.ledger_merged = true;
	return add_merge(s, t, &st->ledger, &theirs, &t->ledger, false, e);
}

/* --- policy --- */

static int merge_policy(struct sync *s, struct txn *t, const struct tip *theirs, struct err *e)
{
	struct state *st = s->st;
	char *conflicts;

	if (store_merge(st->store, s->arena, &st->policy.commit, &theirs->commit, &conflicts, &t->policy.tree, e))
		return -1;
	if (conflicts)
		return err_set(e, ERR_CONFLICT, "%s and this clone changed the same: %s. Nothing was changed here: git "
			       "merge %s/%s, settle it, commit, and sync again", s->remote, conflicts, s->remote,
			       branch_of(&st->policy));
	s->report.policy_merged = true;
	return add_merge(s, t, &st->policy, theirs, &t->policy, true, e);
}

static int hold_worktree(struct txn *t, struct err *e)
{
	struct state *st = t->st;

	if (!store_workdir(st->store))
		return 0;
	if (worktree_open(t->arena, st->store, st->private_dir, st->op_id, st->env.lock_timeout_ms, &t->worktree, e))
		return -1;
	return worktree_add_diff(t->worktree, &st->policy.tree, &t->policy.tree, &t->policy.tree, true, e);
}

static int join_policy(struct sync *s, struct txn *t, struct err *e)
{
	struct state *st = s->st;
	struct tip theirs;

	if (remote_tip(s, &st->policy, &theirs, e))
		return -1;
	if (!theirs.exists || contains(s, &st->policy, &theirs))
		return 0;
	t->policy_moves = s->report.policy_in = true;
	if (contains(s, &theirs, &st->policy))
		t->policy = theirs;
	else if (merge_policy(s, t, &theirs, e))
		return -1;
	return hold_worktree(t, e);
}

static int join_both(struct sync *s, struct txn *t, struct err *e)
{
	struct state *st = s->st;

	if (pack_begin(s->arena, st->store, st->private_dir, &t->pack, e) || join_ledger(s, t, e) ||
	    join_policy(s, t, e))
		return -1;
	if (!t->ledger_moves && !t->policy_moves)
		return 0;
	return txn_publish(t, e) || state_new_op(st, e) ? -1 : 0;
}

static int join(struct sync *s, struct err *e)
{
	struct txn t;
	int r;

	txn_begin(&t, s->st, s->arena, arena_printf(s->arena, "repo: sync with %s", s->remote));
	r = join_both(s, &t, e);
	s->moved = t.ledger_moves || t.policy_moves;
	txn_end(&t);
	return r;
}

/* --- the rounds --- */

static int without_lock(struct sync *s, int (*work)(struct sync *, struct err *), struct err *e)
{
	struct err why = { 0 };
	bool moved;
	int r;

	if (state_pause(s->st, e))
		return -1;
	r = work(s, &why);
	if (state_resume(s->st, &moved, e)) /* the lock is needed again in any case */
		return -1;
	return r ? err_set(e, why.code, "%s", why.msg) : 0;
}

static int fetch(struct sync *s, struct err *e)
{
	const char *const branches[] = { branch_of(&s->st->ledger), branch_of(&s->st->policy) };

	return store_fetch(s->st->store, s->remote, branches, COUNT(branches), e);
}

/* The ledger first: policy may speak of what is in it. *ret counts the branches that have something to send. */
static int to_push(struct sync *s, const char **branches, size_t *ret, struct err *e)
{
	struct state *st = s->st;
	struct tip ledger, policy;

	*ret = 0;
	if (remote_tip(s, &st->ledger, &ledger, e) || remote_tip(s, &st->policy, &policy, e))
		return -1;
	if (!ledger.exists || !oid_equal(&ledger.commit, &st->ledger.commit))
		branches[(*ret)++] = branch_of(&st->ledger);
	if (!policy.exists || !oid_equal(&policy.commit, &st->policy.commit))
		branches[(*ret)++] = branch_of(&st->policy);
	return 0;
}


/* All but the last piece of a large ledger. */
static int push_pieces(struct sync *s, struct err *e)
{
	struct state *st = s->st;
	uint64_t step = st->env.push_step ? st->env.push_step : PUSH_STEP;
	struct tip there;
	struct oid *cuts;
	size_t n;

	if (remote_tip(s, &st->ledger, &there, e) ||
	    push_cuts(st->store, s->arena, there.exists ? &there.commit : NULL, &st->ledger.commit, step, &cuts, &n, e))
		return -1;
	for (size_t i = 0; i < n && !s->rejected; i++)
		if (store_push_part(st->store, s->arena, s->remote, branch_of(&st->ledger), &cuts[i], &s->rejected, e))
			return -1;
	return 0;
}

static int push(struct sync *s, struct err *e)
{
	const char *branches[2];
	size_t n;

	s->rejected = NULL;
	if (to_push(s, branches, &n, e))
		return -1;
	if (!n)
		return 0;
	if (strcmp(branches[0], branch_of(&s->st->ledger)) == 0 && push_pieces(s, e))
		return -1;
	if (s->rejected)
		return 0;
	if (store_push(s->st->store, s->arena, s->remote, branches, n, &s->rejected, e))
		return -1;
	for (size_t i = 0; i < n && !s->rejected; i++)
		*(strcmp(branches[i], branch_of(&s->st->ledger)) == 0 ? &s->report.ledger_out :
		  &s->report.policy_out) = true;
	return 0;
}

static int foresee(struct sync *s, struct err *e)
{
	struct state *st = s->st;
	struct tip ledger, policy;

	if (remote_tip(s, &st->ledger, &ledger, e) || remote_tip(s, &st->policy, &policy, e))
		return -1;
	s->report.ledger_in = ledger.exists && !contains(s, &st->ledger, &ledger);
	s->report.policy_in = policy.exists && !contains(s, &st->policy, &policy);
	s->report.ledger_out = !ledger.exists || !contains(s, &ledger, &st->ledger);
	s->report.policy_out = !policy.exists || !contains(s, &policy, &st->policy);
	s->report.ledger_merged = s->report.ledger_in && s->report.ledger_out;
	s->report.policy_merged = s->report.policy_in && s->report.policy_out;
	return 0;
}

static int one_round(struct sync *s, bool *ret_done, char **ret_why, struct err *e)
{
	SCOPED_ARENA *a = arena_new();

	s->arena = a;
	s->report.rounds++;
	if (without_lock(s, fetch, e) || join(s, e) || without_lock(s, push, e))
		return -1;
	*ret_done = !s->rejected;
	*ret_why = arena_strdup(s->st->arena, s->rejected);
	return 0;
}

int state_sync(struct state *st, const char *remote, struct sync_report *ret, struct err *e)
{
	struct sync s = { .st = st };
	char *name = NULL, *why = NULL;
	bool done = false;

	if (choose_remote(st, remote, &name, e))
		return -1;
	s.remote = s.report.remote = name;
	if (st->flags & STATE_DRY_RUN) {
		SCOPED_ARENA *a = arena_new();

		s.arena = a;
		done = true;
		if (foresee(&s, e))
			return -1;
	} else if (store_set_push(st->store, st->private_dir, branch_of(&st->ledger), e)) {
		return -1;
	}
	/* Refused although nothing is new there: another clone is in the middle of its push, or a hook says no and will
	 * again. */
	while (!done && s.report.rounds < ROUNDS && (s.report.rounds < QUIET_ROUNDS || s.moved)) {
		if (s.report.rounds > 0 && !s.moved)
			nanosleep(&(struct timespec){ .tv_nsec = NAP_MS * 1000000L }, NULL);
		if (one_round(&s, &done, &why, e))
			return -1;
	}
	if (!done)
		return err_set(e, ERR_REMOTE, "%s does not take the push: %s", name, why);
	*ret = s.report;
	if (!(st->flags & STATE_DRY_RUN))
		gc_auto(st);
	return 0;
}

int state_has_remote(struct state *st, bool *ret, struct err *e)
{
	struct strv all;

	if (store_remotes(st->store, st->arena, &all, e))
		return -1;
	*ret = all.n > 0;
	return 0;
}
