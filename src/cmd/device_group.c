/* `device group`: groups of devices by filter. Membership is never stored: it is the filters of the group and of those
 * above it. */
#include <string.h>

#include "base/text.h"
#include "cmd/device.h"
#include "cmd/generic.h"
#include "cmd/refs.h"
#include "model/group.h"
#include "state/ledger.h"

enum { MAX_LEVELS = 32, MAX_CRITERIA = 64 };

/* Filters of the group and of all above it; a loop is refused, and so is what no query understands. */
static int filters_of(struct ctx *ctx, const struct group *g, struct filter **ret, size_t *ret_n, struct err *e)
{
	struct filter *v = arena_new_array(ctx->arena, MAX_CRITERIA, struct filter);
	struct group above = *g;
	size_t n = 0;

	for (int level = 0;; level++) {
		const struct group_criterion *c = above.criteria.v;

		for (size_t i = 0; i < above.criteria.n; i++) {
			struct err why = { 0 };

			if (n == MAX_CRITERIA)
				return err_set(e, ERR_INVALID, "criteria: more than %d with those of the groups above",
					       MAX_CRITERIA);
			if (filter_parse(ctx->arena,
					 arena_printf(ctx->arena, "%s[%s]=%s", c[i].field, c[i].operand, c[i].value),
					 &v[n++], &why) != 0)
				return err_set(e, ERR_INVALID, "criteria: number %zu of group %s: %s", i, above.id,
					       why.msg);
		}
		if (!above.parent_id)
			break;
		if (strcmp(above.parent_id, g->id) == 0 || level == MAX_LEVELS)
			return err_set(e, ERR_INVALID, "parent_id: group %s would be above itself", g->id);
		if (state_get(ctx->state, &group_type, above.parent_id, &above, e) != 0)
			return err_ctx(e, "parent_id");
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

/* Each criterion is tried by itself, so that the one that is wrong is named. */
int group_check(struct ctx *ctx, const void *rec, struct err *e)
{
	const struct group *g = rec;
	int64_t counts[DEVICE_STATUSES];
	struct filter *v;
	size_t n;

	if (filters_of(ctx, g, &v, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n && i < g->criteria.n; i++) {
		struct filter both[] = { v[i], { .field = "id", .op = OP_EQ, .value = "" } };
		struct query q = { .filters = both, .nfilters = 2 };
		struct err why = { 0 };

		if (ledger_device_counts(ctx->state, &q, counts, &why) != 0)
			return err_set(e, why.code == ERR_USAGE ? ERR_INVALID : why.code, "criteria: number %zu: %s", i,
				       why.msg);
	}
	return 0;
}

/* --- create, update --- */

struct write_args {
	const char *id, *file, *name, *parent;
	struct strv filter;
};

static int add_filters(struct ctx *ctx, const struct strv *texts, struct group *g, struct err *e)
{
	static const char *const names[] = { "eq", "ne", "ct", "nc", "sw", "ew", "gt", "ge", "lt", "le", "bf", "af",
					     "in", "nin" };
	struct group_criterion *v = arena_new_array(ctx->arena, texts->n + 1, struct group_criterion);

	for (size_t i = 0; i < texts->n; i++) {
		struct filter f;

		if (filter_parse(ctx->arena, texts->v[i], &f, e) != 0)
			return -1;
		v[i] = (struct group_criterion){ arena_strdup(ctx->arena, f.field),
						 arena_printf(ctx->arena, "%s%s", names[f.op],
							      f.ignore_case && f.op != OP_CT ? "_ic" : ""),
						 arena_strdup(ctx->arena, f.value) };
	}
	if (texts->n)
		g->criteria = (struct vec){ v, texts->n };
	return 0;
}

static int write(struct ctx *ctx, const struct write_args *a, bool exists, struct err *e)
{
	struct group g, old;

	rec_default(ctx->arena, &group_type, &g);
	if (a->file && generic_load(ctx, a->file, &group_type, &g, e) != 0)
		return -1;
	g.id = a->id ? arena_strdup(ctx->arena, a->id) : g.id;
	g.name = a->name ? arena_strdup(ctx->arena, a->name) : g.name;
	g.parent_id = a->parent ? arena_strdup(ctx->arena, a->parent) : g.parent_id;
	if (!g.id)
		return err_set(e, ERR_USAGE, "no id: give one, or a document that has one");
	if (add_filters(ctx, &a->filter, &g, e) != 0 || rec_check(ctx->arena, &group_type, &g, e) != 0 ||
	    refs_check(ctx, &group_type, &g, e) != 0)
		return -1;
	if (!exists && state_has(ctx->state, &group_type, g.id))
		return err_set(e, ERR_EXISTS, "group %s exists already", g.id);
	if (exists && state_get(ctx->state, &group_type, g.id, &old, e) != 0)
		return -1;
	g.created_at = exists ? old.created_at : ctx->now;
	if (state_put(ctx->state, &group_type, g.id, &g, e) != 0 ||
	    state_commit(ctx->state, arena_printf(ctx->arena, "group: %s %s", exists ? "update" : "create", g.id),
			 e) != 0)
		return -1;
	return out_record(ctx, &group_type, &g, e);
}

static int run_create(struct ctx *ctx, void *args, struct err *e)
{
	return write(ctx, args, false, e);
}

static int run_update(struct ctx *ctx, void *args, struct err *e)
{
	return write(ctx, args, true, e);
}

static const struct opt write_opts[] = {
	OSTR(write_args, file, 'f', "file", "The group as a YAML or JSON document; - is standard input."),
	OSTR(write_args, name, 0, "text", "A title for people."),
	OSTR(write_args, parent, 0, "group", "The group above, whose criteria hold too."),
	OLIST(write_args, filter, 0, "filter", "A criterion, as with `device list`."),
	OEND
};
static const struct operand write_operands[] = {
	PARAM(write_args, id, "id", "The group's id. Default: the document's.", .flags = P_OPTIONAL), { 0 }
};
static const struct cmd create_cmd = {
	.name = "create", .brief = "Make a group of devices", .opts = write_opts, .operands = write_operands,
	.argsize = sizeof(struct write_args),
	.needs = NEED_STATE | NEED_WRITE, .run = run_create, .type = &group_type,
	.example = "lamassu device group create north --filter dms=factory --filter 'tags[ct]=north'"
};
static const struct cmd update_cmd = {
	.name = "update", .brief = "Replace a group", .opts = write_opts, .operands = write_operands,
	.argsize = sizeof(struct write_args),
	.needs = NEED_STATE | NEED_WRITE, .run = run_update, .type = &group_type
};

/* --- list, show, set, delete --- */

static int run_list(struct ctx *ctx, void *args, struct err *e)
{
	return generic_list(ctx, args, &group_type, e);
}

static int run_show(struct ctx *ctx, void *args, struct err *e)
{
	return generic_show(ctx, ((const struct generic_ref *)args)->id, &group_type, e);
}

static int run_set(struct ctx *ctx, void *args, struct err *e)
{
	return generic_set(ctx, args, &group_type, e);
}

static int run_delete(struct ctx *ctx, void *args, struct err *e)
{
	const struct generic_ref *a = args;
	struct strv users;
	struct group g;

	if (state_get(ctx->state, &group_type, a->id, &g, e) != 0 ||
	    refs_users(ctx, &group_type, a->id, &users, e) != 0)
		return -1;
	if (users.n)
		return err_set(e, ERR_CONFLICT, "group %s is above %s", a->id, users.v[0]);
	if (cli_confirm(ctx, e, "delete group %s?", a->id) != 0 || state_del(ctx->state, &group_type, a->id, e) != 0 ||
	    state_commit(ctx->state, arena_printf(ctx->arena, "group: delete %s", a->id), e) != 0)
		return -1;
	return out_done(ctx, e, "deleted group %s", a->id);
}

static const struct operand id_operand[] = { PARAM(generic_ref, id, "group", "The group."), { 0 } };
static const struct cmd list_cmd = {
	.name = "list", .brief = "List groups", .needs = NEED_STATE | NEED_LIST, .run = run_list, .type = &group_type
};
static const struct cmd show_cmd = {
	.name = "show", .brief = "Show a group", .operands = id_operand, .argsize = sizeof(struct generic_ref),
	.needs = NEED_STATE, .run = run_show, .type = &group_type
};
static const struct cmd set_cmd = {
	.name = "set", .brief = "Change fields of a group", .operands = generic_set_operands,
	.argsize = sizeof(struct generic_set),
	.needs = NEED_STATE | NEED_WRITE, .run = run_set, .type = &group_type
};
static const struct cmd delete_cmd = {
	.name = "delete", .brief = "Delete a group", .operands = id_operand, .argsize = sizeof(struct generic_ref),
	.needs = NEED_STATE | NEED_WRITE | NEED_CONFIRM, .run = run_delete, .type = &group_type,
	.doc = "Its devices stay as they are."
};

/* --- members --- */

static int members(struct ctx *ctx, const char *id, struct filter **ret, size_t *ret_n, struct err *e)
{
	struct group g;

	return state_get(ctx->state, &group_type, id, &g, e) != 0 ? -1 : filters_of(ctx, &g, ret, ret_n, e);
}

static int run_devices(struct ctx *ctx, void *args, struct err *e)
{
	struct filter *v;
	struct query q;
	size_t n;

	if (members(ctx, ((const struct generic_ref *)args)->id, &v, &n, e) != 0)
		return -1;
	q = device_query_with(ctx, v, n);
	return device_print_query(ctx, &q, e);
}

static int run_stats(struct ctx *ctx, void *args, struct err *e)
{
	struct filter *v;
	size_t n;

	if (members(ctx, ((const struct generic_ref *)args)->id, &v, &n, e) != 0)
		return -1;
	return device_print_stats(ctx, &(struct query){ .filters = v, .nfilters = n }, e);
}

static const struct cmd devices_cmd = {
	.name = "devices", .brief = "List the devices of a group", .operands = id_operand,
	.argsize = sizeof(struct generic_ref),
	.needs = NEED_STATE | NEED_LIST, .run = run_devices, .type = &device_type,
	.example = "lamassu device group devices north --filter status=EXPIRED"
};
static const struct cmd stats_cmd = {
	.name = "stats", .brief = "Count the devices of a group by status", .operands = id_operand,
	.argsize = sizeof(struct generic_ref),
	.needs = NEED_STATE, .run = run_stats
};

static const struct cmd *const verbs[] = {
	&create_cmd, &list_cmd, &show_cmd, &update_cmd, &set_cmd, &delete_cmd, &devices_cmd, &stats_cmd, NULL
};
const struct cmd device_group_cmd = {
	.name = "group", .brief = "Groups of devices", .sub = verbs,
	.doc = "A group is a list of filters. Its devices are those that pass them, and those of the groups above it, "
	       "at the moment of asking."
};
