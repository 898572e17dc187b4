/* Between key records and engines: records for keys that were made, taken in or found there, and what is done with them
 * but signing (signer.c). Guarantees: an engine is asked only for what it says it can do. */
#include <string.h>

#include "base/buf.h"
#include "crypto/key.h"
#include "engine/engine.h"
#include "engine/sealed.h"

static bool holds(uint32_t bits, const struct keytype *type)
{
	return type && bits & UINT32_C(1) << (type - keytypes);
}

static int check_type(struct ctx *ctx, struct engine *en, const struct keytype *type, unsigned cap, const char *what,
		      struct err *e)
{
	SCOPED_BUF list = buf_init(BUF_TEXT);
	uint32_t bits;

	if (!(en->ops->caps & cap))
		return err_set(e, ERR_UNSUPPORTED, "engine %s: cannot %s keys", en->doc->id, what);
	if (ctx->dry_run && !en->ops->store)
		return err_set(e, ERR_UNSUPPORTED, "engine %s: a dry run cannot %s keys", en->doc->id, what);
	if (en->ops->keytypes(en, &bits, e) != 0)
		return err_ctx(e, "engine %s", en->doc->id);
	if (holds(bits, type))
		return 0;
	for (size_t i = 0; keytypes[i].name; i++)
		if (holds(bits, &keytypes[i]))
			buf_printf(&list, "%s%s", list.n ? ", " : "", keytypes[i].name);
	return err_set(e, ERR_INVALID, "engine %s: cannot %s %s keys; it can: %s", en->doc->id, what,
		       type ? type->name : "such", buf_str(&list));
}

static int fill(struct ctx *ctx, const struct engine *en, const struct keytype *type, const EVP_PKEY *pub,
		const struct keyref *ref,
		const char *name, struct key *ret, struct err *e)
{
	struct key k;
	struct bytes spki;

	rec_default(ctx->arena, &key_type, &k);
	if (key_spki(ctx->arena, pub, &spki, e) != 0 || key_public_pem(ctx->arena, pub, &k.public_key, e) != 0)
		return -1;
	k.id = key_id(ctx->arena, spki);
	k.name = arena_strdup(ctx->arena, name);
	k.engine_id = arena_strdup(ctx->arena, en->doc->id);
	k.handle = arena_strdup(ctx->arena, ref->handle);
	k.algorithm = arena_strdup(ctx->arena, type->algorithm);
	k.size = type->bits;
	k.has_private_key = true;
	k.created_at = ctx->now;
	*ret = k;
	return 0;
}

int engine_generate(struct ctx *ctx, const char *engine_id, const struct keytype *type, const char *name,
		    struct key *ret, struct err *e)
{
	AUTO(EVP_PKEY) *pub = NULL;
	struct engine *en;
	struct keyref ref;

	if (engine_get(ctx, engine_id, &en, e) != 0 || check_type(ctx, en, type, CAP_GENERATE, "make", e) != 0)
		return -1;
	if (en->ops->generate(ctx, en, type, name, &ref, &pub, e) != 0)
		return err_ctx(e, "engine %s", en->doc->id);
	return fill(ctx, en, type, pub, &ref, name, ret, e);
}

int engine_import(struct ctx *ctx, const char *engine_id, EVP_PKEY *key, const char *name, struct key *ret,
		  struct err *e)
{
	const char *weak = key_weakness(key);
	const struct keytype *type = keytype_of(key);
	struct engine *en;
	struct keyref ref;

	if (weak)
		return err_set(e, ERR_DENIED, "the key is not safe to use: %s", weak);
	if (engine_get(ctx, engine_id, &en, e) != 0 || check_type(ctx, en, type, CAP_IMPORT, "import", e) != 0)
		return -1;
	if (en->ops->import(ctx, en, key, name, &ref, e) != 0)
		return err_ctx(e, "engine %s", en->doc->id);
	return fill(ctx, en, type, key, &ref, name, ret, e);
}

static int first_is_enough(void *arg, const struct keyref *ref, struct err *e)
{
	bool *reached = arg;

	(void)ref;
	*reached = true;
	return err_set(e, ERR_CANCELLED, "that will do");
}

int engine_import_ready(struct ctx *ctx, const char *engine_id, const struct keytype *type, struct err *e)
{
	struct engine *en;
	bool reached = false;
	int r;

	if (engine_get(ctx, engine_id, &en, e) != 0 || check_type(ctx, en, type, CAP_IMPORT, "import", e) != 0)
		return -1;
	if (en->sealed)
		r = en->unencrypted ? 0 : seal_open(ctx, en, true, e);
	else
		/* which logs in */
		r = en->ops->caps & CAP_LIST ? en->ops->each(ctx, en, first_is_enough, &reached, e) : 0;
	if (r != 0 && !reached)
		return err_ctx(e, "engine %s", en->doc->id);
	*e = (struct err){ 0 };
	return 0;
}

/* The engine of a record, open, and the engine's own name of the key. */
static int place(struct ctx *ctx, const struct key *k, struct engine **ret, struct keyref *ret_ref, struct err *e)
{
	*ret_ref = (struct keyref){ .handle = k->handle, .id = k->id, .label = k->name };
	return engine_get(ctx, k->engine_id, ret, e);
}

int engine_destroy(struct ctx *ctx, const struct key *k, int64_t *ret_gone_at, struct err *e)
{
	struct keyref ref;
	struct engine *en;

	if (place(ctx, k, &en, &ref, e) != 0)
		return -1;
	if (!(en->ops->caps & CAP_DELETE))
		return err_set(e, ERR_UNSUPPORTED, "engine %s: cannot delete keys", en->doc->id);
	if (en->ops->destroy(ctx, en, &ref, ret_gone_at, e) != 0)
		return err_ctx(e, "engine %s", en->doc->id);
	return 0;
}

int engine_key_state(struct ctx *ctx, const struct key *k, struct key_state *ret, struct err *e)
{
	const struct engine_ops *ops = engine_ops_of(ctx, k->engine_id);
	struct keyref ref;
	struct engine *en;

	*ret = (struct key_state){ .standing = KEY_USABLE };
	if (ops && !ops->state)
		return 0;
	if (place(ctx, k, &en, &ref, e) != 0)
		return -1;
	return ops->state(ctx, en, &ref, ret, e) != 0 ? err_ctx(e, "engine %s", en->doc->id) : 0;
}

bool engine_annotates(struct ctx *ctx, const struct key *k)
{
	const struct engine_ops *ops = k->has_private_key && !k->adopted ? engine_ops_of(ctx, k->engine_id) : NULL;
	struct err why = { 0 };
	struct engine *en;

	if (!ops || !ops->annotate)
		return false;
	if (engine_get(ctx, k->engine_id, &en, &why) == 0)
		return true;
	ctx_warn(ctx, "its names are not shown there: %s", why.msg);
	return false;
}

int engine_annotate(struct ctx *ctx, const struct key *k, struct err *e)
{
	const struct key_notes notes = { .name = k->name, .aliases = k->aliases, .tags = k->tags };
	struct keyref ref;
	struct engine *en;

	if (place(ctx, k, &en, &ref, e) != 0)
		return -1;
	return en->ops->annotate && en->ops->annotate(ctx, en, &ref, &notes, e) != 0
	       ? err_ctx(e, "engine %s", en->doc->id) : 0;
}

/* --- keys that are in the engine already --- */

static int record_of(struct ctx *ctx, struct engine *en, const struct keyref *ref, struct key *ret, struct err *e)
{
	AUTO(EVP_PKEY) *pub = NULL;
	const struct keytype *type;

	if (en->ops->pubkey(ctx, en, ref, &pub, e) != 0)
		return -1;
	type = keytype_of(pub);
	if (!type)
		return err_set(e, ERR_UNSUPPORTED, "the key %s is of a type that signs nothing here",
			       ref->label ? ref->label : ref->handle);
	return fill(ctx, en, type, pub, ref, ref->label ? ref->label : ref->handle, ret, e);
}

int engine_adopt(struct ctx *ctx, const char *engine_id, const char *name, struct key *ret, struct err *e)
{
	struct engine *en;
	struct keyref ref;

	if (engine_get(ctx, engine_id, &en, e) != 0)
		return -1;
	if (!en->ops->find)
		return err_set(e, ERR_UNSUPPORTED, "engine %s: its keys come in by create and import only",
			       en->doc->id);
	if (en->ops->find(ctx, en, name, &ref, e) != 0 || record_of(ctx, en, &ref, ret, e) != 0)
		return err_ctx(e, "engine %s", en->doc->id);
	return 0;
}

int engine_recover(struct ctx *ctx, const char *engine_id, const char *name, struct err *e)
{
	struct engine *en;

	if (engine_get(ctx, engine_id, &en, e) != 0)
		return -1;
	if (!en->ops->recover)
		return err_set(e, ERR_UNSUPPORTED, "engine %s: cannot take back deleted keys", en->doc->id);
	if (ctx->dry_run)
		return err_set(e, ERR_UNSUPPORTED, "engine %s: a dry run cannot take back keys", en->doc->id);
	return en->ops->recover(ctx, en, name, e) == 0 ? 0 : err_ctx(e, "engine %s", en->doc->id);
}

struct walk {
	struct ctx *ctx;
	struct engine *engine;
	const struct strv *known;
	int (*cb)(void *, const struct key *, struct err *);
	void *arg;
};

static int each_ref(void *arg, const struct keyref *ref, struct err *e)
{
	const struct walk *w = arg;
	struct err unfit = { 0 };
	struct key k;

	for (size_t i = 0; i < w->known->n; i++)
		if (strcmp(w->known->v[i], ref->handle) == 0)
			return 0;
	if (record_of(w->ctx, w->engine, ref, &k, &unfit) == 0)
		return w->cb(w->arg, &k, e);
	ctx_warn(w->ctx, "engine %s: key %s is left out: %s", w->engine->doc->id, ref->label ? ref->label : ref->handle,
		 unfit.msg);
	return 0;
}

int engine_each(struct ctx *ctx, const char *engine_id, const struct strv *known,
		int (*cb)(void *, const struct key *, struct err *), void *arg, struct err *e)
{
	struct walk w = { .ctx = ctx, .known = known, .cb = cb, .arg = arg };

	if (engine_get(ctx, engine_id, &w.engine, e) != 0)
		return -1;
	if (!(w.engine->ops->caps & CAP_LIST))
		return err_set(e, ERR_UNSUPPORTED, "engine %s: cannot list its keys", w.engine->doc->id);
	return w.engine->ops->each(ctx, w.engine, each_ref, &w, e) == 0
	       ? 0 : err_ctx(e, "engine %s", w.engine->doc->id);
}
