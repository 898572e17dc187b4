/* The conformance list: what every engine must do with every key type that it claims, proved with a real signature by a
 * throw-away key. The key is deleted whatever happened; one that could not be is named in its row. */
#include <string.h>
#include <time.h>

#include "base/tm.h"
#include "crypto/key.h"
#include "engine/engine.h"

static int64_t micros(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Signs and verifies; then again with a message that differs, which must not verify. */
static int prove(struct ctx *ctx, const struct key *rec, const struct sigalg **ret_alg, int64_t *ret_micros,
		 struct err *e)
{
	static const char text[] = "lamassu: is this engine fit to sign?";
	const struct bytes msg = { (const unsigned char *)text, sizeof(text) - 1 }, other = { msg.p, msg.n - 1 };
	AUTO(EVP_PKEY) *key = NULL;
	AUTO(EVP_PKEY) *pub = NULL;
	SCOPED_BUF sig = buf_init(BUF_TEXT);
	const struct sigalg *alg;
	bool right, wrong;
	int64_t start;

	if (engine_key(ctx, rec, &key, e) != 0 || key_from_public_pem(bytes_of(rec->public_key), &pub, e) != 0)
		return -1;
	alg = sigalg_default(pub);
	if (!alg)
		return err_set(e, ERR_UNSUPPORTED, "there is no signature algorithm for this key");
	*ret_alg = alg;
	start = micros();
	if (key_sign(key, alg, msg, &sig, e) != 0)
		return -1;
	*ret_micros = micros() - start;
	if (key_verify(pub, alg, msg, false, buf_bytes(&sig), &right, e) != 0 ||
	    key_verify(pub, alg, other, false, buf_bytes(&sig), &wrong, e) != 0)
		return -1;
	if (!right || wrong)
		return err_set(e, ERR_REMOTE, "the signature is not valid");
	return 0;
}

struct kept { /* test keys that the engine does not delete at once */
	size_t n;
	int64_t until;
};

static int test_type(struct ctx *ctx, const char *id, const struct keytype *type, struct engine_test_row *row,
		     struct kept *kept, struct err *e)
{
	const struct sigalg *alg = NULL;
	struct err why = { 0 };
	int64_t gone_at;
	struct key rec;

	*row = (struct engine_test_row){ .keytype = type->name, .algorithm = "", .result = "ok" };
	if (engine_generate(ctx, id, type, "lamassu engine test", &rec, e) != 0) {
		row->result = arena_strdup(ctx->arena, e->msg);
		return -1;
	}
	if (prove(ctx, &rec, &alg, &row->micros, e) != 0)
		row->result = arena_strdup(ctx->arena, e->msg);
	if (alg)
		row->algorithm = alg->name;
	if (engine_destroy(ctx, &rec, &gone_at, &why) != 0) {
		row->result = arena_printf(ctx->arena, "the test key %s was not deleted: %s", rec.handle, why.msg);
		*e = why;
	} else if (gone_at) {
		kept->n++;
		kept->until = gone_at > kept->until ? gone_at : kept->until;
	}
	return strcmp(row->result, "ok") == 0 ? 0 : -1;
}

int engine_test(struct ctx *ctx, const char *id, int (*cb)(void *, const struct engine_test_row *), void *arg,
		struct err *e)
{
	struct engine_test_row row;
	struct kept kept = { 0 };
	struct engine *en;
	size_t tried = 0, failed = 0;
	uint32_t bits;

	if (engine_get(ctx, id, &en, e) != 0 || en->ops->keytypes(en, &bits, e) != 0)
		return -1;
	for (size_t i = 0; keytypes[i].name; i++) {
		struct err why = { 0 };

		if (!(bits & UINT32_C(1) << i))
			continue;
		tried++;
		if (test_type(ctx, en->doc->id, &keytypes[i], &row, &kept, &why) != 0) {
			failed++;
			if (why.code == ERR_DENIED) { /* a wrong passphrase: not once for every type */
				*e = why;
				return -1;
			}
		}
		if (cb(arg, &row) != 0)
			return err_set(e, ERR_CANCELLED, "stopped");
	}
	if (kept.n)
		ctx_warn(ctx, "engine %s: it keeps the deleted test keys (%zu) until %s", en->doc->id, kept.n,
			 tm_format(ctx->arena, kept.until));
	if (failed)
		return err_set(e, ERR_REMOTE, "engine %s: %zu of %zu key types failed", en->doc->id, failed, tried);
	return 0;
}
