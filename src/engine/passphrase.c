/* The passphrase of a sealed engine (K11): one for all its keys, stretched once a process. <id>.seal holds the salt,
 * the cost of stretching and a verifier, so that a typing error is told at once; it holds no secret, and without it the
 * key files still open with `openssl pkey`. The passphrase is asked for at most once and never tried twice.
 *
 * Order of a change, so that a crash at any point leaves every key usable under exactly one passphrase: (1) each key's
 * new form is written beside the old one, as <key>.next; (2) the seal is replaced, in one step: from here on the new
 * passphrase holds; (3) each new form takes its key's place. In a store that other machines use too the seal is a blob
 * beside the keys, made and replaced by check and set, so that there is one; keys that others made between (1) and (2)
 * get their new form after (2), and whoever makes a key looks after the seal once it is written. After a crash before
 * (2) the old forms are in force and the new ones are written over by the next change; after a crash in (3) sealed.c
 * finds that a key does not open, takes its new form and puts it in place. */
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "engine/sealed.h"

enum { MAX_SEAL_FILE = 1 << 12 };

struct seal_doc {
	int kdf;
	struct bytes salt, verifier;
	int64_t n, r, p, iterations;
};

static const char *const kdf_names[] = { "none", "scrypt", "pbkdf2", NULL };

static const struct field seal_fields[] = {
	ENUM(seal_doc, kdf, kdf_names, "How the passphrase becomes the key.", .flags = F_REQ),
	BYTES(seal_doc, salt, "Salt of all keys of the engine.", .flags = F_REQ),
	BYTES(seal_doc, verifier, "Digest of the derived key.", .flags = F_REQ),
	INT(seal_doc, n, "scrypt: cost.", .dflt = "0", .max = 1 << 22),
	INT(seal_doc, r, "scrypt: block size.", .dflt = "0", .max = 32),
	INT(seal_doc, p, "scrypt: parallelization.", .dflt = "0", .max = 16),
	INT(seal_doc, iterations, "PBKDF2: rounds.", .dflt = "0", .max = 10000000),
	END
};

static int seal_check(struct arena *a, void *rec, struct err *e)
{
	const struct seal_doc *d = rec;

	(void)a;
	if (d->kdf == KDF_NONE || d->salt.n < 8 || d->salt.n > 64 || d->verifier.n != SHA256_LEN)
		return err_set(e, ERR_INVALID, "not the seal of an engine");
	return 0;
}

static const struct schema seal_type = {
	.name = "seal", .doc = "How the keys of an engine are encrypted", .size = sizeof(struct seal_doc),
		.fields = seal_fields,
	.check = seal_check
};

static char *seal_path(struct arena *a, const struct engine *en)
{
	return arena_printf(a, "%s/engines/%s.seal", en->dir, en->doc->id);
}

static char *seal_name(struct arena *a, const struct engine *en) /* for messages */
{
	return en->ops->store->shared ? arena_printf(a, "%s of engine %s", SEALED_SEAL, en->doc->id) : seal_path(a, en);
}

/* The verifier must not help to find the key: a digest of it under a label of its own. */
static struct bytes make_verifier(struct arena *a, struct bytes derived)
{
	static const char label[] = "lamassu: verifier of a seal\n";
	SCOPED_BUF b = buf_init(BUF_TEXT);
	unsigned char *out = arena_alloc(a, 1, SHA256_LEN);

	buf_puts(&b, label);
	buf_put(&b, derived.p, derived.n);
	sha256(buf_bytes(&b), out);
	return (struct bytes){ out, SHA256_LEN };
}

bool seal_verify(const struct seal *seal, struct bytes derived)
{
	SCOPED_ARENA *a = arena_new();
	struct bytes v = make_verifier(a, derived);

	return v.n == seal->verifier.n && CRYPTO_memcmp(v.p, seal->verifier.p, v.n) == 0;
}

/* The text of the seal and, in a shared store, its version; ERR_NOT_FOUND. */
static int fetch_seal(struct ctx *ctx, struct engine *en, struct bytes *ret, const char **ret_version, struct err *e)
{
	if (en->ops->store->shared)
		return en->ops->store->get(ctx, en, SEALED_SEAL, ret, ret_version, e);
	*ret_version = STORE_ANY;
	return fs_read(en->arena, seal_path(ctx->arena, en), MAX_SEAL_FILE, ret, e);
}

int seal_read(struct ctx *ctx, struct engine *en, bool *ret_found, struct err *e)
{
	struct seal *seal = &en->sealed->seal;
	const char *version;
	struct bytes text;
	struct seal_doc d;

	*ret_found = seal->how.kdf != KDF_NONE;
	if (*ret_found)
		return 0;
	if (fetch_seal(ctx, en, &text, &version, e) != 0) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		*e = (struct err){ 0 };
		return 0;
	}
	if (rec_load(en->arena, &seal_type, seal_name(ctx->arena, en), text, &d, e) != 0)
		return -1;
	seal->how = (struct key_seal){ .kdf = d.kdf, .n = d.n, .r = d.r, .p = d.p, .iterations = d.iterations,
				      .salt = d.salt };
	seal->verifier = d.verifier;
	seal->version = arena_strdup(en->arena, version);
	*ret_found = true;
	return 0;
}

int seal_unchanged(struct ctx *ctx, struct engine *en, struct err *e)
{
	struct err gone = { 0 };
	const char *version;
	struct bytes text;

	if (fetch_seal(ctx, en, &text, &version, &gone) == 0 && en->sealed->seal.version &&
	    strcmp(version, en->sealed->seal.version) == 0)
		return 0;
	return err_set(e, ERR_CONFLICT,
		       "the passphrase was changed at the same time by another machine; run the command again");
}

/* Makes the seal, or replaces the one that was read. */
static int write_seal(struct ctx *ctx, struct engine *en, struct seal *seal, struct err *e)
{
	const struct store_ops *store = en->ops->store;
	const char *over = en->sealed->seal.version;
	struct seal_doc d = { .kdf = seal->how.kdf, .salt = seal->how.salt, .verifier = seal->verifier,
			     .n = seal->how.n,
			      .r = seal->how.r, .p = seal->how.p, .iterations = seal->how.iterations };
	SCOPED_BUF out = buf_init(BUF_TEXT);
	struct bytes text;

	rec_emit(&seal_type, &d, &out);
	seal->version = STORE_ANY;
	if (!store->shared)
		return private_write(seal_path(ctx->arena, en), buf_bytes(&out), over != NULL, e);
	if (store->put(ctx, en, SEALED_SEAL, buf_bytes(&out), over, e) != 0 ||
	    store->get(ctx, en, SEALED_SEAL, &text, &seal->version, e) != 0)
		return -1;
	if (!bytes_equal(text, buf_bytes(&out)))
		return err_set(e, ERR_CONFLICT, "two machines change the passphrase at once");
	seal->version = arena_strdup(en->arena, seal->version);
	return 0;
}

static int make_seal(struct arena *a, const char *text, bool generated, struct seal *ret, struct err *e)
{
	struct seal s = { 0 };

	if (key_seal_new(a, generated ? KDF_PBKDF2 : KDF_SCRYPT, &s.how, e) != 0 ||
	    key_derive(a, &s.how, text, &s.derived, e) != 0)
		return -1;
	s.verifier = make_verifier(a, s.derived);
	*ret = s;
	return 0;
}

int seal_ask(struct ctx *ctx, struct engine *en, bool fresh, const char **ret, struct err *e)
{
	struct sealed *s = en->sealed;
	char *text;
	struct secret_ask q = {
		.what = arena_printf(ctx->arena, "passphrase of engine %s", en->doc->id),
		.env = secret_env_name(ctx->arena, "LAMASSU_PASSPHRASE_", en->doc->id),
		.env_general = "LAMASSU_PASSPHRASE", .confirm = fresh
	};

	*ret = s->text;
	if (s->text)
		return 0;
	if (!en->passphrase && !ctx->secret)
		return err_set(e, ERR_DENIED, "the passphrase is needed: %s or %s", q.env, q.env_general);
	if (en->passphrase ? secret_resolve(en->arena, "passphrase", en->passphrase, &text, e) != 0 :
	    ctx->secret(ctx, &q, &text, e) != 0)
		return -1;
	if (!text[0])
		return err_set(e, ERR_DENIED, "the passphrase is empty");
	*ret = s->text = arena_strdup(en->arena, text);
	return 0;
}

/* An engine's first key: the seal is made with a new passphrase. Another process may be as far; whoever writes first
 * wins, and the other must know the same passphrase. */
static int first_seal(struct ctx *ctx, struct engine *en, struct err *e)
{
	const char *text;
	struct seal s;

	if (seal_ask(ctx, en, true, &text, e) != 0 || make_seal(en->arena, text, false, &s, e) != 0)
		return -1;
	if (write_seal(ctx, en, &s, e) == 0) {
		en->sealed->seal = s;
		return 0;
	}
	if (e->code != ERR_EXISTS)
		return -1;
	*e = (struct err){ 0 };
	return seal_open(ctx, en, false, e);
}

static int no_seal(struct ctx *ctx, struct engine *en, struct err *e)
{
	if (en->ops->store->shared) /* the keys may have been put there by another program */
		return err_set(e, ERR_NOT_FOUND, "%s: there is none", seal_name(ctx->arena, en));
	return err_set(e, ERR_DENIED,
		       "%s is missing: the keys were encrypted on another machine, or it was deleted; bring it "
		       "back from a backup, or open the keys with \"openssl pkey\"", seal_path(ctx->arena, en));
}

int seal_open(struct ctx *ctx, struct engine *en, bool create, struct err *e)
{
	struct seal *seal = &en->sealed->seal;
	struct bytes derived;
	const char *text;
	bool found;

	process_harden();
	if (seal->derived.n)
		return 0;
	if (seal_read(ctx, en, &found, e) != 0)
		return -1;
	if (!found)
		return create ? first_seal(ctx, en, e) : no_seal(ctx, en, e);
	if (keyring_get(en, &derived) && seal_verify(seal, derived)) {
		seal->derived = derived;
		return 0;
	}
	if (seal_ask(ctx, en, false, &text, e) != 0 || key_derive(en->arena, &seal->how, text, &derived, e) != 0)
		return -1;
	if (!seal_verify(seal, derived))
		return err_set(e, ERR_DENIED, "wrong passphrase");
	seal->derived = derived;
	return 0;
}

/* --- kms engine passphrase, unlock, lock --- */

char *engine_passphrase_random(struct arena *a)
{
	unsigned char *raw = arena_alloc(a, 1, 32);

	if (RAND_priv_bytes(raw, 32) != 1)
		return NULL;
	return hex_encode(a, (struct bytes){ raw, 32 });
}

static int get_sealed(struct ctx *ctx, const char *id, struct engine **ret, struct err *e)
{
	struct engine *en;

	if (engine_get(ctx, id, &en, e) != 0)
		return -1;
	if (!en->ops->store)
		return err_set(e, ERR_UNSUPPORTED, "engine %s: has no passphrase, its keys never leave it",
			       en->doc->id);
	if (en->unencrypted)
		return err_set(e, ERR_CONFLICT, "engine %s: has no passphrase, its config says unencrypted",
			       en->doc->id);
	*ret = en;
	return 0;
}

/* A change of passphrase in the making. */
struct change {
	struct ctx *ctx;
	struct engine *engine;
	struct seal seal; /* the new one */
	struct item {
		const char *name, *next, *version;
		struct bytes pem;
	} *v;
	size_t n;
	struct strv stale; /* what changes that did not come about left in a shared store */
};

static int collect(void *arg, const struct keyref *ref, struct err *e)
{
	struct change *c = arg;
	struct arena *a = c->ctx->arena;

	(void)e;
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->v[i].name, ref->handle) == 0)
			return 0;
	c->v = arena_grow(a, c->v, c->n, sizeof(*c->v));
	c->v[c->n++] = (struct item){ .name = arena_strdup(a, ref->handle),
				     .next = sealed_next(a, c->engine, &c->seal, ref->handle) };
	return 0;
}

static int collect_stale(void *arg, const char *name, struct err *e)
{
	struct change *c = arg;
	struct strv *l = &c->stale;

	(void)e;
	if (!text_has_prefix(name, SEALED_OWN) && strstr(name, SEALED_NEXT)) {
		l->v = arena_grow(c->ctx->arena, l->v, l->n, sizeof(*l->v));
		l->v[l->n++] = arena_strdup(c->ctx->arena, name);
	}
	return 0;
}

/* Step 1. */
static int write_next(struct change *c, struct item *it, struct err *e)
{
	struct engine *en = c->engine;
	AUTO(EVP_PKEY) *key = NULL;

	if (sealed_read(c->ctx, en, it->name, &key, &it->version, e) != 0 ||
	    key_seal_pem(c->ctx->arena, &c->seal.how, c->seal.derived, key, &it->pem, e) != 0 ||
	    en->ops->store->put(c->ctx, en, it->next, it->pem, STORE_ANY, e) != 0)
		return err_ctx(e, "key %s", it->name);
	return 0;
}

/* The keys that came in since: another machine made them before it could know of the new seal. */
static void write_late(struct change *c)
{
	size_t n = c->n;
	struct err e = { 0 };

	if (!c->engine->ops->store->shared)
		return;
	if (sealed_each(c->ctx, c->engine, collect, c, &e) != 0)
		ctx_warn(c->ctx, "keys that were made meanwhile stay under the old passphrase: %s", e.msg);
	for (size_t i = n; i < c->n; i++) {
		e = (struct err){ 0 };
		if (write_next(c, &c->v[i], &e) != 0 && e.code != ERR_NOT_FOUND)
			ctx_warn(c->ctx, "stays under the old passphrase: %s", e.msg);
	}
}

/* Step 3. What fails here is made good when the key is next used. */
static void take_next(struct change *c, const struct item *it)
{
	const struct store_ops *store = c->engine->ops->store;
	struct err e = { 0 };
	int64_t gone_at;

	if (it->pem.n == 0)
		return;
	if (store->put(c->ctx, c->engine, it->name, it->pem, it->version, &e) != 0)
		ctx_warn(c->ctx, "key %s: the new form stays beside the old one: %s", it->name, e.msg);
	else if (store->del(c->ctx, c->engine, it->next, &gone_at, &e) != 0 && e.code != ERR_NOT_FOUND)
		ctx_warn(c->ctx, "key %s: %s", it->name, e.msg);
}

/* The change did not come about. In a shared store nobody else would ever write over what it leaves. */
static void drop_all_next(struct change *c)
{
	int64_t gone_at;

	for (size_t i = 0; c->engine->ops->store->shared && i < c->n; i++) {
		struct err ignored = { 0 };

		if (c->v[i].pem.n)
			(void)!c->engine->ops->store->del(c->ctx, c->engine, c->v[i].next, &gone_at, &ignored);
	}
}

/* Of changes that began before ours took effect, and so cannot any more. */
static void drop_stale(struct change *c)
{
	int64_t gone_at;

	for (size_t i = 0; i < c->stale.n; i++) {
		struct err ignored = { 0 };

		(void)!c->engine->ops->store->del(c->ctx, c->engine, c->stale.v[i], &gone_at, &ignored);
	}
}

static int reseal(struct change *c, struct err *e)
{
	struct engine *en = c->engine;

	if (sealed_each(c->ctx, en, collect, c, e) != 0 ||
	    (en->ops->store->shared && en->ops->store->each(c->ctx, en, collect_stale, c, e) != 0))
		return -1;
	for (size_t i = 0; i < c->n; i++) {
		if (write_next(c, &c->v[i], e) != 0) {
			drop_all_next(c);
			return -1;
		}
	}
	if (write_seal(c->ctx, en, &c->seal, e) != 0) {
		if (e->code == ERR_CONFLICT || e->code == ERR_EXISTS) /* else it may have been written */
			drop_all_next(c);
		return -1;
	}
	write_late(c);
	en->sealed->seal = c->seal;
	en->sealed->text = NULL;
	for (size_t i = 0; i < c->n; i++)
		take_next(c, &c->v[i]);
	drop_stale(c);
	keyring_drop(en);
	return 0;
}

/* The passphrase to change to: as given, or asked for from sources that are not those of the present one. */
static int new_text(struct ctx *ctx, struct engine *en, bool has_seal, const char *given, const char **ret,
		    struct err *e)
{
	char *typed = NULL;
	const struct seal *seal = &en->sealed->seal;
	struct secret_ask q = { .what = arena_printf(ctx->arena, "new passphrase of engine %s", en->doc->id),
				.env = "LAMASSU_NEW_PASSPHRASE", .confirm = true };
	struct bytes derived;

	if (!given && !has_seal)
		return seal_ask(ctx, en, true, ret, e);
	if (!given && (!ctx->secret || ctx->secret(ctx, &q, &typed, e) != 0))
		return ctx->secret ? -1 : err_set(e, ERR_DENIED, "the new passphrase is needed: %s", q.env);
	*ret = given ? given : typed;
	if (!(*ret)[0])
		return err_set(e, ERR_DENIED, "the new passphrase is empty");
	if (!has_seal)
		return 0;
	if (key_derive(ctx->arena, &seal->how, *ret, &derived, e) != 0)
		return -1;
	if (seal_verify(seal, derived))
		return err_set(e, ERR_CONFLICT, "the new passphrase is the present one");
	return 0;
}

int engine_passphrase(struct ctx *ctx, const char *id, const char *text, bool generated, struct err *e)
{
	struct change c = { .ctx = ctx };
	bool has_seal;
	const char *fresh;

	if (get_sealed(ctx, id, &c.engine, e) != 0 || seal_read(ctx, c.engine, &has_seal, e) != 0)
		return -1;
	if (ctx->dry_run)
		return 0;
	if ((has_seal && seal_open(ctx, c.engine, false, e) != 0) ||
	    new_text(ctx, c.engine, has_seal, text, &fresh, e) != 0 ||
	    make_seal(c.engine->arena, fresh, generated, &c.seal, e) != 0 || reseal(&c, e) != 0)
		return err_ctx(e, "engine %s", c.engine->doc->id);
	return 0;
}

int engine_unlock(struct ctx *ctx, const char *id, int64_t secs, struct err *e)
{
	struct engine *en;
	bool has_seal;

	if (get_sealed(ctx, id, &en, e) != 0 || seal_read(ctx, en, &has_seal, e) != 0)
		return -1;
	if (!has_seal)
		return err_set(e, ERR_CONFLICT,
			       "engine %s: has no passphrase yet; it is set when the first key is made", en->doc->id);
	if (ctx->dry_run)
		return 0;
	if (seal_open(ctx, en, false, e) != 0 || keyring_put(en, en->sealed->seal.derived, secs, e) != 0)
		return err_ctx(e, "engine %s", en->doc->id);
	return 0;
}

int engine_lock(struct ctx *ctx, const char *id, bool *ret_was_unlocked, struct err *e)
{
	struct engine *en;

	if (get_sealed(ctx, id, &en, e) != 0)
		return -1;
	*ret_was_unlocked = !ctx->dry_run && keyring_drop(en);
	return 0;
}

bool engine_is_unlocked(struct ctx *ctx, const char *id)
{
	const struct engine_ops *ops = engine_ops_of(ctx, id);
	struct engine *en = engine_unopened(ctx, id);
	struct bytes derived;

	return ops && ops->store && en && keyring_get(en, &derived);
}
