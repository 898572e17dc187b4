/* The credentials of an AWS engine, from the sources of AWS's SDKs in their order. Guarantees: keys are fetched once
 * for all threads and before they expire; what an answer or a file held is wiped when newer keys have come; when
 * there are no newer ones the old stay in use as long as AWS takes them. */
#include "engine/aws_keys.h"

#include <string.h>

#include "base/tm.h"

enum { FETCH_BEFORE = 15 * 60, WAIT_BEFORE = 10 * 60, RETRY_AFTER = 60 }; /* seconds */

static int (*const sources[])(struct aws *, struct arena *, struct aws_keys *, bool *, struct err *) = {
	aws_from_environment, aws_from_profile_role, aws_from_web_identity, aws_from_sso, aws_from_profile,
	aws_from_container, aws_from_instance
};

/* The keys of the chain. */
static int find(struct aws *w, struct arena *a, struct aws_keys *ret, struct err *e)
{
	bool found = w->given.access != NULL;

	if (found)
		*ret = w->given;
	for (size_t i = 0; i < COUNT(sources) && !found; i++)
		if (sources[i](w, a, ret, &found, e) != 0)
			return -1;
	if (found)
		return 0;
	return err_set(e, ERR_DENIED, "no credentials for AWS: not in the document, the environment, profile \"%s\", "
		       "and this machine has no role", w->profile);
}

static int fetch(struct aws *w, struct arena *a, struct aws_keys *ret, struct err *e)
{
	const struct aws_role role = { .arn = w->config->role_arn, .session = w->config->role_session_name,
				       .external_id = w->config->external_id, .region = w->region };
	struct aws_keys keys = { 0 };

	if (find(w, a, &keys, e) != 0)
		return -1;
	if (role.arn)
		return aws_assume(w, a, &role, &keys, ret, e);
	*ret = keys;
	return 0;
}

static bool is_good(const struct aws *w, int64_t now, unsigned than, int64_t before)
{
	const struct aws_keys *k = &w->keys;

	return w->generation > than && (!k->expires || now < k->expires - before || now < w->retry_at);
}

/* Fetches without the lock, which is held before and after. */
static int renew(struct aws *w, unsigned than, struct err *e)
{
	struct arena *a = arena_new();
	struct aws_keys keys = { 0 };
	int rc;

	w->busy = true;
	pthread_mutex_unlock(&w->lock);
	rc = fetch(w, a, &keys, e);
	pthread_mutex_lock(&w->lock);
	w->busy = false;
	pthread_cond_broadcast(&w->changed);
	if (rc == 0) {
		arena_free(w->kept);
		w->kept = a;
		w->keys = keys;
		w->generation++;
		/* Some services hand out keys that are short of their end: fetching at once again would change
		 * nothing. */
		w->retry_at = aws_now(w) + RETRY_AFTER;
		return 0;
	}
	arena_free(a);
	w->failures++;
	w->why = *e;
	if (w->generation <= than) /* there are none, or AWS has refused them */
		return -1;
	*e = (struct err){ 0 };
	w->retry_at = aws_now(w) + RETRY_AFTER;
	return 0;
}

static void copy(struct arena *a, const struct aws *w, struct aws_keys *ret)
{
	*ret = w->keys;
	ret->access = arena_strdup(a, w->keys.access);
	ret->secret = arena_strdup(a, w->keys.secret);
	ret->token = arena_strdup(a, w->keys.token);
	ret->source = arena_strdup(a, w->keys.source);
}

int aws_keys_get(struct aws *w, struct arena *a, unsigned than, struct aws_keys *ret, unsigned *ret_generation,
		 struct err *e)
{
	unsigned failures;
	int rc = 0;

	pthread_mutex_lock(&w->lock);
	failures = w->failures;
	while (rc == 0 && !is_good(w, aws_now(w), than, FETCH_BEFORE)) {
		if (failures != w->failures && w->generation <= than) { /* the one who was waited for got none */
			*e = w->why;
			rc = -1;
		} else if (!w->busy) {
			rc = renew(w, than, e);
		} else if (is_good(w, aws_now(w), than, WAIT_BEFORE)) {
			break;
		} else {
			pthread_cond_wait(&w->changed, &w->lock);
		}
	}
	if (rc == 0) {
		copy(a, w, ret);
		*ret_generation = w->generation;
	}
	pthread_mutex_unlock(&w->lock);
	return rc;
}
