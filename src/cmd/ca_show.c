/* `ca list`, `show`, `tree`, `certs`, `stats`, `export`: looking at authorities. Writes nothing to the repository. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cmd/ca.h"
#include "crypto/bundle.h"
#include "pki/advice.h"
#include "pki/stats.h"
#include "state/ledger.h"

/* --- list, show --- */

static int run_list(struct ctx *ctx, void *args, struct err *e)
{
	struct authority *all;
	struct ca_view *views;
	char *next;
	size_t n;

	(void)args;
	if (authority_all(ctx, &all, &n, e) != 0)
		return -1;
	views = arena_new_array(ctx->arena, n + 1, struct ca_view);
	for (size_t i = 0; i < n; i++)
		if (authority_view(ctx, &all[i], &views[i], e) != 0)
			return -1;
	if (query_run(ctx->arena, cli_query(ctx), &ca_view_type, views, &n, ctx->now, &next, e) != 0)
		return -1;
	return out_list(ctx, &ca_view_type, views, n, next, e);
}

const struct cmd ca_list_cmd = {
	.name = "list", .brief = "List authorities", .needs = NEED_STATE | NEED_LIST, .run = run_list,
	.type = &ca_view_type,
	.example = "lamassu ca list --filter status=ACTIVE --sort-by valid_to"
};

static int run_show(struct ctx *ctx, void *args, struct err *e)
{
	const struct ca_ref *a = args;
	SCOPED_AUTHORITY ca = { 0 };

	return authority_load(ctx, a->ca, &ca, e) != 0 ? -1 : ca_print(ctx, &ca, e);
}

const struct cmd ca_show_cmd = {
	.name = "show", .brief = "Show one authority", .operands = ca_operand, .argsize = sizeof(struct ca_ref),
	.needs = NEED_STATE, .run = run_show, .type = &ca_view_type, .example = "lamassu ca show root -o json"
};

/* --- tree --- */

struct tree_row {
	char *tree, *id;
	int status;
	int64_t level;
	char *subject;
	int64_t valid_to;
	char *key_type;
};

static const struct field tree_fields[] = {
	STR(tree_row, tree, "The id, indented by level.", .flags = F_COL),
	STR(tree_row, id, "Identifier.", .flags = F_KEY),
	ENUM(tree_row, status, ca_status_names, "Status.", .flags = F_COL | F_SHOW0),
	INT(tree_row, level, "Level.", .flags = F_SHOW0),
	STR(tree_row, subject, "Distinguished name.", .flags = F_COL),
	TIME(tree_row, valid_to, "notAfter.", .flags = F_COL),
	STR(tree_row, key_type, "Type and size of the key.", .flags = F_COL),
	END
};
static const struct schema tree_type = {
	.name = "ca", .plural = "cas", .doc = "An authority in its hierarchy", .size = sizeof(struct tree_row),
	.fields = tree_fields
};

struct tree {
	struct ctx *ctx;
	struct authority *all;
	size_t n;
	struct tree_row *rows;
	size_t nrows;
};

static int add_below(struct tree *t, const char *parent, const char *indent, struct err *e)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct authority *a = &t->all[i];
		struct ca_view v;
		bool below = a->rec.parent_id ? parent && strcmp(a->rec.parent_id, parent) == 0 : parent == NULL;

		if (!below)
			continue;
		if (authority_view(t->ctx, a, &v, e) != 0)
			return -1;
		t->rows[t->nrows++] = (struct tree_row){ arena_printf(t->ctx->arena, "%s%s", indent, v.id), v.id,
							 v.status, v.level,
			v.subject, v.valid_to, v.key_type };
		if (add_below(t, v.id, arena_printf(t->ctx->arena, "  %s", indent), e) != 0)
			return -1;
	}
	return 0;
}

static int run_tree(struct ctx *ctx, void *args, struct err *e)
{
	struct tree t = { .ctx = ctx };

	(void)args;
	if (authority_all(ctx, &t.all, &t.n, e) != 0)
		return -1;
	t.rows = arena_new_array(ctx->arena, t.n + 1, struct tree_row);
	if (add_below(&t, NULL, "", e) != 0)
		return -1;
	return out_list(ctx, &tree_type, t.rows, t.nrows, NULL, e);
}

const struct cmd ca_tree_cmd = {
	.name = "tree", .brief = "Show the hierarchy", .needs = NEED_STATE, .run = run_tree, .type = &tree_type
};

/* --- lint --- */

struct lint_args {
	struct strv cas;
	bool strict;
};

static int lint_one(struct ctx *ctx, const char *id, struct advice **all, size_t *n, struct err *e)
{
	SCOPED_AUTHORITY ca = { 0 };
	struct advice *v;
	size_t count;

	if (authority_load(ctx, id, &ca, e) != 0 || advise_practice(ctx, &ca, &v, &count, e) != 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		*all = arena_grow(ctx->arena, *all, *n, sizeof(**all));
		(*all)[(*n)++] = v[i];
	}
	return 0;
}

static int run_lint(struct ctx *ctx, void *args, struct err *e)
{
	const struct lint_args *a = args;
	struct strv ids = a->cas;
	struct advice *all = NULL;
	size_t n = 0;

	if (ids.n == 0 && state_ids(ctx->state, &ca_type, &ids, e) != 0)
		return -1;
	for (size_t i = 0; i < ids.n; i++)
		if (lint_one(ctx, ids.v[i], &all, &n, e) != 0)
			return -1;
	if (out_list(ctx, &advice_type, all, n, NULL, e) != 0)
		return -1;
	return a->strict && n
	       ? err_set(e, ERR_CHECK, "%s from best practice", text_count(ctx->arena, n, "departure", NULL)) : 0;
}

static const struct opt lint_opts[] = { OFLAG(lint_args, strict, 0, "Exit with status 5 when something is found."),
					OEND };
static const struct operand lint_operands[] = { PARAMS_OPT(lint_args, cas, "ca", "The authorities. Default: all."),
						{ 0 } };

const struct cmd ca_lint_cmd = {
	.name = "lint", .brief = "Compare authorities with best practice", .opts = lint_opts, .operands = lint_operands,
	.argsize = sizeof(struct lint_args), .needs = NEED_STATE, .run = run_lint, .type = &advice_type,
	.doc = "Key sizes per level, recommended validity, roots in software or signing end-entity certificates, one "
	       "authority for several types of certificate, missing expiration deltas."
};

/* --- certs --- */

/* The query with `ca=ID` added; a bookmark carries it already. */
static struct query only_of(struct ctx *ctx, const char *ca)
{
	struct query q = *cli_query(ctx);
	struct filter *filters = arena_new_array(ctx->arena, q.nfilters + 1, struct filter);

	for (size_t i = 0; i < q.nfilters; i++) {
		filters[i] = q.filters[i];
		if (strcmp(q.filters[i].field, "ca") == 0 && q.filters[i].op == OP_EQ &&
		    strcmp(q.filters[i].value, ca) == 0)
			return q;
	}
	filters[q.nfilters++] = (struct filter){ .field = "ca", .op = OP_EQ, .value = ca };
	q.filters = filters;
	return q;
}

static int run_certs(struct ctx *ctx, void *args, struct err *e)
{
	const struct ca_ref *a = args;
	SCOPED_AUTHORITY ca = { 0 };
	struct certrec *v;
	struct query q;
	char *next;
	size_t n;

	if (authority_load(ctx, a->ca, &ca, e) != 0)
		return -1;
	q = only_of(ctx, ca.rec.id);
	if (ledger_certs(ctx->state, &q, &v, &n, &next, e) != 0)
		return -1;
	return out_list(ctx, &certrec_type, v, n, next, e);
}

const struct cmd ca_certs_cmd = {
	.name = "certs", .brief = "List what an authority issued", .operands = ca_operand,
	.argsize = sizeof(struct ca_ref),
	.needs = NEED_STATE | NEED_LIST, .run = run_certs, .type = &certrec_type,
	.example = "lamassu ca certs devices --filter status=REVOKED"
};

/* --- stats --- */

struct stats_args {
	const char *ca;
};

/* For people: the numbers, then a row for each period in which something ends. */
static int print_stats(struct ctx *ctx, struct pki_stats s, struct err *e)
{
	struct expiry_bin *bins = s.expiry.v;
	size_t n = 0;

	for (size_t i = 0; i < s.expiry.n; i++)
		if (bins[i].n)
			bins[n++] = bins[i];
	s.expiry = (struct vec){ 0 };
	if (out_record(ctx, &stats_type, &s, e) != 0)
		return -1;
	return n ? out_list(ctx, &expiry_bin_type, bins, n, NULL, e) : 0;
}

static int run_stats(struct ctx *ctx, void *args, struct err *e)
{
	const struct stats_args *a = args;
	SCOPED_AUTHORITY ca = { 0 };
	struct pki_stats s;

	if (a->ca && authority_load(ctx, a->ca, &ca, e) != 0)
		return -1;
	if (stats_collect(ctx, a->ca ? ca.rec.id : NULL, &s, e) != 0)
		return -1;
	return out_is_table(ctx) ? print_stats(ctx, s, e) : out_record(ctx, &stats_type, &s, e);
}

static const struct operand stats_operands[] = {
	PARAM(stats_args, ca, "ca", "Only this authority. Default: all.", .flags = P_OPTIONAL), { 0 }
};

const struct cmd ca_stats_cmd = {
	.name = "stats", .brief = "Count authorities and certificates", .operands = stats_operands,
	.argsize = sizeof(struct stats_args),
	.needs = NEED_STATE, .run = run_stats, .type = &stats_type,
	.doc = "Authorities by status and engine; certificates by status and authority; how many live ones end in each "
	       "of the next twelve periods of 30 days."
};

/* --- export --- */

struct export_args {
	const char *ca, *out, *link;
	int format;
	bool chain;
};
enum export_format { EXPORT_PEM, EXPORT_DER, EXPORT_P7B };
static const char *const export_formats[] = { "pem", "der", "p7b", NULL };

static int export_text(struct ctx *ctx, const struct export_args *a, const struct bytes *ders, size_t n,
		       struct bytes *ret, struct err *e)
{
	SCOPED_BUF b = buf_init(BUF_TEXT);
	struct bytes p7;

	if (a->format == EXPORT_P7B) {
		if (p7_certs(ctx->arena, ders, n, &p7, e) != 0)
			return -1;
		*ret = pem_encode(ctx->arena, "PKCS7", p7);
		return 0;
	}
	if (a->format == EXPORT_DER && n > 1)
		return err_set(e, ERR_USAGE, "a chain has no DER form: use --format p7b");
	for (size_t i = 0; i < n; i++) {
		struct bytes one = a->format == EXPORT_DER ? ders[i] : cert_pem(ctx->arena, ders[i]);
		buf_put(&b, one.p, one.n);
	}
	*ret = (struct bytes){ arena_memdup(ctx->arena, b.p, b.n), b.n };
	return 0;
}

static int run_export(struct ctx *ctx, void *args, struct err *e)
{
	const struct export_args *a = args;
	SCOPED_AUTHORITY ca = { 0 };
	struct bytes *ders, text;
	size_t n;

	if (authority_load(ctx, a->ca, &ca, e) != 0)
		return -1;
	if (a->link) {
		const char *path = arena_printf(ctx->arena, "cas/%s/%s.pem", ca.rec.id, a->link);
		if (!id_valid(a->link))
			return err_set(e, ERR_USAGE, "--link \"%s\" is not a name",
				       text_escape(ctx->arena, bytes_of(a->link)));
		if (state_read(ctx->state, path, &text, e) != 0)
			return -1;
		return out_bytes(ctx, a->out, text, false, true, e);
	}
	if (ca.cert.der.n == 0)
		return err_set(e, ERR_NOT_FOUND, "ca %s is PENDING and has no certificate", ca.rec.id);
	if (authority_chain(ctx->arena, &ca, &ders, &n, e) != 0 ||
	    export_text(ctx, a, ders, a->chain ? n : 1, &text, e) != 0)
		return -1;
	return out_bytes(ctx, a->out, text, false, true, e);
}

static const struct opt export_opts[] = {
	OSTR(export_args, out, 0, "file", "Where it goes. Default: standard output."),
	OENUM(export_args, format, 0, export_formats, "pem, der or p7b."),
	OFLAG(export_args, chain, 0, "With its issuers up to the root."),
	OSTR(export_args, link, 0, "name",
	     "Another certificate kept for it: new-with-old, old-with-new, cross-SERIAL, or a serial number."),
	OEND
};
static const struct operand export_operands[] = { PARAM(export_args, ca, "ca", "The authority."), { 0 } };

const struct cmd ca_export_cmd = {
	.name = "export", .brief = "Write an authority's certificate", .opts = export_opts, .operands = export_operands,
	.argsize = sizeof(struct export_args), .needs = NEED_STATE, .run = run_export,
	.example = "lamassu ca export root --out root.pem"
};
