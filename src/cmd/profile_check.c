/* `profile lint`, `preview`, `schema`: looking at profiles before they are used. Writes nothing to the repository. */
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "cmd/profile.h"
#include "cmd/refs.h"
#include "pki/advice.h"
#include "pki/issue.h"
#include "pki/preview.h"
#include "state/state.h"

/* --- lint --- */

struct lint_args {
	struct strv ids;
	bool strict;
};

struct findings {
	struct advice *v;
	size_t n;
};

static int lint_one(struct ctx *ctx, const char *id, struct findings *f, struct err *e)
{
	struct profile p;
	struct advice *v;
	size_t n;

	if (state_get(ctx->state, &profile_type, id, &p, e) != 0 || advise_profile(ctx, &p, &v, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		f->v = arena_grow(ctx->arena, f->v, f->n, sizeof(*f->v));
		f->v[f->n++] = v[i];
	}
	return 0;
}

static int run_lint(struct ctx *ctx, void *args, struct err *e)
{
	const struct lint_args *a = args;
	struct strv ids = a->ids;
	struct findings f = { 0 };

	if (ids.n == 0 && state_ids(ctx->state, &profile_type, &ids, e) != 0)
		return -1;
	for (size_t i = 0; i < ids.n; i++)
		if (lint_one(ctx, ids.v[i], &f, e) != 0)
			return -1;
	if ((f.n || !out_is_table(ctx)) && out_list(ctx, &advice_type, f.v, f.n, NULL, e) != 0)
		return -1;
	if (a->strict && f.n)
		return err_set(e, ERR_CHECK, "%s", text_count(ctx->arena, f.n, "finding", NULL));
	return 0;
}

static const struct opt lint_opts[] = { OFLAG(lint_args, strict, 0, "Exit with status 5 when something is found."),
					OEND };
static const struct operand lint_operands[] = { PARAMS_OPT(lint_args, ids, "profile", "The profiles. Default: all."),
						{ 0 } };
const struct cmd profile_lint_cmd = {
	.name = "lint", .brief = "Warn where profiles go against the best practices", .opts = lint_opts,
	.operands = lint_operands, .argsize = sizeof(struct lint_args), .needs = NEED_STATE, .run = run_lint,
	.type = &advice_type,
	.example = "lamassu profile lint --strict"
};

/* --- preview --- */

struct preview_args {
	const char *id, *profile, *ca, *csr, *validity, *subject, *device;
	struct strv san;
	int64_t path_length;
	bool allow_outlive;
};

/* The only authority that issues with this profile by default; NULL when there is none, or more than one. */
static int usual_ca(struct ctx *ctx, const char *profile, const char **ret, struct err *e)
{
	size_t n, found = 0;
	const struct ca *v = state_all(ctx->state, &ca_type, &n, e);

	*ret = NULL;
	if (!v)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (v[i].issuance_profile_id && strcmp(v[i].issuance_profile_id, profile) == 0 && found++ == 0)
			*ret = v[i].id;
	if (found > 1)
		*ret = NULL;
	return 0;
}

/* Which profile, and which authority: each may follow from the other. */
static int choose(struct ctx *ctx, const struct preview_args *a, struct authority *ca, bool *ret_have_ca,
		  struct profile *prof, struct err *e)
{
	const char *profile = a->id ? a->id : a->profile, *id = a->ca;
	struct err no = { 0 };

	if (a->id && a->profile && strcmp(a->id, a->profile) != 0)
		return err_set(e, ERR_USAGE, "two profiles: %s and --profile %s", a->id, a->profile);
	if (profile == NULL && id == NULL)
		return err_set(e, ERR_USAGE, "name a profile, or --ca for its default profile");
	if (id && authority_load(ctx, id, ca, e) != 0)
		return -1;
	if (profile_load(ctx, profile ? profile : ca->rec.issuance_profile_id, prof, e) != 0)
		return -1;
	if (id == NULL && (id = prof->ca_id) == NULL && usual_ca(ctx, prof->id, &id, e) != 0)
		return -1;
	if (a->ca == NULL && id && authority_load(ctx, id, ca, e) != 0)
		return -1;
	*ret_have_ca = id != NULL;
	if (id == NULL)
		ctx_warn(ctx, "%s", prof->sign_as_ca ? "self-signed: --ca names an authority that would sign"
						      : "without an authority: give --ca to see what it adds");
	else if (authority_may_issue(ca, &no) != 0)
		ctx_warn(ctx, "%s", no.msg);
	if (id && ca->cert.der.n == 0)
		return err_set(e, ERR_DENIED, "ca %s is PENDING and has no certificate", ca->rec.id);
	return 0;
}

static int print_table(struct ctx *ctx, const struct preview *p, struct err *e)
{
	size_t n = p->fields.n + p->dropped.n;
	struct preview_field *all = arena_new_array(ctx->arena, n + 1, struct preview_field);

	memcpy(all, p->fields.v, p->fields.n * sizeof(*all));
	if (p->dropped.n)
		memcpy(all + p->fields.n, p->dropped.v, p->dropped.n * sizeof(*all));
	return out_list(ctx, &preview_field_type, all, n, NULL, e);
}

static int run_preview(struct ctx *ctx, void *args, struct err *e)
{
	const struct preview_args *a = args;
	const struct wishes w = { .subject = a->subject, .san = a->san, .validity = a->validity, .device = a->device,
		.allow_outlive = a->allow_outlive, .path_length = a->path_length };
	SCOPED_AUTHORITY ca = { 0 };
	struct profile prof;
	struct preview p;
	struct bytes csr;
	bool have_ca;

	if (fs_read_input(ctx->arena, a->csr, FS_LIMIT_DOC, &csr, e) != 0 ||
	    choose(ctx, a, &ca, &have_ca, &prof, e) != 0 ||
	    preview_make(ctx, have_ca ? &ca : NULL, &prof, csr, &w, &p, e) != 0)
		return -1;
	if (!out_is_table(ctx))
		return out_record(ctx, &preview_type, &p, e);
	if (p.warning)
		ctx_warn(ctx, "%s", p.warning);
	return print_table(ctx, &p, e);
}

static const struct opt preview_opts[] = {
	OSTR(preview_args, csr, 0, "file", "The request, PEM or DER; - is standard input.", .flags = O_REQ),
	OSTR(preview_args, ca, 0, "ca",
	     "The authority that would sign. Default: the one that uses the profile, if there is one."),
	OSTR(preview_args, profile, 'p', "profile", "The profile, as for `ca sign`. Default: the authority's."),
	OSTR(preview_args, validity, 0, "duration|time", "As for `ca sign`."),
	OSTR(preview_args, subject, 's', "dn", "As for `ca sign`."),
	OLIST(preview_args, san, 0, "name", "As for `ca sign`."),
	OSTR(preview_args, device, 0, "device", "As for `ca sign`."),
	OFLAG(preview_args, allow_outlive, 0, "As for `ca sign`."),
	OINT(preview_args, path_length, 0, "n", "As for `ca sign`.", .dflt = -1),
	OEND
};
static const struct operand preview_operands[] = {
	PARAM(preview_args, id, "profile", "The profile. Default: that of --ca.", .flags = P_OPTIONAL), { 0 }
};
const struct cmd profile_preview_cmd = {
	.name = "preview", .brief = "Show the certificate that would be issued, and why", .opts = preview_opts,
	.operands = preview_operands, .argsize = sizeof(struct preview_args), .needs = NEED_STATE, .run = run_preview,
	.type = &preview_type,
	.doc = "Nothing is signed. Each field is shown with its source: the request, the profile, the authority, the "
	       "operator's options, or a rule. What the request asks for and does not get is listed with the reason.",
	.example = "lamassu profile preview iot-device --csr sensor-1.csr\nlamassu profile preview --ca devices --csr "
		   "sensor-1.csr -o json"
};

/* --- schema --- */

struct schema_args {
	const char *type;
};

static int run_schema(struct ctx *ctx, void *args, struct err *e)
{
	const struct schema_args *a = args;
	const struct schema *found = a->type ? NULL : &profile_type;
	const char *known = "";
	SCOPED_BUF b = buf_init(BUF_TEXT);

	for (const struct record_type *t = record_types; t->name; t++) {
		if (a->type && strcmp(t->name, a->type) == 0)
			found = t->schema;
		known = arena_printf(ctx->arena, "%s%s%s", known, *known ? ", " : "", t->name);
	}
	if (found == NULL)
		return err_set(e, ERR_USAGE, "--type \"%s\" is none of %s", a->type, known);
	schema_json(found, &b);
	return out_bytes(ctx, NULL, buf_bytes(&b), false, false, e);
}

static const struct opt schema_opts[] = {
	OSTR(schema_args, type, 0, "type",
	     "Another kind of record: ca, ca-create, ca-crl, engine, key, config, certificate, revocation, "
	     "crl, change."),
	OEND
};
const struct cmd profile_schema_cmd = {
	.name = "schema", .brief = "Print the JSON Schema of profiles, or of another kind of record",
	.opts = schema_opts, .argsize = sizeof(struct schema_args), .run = run_schema,
	.doc = "For editors and validators (JSON Schema 2020-12).",
	.example = "lamassu profile schema >profile.schema.json\nlamassu profile schema --type ca-create"
};
