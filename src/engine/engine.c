/* The registry of engine kinds, and the engines that a command has open. An engine is opened when it is first asked
 * for, so that commands which do not need it cost nothing and fail in nothing; one that could not be opened is not
 * tried again (a wrong PIN counts towards the token's lock). Not for several threads: open first, then share the
 * keys. */
#include "engine/engine.h"

#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "engine/aws.h"
#include "engine/azure.h"
#ifdef WITH_P11
#include "engine/pkcs11.h"
#endif
#include "engine/sealed.h"
#include "engine/vault.h"
#include "net/net.h"

const struct engine_ops *const engine_kinds[] = {
	&software_engine,
#ifdef WITH_P11
	&pkcs11_engine,
#endif
	&aws_kms_engine,
	&aws_sm_engine,
	&azure_engine,
	&vault_kv_engine,
	&vault_transit_engine,
	NULL
};

struct slot {
	struct engine engine;
	bool open, failed;
	struct err why;
};

struct engines {
	struct arena *arena;
	const char *default_id;
	struct slot *v;
	size_t n;
};

const struct engine_ops *engine_kind(const char *name)
{
	for (size_t i = 0; engine_kinds[i]; i++) {
		const char *const *aka = engine_kinds[i]->aka;

		if (text_same_name(name, engine_kinds[i]->kind))
			return engine_kinds[i];
		for (; aka && *aka; aka++)
			if (text_same_name(name, *aka))
				return engine_kinds[i];
	}
	return NULL;
}

int engine_child(int argc, char **argv)
{
	int status = -1;

	for (size_t i = 0; status < 0 && engine_kinds[i]; i++)
		if (engine_kinds[i]->child)
			status = engine_kinds[i]->child(argc, argv);
	return status;
}

static int find_kind(const struct engine_doc *doc, const struct engine_ops **ret, struct err *e)
{
	SCOPED_BUF list = buf_init(BUF_TEXT);

	*ret = doc->type ? engine_kind(doc->type) : NULL;
	if (*ret)
		return 0;
	for (size_t i = 0; engine_kinds[i]; i++)
		buf_printf(&list, "%s%s", i ? ", " : "", engine_kinds[i]->kind);
	if (!doc->type)
		return err_set(e, ERR_INVALID, "engine %s: type: must be given; there are: %s", doc->id,
			       buf_str(&list));
	return err_set(e, ERR_INVALID,
		       "engine %s: type: \"%s\" is not a kind of engine that this program has; there are: %s",
		       doc->id, doc->type, buf_str(&list));
}

struct engines *engines_new(struct ctx *ctx, const struct engine_doc *docs, size_t n, const char *default_id,
			    const char *private_dir)
{
	struct engines *es = arena_new_array(ctx->arena, 1, struct engines);

	es->arena = ctx->arena;
	es->default_id = arena_strdup(ctx->arena, default_id);
	es->v = arena_new_array(ctx->arena, n, struct slot);
	es->n = n;
	for (size_t i = 0; i < n; i++) {
		struct engine *en = &es->v[i].engine;

		en->doc = arena_memdup(ctx->arena, &docs[i], sizeof(docs[i]));
		en->dir = arena_strdup(ctx->arena, private_dir);
		en->arena = ctx->arena;
	}
	return es;
}

void engines_free(struct engines *es)
{
	if (!es)
		return;
	for (size_t i = 0; i < es->n; i++) {
		struct slot *s = &es->v[i];

		if (s->open)
			s->engine.ops->close(&s->engine);
		s->open = false;
	}
}

/* Reads `config:` with the fields of the kind. */
static int load_config(struct arena *a, const struct engine_ops *ops, const struct engine_doc *doc, void **ret,
		       struct err *e)
{
	const char *where = arena_printf(a, "engine %s: config", doc->id);
	void *config = arena_alloc(a, 1, ops->config->size);

	if (rec_load(a, ops->config, where, bytes_of(doc->config ? doc->config : "{}"), config, e) != 0) {
		size_t n = strlen(where), place = strncmp(e->msg, where, n) == 0 ? strspn(e->msg + n, ":0123456789")
										 : 0;

		/* a place in one line that nobody wrote */
		return place ? err_set(e, e->code, "%s:%s", where, arena_strdup(a, e->msg + n + place)) : -1;
	}
	*ret = config;
	return 0;
}

static int open_slot(struct ctx *ctx, struct slot *s, struct err *e)
{
	struct engine *en = &s->engine;
	void *config;

	if (find_kind(en->doc, &en->ops, e) != 0 || load_config(en->arena, en->ops, en->doc, &config, e) != 0)
		return -1;
	if (en->ops->outside && net_need(ctx, e) != 0)
		return -1;
	if (en->ops->open(ctx, en, config, e) != 0)
		return err_ctx(e, "engine %s", en->doc->id);
	s->open = true;
	return 0;
}

static int unknown(const struct engines *es, const char *id, struct err *e)
{
	SCOPED_BUF list = buf_init(BUF_TEXT);

	for (size_t i = 0; es && i < es->n; i++)
		buf_printf(&list, "%s%s", i ? ", " : "", es->v[i].engine.doc->id);
	return err_set(e, ERR_NOT_FOUND, "engine \"%s\" not found; there are: %s", id,
		       list.n ? buf_str(&list) : "none");
}

int engine_get(struct ctx *ctx, const char *id, struct engine **ret, struct err *e)
{
	struct engines *es = ctx->engines;

	if (!id || !id[0])
		id = engine_default_id(ctx);
	if (!id)
		return err_set(e, ERR_NOT_FOUND, "no engine is named and there is no default engine");
	for (size_t i = 0; es && i < es->n; i++) {
		struct slot *s = &es->v[i];

		if (strcmp(s->engine.doc->id, id) != 0)
			continue;
		if (s->failed) {
			*e = s->why;
			return -1;
		}
		if (!s->open && open_slot(ctx, s, e) != 0) {
			s->failed = true;
			s->why = *e;
			return -1;
		}
		*ret = &s->engine;
		return 0;
	}
	return unknown(es, id, e);
}

void engine_ready(struct ctx *ctx, const char *id)
{
	struct err ignored = { 0 };
	struct engine *en;

	(void)!engine_get(ctx, id, &en, &ignored);
}

const char *engine_default_id(struct ctx *ctx)
{
	const struct engines *es = ctx->engines;

	if (!es)
		return NULL;
	if (es->default_id && es->default_id[0])
		return es->default_id;
	return es->n == 1 ? es->v[0].engine.doc->id : NULL;
}

struct engine *engine_unopened(struct ctx *ctx, const char *id)
{
	struct engines *es = ctx->engines;

	for (size_t i = 0; es && id && i < es->n; i++)
		if (strcmp(es->v[i].engine.doc->id, id) == 0)
			return &es->v[i].engine;
	return NULL;
}

const struct engine_ops *engine_ops_of(struct ctx *ctx, const char *id)
{
	const struct engines *es = ctx->engines;

	for (size_t i = 0; es && id && i < es->n; i++) {
		const struct engine_doc *doc = es->v[i].engine.doc;

		if (strcmp(doc->id, id) == 0)
			return doc->type ? engine_kind(doc->type) : NULL;
	}
	return NULL;
}

static int level_of_config(const struct engine_ops *ops, const struct engine_doc *doc)
{
	SCOPED_ARENA *a = arena_new();
	struct err ignored = { 0 };
	void *config;

	return load_config(a, ops, doc, &config, &ignored) == 0 ? ops->level(config) : 0;
}

int engine_security_level(const struct engine_doc *doc)
{
	const struct engine_ops *ops = doc->type ? engine_kind(doc->type) : NULL;
	int level = !ops ? 0 : ops->level ? level_of_config(ops, doc) : ops->security_level;

	return doc->security_level >= 0 && doc->security_level < level ? (int)doc->security_level : level;
}

int engine_doc_check(struct arena *a, struct engine_doc *doc, struct err *e)
{
	const struct engine_ops *ops;
	void *config;

	if (find_kind(doc, &ops, e) != 0 || load_config(a, ops, doc, &config, e) != 0)
		return -1;
	if (doc->security_level > ops->security_level)
		return err_set(e, ERR_INVALID, "engine %s: security_level: must not be above the kind's own, %d",
			       doc->id,
			       ops->security_level);
	doc->type = arena_strdup(a, ops->kind);
	return 0;
}

int engine_report(struct ctx *ctx, const char *id, char **ret, struct err *e)
{
	struct engine *en;

	if (engine_get(ctx, id, &en, e) != 0)
		return -1;
	*ret = NULL;
	return en->ops->report && en->ops->report(ctx, en, ret, e) != 0 ? err_ctx(e, "engine %s", en->doc->id) : 0;
}

int engine_keytypes(struct ctx *ctx, const char *id, struct strv *ret, struct err *e)
{
	struct engine *en;
	struct strv names = { .set = true };
	uint32_t bits;

	if (engine_get(ctx, id, &en, e) != 0 || en->ops->keytypes(en, &bits, e) != 0)
		return -1;
	for (size_t i = 0; keytypes[i].name; i++) {
		if (!(bits & UINT32_C(1) << i))
			continue;
		names.v = arena_grow(ctx->arena, names.v, names.n, sizeof(*names.v));
		names.v[names.n++] = arena_strdup(ctx->arena, keytypes[i].name);
	}
	*ret = names;
	return 0;
}
