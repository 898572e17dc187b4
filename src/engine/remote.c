/* Calls of remote services. Guarantees: a call ends with its deadline; what makes something is never carried out twice
 * for a lost answer; credentials are renewed at most once a call; what a server says is escaped before anybody prints
 * it. */
#include "engine/remote.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "base/tm.h"
#include "base/wipe.h"

enum { ATTEMPTS = 3, DEADLINE_MS = 30000, BASE_MS = 200, CAP_MS = 20000, THROTTLED_CAP_MS = 2000, SAY_MAX = 300 };

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void pause_ms(int64_t ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static int64_t random_up_to(int64_t max)
{
	uint32_t r = 0;

	if (RAND_bytes((unsigned char *)&r, sizeof(r)) != 1)
		return max;
	return (int64_t)((uint64_t)r * (uint64_t)max >> 32);
}

/* What the server asks for, in milliseconds; -1 when it says nothing that can be read. */
static int64_t asked_ms(const struct net_answer *a)
{
	static const struct {
		const char *name;
		int64_t unit;
	} rows[] = { { "retry-after-ms", 1 }, { "x-ms-retry-after-ms", 1 }, { "x-amz-retry-after", 1 },
		     { "retry-after", 1000 } };

	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *value = net_header(a, rows[i].name);
		char *end;
		struct tm date = { 0 };
		long n;

		if (value && *value >= '0' && *value <= '9') {
			n = strtol(value, &end, 10);
			if (*end == '\0' && n <= 86400000)
				return n * rows[i].unit;
		}
		end = value && rows[i].unit == 1000 ? strptime(value, "%a, %d %b %Y %H:%M:%S GMT", &date) : NULL;
		if (end && *end == '\0') /* RFC 9110 10.2.3 */
			return (int64_t)(timegm(&date) - time(NULL)) * 1000;
	}
	return -1;
}

struct course { /* of one call */
	struct remote_policy policy;
	int64_t until, retry_ms;
	unsigned failed, throttled; /* attempts that ended so */
	bool refreshed;
};

static void set_defaults(struct course *c, const struct remote_policy *p)
{
	static const struct remote_policy none;

	p = p ? p : &none;
	c->policy = (struct remote_policy){ p->attempts ? p->attempts : ATTEMPTS,
					    p->deadline_ms ? p->deadline_ms : DEADLINE_MS,
					    p->base_ms ? p->base_ms : BASE_MS, p->cap_ms ? p->cap_ms : CAP_MS };
	c->until = now_ms() + c->policy.deadline_ms;
}

/* Full jitter: up to twice as long each time. */
static int64_t jitter(const struct course *c, unsigned n, int64_t cap)
{
	int64_t longest = c->policy.base_ms << (n < 16 ? n : 16);

	return random_up_to(longest < cap ? longest : cap);
}

/* Waits before the next attempt; false when there is none. Only time ends the patience with a server that is busy. */
static bool wait_turn(struct course *c, bool throttled)
{
	int64_t cap = c->policy.cap_ms, ms;

	if (throttled)
		ms = jitter(c, c->throttled++, cap < THROTTLED_CAP_MS ? cap : THROTTLED_CAP_MS);
	else if (c->failed + 1 < c->policy.attempts)
		ms = jitter(c, c->failed++, cap);
	else
		return false;
	if (c->retry_ms > 0)
		ms = c->retry_ms;
	if (now_ms() + ms >= c->until)
		return false;
	pause_ms(ms);
	return true;
}

/* One attempt. */
static int attempt(struct net_client *client, struct arena *a, const struct remote_call *call, struct course *c,
		   bool refresh, struct net_answer *ret, enum remote_verdict *ret_verdict, struct err *e)
{
	struct net_request request = { 0 };
	enum net_fault fault;
	int64_t left;

	*ret_verdict = REMOTE_FAILED;
	c->retry_ms = -1;
	if (call->build(call->arg, a, refresh, &request, e) != 0)
		return -1;
	request.once = call->once;
	left = c->until - now_ms();
	if (left <= 0)
		return err_set(e, ERR_REMOTE, "no time is left for another attempt");
	if (!request.timeout_ms || request.timeout_ms > left)
		request.timeout_ms = left;
	if (net_here->send(client, a, &request, ret, &fault, e) != 0) {
		if (fault == NET_NOT_SENT || (fault == NET_AGAIN && !call->once))
			*ret_verdict = REMOTE_AGAIN;
		return -1;
	}
	*ret_verdict = call->judge(call->arg, a, ret, e);
	c->retry_ms = asked_ms(ret);
	if (*ret_verdict == REMOTE_AGAIN && call->once)
		*ret_verdict = REMOTE_FAILED;
	return *ret_verdict == REMOTE_DONE ? 0 : -1;
}

int remote_call(struct net_client *client, struct arena *a, const struct remote_policy *policy,
		const struct remote_call *call, struct net_answer *ret, struct err *e)
{
	struct course c = { 0 };
	bool refresh = false;

	set_defaults(&c, policy);
	for (;;) {
		enum remote_verdict verdict;
		struct err why = { 0 };

		if (attempt(client, a, call, &c, refresh, ret, &verdict, &why) == 0)
			return 0;
		refresh = verdict == REMOTE_REFRESH && !c.refreshed;
		c.refreshed |= refresh;
		if (!refresh && ((verdict != REMOTE_AGAIN && verdict != REMOTE_THROTTLED) ||
				 !wait_turn(&c, verdict == REMOTE_THROTTLED))) {
			*e = why;
			return -1;
		}
	}
}

/* --- JSON --- */

void remote_wipe(void)
{
	json_set_alloc_funcs(wipe_malloc, wipe_free);
}

int remote_json(struct bytes body, json_t **ret, struct err *e)
{
	json_error_t why;
	json_t *j = json_loadb((const char *)body.p, body.n, JSON_REJECT_DUPLICATES, &why);

	if (!json_is_object(j)) {
		json_decref(j);
		return err_set(e, ERR_REMOTE, "the answer is not a JSON object");
	}
	*ret = j;
	return 0;
}

json_t *remote_member(json_t *j, const char *path)
{
	while (j && *path) {
		size_t n = strcspn(path, ".");
		char name[128];

		if (n >= sizeof(name))
			return NULL;
		memcpy(name, path, n);
		name[n] = '\0';
		j = json_object_get(j, name);
		path += n + (path[n] == '.');
	}
	return j;
}

const char *remote_text(json_t *j, const char *path)
{
	return json_string_value(remote_member(j, path));
}

char *remote_say(struct arena *a, const char *s)
{
	struct bytes b = bytes_of(s);

	if (b.n > SAY_MAX)
		b.n = SAY_MAX;
	return b.n ? text_escape(a, b) : arena_strdup(a, "");
}
