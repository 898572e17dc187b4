/* Bytes of others that an engine's store keeps beside its keys. Guarantees: their names are none of a key's, so nothing
 * that lists, moves or encrypts keys anew touches them; a write replaces what was read and nothing else. */
#include "base/text.h"
#include "engine/sealed.h"

static int open_store(struct ctx *ctx, const char *id, struct engine **ret, struct err *e)
{
	if (engine_get(ctx, id, ret, e) != 0)
		return -1;
	if (!(*ret)->ops->store || !(*ret)->ops->store->shared)
		return err_set(e, ERR_UNSUPPORTED, "engine %s: keeps nothing but keys", id);
	return 0;
}

int engine_blob(struct ctx *ctx, const char *id, const char *name, struct bytes *ret, const char **ret_version,
		struct err *e)
{
	const char *own = arena_printf(ctx->arena, SEALED_OWN "%s", name);
	struct err why = { 0 };
	struct engine *en;

	if (open_store(ctx, id, &en, e) != 0)
		return -1;
	if (en->ops->store->get(ctx, en, own, ret, ret_version, &why) == 0)
		return 0;
	if (why.code == ERR_NOT_FOUND)
		return err_set(e, ERR_NOT_FOUND, "engine %s: has no %s", id, own);
	return err_set(e, why.code, "engine %s: %s", id, why.msg);
}

int engine_blob_put(struct ctx *ctx, const char *id, const char *name, struct bytes text, const char *over,
		    struct err *e)
{
	struct engine *en;

	if (open_store(ctx, id, &en, e) != 0)
		return -1;
	return en->ops->store->put(ctx, en, arena_printf(ctx->arena, SEALED_OWN "%s", name), text, over, e) == 0
	       ? 0 : err_ctx(e, "engine %s", id);
}
