/* What a killed process left, found by the next writer under the repository's lock: our stale lock files and
 * temporary files go; a commit that had reached its branch is finished (the other history, work tree, index), one
 * that had not is forgotten. git's own locks are never touched. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "state/internal.h"
#include "state/locks.h"
#include "state/pack.h"
#include "state/worktree.h"

enum { INTENT_MAX = 16 << 10 };
static const char none[] = "0000000000000000000000000000000000000000";

static char *intent_path(struct state *st)
{
	return fs_join(st->arena, st->private_dir, "intent");
}

static const char *tip_hex(struct arena *a, const struct tip *t)
{
	return t->exists ? oid_hex(a, &t->commit) : none;
}

static void put_history(struct buf *b, struct arena *a, const struct tip *old, const struct tip *new)
{
	buf_printf(b, "%s %s %s\n", new->ref, tip_hex(a, old), tip_hex(a, new));
}

int intent_write(struct state *st, const struct intent *in, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	SCOPED_BUF b = buf_init(INTENT_MAX);
	char *tmp = tmp_path(a, st->private_dir, "intent");

	buf_printf(&b, "%s\n%s\n", in->op_id, in->workdir ? in->workdir : "");
	put_history(&b, a, &in->ledger_old, &in->ledger_new);
	put_history(&b, a, &in->policy_old, &in->policy_new);
	buf_puts(&b, "end\n");
	if (b.over)
		return err_set(e, ERR_INVALID, "%s: path is too long", in->workdir);
	if (tmp_write(st->store, tmp, buf_bytes(&b), 0644, true, e))
		return -1;
	return rename(tmp, intent_path(st)) ? err_sys(e, intent_path(st)) : fs_sync_dir(st->private_dir, e);
}

void intent_drop(struct state *st)
{
	unlink(intent_path(st));
}

/* --- reading it back --- */

static char *next_line(char **text)
{
	char *line = *text, *nl = line ? strchr(line, '\n') : NULL;

	*text = nl ? nl + 1 : NULL;
	if (nl)
		*nl = '\0';
	return nl ? line : NULL;
}

static bool load_tip(const char *ref, const char *hex, struct tip *ret)
{
	*ret = (struct tip){ .exists = strcmp(hex, none) != 0 };
	return (size_t)snprintf(ret->ref, sizeof(ret->ref), "%s", ref) < sizeof(ret->ref) &&
			oid_parse(hex, &ret->commit) == 0;
}

static bool load_history(char *line, struct tip *ret_old, struct tip *ret_new)
{
	char *save, *ref = line ? strtok_r(line, " ", &save) : NULL, *old = ref ? strtok_r(NULL, " ", &save) : NULL;
	char *new = old ? strtok_r(NULL, " ", &save) : NULL;

	return new && text_has_prefix(ref, "refs/heads/") && load_tip(ref, old, ret_old) && load_tip(ref, new, ret_new);
}

static bool intent_load(struct state *st, struct arena *a, struct intent *ret)
{
	struct err ignored = { 0 };
	struct bytes text;
	char *rest, *end;

	if (fs_read(a, intent_path(st), INTENT_MAX, &text, &ignored))
		return false;
	rest = arena_strndup(a, (const char *)text.p, text.n);
	ret->op_id = next_line(&rest);
	ret->workdir = next_line(&rest);
	if (ret->workdir && !*ret->workdir)
		ret->workdir = NULL;
	if (!load_history(next_line(&rest), &ret->ledger_old, &ret->ledger_new) ||
	    !load_history(next_line(&rest), &ret->policy_old, &ret->policy_new))
		return false;
	end = next_line(&rest);
	return end && strcmp(end, "end") == 0;
}

/* --- finishing --- */

enum reached { NOT_REACHED, AT_OLD, REACHED };

static int how_far(struct state *st, const struct tip *old, const struct tip *new, enum reached *ret, struct err *e)
{
	struct oid now;
	bool found;

	if (store_ref(st->store, new->ref, &found, &now, e))
		return -1;
	if (old->exists == new->exists && oid_equal(&old->commit, &new->commit))
		*ret = REACHED; /* this history was not to be touched */
	else if (found && store_is_ancestor(st->store, &new->commit, &now))
		*ret = REACHED;
	else
		*ret = found == old->exists && (!found || oid_equal(&old->commit, &now)) ? AT_OLD : NOT_REACHED;
	return 0;
}

static int finish_policy(struct state *st, const struct intent *in, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	const struct oid *old = in->policy_old.exists ? &in->policy_old.commit : NULL;
	struct filelock l;
	int r;

	if (ref_prepare(a, st->store, st->private_dir, in->policy_new.ref, old, &in->policy_new.commit,
			st->env.lock_timeout_ms, &l, e))
		return -1;
	r = filelock_commit(&l, e);
	filelock_drop(&l);
	return r;
}

static int roll_worktree(struct state *st, struct arena *a, struct store *s, const struct intent *in, struct err *e)
{
	struct worktree *w;
	struct oid old, new, tip, now;
	bool found;
	char *head;
	int r;

	if (store_head(s, a, &head, e))
		return -1;
	/* the user has gone elsewhere; git checks the rest out on the way back */
	if (!head || strcmp(head, in->policy_new.ref) != 0)
		return 0;
	if (store_ref(s, in->policy_new.ref, &found, &tip, e) || !found || store_commit_tree(s, &tip, &now, e) ||
	    (in->policy_old.exists && store_commit_tree(s, &in->policy_old.commit, &old, e)) ||
	    store_commit_tree(s, &in->policy_new.commit, &new, e))
		return -1;
	if (worktree_open(a, s, st->private_dir, in->op_id, st->env.lock_timeout_ms, &w, e))
		return -1;
	r = worktree_add_diff(w, in->policy_old.exists ? &old : NULL, &new, &now, false, e);
	worktree_sweep(w);
	r = r ? r : worktree_apply(w, e);
	worktree_close(w);
	return r;
}

static int finish_worktree(struct state *st, const struct intent *in, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct err why = { 0 };
	struct store *other;
	int r;

	if (!in->workdir)
		return 0;
	if (store_workdir(st->store) && strcmp(in->workdir, store_workdir(st->store)) == 0)
		return roll_worktree(st, a, st->store, in, e);
	if (store_open(a, in->workdir, &other, &why)) { /* a linked work tree that is gone */
		state_warn(st, "work tree %s could not be brought up to date after an interrupted command: %s",
			   in->workdir, why.msg);
		return 0;
	}
	r = roll_worktree(st, a, other, in, e);
	store_close(other);
	return r;
}

static int finish(struct state *st, const struct intent *in, struct err *e)
{
	enum reached ledger, policy;

	if (how_far(st, &in->ledger_old, &in->ledger_new, &ledger, e) ||
	    how_far(st, &in->policy_old, &in->policy_new, &policy, e))
		return -1;
	if (ledger != REACHED)
		return 0;
	if (policy == NOT_REACHED) {
		if (!oid_equal(&in->ledger_old.commit, &in->ledger_new.commit))
			state_warn(st, "operation %s was interrupted: it is in the ledger, but %s has moved on without "
				   "its part: check git log", in->op_id, in->policy_new.ref);
		return 0;
	}
	/* Without a part in the ledger nothing of the operation is visible yet, and nobody was told that it is. */
	if (policy == AT_OLD && oid_equal(&in->ledger_old.commit, &in->ledger_new.commit))
		return 0;
	if (policy == AT_OLD && finish_policy(st, in, e))
		return -1;
	return finish_worktree(st, in, e);
}

/* --- all of it --- */

static int add_locks(struct arena *a, const char *dir, struct strv *v, struct err *e)
{
	struct strv names;

	if (!fs_is_dir(dir))
		return 0;
	if (fs_list(a, dir, SIZE_MAX, &names, e))
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		size_t n = strlen(names.v[i]);

		if (n <= 5 || strcmp(names.v[i] + n - 5, ".lock") != 0)
			continue;
		v->v = arena_grow(a, v->v, v->n, sizeof(*v->v));
		v->v[v->n++] = fs_join(a, dir, arena_strndup(a, names.v[i], n - 5));
	}
	return 0;
}

/* Where locks of ours can be: branches, and the index of each work tree. */
static int sweep_locks(struct state *st, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	const char *git = store_git_dir(st->store);
	char *trees = fs_join(a, git, "worktrees");
	struct strv targets = { 0 }, names = { 0 };

	if (fs_is_dir(trees) && fs_list(a, trees, SIZE_MAX, &names, e))
		return -1;
	if (add_locks(a, git, &targets, e) || add_locks(a, fs_join(a, git, "refs/heads"), &targets, e))
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (add_locks(a, fs_join(a, trees, names.v[i]), &targets, e))
			return -1;
	return filelock_sweep(st->private_dir, &targets, e);
}

/* Half a key, half a journal: what fs_write was writing in the folders below ours. Not in one that the user has linked
 * to, and nothing depends on it. */
static void sweep_folders(struct state *st, const struct strv *names)
{
	SCOPED_ARENA *a = arena_new();
	struct err ignored = { 0 };

	for (size_t i = 0; i < names->n; i++) {
		char *dir = fs_join(a, st->private_dir, names->v[i]);
		struct strv files;

		if (!fs_is_dir(dir) || fs_list(a, dir, SIZE_MAX, &files, &ignored))
			continue;
		for (size_t k = 0; k < files.n; k++)
			if (fs_is_temp(files.v[k]))
				unlink(fs_join(a, dir, files.v[k]));
	}
}

int state_recover(struct state *st, bool died, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct intent in = { 0 };
	struct strv names;
	bool ours = false, pending = false;

	if (fs_list(a, st->private_dir, SIZE_MAX, &names, e))
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		ours = ours || text_has_prefix(names.v[i], "tmp.");
		pending = pending || strcmp(names.v[i], "intent") == 0;
	}
	if (died)
		sweep_folders(st, &names);
	if ((ours && sweep_locks(st, e)) || pack_sweep(st->store, &st->packs, e))
		return -1;
	if (!pending)
		return 0;
	if (intent_load(st, a, &in) && finish(st, &in, e))
		return err_ctx(e, "finishing an interrupted command");
	intent_drop(st);
	return 0;
}
