/* How the repository stands. Only looks: takes no lock for longer than a glance, repairs nothing, and is content with
 * less where something cannot be told. */
#include "state/status.h"

#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/text.h"
#include "state/gc.h"
#include "state/internal.h"
#include "state/locks.h"

/* --- the cache, as it is --- */

static int cache_state(struct state *st, char **ret, struct err *e)
{
	char *path = fs_join(st->arena, st->private_dir, "index.db");
	struct index *ix;
	struct oid at;

	*ret = arena_strdup(st->arena, "missing");
	if (!fs_exists(path))
		return 0;
	if (index_open(st->arena, path, &ix, e) != 0)
		return -1;
	if (index_stamp(ix, &at))
		*ret = arena_strdup(st->arena, oid_equal(&at, &st->ledger.commit) ? "current" : "behind");
	index_close(ix);
	return 0;
}

/* --- remotes --- */

static int apart(struct state *st, const char *remote, const struct tip *ours, bool *ret_fetched, int64_t *ret_ahead,
		 int64_t *ret_behind,
		 struct err *e)
{
	struct oid theirs;

	if (store_ref(st->store, arena_printf(st->arena, "refs/remotes/%s/%s", remote,
					      ours->ref + strlen("refs/heads/")), ret_fetched,
		      &theirs, e))
		return -1;
	return *ret_fetched ? store_apart(st->store, &ours->commit, &theirs, ret_ahead, ret_behind, e) : 0;
}

static int list_remotes(struct state *st, struct vec *ret, struct err *e)
{
	struct remote_status *v;
	struct strv names;

	if (store_remotes(st->store, st->arena, &names, e))
		return -1;
	v = arena_new_array(st->arena, names.n + 1, struct remote_status);
	for (size_t i = 0; i < names.n; i++) {
		struct remote_status *r = &v[i];

		r->name = names.v[i];
		r->url = arena_strdup(st->arena, store_config(st->store, arena_printf(st->arena, "remote.%s.url",
										      names.v[i])));
		if (apart(st, names.v[i], &st->policy, &r->policy_fetched, &r->policy_ahead, &r->policy_behind, e) ||
		    apart(st, names.v[i], &st->ledger, &r->ledger_fetched, &r->ledger_ahead, &r->ledger_behind, e))
			return -1;
	}
	*ret = (struct vec){ v, names.n };
	return 0;
}

/* --- files beside the histories --- */

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);

	return n >= k && strcmp(s + n - k, end) == 0;
}

static int count_packs(struct state *st, struct repo_status *r, struct err *e)
{
	char *dir = arena_printf(st->arena, "%s/objects/pack", store_git_dir(st->store));
	struct strv names = { 0 };
	struct stat s;

	if (fs_is_dir(dir) && fs_list(st->arena, dir, SIZE_MAX, &names, e))
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (ends_with(names.v[i], ".pack") && stat(fs_join(st->arena, dir, names.v[i]), &s) == 0) {
			r->packs++;
			r->pack_bytes += s.st_size;
		}
	return state_gc_due(st, &r->gc_due, e);
}

static void add_stale(struct state *st, struct strv *v, const char *dir, const char *name)
{
	v->v = arena_grow(st->arena, v->v, v->n, sizeof(*v->v));
	v->v[v->n++] = fs_join(st->arena, dir, name);
}

static void add_locks(struct state *st, struct strv *v, const char *dir)
{
	struct err ignored = { 0 };
	struct strv names;

	if (fs_list(st->arena, dir, SIZE_MAX, &names, &ignored) != 0)
		return;
	for (size_t i = 0; i < names.n; i++)
		if (ends_with(names.v[i], ".lock"))
			add_stale(st, v, dir, names.v[i]);
}

/* While somebody works, such files are in use. */
static void find_stale(struct state *st, struct strv *v)
{
	const char *git = store_git_dir(st->store);
	struct err ignored = { 0 };
	struct strv names;

	if (fs_list(st->arena, st->private_dir, SIZE_MAX, &names, &ignored) != 0)
		return;
	for (size_t i = 0; i < names.n; i++)
		if (text_has_prefix(names.v[i], "tmp.") || strcmp(names.v[i], "intent") == 0)
			add_stale(st, v, st->private_dir, names.v[i]);
	add_locks(st, v, git);
	add_locks(st, v, fs_join(st->arena, git, "refs/heads"));
}

int state_status(struct state *st, struct repo_status *ret, struct err *e)
{
	struct repo_status r = {
		.name = st->config.name,
		.dir = arena_strdup(st->arena, st->dir),
		.format = st->config.format,
		.policy_branch = st->config.policy_branch,
		.policy_commit = oid_hex(st->arena, &st->policy.commit),
		.busy = arena_strdup(st->arena, store_busy(st->store)),
		.ledger_branch = st->config.ledger_branch,
		.ledger_commit = oid_hex(st->arena, &st->ledger.commit),
		.lock = repo_lock_holder(st->arena, st->private_dir),
	};
	char *head = NULL;

	if (store_head(st->store, st->arena, &head, e) || store_uncommitted(st->store, st->arena, &r.uncommitted, e) ||
	    cache_state(st, &r.cache, e) || count_packs(st, &r, e) || list_remotes(st, &r.remotes, e))
		return -1;
	if (head)
		r.branch = head + strlen("refs/heads/");
	if (!r.lock)
		find_stale(st, &r.stale);
	*ret = r;
	return 0;
}
