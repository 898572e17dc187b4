/* `kms engine list`, `show`, `test`: looking at engines. Nothing that they print is a secret: references in a config
 * are shown as ***. A list opens no engine. */
#include <string.h>

#include "cmd/kms.h"
#include "engine/engine.h"
#include "pki/keys.h"
#include "state/state.h"

const struct operand engine_operand[] = { PARAM(engine_ref, engine, "engine", "The engine's id."), OEND };

struct engine_view {
	char *id, *type, *provider, *security_level;
	bool is_default;
	int64_t keys;
	char *lock;
	struct strv capabilities, supported_key_types;
	struct dur retention;
	char *config, *reported, *metadata;
};

static const struct field view_fields[] = {
	STR(engine_view, id, "Identifier.", .flags = F_KEY | F_COL),
	STR(engine_view, type, "Kind.", .flags = F_COL),
	STR(engine_view, provider, "Name of the kind.", .flags = F_COL),
	STR(engine_view, security_level, "SL0 software, SL1 cloud module, SL2 hardware module.", .flags = F_COL),
	{ .name = "default", .kind = F_BOOL, .flags = F_COL | F_SHOW0, .off = offsetof(struct engine_view, is_default),
	  .doc = "Whether new keys are made here when no engine is named." },
	INT(engine_view, keys, "How many keys it holds.", .flags = F_COL | F_SHOW0),
	STR(engine_view, lock, "Whether its passphrase is needed: locked, unlocked or unencrypted.", .flags = F_COL),
	STRV(engine_view, capabilities, "What can be done with its keys: generate, import, delete, list, export."),
	STRV(engine_view, supported_key_types, "Types of key that it can make, as it says itself."),
	DUR(engine_view, retention, "How long a key waits between the request to delete it and its deletion."),
	ANY(engine_view, config, "Settings of the kind; secrets are not shown."),
	ANY(engine_view, reported, "What the engine says of itself now."),
	ANY(engine_view, metadata, "Free key-value data."),
	END
};

static const struct schema view_type = {
	.name = "engine", .plural = "engines", .doc = "An engine", .size = sizeof(struct engine_view),
	.fields = view_fields
};

/* The config through the kind's own table, which knows what is secret. What the table does not take is not shown at
 * all. */
static char *shown_config(struct ctx *ctx, const struct engine_ops *ops, const struct engine_doc *doc)
{
	SCOPED_BUF json = buf_init(BUF_TEXT);
	struct err why = { 0 };
	void *config;

	if (!doc->config || !ops)
		return NULL;
	config = arena_alloc(ctx->arena, 1, ops->config->size);
	if (rec_load(ctx->arena, ops->config, doc->id, bytes_of(doc->config), config, &why) != 0) {
		ctx_warn(ctx, "engine %s", why.msg);
		return NULL;
	}
	rec_json(ops->config, config, 0, &json);
	return arena_strdup(ctx->arena, buf_str(&json));
}

static const char *lock_state(struct ctx *ctx, const struct engine_ops *ops, const struct engine_doc *doc)
{
	const char *plain = doc->config ? any_get(ctx->arena, doc->config, "unencrypted") : NULL;

	if (!ops || !ops->store)
		return NULL;
	if (plain && strcmp(plain, "true") == 0)
		return "unencrypted";
	return engine_is_unlocked(ctx, doc->id) ? "unlocked" : "locked";
}

static struct strv capabilities(struct arena *a, unsigned caps)
{
	static const struct {
		unsigned cap;
		const char *name;
	} rows[] = { { CAP_GENERATE, "generate" }, { CAP_IMPORT, "import" }, { CAP_DELETE, "delete" },
		     { CAP_LIST, "list" },
		     { CAP_EXPORT, "export" } };
	struct strv ret = { .v = arena_new_array(a, COUNT(rows), char *), .set = true };

	for (size_t i = 0; i < COUNT(rows); i++)
		if (caps & rows[i].cap)
			ret.v[ret.n++] = arena_strdup(a, rows[i].name);
	return ret;
}

static struct engine_view view_of(struct ctx *ctx, const struct engine_doc *doc, const struct key *keys, size_t nkeys)
{
	const struct engine_ops *ops = doc->type ? engine_kind(doc->type) : NULL;
	const char *default_id = engine_default_id(ctx);
	struct engine_view v = {
	.id = doc->id, .type = doc->type, .retention = doc->retention, .metadata = doc->metadata,
	.provider = arena_strdup(ctx->arena, ops ? ops->provider : "not in this program"),
	.security_level = arena_printf(ctx->arena, "SL%d", engine_security_level(doc)),
	.is_default = default_id && strcmp(default_id, doc->id) == 0,
	.lock = arena_strdup(ctx->arena, lock_state(ctx, ops, doc)), .config = shown_config(ctx, ops, doc),
	.capabilities = capabilities(ctx->arena, ops ? ops->caps : 0)
	};

	for (size_t i = 0; i < nkeys; i++)
		v.keys += keys_is_in(&keys[i], doc->id);
	return v;
}

static int run_list(struct ctx *ctx, void *args, struct err *e)
{
	struct engine_view *views;
	struct engine_doc *docs;
	struct key *keys;
	char *next;
	size_t n, nkeys;

	(void)args;
	docs = state_all(ctx->state, &engine_type, &n, e);
	if (!docs || keys_all(ctx, &keys, &nkeys, e) != 0)
		return -1;
	views = arena_new_array(ctx->arena, n + 1, struct engine_view);
	for (size_t i = 0; i < n; i++)
		views[i] = view_of(ctx, &docs[i], keys, nkeys);
	if (query_run(ctx->arena, cli_query(ctx), &view_type, views, &n, ctx->now, &next, e) != 0)
		return -1;
	return out_list(ctx, &view_type, views, n, next, e);
}

const struct cmd engine_list_cmd = {
	.name = "list", .brief = "List engines", .needs = NEED_STATE | NEED_LIST, .run = run_list, .type = &view_type
};

static int print(struct ctx *ctx, const char *id, bool ask, struct err *e)
{
	struct err why = { 0 };
	struct engine_doc doc;
	struct engine_view v;
	struct key *keys;
	size_t nkeys;

	if (state_get(ctx->state, &engine_type, id, &doc, e) != 0 || keys_all(ctx, &keys, &nkeys, e) != 0)
		return -1;
	v = view_of(ctx, &doc, keys, nkeys);
	if (ask &&
	    (engine_keytypes(ctx, id, &v.supported_key_types, &why) != 0 ||
	     engine_report(ctx, id, &v.reported, &why) != 0) &&
	    why.code != ERR_NOT_FOUND)
		ctx_warn(ctx, "%s", why.msg);
	return out_record(ctx, &view_type, &v, e);
}

int engine_print(struct ctx *ctx, const char *id, struct err *e)
{
	return print(ctx, id, false, e);
}

static int run_show(struct ctx *ctx, void *args, struct err *e)
{
	const struct engine_ref *a = args;

	return print(ctx, a->engine, true, e);
}

const struct cmd engine_show_cmd = {
	.name = "show", .brief = "Show one engine and what it can do", .operands = engine_operand,
	.argsize = sizeof(struct engine_ref), .needs = NEED_STATE, .run = run_show, .type = &view_type
};

/* --- test --- */

struct test_args {
	const char *engine;
	bool read_only;
};

struct test_row {
	char *key_type, *algorithm, *result;
	int64_t microseconds;
};

static const struct field test_fields[] = {
	STR(test_row, key_type, "Type of the throw-away key.", .flags = F_KEY | F_COL),
	STR(test_row, algorithm, "What it signed with.", .flags = F_COL),
	INT(test_row, microseconds, "How long the signature took.", .flags = F_COL),
	STR(test_row, result, "ok, or why not.", .flags = F_COL),
	END
};

static const struct schema test_type = {
	.name = "result", .plural = "results", .doc = "Result of a test", .size = sizeof(struct test_row),
	.fields = test_fields
};

struct testing {
	struct arena *arena;
	struct test_row *rows;
	size_t n;
};

static struct test_row *add_row(struct testing *t)
{
	t->rows = arena_grow(t->arena, t->rows, t->n, sizeof(*t->rows));
	return &t->rows[t->n++];
}

static int take_row(void *arg, const struct engine_test_row *row)
{
	struct testing *t = arg;

	*add_row(t) = (struct test_row){ arena_strdup(t->arena, row->keytype), arena_strdup(t->arena, row->algorithm),
					 arena_strdup(t->arena, row->result), row->micros };
	return 0;
}

static int run_test(struct ctx *ctx, void *args, struct err *e)
{
	const struct test_args *a = args;
	struct testing t = { .arena = ctx->arena };
	struct err failed = { 0 };
	struct strv types;

	if (engine_keytypes(ctx, a->engine, &types, e) != 0)
		return -1;
	for (size_t i = 0; a->read_only && i < types.n; i++)
		*add_row(&t) = (struct test_row){ .key_type = types.v[i],
						 .result = arena_strdup(ctx->arena, "supported") };
	if (!a->read_only && engine_test(ctx, a->engine, take_row, &t, &failed) != 0 && t.n == 0) {
		*e = failed;
		return -1;
	}
	if (out_list(ctx, &test_type, t.rows, t.n, NULL, e) != 0)
		return -1;
	if (failed.code)
		*e = failed;
	return failed.code ? -1 : 0;
}

static const struct opt test_opts[] = {
	OFLAG(test_args, read_only, 0, "Only ask the engine which types of key it can hold; make none."), OEND
};
static const struct operand test_operands[] = {
	PARAM(test_args, engine, "engine", "The engine's id. Default: the default engine.", .flags = P_OPTIONAL), OEND
};

const struct cmd engine_test_cmd = {
	.name = "test", .brief = "Prove every key type of an engine with a signature", .opts = test_opts,
	.operands = test_operands,
	.argsize = sizeof(struct test_args), .needs = NEED_STATE, .run = run_test, .type = &test_type,
	.doc = "Makes a throw-away key of every type that the engine says it supports, signs with it, verifies the "
	       "signature, and deletes the key. Exit status 6 when one fails. Services that keep deleted keys "
	       "for a time keep these too (AWS KMS, AWS Secrets Manager, Azure Key Vault); a warning says until when."
};
