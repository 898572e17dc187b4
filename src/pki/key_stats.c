/* Counts of keys by engine, algorithm and strength (K10), in one pass over the records; no engine is opened. */
#include "pki/keys.h"

#include <stdlib.h>

#include "crypto/key.h"

static const struct field stats_fields[] = {
	INT(key_stats, total_keys, "All keys.", .flags = F_SHOW0),
	INT(key_stats, total_with_private_key, "Keys that an engine can sign with.", .flags = F_SHOW0),
	ANY(key_stats, per_engine, "Keys in each engine.", .flags = F_SHOW0),
	ANY(key_stats, per_algorithm, "Keys of each algorithm.", .flags = F_SHOW0),
	ANY(key_stats, per_strength, "Keys of each strength.", .flags = F_SHOW0),
	END
};

const struct schema key_stats_type = {
	.name = "stats", .doc = "Numbers of keys", .size = sizeof(struct key_stats), .fields = stats_fields
};

static int add(struct ctx *ctx, char **counts, const char *what, struct err *e)
{
	const char *old = any_get(ctx->arena, *counts, what);

	return any_set(ctx->arena, *counts, what,
		       arena_printf(ctx->arena, "%ld", (old ? strtol(old, NULL, 10) : 0) + 1), counts, e);
}

int keys_stats(struct ctx *ctx, struct key_stats *ret, struct err *e)
{
	static const char *const strengths[] = { "HIGH", "MEDIUM", "LOW" };
	struct key_stats s = { .per_engine = arena_strdup(ctx->arena, "{}"),
			      .per_algorithm = arena_strdup(ctx->arena, "{}"),
			       .per_strength = arena_strdup(ctx->arena, "{}") };
	struct key *v;
	size_t n;

	if (keys_all(ctx, &v, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < COUNT(strengths); i++)
		if (any_set(ctx->arena, s.per_strength, strengths[i], "0", &s.per_strength, e) != 0)
			return -1;
	for (size_t i = 0; i < n; i++) {
		s.total_keys++;
		s.total_with_private_key += v[i].has_private_key;
		if ((v[i].engine_id && add(ctx, &s.per_engine, v[i].engine_id, e) != 0) ||
		    add(ctx, &s.per_algorithm, v[i].algorithm, e) != 0 ||
		    add(ctx, &s.per_strength, key_strength(v[i].algorithm, v[i].size), e) != 0)
			return -1;
	}
	*ret = s;
	return 0;
}
