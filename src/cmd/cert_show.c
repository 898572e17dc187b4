/* `cert list`, `show`, `expiring`, `metadata`: what is known of certificates. A list of a million needs no memory. */
#include <string.h>

#include "base/text.h"
#include "cmd/cert.h"
#include "crypto/name.h"
#include "pki/cert_find.h"
#include "state/ledger.h"

/* --- list, expiring --- */

enum { FIRST_ROWS = 200 }; /* of a whole list: they decide the widths of the columns */

static int print_row(void *arg, const struct certrec *c, struct err *e)
{
	return out_list_rows(arg, c, 1, e);
}

/* All of it: the first rows together, the others one by one. */
static int print_all(struct ctx *ctx, struct query q, struct err *e)
{
	struct certrec *v;
	char *next;
	size_t n;

	q.page_size = FIRST_ROWS;
	if (ledger_certs(ctx->state, &q, &v, &n, &next, e) != 0 || out_list_begin(ctx, &certrec_type, e) != 0 ||
	    out_list_rows(ctx, v, n, e) != 0)
		return -1;
	q.offset += (int64_t)n;
	q.page_size = 0;
	if (next && ledger_each_cert(ctx->state, &q, print_row, ctx, e) != 0)
		return -1;
	return out_list_end(ctx, NULL, e);
}

static int print_query(struct ctx *ctx, const struct query *q, struct err *e)
{
	struct certrec *v;
	char *next;
	size_t n;

	if (q->page_size == 0)
		return print_all(ctx, *q, e);
	if (ledger_certs(ctx->state, q, &v, &n, &next, e) != 0)
		return -1;
	return out_list(ctx, &certrec_type, v, n, next, e);
}

static int run_list(struct ctx *ctx, void *args, struct err *e)
{
	(void)args;
	return print_query(ctx, cli_query(ctx), e);
}

const struct cmd cert_list_cmd = {
	.name = "list", .brief = "List certificates", .needs = NEED_STATE | NEED_LIST, .run = run_list,
	.type = &certrec_type,
	.example = "lamassu cert list --filter ca=devices --filter 'subject[ct]=sensor' --sort-by not_after "
		   "--sort-mode desc"
};

struct expiring_args {
	struct dur within;
};

static bool has_filter(const struct query *q, const struct filter *f)
{
	for (size_t i = 0; i < q->nfilters; i++)
		if (strcmp(q->filters[i].field, f->field) == 0 && q->filters[i].op == f->op)
			return true;
	return false;
}

static int run_expiring(struct ctx *ctx, void *args, struct err *e)
{
	const struct expiring_args *a = args;
	int64_t secs = a->within.text ? a->within.secs : INT64_C(30) * 86400;
	const struct filter own[] = {
		{ .field = "status", .op = OP_IN, .value = "ACTIVE,HELD" },
		{ .field = "not_after", .op = OP_LE, .value = tm_format(ctx->arena, ctx->now + secs) }
	};
	struct query q = *cli_query(ctx);
	struct filter *filters = arena_new_array(ctx->arena, q.nfilters + COUNT(own), struct filter);

	if (secs < 0)
		return err_set(e, ERR_USAGE, "--within must not be negative");
	if (q.nfilters)
		memcpy(filters, q.filters, q.nfilters * sizeof(*filters));
	q.filters = filters;
	for (size_t i = 0; i < COUNT(own); i++)
		if (!has_filter(cli_query(ctx), &own[i])) /* a bookmark carries them already */
			filters[q.nfilters++] = own[i];
	if (q.sort_by == NULL)
		q.sort_by = "not_after";
	return print_query(ctx, &q, e);
}

static const struct opt expiring_opts[] = { ODUR(expiring_args, within, 0, "duration", "How soon. Default: 30d."),
					    OEND };
const struct cmd cert_expiring_cmd = {
	.name = "expiring", .brief = "List live certificates that end soon", .opts = expiring_opts,
	.argsize = sizeof(struct expiring_args),
	.needs = NEED_STATE | NEED_LIST, .run = run_expiring, .type = &certrec_type,
	.example = "lamassu cert expiring --within 14d --filter ca=web"
};

/* --- show --- */

/* The record first, so that its fields keep their offsets. */
struct cert_view {
	struct certrec rec;
	char *issuer;
	char *extensions; /* JSON: name to value */
	char *certificate;
};
static const struct field more_fields[] = {
	STR(cert_view, issuer, "Issuer as text (RFC 4514)."),
	ANY(cert_view, extensions, "The extensions by name."),
	STR(cert_view, certificate, "The certificate in PEM.", .flags = F_HIDE),
	END
};

static size_t count_fields(const struct field *f)
{
	size_t n = 0;

	while (f[n].name)
		n++;
	return n;
}

/* The fields of the ledger's record and those above, in one table. */
static const struct schema *view_type(struct arena *ar)
{
	size_t n = count_fields(certrec_type.fields);
	struct field *fields = arena_new_array(ar, n + COUNT(more_fields), struct field);
	struct schema *s = arena_memdup(ar, &certrec_type, sizeof(certrec_type));

	memcpy(fields, certrec_type.fields, n * sizeof(*fields));
	memcpy(fields + n, more_fields, sizeof(more_fields));
	s->fields = fields;
	s->size = sizeof(struct cert_view);
	return s;
}

/* "keyUsage critical: digitalSignature" -> "keyUsage": "critical: digitalSignature" */
static int add_extension(struct arena *ar, const struct ext *x, char **json, struct err *e)
{
	char *line = ext_describe(ar, x), *colon = strstr(line, ": ");
	const char *name = arena_strndup(ar, line, strcspn(line, " :"));

	return any_set(ar, *json, name,
		       arena_printf(ar, "%s%s", x->critical ? "critical: " : "", colon ? colon + 2 : ""), json, e);
}

static int print_one(struct ctx *ctx, const struct found_cert *f, struct err *e)
{
	struct bytes pem = cert_pem(ctx->arena, f->cert.der);
	struct cert_view v = { .rec = f->rec, .certificate = arena_strndup(ctx->arena, (const char *)pem.p, pem.n) };

	if (name_format(ctx->arena, f->cert.issuer, &v.issuer, e) != 0)
		return -1;
	for (size_t i = 0; i < f->cert.exts.n; i++)
		if (add_extension(ctx->arena, &f->cert.exts.v[i], &v.extensions, e) != 0)
			return -1;
	return out_record(ctx, view_type(ctx->arena), &v, e);
}

int cert_print(struct ctx *ctx, const struct certrec *v, size_t n, struct err *e)
{
	struct certrec *now = arena_new_array(ctx->arena, n + 1, struct certrec);
	struct found_cert f;

	if (ctx->dry_run)
		return 0;
	if (n == 1)
		return cert_find(ctx, v->ca, v->serial_number, &f, e) != 0 ? -1 : print_one(ctx, &f, e);
	for (size_t i = 0; i < n; i++)
		if (ledger_cert(ctx->state, v[i].ca, v[i].serial_number, &now[i], e) != 0)
			return -1;
	return out_list(ctx, &certrec_type, now, n, NULL, e);
}

static int run_show(struct ctx *ctx, void *args, struct err *e)
{
	const struct cert_args *a = args;
	struct found_cert f;

	return cert_find(ctx, a->ca, a->cert, &f, e) != 0 ? -1 : print_one(ctx, &f, e);
}

const struct cmd cert_show_cmd = {
	.name = "show", .brief = "Show a certificate and what is known of it", .opts = cert_ca_opt,
	.operands = cert_operand, .argsize = sizeof(struct cert_args), .needs = NEED_STATE, .run = run_show,
	.type = &certrec_type,
	.example = "lamassu cert show 5f3a0c11\nlamassu cert show sensor-1.pem -o json"
};

/* --- metadata --- */

struct metadata_args {
	const char *cert, *ca;
	struct strv items;
};

static int change(struct ctx *ctx, const struct metadata_args *a, bool unset, struct err *e)
{
	struct found_cert f;

	if (cert_find(ctx, a->ca, a->cert, &f, e) != 0)
		return -1;
	for (size_t i = 0; i < a->items.n; i++) {
		const char *s = a->items.v[i], *eq = strchr(s, '=');
		if (!unset && (eq == NULL || eq == s))
			return err_set(e, ERR_USAGE, "\"%s\" is not of the form key=value",
				       text_escape(ctx->arena, bytes_of(s)));
		if (cert_set_metadata(ctx, &f.rec, unset ? s : arena_strndup(ctx->arena, s, (size_t)(eq - s)),
				      unset ? NULL : eq + 1, e) != 0)
			return -1;
	}
	if (state_commit(ctx->state, arena_printf(ctx->arena, "certificate: metadata of %s", f.rec.serial_number),
			 e) != 0)
		return -1;
	return cert_print(ctx, &f.rec, 1, e);
}

static int run_metadata_set(struct ctx *ctx, void *args, struct err *e)
{
	return change(ctx, args, false, e);
}

static int run_metadata_unset(struct ctx *ctx, void *args, struct err *e)
{
	return change(ctx, args, true, e);
}

static int run_metadata_show(struct ctx *ctx, void *args, struct err *e)
{
	const struct cert_args *a = args;
	struct found_cert f;
	static const struct field fields[] = {
		STR(certrec, serial_number, "Serial number.", .flags = F_KEY),
		STR(certrec, ca, "The issuing authority."),
		ANY(certrec, metadata, "Free key-value data."), END
	};
	static const struct schema type = {
		.name = "metadata", .plural = "metadata", .doc = "Free data of a certificate",
		.size = sizeof(struct certrec), .fields = fields
	};

	return cert_find(ctx, a->ca, a->cert, &f, e) != 0 ? -1 : out_record(ctx, &type, &f.rec, e);
}

static const struct opt metadata_opts[] = { OSTR(metadata_args, ca, 0, "ca", CERT_CA_DOC), OEND };
static const struct operand set_operands[] = {
	PARAM(metadata_args, cert, "cert", CERT_REF_DOC),
	PARAMS(metadata_args, items, "key=value", "Key and value; JSON, or plain text."), { 0 }
};
static const struct operand unset_operands[] = {
	PARAM(metadata_args, cert, "cert", CERT_REF_DOC), PARAMS(metadata_args, items, "key", "The key."), { 0 }
};
static const struct cmd set_cmd = {
	.name = "set", .brief = "Set free data of a certificate", .opts = metadata_opts, .operands = set_operands,
	.argsize = sizeof(struct metadata_args), .needs = NEED_STATE | NEED_WRITE, .run = run_metadata_set,
	.type = &certrec_type,
	.example = "lamassu cert metadata set 5f3a0c11 site=vienna rack=12"
};
static const struct cmd unset_cmd = {
	.name = "unset", .brief = "Remove free data of a certificate", .opts = metadata_opts,
	.operands = unset_operands, .argsize = sizeof(struct metadata_args), .needs = NEED_STATE | NEED_WRITE,
	.run = run_metadata_unset, .type = &certrec_type
};
static const struct cmd show_cmd = {
	.name = "show", .brief = "Show free data of a certificate", .opts = cert_ca_opt, .operands = cert_operand,
	.argsize = sizeof(struct cert_args), .needs = NEED_STATE, .run = run_metadata_show, .type = &certrec_type
};
static const struct cmd *const metadata_verbs[] = { &set_cmd, &unset_cmd, &show_cmd, NULL };
const struct cmd cert_metadata_cmd = {
	.name = "metadata", .brief = "Free data of a certificate", .sub = metadata_verbs,
	.doc = "The certificate's entry in the ledger never changes: each change of its metadata is an entry of its "
	       "own, and what is shown is the sum."
};
