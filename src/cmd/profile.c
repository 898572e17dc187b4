/* `profile`: issuance profiles as records. What is stored was validated, and every authority that it names exists. */
#include "cmd/profile.h"

#include <string.h>

#include "cmd/generic.h"
#include "cmd/refs.h"
#include "model/profile.h"
#include "pki/templates.h"
#include "state/state.h"

/* --- templates --- */

struct templates_args {
	const char *name;
};

static int run_templates(struct ctx *ctx, void *args, struct err *e)
{
	const struct templates_args *a = args;
	struct profile *v;
	struct strv names;

	if (a->name) {
		struct profile one;
		if (template_profile(ctx->arena, a->name, &one, e) != 0)
			return -1;
		return out_record(ctx, &profile_type, &one, e);
	}
	if (templates_list(ctx->arena, &names, e) != 0)
		return -1;
	v = arena_new_array(ctx->arena, names.n + 1, struct profile);
	for (size_t i = 0; i < names.n; i++)
		if (template_profile(ctx->arena, names.v[i], &v[i], e) != 0)
			return -1;
	return out_list(ctx, &profile_type, v, names.n, NULL, e);
}

static const struct operand templates_operands[] = {
	PARAM(templates_args, name, "template", "Show this one whole. Default: list all.", .flags = P_OPTIONAL), { 0 }
};
static const struct cmd templates_cmd = {
	.name = "templates", .brief = "List the profiles that come with the program", .operands = templates_operands,
	.argsize = sizeof(struct templates_args), .run = run_templates, .type = &profile_type,
	.example = "lamassu profile templates\nlamassu profile templates tls-server -o yaml"
};

/* --- create, update --- */

struct write_args {
	const char *id, *file, *template_;
};

static int put(struct ctx *ctx, struct profile *p, const char *verb, struct err *e)
{
	if (refs_check(ctx, &profile_type, p, e) != 0)
		return err_ctx(e, "profile %s", p->id);
	if (state_put(ctx->state, &profile_type, p->id, p, e) != 0 ||
	    state_commit(ctx->state, arena_printf(ctx->arena, "profile: %s %s", verb, p->id), e) != 0)
		return -1;
	return out_record(ctx, &profile_type, p, e);
}

static int run_create(struct ctx *ctx, void *args, struct err *e)
{
	const struct write_args *a = args;
	struct profile p;

	if ((a->file == NULL) == (a->template_ == NULL))
		return err_set(e, ERR_USAGE, "give -f with a document, or --template: one of them");
	if (a->file ? generic_load(ctx, a->file, &profile_type, &p, e) != 0
		    : template_profile(ctx->arena, a->template_, &p, e) != 0)
		return -1;
	if (a->id)
		p.id = arena_strdup(ctx->arena, a->id);
	if (rec_check(ctx->arena, &profile_type, &p, e) != 0)
		return -1;
	if (state_has(ctx->state, &profile_type, p.id))
		return err_set(e, ERR_EXISTS, "profile %s exists already: `profile update` replaces it", p.id);
	return put(ctx, &p, "create", e);
}

static const struct opt create_opts[] = {
	OSTR(write_args, file, 'f', "file", "The profile as a YAML or JSON document; - is standard input."),
	OSTR(write_args, template_, 't', "template", "A profile that comes with the program; see `profile templates`."),
	OEND
};
static const struct operand create_operands[] = {
	PARAM(write_args, id, "id", "The new profile's id. Default: the document's, or the template's name.",
	      .flags = P_OPTIONAL), { 0 }
};
static const struct cmd create_cmd = {
	.name = "create", .brief = "Make a profile from a document or a template", .opts = create_opts,
	.operands = create_operands, .argsize = sizeof(struct write_args), .needs = NEED_STATE | NEED_WRITE,
	.run = run_create, .type = &profile_type,
	.example = "lamassu profile create -f profile.json\nlamassu profile create --template tls-server web"
};

static int run_update(struct ctx *ctx, void *args, struct err *e)
{
	const struct write_args *a = args;
	struct profile p, old;

	if (generic_load(ctx, a->file, &profile_type, &p, e) != 0)
		return -1;
	if (a->id && strcmp(a->id, p.id) != 0)
		return err_set(e, ERR_INVALID, "the document's id is \"%s\", not \"%s\"; ids never change", p.id,
			       a->id);
	if (state_get(ctx->state, &profile_type, p.id, &old, e) != 0)
		return -1;
	return put(ctx, &p, "update", e);
}

static const struct opt update_opts[] = {
	OSTR(write_args, file, 'f', "file", "The whole profile as a YAML or JSON document; - is standard input.",
	     .flags = O_REQ),
	OEND
};
static const struct operand update_operands[] = {
	PARAM(write_args, id, "profile", "The profile. Default: the document's id.", .flags = P_OPTIONAL), { 0 }
};
static const struct cmd update_cmd = {
	.name = "update", .brief = "Replace a profile by a document", .opts = update_opts, .operands = update_operands,
	.argsize = sizeof(struct write_args), .needs = NEED_STATE | NEED_WRITE, .run = run_update,
	.type = &profile_type,
	.doc = "Affects new certificates only.", .example = "lamassu profile update -f iot-device.yaml"
};

/* --- list, show, set, edit --- */

static int run_list(struct ctx *ctx, void *args, struct err *e)
{
	return generic_list(ctx, args, &profile_type, e);
}

static const struct cmd list_cmd = {
	.name = "list", .brief = "List profiles", .needs = NEED_STATE | NEED_LIST, .run = run_list,
	.type = &profile_type,
	.example = "lamassu profile list --filter 'name[ct]=device' --sort-by name"
};

static int run_show(struct ctx *ctx, void *args, struct err *e)
{
	return generic_show(ctx, ((const struct generic_ref *)args)->id, &profile_type, e);
}

static const struct operand id_operand[] = { PARAM(generic_ref, id, "profile", "The profile."), { 0 } };
static const struct cmd show_cmd = {
	.name = "show", .brief = "Show a profile", .operands = id_operand, .argsize = sizeof(struct generic_ref),
	.needs = NEED_STATE, .run = run_show, .type = &profile_type,
	.example = "lamassu profile show iot-device -o yaml"
};

static int run_set(struct ctx *ctx, void *args, struct err *e)
{
	return generic_set(ctx, args, &profile_type, e);
}

static const struct operand set_operands[] = {
	PARAM(generic_set, id, "profile", "The profile."),
	PARAMS(generic_set, assignments, "path=value", "A field and its new value; an empty value removes the field."),
	{ 0 }
};
static const struct cmd set_cmd = {
	.name = "set", .brief = "Change fields of a profile", .operands = set_operands,
	.argsize = sizeof(struct generic_set),
	.needs = NEED_STATE | NEED_WRITE, .run = run_set, .type = &profile_type,
	.doc = "Edits the file in place: comments and order survive. Affects new certificates only.",
	.example = "lamassu profile set iot-device validity.duration=90d subject.organization='Acme Corp'"
};

static int run_edit(struct ctx *ctx, void *args, struct err *e)
{
	return generic_edit(ctx, ((const struct generic_ref *)args)->id, &profile_type, e);
}

static const struct cmd edit_cmd = {
	.name = "edit", .brief = "Change a profile in an editor", .operands = id_operand,
	.argsize = sizeof(struct generic_ref),
	.needs = NEED_STATE | NEED_WRITE, .run = run_edit, .type = &profile_type
};

/* --- delete --- */

struct delete_args {
	const char *id;
	bool force;
};

static char *join(struct arena *ar, const struct strv *v)
{
	char *out = arena_strdup(ar, v->v[0]);

	for (size_t i = 1; i < v->n; i++)
		out = arena_printf(ar, "%s, %s", out, v->v[i]);
	return out;
}

static int run_delete(struct ctx *ctx, void *args, struct err *e)
{
	const struct delete_args *a = args;
	struct profile p;
	struct strv users;

	if (state_get(ctx->state, &profile_type, a->id, &p, e) != 0 ||
	    refs_users(ctx, &profile_type, a->id, &users, e) != 0)
		return -1;
	if (users.n && !a->force)
		return err_set(e, ERR_CONFLICT, "profile %s is used by %s; --force deletes it all the same", a->id,
			       join(ctx->arena, &users));
	if (users.n)
		ctx_warn(ctx, "still used by %s", join(ctx->arena, &users));
	if (cli_confirm(ctx, e, "delete profile %s?", a->id) != 0 ||
	    state_del(ctx->state, &profile_type, a->id, e) != 0 ||
	    state_commit(ctx->state, arena_printf(ctx->arena, "profile: delete %s", a->id), e) != 0)
		return -1;
	return out_done(ctx, e, "deleted profile %s", a->id);
}

static const struct opt delete_opts[] = { OFLAG(delete_args, force, 0, "Even if something uses it."), OEND };
static const struct operand delete_operands[] = { PARAM(delete_args, id, "profile", "The profile."), { 0 } };
static const struct cmd delete_cmd = {
	.name = "delete", .brief = "Delete a profile", .opts = delete_opts, .operands = delete_operands,
	.argsize = sizeof(struct delete_args), .needs = NEED_STATE | NEED_WRITE | NEED_CONFIRM, .run = run_delete,
	.type = &profile_type,
	.doc = "Refused while an authority uses it. Certificates that were issued with it stay as they are."
};

static const struct cmd *const verbs[] = {
	&templates_cmd, &create_cmd, &list_cmd, &show_cmd, &update_cmd, &set_cmd, &edit_cmd, &delete_cmd,
	&profile_lint_cmd,
	&profile_preview_cmd, &profile_schema_cmd, NULL
};
const struct cmd profile_cmd = {
	.name = "profile", .brief = "Issuance profiles", .sub = verbs,
	.doc = "A profile is the shape of the certificates that are issued with it: validity, names, usages, "
	       "extensions, and which keys are accepted."
};
