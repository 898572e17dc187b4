/* Publishing: git's locks are taken, the intent is written, then the branches move, the ledger first. The move of a
 * branch is the commit point; what comes after it (work tree, index) is finished by the next command if it fails
 * here. Before that point every failure leaves the repository as it was. */
#include "state/txn.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"

void txn_begin(struct txn *ret, struct state *st, struct arena *a, const char *subject)
{
	*ret = (struct txn){
		.st = st,
		.arena = a,
		.subject = subject,
		.time = tm_now(),
		.ledger_lock = { .fd = -1 },
		.policy_lock = { .fd = -1 },
		.ledger = st->ledger,
		.policy = st->policy,
	};
}

void txn_end(struct txn *t)
{
	filelock_drop(&t->ledger_lock);
	filelock_drop(&t->policy_lock);
	worktree_close(t->worktree);
	pack_abort(t->pack);
}

static int stage_ref(struct txn *t, const struct tip *new, struct filelock *l, struct err *e)
{
	return ref_stage(t->arena, t->st->store, t->st->private_dir, new->ref, &new->commit, l, e);
}

static int lock_ref(struct txn *t, const struct tip *old, struct filelock *l, struct err *e)
{
	return ref_take(t->st->store, l, old->ref, old->exists ? &old->commit : NULL, t->st->env.lock_timeout_ms, e);
}

static int move_refs(struct txn *t, struct err *e)
{
	struct state *st = t->st;
	struct intent in = { st->op_id, store_workdir(st->store), st->ledger, t->ledger, st->policy, t->policy };

	if ((t->ledger_moves && lock_ref(t, &st->ledger, &t->ledger_lock, e)) ||
	    (t->policy_moves && lock_ref(t, &st->policy, &t->policy_lock, e)))
		return -1;
	if (t->policy_moves && intent_write(st, &in, e))
		return -1;
	/* A failure leaves the intent behind: the next command sees by it how far this one came. */
	if (t->ledger_moves && filelock_commit(&t->ledger_lock, e))
		return -1;
	if (t->policy_moves && filelock_commit(&t->policy_lock, e))
		return t->ledger_moves && !filelock_undo(&t->ledger_lock) ?
		       err_ctx(e, "the ledger has moved, and the next command moves %s", t->policy.ref) : -1;
	st->ledger = t->ledger;
	if (t->ledger_moves)
		seen_save(st);
	return 0;
}

/* git's own record of where a branch was: only kept up where git keeps one. */
static void put_reflog(struct txn *t, const char *dir, const char *ref)
{
	static const char none[] = "0000000000000000000000000000000000000000";
	struct state *st = t->st;
	struct err ignored = { 0 };
	const char *old = st->policy.exists ? oid_hex(t->arena, &st->policy.commit) : none;
	char *line = arena_printf(t->arena, "%s %s %s %lld +0000\tcommit: %.*s\n", old,
				  oid_hex(t->arena, &t->policy.commit), st->operator_, (long long)t->time,
				  (int)strcspn(t->subject, "\n"), t->subject);
	int fd = open(arena_printf(t->arena, "%s/logs/%s", dir, ref), O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return;
	if (fs_write_fd(fd, bytes_of(line), &ignored))
		state_warn(st, "the reflog of %s is not up to date: %s", ref, ignored.msg);
	close(fd);
}

static void finish_policy(struct txn *t)
{
	struct state *st = t->st;
	struct err why = { 0 };

	put_reflog(t, store_git_dir(st->store), t->policy.ref);
	if (store_workdir(st->store))
		put_reflog(t, store_own_dir(st->store), "HEAD");
	st->policy = t->policy;
	if (t->worktree && worktree_apply(t->worktree, &why))
		state_warn(st, "the change is recorded, but the work tree is not up to date yet: %s; the next command "
			   "tries again", why.msg);
	else
		intent_drop(st);
}

static void tell(struct txn *t, const struct tip *tip)
{
	struct state *st = t->st;

	if (st->env.note)
		st->env.note(st->env.warn_arg,
			     arena_printf(t->arena, "%s is now %.12s: %.*s", tip->ref + strlen("refs/heads/"),
					  oid_hex(t->arena, &tip->commit), (int)strcspn(t->subject, "\n"), t->subject));
}

int txn_publish(struct txn *t, struct err *e)
{
	/* The values of refs go to the disk beside the pack; git's locks are held only while the refs move. */
	if ((t->ledger_moves && stage_ref(t, &t->ledger, &t->ledger_lock, e)) ||
	    (t->policy_moves && stage_ref(t, &t->policy, &t->policy_lock, e)))
		return -1;
	if (pack_end(t->pack, e) || move_refs(t, e))
		return -1;
	pack_unkeep(t->pack);
	if (t->policy_moves)
		finish_policy(t);
	if (t->ledger_moves)
		tell(t, &t->ledger);
	if (t->policy_moves)
		tell(t, &t->policy);
	return 0;
}
