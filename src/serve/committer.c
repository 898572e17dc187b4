/* Claims and group commits. Guarantees: two threads never hold the same key; the target is never passed, whoever dies
 * in between; an answer "yes" to a transaction leaves after its commit is durable; the repository's lock is held only
 * while a commit runs, so other commands get their turn. */
#include "serve/committer.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/tm.h"
#include "state/state.h"

enum { KEYS_MAX = 8, REOPEN_AFTER = 256 };

struct claim { /* of a link */
	char *keys[KEYS_MAX];
	size_t nkeys;
	bool held, waits, counts;
	uint64_t since;      /* order of arrival */
	struct bytes shipped; /* handed over, waits for the commit */
	bool handed, orphan; /* orphan: nobody waits for the answer */
	struct arena *arena;
};

struct committer {
	struct committer_setup setup;
	struct claim *claims; /* one a link */
	size_t n;
	uint64_t arrivals;
	int64_t done, reserved; /* of those that count */
	struct arena *arena;    /* of the state */
	struct ctx ctx;
	struct state *state;
	unsigned commits;
};

struct committer *committer_new(struct arena *a, const struct committer_setup *setup, size_t links)
{
	struct committer *c = arena_new_array(a, 1, struct committer);

	*c = (struct committer){ .setup = *setup, .n = links, .claims = arena_new_array(a, links, struct claim) };
	return c;
}

static void close_state(struct committer *c)
{
	state_close(c->state);
	arena_free(c->arena);
	c->state = NULL;
	c->arena = NULL;
	c->commits = 0;
}

void committer_free(struct committer *c)
{
	close_state(c);
	for (size_t i = 0; i < c->n; i++)
		arena_free(c->claims[i].arena);
}

static void answer_error(struct committer *c, size_t link, const struct err *e)
{
	SCOPED_BUF text = buf_init(BUF_TEXT);

	link_put_error(&text, e);
	c->setup.answer(c->setup.arg, link, LINK_ERROR, buf_bytes(&text));
}

/* --- claims --- */

static bool shares_key(const struct claim *a, const struct claim *b)
{
	for (size_t i = 0; i < a->nkeys; i++)
		for (size_t k = 0; k < b->nkeys; k++)
			if (strcmp(a->keys[i], b->keys[k]) == 0)
				return true;
	return false;
}

/* Who came first goes first: one that waits for a key blocks later ones too. */
static bool blocked(const struct committer *c, const struct claim *x)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct claim *o = &c->claims[i];

		if (o != x && (o->held || (o->waits && o->since < x->since)) && shares_key(o, x))
			return true;
	}
	return false;
}

static void end_claim(struct claim *x)
{
	arena_free(x->arena);
	*x = (struct claim){ 0 };
}

/* Gives every claim that waits its turn, if it has come. */
static void grant(struct committer *c)
{
	for (size_t i = 0; i < c->n; i++) {
		struct claim *x = &c->claims[i];

		if (!x->waits || blocked(c, x))
			continue;
		if (x->counts && c->setup.target && c->done + c->reserved >= c->setup.target) {
			if (c->reserved > 0 && c->done < c->setup.target)
				continue; /* one that is under way may fail and leave its place */
			end_claim(x);
			c->setup.answer(c->setup.arg, i, LINK_FULL, (struct bytes){ 0 });
			continue;
		}
		x->waits = false;
		x->held = true;
		c->reserved += x->counts;
		c->setup.answer(c->setup.arg, i, LINK_YES, (struct bytes){ 0 });
	}
}

static void release(struct committer *c, struct claim *x)
{
	if (x->held && x->counts)
		c->reserved--;
	end_claim(x);
	grant(c);
}

static void take_claim(struct committer *c, size_t link, struct bytes text)
{
	struct claim *x = &c->claims[link];
	const struct err bad = { .code = ERR_INVALID, .msg = "a claim within a claim" };
	const char *p = (const char *)text.p, *end = p + text.n;

	if (x->held || x->waits || x->handed || text.n < 1 || end[-1] != '\0') {
		answer_error(c, link, &bad);
		return;
	}
	x->arena = arena_new();
	x->counts = *p++ == '1';
	for (; p < end && x->nkeys < KEYS_MAX; p += strlen(p) + 1)
		x->keys[x->nkeys++] = arena_strdup(x->arena, p);
	x->since = ++c->arrivals;
	x->waits = true;
	grant(c);
}

void committer_take(struct committer *c, size_t link, enum link_kind kind, struct bytes text)
{
	struct claim *x = &c->claims[link];

	if (kind == LINK_CLAIM) {
		take_claim(c, link, text);
	} else if (kind == LINK_RELEASE) {
		release(c, x);
	} else if (kind == LINK_RECORD) {
		if (!x->arena)
			x->arena = arena_new();
		x->shipped = (struct bytes){ arena_memdup(x->arena, text.p, text.n), text.n };
		x->handed = true;
	}
}

void committer_gone(struct committer *c, size_t link)
{
	struct claim *x = &c->claims[link];

	if (!x->handed) {
		release(c, x);
		return;
	}
	x->orphan = true;
	x->waits = false; /* nobody is there to be told that its turn has come */
}

/* --- commits --- */

bool committer_pending(const struct committer *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->claims[i].handed)
			return true;
	return c->setup.refusals && refusals_due(c->setup.refusals);
}

bool committer_gathers(const struct committer *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->claims[i].held && !c->claims[i].handed)
			return true;
	return false;
}

int64_t committer_done(const struct committer *c)
{
	return c->done;
}

static int open_state(struct committer *c, struct err *e)
{
	const struct ctx *like = c->setup.ctx;
	struct state_env env = { .actor = ctx_actor(like), .trailers = like->trailers,
				 .now = like->now_given ? like->now : tm_now(), .op = c->setup.op,
				 .lock_timeout_ms = c->setup.lock_timeout_ms, .warn = like->warn,
				 .warn_arg = like->warn_arg };
	bool moved;

	if (c->commits >= REOPEN_AFTER) /* which ends what the handle has gathered in memory */
		close_state(c);
	if (c->state) {
		state_clock(c->state, env.now);
		return state_resume(c->state, &moved, e);
	}
	c->arena = arena_new();
	return state_open(c->arena, c->setup.dir, STATE_WRITE, &env, &c->state, e) != 0
	       ? -1 : state_tend_cache(c->state, e);
}

static int commit_all(struct committer *c, struct refusal_log *summed, struct err *e)
{
	struct err ignored = { 0 };
	const char *what;
	bool own = false;
	size_t n = 0;

	if (open_state(c, e) != 0)
		return -1;
	for (size_t i = 0; i < c->n; i++) {
		if (!c->claims[i].handed)
			continue;
		if (state_receive(c->state, c->claims[i].shipped, e) != 0)
			return -1;
		n += c->claims[i].nkeys > 0;
		own = own || c->claims[i].nkeys == 0; /* without a claim there are certificates of the listener's own */
	}
	if (summed)
		refusals_put(summed, c->state);
	c->commits++;
	if (n)
		what = arena_printf(c->arena, "%s %zu", c->setup.what, n);
	else
		what = arena_printf(c->arena, "%.*s: %s", (int)strcspn(c->setup.what, ":"), c->setup.what,
				    own ? "certificate of the listener" : "sum up refusals");
	if (state_commit(c->state, what, e) != 0)
		return -1;
	if (state_pause(c->state, &ignored) != 0) /* what is durable is acknowledged all the same */
		close_state(c);
	return 0;
}

void committer_run(struct committer *c)
{
	struct refusal_log *summed = c->setup.refusals && refusals_due(c->setup.refusals) ? c->setup.refusals : NULL;
	struct err e = { 0 };
	int r = commit_all(c, summed, &e);

	if (r != 0)
		close_state(c);
	if (summed)
		refusals_committed(summed, r == 0);
	for (size_t i = 0; i < c->n; i++) {
		struct claim *x = &c->claims[i];

		if (!x->handed)
			continue;
		if (r == 0)
			c->done += x->counts;
		if (x->held && x->counts)
			c->reserved--;
		if (!x->orphan && r == 0)
			c->setup.answer(c->setup.arg, i, LINK_YES, (struct bytes){ 0 });
		else if (!x->orphan)
			answer_error(c, i, &e);
		end_claim(x);
	}
	grant(c);
}
