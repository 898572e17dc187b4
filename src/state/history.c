/* Reads commits, and tells what happened: the policy branch and the ledger as one history, newest first, joined by the
 * operation's id. Reads no further than its caller goes. Never trusts the text of a commit: who may push may write
 * anything. */
#include "state/history.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "state/internal.h"
#include "state/tree.h"

/* --- one commit --- */

static int damaged(struct arena *a, const struct oid *id, struct err *e)
{
	return err_set(e, ERR_INVALID, "commit %s is damaged", oid_hex(a, id));
}

/* "Name <mail> 1700000000 +0000" */
static char *read_who(struct arena *a, const char *line, size_t n, int64_t *ret_time)
{
	const char *end = line + n;

	while (end > line && end[-1] != '>')
		end--;
	*ret_time = end > line ? strtoll(end, NULL, 10) : 0;
	return arena_strndup(a, line, (size_t)(end - line));
}

static bool starts(const char *line, size_t n, const char *word)
{
	return n >= strlen(word) && strncmp(line, word, strlen(word)) == 0;
}

static int read_line(struct arena *a, const char *line, size_t n, struct commit *c)
{
	int64_t ignored;

	if (starts(line, n, "tree "))
		return n == 45 ? oid_parse(arena_strndup(a, line + 5, 40), &c->tree) : -1;
	if (starts(line, n, "parent ")) {
		c->parents = arena_grow(a, c->parents, c->nparents, sizeof(*c->parents));
		return n == 47 ? oid_parse(arena_strndup(a, line + 7, 40), &c->parents[c->nparents++]) : -1;
	}
	if (starts(line, n, "author "))
		c->who = read_who(a, line + 7, n - 7, &ignored);
	else if (starts(line, n, "committer "))
		read_who(a, line + 10, n - 10, &c->time);
	return 0;
}

char *commit_trailer(struct arena *a, const char *message, const char *name)
{
	const char *last = message, *found = NULL;
	size_t n = strlen(name), len = strlen(message);

	while (len && message[len - 1] == '\n')
		len--;
	for (const char *p = message; p < message + len; p++)
		if (p[0] == '\n' && p[1] == '\n')
			last = p + 2;
	for (const char *p = last; p && p < message + len; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
		if (strncmp(p, name, n) == 0 && p[n] == ':' && p[n + 1] == ' ')
			found = p + n + 2;
	return found ? arena_strndup(a, found, strcspn(found, "\n")) : NULL;
}

int commit_read(struct store *s, struct arena *a, const struct oid *id, struct commit *ret, struct err *e)
{
	struct commit c = { .id = *id };
	struct bytes text;
	const char *p;

	if (store_read(s, a, id, OBJ_COMMIT, STORE_COMMIT_MAX, &text, e))
		return -1;
	for (p = (const char *)text.p; *p && *p != '\n';) {
		size_t n = strcspn(p, "\n");

		if (read_line(a, p, n, &c) != 0)
			return damaged(a, id, e);
		p += n + (p[n] == '\n');
	}
	if (*p != '\n' || !c.who)
		return damaged(a, id, e);
	p += strspn(p, "\n");
	c.subject = arena_strndup(a, p, strcspn(p, "\n"));
	c.op = commit_trailer(a, p, "Lamassu-Op");
	c.op_id = commit_trailer(a, p, "Lamassu-Op-Id");
	*ret = c;
	return 0;
}

/* --- both histories --- */

struct side {
	struct store *store;
	struct walk *walk;
	struct commit head;   /* the next one; in the scratch arena of its group */
	bool more;
	struct commit *group; /* those of the same second */
	size_t n;
};

struct merger {
	struct side policy, ledger;
	history_op_fn *cb;
	void *arg;
};

static int advance(struct side *s, struct arena *a, struct err *e)
{
	struct oid id;

	if (walk_next(s->walk, &s->more, &id, e))
		return -1;
	return s->more ? commit_read(s->store, a, &id, &s->head, e) : 0;
}

/* Both commits of an operation have one time, so that looking within a second finds its other half. */
static int take_second(struct side *s, struct arena *a, int64_t second, struct err *e)
{
	s->n = 0;
	s->group = NULL;
	while (s->more && s->head.time >= second) {
		s->group = arena_grow(a, s->group, s->n, sizeof(*s->group));
		s->group[s->n++] = s->head;
		if (advance(s, a, e))
			return -1;
	}
	return 0;
}

static bool same_op(const struct commit *x, const struct commit *y)
{
	return x->op_id && y->op_id && strcmp(x->op_id, y->op_id) == 0;
}

static int give(struct merger *m, struct arena *a, const struct commit *policy, const struct commit *ledger,
		struct err *e)
{
	const struct commit *c = policy ? policy : ledger;
	struct history_op op = { .time = c->time, .actor = c->who, .op = c->op, .subject = c->subject,
		.op_id = c->op_id };

	if (policy)
		op.policy_commit = oid_hex(a, &policy->id);
	if (ledger)
		op.ledger_commit = oid_hex(a, &ledger->id);
	return m->cb(m->arg, a, &op, e);
}

static int give_group(struct merger *m, struct arena *a, struct err *e)
{
	const struct side *p = &m->policy, *l = &m->ledger;
	size_t next = 0;
	int r = 0;

	for (size_t i = 0; i < l->n && r == 0; i++) {
		size_t twin = next;

		while (twin < p->n && !same_op(&p->group[twin], &l->group[i]))
			twin++;
		if (twin == p->n) {
			r = give(m, a, NULL, &l->group[i], e);
			continue;
		}
		while (next < twin && r == 0)
			r = give(m, a, &p->group[next++], NULL, e);
		if (r == 0)
			r = give(m, a, &p->group[next++], &l->group[i], e);
	}
	while (next < p->n && r == 0)
		r = give(m, a, &p->group[next++], NULL, e);
	return r;
}

/* The heads outlive the arena of the group that they were read in. */
static int reread(struct side *s, struct arena *a, struct err *e)
{
	struct oid id = s->head.id;

	return s->more ? commit_read(s->store, a, &id, &s->head, e) : 0;
}

int history_each(struct state *st, history_op_fn *cb, void *arg, struct err *e)
{
	SCOPED_ARENA *walks = arena_new(), *a = arena_new();
	SCOPED_WALK *policy = NULL, *ledger = NULL;
	int r = 0;

	if (walk_open(st->store, walks, &st->policy.commit, 1, NULL, 0, &policy, e) ||
	    walk_open(st->store, walks, &st->ledger.commit, 1, NULL, 0, &ledger, e))
		return -1;
	struct merger m = { { .store = st->store, .walk = policy }, { .store = st->store, .walk = ledger }, cb, arg };
	if (advance(&m.policy, a, e) || advance(&m.ledger, a, e))
		return -1;
	while (r == 0 && (m.policy.more || m.ledger.more)) {
		int64_t second = m.policy.more ? m.policy.head.time : m.ledger.head.time;

		if (m.ledger.more && m.ledger.head.time > second)
			second = m.ledger.head.time;
		if (take_second(&m.policy, a, second, e) || take_second(&m.ledger, a, second, e))
			return -1;
		r = give_group(&m, a, e);
		arena_free(a);
		a = arena_new();
		if (reread(&m.policy, a, e) || reread(&m.ledger, a, e))
			return -1;
	}
	return r < 0 ? -1 : 0;
}

/* --- what a commit was about --- */

struct objects {
	struct arena *a;
	struct strv v;
};

static bool is_serial(const char *s, size_t n)
{
	return n >= 2 && n <= 40 && strspn(s, "0123456789abcdef") >= n;
}

/* The id in the file name: of records all but the suffix, of entries what stands before the first dot, but ids of
 * authorities may have dots themselves. */
static size_t id_length(const char *type, const char *name, bool entry)
{
	size_t n = strlen(name);
	const char *scope = strstr(name, ".full");

	if (!entry)
		return n > 5 && strcmp(name + n - 5, ".yaml") == 0 ? n - 5 : n;
	if (strcmp(type, "crl") == 0 && (scope || (scope = strstr(name, ".delta"))))
		return (size_t)(scope - name);
	return strcspn(name, ".");
}

/* "cas/root/ca.yaml" is of ca/root, "issued/00/00/00/5f3a.pem" of certificate/5f3a. */
static char *object_of(struct arena *a, const char *path)
{
	static const struct { const char *folder, *type; bool entry; } known[] = {
		{ "profiles/", "profile", false }, { "engines/", "engine", false }, { "keys/", "key", false },
		{ "dms/", "dms", false }, { "alerts/", "alert", false }, { "roles/", "role", false },
		{ "operators/", "operator", false }, { "groups/", "group", false }, { "issued/", "certificate", true },
		{ "revoked/", "certificate", true }, { "meta/", "certificate", true }, { "crls/", "crl", true },
		{ "devices/", "device", true },
	};
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	if (strcmp(path, "lamassu.yaml") == 0)
		return arena_strdup(a, "config");
	if (text_has_prefix(path, "cas/"))
		return arena_printf(a, "ca/%.*s", (int)strcspn(path + 4, "/"), path + 4);
	for (size_t i = 0; i < COUNT(known); i++) {
		size_t n = id_length(known[i].type, name, known[i].entry);

		if (!text_has_prefix(path, known[i].folder) || (strcmp(known[i].type, "certificate") == 0 &&
								!is_serial(name, n)))
			continue;
		return arena_printf(a, "%s/%.*s", known[i].type, (int)n, name);
	}
	return arena_strdup(a, path);
}

static int add_object(void *arg, const char *path, const struct oid *id, bool gone, struct err *e)
{
	struct objects *o = arg;
	char *name = object_of(o->a, path);

	(void)id, (void)gone, (void)e;
	if (o->v.n && strcmp(o->v.v[o->v.n - 1], name) == 0)
		return 0;
	o->v.v = arena_grow(o->a, o->v.v, o->v.n, sizeof(*o->v.v));
	o->v.v[o->v.n++] = name;
	return 0;
}

static int changed_by(struct store *s, struct objects *o, const char *commit_hex, struct err *e)
{
	struct commit c;
	struct oid id, before;

	if (!commit_hex)
		return 0;
	if (oid_parse(commit_hex, &id) != 0 || commit_read(s, o->a, &id, &c, e))
		return -1;
	if (c.nparents > 1)
		return 0;
	if (c.nparents && store_commit_tree(s, &c.parents[0], &before, e))
		return -1;
	return store_diff(s, c.nparents ? &before : NULL, &c.tree, add_object, o, e);
}

int history_objects(struct state *st, struct arena *a, struct history_op *op, struct err *e)
{
	struct objects o = { .a = a, .v = { .set = true } };

	if (changed_by(st->store, &o, op->policy_commit, e) || changed_by(st->store, &o, op->ledger_commit, e))
		return -1;
	op->objects = o.v;
	op->changes = (int64_t)o.v.n;
	return 0;
}
