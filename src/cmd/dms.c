/* `dms`: device managers as records. What is stored was validated, every authority, profile and engine that it names
 * exists and can do what is asked of it, and nothing that weakens it comes from a default. */
#include "cmd/dms.h"

#include <string.h>

#include "base/fs.h"
#include "cmd/generic.h"
#include "cmd/refs.h"
#include "model/ca.h"
#include "pki/psk.h"
#include "state/state.h"

int dms_check_uses(struct ctx *ctx, const void *rec, struct err *e)
{
	const struct dms *d = rec;
	const char *profile = d->settings.issuance_profile_id;
	struct dms whole = *d;
	struct profile p;
	struct ca ca;

	if (d->settings.issuance_profile)
		return err_set(e, ERR_INVALID, "settings.issuance_profile: is for `dms create`; name a profile with "
			       "issuance_profile_id");
	if (state_get(ctx->state, &ca_type, d->settings.enrollment_settings.enrollment_ca, &ca, e) != 0)
		return -1;
	if (ca.type == CA_IMPORTED_WITHOUT_KEY)
		return err_set(e, ERR_INVALID,
			       "settings.enrollment_settings.enrollment_ca: %s cannot issue, its key is not here",
			       ca.id);
	if (!profile && !ca.issuance_profile_id)
		return err_set(e, ERR_INVALID,
			       "settings.issuance_profile_id: is required, because ca %s has no profile of its own",
			       ca.id);
	if (state_get(ctx->state, &profile_type, profile ? profile : ca.issuance_profile_id, &p, e) != 0)
		return err_ctx(e, "settings.issuance_profile_id");
	if (p.sign_as_ca)
		return err_set(e, ERR_INVALID,
			       "settings.issuance_profile_id: profile %s makes authorities, not devices", p.id);
	if (p.ca_id && strcmp(p.ca_id, ca.id) != 0)
		return err_set(e, ERR_INVALID, "settings.issuance_profile_id: profile %s is for ca %s only", p.id,
			       p.ca_id);
	return dms_complete(ctx->arena, &whole, state_config(ctx->state), state_dir(ctx->state), e);
}

/* --- create, update --- */

struct write_args {
	const char *id, *file, *name, *enrollment_ca, *profile;
	struct strv validation_ca;
	int auth, registration;
};

/* A profile that is written into the document becomes a record of its own. */
static int take_profile(struct ctx *ctx, struct dms *d, struct err *e)
{
	const char *where = "settings.issuance_profile";
	struct bytes text = bytes_of(d->settings.issuance_profile);
	struct profile p;
	char *id = any_get(ctx->arena, d->settings.issuance_profile, "id"), *json = d->settings.issuance_profile;

	if (!id || !*id) {
		if (any_set(ctx->arena, json, "id", d->id, &json, e) != 0)
			return err_ctx(e, "%s", where);
		text = bytes_of(json);
	}
	if (rec_load(ctx->arena, &profile_type, where, text, &p, e) != 0)
		return -1;
	if (state_has(ctx->state, &profile_type, p.id))
		return err_set(e, ERR_EXISTS, "%s: profile %s exists already; name it with issuance_profile_id", where,
			       p.id);
	d->settings.issuance_profile = NULL;
	d->settings.issuance_profile_id = p.id;
	return state_put(ctx->state, &profile_type, p.id, &p, e);
}

/* Flags beside a document win. */
static void apply_flags(struct arena *ar, const struct write_args *a, struct dms *d)
{
	struct enrollment_settings *s = &d->settings.enrollment_settings;
	struct dms_authentication *au = &s->est_rfc7030_settings.authentication;

	if (a->id)
		d->id = arena_strdup(ar, a->id);
	if (a->name)
		d->name = arena_strdup(ar, a->name);
	if (a->enrollment_ca)
		s->enrollment_ca = arena_strdup(ar, a->enrollment_ca);
	if (a->registration >= 0)
		s->registration_mode = a->registration;
	if (a->auth >= 0)
		au->type = a->auth + AUTH_CERT; /* the first name is no choice */
	if (a->validation_ca.n)
		au->client_certificate.validation_cas = a->validation_ca;
	if (a->profile) {
		d->settings.issuance_profile_id = arena_strdup(ar, a->profile);
		d->settings.issuance_profile = NULL;
	}
}

static int load(struct ctx *ctx, const struct write_args *a, struct dms *d, struct err *e)
{
	struct bytes text;

	if (a->file) {
		if (fs_read_input(ctx->arena, a->file, REC_MAX_BYTES, &text, e) != 0 ||
		    rec_load(ctx->arena, &dms_type, strcmp(a->file, "-") == 0 ? "standard input" : a->file, text, d,
			     e) != 0)
			return -1;
	} else {
		rec_default(ctx->arena, &dms_type, d);
	}
	apply_flags(ctx->arena, a, d);
	if (!d->id)
		return err_set(e, ERR_USAGE, "no id: give one, or a document that has one");
	if (!a->file && (!a->enrollment_ca || a->auth < 0))
		return err_set(e, ERR_USAGE, "give -f with a document, or --enrollment-ca and --auth");
	if (rec_check(ctx->arena, &dms_type, d, e) != 0 ||
	    (d->settings.issuance_profile && take_profile(ctx, d, e) != 0))
		return -1;
	return refs_check(ctx, &dms_type, d, e);
}

static void warn_of(struct ctx *ctx, const struct dms *d)
{
	const struct dms_settings *s = &d->settings;
	const struct client_cert_auth *c =
		&s->enrollment_settings.est_rfc7030_settings.authentication.client_certificate;

	if (s->enrollment_settings.est_rfc7030_settings.authentication.type == AUTH_OPEN)
		ctx_warn(ctx, "dms %s lets anybody enrol (no_auth); est-serve serves it with --allow-no-auth only",
			 d->id);
	if (!s->enrollment_settings.verify_csr_signature)
		ctx_warn(ctx, "dms %s does not check that a device has its private key; est-serve serves it with "
			 "--allow-unverified-csr only", d->id);
	if (!s->ca_distribution_settings.full_chain)
		ctx_warn(ctx,
			 "dms %s does not distribute whole chains (RFC 7030 4.1.3); some clients will trust nothing",
			 d->id);
	if (c->revocation_unreachable == UNREACHABLE_ALLOW)
		ctx_warn(ctx, "dms %s lets revoked certificates in while nobody can say that they are", d->id);
}

static int put(struct ctx *ctx, struct dms *d, const char *verb, struct err *e)
{
	if (state_put(ctx->state, &dms_type, d->id, d, e) != 0)
		return -1;
	warn_of(ctx, d);
	if (state_commit(ctx->state, arena_printf(ctx->arena, "dms: %s %s", verb, d->id), e) != 0)
		return -1;
	return out_record(ctx, &dms_type, d, e);
}

static int run_create(struct ctx *ctx, void *args, struct err *e)
{
	struct dms d;

	if (load(ctx, args, &d, e) != 0)
		return -1;
	if (state_has(ctx->state, &dms_type, d.id))
		return err_set(e, ERR_EXISTS, "dms %s exists already: `dms update` replaces it", d.id);
	if (d.created_at == 0)
		d.created_at = ctx->now;
	return put(ctx, &d, "create", e);
}

static int run_update(struct ctx *ctx, void *args, struct err *e)
{
	const struct write_args *a = args;
	struct dms d, old;

	if (load(ctx, a, &d, e) != 0 || state_get(ctx->state, &dms_type, d.id, &old, e) != 0)
		return -1;
	d.created_at = old.created_at;
	return put(ctx, &d, "update", e);
}

static const char *const registration_choices[] = { "jitp", "pre_registration", NULL };

static const struct opt create_opts[] = {
	OSTR(write_args, file, 'f', "file",
	     "The device manager as a YAML or JSON document; - is standard input. Options beside it win."),
	OSTR(write_args, name, 0, "text", "A title for people."),
	OSTR(write_args, enrollment_ca, 0, "ca", "The authority that issues to devices."),
	OENUM(write_args, auth, 0, dms_auth_names + 1, "How a device proves who it is at its first enrolment."),
	OLIST(write_args, validation_ca, 0, "ca", "Authority whose certificates are accepted as a credential."),
	OENUM(write_args, registration, 0, registration_choices,
	      "Whether a device is registered when it first enrols (the default), or before."),
	OSTR(write_args, profile, 0, "profile", "Profile of what is issued. Default: that of the authority."),
	OEND
};
static const struct operand create_operands[] = {
	PARAM(write_args, id, "id", "The new device manager's id. Default: the document's.", .flags = P_OPTIONAL), { 0 }
};
static const struct cmd create_cmd = {
	.name = "create", .brief = "Make a device manager", .opts = create_opts, .operands = create_operands,
	.argsize = sizeof(struct write_args), .needs = NEED_STATE | NEED_WRITE, .run = run_create, .type = &dms_type,
	.doc = "A profile that is written into the document as issuance_profile is stored as a profile of its own.",
	.example = "lamassu dms create factory --enrollment-ca devices --auth client_certificate --validation-ca "
		   "bootstrap\n"
		   "lamassu dms create -f factory.json"
};

static const struct opt update_opts[] = {
	OSTR(write_args, file, 'f', "file", "The whole device manager as a YAML or JSON document; - is standard input.",
	     .flags = O_REQ), OEND
};
static const struct operand update_operands[] = {
	PARAM(write_args, id, "dms", "The device manager. Default: the document's id.", .flags = P_OPTIONAL), { 0 }
};

static int run_replace(struct ctx *ctx, void *args, struct err *e)
{
	struct write_args *a = args;

	a->auth = a->registration = -1;
	return run_update(ctx, a, e);
}

static const struct cmd update_cmd = {
	.name = "update", .brief = "Replace a device manager by a document", .opts = update_opts,
	.operands = update_operands, .argsize = sizeof(struct write_args), .needs = NEED_STATE | NEED_WRITE,
	.run = run_replace, .type = &dms_type,
	.doc = "A running listener obeys it at once.", .example = "lamassu dms update -f factory.yaml"
};

/* --- list, show, set, edit --- */

static int run_list(struct ctx *ctx, void *args, struct err *e)
{
	return generic_list(ctx, args, &dms_type, e);
}

static const struct cmd list_cmd = {
	.name = "list", .brief = "List device managers", .needs = NEED_STATE | NEED_LIST, .run = run_list,
	.type = &dms_type,
	.example = "lamassu dms list --columns id,settings.enrollment_settings.enrollment_ca"
};

static int run_show(struct ctx *ctx, void *args, struct err *e)
{
	return generic_show(ctx, ((const struct generic_ref *)args)->id, &dms_type, e);
}

static const struct operand id_operand[] = { PARAM(generic_ref, id, "dms", "The device manager."), { 0 } };
static const struct cmd show_cmd = {
	.name = "show", .brief = "Show a device manager", .operands = id_operand, .argsize = sizeof(struct generic_ref),
	.needs = NEED_STATE, .run = run_show, .type = &dms_type, .example = "lamassu dms show factory -o yaml"
};

/* After a change of single fields: what weakens the manager is told each time that it is stored. */
static int warn_stored(struct ctx *ctx, const char *id, struct err *e)
{
	struct dms d;

	if (state_get(ctx->state, &dms_type, id, &d, e) != 0)
		return -1;
	warn_of(ctx, &d);
	return 0;
}

static int run_set(struct ctx *ctx, void *args, struct err *e)
{
	const struct generic_set *a = args;

	return generic_set(ctx, a, &dms_type, e) != 0 ? -1 : warn_stored(ctx, a->id, e);
}

static const struct operand set_operands[] = {
	PARAM(generic_set, id, "dms", "The device manager."),
	PARAMS(generic_set, assignments, "path=value", "A field and its new value; an empty value removes the field."),
	{ 0 }
};
static const struct cmd set_cmd = {
	.name = "set", .brief = "Change fields of a device manager", .operands = set_operands,
	.argsize = sizeof(struct generic_set),
	.needs = NEED_STATE | NEED_WRITE, .run = run_set, .type = &dms_type,
	.doc = "Edits the file in place: comments and order survive. A running listener obeys it at once.",
	.example = "lamassu dms set factory settings.reenrollment_settings.reenrollment_delta=60d"
};

static int run_edit(struct ctx *ctx, void *args, struct err *e)
{
	const struct generic_ref *a = args;

	return generic_edit(ctx, a->id, &dms_type, e) != 0 ? -1 : warn_stored(ctx, a->id, e);
}

static const struct cmd edit_cmd = {
	.name = "edit", .brief = "Change a device manager in an editor", .operands = id_operand,
	.argsize = sizeof(struct generic_ref),
	.needs = NEED_STATE | NEED_WRITE, .run = run_edit, .type = &dms_type
};

/* --- delete --- */

static int run_delete(struct ctx *ctx, void *args, struct err *e)
{
	const struct generic_ref *a = args;
	struct strv users;
	struct dms d;

	if (state_get(ctx->state, &dms_type, a->id, &d, e) != 0 || refs_users(ctx, &dms_type, a->id, &users, e) != 0)
		return -1;
	if (users.n)
		return err_set(e, ERR_CONFLICT, "dms %s is named by %s", a->id, users.v[0]);
	if (cli_confirm(ctx, e, "delete dms %s?", a->id) != 0 || state_del(ctx->state, &dms_type, a->id, e) != 0 ||
	    state_commit(ctx->state, arena_printf(ctx->arena, "dms: delete %s", a->id), e) != 0)
		return -1;
	psk_forget(ctx, a->id, NULL);
	return out_done(ctx, e, "deleted dms %s", a->id);
}

static const struct cmd delete_cmd = {
	.name = "delete", .brief = "Delete a device manager", .operands = id_operand,
	.argsize = sizeof(struct generic_ref),
	.needs = NEED_STATE | NEED_WRITE | NEED_CONFIRM, .run = run_delete, .type = &dms_type,
	.doc = "Its devices and their certificates stay as they are; they cannot renew any more. The secrets that "
	       "devices share with it are removed from this clone."
};

static int run_schema(struct ctx *ctx, void *args, struct err *e)
{
	(void)args;
	return generic_schema(ctx, &dms_type, e);
}

static const struct cmd schema_cmd = {
	.name = "schema", .brief = "Print the JSON Schema of device managers, for editors", .run = run_schema
};

static const struct cmd *const verbs[] = {
	&create_cmd, &list_cmd, &show_cmd, &update_cmd, &set_cmd, &edit_cmd, &delete_cmd, &dms_cacerts_cmd,
	&dms_csrattrs_cmd, &dms_check_cmd, &schema_cmd, NULL
};
const struct cmd dms_cmd = {
	.name = "dms", .brief = "Device managers: policies of enrolment", .sub = verbs,
	.doc = "A device manager says who may enrol through it over EST, with which credential, which authority and "
	       "profile issue, and when a device may renew."
};
