/* `device`: what is known of devices. Lists of a million need no memory, and nothing is read that the page does not
 * show. */
#include "cmd/device.h"

#include <string.h>

#include "base/text.h"
#include "pki/device.h"
#include "state/ledger.h"

enum { FIRST_ROWS = 200 }; /* of a whole list: they decide the widths of the columns */

const struct operand device_operand[] = { PARAM(device_ref, device, "device", "The device's id."), { 0 } };

/* --- list --- */

static int print_row(void *arg, const struct device *d, struct err *e)
{
	return out_list_rows(arg, d, 1, e);
}

static int print_all(struct ctx *ctx, struct query q, struct err *e)
{
	struct device *v;
	char *next;
	size_t n;

	q.page_size = FIRST_ROWS;
	if (ledger_devices(ctx->state, &q, &v, &n, &next, e) != 0 || out_list_begin(ctx, &device_type, e) != 0 ||
	    out_list_rows(ctx, v, n, e) != 0)
		return -1;
	q.offset += (int64_t)n;
	q.page_size = 0;
	if (next && ledger_each_device(ctx->state, &q, print_row, ctx, e) != 0)
		return -1;
	return out_list_end(ctx, NULL, e);
}

int device_print_query(struct ctx *ctx, const struct query *q, struct err *e)
{
	struct device *v;
	char *next;
	size_t n;

	if (q->page_size == 0)
		return print_all(ctx, *q, e);
	if (ledger_devices(ctx->state, q, &v, &n, &next, e) != 0)
		return -1;
	return out_list(ctx, &device_type, v, n, next, e);
}

struct query device_query_with(struct ctx *ctx, const struct filter *more, size_t n)
{
	struct query q = *cli_query(ctx);
	struct filter *filters = arena_new_array(ctx->arena, q.nfilters + n + 1, struct filter);

	for (size_t i = 0; i < q.nfilters; i++)
		filters[i] = q.filters[i];
	for (size_t i = 0; i < n; i++) {
		size_t k = 0;

		while (k < q.nfilters &&
		       !(filters[k].op == more[i].op && strcmp(filters[k].field, more[i].field) == 0 &&
			 strcmp(filters[k].value, more[i].value) == 0))
			k++;
		if (k == q.nfilters)
			filters[q.nfilters++] = more[i];
	}
	q.filters = filters;
	return q;
}

static int run_list(struct ctx *ctx, void *args, struct err *e)
{
	(void)args;
	return device_print_query(ctx, cli_query(ctx), e);
}

static const struct cmd list_cmd = {
	.name = "list", .brief = "List devices", .needs = NEED_STATE | NEED_LIST, .run = run_list, .type = &device_type,
	.doc = "Statuses are those of now: RENEWAL_PENDING and EXPIRING_SOON begin the preventive and the critical "
	       "delta of the device's manager before its certificate ends.",
	.example = "lamassu device list --filter status=EXPIRING_SOON\nlamassu device list --filter dms=factory "
		   "--filter 'tags[ct]=lab' --sort-by expiration_date"
};

/* --- show, events --- */

int device_print(struct ctx *ctx, const char *id, struct err *e)
{
	struct device d;

	if (ctx->dry_run)
		return 0;
	return ledger_device(ctx->state, id, &d, e) != 0 ? -1 : out_record(ctx, &device_type, &d, e);
}

static int run_show(struct ctx *ctx, void *args, struct err *e)
{
	return device_print(ctx, ((const struct device_ref *)args)->device, e);
}

static const struct cmd show_cmd = {
	.name = "show", .brief = "Show a device and its identity", .operands = device_operand,
	.argsize = sizeof(struct device_ref),
	.needs = NEED_STATE, .run = run_show, .type = &device_type, .example = "lamassu device show sensor-1 -o json"
};

static int run_events(struct ctx *ctx, void *args, struct err *e)
{
	const struct device_ref *a = args;
	struct device_event *v;
	size_t n;

	if (device_id_check(a->device, e) != 0 || ledger_device_events(ctx->state, a->device, &v, &n, e) != 0)
		return -1;
	if (n == 0)
		return err_set(e, ERR_NOT_FOUND, "device \"%s\" was never registered", a->device);
	return out_list(ctx, &device_event_type, v, n, NULL, e);
}

static const struct cmd events_cmd = {
	.name = "events", .brief = "Show what happened to a device", .operands = device_operand,
	.argsize = sizeof(struct device_ref),
	.needs = NEED_STATE, .run = run_events, .type = &device_event_type,
	.doc = "From the ledger, oldest first, with who did it and why; also of devices that are deleted."
};

/* --- stats --- */

struct device_stats {
	int64_t total;
	char *status_distribution;
	int64_t bootstrap_issued, bootstrap_used, refusals;
	char *refused_by;
};
static const struct field stats_fields[] = {
	INT(device_stats, total, "How many devices.", .flags = F_SHOW0),
	ANY(device_stats, status_distribution, "How many of each status."),
	INT(device_stats, bootstrap_issued, "Bootstrap certificates that were issued.", .flags = F_SHOW0),
	INT(device_stats, bootstrap_used, "Those of them that are revoked: used, or withdrawn.", .flags = F_SHOW0),
	INT(device_stats, refusals, "Requests for certificates that listeners refused, as far as they are summed up.",
	    .flags = F_SHOW0),
	ANY(device_stats, refused_by, "How many for which reason."),
	END
};
static const struct schema stats_type = {
	.name = "stats", .plural = "stats", .doc = "Numbers of devices", .size = sizeof(struct device_stats),
	.fields = stats_fields
};

static int add_refusals(struct ctx *ctx, struct device_stats *s, struct err *e)
{
	struct refusal_count *v;
	size_t n;

	if (ledger_refusals(ctx->state, NULL, &v, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		s->refusals += v[i].n;
		if (v[i].reason &&
		    any_set(ctx->arena, s->refused_by, v[i].reason, arena_printf(ctx->arena, "%lld", (long long)v[i].n),
			    &s->refused_by, e) != 0)
			return -1;
	}
	return 0;
}

int device_print_stats(struct ctx *ctx, const struct query *q, struct err *e)
{
	int64_t counts[DEVICE_STATUSES];
	struct device_stats s = { 0 };

	if (ledger_device_counts(ctx->state, q, counts, e) != 0)
		return -1;
	for (int i = 0; i < DEVICE_STATUSES; i++) {
		s.total += counts[i];
		if (any_set(ctx->arena, s.status_distribution, device_status_names[i],
			    arena_printf(ctx->arena, "%lld", (long long)counts[i]), &s.status_distribution, e) != 0)
			return -1;
	}
	if (ledger_bootstrap_count(ctx->state, &s.bootstrap_issued, &s.bootstrap_used, e) != 0 ||
	    add_refusals(ctx, &s, e) != 0)
		return -1;
	return out_record(ctx, &stats_type, &s, e);
}

struct stats_args {
	struct strv filter;
};

static int run_stats(struct ctx *ctx, void *args, struct err *e)
{
	const struct stats_args *a = args;
	struct query q = { .nfilters = a->filter.n,
			   .filters = arena_new_array(ctx->arena, a->filter.n + 1, struct filter) };

	for (size_t i = 0; i < a->filter.n; i++)
		if (filter_parse(ctx->arena, a->filter.v[i], &q.filters[i], e) != 0)
			return -1;
	return device_print_stats(ctx, &q, e);
}

static const struct opt stats_opts[] =
	{ OLIST(stats_args, filter, 0, "filter", "Only devices that pass it, as with `device list`."), OEND };
static const struct cmd stats_cmd = {
	.name = "stats", .brief = "Count devices by status", .opts = stats_opts, .argsize = sizeof(struct stats_args),
	.needs = NEED_STATE, .run = run_stats, .type = &stats_type,
	.example = "lamassu device stats --filter dms=factory -o json"
};

/* --- renewals --- */

static int renewals_of(struct ctx *ctx, const struct query *q, struct device_renewal **ret, size_t *ret_n,
		       char **ret_next, struct err *e)
{
	struct device *v;
	size_t n;

	if (ledger_devices(ctx->state, q, &v, &n, ret_next, e) != 0)
		return -1;
	*ret = arena_new_array(ctx->arena, n + 1, struct device_renewal);
	for (size_t i = 0; i < n; i++)
		if (device_renewal_of(ctx, &v[i], &(*ret)[i], e) != 0)
			return -1;
	*ret_n = n;
	return 0;
}

static int run_renewals(struct ctx *ctx, void *args, struct err *e)
{
	const struct filter due = { .field = "status", .op = OP_IN, .value = "RENEWAL_PENDING,EXPIRING_SOON,EXPIRED" };
	struct query q = device_query_with(ctx, &due, 1);
	struct device_renewal *v;
	char *next;
	size_t n;

	(void)args;
	if (q.sort_by == NULL)
		q.sort_by = "expiration_date";
	return renewals_of(ctx, &q, &v, &n, &next, e) != 0 ? -1 : out_list(ctx, &device_renewal_type, v, n, next, e);
}

static const struct cmd renewals_cmd = {
	.name = "renewals", .brief = "List the devices that must renew, and when", .needs = NEED_STATE | NEED_LIST,
	.run = run_renewals, .type = &device_renewal_type, .doc = "Those that are RENEWAL_PENDING, EXPIRING_SOON or "
								  "EXPIRED, the most urgent first.",
	.example = "lamassu device renewals --filter dms=factory -o json"
};

static const struct cmd *const verbs[] = {
	&device_register_cmd, &device_import_cmd, &device_export_cmd, &list_cmd, &show_cmd, &events_cmd,
	&device_set_cmd, &device_metadata_cmd,
	&stats_cmd, &renewals_cmd, &device_bootstrap_cmd, &device_psk_cmd, &device_decommission_cmd, &device_delete_cmd,
	&device_compromise_cmd,
	&device_unblock_cmd, &device_group_cmd, &device_enroll_cmd, &device_renew_cmd, NULL
};
const struct cmd device_cmd = {
	.name = "device", .brief = "Devices and their identities", .sub = verbs,
	.doc = "A device is registered with a device manager, gets its certificates through EST, and has the history "
	       "that the ledger has of it."
};
