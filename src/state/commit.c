/* The commit of a transaction: turns the overlay into objects of both histories, in one pack, and hands them to
 * txn.c. A dry run shows the same change as a diff and touches nothing. */
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "state/folders.h"
#include "state/gc.h"
#include "state/internal.h"
#include "state/pack.h"
#include "state/tree.h"
#include "state/txn.h"
#include "state/view.h"

enum { MERGE_PACKS = 16 }; /* every commit pays for each pack there is */

static int add_commit(struct txn *t, const struct tip *old, struct tip *new, bool name_policy, struct err *e)
{
	SCOPED_BUF text = buf_init(STORE_COMMIT_MAX);
	struct state *st = t->st;
	struct commit_text c = {
		.tree = new->tree,
		.parents = &old->commit,
		.nparents = old->exists,
		.who = st->operator_,
		.time = t->time,
		.subject = t->subject,
		.op = st->env.op,
		.more = st->env.trailers,
		.op_id = st->op_id,
		.policy = name_policy ? &st->policy.commit : NULL,
	};

	commit_text_build(&c, &text);
	if (text.over)
		return err_set(e, ERR_INVALID, "the message is too long");
	new->exists = true;
	return pack_add(t->pack, OBJ_COMMIT, buf_bytes(&text), &new->commit, e);
}

/* --- the ledger's side --- */

static int assign_entries(struct txn *t, struct err *e)
{
	struct state *st = t->st;
	char **paths = arena_new_array(t->arena, st->nentries + 1, char *);

	t->entries = arena_new_array(t->arena, st->nentries + 1, struct entry);
	if (folders_assign(st->store, t->arena, st->ledger.exists ? &st->ledger.tree : NULL, st->entries, st->nentries,
			   paths, e))
		return -1;
	for (size_t i = 0; i < st->nentries; i++) {
		t->entries[i] = st->entries[i];
		t->entries[i].path = paths[i];
	}
	return 0;
}

static int build_ledger(struct txn *t, struct err *e)
{
	struct state *st = t->st;
	struct splice *u = arena_new_array(t->arena, st->nentries + 1, struct splice);
	bool empty;

	for (size_t i = 0; i < st->nentries; i++) {
		struct entry *x = &t->entries[i];

		if (pack_add(t->pack, OBJ_BLOB, x->text, &x->oid, e))
			return -1;
		u[i] = (struct splice){ x->path, x->oid, false };
	}
	if (tree_splice(st->store, t->pack, st->ledger.exists ? &st->ledger.tree : NULL, u, st->nentries, &empty,
			&t->ledger.tree, e))
		return -1;
	t->ledger_moves = true;
	return add_commit(t, &st->ledger, &t->ledger, st->policy.exists, e);
}

/* --- the policy's side --- */

static int build_policy(struct txn *t, struct err *e)
{
	struct state *st = t->st;
	struct splice *u = arena_new_array(t->arena, st->nchanges + 1, struct splice);
	bool empty;

	for (size_t i = 0; i < st->nchanges; i++) {
		u[i] = (struct splice){ .path = st->changes[i].path, .gone = st->changes[i].gone };
		if (!u[i].gone && pack_add(t->pack, OBJ_BLOB, st->changes[i].text, &u[i].oid, e))
			return -1;
	}
	if (tree_splice(st->store, t->pack, st->policy.exists ? &st->policy.tree : NULL, u, st->nchanges, &empty,
			&t->policy.tree, e))
		return -1;
	if (empty)
		return err_set(e, ERR_INVALID, "the policy branch would be empty");
	t->policy_moves = !st->policy.exists || !oid_equal(&t->policy.tree, &st->policy.tree);
	return t->policy_moves ? add_commit(t, &st->policy, &t->policy, false, e) : 0;
}

/* The user's uncommitted edits are looked for before anything moves, under git's index.lock. */
static int hold_worktree(struct txn *t, struct err *e)
{
	struct state *st = t->st;

	if (!store_workdir(st->store))
		return 0;
	if (worktree_open(t->arena, st->store, st->private_dir, st->op_id, st->env.lock_timeout_ms, &t->worktree, e))
		return -1;
	for (size_t i = 0; i < st->nchanges; i++) {
		const struct change *c = &st->changes[i];
		struct wt_file f = { .path = c->path, .gone = c->gone, .mode = MODE_FILE };
		struct tree_entry old;

		if (st->policy.exists && tree_find(st->store, &st->policy.tree, c->path, &f.had, &old, e))
			return -1;
		f.had = f.had && mode_is_file(old.mode);
		if (f.had) {
			f.old = old.oid;
			f.mode = old.mode;
		}
		if (!f.gone)
			pack_name(t->pack, OBJ_BLOB, c->text, &f.new);
		if ((f.gone && !f.had) || (f.had && !f.gone && oid_equal(&f.old, &f.new)))
			continue;
		if (worktree_add(t->worktree, &f, true, e))
			return -1;
	}
	return 0;
}

/* --- both --- */

static int build(struct txn *t, struct err *e)
{
	struct state *st = t->st;

	if (pack_begin(t->arena, st->store, st->private_dir, &t->pack, e) || assign_entries(t, e))
		return -1;
	if (st->nchanges && build_policy(t, e))
		return -1;
	if (st->nentries && build_ledger(t, e))
		return -1;
	return t->policy_moves ? hold_worktree(t, e) : 0;
}

static int run(struct txn *t, struct err *e)
{
	struct state *st = t->st;
	struct err why = { 0 };
	bool folds;
	int r;

	if (build(t, e))
		return -1;
	if (!t->policy_moves && !t->ledger_moves)
		return 0;
	folds = t->ledger_moves && st->index &&
		index_apply_begin(st->index, &st->ledger.commit, t->entries, st->nentries);
	r = txn_publish(t, e);
	if (folds)
		index_apply_end(st->index, r == 0 ? &st->ledger.commit : NULL);
	if (r)
		return -1;
	if (++st->packs >= MERGE_PACKS && pack_merge(st->store, st->private_dir, MERGE_PACKS, &why))
		state_warn(st, "packs could not be joined: %s", why.msg);
	if (st->packs >= GC_PACKS)
		gc_auto(st);
	return 0;
}

/* --- dry run --- */

static int show(struct txn *t, const char *path, const struct oid *tree, const struct bytes *new, struct err *e)
{
	struct bytes old;
	enum obj_type type;
	struct oid o;
	bool found = false;
	char *text;

	if (tree && store_lookup(t->st->store, tree, path, &found, &type, &o, e))
		return -1;
	if (found && store_read(t->st->store, t->arena, &o, OBJ_BLOB, FS_LIMIT_DOC, &old, e))
		return -1;
	if (!found && !new)
		return 0;
	if (store_patch(t->arena, path, found ? &old : NULL, new, &text, e))
		return -1;
	t->st->env.diff(t->st->env.diff_arg, text);
	return 0;
}

static int show_all(struct txn *t, struct err *e)
{
	struct state *st = t->st;

	if (!st->env.diff)
		return 0;
	if (assign_entries(t, e))
		return -1;
	for (size_t i = 0; i < st->nentries; i++)
		if (show(t, t->entries[i].path, NULL, &t->entries[i].text, e))
			return -1;
	for (size_t i = 0; i < st->nchanges; i++) {
		const struct change *c = &st->changes[i];

		if (show(t, c->path, st->policy.exists ? &st->policy.tree : NULL, c->gone ? NULL : &c->text, e))
			return -1;
	}
	return 0;
}

int state_commit(struct state *st, const char *subject, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct txn t;
	int64_t to_view = st->flags & STATE_DRY_RUN ? 0 : view_pending(st);
	int r;

	if (!st->nchanges && !st->nentries)
		return 0;
	if (!(st->flags & STATE_DRY_RUN) && st->lock_fd < 0)
		return err_set(e, ERR_USAGE, "the repository is not open for writing");
	txn_begin(&t, st, a, st->env.message && *st->env.message ? st->env.message : subject);
	r = st->flags & STATE_DRY_RUN ? show_all(&t, e) : run(&t, e);
	txn_end(&t);
	if (r)
		return -1;
	state_clear(st);
	view_update(st, to_view);
	return state_new_op(st, e);
}
