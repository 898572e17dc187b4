/* Answers that a worker has given before, and may give again. Guarantees: one is given again only while the
 * repository's branches are where they were when it was made, and in the first half of its life; memory is bounded; a
 * finder never waits longer than a copy takes. */
#include <pthread.h>
#include <string.h>
#include <strings.h>

#include "va/service.h"

/* Requests that cannot be told apart by their set push each other out, nothing else. */
enum { SETS = 2048, WAYS = 4, ANSWER_MAX = 1 << 20, ALL_MAX = 32 << 20, KEPT_SECS = 60 };

struct kept {
	struct arena *arena; /* NULL: free */
	struct bytes key;
	struct state_at at;
	int64_t until;       /* not given from then on */
	size_t size;
	struct va_answer answer;
};

struct answers {
	pthread_mutex_t lock;
	size_t size; /* of all */
	struct kept sets[SETS][WAYS];
};

struct answers *answers_new(struct arena *a)
{
	struct answers *all = arena_new_array(a, 1, struct answers);

	pthread_mutex_init(&all->lock, NULL);
	return all;
}

static bool posted(const struct http_request *in)
{
	return strcmp(in->method, "POST") == 0;
}

/* What tells requests apart: the body of those that are posted, the path of the others. The caller knows that their
 * paths are alike. */
static struct bytes key_of(const struct http_request *in)
{
	return posted(in) ? in->body : bytes_of(in->path);
}

static struct kept *set_of(struct answers *all, struct bytes key)
{
	uint64_t h = 14695981039346656037u; /* FNV-1a */

	for (size_t i = 0; i < key.n; i++)
		h = (h ^ key.p[i]) * 1099511628211u;
	return all->sets[(h ^ h >> 32) % SETS];
}

static void drop(struct answers *all, struct kept *k)
{
	all->size -= k->size;
	arena_free(k->arena);
	*k = (struct kept){ 0 };
}

static void copy_answer(struct arena *a, const struct va_answer *from, struct va_answer *to)
{
	*to = *from;
	to->body = (struct bytes){ arena_memdup(a, from->body.p, from->body.n), from->body.n };
	to->tag = arena_strdup(a, from->tag);
	to->realm = arena_strdup(a, from->realm);
	to->subject = arena_strdup(a, from->subject);
}

bool answers_find(struct answers *all, const struct http_request *in, const struct state_at *at, int64_t now,
		  struct va_answer *ret)
{
	struct bytes key = key_of(in);
	struct kept *set = set_of(all, key);
	bool found = false;

	pthread_mutex_lock(&all->lock);
	for (size_t i = 0; i < WAYS && !found; i++) {
		struct kept *k = &set[i];

		if (!k->arena || k->answer.posted != posted(in) || !bytes_equal(k->key, key))
			continue;
		if (memcmp(&k->at, at, sizeof(*at)) != 0 || now >= k->until || now < k->answer.from) {
			drop(all, k);
			continue;
		}
		copy_answer(in->arena, &k->answer, ret);
		found = true;
	}
	pthread_mutex_unlock(&all->lock);
	return found;
}

/* The place of the same request, a free one, or that of the answer that ends first. */
static struct kept *place(struct answers *all, bool post, struct bytes key)
{
	struct kept *set = set_of(all, key), *best = &set[0];

	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].arena && set[i].answer.posted == post && bytes_equal(set[i].key, key))
			return &set[i];
		if (best->arena && (!set[i].arena || set[i].until < best->until))
			best = &set[i];
	}
	return best;
}

void answers_keep(struct answers *all, const struct http_request *in, const struct state_at *at, int64_t now,
		  const struct va_answer *answer)
{
	struct bytes key = key_of(in);
	struct kept k = { .at = *at, .until = now + KEPT_SECS, .size = sizeof(k) + key.n + answer->body.n }, *to;

	if (answer->from + (answer->until - answer->from) / 2 < k.until)
		k.until = answer->from + (answer->until - answer->from) / 2;
	if (k.size > ANSWER_MAX || k.until <= now)
		return;
	k.arena = arena_new();
	k.key = (struct bytes){ arena_memdup(k.arena, key.p, key.n), key.n };
	copy_answer(k.arena, answer, &k.answer);
	k.answer.posted = posted(in);
	pthread_mutex_lock(&all->lock);
	to = place(all, k.answer.posted, key);
	drop(all, to);
	for (size_t i = 0; all->size + k.size > ALL_MAX && i < SETS * WAYS; i++)
		drop(all, &all->sets[i / WAYS][i % WAYS]);
	*to = k;
	all->size += k.size;
	pthread_mutex_unlock(&all->lock);
}
