/* `device register`, `set`, `metadata`: devices one by one. Each change is an entry of the ledger with who made it. */
#include <string.h>

#include "base/text.h"
#include "cmd/ca.h"
#include "cmd/device.h"
#include "pki/device.h"
#include "state/ledger.h"

static int commit(struct ctx *ctx, const char *verb, const char *id, struct err *e)
{
	return state_commit(ctx->state, arena_printf(ctx->arena, "device: %s %s", verb, id), e);
}

/* --- register --- */

struct register_args {
	const char *device, *dms, *alias, *icon, *icon_color;
	struct strv tag, metadata;
};

static int run_register(struct ctx *ctx, void *args, struct err *e)
{
	const struct register_args *a = args;
	struct device_entry given = { .alias = arena_strdup(ctx->arena, a->alias),
				      .icon = arena_strdup(ctx->arena, a->icon),
				      .icon_color = arena_strdup(ctx->arena, a->icon_color), .tags = a->tag };
	struct dms d;

	given.tags.set = a->tag.n > 0;
	if (state_get(ctx->state, &dms_type, a->dms, &d, e) != 0 ||
	    (a->metadata.n && metadata_from_list(ctx, &a->metadata, &given.metadata, e) != 0) ||
	    device_register(ctx, &d, a->device, &given, e) != 0 || commit(ctx, "register", a->device, e) != 0)
		return -1;
	return device_print(ctx, a->device, e);
}

static const struct opt register_opts[] = {
	OSTR(register_args, dms, 0, "dms", "Its device manager, which gives defaults for all that is not said here.",
	     .flags = O_REQ),
	OSTR(register_args, alias, 0, "text", "A name for people."),
	OLIST(register_args, tag, 0, "tag", "A tag."),
	OLIST(register_args, metadata, 0, "key=value",
	      "Free data. It stays in the history for good: no place for personal data."),
	OSTR(register_args, icon, 0, "text", "Icon, for user interfaces."),
	OSTR(register_args, icon_color, 0, "text", "Its colours."),
	OEND
};
static const struct operand new_operand[] =
	{ PARAM(register_args, device, "id", "The device's id: printable UTF-8 of at most 255 bytes."), { 0 } };
const struct cmd device_register_cmd = {
	.name = "register", .brief = "Register a device", .opts = register_opts, .operands = new_operand,
	.argsize = sizeof(struct register_args),
	.needs = NEED_STATE | NEED_WRITE, .run = run_register, .type = &device_type,
	.doc = "It has status NO_IDENTITY until it enrols. Needed before that where the device manager's "
	       "registration_mode is PRE_REGISTRATION.",
	.example = "lamassu device register sensor-1 --dms factory --tag lab --metadata site=vienna"
};

/* --- set --- */

struct set_args {
	const char *device;
	struct strv assignments;
};

static int assign(struct ctx *ctx, struct device_entry *x, const char *s, struct err *e)
{
	const char *eq = strchr(s, '=');
	char *name = eq ? arena_strndup(ctx->arena, s, (size_t)(eq - s)) : NULL,
		     *value = eq ? arena_strdup(ctx->arena, eq + 1) : NULL;

	if (!eq || eq == s)
		return err_set(e, ERR_USAGE, "\"%s\" is not of the form path=value",
			       text_escape(ctx->arena, bytes_of(s)));
	if (strcmp(name, "alias") == 0)
		x->alias = value;
	else if (strcmp(name, "icon") == 0)
		x->icon = value;
	else if (strcmp(name, "icon_color") == 0)
		x->icon_color = value;
	else if (strcmp(name, "tags") == 0)
		x->tags = text_items(ctx->arena, value, ",");
	else if (strcmp(name, "dms") == 0 && *value && state_has(ctx->state, &dms_type, value))
		x->dms = value;
	else if (text_has_prefix(name, "metadata.") && name[9])
		return any_set(ctx->arena, x->metadata, name + 9, *value ? value : "null", &x->metadata, e);
	else
		return err_set(e, ERR_USAGE, "%s cannot be set; known are alias, dms (one that exists), icon, "
			       "icon_color, tags, metadata.KEY", text_escape(ctx->arena, bytes_of(name)));
	return 0;
}

static int run_set(struct ctx *ctx, void *args, struct err *e)
{
	const struct set_args *a = args;
	struct device_entry x = { .action = DEVICE_CHANGE };
	struct device d;

	if (ledger_device(ctx->state, a->device, &d, e) != 0)
		return -1;
	x.device = d.id;
	for (size_t i = 0; i < a->assignments.n; i++)
		if (assign(ctx, &x, a->assignments.v[i], e) != 0)
			return -1;
	if (ledger_add_device(ctx->state, &x, e) != 0 || commit(ctx, "set", d.id, e) != 0)
		return -1;
	return device_print(ctx, d.id, e);
}

static const struct operand set_operands[] = {
	PARAM(set_args, device, "device", "The device's id."),
	PARAMS(set_args, assignments, "path=value", "alias, dms, icon, icon_color, tags (a,b,c) or metadata.KEY, and "
	       "the new value; an empty one removes it."),
	{ 0 }
};
const struct cmd device_set_cmd = {
	.name = "set", .brief = "Change what is known of a device", .operands = set_operands,
	.argsize = sizeof(struct set_args),
	.needs = NEED_STATE | NEED_WRITE, .run = run_set, .type = &device_type,
	.example = "lamassu device set sensor-1 alias='North gate' tags=lab,north metadata.rack=12"
};

/* --- metadata --- */

struct metadata_args {
	const char *device;
	struct strv items;
};

static int change(struct ctx *ctx, const struct metadata_args *a, bool unset, struct err *e)
{
	struct device_entry x = { .action = DEVICE_CHANGE };
	struct device d;

	if (ledger_device(ctx->state, a->device, &d, e) != 0)
		return -1;
	for (size_t i = 0; unset && i < a->items.n; i++) {
		if (!any_get(ctx->arena, d.metadata, a->items.v[i]))
			return err_set(e, ERR_NOT_FOUND, "there is no \"%s\"",
				       text_escape(ctx->arena, bytes_of(a->items.v[i])));
		if (any_set(ctx->arena, x.metadata, a->items.v[i], "null", &x.metadata, e) != 0)
			return -1;
	}
	if (!unset && metadata_from_list(ctx, &a->items, &x.metadata, e) != 0)
		return -1;
	x.device = d.id;
	if (ledger_add_device(ctx->state, &x, e) != 0 || commit(ctx, "metadata of", d.id, e) != 0)
		return -1;
	return device_print(ctx, d.id, e);
}

static int run_metadata_set(struct ctx *ctx, void *args, struct err *e)
{
	return change(ctx, args, false, e);
}

static int run_metadata_unset(struct ctx *ctx, void *args, struct err *e)
{
	return change(ctx, args, true, e);
}

static const struct operand metadata_set_operands[] = {
	PARAM(metadata_args, device, "device", "The device's id."),
	PARAMS(metadata_args, items, "key=value", "Key and value; JSON, or plain text."), { 0 }
};
static const struct operand metadata_unset_operands[] = {
	PARAM(metadata_args, device, "device", "The device's id."), PARAMS(metadata_args, items, "key", "The key."),
	{ 0 }
};
static const struct cmd metadata_set_cmd = {
	.name = "set", .brief = "Set free data of a device", .operands = metadata_set_operands,
	.argsize = sizeof(struct metadata_args),
	.needs = NEED_STATE | NEED_WRITE, .run = run_metadata_set, .type = &device_type,
	.example = "lamassu device metadata set sensor-1 site=vienna rack=12"
};
static const struct cmd metadata_unset_cmd = {
	.name = "unset", .brief = "Remove free data of a device", .operands = metadata_unset_operands,
	.argsize = sizeof(struct metadata_args),
	.needs = NEED_STATE | NEED_WRITE, .run = run_metadata_unset, .type = &device_type
};
static const struct cmd *const metadata_verbs[] = { &metadata_set_cmd, &metadata_unset_cmd, NULL };
const struct cmd device_metadata_cmd = {
	.name = "metadata", .brief = "Free data of a device", .sub = metadata_verbs,
	.doc = "Each change is an entry of the ledger and stays in its history for good: no place for personal data."
};
