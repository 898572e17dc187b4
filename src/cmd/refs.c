/* References between records, found through their field tables: a new type needs a row here and nothing else. Reads
 * only. */
#include "cmd/refs.h"

#include <string.h>

#include "cmd/device.h"
#include "cmd/dms.h"
#include "model/ca.h"
#include "model/config.h"
#include "model/device.h"
#include "model/engine.h"
#include "model/group.h"
#include "model/key.h"
#include "model/ledger_records.h"
#include "model/profile.h"
#include "state/state.h"

const struct record_type record_types[] = {
	{ "profile", &profile_type, NULL }, { "ca", &ca_type, NULL }, { "ca-create", &ca_create_type, NULL },
	{ "ca-crl", &ca_crl_type, NULL }, { "engine", &engine_type, NULL }, { "key", &key_type, NULL },
	{ "dms", &dms_type, dms_check_uses }, { "group", &group_type, group_check }, { "config", &config_type, NULL },
	{ "certificate", &certrec_type, NULL },
	{ "revocation", &revocation_type, NULL }, { "crl", &crlrec_type, NULL }, { "change", &metachange_type, NULL },
	{ "device-entry", &device_entry_type, NULL }, { "event", &eventrec_type, NULL },
	{ NULL, NULL, NULL }
};

/* Calls cb for each id that a record names, until it returns other than 0. */
static int each_ref(struct ctx *ctx, const struct schema *s, const void *rec,
		    int (*cb)(void *arg, struct ctx *, const struct field *, const char *id, struct err *), void *arg,
		    struct err *e)
{
	for (const struct field *f = s->fields; f->name; f++) {
		const void *at = (const char *)rec + f->off;
		const struct vec *items = at;
		const struct strv *ids = at;
		int rc = 0;

		if (f->kind == F_REF)
			rc = *(char *const *)at ? cb(arg, ctx, f, *(char *const *)at, e) : 0;
		for (size_t i = 0; f->kind == F_REFV && i < ids->n && rc == 0; i++)
			rc = cb(arg, ctx, f, ids->v[i], e);
		if (f->kind == F_OBJ)
			rc = each_ref(ctx, f->sub, at, cb, arg, e);
		for (size_t i = 0; f->kind == F_OBJV && i < items->n && rc == 0; i++)
			rc = each_ref(ctx, f->sub, (const char *)items->v + i * f->sub->size, cb, arg, e);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int must_exist(void *arg, struct ctx *ctx, const struct field *f, const char *id, struct err *e)
{
	struct err why = { 0 };

	(void)arg;
	if (f->to->path == NULL || state_has(ctx->state, f->to, id))
		return 0;
	if (state_get(ctx->state, f->to, id, arena_alloc(ctx->arena, 1, f->to->size), &why) == 0)
		return 0;
	return err_set(e, ERR_INVALID, "%s: %s", f->name, why.msg);
}

int refs_check(struct ctx *ctx, const struct schema *s, const void *rec, struct err *e)
{
	if (each_ref(ctx, s, rec, must_exist, NULL, e) != 0)
		return -1;
	for (const struct record_type *t = record_types; t->name; t++)
		if (t->schema == s && t->check)
			return t->check(ctx, rec, e);
	return 0;
}

int refs_check_stored(struct ctx *ctx, const struct schema *s, const char *id, struct err *e)
{
	void *rec = arena_alloc(ctx->arena, 1, s->size);

	if (state_get(ctx->state, s, id, rec, e) != 0)
		return -1;
	return refs_check(ctx, s, rec, e) != 0 ? err_ctx(e, "%s %s", s->name, id) : 0;
}

/* --- who refers to it --- */

struct search {
	const struct schema *type;
	const char *id;
	const char *where; /* "ca devices" */
	struct strv found;
};

static int note(void *arg, struct ctx *ctx, const struct field *f, const char *id, struct err *e)
{
	struct search *s = arg;

	(void)e;
	if (f->to != s->type || strcmp(id, s->id) != 0)
		return 0;
	s->found.v = arena_grow(ctx->arena, s->found.v, s->found.n, sizeof(char *));
	s->found.v[s->found.n++] = arena_printf(ctx->arena, "%s (%s)", s->where, f->name);
	return 0;
}

static int search_type(struct ctx *ctx, const struct schema *type, struct search *s, struct err *e)
{
	void *rec = arena_alloc(ctx->arena, 1, type->size);
	struct strv ids;

	if (!strstr(type->path, "%s")) { /* one record only, such as lamassu.yaml */
		s->where = type->path;
		return state_get(ctx->state, type, NULL, rec, e) != 0 ? -1 : each_ref(ctx, type, rec, note, s, e);
	}
	if (state_ids(ctx->state, type, &ids, e) != 0)
		return -1;
	for (size_t i = 0; i < ids.n; i++) {
		if (state_get(ctx->state, type, ids.v[i], rec, e) != 0)
			return -1;
		s->where = arena_printf(ctx->arena, "%s %s", type->name, ids.v[i]);
		if (each_ref(ctx, type, rec, note, s, e) != 0)
			return -1;
	}
	return 0;
}

static bool names(const struct schema *s, const struct schema *to)
{
	for (const struct field *f = s->fields; f->name; f++)
		if (f->to == to || (f->sub && names(f->sub, to)))
			return true;
	return false;
}

int refs_users(struct ctx *ctx, const struct schema *type, const char *id, struct strv *ret, struct err *e)
{
	struct search s = { .type = type, .id = id };

	for (const struct record_type *t = record_types; t->name; t++)
		if (t->schema->path && names(t->schema, type) && search_type(ctx, t->schema, &s, e) != 0)
			return -1;
	*ret = s.found;
	return 0;
}
