/* The hook of a server (pre-receive): judges a push by git's three words a line, before any branch moves. Guarantees:
 * the ledger is never rewritten, shortened or deleted, and no private key enters any branch. Reads quarantined objects
 * through the environment that git gives its hooks; writes nothing. */
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "state/inspect_parts.h"
#include "state/tree.h"

#define HEADS "refs/heads/"
static const char zeros[] = "0000000000000000000000000000000000000000";

struct update {
	char *ref;
	bool made, deleted;
	struct oid old, new;
};

struct push {
	struct arena *arena;
	struct store *store;
	const struct inspector *in;
	struct update *v;
	size_t n;
	const char *ledger; /* name of the branch */
};

static int read_update(struct arena *a, char *line, struct update *ret)
{
	char *save, *old = strtok_r(line, " ", &save), *new = old ? strtok_r(NULL, " ", &save) : NULL;
	char *ref = new ? strtok_r(NULL, "", &save) : NULL;

	if (!ref || oid_parse(old, &ret->old) != 0 || oid_parse(new, &ret->new) != 0)
		return -1;
	ret->ref = arena_strdup(a, ref);
	ret->made = strcmp(old, zeros) == 0;
	ret->deleted = strcmp(new, zeros) == 0;
	return 0;
}

static int read_updates(struct push *p, struct bytes lines, struct err *e)
{
	char *text = arena_strndup(p->arena, (const char *)lines.p, lines.n), *save;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		p->v = arena_grow(p->arena, p->v, p->n, sizeof(*p->v));
		if (read_update(p->arena, line, &p->v[p->n]) != 0)
			return err_set(e, ERR_USAGE, "standard input: expected lines \"OLD NEW REF\", as git gives "
						     "them to its pre-receive hook");
		p->n++;
	}
	return 0;
}

/* --- which branch is the ledger --- */

static bool config_at(struct push *p, const struct oid *commit, struct config *ret)
{
	struct err ignored = { 0 };
	struct tree_entry t;
	struct bytes text;
	struct oid tree;
	bool found;

	return store_commit_tree(p->store, commit, &tree, &ignored) == 0 &&
	       tree_find(p->store, &tree, config_type.path, &found, &t, &ignored) == 0 && found &&
		       mode_is_file(t.mode) &&
	       store_read(p->store, p->arena, &t.oid, OBJ_BLOB, FS_LIMIT_DOC, &text, &ignored) == 0 &&
	       rec_load(p->arena, &config_type, config_type.path, text, ret, &ignored) == 0;
}

/* What stands on the server counts; a first push brings its own word. */
static const char *ledger_name(struct push *p)
{
	struct err ignored = { 0 };
	struct config c;
	struct oid head;
	bool found;

	if (store_ref(p->store, "HEAD", &found, &head, &ignored) == 0 && found && config_at(p, &head, &c))
		return c.ledger_branch;
	for (size_t i = 0; i < p->n; i++)
		if (!p->v[i].deleted && config_at(p, &p->v[i].new, &c))
			return c.ledger_branch;
	return "ledger";
}

/* Or a branch that looks like one already: a changed lamassu.yaml must not take the protection away. */
static bool is_ledger(struct push *p, const struct update *u)
{
	struct err ignored = { 0 };
	struct tree_entry t;
	struct oid tree;
	bool format = false, config = false;

	if (text_has_prefix(u->ref, HEADS) && strcmp(u->ref + strlen(HEADS), p->ledger) == 0)
		return true;
	return !u->made && store_commit_tree(p->store, &u->old, &tree, &ignored) == 0 &&
	       tree_find(p->store, &tree, "format", &format, &t, &ignored) == 0 &&
	       tree_find(p->store, &tree, config_type.path, &config, &t, &ignored) == 0 && format && !config;
}

/* --- one line --- */

static void check_ledger(struct push *p, const struct update *u)
{
	struct scan s = { .store = p->store, .in = p->in, .ledger = true, .every_blob = true };
	struct err why = { 0 };
	struct oid tree, format;
	enum obj_type type;
	bool found = false;

	if (u->deleted) {
		scan_report(p->in, u->ref, "the push deletes the ledger", "never delete it");
		return;
	}
	if (!u->made && !store_is_ancestor(p->store, &u->old, &u->new)) {
		scan_report(p->in, u->ref, "the push is not a fast-forward: it would forget entries",
			    "lamassu repo sync unites both ledgers and pushes the result");
		return;
	}
	if (store_commit_tree(p->store, &u->new, &tree, &why) != 0 ||
	    store_lookup(p->store, &tree, "format", &found, &type, &format, &why) != 0 || !found || type != OBJ_BLOB)
		scan_report(p->in, u->ref, "it is not a ledger: it has no file \"format\"",
			    "push the branch that lamassu init made");
	else
		scan_commits(&s, u->ref, &u->new, u->made ? NULL : &u->old);
}

static void check_policy(struct push *p, const struct update *u)
{
	struct scan s = { .store = p->store, .in = p->in };
	struct err ignored = { 0 };
	struct oid tip, since;
	bool found = false;

	/* other refs may point to anything */
	if (u->deleted || !store_peel(p->store, &u->new, &tip))
		return;
	if (!u->made)
		found = store_peel(p->store, &u->old, &since);
	else if (store_ref(p->store, "HEAD", &found, &since, &ignored) != 0)
		found = false;
	scan_commits(&s, u->ref, &tip, found ? &since : NULL);
}

int inspect_push(const char *dir, struct bytes lines, const struct inspector *in, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct push p = { .arena = a, .in = in };

	if (read_updates(&p, lines, e) != 0 || store_open(a, dir, &p.store, e) != 0)
		return -1;
	p.ledger = ledger_name(&p);
	for (size_t i = 0; i < p.n; i++)
		if (is_ledger(&p, &p.v[i]))
			check_ledger(&p, &p.v[i]);
		else
			check_policy(&p, &p.v[i]);
	store_close(p.store);
	return 0;
}
