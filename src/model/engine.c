/* Documents of crypto engines, in all the forms that people have them in. Guarantees: in the record, what belongs to
 * the kind of engine is under `config`, whatever form was read. Which kinds there are, and whether `config` suits one,
 * is judged in engine/; nothing here opens an engine or resolves a secret. */
#include "model/engine.h"

#include <string.h>

#include "base/text.h"

static const struct field engine_fields[] = {
	STR(engine_doc, id, "Identifier.", .flags = F_REQ | F_KEY | F_COL),
	STR(engine_doc, type,
	    "Kind of the engine: SOFTWARE (also GOLANG, FILESYSTEM), PKCS11, AWS_KMS, AWS_SECRETS_MANAGER, "
	    "AZURE_KEY_VAULT, HASHICORP_VAULT_KV_V2.", .flags = F_COL),
	INT(engine_doc, security_level,
	    "Protection that the engine is trusted with: 0 software, 1 cloud module, 2 hardware module. It may only be "
	    "lower than the kind's own; -1 is the kind's own.", .dflt = "-1", .min = -1, .max = 2),
	DUR(engine_doc, retention, "How long a key waits between the request to delete it and its deletion.",
	    .max = INT64_C(3153600000)),
	ANY(engine_doc, config, "Settings of the kind. They may also stand beside `id` and `type`.", .flags = F_REST),
	ANY(engine_doc, metadata, "Free key-value data."),
	END
};

static int engine_check(struct arena *a, void *rec, struct err *e)
{
	struct engine_doc *d = rec;

	(void)a;
	if (!id_valid(d->id))
		return err_set(e, ERR_INVALID, "id: \"%s\" is not an id: [a-z0-9][a-z0-9._-]{0,63}", d->id);
	if (d->config && d->config[0] != '{')
		return err_set(e, ERR_INVALID, "config: must be a mapping");
	return 0;
}

const struct schema engine_type = {
	.name = "engine", .plural = "engines", .path = "engines/%s.yaml", .doc = "A place where private keys live",
	.size = sizeof(struct engine_doc), .fields = engine_fields, .check = engine_check
};

/* --- the documents of `kms engine add -f` --- */

struct engine_groups {
	char *default_id, *log_level;
	bool migrate_keys_format;
	struct vec engines; /* struct engine_doc */
	char *by_type;      /* {"pkcs11": […], …} */
};

struct engine_file {
	char *default_id;
	struct vec engines;
	struct engine_groups crypto_engines;
	char *bare; /* members of a document that is one engine */
};

static const struct field groups_fields[] = {
	STR(engine_groups, default_id, "The engine that is used when none is named."),
	STR(engine_groups, log_level, "Accepted for compatibility."),
	BOOL(engine_groups, migrate_keys_format, "Accepted for compatibility.", .dflt = "false"),
	OBJV(engine_groups, engines, &engine_type, "Engines."),
	ANY(engine_groups, by_type, "Lists of engines, each under its type.", .flags = F_REST),
	END
};

static const struct schema groups_type = {
	.name = "crypto_engines", .doc = "Engines", .size = sizeof(struct engine_groups), .fields = groups_fields
};

static const struct field file_fields[] = {
	STR(engine_file, default_id, "The engine that is used when none is named."),
	OBJV(engine_file, engines, &engine_type, "Engines."),
	OBJ(engine_file, crypto_engines, &groups_type, "Engines, each list under its type."),
	ANY(engine_file, bare, "One engine.", .flags = F_REST),
	END
};

static const struct schema file_type = {
	.name = "engines", .doc = "Several engines", .size = sizeof(struct engine_file), .fields = file_fields
};

struct gather {
	struct arena *arena;
	const char *file;
	struct engine_doc *v;
	size_t n;
	struct err *e;
};

static void gather_add(struct gather *g, const struct vec *docs, const char *type)
{
	const struct engine_doc *v = docs->v;

	for (size_t i = 0; i < docs->n; i++) {
		g->v = arena_grow(g->arena, g->v, g->n, sizeof(*g->v));
		g->v[g->n] = v[i];
		if (!g->v[g->n].type)
			g->v[g->n].type = arena_strdup(g->arena, type);
		g->n++;
	}
}

/* One list of crypto_engines: {pkcs11: […]}; its JSON is read as any document is. */
static int gather_group(void *arg, const char *type, const char *json)
{
	struct gather *g = arg;
	struct engine_file part;
	const char *where = arena_printf(g->arena, "%s: crypto_engines.%s", g->file, type);
	const char *text = arena_printf(g->arena, "{\"engines\": %s}", json);

	if (json[0] != '[')
		return err_set(g->e, ERR_INVALID, "%s: must be a list of engines", where);
	if (rec_load(g->arena, &file_type, where, bytes_of(text), &part, g->e) != 0)
		return -1;
	gather_add(g, &part.engines, type);
	return 0;
}

int engine_docs_load(struct arena *a, const char *file, struct bytes text, struct engine_doc **ret, size_t *ret_n,
		     char **ret_default,
		     struct err *e)
{
	struct gather g = { .arena = a, .file = file, .e = e };
	struct engine_file f;
	struct engine_doc one;

	if (rec_load(a, &file_type, file, text, &f, e) != 0)
		return -1;
	gather_add(&g, &f.engines, NULL);
	gather_add(&g, &f.crypto_engines.engines, NULL);
	if (f.crypto_engines.by_type && any_each(a, f.crypto_engines.by_type, gather_group, &g) != 0)
		return -1;
	if (g.n == 0) { /* read again as one engine, so that messages have its lines */
		if (rec_load(a, &engine_type, file, text, &one, e) != 0)
			return -1;
		gather_add(&g, &(struct vec){ .v = &one, .n = 1 }, NULL);
	} else if (f.bare) {
		return err_set(e, ERR_INVALID, "%s: a list of engines and the fields of one engine stand side by side",
			       file);
	}
	*ret = g.v;
	*ret_n = g.n;
	*ret_default = f.default_id ? f.default_id : f.crypto_engines.default_id;
	return 0;
}
