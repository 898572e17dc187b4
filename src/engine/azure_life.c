/* The end of a key in Azure, and its return: soft delete, purge, recovery, and what state a key is in. Guarantees: a
 * key that has versions besides ours is not deleted, for a vault deletes all of them at once; a purge is done only
 * where the document asks for it. */
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "base/tm.h"
#include "engine/azure.h"

enum { POLL_MS = 200, POLL_LONGEST_MS = 2000 };

static char *deleted_path(struct arena *a, const struct azure_kid *kid, const char *verb)
{
	return arena_printf(a, "/deletedkeys/%s%s", kid->name, verb);
}

static int get_deleted(struct azure *az, struct arena *a, const struct azure_kid *kid, json_t **ret, struct err *e)
{
	const struct azure_request r = { .method = "GET", .path = deleted_path(a, kid, ""), .what = "get deleted key" };

	return azure_call(az, a, &r, ret, e);
}

static int64_t time_of(json_t *j, const char *path)
{
	json_t *v = remote_member(j, path);

	return json_is_integer(v) && json_integer_value(v) > 0 && json_integer_value(v) <= TIME_MAX
	       ? json_integer_value(v) : 0;
}

/* Deleting and recovering go on after they were answered. Waits until `get` finds the key. */
static int wait_for(struct azure *az, struct arena *a, const struct azure_kid *kid,
		    int (*get)(struct azure *, struct arena *, const struct azure_kid *, json_t **, struct err *),
		    struct err *e)
{
	int64_t until = tm_mono_ms() + az->policy.deadline_ms, ms = POLL_MS;

	for (;;) {
		const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
		AUTO(json_t) *found = NULL;
		struct err why = { 0 };

		if (get(az, a, kid, &found, &why) == 0)
			return 0;
		if (why.code != ERR_NOT_FOUND || tm_mono_ms() + ms > until) {
			*e = why;
			return -1;
		}
		nanosleep(&t, NULL);
		ms = ms * 2 < POLL_LONGEST_MS ? ms * 2 : POLL_LONGEST_MS;
	}
}

/* --- destroy --- */

/* A deletion takes all versions of the name; we know one. */
static int check_versions(struct azure *az, struct arena *a, const struct azure_kid *kid, struct err *e)
{
	const struct azure_request r = { .method = "GET", .path = arena_printf(a, "/keys/%s/versions", kid->name),
					 .query = "maxresults=25", .what = "list versions" };
	AUTO(json_t) *list = NULL;
	json_t *items;

	if (azure_call(az, a, &r, &list, e) != 0)
		return -1;
	items = remote_member(list, "value");
	if (json_array_size(items) > 1 || (remote_text(list, "nextLink") && remote_text(list, "nextLink")[0]))
		return err_set(e, ERR_CONFLICT, "the key %s has other versions, which would be deleted too: delete it "
			       "with Azure's own tools", kid->name);
	return 0;
}

static int purge(struct ctx *ctx, struct azure *az, const struct azure_kid *kid, int64_t *gone_at, struct err *e)
{
	const struct azure_request r = { .method = "DELETE", .path = deleted_path(ctx->arena, kid, ""),
					 .what = "purge key" };
	struct err why = { 0 };

	if (wait_for(az, ctx->arena, kid, get_deleted, &why) == 0 && azure_call(az, ctx->arena, &r, NULL, &why) == 0) {
		*gone_at = 0;
		return 0;
	}
	if (why.code != ERR_DENIED && why.code != ERR_CONFLICT) {
		*e = why;
		return -1;
	}
	ctx_warn(ctx, "the key %s is deleted but not purged: %s", kid->name, why.msg);
	return 0;
}

int azure_destroy(struct ctx *ctx, struct engine *en, const struct keyref *ref, int64_t *ret_gone_at, struct err *e)
{
	struct azure *az = en->priv;
	struct azure_request r = { .method = "DELETE", .what = "delete key" };
	AUTO(json_t) *deleted = NULL;
	struct err why = { 0 };
	struct azure_kid kid;
	int64_t gone_at;

	if (azure_kid_parse(ctx->arena, az, ref->handle, &kid, e) != 0)
		return -1;
	if (check_versions(az, ctx->arena, &kid, e) != 0) {
		if (e->code != ERR_NOT_FOUND || get_deleted(az, ctx->arena, &kid, &deleted, &why) != 0)
			return -1;
		*e = (struct err){ 0 }; /* deleted already */
	} else {
		r.path = arena_printf(ctx->arena, "/keys/%s", kid.name);
		if (azure_call(az, ctx->arena, &r, &deleted, e) != 0)
			return -1;
	}
	gone_at = time_of(deleted, "scheduledPurgeDate");
	if (gone_at && az->config->delete_mode == AZURE_DELETE_PURGE && purge(ctx, az, &kid, &gone_at, e) != 0)
		return -1;
	*ret_gone_at = gone_at;
	return 0;
}

/* --- state and recovery --- */

static enum key_standing standing_of(json_t *bundle)
{
	int64_t now = tm_now(), from = time_of(bundle, "attributes.nbf"), to = time_of(bundle, "attributes.exp");

	return json_is_false(remote_member(bundle, "attributes.enabled")) || (from && from > now) || (to && to <= now)
	       ? KEY_DISABLED : KEY_USABLE;
}

int azure_state(struct ctx *ctx, struct engine *en, const struct keyref *ref, struct key_state *ret, struct err *e)
{
	struct azure *az = en->priv;
	struct key_state s = { .standing = KEY_USABLE };
	AUTO(json_t) *bundle = NULL;
	AUTO(json_t) *deleted = NULL;
	struct err why = { 0 };
	struct azure_kid kid;
	int64_t created;

	if (azure_kid_parse(ctx->arena, az, ref->handle, &kid, e) != 0)
		return -1;
	if (azure_get(az, ctx->arena, &kid, &bundle, &why) == 0) {
		s.standing = standing_of(bundle);
	} else if (why.code == ERR_NOT_FOUND) {
		why = (struct err){ 0 };
		if (get_deleted(az, ctx->arena, &kid, &deleted, &why) == 0) {
			s.standing = KEY_DELETING;
			s.gone_at = time_of(deleted, "scheduledPurgeDate");
		} else if (why.code == ERR_NOT_FOUND) {
			s.standing = KEY_GONE;
		}
	}
	if (why.code && why.code != ERR_NOT_FOUND) {
		*e = why;
		return -1;
	}
	created = time_of(bundle ? bundle : deleted, "attributes.created");
	s.created = created ? tm_format(ctx->arena, created) : NULL;
	*ret = s;
	return 0;
}

int azure_say_deleted(struct azure *az, struct arena *a, const struct azure_kid *kid, struct err *e)
{
	AUTO(json_t) *deleted = NULL;
	struct err ignored = { 0 };
	int64_t until;

	if (get_deleted(az, a, kid, &deleted, &ignored) != 0)
		return -1;
	until = time_of(deleted, "scheduledPurgeDate");
	return err_set(e, ERR_CONFLICT, "the key %s is deleted%s%s: kms key import --recover takes it back", kid->name,
		       until ? " and kept until " : "", until ? tm_format(a, until) : "");
}

int azure_recover(struct ctx *ctx, struct engine *en, const char *name, struct err *e)
{
	struct azure_request r = { .method = "POST", .what = "recover key" };
	struct azure *az = en->priv;
	struct azure_kid kid;

	if (azure_kid_parse(ctx->arena, az, name, &kid, e) != 0)
		return -1;
	r.path = deleted_path(ctx->arena, &kid, "/recover");
	kid.version = ""; /* all versions come back */
	return azure_call(az, ctx->arena, &r, NULL, e) != 0 || wait_for(az, ctx->arena, &kid, azure_get, e) != 0
	       ? -1 : 0;
}
