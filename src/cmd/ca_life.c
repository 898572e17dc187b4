/* `ca set`, `metadata`, `enable`, `disable`, `revoke`, `delete`, `compromise`: what happens to an authority after it
 * was made. */
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "cmd/ca.h"
#include "cmd/generic.h"
#include "cmd/refs.h"
#include "pki/compromise.h"
#include "pki/keys.h"
#include "pki/revoke.h"
#include "state/ledger.h"

/* --- set --- */

struct set_args {
	const char *id, *file;
	struct strv assignments;
};

/* The fragment {crl_distribution_points, crl_update_interval_hours} of `ca set -f` (rules for P). */
static int apply_fragment(struct ctx *ctx, const char *id, const char *file, struct err *e)
{
	struct ca_crl in;
	struct ca rec;

	if (generic_load(ctx, file, &ca_crl_type, &in, e) != 0 || state_get(ctx->state, &ca_type, id, &rec, e) != 0)
		return -1;
	if (in.crl_distribution_points.set)
		rec.crl.crl_distribution_points = in.crl_distribution_points;
	if (in.crl_update_interval_hours)
		rec.crl.crl_update_interval_hours = in.crl_update_interval_hours;
	if (in.validity.text)
		rec.crl.validity = in.validity;
	if (in.publish.set)
		rec.crl.publish = in.publish;
	if (in.partitions)
		rec.crl.partitions = in.partitions;
	if (in.issuer_key)
		rec.crl.issuer_key = in.issuer_key;
	return state_put(ctx->state, &ca_type, id, &rec, e);
}

/* However the path spells the field. */
static bool is_protected(struct ctx *ctx, const char *path)
{
	static const char *const fields[] = { "id", "type", "parent_id", "key", "engine_id", "serial_number",
					      "previous_serials",
		"compromised", "created_at", NULL };
	const struct field *f;
	struct err unknown = { 0 };
	struct ca none;
	char *ignored;

	rec_default(ctx->arena, &ca_type, &none);
	if (rec_get(ctx->arena, &ca_type, &none, arena_strndup(ctx->arena, path, strcspn(path, ".")), &ignored, &f,
		    &unknown) != 0)
		return false; /* as setting it will say */
	for (size_t i = 0; fields[i]; i++)
		if (strcmp(fields[i], f->name) == 0)
			return true;
	return false;
}

static int run_set(struct ctx *ctx, void *args, struct err *e)
{
	const struct set_args *a = args;
	SCOPED_AUTHORITY ca = { 0 };
	struct rec_change *v;

	if (a->file == NULL && a->assignments.n == 0)
		return err_set(e, ERR_USAGE, "nothing to set: give path=value or -f");
	if (a->file && apply_fragment(ctx, a->id, a->file, e) != 0)
		return -1;
	if (generic_changes(ctx, &a->assignments, &v, e) != 0)
		return -1;
	for (size_t i = 0; i < a->assignments.n; i++)
		if (is_protected(ctx, v[i].path))
			return err_set(e, ERR_DENIED, "%s is set by what happens to the authority, not by hand",
				       v[i].path);
	if (state_set_all(ctx->state, &ca_type, a->id, v, a->assignments.n, e) != 0 ||
	    refs_check_stored(ctx, &ca_type, a->id, e) != 0 ||
	    authority_load(ctx, a->id, &ca, e) != 0 ||
	    state_commit(ctx->state, arena_printf(ctx->arena, "ca: set %s", a->id), e) != 0)
		return -1;
	return ca_print(ctx, &ca, e);
}

static const struct opt set_opts[] = {
	{ .name = "file", .letter = 'f', .kind = O_STR, .arg = "file", .off = offsetof(struct set_args, file),
	  .doc = "A document with crl_distribution_points, crl_update_interval_hours, validity, partitions, publish, "
		 "issuer_key." },
	OEND
};
static const struct operand set_operands[] = {
	PARAM(set_args, id, "ca", "The authority."),
	PARAMS_OPT(set_args, assignments, "path=value", "A field and its new value; an empty value removes it."), { 0 }
};
const struct cmd ca_set_cmd = {
	.name = "set", .brief = "Change settings of an authority", .opts = set_opts, .operands = set_operands,
	.argsize = sizeof(struct set_args), .needs = NEED_STATE | NEED_WRITE, .run = run_set, .type = &ca_type,
	.example = "lamassu ca set devices issuance_profile_id=iot-device crl.crl_update_interval_hours=24"
};

/* --- metadata --- */

struct metadata_args {
	const char *ca;
	struct strv items;
};

static int change_metadata(struct ctx *ctx, const struct metadata_args *a, bool unset, struct err *e)
{
	SCOPED_AUTHORITY ca = { 0 };
	char **json = &ca.rec.metadata;

	if (authority_load(ctx, a->ca, &ca, e) != 0)
		return -1;
	for (size_t i = 0; i < a->items.n; i++) {
		const char *s = a->items.v[i], *eq = strchr(s, '=');
		if (!unset && (eq == NULL || eq == s))
			return err_set(e, ERR_USAGE, "\"%s\" is not of the form key=value",
				       text_escape(ctx->arena, bytes_of(s)));
		if (unset ? any_unset(ctx->arena, *json, s, json, e) != 0
			  : any_set(ctx->arena, *json, arena_strndup(ctx->arena, s, (size_t)(eq - s)), eq + 1, json,
				    e) != 0)
			return -1;
	}
	if (state_put(ctx->state, &ca_type, ca.rec.id, &ca.rec, e) != 0 ||
	    state_commit(ctx->state, arena_printf(ctx->arena, "ca: metadata of %s", ca.rec.id), e) != 0)
		return -1;
	return ca_print(ctx, &ca, e);
}

static int run_metadata_set(struct ctx *ctx, void *args, struct err *e)
{
	return change_metadata(ctx, args, false, e);
}

static int run_metadata_unset(struct ctx *ctx, void *args, struct err *e)
{
	return change_metadata(ctx, args, true, e);
}

static const struct operand metadata_set_operands[] = {
	PARAM(metadata_args, ca, "ca", "The authority."),
	PARAMS(metadata_args, items, "key=value", "Key and value; JSON, or plain text."), { 0 }
};
static const struct operand metadata_unset_operands[] = {
	PARAM(metadata_args, ca, "ca", "The authority."), PARAMS(metadata_args, items, "key", "The key."), { 0 }
};
static const struct cmd metadata_set_cmd = {
	.name = "set", .brief = "Set free data of an authority", .operands = metadata_set_operands,
	.argsize = sizeof(struct metadata_args), .needs = NEED_STATE | NEED_WRITE, .run = run_metadata_set,
	.type = &ca_view_type
};
static const struct cmd metadata_unset_cmd = {
	.name = "unset", .brief = "Remove free data of an authority", .operands = metadata_unset_operands,
	.argsize = sizeof(struct metadata_args), .needs = NEED_STATE | NEED_WRITE, .run = run_metadata_unset,
	.type = &ca_view_type
};
static const struct cmd *const metadata_verbs[] = { &metadata_set_cmd, &metadata_unset_cmd, NULL };
const struct cmd ca_metadata_cmd = { .name = "metadata", .brief = "Free data of an authority", .sub = metadata_verbs };

/* --- enable, disable --- */

static int switch_to(struct ctx *ctx, const struct ca_ref *a, bool disabled, struct err *e)
{
	SCOPED_AUTHORITY ca = { 0 };
	const char *verb = disabled ? "disable" : "enable";

	if (authority_load(ctx, a->ca, &ca, e) != 0)
		return -1;
	if (ca.rec.compromised && !disabled)
		return err_set(e, ERR_DENIED, "ca %s is compromised and stays switched off", ca.rec.id);
	if (ca.rec.disabled == disabled)
		return err_set(e, ERR_CONFLICT, "ca %s is %sd already", ca.rec.id, verb);
	ca.rec.disabled = disabled;
	ca.status = authority_compute_status(&ca.rec, &ca.cert, ca.status == CA_REVOKED, ctx->now);
	if (state_put(ctx->state, &ca_type, ca.rec.id, &ca.rec, e) != 0 ||
	    state_commit(ctx->state, arena_printf(ctx->arena, "ca: %s %s", verb, ca.rec.id), e) != 0)
		return -1;
	return ca_print(ctx, &ca, e);
}

static int run_enable(struct ctx *ctx, void *args, struct err *e)
{
	return switch_to(ctx, args, false, e);
}

static int run_disable(struct ctx *ctx, void *args, struct err *e)
{
	return switch_to(ctx, args, true, e);
}

const struct cmd ca_enable_cmd = {
	.name = "enable", .brief = "Let an authority issue again", .operands = ca_operand,
	.argsize = sizeof(struct ca_ref),
	.needs = NEED_STATE | NEED_WRITE, .run = run_enable, .type = &ca_view_type
};
const struct cmd ca_disable_cmd = {
	.name = "disable", .brief = "Switch an authority off: it issues nothing, but signs CRLs",
	.operands = ca_operand, .argsize = sizeof(struct ca_ref), .needs = NEED_STATE | NEED_WRITE, .run = run_disable,
	.type = &ca_view_type
};

/* --- revoke, delete --- */

struct end_args {
	const char *ca, *reason, *note, *out;
	bool cascade, delete_key, crl;
};

static int run_revoke(struct ctx *ctx, void *args, struct err *e)
{
	const struct end_args *a = args;
	const char *subject = arena_printf(ctx->arena, "ca: revoke %s", a->ca);
	struct revoke_order o = { .action = REVOKE_REVOKE, .note = a->note, .chunk = REVOKE_CHUNK, .subject = subject };
	SCOPED_AUTHORITY ca = { 0 };
	size_t n = 0;

	if (revocation_reason_parse(a->reason, &o.reason) != 0)
		return err_set(e, ERR_USAGE, "--reason \"%s\" is none of RFC 5280 5.3.1",
			       text_escape(ctx->arena, bytes_of(a->reason)));
	if (authority_load(ctx, a->ca, &ca, e) != 0)
		return -1;
	if (cli_confirm(ctx, e, "revoke ca %s (%s)%s?", ca.rec.id, authority_subject(ctx->arena, &ca),
			a->cascade ? " with all that is below it" : "") != 0 ||
	    revoke_authority(ctx, &ca, &o, a->cascade, &n, e) != 0)
		return -1;
	if (n == 0)
		return err_set(e, ERR_CONFLICT, "ca %s is %s%s: there is nothing to revoke", ca.rec.id,
			       ca_status_names[ca.status], a->cascade ? " with all that is below it" : "");
	if (state_commit(ctx->state, subject, e) != 0)
		return -1;
	return out_done(ctx, e, "revoked ca %s: %zu certificate%s", ca.rec.id, n, n == 1 ? "" : "s");
}

static const struct opt revoke_opts[] = {
	OSTR(end_args, reason, 'r', "reason",
	     "Why, of RFC 5280 5.3.1: key_compromise, ca_compromise, superseded and so on.", .flags = O_REQ),
	OFLAG(end_args, cascade, 0, "Its children and everything that it and they issued as well."),
	OSTR(end_args, note, 0, "text", "A note for the ledger."),
	OEND
};
static const struct operand end_operands[] = { PARAM(end_args, ca, "ca", "The authority."), { 0 } };
const struct cmd ca_revoke_cmd = {
	.name = "revoke", .brief = "Revoke an authority's certificates", .opts = revoke_opts, .operands = end_operands,
	.argsize = sizeof(struct end_args), .needs = NEED_STATE | NEED_WRITE | NEED_CONFIRM, .run = run_revoke,
	.type = &ca_view_type,
	.doc = "A cascade of more than 10,000 certificates is several commits, the authority's own certificates first; "
	       "one that was cut off goes on when it is run again.",
	.example = "lamassu ca revoke devices --reason superseded --cascade"
};

/* Profiles that are for one authority only would name what is gone. */
static int check_users(struct ctx *ctx, const struct strv *before, struct err *e)
{
	struct strv users;

	for (size_t i = 0; i < before->n; i++) {
		if (state_has(ctx->state, &ca_type, before->v[i]))
			continue;
		if (refs_users(ctx, &ca_type, before->v[i], &users, e) != 0)
			return -1;
		if (users.n)
			return err_set(e, ERR_CONFLICT, "ca %s is in use by %s", before->v[i], users.v[0]);
	}
	return 0;
}

static int run_delete(struct ctx *ctx, void *args, struct err *e)
{
	const struct end_args *a = args;
	SCOPED_AUTHORITY ca = { 0 };
	struct key k = { 0 };
	struct strv before;
	int64_t gone_at = 0;
	bool gone = false;

	if (state_ids(ctx->state, &ca_type, &before, e) != 0 || authority_load(ctx, a->ca, &ca, e) != 0)
		return -1;
	if (a->delete_key && authority_key_record(ctx, &ca, &k, e) != 0)
		return -1;
	if (cli_confirm(ctx, e, "delete ca %s%s?", ca.rec.id, a->delete_key ? " and its key" : "") != 0 ||
	    authority_delete(ctx, &ca, a->cascade, e) != 0 || check_users(ctx, &before, e) != 0)
		return -1;
	if (a->delete_key &&
	    (state_get(ctx->state, &key_type, k.id, &k, e) != 0 || keys_delete(ctx, &k, a->note, &gone, e) != 0))
		return -1;
	if ((gone && keys_may_destroy(ctx, &k, e) != 0) ||
	    state_commit(ctx->state, arena_printf(ctx->arena, "ca: delete %s", ca.rec.id), e) != 0)
		return -1;
	if (gone && !ctx->dry_run)
		gone_at = keys_destroy(ctx, &k);
	if (gone_at)
		return out_done(ctx, e, "deleted ca %s; engine %s keeps its private key, unusable, until %s", ca.rec.id,
				k.engine_id, tm_format(ctx->arena, gone_at));
	return out_done(ctx, e, "deleted ca %s", ca.rec.id);
}

static const struct opt delete_opts[] = {
	OFLAG(end_args, cascade, 0, "Its children too."),
	OFLAG(end_args, delete_key, 0, "Its private key too."),
	OSTR(end_args, note, 0, "text", "Why; kept with the key's deletion."),
	OEND
};
const struct cmd ca_delete_cmd = {
	.name = "delete", .brief = "Delete an authority's record", .opts = delete_opts, .operands = end_operands,
	.argsize = sizeof(struct end_args), .needs = NEED_STATE | NEED_WRITE | NEED_CONFIRM, .run = run_delete,
	.type = &ca_view_type,
	.doc = "Refused while live certificates of the authority exist. The history and the ledger keep all that was; "
	       "the private key stays unless --delete-key is given."
};

/* --- compromise --- */

/* Those whose CRLs change: the authority, everything below it, and its parent, whose CRL is the one that lists it. */
static bool is_concerned(const struct authority *a, const char *id)
{
	for (const struct authority *p = a; p; p = p->parent)
		if (strcmp(p->rec.id, id) == 0)
			return true;
	return false;
}

struct emergency {
	struct ctx *ctx;
	const struct authority *ca;
	const char *out;
	struct authority *all;
	size_t n;
	size_t affected;
};

static int each_concerned(struct emergency *m, int (*do_it)(struct emergency *, const struct authority *, struct err *),
			  struct err *e)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct authority *a = &m->all[i];
		bool is_parent = m->ca->rec.parent_id && strcmp(m->ca->rec.parent_id, a->rec.id) == 0;
		if ((is_parent || is_concerned(a, m->ca->rec.id)) && a->cert.der.n && do_it(m, a, e) != 0)
			return -1;
	}
	return 0;
}

static int need_network(struct emergency *m, const struct authority *a, struct err *e)
{
	return a->rec.key ? ca_crl_need(m->ctx, &a->rec, e) : 0;
}

static int make_crl(struct emergency *m, const struct authority *a, struct err *e)
{
	if (a->rec.key)
		return ca_crl_now(m->ctx, a->rec.id, m->out, e) != 0 ? err_ctx(e, "ca %s", a->rec.id) : 0;
	ctx_warn(m->ctx, "ca %s has no key here: revoke there what this says, and make its CRL", a->rec.id);
	return 0;
}

static int print_affected(void *arg, const struct affected *rows, size_t n, struct err *e)
{
	struct emergency *m = arg;

	m->affected += n;
	return out_list_rows(m->ctx, rows, n, e);
}

static int list_affected(struct emergency *m, struct err *e)
{
	if (out_list_begin(m->ctx, &affected_type, e) != 0 ||
	    compromise_each(m->ctx, m->ca->rec.id, print_affected, m, e) != 0)
		return -1;
	return out_list_end(m->ctx, NULL, e);
}

static int write_notice(struct emergency *m, struct err *e)
{
	SCOPED_BUF notice = buf_init(BUF_TEXT);

	if (m->out == NULL)
		return 0;
	if (fs_mkdirs(m->out, 0777, e) != 0 || compromise_notice(m->ctx, m->ca, m->affected, &notice, e) != 0)
		return -1;
	return fs_write(fs_join(m->ctx->arena, m->out, "notice.txt"), buf_bytes(&notice), 0644, true, e);
}

static int run_compromise(struct ctx *ctx, void *args, struct err *e)
{
	const struct end_args *a = args;
	SCOPED_AUTHORITY ca = { 0 };
	struct emergency m = { .ctx = ctx, .ca = &ca, .out = a->out };
	const char *subject;

	if (authority_load(ctx, a->ca, &ca, e) != 0 || authority_all(ctx, &m.all, &m.n, e) != 0 ||
	    each_concerned(&m, need_network, e) != 0)
		return -1;
	subject = arena_printf(ctx->arena, "ca: compromise %s", ca.rec.id);
	if (cli_confirm(ctx, e, "take ca %s offline and revoke everything below it?", ca.rec.id) != 0 ||
	    compromise_authority(ctx, &ca, a->note, subject, e) != 0 || state_commit(ctx->state, subject, e) != 0)
		return -1;
	if (!ctx->dry_run && (ca_crl_sync(ctx, e) != 0 || each_concerned(&m, make_crl, e) != 0 ||
			      list_affected(&m, e) != 0 ||
			      write_notice(&m, e) != 0))
		return err_ctx(e, "ca %s is revoked with all below it, but not all was published", ca.rec.id);
	return 0;
}

static const struct opt compromise_opts[] = {
	OSTR(end_args, out, 0, "dir", "Folder for the notice to relying parties and the emergency CRLs."),
	OSTR(end_args, note, 0, "text", "A note for the ledger."),
	OEND
};
const struct cmd ca_compromise_cmd = {
	.name = "compromise", .brief = "Carry out the incident plan for a compromised authority",
	.opts = compromise_opts, .operands = end_operands, .argsize = sizeof(struct end_args),
	.needs = NEED_STATE | NEED_WRITE | NEED_CONFIRM, .run = run_compromise, .type = &affected_type,
	.doc = "Takes the authority offline for good, revokes it and everything below it, makes and publishes "
	       "emergency CRLs of all that is concerned, its parent included, and lists every live certificate that is "
	       "affected with what to do about it."
};
