/* Key sets by URL, kept in the process. Guarantees: one request at a time for one URL, whoever waits for it; a set that cannot be fetched
 * stays in use for an hour after it was, then nobody gets in; a token with a made-up key id causes no more than one request in
 * RETRY_MS. Files are read each time. */
#include "est/jwks.h"

#include <pthread.h>
#include <string.h>

#include "base/fs.h"
#include "base/tm.h"
#include "est/service.h"
#include "net/net.h"

enum { SETS_MAX = 32, SET_BYTES = 256 << 10, FRESH_MS = 300000, KEEP_MS = 3600000, RETRY_MS = 5000, TIMEOUT_MS = 5000 };

struct set {
	struct arena *arena; /* what follows lives there; NULL: the place is free */
	char *url, *ca_file;
	struct bytes text;   /* n = 0: never fetched */
	int64_t fetched, tried;
	bool busy;           /* somebody is fetching it */
};

static struct set sets[SETS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done = PTHREAD_COND_INITIALIZER;

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* NULL when all places are being fetched. */
static struct set *place_of(const struct jwt_auth *j)
{
	struct set *oldest = NULL;

	for (size_t i = 0; i < SETS_MAX; i++) {
		struct set *s = &sets[i];

		if (s->arena && strcmp(s->url, j->public_key_url) == 0 && same_text(s->ca_file, j->ca_file))
			return s;
		if (!s->busy && (!oldest || (oldest->arena && (!s->arena || s->tried < oldest->tried))))
			oldest = s;
	}
	if (oldest) {
		arena_free(oldest->arena);
		*oldest = (struct set){ .arena = arena_new() };
		oldest->url = arena_strdup(oldest->arena, j->public_key_url);
		oldest->ca_file = arena_strdup(oldest->arena, j->ca_file);
		oldest->tried = -RETRY_MS;
	}
	return oldest;
}

static void store(struct set *s, struct bytes text, int64_t now)
{
	struct set next = { .arena = arena_new(), .fetched = now };

	next.url = arena_strdup(next.arena, s->url);
	next.ca_file = arena_strdup(next.arena, s->ca_file);
	next.text = (struct bytes){ arena_memdup(next.arena, text.p, text.n), text.n };
	arena_free(s->arena);
	*s = next;
}

static int fetch(struct asking *q, struct bytes *ret, struct err *e)
{
	const struct jwt_auth *j = &q->how->jwt;
	const struct net_options options = { .ca_file = j->ca_file, .answer_max = SET_BYTES };
	const struct net_request get = { .method = "GET", .url = j->public_key_url, .what = "key set", .timeout_ms = TIMEOUT_MS };
	struct net_client *client;
	struct net_answer a;
	enum net_fault fault;
	struct node ignored;
	int r;

	if (net_here->open(&q->post->ctx, &options, &client, e) != 0)
		return -1;
	r = net_here->send(client, q->http->arena, &get, &a, &fault, e);
	net_here->close(client);
	if (r != 0)
		return -1;
	if (a.status != 200)
		return err_set(e, ERR_REMOTE, "the server answered %d", a.status);
	*ret = a.body;
	return jwks_parse(q->http->arena, a.body, &ignored, e);
}

/* Called with the lock, returns with it. */
static void refresh(struct asking *q, struct set *s)
{
	struct bytes text;
	struct err e = { 0 };
	int r;

	s->busy = true;
	s->tried = tm_mono_ms();
	pthread_mutex_unlock(&lock);
	r = fetch(q, &text, &e);
	if (r != 0)
		ctx_warn(&q->post->ctx, "dms %s: key set: %s", q->served->dms.id, e.msg);
	pthread_mutex_lock(&lock);
	if (r == 0) {
		int64_t tried = s->tried;

		store(s, text, tm_mono_ms());
		s->tried = tried;
	}
	s->busy = false;
	pthread_cond_broadcast(&done);
}

static bool is_due(const struct set *s, bool again)
{
	int64_t now = tm_mono_ms();

	return (again || s->text.n == 0 || now - s->fetched > FRESH_MS) && (s->busy || now - s->tried >= RETRY_MS);
}

/* With the lock: a copy of what is good at the moment; n = 0: nothing is. */
static struct bytes current(struct asking *q, const struct set *s)
{
	if (!s || s->text.n == 0 || tm_mono_ms() - s->fetched > KEEP_MS)
		return (struct bytes){ 0 };
	return (struct bytes){ arena_memdup(q->http->arena, s->text.p, s->text.n), s->text.n };
}

static int by_url(struct asking *q, bool again, struct bytes *ret, struct refusal *why)
{
	const struct jwt_auth *j = &q->how->jwt;
	struct set *s;

	pthread_mutex_lock(&lock);
	s = place_of(j);
	if (s && is_due(s, again)) {
		pthread_mutex_unlock(&lock);
		if (wait_begin(q, why) != 0)
			return -1;
		pthread_mutex_lock(&lock);
		while ((s = place_of(j)) && s->busy)
			pthread_cond_wait(&done, &lock);
		if (s && is_due(s, again))
			refresh(q, s);
		wait_end(q);
	}
	*ret = current(q, s);
	pthread_mutex_unlock(&lock);
	return ret->n ? 0 : refuse(why, 503, "key_set_unreachable", "the keys of tokens are out of reach at the moment");
}

static int by_file(struct arena *a, const struct jwt_auth *j, struct node *ret, struct err *e)
{
	struct bytes text;

	return fs_read_found(a, j->public_key_file, SET_BYTES, &text, e) != 0 ? -1 : jwks_parse(a, text, ret, e);
}

int jwks_check_file(struct arena *a, const struct jwt_auth *j, struct err *e)
{
	struct node ignored;

	return j->public_key_file && by_file(a, j, &ignored, e) != 0 ? err_ctx(e, "%s", j->public_key_file) : 0;
}

int jwks_get(struct asking *q, bool again, struct node *ret, struct refusal *why)
{
	const struct jwt_auth *j = &q->how->jwt;
	struct bytes text;
	struct err e = { 0 };

	if (j->public_key_url) {
		if (by_url(q, again, &text, why) != 0)
			return -1;
		if (jwks_parse(q->http->arena, text, ret, &e) == 0)
			return 0;
	} else if (by_file(q->http->arena, j, ret, &e) == 0) {
		return 0;
	}
	ctx_warn(&q->post->ctx, "dms %s: key set: %s", q->served->dms.id, e.msg);
	return refuse(why, 503, "key_set_unreachable", "the keys of tokens are out of reach at the moment");
}
