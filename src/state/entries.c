/* Reads entries of the ledger in batches. For a whole ledger a second thread inflates, verifies and prepares entries
 * while the caller folds those it already has: a rebuild takes as long as the slower half. Batches come in order, one
 * arena each; at most RING of them are in memory. */
#include "state/entries.h"

#include <pthread.h>
#include <signal.h>

#include "state/entry.h"

enum { BATCH = 256, RING = 8 };

struct batch {
	struct arena *a;
	struct entry_seen items[BATCH];
	size_t n;
};

struct walk {
	struct store *store;
	const struct oid *old_tree, *new_tree;
	struct batch *fill;         /* NULL: a new one is needed */
	bool rewritten;
	entries_prepare_fn *prepare;
	entries_fn *fn;
	void *arg;
	/* with two threads */
	bool ahead;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct batch *ring[RING];
	size_t put, taken;
	bool done, stop;
	int result;
	struct err err;
};

static int deliver(struct walk *w, const struct batch *b, struct err *e)
{
	for (size_t i = 0; i < b->n; i++)
		if (w->fn(w->arg, &b->items[i], e) != 0)
			return -1;
	return 0;
}

/* Gives a batch to the other thread, or to the caller's function at once. */
static int pass_on(struct walk *w, struct batch *b, struct err *e)
{
	bool stop;

	if (!w->ahead) {
		int r = deliver(w, b, e);

		arena_free(b->a);
		return r;
	}
	pthread_mutex_lock(&w->lock);
	while (w->put - w->taken == RING && !w->stop)
		pthread_cond_wait(&w->changed, &w->lock);
	stop = w->stop;
	if (!stop)
		w->ring[w->put++ % RING] = b;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	if (stop)
		arena_free(b->a);
	return stop ? err_set(e, ERR_CANCELLED, "stopped") : 0;
}

static int flush(struct walk *w, struct err *e)
{
	struct batch *b = w->fill;

	w->fill = NULL;
	return b ? pass_on(w, b, e) : 0;
}

static int read_one(struct walk *w, const char *path, const struct oid *id, struct err *e)
{
	struct entry_seen *s;
	struct err why = { 0 };

	if (!w->fill) {
		struct arena *a = arena_new();

		w->fill = arena_alloc(a, 1, sizeof(*w->fill));
		w->fill->a = a;
	}
	s = &w->fill->items[w->fill->n];
	if (store_read(w->store, w->fill->a, id, OBJ_BLOB, ENTRY_MAX, &s->text, &why) != 0) {
		if (why.code != ERR_INVALID) {
			*e = why;
			return err_ctx(e, "%s", path);
		}
		s->why = arena_strdup(w->fill->a, why.msg);
	}
	s->path = arena_strdup(w->fill->a, path);
	if (!s->why)
		s->prepared = w->prepare(w->fill->a, s->path, s->text);
	return ++w->fill->n == BATCH ? flush(w, e) : 0;
}

static int on_blob(void *arg, const char *path, const struct oid *id, bool gone, struct err *e)
{
	struct walk *w = arg;
	enum obj_type type;
	struct oid old;
	bool found = gone;

	if (!gone && w->old_tree && store_lookup(w->store, w->old_tree, path, &found, &type, &old, e) != 0)
		return -1;
	if (found) {
		w->rewritten = true;
		return err_set(e, ERR_CONFLICT, "%s was changed", path);
	}
	return read_one(w, path, id, e);
}

static int walk_all(struct walk *w, struct err *e)
{
	if (store_diff(w->store, w->old_tree, w->new_tree, on_blob, w, e) == 0 && flush(w, e) == 0)
		return 0;
	if (w->fill)
		arena_free(w->fill->a);
	w->fill = NULL;
	return -1;
}

static void *thread_main(void *arg)
{
	struct walk *w = arg;
	int r = walk_all(w, &w->err);

	pthread_mutex_lock(&w->lock);
	w->result = r;
	w->done = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static struct batch *take(struct walk *w)
{
	struct batch *b;

	pthread_mutex_lock(&w->lock);
	while (w->put == w->taken && !w->done)
		pthread_cond_wait(&w->changed, &w->lock);
	b = w->put == w->taken ? NULL : w->ring[w->taken++ % RING];
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	return b;
}

static int consume(struct walk *w, struct err *e)
{
	struct batch *b;
	int r = 0;

	while ((b = take(w)) != NULL) {
		if (r == 0)
			r = deliver(w, b, e);
		arena_free(b->a);
		if (r != 0 && !w->stop) {
			pthread_mutex_lock(&w->lock);
			w->stop = true;
			pthread_cond_broadcast(&w->changed);
			pthread_mutex_unlock(&w->lock);
		}
	}
	return r;
}

static bool start(struct walk *w, pthread_t *ret)
{
	sigset_t all, old;
	int r;

	/* Signals stay with the caller. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(ret, NULL, thread_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r == 0;
}

int entries_each(struct store *s, const struct oid *old_tree, const struct oid *new_tree, entries_prepare_fn *prepare,
		 entries_fn *fn, void *arg, bool *ret_rewritten, struct err *e)
{
	struct walk w = { .store = s, .old_tree = old_tree, .new_tree = new_tree, .prepare = prepare, .fn = fn,
			  .arg = arg, .ahead = !old_tree, .lock = PTHREAD_MUTEX_INITIALIZER,
			  .changed = PTHREAD_COND_INITIALIZER };
	pthread_t thread;
	int r;

	if (w.ahead && start(&w, &thread)) {
		r = consume(&w, e);
		pthread_join(thread, NULL);
		if (r == 0 && w.result != 0) {
			*e = w.err;
			r = -1;
		}
	} else {
		w.ahead = false;
		r = walk_all(&w, e);
	}
	*ret_rewritten = w.rewritten;
	return r;
}
