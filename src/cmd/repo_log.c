/* `repo log`: what happened, newest first, from both histories at once. Reads no more of them than the page needs,
 * unless it is to be sorted. */
#include <string.h>

#include "cmd/repo.h"
#include "state/history.h"

enum { OBJECTS_SHOWN = 20 };

static const char *const objects_aka[] = { "object", NULL };
static const char *const actor_aka[] = { "author", "operator", NULL };

static const struct field log_fields[] = {
	TIME(history_op, time, "When it was recorded.", .flags = F_COL),
	STR(history_op, actor, "Who did it.", .flags = F_COL, .aka = actor_aka),
	STR(history_op, op, "The command, such as ca.create; absent for commits that were made with git.",
	    .flags = F_COL),
	STR(history_op, subject, "First line of the message.", .flags = F_COL),
	STRV(history_op, objects, "What changed, such as ca/root or certificate/5f3a…; at most 20 are shown.",
	     .aka = objects_aka),
	INT(history_op, changes, "How many objects changed.", .flags = F_SHOW0),
	STR(history_op, op_id, "Id of the operation, which its commits share.", .flags = F_KEY),
	STR(history_op, policy_commit, "Its commit of the policy branch."),
	STR(history_op, ledger_commit, "Its commit of the ledger."),
	END
};
static const struct schema log_type = {
	.name = "operation", .plural = "operations", .doc = "An operation", .size = sizeof(struct history_op),
	.fields = log_fields
};

struct paging {
	struct ctx *ctx;
	struct query filters; /* without order and page */
	bool sorted, by_object;
	int64_t from, upto;   /* which matches are wanted; upto < 0: all */
	int64_t matches;
	struct history_op *v;
	size_t n;
};

static char *keep(struct paging *p, const char *text)
{
	return arena_strdup(p->ctx->arena, text);
}

static void keep_op(struct paging *p, const struct history_op *op)
{
	struct history_op k = *op;

	k.actor = keep(p, op->actor);
	k.op = keep(p, op->op);
	k.subject = keep(p, op->subject);
	k.op_id = keep(p, op->op_id);
	k.policy_commit = keep(p, op->policy_commit);
	k.ledger_commit = keep(p, op->ledger_commit);
	k.objects = (struct strv){ .set = true };
	for (size_t i = 0; i < op->objects.n && i < OBJECTS_SHOWN; i++) {
		k.objects.v = arena_grow(p->ctx->arena, k.objects.v, i, sizeof(char *));
		k.objects.v[k.objects.n++] = keep(p, op->objects.v[i]);
	}
	p->v = arena_grow(p->ctx->arena, p->v, p->n, sizeof(*p->v));
	p->v[p->n++] = k;
}

static int on_op(void *arg, struct arena *a, const struct history_op *op, struct err *e)
{
	struct paging *p = arg;
	struct history_op one = *op;
	size_t n = 1;
	char *next;

	if (p->by_object && history_objects(p->ctx->state, a, &one, e) != 0)
		return -1;
	if (query_run(a, &p->filters, &log_type, &one, &n, p->ctx->now, &next, e) != 0)
		return -1;
	if (n == 0 || p->matches++ < p->from)
		return 0;
	if (p->upto >= 0 && p->matches > p->upto)
		return 1; /* there is one more than the page holds */
	if (!p->by_object && history_objects(p->ctx->state, a, &one, e) != 0)
		return -1;
	keep_op(p, &one);
	return 0;
}

static bool names_objects(const char *field)
{
	return field && (strncmp(field, "object", 6) == 0 || strcmp(field, "changes") == 0);
}

static int run_log(struct ctx *ctx, void *args, struct err *e)
{
	const struct query *q = cli_query(ctx);
	struct paging p = { .ctx = ctx, .filters = *q, .sorted = q->sort_by != NULL, .from = q->offset, .upto = -1 };
	struct history_op none = { 0 };
	char *next = NULL;
	size_t n = 0;

	(void)args;
	p.filters.sort_by = NULL;
	p.filters.page_size = p.filters.offset = 0;
	for (size_t i = 0; i < q->nfilters; i++)
		p.by_object = p.by_object || names_objects(q->filters[i].field);
	if (p.sorted)
		p.from = 0;
	else if (q->page_size > 0)
		p.upto = q->offset + q->page_size;
	/* A mistake in the query is reported before anything is read. */
	if (query_run(ctx->arena, q, &log_type, &none, &n, ctx->now, &next, e) != 0 ||
	    history_each(ctx->state, on_op, &p, e) != 0)
		return -1;
	if (p.sorted && query_run(ctx->arena, q, &log_type, p.v, &p.n, ctx->now, &next, e) != 0)
		return -1;
	if (p.upto >= 0 && p.matches > p.upto)
		next = query_bookmark(ctx->arena, q, p.upto);
	return out_list(ctx, &log_type, p.v, p.n, next, e);
}

const struct cmd repo_log_cmd = {
	.name = "log", .brief = "Show what happened, in both histories at once", .needs = NEED_STATE | NEED_LIST,
	.run = run_log,
	.type = &log_type,
	.doc = "One row for each operation, newest first: the commits that a command made in the policy branch and in "
	       "the ledger are one row. Commits made with git are shown too; they have no op. Filter by object, actor, "
	       "op and time.",
	.example = "lamassu repo log\n"
		   "lamassu repo log --filter object=ca/root\n"
		   "lamassu repo log --filter 'object[ct]=5f3a' --filter 'time[af]=-7d'\n"
		   "lamassu repo log --filter 'actor[ct]=ada' -o json --all"
};
