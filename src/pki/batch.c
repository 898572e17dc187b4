/* Batches. Guarantees: nothing is reported before its commit is durable; a policy that changed while a chunk was being
 * signed is noticed and the chunk signed again under the new one; threads share nothing but what they only read. While
 * one chunk is committed and handed out, the next is being signed. */
#include "pki/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/pool.h"
#include "engine/engine.h"
#include "pki/batch_journal.h"
#include "pki/keys.h"
#include "state/ledger.h"

struct run {
	struct ctx *ctx;
	struct batch *b;
	struct config config; /* as it was when the threads began */
	struct journal journal;
	unsigned threads;
};

struct chunk {
	struct run *run;
	size_t first, n;
	struct arena *keep; /* what was signed; NULL: not begun */
	struct pool *pool;  /* while it is being signed */
};

/* --- on the threads --- */

static int sign_item(const struct run *r, struct batch_item *it, struct arena *ar, struct err *e)
{
	AUTO(EVP_PKEY) *pub = NULL;
	const struct batch *b = r->b;
	struct request req;
	struct plan plan;
	struct csr csr;
	struct bytes text = it->text;

	if (it->path && fs_read_found(ar, it->path, CSR_MAX * 2, &text, e) != 0)
		return -1;
	if (request_from_csr(ar, text, &csr, &req, &pub, e) != 0)
		return -1;
	if (journal_find(&r->journal, req.sha256, &it->rec)) {
		it->resumed = true;
		return 0;
	}
	if (plan_issue(ar, &r->config, b->ca, b->profile, &req, &b->wishes, r->ctx->now, false, &plan, e) != 0 ||
	    cert_sign(ar, &plan.tbs, b->ca->key, b->ca->alg, &it->der, e) != 0 ||
	    issue_head(ar, b->ca, b->profile->id, &plan, &req, it->der, r->ctx->now, &it->rec, e) != 0)
		return -1;
	it->rec.batch = arena_strdup(ar, r->journal.id);
	it->rec.device = arena_strdup(ar, b->wishes.device);
	it->warning = plan.warning;
	return 0;
}

static int job(void *arg, size_t i, struct arena *ar, struct err *e)
{
	struct chunk *c = arg;
	struct batch_item *it = &c->run->b->items[c->first + i];

	(void)e;
	it->err = (struct err){ 0 };
	it->resumed = false;
	if (sign_item(c->run, it, ar, &it->err) != 0 && it->err.code == ERR_NONE)
		err_set(&it->err, ERR_CRYPTO, "not signed");
	return 0; /* a bad request stops nobody else */
}

static void tick(void *arg, size_t finished)
{
	const struct chunk *c = arg;

	ctx_progress(c->run->ctx, "signing", c->first + finished, c->run->b->n);
}

/* --- the committer --- */

/* What was signed is only good if the policy it was signed under still holds. Called while no thread is signing. */
static int policy_holds(struct run *r, bool *ret, struct err *e)
{
	struct ctx *ctx = r->ctx;
	struct authority fresh;
	struct profile p;
	bool moved, same;

	*ret = true;
	if (state_resume(ctx->state, &moved, e) != 0)
		return -1;
	if (!moved)
		return 0;
	if (authority_load(ctx, r->b->ca->rec.id, &fresh, e) != 0 || authority_may_issue(&fresh, e) != 0 ||
	    profile_load(ctx, r->b->profile->id, &p, e) != 0)
		return -1;
	same = rec_equal(&profile_type, &p, r->b->profile) && rec_equal(&ca_type, &fresh.rec, &r->b->ca->rec) &&
	       rec_equal(&config_type, state_config(ctx->state), &r->config) &&
	       bytes_equal(fresh.cert.der, r->b->ca->cert.der);
	if (same)
		return 0;
	*ret = false;
	fresh.key = r->b->ca->key;
	fresh.alg = r->b->ca->alg;
	*r->b->ca = fresh;
	*r->b->profile = p;
	r->config = *state_config(ctx->state);
	return 0;
}

static int add_items(struct chunk *c, struct err *e)
{
	struct ctx *ctx = c->run->ctx;
	struct batch *b = c->run->b;

	for (size_t i = 0; i < c->n; i++) {
		struct batch_item *it = &b->items[c->first + i];
		struct cert cert;
		struct bytes pem;

		if (it->err.code != ERR_NONE) {
			b->failed++;
			continue;
		}
		if (!it->resumed) {
			if (issue_record(ctx, &it->rec, it->der, e) != 0)
				return -1;
			continue;
		}
		if (ledger_cert_pem(ctx->state, &it->rec, &pem, e) != 0 || cert_parse(ctx->arena, pem, &cert, e) != 0)
			return -1;
		it->der = cert.der;
	}
	return 0;
}

static int commit_chunk(struct chunk *c, struct err *e)
{
	struct ctx *ctx = c->run->ctx;
	struct batch_item *items = c->run->b->items + c->first, *last = NULL;
	size_t good = 0;
	char *subject;

	for (size_t i = 0; i < c->n; i++)
		if (items[i].err.code == ERR_NONE && !items[i].resumed) {
			good++;
			last = &items[i];
		}
	if (!last)
		return 0;
	subject = good == 1 ? arena_printf(ctx->arena, "ca: sign %s", last->rec.serial_number)
			    : arena_printf(ctx->arena, "ca: sign %zu certificates", good);
	return state_commit(ctx->state, arena_printf(ctx->arena, "%s with %s", subject, c->run->b->ca->rec.id), e);
}

/* --- one chunk, in three steps --- */

static void chunk_begin(struct chunk *c, struct run *r, size_t first)
{
	size_t most = r->b->atomic ? r->b->n : BATCH_CHUNK, left = r->b->n - first;

	*c = (struct chunk){ .run = r, .first = first, .n = left < most ? left : most, .keep = arena_new() };
	c->pool = pool_start(c->n, r->threads, job, c, c->keep);
}

/* Other writers are let in while a batch is being signed; a single request is signed faster than that takes. */
static int chunk_sign(struct chunk *c, struct err *e)
{
	struct run *r = c->run;
	struct pool *pool;
	bool holds;

	for (int tries = 0; tries < 5; tries++) {
		pool = c->pool ? c->pool : pool_start(c->n, r->threads, job, c, c->keep);
		c->pool = NULL;
		if (pool_finish(pool, tick, e) != 0)
			return -1;
		if (r->b->n == 1)
			return 0;
		if (policy_holds(r, &holds, e) != 0)
			return -1;
		if (holds)
			return 0;
		if (state_pause(r->ctx->state, e) != 0)
			return -1;
	}
	return err_set(e, ERR_CONFLICT, "policy changed five times while a chunk was being signed");
}

static int chunk_record(struct chunk *c, struct err *e)
{
	struct batch *b = c->run->b;
	struct batch_item *items = b->items + c->first;

	if (b->n == 1 && items[0].err.code != ERR_NONE) {
		*e = items[0].err;
		return err_ctx(e, "%s", items[0].name);
	}
	if (add_items(c, e) != 0)
		return -1;
	if (!b->atomic || !b->failed)
		return commit_chunk(c, e);
	for (size_t i = 0; i < c->n; i++)
		if (items[i].err.code == ERR_NONE)
			err_set(&items[i].err, ERR_PARTIAL, "not issued: another request of the batch failed");
	return 0;
}

static void chunk_end(struct chunk *c)
{
	pool_stop(c->pool);
	arena_free(c->keep);
	*c = (struct chunk){ .keep = NULL };
}

static unsigned inflight(struct ctx *ctx, const struct batch *b)
{
	struct err ignored = { 0 };
	struct key k;

	if (b->n == 1)
		return 1;
	return authority_key_record(ctx, b->ca, &k, &ignored) == 0 ? engine_inflight(ctx, &k, b->jobs) : b->jobs;
}

/* The two chunks take turns, and stay where they are: threads look at them. */
static int run_all(struct run *r, struct chunk two[2], struct err *e)
{
	struct batch *b = r->b;
	struct state *st = r->ctx->state;
	struct chunk *c = &two[0], *next = &two[1];

	if (b->n > 1 && state_pause(st, e) != 0)
		return -1;
	chunk_begin(c, r, 0);
	for (;;) {
		size_t end = c->first + c->n;

		if (chunk_sign(c, e) != 0)
			return -1;
		if (end < b->n)
			chunk_begin(next, r, end);
		if (chunk_record(c, e) != 0 || (next->keep && state_pause(st, e) != 0))
			return -1;
		if (b->done(b->arg, b->items + c->first, c->n, e) != 0)
			return -1;
		if (!next->keep)
			return 0;
		chunk_end(c);
		next = c;
		c = &two[c == &two[0]];
	}
}

int batch_run(struct ctx *ctx, struct batch *b, struct err *e)
{
	struct run r = { .ctx = ctx, .b = b, .config = *state_config(ctx->state), .threads = inflight(ctx, b) };
	struct chunk two[2] = { { .keep = NULL }, { .keep = NULL } };
	int rc;

	b->failed = 0;
	if (b->n > 1 && !ctx->dry_run && journal_open(ctx, b, &r.journal, e) != 0)
		return -1;
	rc = run_all(&r, two, e);
	chunk_end(&two[0]);
	chunk_end(&two[1]);
	journal_close(&r.journal, rc == 0);
	return rc;
}
