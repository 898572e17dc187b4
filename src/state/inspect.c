/* Looks at histories commit by commit. Guarantees: everything that is wrong is reported, not only the first; only a
 * failure to look (no memory, no permission) is an error. Blobs that the ledger's tip still has are left to
 * inspect_entries, so that each is read once. Never writes but for the mark of what was found right. */
#include "state/inspect_parts.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "state/entry.h"
#include "state/internal.h"
#include "state/locks.h"
#include "state/tree.h"

enum { BLOB_MAX = 256 << 20 };
#define SPREAD "the key is known to everybody with a clone: replace it, and revoke what it certifies"
#define FETCH "restore it from another clone: copy its .git/objects, or git fetch; git fsck says what else is missing"

static const char *short_id(struct arena *a, const struct oid *id)
{
	return arena_printf(a, "%.12s", oid_hex(a, id));
}

void scan_report(const struct inspector *in, const char *object, const char *problem, const char *repair)
{
	in->found(in->arg, arena_strdup(in->arena, object), arena_strdup(in->arena, problem),
		  arena_strdup(in->arena, repair));
}

/* "-----BEGIN … PRIVATE KEY-----" on one line, encrypted or not. */
static bool has_private_key(struct bytes text)
{
	static const char end[] = "PRIVATE KEY-----", begin[] = "-----BEGIN ";
	const unsigned char *p = text.p, *stop = text.p + text.n, *hit;

	while (p < stop && (hit = memmem(p, (size_t)(stop - p), end, sizeof(end) - 1))) {
		const unsigned char *line = hit;

		while (line > text.p && hit - line < 64 && line[-1] != '\n' && line[-1] != '\r')
			line--;
		if (memmem(line, (size_t)(hit - line), begin, sizeof(begin) - 1))
			return true;
		p = hit + 1;
	}
	return false;
}

static const char *whose(struct scan *s)
{
	return arena_printf(s->in->arena, "commit %s of %s", short_id(s->in->arena, &s->commit->id), s->commit->who);
}

/* --- one blob --- */

static void look_at(struct scan *s, const char *path, const struct oid *id, bool parse)
{
	SCOPED_ARENA *a = arena_new();
	struct err why = { 0 };
	struct bytes text;

	if (store_read(s->store, a, id, OBJ_BLOB, BLOB_MAX, &text, &why) != 0) {
		scan_report(s->in, path, arena_printf(a, "%s: %s", whose(s), why.msg), FETCH);
		return;
	}
	if (has_private_key(text))
		scan_report(s->in, path, arena_printf(a, "%s holds a private key", whose(s)), SPREAD);
	if (parse && entry_check(a, path, text, &why) != 0)
		scan_report(s->in, path, arena_printf(a, "%s adds an entry that is not valid: %s", whose(s), why.msg),
		       "make entries with lamassu only");
}

/* --- one commit --- */

static int on_policy_file(void *arg, const char *path, const struct tree_entry *old, const struct tree_entry *new,
			  struct err *e)
{
	struct scan *s = arg;

	(void)old, (void)e;
	if (new && mode_is_file(new->mode))
		look_at(s, path, &new->oid, false);
	return 0;
}

static int on_ledger_file(void *arg, const char *path, const struct tree_entry *old, const struct tree_entry *new,
			  struct err *e)
{
	struct scan *s = arg;
	const char *verb = new ? "changed" : "removed";
	struct arena *a = s->in->arena;

	(void)e;
	if (!old) {
		if (s->every_blob && mode_is_file(new->mode))
			look_at(s, path, &new->oid, true);
		return 0;
	}
	scan_report(s->in, path,
		    arena_printf(a, "%s %s the entry, and entries are never %s", whose(s), verb, verb),
		    arena_printf(a, "git show %s:%s has what it was; take the ledger of a clone that lacks that commit",
				 s->commit->nparents ? short_id(a, &s->commit->parents[0]) : "", path));
	if (mode_is_file(old->mode))
		look_at(s, path, &old->oid, false);
	return 0;
}

static int against_parent(struct scan *s, const struct oid *parent, struct err *e)
{
	struct oid before;

	if (parent && store_commit_tree(s->store, parent, &before, e))
		return -1;
	return tree_diff(s->store, parent ? &before : NULL, &s->commit->tree,
			 s->ledger ? on_ledger_file : on_policy_file, s, e);
}

static int look_at_commit(struct scan *s, struct arena *a, const struct oid *id, struct err *e)
{
	struct commit *c = arena_alloc(a, 1, sizeof(*c));

	if (commit_read(s->store, a, id, c, e))
		return -1;
	s->commit = c;
	/* what a merge brings to one side was new on the other, but for its own changes */
	for (size_t i = 0; i < c->nparents || i == 0; i++)
		if (against_parent(s, c->nparents ? &c->parents[i] : NULL, e))
			return -1;
	if (s->ledger && !c->op_id)
		s->in->note(s->in->arg, arena_printf(s->in->arena, "ledger commit %s of %s was not made by lamassu: "
								   "\"%s\"",
						     short_id(a, id), c->who, c->subject));
	return 0;
}

static int look_at_commits(struct scan *s, const struct oid *tip, const struct oid *hidden, size_t nhidden,
			   struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	SCOPED_WALK *w = NULL;
	struct oid id;
	bool more;

	if (walk_open(s->store, a, tip, 1, hidden, nhidden, &w, e))
		return -1;
	for (uint64_t done = 1;; done++) {
		SCOPED_ARENA *one = arena_new();

		if (walk_next(w, &more, &id, e))
			return -1;
		if (!more)
			return 0;
		if (look_at_commit(s, one, &id, e))
			return err_ctx(e, "commit %s", short_id(a, &id));
		if (s->in->tick && done % 64 == 0)
			s->in->tick(s->in->arg, done);
	}
}

void scan_commits(struct scan *s, const char *branch, const struct oid *tip, const struct oid *since)
{
	struct err why = { 0 };

	if (look_at_commits(s, tip, since, since != NULL, &why) != 0)
		scan_report(s->in, branch, why.msg, FETCH);
}

/* --- this clone --- */

static char *mark_file(struct state *st)
{
	return fs_join(st->arena, st->private_dir, "verified");
}

/* The two tips that were found right last time, the ledger's first. */
static bool load_mark(struct state *st, struct oid ret[2])
{
	SCOPED_ARENA *a = arena_new();
	struct err ignored = { 0 };
	struct bytes text;

	return fs_read(a, mark_file(st), 256, &text, &ignored) == 0 && text.n == 82 &&
	       oid_parse(arena_strndup(a, (const char *)text.p, 40), &ret[0]) == 0 &&
	       oid_parse(arena_strndup(a, (const char *)text.p + 41, 40), &ret[1]) == 0;
}

/* A tip that is gone says nothing: policy may be rebased. */
static bool is_here(struct state *st, const struct oid *commit)
{
	struct err ignored = { 0 };
	struct oid tree;

	return store_commit_tree(st->store, commit, &tree, &ignored) == 0;
}

void inspect_accept(struct state *st)
{
	SCOPED_ARENA *a = arena_new();
	struct err ignored = { 0 };
	char *tmp;

	if ((st->flags & STATE_DRY_RUN) || !fs_is_dir(st->private_dir))
		return;
	tmp = tmp_path(a, st->private_dir, "verified");
	if (tmp_write(st->store, tmp, bytes_of(arena_printf(a, "%s\n%s\n", oid_hex(a, &st->ledger.commit),
							    oid_hex(a, &st->policy.commit))),
		      0644, false, &ignored) == 0 &&
	    rename(tmp, mark_file(st)))
		unlink(tmp);
}

void inspect_history(struct state *st, bool all, const struct inspector *in)
{
	struct scan ledger = { .store = st->store, .in = in, .ledger = true };
	struct scan policy = { .store = st->store, .in = in };
	struct oid mark[2];
	bool since = !all && load_mark(st, mark);

	scan_commits(&ledger, st->config.ledger_branch, &st->ledger.commit,
		     since && is_here(st, &mark[0]) ? &mark[0] : NULL);
	scan_commits(&policy, st->config.policy_branch, &st->policy.commit,
		     since && is_here(st, &mark[1]) ? &mark[1] : NULL);
}

/* --- tips --- */

struct tip_scan {
	struct state *st;
	const struct inspector *in;
	int (*cb)(void *arg, const struct raw_entry *, size_t n, struct err *);
	void *arg;
	struct arena *scratch;
	struct raw_entry *v;
	size_t n;
	uint64_t done;
};

static bool is_record(const char *path)
{
	return strcmp(path, "lamassu.yaml") == 0 || text_has_prefix(path, "cas/") ||
		text_has_prefix(path, "profiles/") ||
	       text_has_prefix(path, "engines/") || text_has_prefix(path, "keys/");
}

static int on_policy_tip(void *arg, const char *path, const struct tree_entry *old, const struct tree_entry *new,
			 struct err *e)
{
	struct tip_scan *t = arg;
	SCOPED_ARENA *a = arena_new();
	struct err why = { 0 };
	struct bytes text;

	(void)old, (void)e;
	if (mode_is_file(new->mode)) {
		if (store_read(t->st->store, a, &new->oid, OBJ_BLOB, BLOB_MAX, &text, &why) != 0)
			scan_report(t->in, path, why.msg, FETCH);
	} else if (is_record(path)) {
		scan_report(t->in, path, "it is a symbolic link or a submodule, which is never followed",
			    "put a file in its place");
	}
	return 0;
}

void inspect_policy(struct state *st, const struct inspector *in)
{
	struct tip_scan t = { .st = st, .in = in };
	struct err why = { 0 };

	if (tree_diff(st->store, NULL, &st->policy.tree, on_policy_tip, &t, &why) != 0)
		scan_report(in, st->config.policy_branch, why.msg, FETCH);
}

static int flush(struct tip_scan *t, struct err *e)
{
	int r = t->n ? t->cb(t->arg, t->v, t->n, e) : 0;

	arena_free(t->scratch);
	t->scratch = arena_new();
	t->v = arena_new_array(t->scratch, INSPECT_CHUNK, struct raw_entry);
	t->n = 0;
	return r;
}

static int on_entry(void *arg, const char *path, const struct tree_entry *old, const struct tree_entry *new,
		    struct err *e)
{
	struct tip_scan *t = arg;
	struct raw_entry *x = &t->v[t->n];
	struct err why = { 0 };

	(void)old;
	if (!mode_is_file(new->mode)) {
		scan_report(t->in, path, "it is a symbolic link or a submodule", "take the ledger of a clone that "
										 "lacks it");
		return 0;
	}
	if (store_read(t->st->store, t->scratch, &new->oid, OBJ_BLOB, BLOB_MAX, &x->text, &why) != 0) {
		scan_report(t->in, path, why.msg, FETCH);
		return 0;
	}
	if (has_private_key(x->text))
		scan_report(t->in, path, "it holds a private key", SPREAD);
	x->path = arena_strdup(t->scratch, path);
	if (t->in->tick && ++t->done % INSPECT_CHUNK == 0)
		t->in->tick(t->in->arg, t->done);
	return ++t->n == INSPECT_CHUNK ? flush(t, e) : 0;
}

int inspect_entries(struct state *st, int (*cb)(void *arg, const struct raw_entry *, size_t n, struct err *), void *arg,
		    const struct inspector *in, struct err *e)
{
	struct tip_scan t = { .st = st, .in = in, .cb = cb, .arg = arg };
	struct err why = { 0 };
	int r = flush(&t, e);

	r = r ? r : tree_diff(st->store, NULL, &st->ledger.tree, on_entry, &t, &why);
	r = r ? r : flush(&t, &why);
	arena_free(t.scratch);
	if (r && (why.code == ERR_INVALID || why.code == ERR_NOT_FOUND ||
		  why.code == ERR_IO)) { /* a tree that cannot be read */
		scan_report(in, st->config.ledger_branch, why.msg, FETCH);
		return 0;
	}
	if (r)
		*e = why;
	return r;
}
