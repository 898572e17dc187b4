/* `kms engine add`, `set`, `default`, `remove`: documents of engines. Guarantees: what is committed was checked against
 * the engine's kind; secrets stand in it by reference only; an engine with keys is not removed. */
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "cmd/generic.h"
#include "cmd/kms.h"
#include "engine/engine.h"
#include "model/config.h"
#include "pki/keys.h"
#include "state/state.h"

/* --- add --- */

struct add_args {
	const char *engine, *type, *file;
	struct strv set;
	bool default_;
};

/* "path=value" */
static int split_assignment(struct ctx *ctx, const char *text, char **ret_path, const char **ret_value, struct err *e)
{
	const char *eq = strchr(text, '=');

	if (!eq || eq == text)
		return err_set(e, ERR_USAGE, "\"%s\" is not of the form path=value", text);
	*ret_path = arena_strndup(ctx->arena, text, (size_t)(eq - text));
	*ret_value = eq + 1;
	return 0;
}

/* One document out of ID, --type and --set; the reader sorts out what belongs into config. */
static int from_options(struct ctx *ctx, const struct add_args *a, struct engine_doc *ret, struct err *e)
{
	char *json = NULL, *path;
	const char *value;

	if (!a->engine || !a->type)
		return err_set(e, ERR_USAGE, "give the engine's id and --type, or a document with --file");
	if (any_set(ctx->arena, json, "id", a->engine, &json, e) != 0 ||
	    any_set(ctx->arena, json, "type", a->type, &json, e) != 0)
		return -1;
	for (size_t i = 0; i < a->set.n; i++)
		if (split_assignment(ctx, a->set.v[i], &path, &value, e) != 0 ||
		    any_set(ctx->arena, json, path, value, &json, e) != 0)
			return -1;
	return rec_load(ctx->arena, &engine_type, a->engine, bytes_of(json), ret, e);
}

static int from_file(struct ctx *ctx, const struct add_args *a, struct engine_doc **ret, size_t *ret_n,
		     char **ret_default,
		     struct err *e)
{
	const char *name = strcmp(a->file, "-") == 0 ? "standard input" : a->file;
	struct bytes text;

	if (a->set.n)
		return err_set(e, ERR_USAGE, "--set goes with --type, not with --file");
	if (fs_read_input(ctx->arena, a->file, REC_MAX_BYTES, &text, e) != 0 ||
	    engine_docs_load(ctx->arena, name, text, ret, ret_n, ret_default, e) != 0)
		return -1;
	if ((a->engine || a->type) && *ret_n != 1)
		return err_set(e, ERR_USAGE, "%s describes %s: an id or --type beside it fits one only", name,
			       text_count(ctx->arena, *ret_n, "engine", NULL));
	if (a->engine)
		(*ret)->id = arena_strdup(ctx->arena, a->engine);
	if (a->type)
		(*ret)->type = arena_strdup(ctx->arena, a->type);
	return 0;
}

static int add_one(struct ctx *ctx, struct engine_doc *doc, struct err *e)
{
	if (state_has(ctx->state, &engine_type, doc->id))
		return err_set(e, ERR_EXISTS, "engine %s exists already", doc->id);
	if (engine_doc_check(ctx->arena, doc, e) != 0)
		return -1;
	return state_put(ctx->state, &engine_type, doc->id, doc, e);
}

static int make_default(struct ctx *ctx, const char *id, struct err *e)
{
	if (!state_has(ctx->state, &engine_type, id))
		return err_set(e, ERR_NOT_FOUND, "engine \"%s\" not found", id);
	return state_set(ctx->state, &config_type, "lamassu", "default_engine", id, e);
}

static int run_add(struct ctx *ctx, void *args, struct err *e)
{
	const struct add_args *a = args;
	SCOPED_BUF names = buf_init(BUF_TEXT);
	struct engine_doc one, *docs = &one;
	char *default_id = NULL;
	size_t n = 1;

	if (a->file ? from_file(ctx, a, &docs, &n, &default_id, e) != 0 : from_options(ctx, a, &one, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (add_one(ctx, &docs[i], e) != 0)
			return -1;
		buf_printf(&names, "%s%s", i ? ", " : "", docs[i].id);
	}
	if (a->default_ && n > 1)
		return err_set(e, ERR_USAGE,
			       "--default: the document describes %zu engines; name the default one in it", n);
	if (a->default_)
		default_id = docs[0].id;
	if ((default_id && make_default(ctx, default_id, e) != 0) ||
	    state_commit(ctx->state, arena_printf(ctx->arena, "engine: add %s", buf_str(&names)), e) != 0)
		return -1;
	return n == 1 ? engine_print(ctx, docs[0].id, e) : out_done(ctx, e, "added engines %s", buf_str(&names));
}

static const struct opt add_opts[] = {
	OSTR(add_args, type, 0, "type", "Kind of the engine, such as software."),
	OLIST(add_args, set, 0, "path=value",
	      "A setting of the document or of the kind. Secrets by reference: pin='${HSM_PIN}'."),
	OSTR(add_args, file, 'f', "file", "Read the document of one engine, or of several."),
	OFLAG(add_args, default_, 0, "Make new keys in it when no engine is named."),
	OEND
};
static const struct operand add_operands[] = { PARAM(add_args, engine, "id", "The new engine's id.",
						     .flags = P_OPTIONAL), OEND };

const struct cmd engine_add_cmd = {
	.name = "add", .brief = "Add an engine", .opts = add_opts, .operands = add_operands,
	.argsize = sizeof(struct add_args),
	.needs = NEED_STATE | NEED_WRITE, .run = run_add, .type = &engine_type,
	.doc = "A secret is given by reference, never as itself: ${NAME} or env:NAME is a variable of the environment, "
	       "file:PATH the content of a file, fd:N that of an open descriptor, command:ARGV what a program prints. "
	       "The reference is resolved when the engine is used; a program is run only where this machine allows "
	       "it, by git config lamassu.allowCommands true or LAMASSU_ALLOW_COMMANDS=1.",
	.example = "lamassu kms engine add vaulted --type software --set dir=/mnt/vaulted/keys"
};

/* --- set --- */

struct set_args {
	const char *engine;
	struct strv assignments;
};

/* What is no field of the document is one of config. */
static char *full_path(struct ctx *ctx, const char *path)
{
	size_t n = strcspn(path, ".");

	for (const struct field *f = engine_type.fields; f->name; f++)
		if (strlen(f->name) == n && strncmp(f->name, path, n) == 0)
			return arena_strdup(ctx->arena, path);
	return arena_printf(ctx->arena, "config.%s", path);
}

static int has_keys(struct ctx *ctx, const char *id, size_t *ret, struct err *e)
{
	struct key *v;
	size_t n;

	if (keys_all(ctx, &v, &n, e) != 0)
		return -1;
	*ret = 0;
	for (size_t i = 0; i < n; i++)
		*ret += keys_is_in(&v[i], id);
	return 0;
}

static int run_set(struct ctx *ctx, void *args, struct err *e)
{
	const struct set_args *a = args;
	struct engine_doc before, after;
	struct rec_change *v;
	size_t n;

	if (state_get(ctx->state, &engine_type, a->engine, &before, e) != 0 ||
	    generic_changes(ctx, &a->assignments, &v, e) != 0)
		return -1;
	for (size_t i = 0; i < a->assignments.n; i++)
		v[i].path = full_path(ctx, v[i].path);
	if (state_set_all(ctx->state, &engine_type, a->engine, v, a->assignments.n, e) != 0 ||
	    state_get(ctx->state, &engine_type, a->engine, &after, e) != 0 ||
	    engine_doc_check(ctx->arena, &after, e) != 0 || has_keys(ctx, a->engine, &n, e) != 0)
		return -1;
	if (n && engine_kind(after.type) != (before.type ? engine_kind(before.type) : NULL))
		return err_set(e, ERR_CONFLICT, "engine %s holds %s: its type cannot change", a->engine,
			       text_count(ctx->arena, n, "key", NULL));
	if (state_commit(ctx->state, arena_printf(ctx->arena, "engine: set %s", a->engine), e) != 0)
		return -1;
	return engine_print(ctx, a->engine, e);
}

static const struct operand set_operands[] = {
	PARAM(set_args, engine, "engine", "The engine's id."),
	PARAMS(set_args, assignments, "path=value", "A setting and its new value; an empty value removes it."), OEND
};

const struct cmd engine_set_cmd = {
	.name = "set", .brief = "Change settings of an engine", .operands = set_operands,
	.argsize = sizeof(struct set_args),
	.needs = NEED_STATE | NEED_WRITE, .run = run_set, .type = &engine_type,
	.doc = "Keys that are there stay as they are: after unencrypted=false, `kms engine passphrase` encrypts them.",
	.example = "lamassu kms engine set software retention=30d"
};

/* --- default --- */

struct default_args {
	const char *engine;
};

static int run_default(struct ctx *ctx, void *args, struct err *e)
{
	const struct default_args *a = args;

	if (make_default(ctx, a->engine, e) != 0 ||
	    state_commit(ctx->state, arena_printf(ctx->arena, "engine: default %s", a->engine), e) != 0)
		return -1;
	return out_done(ctx, e, "engine %s is the default", a->engine);
}

const struct cmd engine_default_cmd = {
	.name = "default", .brief = "Choose where keys are made when no engine is named", .operands = engine_operand,
	.argsize = sizeof(struct default_args), .needs = NEED_STATE | NEED_WRITE, .run = run_default
};

/* --- remove --- */

static int run_remove(struct ctx *ctx, void *args, struct err *e)
{
	const struct engine_ref *a = args;
	const char *default_id = engine_default_id(ctx);
	size_t n;

	if (!state_has(ctx->state, &engine_type, a->engine))
		return err_set(e, ERR_NOT_FOUND, "engine \"%s\" not found", a->engine);
	if (has_keys(ctx, a->engine, &n, e) != 0)
		return -1;
	if (n)
		return err_set(e, ERR_CONFLICT, "engine %s holds %s", a->engine,
			       text_count(ctx->arena, n, "key", NULL));
	if (default_id && strcmp(default_id, a->engine) == 0)
		return err_set(e, ERR_CONFLICT, "engine %s is the default; choose another one first", a->engine);
	if (state_del(ctx->state, &engine_type, a->engine, e) != 0 ||
	    state_commit(ctx->state, arena_printf(ctx->arena, "engine: remove %s", a->engine), e) != 0)
		return -1;
	return out_done(ctx, e, "removed engine %s", a->engine);
}

const struct cmd engine_remove_cmd = {
	.name = "remove", .brief = "Remove an engine that holds no keys", .operands = engine_operand,
	.argsize = sizeof(struct engine_ref), .needs = NEED_STATE | NEED_WRITE, .run = run_remove
};
