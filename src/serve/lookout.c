/* The event thread's view of the repository. Guarantees: what another process commits is seen LOOK_EVERY_MS later,
 * whatever the load; a look costs two small files and takes no lock. */
#include "serve/lookout.h"

#include "base/tm.h"

struct lookout {
	struct arena *arena;
	const char *dir;
	struct state *state; /* opened by the first look */
	struct state_at at;
	int64_t next_ms;
	bool good;
};

struct lookout *lookout_new(const char *dir)
{
	struct arena *a = arena_new();
	struct lookout *l = arena_new_array(a, 1, struct lookout);

	*l = (struct lookout){ .arena = a, .dir = dir };
	return l;
}

const struct state_at *lookout_now(struct lookout *l)
{
	const struct state_env env = { .now = tm_now() };
	int64_t now = tm_mono_ms();
	struct err ignored = { 0 };

	if (now >= l->next_ms) {
		l->next_ms = now + LOOK_EVERY_MS;
		l->good = (l->state || state_open(l->arena, l->dir, 0, &env, &l->state, &ignored) == 0) &&
			  state_look(l->state, &l->at, &ignored) == 0;
	}
	return l->good ? &l->at : NULL;
}
