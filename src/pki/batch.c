/* Batches. Guarantees: nothing is reported before its commit is durable; a policy that changed while a chunk was being signed is
 * noticed and the chunk signed again under the new one; threads share nothing but what they only read. */
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
	const struct config *config;
	struct journal journal;
	size_t first, n;      /* of the chunk being worked on */
	size_t before;        /* items of earlier chunks */
	unsigned threads;
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

	if (it->path && fs_read_input(ar, it->path, CSR_MAX * 2, &text, e) != 0)
		return -1;
	if (request_from_csr(ar, text, &csr, &req, &pub, e) != 0)
		return -1;
	if (journal_find(&r->journal, req.sha256, &it->rec)) {
		it->resumed = true;
		return 0;
	}
	if (plan_issue(ar, r->config, b->ca, b->profile, &req, &b->wishes, r->ctx->now, false, &plan, e) != 0 ||
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
	struct run *r = arg;
	struct batch_item *it = &r->b->items[r->first + i];

	(void)e;
	it->err = (struct err){ 0 };
	it->resumed = false;
	if (sign_item(r, it, ar, &it->err) != 0 && it->err.code == ERR_NONE)
		err_set(&it->err, ERR_CRYPTO, "not signed");
	return 0; /* a bad request stops nobody else */
}

static void tick(void *arg, size_t finished)
{
	struct run *r = arg;

	if (r->ctx->progress)
		r->ctx->progress(r->ctx->progress_arg, "signing", r->before + finished, r->b->n);
}

/* --- the committer --- */

/* What was signed is only good if the policy it was signed under still holds. */
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
	       rec_equal(&config_type, state_config(ctx->state), r->config) && bytes_equal(fresh.cert.der, r->b->ca->cert.der);
	if (same)
		return 0;
	*ret = false;
	fresh.key = r->b->ca->key;
	fresh.alg = r->b->ca->alg;
	*r->b->ca = fresh;
	*r->b->profile = p;
	r->config = state_config(ctx->state);
	return 0;
}

static int add_items(struct run *r, struct err *e)
{
	struct ctx *ctx = r->ctx;

	for (size_t i = 0; i < r->n; i++) {
		struct batch_item *it = &r->b->items[r->first + i];
		struct bytes pem;
		struct cert c;

		if (it->err.code != ERR_NONE) {
			r->b->failed++;
			continue;
		}
		if (!it->resumed) {
			if (issue_record(ctx, &it->rec, it->der, e) != 0)
				return -1;
			continue;
		}
		if (ledger_cert_pem(ctx->state, &it->rec, &pem, e) != 0 || cert_parse(ctx->arena, pem, &c, e) != 0)
			return -1;
		it->der = c.der;
	}
	return 0;
}

static int commit_chunk(struct run *r, struct err *e)
{
	struct ctx *ctx = r->ctx;
	const char *ca = r->b->ca->rec.id;
	size_t good = 0, last = 0;
	char *subject;

	for (size_t i = 0; i < r->n; i++)
		if (r->b->items[r->first + i].err.code == ERR_NONE && !r->b->items[r->first + i].resumed) {
			good++;
			last = r->first + i;
		}
	if (good == 0)
		return 0;
	subject = good == 1 ? arena_printf(ctx->arena, "ca: sign %s", r->b->items[last].rec.serial_number)
			    : arena_printf(ctx->arena, "ca: sign %zu certificates", good);
	return state_commit(ctx->state, arena_printf(ctx->arena, "%s with %s", subject, ca), e);
}

static int run_chunk(struct run *r, struct arena *keep, struct err *e)
{
	bool holds = r->b->n == 1;
	size_t failed_before = r->b->failed;

	for (int tries = 0; tries < 5; tries++) {
		if (r->b->n > 1 && state_pause(r->ctx->state, e) != 0)
			return -1;
		if (pool_run(r->n, r->threads, job, r, keep, tick, e) != 0)
			return -1;
		if (r->b->n > 1 && policy_holds(r, &holds, e) != 0)
			return -1;
		if (holds)
			break;
	}
	if (!holds)
		return err_set(e, ERR_CONFLICT, "policy changed five times while a chunk was being signed");
	if (r->b->n == 1 && r->b->items[0].err.code != ERR_NONE) {
		*e = r->b->items[0].err;
		return -1;
	}
	if (add_items(r, e) != 0)
		return -1;
	if (r->b->atomic && r->b->failed > failed_before)
		return 0; /* the caller drops everything */
	return commit_chunk(r, e);
}

static unsigned inflight(struct ctx *ctx, const struct batch *b)
{
	struct engine *eng;
	struct err ignored = { 0 };

	if (b->jobs || b->n == 1)
		return b->jobs ? b->jobs : 1;
	if (engine_get(ctx, b->ca->rec.engine_id, &eng, &ignored) != 0)
		return 0;
	return eng->ops->inflight;
}

static int run_all(struct run *r, struct err *e)
{
	struct batch *b = r->b;
	size_t chunk = b->atomic ? b->n : BATCH_CHUNK;

	for (r->first = 0; r->first < b->n; r->first += r->n) {
		SCOPED_ARENA *keep = arena_new();

		r->n = b->n - r->first < chunk ? b->n - r->first : chunk;
		r->before = r->first;
		if (run_chunk(r, keep, e) != 0)
			return -1;
		if (b->atomic && b->failed) {
			for (size_t i = 0; i < b->n; i++)
				if (b->items[i].err.code == ERR_NONE)
					err_set(&b->items[i].err, ERR_PARTIAL, "not issued: another request of the batch failed");
		}
		if (b->done(b->arg, b->items + r->first, r->n, e) != 0)
			return -1;
	}
	return 0;
}

int batch_run(struct ctx *ctx, struct batch *b, struct err *e)
{
	struct run r = { .ctx = ctx, .b = b, .config = state_config(ctx->state), .threads = inflight(ctx, b) };
	int rc;

	b->failed = 0;
	if (b->n > 1 && !ctx->dry_run && journal_open(ctx, b, &r.journal, e) != 0)
		return -1;
	rc = run_all(&r, e);
	journal_close(&r.journal, rc == 0);
	return rc;
}
