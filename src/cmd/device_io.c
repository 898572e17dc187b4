/* `device import` and `export`: lists of devices from and to other systems. An import is one commit; a bad line is
 * named and the others are kept, unless --atomic. */
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "cmd/device.h"
#include "pki/device.h"
#include "pki/device_import.h"
#include "state/ledger.h"

static const char *const formats[] = { "csv", "json", NULL };

/* --- import --- */

struct import_args {
	const char *file, *dms;
	int format;
	bool atomic, update;
};

struct importing {
	struct ctx *ctx;
	const struct import_args *args;
	const char *name; /* of the file */
	struct device_line *v;
	size_t n, failed, added, changed;
	struct dms *managers; /* that were asked for */
	size_t nmanagers;
};

static int bad_line(struct importing *im, const struct device_line *l, const char *why, struct err *e)
{
	im->failed++;
	if (im->args->atomic)
		return err_set(e, ERR_INVALID, "%s:%zu: %s; nothing was imported", im->name, l->line, why);
	ctx_fault(im->ctx, "%s:%zu: %s", im->name, l->line, why);
	return 0;
}

static const struct dms *manager(struct importing *im, const char *id, struct err *e)
{
	struct dms d;

	for (size_t i = 0; i < im->nmanagers; i++)
		if (strcmp(im->managers[i].id, id) == 0)
			return &im->managers[i];
	if (state_get(im->ctx->state, &dms_type, id, &d, e) != 0)
		return NULL;
	im->managers = arena_grow(im->ctx->arena, im->managers, im->nmanagers, sizeof(d));
	im->managers[im->nmanagers] = d;
	return &im->managers[im->nmanagers++];
}

static int by_id(const void *x, const void *y)
{
	const struct device_line *a = *(struct device_line *const *)x, *b = *(struct device_line *const *)y;
	int r = strcmp(a->entry.device, b->entry.device);

	return r != 0 ? r : (a->line > b->line) - (a->line < b->line);
}

/* The second of two lines about one device is the bad one. */
static void find_twins(struct importing *im)
{
	struct device_line **sorted = arena_new_array(im->ctx->arena, im->n + 1, struct device_line *);
	size_t n = 0;

	for (size_t i = 0; i < im->n; i++)
		if (!im->v[i].why)
			sorted[n++] = &im->v[i];
	if (n)
		qsort(sorted, n, sizeof(*sorted), by_id);
	for (size_t i = 1; i < n; i++)
		if (strcmp(sorted[i]->entry.device, sorted[i - 1]->entry.device) == 0)
			sorted[i]->why = arena_printf(im->ctx->arena, "device \"%s\" is on line %zu too",
						      sorted[i]->entry.device, sorted[i - 1]->line);
}

/* Completes the entry of one line from what the ledger and the policy know; nothing is added yet, so that the cache is
 * asked about committed entries only. */
static int judge(struct importing *im, struct device_line *l, struct err *why)
{
	const struct dms *d = NULL;
	struct device old;
	bool found;

	if (!l->entry.dms && im->args->dms)
		l->entry.dms = arena_strdup(im->ctx->arena, im->args->dms);
	if (l->entry.dms && !(d = manager(im, l->entry.dms, why)))
		return -1;
	if (ledger_device_seq(im->ctx->state, l->entry.device, &l->entry.seq, why) != 0)
		return -1;
	found = l->entry.seq > 1;
	if (found && ledger_find_device(im->ctx->state, l->entry.device, &found, &old, why) != 0)
		return -1;
	if (found && !im->args->update)
		return err_set(why, ERR_EXISTS, "device \"%s\" is registered already; --update changes it",
			       l->entry.device);
	if (!found && !d)
		return err_set(why, ERR_INVALID, "no dms: give a column, or --dms");
	if (!found)
		device_registration(im->ctx->arena, d, l->entry.device,
				    &(struct device_entry){ .seq = l->entry.seq, .alias = l->entry.alias,
				    .icon = l->entry.icon, .icon_color = l->entry.icon_color, .tags = l->entry.tags,
				    .metadata = l->entry.metadata }, &l->entry);
	else
		l->entry.action = DEVICE_CHANGE;
	return 0;
}

static int judge_all(struct importing *im, struct err *e)
{
	for (size_t i = 0; i < im->n; i++) {
		struct device_line *l = &im->v[i];
		struct err why = { 0 };

		if (!l->why && judge(im, l, &why) != 0) {
			if (why.code == ERR_IO) {
				*e = why;
				return -1;
			}
			l->why = arena_strdup(im->ctx->arena, why.msg);
		}
		if (l->why && bad_line(im, l, l->why, e) != 0)
			return -1;
		if (i % 1000 == 0)
			ctx_progress(im->ctx, "reading", i, im->n);
	}
	return 0;
}

static int add_all(struct importing *im, struct err *e)
{
	for (size_t i = 0; i < im->n; i++) {
		const struct device_line *l = &im->v[i];

		if (l->why)
			continue;
		if (ledger_add_device(im->ctx->state, &l->entry, e) != 0)
			return -1;
		im->added += l->entry.action == DEVICE_REGISTER;
		im->changed += l->entry.action == DEVICE_CHANGE;
	}
	return 0;
}

static int format_of(const struct import_args *a, struct bytes text)
{
	size_t i = 0;

	if (a->format >= 0)
		return a->format;
	while (i < text.n && strchr(" \t\r\n\xef\xbb\xbf", text.p[i]))
		i++;
	return i < text.n && (text.p[i] == '[' || text.p[i] == '{') ? DEVICES_JSON : DEVICES_CSV;
}

static int run_import(struct ctx *ctx, void *args, struct err *e)
{
	const struct import_args *a = args;
	struct importing im = { .ctx = ctx, .args = a, .name = strcmp(a->file, "-") == 0 ? "standard input" : a->file };
	struct bytes text;
	int rc;

	if (fs_read_input(ctx->arena, a->file, DEVICES_MAX_BYTES, &text, e) != 0)
		return -1;
	if (devices_read(ctx->arena, (enum device_format)format_of(a, text), text, &im.v, &im.n, e) != 0)
		return err_ctx(e, "%s", im.name);
	find_twins(&im);
	if (ledger_read_begin(ctx->state, e) != 0)
		return -1;
	rc = judge_all(&im, e);
	ledger_read_end(ctx->state);
	if (rc != 0 || add_all(&im, e) != 0)
		return -1;
	if (im.added + im.changed > 0 &&
	    state_commit(ctx->state, arena_printf(ctx->arena, "device: import %s",
							   text_count(ctx->arena, im.added + im.changed, "device",
								      NULL)), e) != 0)
		return -1;
	if (out_done(ctx, e, "imported %s, changed %zu", text_count(ctx->arena, im.added, "device", NULL),
		     im.changed) != 0)
		return -1;
	return im.failed ? err_set(e, ERR_PARTIAL, "%zu of %s failed", im.failed,
				   text_count(ctx->arena, im.n, "device", NULL)) : 0;
}

static const struct opt import_opts[] = {
	OSTR(import_args, dms, 0, "dms", "Device manager of the devices for which the file names none."),
	OENUM(import_args, format, 0, formats, "csv or json. Default: as the file begins."),
	OFLAG(import_args, update, 0, "Change devices that are registered already; what the file does not say stays."),
	OFLAG(import_args, atomic, 0, "All or none."),
	OEND
};
static const struct operand import_operands[] = { PARAM(import_args, file, "file", "The list; - is standard input."),
						  { 0 } };
const struct cmd device_import_cmd = {
	.name = "import", .brief = "Register devices from a list", .opts = import_opts, .operands = import_operands,
	.argsize = sizeof(struct import_args), .needs = NEED_STATE | NEED_WRITE, .run = run_import,
	.type = &device_type,
	.doc = "CSV has a first line with the names of its columns: id, dms, alias, tags (a|b), metadata (JSON), "
	       "metadata.KEY, icon, icon_color. JSON is an array of objects with these members, {\"list\": […]}, or "
	       "one object after the other.\n\n"
	       "All of it is one commit. Lines that are wrong are named, and the others imported; the exit status "
	       "is 1 then.",
	.example = "lamassu device import batch-17.csv --dms factory\nlamassu device import fleet.json --update "
		   "--atomic"
};

/* --- export --- */

struct export_args {
	const char *out;
	int format;
};

struct exporting {
	struct arena *a;
	struct buf *out;
	int format;
	size_t n;
};

static int export_one(void *arg, const struct device *d, struct err *e)
{
	struct exporting *x = arg;
	const struct device_doc doc = { .id = d->id, .dms = d->dms, .alias = d->alias, .icon = d->icon,
					.icon_color = d->icon_color, .metadata = d->metadata, .tags = d->tags };
	SCOPED_ARENA *scratch = arena_new();

	if (x->format == DEVICES_CSV) {
		devices_csv_line(scratch, d, x->out);
	} else {
		buf_puts(x->out, x->n ? ",\n" : "");
		rec_json(&device_doc_type, &doc, 0, x->out);
	}
	x->n++;
	return x->out->over ? err_set(e, ERR_IO, "the list is too large") : 0;
}

static int run_export(struct ctx *ctx, void *args, struct err *e)
{
	const struct export_args *a = args;
	SCOPED_BUF b = buf_init(BUF_BIG);
	struct exporting x = { .a = ctx->arena, .out = &b, .format = a->format < 0 ? DEVICES_CSV : a->format };
	struct query q = *cli_query(ctx);

	q.page_size = 0;
	if (!q.sort_by)
		q.sort_by = "id";
	if (x.format == DEVICES_CSV)
		devices_csv_header(&b);
	else
		buf_puts(&b, "[");
	if (ledger_each_device(ctx->state, &q, export_one, &x, e) != 0)
		return -1;
	if (x.format == DEVICES_JSON)
		buf_puts(&b, "]\n");
	return out_bytes(ctx, a->out, buf_bytes(&b), false, true, e);
}

static const struct opt export_opts[] = {
	OENUM(export_args, format, 0, formats, "csv (the default) or json."),
	OSTR(export_args, out, 0, "file", "Where to write it. Default: standard output."),
	OEND
};
const struct cmd device_export_cmd = {
	.name = "export", .brief = "Write a list of devices that `device import` reads", .opts = export_opts,
	.argsize = sizeof(struct export_args),
	.needs = NEED_STATE | NEED_LIST, .run = run_export, .type = &device_type,
	.doc = "All devices that pass the filters, with what was registered; not their certificates or statuses.",
	.example = "lamassu device export --filter dms=factory --out factory.csv"
};
