/* Documents of others by URL, kept in the process. Guarantees: one request at a time for one URL, whoever waits for it;
 * what cannot be had anew stays in use as long as its rules say; asking for more than there is causes no more than one
 * request in RETRY_MS. */
#include "est/kept.h"

#include <pthread.h>
#include <string.h>

#include "base/tm.h"
#include "est/service.h"
#include "net/net.h"

enum { PLACES = 32, RETRY_MS = 5000, TIMEOUT_MS = 5000 };

struct place {
	struct arena *arena; /* what follows lives there; NULL: the place is free */
	char *url, *ca_file;
	struct bytes text;   /* n = 0: never fetched */
	int64_t fetched, tried;
	bool busy;           /* somebody is fetching it */
};

static struct place places[PLACES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done = PTHREAD_COND_INITIALIZER;

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* NULL when all places are being fetched. */
static struct place *place_of(const struct wanted *w)
{
	struct place *oldest = NULL;

	for (size_t i = 0; i < PLACES; i++) {
		struct place *s = &places[i];

		if (s->arena && strcmp(s->url, w->url) == 0 && same_text(s->ca_file, w->ca_file))
			return s;
		if (!s->busy && (!oldest || (oldest->arena && (!s->arena || s->tried < oldest->tried))))
			oldest = s;
	}
	if (oldest) {
		arena_free(oldest->arena);
		*oldest = (struct place){ .arena = arena_new() };
		oldest->url = arena_strdup(oldest->arena, w->url);
		oldest->ca_file = arena_strdup(oldest->arena, w->ca_file);
		oldest->tried = -RETRY_MS;
	}
	return oldest;
}

static void store(struct place *s, struct bytes text)
{
	struct place next = { .arena = arena_new(), .fetched = tm_mono_ms(), .tried = s->tried };

	next.url = arena_strdup(next.arena, s->url);
	next.ca_file = arena_strdup(next.arena, s->ca_file);
	next.text = (struct bytes){ arena_memdup(next.arena, text.p, text.n), text.n };
	arena_free(s->arena);
	*s = next;
}

int kept_fetch(struct ctx *ctx, struct arena *arena, const struct wanted *w, struct bytes *ret, struct err *e)
{
	const struct net_options options = { .ca_file = w->ca_file, .answer_max = w->max };
	const struct net_request get = { .method = "GET", .url = w->url, .what = w->what, .timeout_ms = TIMEOUT_MS };
	struct net_client *client;
	struct net_answer a;
	enum net_fault fault;
	int r;

	if (net_here->open(ctx, &options, &client, e) != 0)
		return -1;
	r = net_here->send(client, arena, &get, &a, &fault, e);
	net_here->close(client);
	if (r != 0)
		return -1;
	if (a.status != 200)
		return err_set(e, ERR_REMOTE, "the server answered %d", a.status);
	*ret = a.body;
	return w->check(arena, a.body, e);
}

/* Called with the lock, returns with it. */
static void refresh(struct asking *q, const struct wanted *w, struct place *s)
{
	struct bytes text;
	struct err e = { 0 };
	int r;

	s->busy = true;
	s->tried = tm_mono_ms();
	pthread_mutex_unlock(&lock);
	r = kept_fetch(&q->post->ctx, q->http->arena, w, &text, &e);
	if (r != 0)
		ctx_warn(&q->post->ctx, "dms %s: %s: %s", q->served->dms.id, w->what, e.msg);
	pthread_mutex_lock(&lock);
	if (r == 0)
		store(s, text);
	s->busy = false;
	pthread_cond_broadcast(&done);
}

static bool is_due(const struct wanted *w, const struct place *s)
{
	int64_t now = tm_mono_ms();

	return (w->again || s->text.n == 0 || now - s->fetched > w->fresh_ms) &&
	       (s->busy || now - s->tried >= RETRY_MS);
}

int kept_get(struct asking *q, const struct wanted *w, struct bytes *ret, struct refusal *why)
{
	struct place *s;

	*ret = (struct bytes){ 0 };
	pthread_mutex_lock(&lock);
	s = place_of(w);
	if (s && is_due(w, s)) {
		pthread_mutex_unlock(&lock);
		if (wait_begin(q, why) != 0)
			return -1;
		pthread_mutex_lock(&lock);
		while ((s = place_of(w)) && s->busy)
			pthread_cond_wait(&done, &lock);
		if (s && is_due(w, s))
			refresh(q, w, s);
		wait_end(q);
	}
	if (s && s->text.n && tm_mono_ms() - s->fetched <= w->keep_ms)
		*ret = (struct bytes){ arena_memdup(q->http->arena, s->text.p, s->text.n), s->text.n };
	pthread_mutex_unlock(&lock);
	return 0;
}
