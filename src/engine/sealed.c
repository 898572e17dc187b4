/* One engine over any store of bytes: keys are made here, kept as PKCS#8 under the engine's passphrase, and used here.
 * Guarantees: what was generated or imported is in the store, durably, before success is reported; an unencrypted key
 * is written only where the engine's config asks for it; a dry run writes nothing, its keys live in memory. OpenSSL
 * wipes the keys when the engine is closed, the arena the rest. */
#include "engine/sealed.h"

#include <string.h>

#include "base/text.h"

int sealed_open(struct ctx *ctx, struct engine *en, const void *config, struct err *e)
{
	en->sealed = arena_new_array(en->arena, 1, struct sealed);
	return en->ops->store->open(ctx, en, config, e);
}

void sealed_close(struct engine *en)
{
	struct sealed *s = en->sealed;

	for (size_t i = 0; i < s->nheld; i++)
		EVP_PKEY_free(s->held[i].key);
	s->nheld = 0;
	s->seal = (struct seal){ 0 };
	en->ops->store->close(en);
}

int sealed_keytypes(struct engine *en, uint32_t *ret, struct err *e)
{
	uint32_t bits = 0;

	(void)en, (void)e;
	for (size_t i = 0; keytypes[i].name; i++)
		if (keytype_available(&keytypes[i]))
			bits |= UINT32_C(1) << i;
	*ret = bits;
	return 0;
}

static EVP_PKEY *find_held(const struct sealed *s, const char *name)
{
	for (size_t i = 0; i < s->nheld; i++)
		if (strcmp(s->held[i].name, name) == 0)
			return s->held[i].key;
	return NULL;
}

static void hold(struct engine *en, const char *name, EVP_PKEY *key)
{
	struct sealed *s = en->sealed;

	EVP_PKEY_up_ref(key);
	s->held = arena_grow(en->arena, s->held, s->nheld, sizeof(*s->held));
	s->held[s->nheld++] = (struct held){ arena_strdup(en->arena, name), key };
}

/* A key that another program encrypted, with the engine's passphrase; PKCS#8 and the older forms of PEM. */
static int open_foreign(struct ctx *ctx, struct engine *en, struct bytes pem, EVP_PKEY **ret, struct err *e)
{
	const char *text;

	return seal_ask(ctx, en, false, &text, e) == 0 ? key_load(pem, text, ret, e) : -1;
}

/* A key as the store gave it. */
static int open_blob(struct ctx *ctx, struct engine *en, struct bytes pem, EVP_PKEY **ret, struct err *e)
{
	const struct seal *seal = &en->sealed->seal;

	process_harden();
	if (!key_is_encrypted(pem))
		return key_load(pem, NULL, ret, e);
	if (seal_open(ctx, en, false, e) != 0) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		*e = (struct err){ 0 };
		return open_foreign(ctx, en, pem, ret, e);
	}
	return key_unseal_pem(ctx->arena, &seal->how, seal->derived, pem, ret, e);
}

char *sealed_next(struct arena *a, const struct engine *en, const struct seal *seal, const char *name)
{
	struct bytes mark = { seal->how.salt.p, 4 };

	return arena_printf(a, "%s" SEALED_NEXT "%s%s", name, en->ops->store->shared ? "-" : "",
			    en->ops->store->shared ? hex_encode(a, mark) : "");
}

/* A change of passphrase that was killed after it took effect left the new form beside the old one; it is put in
 * place. */
static int open_next(struct ctx *ctx, struct engine *en, const char *name, const char **version, EVP_PKEY **ret)
{
	const struct store_ops *store = en->ops->store;
	const char *next = sealed_next(ctx->arena, en, &en->sealed->seal, name);
	struct err ignored = { 0 };
	int64_t gone_at;
	struct bytes pem;

	if (store->get(ctx, en, next, &pem, NULL, &ignored) != 0 || open_blob(ctx, en, pem, ret, &ignored) != 0)
		return -1;
	if (!ctx->dry_run && store->put(ctx, en, name, pem, *version, &ignored) == 0)
		(void)!store->del(ctx, en, next, &gone_at, &ignored);
	(void)!store->get(ctx, en, name, &pem, version, &ignored);
	return 0;
}

int sealed_read(struct ctx *ctx, struct engine *en, const char *name, EVP_PKEY **ret, const char **ret_version,
		struct err *e)
{
	const char *version;
	struct bytes pem;

	if (en->ops->store->get(ctx, en, name, &pem, &version, e) != 0)
		return -1;
	if (open_blob(ctx, en, pem, ret, e) != 0) {
		const struct sealed *s = en->sealed;
		struct err first = *e, ignored = { 0 };

		/* Without the passphrase the new form would not open either. */
		if (s->seal.derived.n == 0 || (open_next(ctx, en, name, &version, ret) != 0 &&
					       (!s->text || key_load(pem, s->text, ret, &ignored) != 0))) {
			*e = first;
			return -1;
		}
		*e = (struct err){ 0 };
	}
	*ret_version = version;
	return 0;
}

int sealed_load(struct ctx *ctx, struct engine *en, const struct keyref *ref, EVP_PKEY **ret, struct err *e)
{
	EVP_PKEY *held = find_held(en->sealed, ref->handle);
	AUTO(EVP_PKEY) *key = NULL;
	const char *version;

	if (!held) {
		if (sealed_read(ctx, en, ref->handle, &key, &version, e) != 0)
			return -1;
		hold(en, ref->handle, key);
		held = key;
	}
	EVP_PKEY_up_ref(held);
	*ret = held;
	return 0;
}

/* After a key was written: where the passphrase was changed meanwhile by another machine, the key may have been
 * overlooked and stand under the old one. */
static int settle(struct ctx *ctx, struct engine *en, const char *name, struct err *e)
{
	struct err ignored = { 0 };
	int64_t gone_at;

	if (en->unencrypted || !en->ops->store->shared || seal_unchanged(ctx, en, e) == 0)
		return 0;
	(void)!en->ops->store->del(ctx, en, name, &gone_at, &ignored);
	return -1;
}

/* Stores a key under its id. One that is there already, left by a command that did not get to its record, is taken
 * over. */
static int store_key(struct ctx *ctx, struct engine *en, const char *name, EVP_PKEY *key, struct err *e)
{
	const struct seal *seal = &en->sealed->seal;
	AUTO(EVP_PKEY) *there = NULL;
	struct bytes pem;

	if (en->unencrypted) {
		if (key_plain_pem(ctx->arena, key, &pem, e) != 0)
			return -1;
	} else if (seal_open(ctx, en, true, e) != 0 ||
		   key_seal_pem(ctx->arena, &seal->how, seal->derived, key, &pem, e) != 0) {
		return -1;
	}
	if (en->ops->store->put(ctx, en, name, pem, NULL, e) == 0)
		return settle(ctx, en, name, e);
	if (e->code != ERR_EXISTS)
		return -1;
	*e = (struct err){ 0 };
	if (sealed_load(ctx, en, &(struct keyref){ .handle = name }, &there, e) != 0)
		return -1;
	if (!key_matches(there, key))
		return err_set(e, ERR_CHECK, "key %s: the engine holds another key under this id", name);
	return 0;
}

static int add(struct ctx *ctx, struct engine *en, EVP_PKEY *key, const char *label, struct keyref *ret, struct err *e)
{
	struct keyref ref = { .label = label };
	struct bytes spki;

	process_harden();
	if (key_spki(ctx->arena, key, &spki, e) != 0)
		return -1;
	ref.id = ref.handle = key_id(ctx->arena, spki);
	if (!ctx->dry_run && store_key(ctx, en, ref.handle, key, e) != 0)
		return -1;
	if (!find_held(en->sealed, ref.handle))
		hold(en, ref.handle, key);
	*ret = ref;
	return 0;
}

static int public_half(struct arena *a, const EVP_PKEY *key, EVP_PKEY **ret, struct err *e)
{
	struct bytes spki;

	return key_spki(a, key, &spki, e) == 0 ? key_from_spki(spki, ret, e) : -1;
}

int sealed_generate(struct ctx *ctx, struct engine *en, const struct keytype *type, const char *label,
		    struct keyref *ret,
		    EVP_PKEY **ret_pub, struct err *e)
{
	AUTO(EVP_PKEY) *key = NULL;
	AUTO(EVP_PKEY) *pub = NULL;

	/* The passphrase first: nobody should wait for an RSA key to learn of a typing error. */
	if (!ctx->dry_run && !en->unencrypted && seal_open(ctx, en, true, e) != 0)
		return -1;
	if (key_generate(type, &key, e) != 0 || public_half(ctx->arena, key, &pub, e) != 0 ||
	    add(ctx, en, key, label, ret, e) != 0)
		return -1;
	*ret_pub = pub;
	pub = NULL;
	return 0;
}

int sealed_import(struct ctx *ctx, struct engine *en, EVP_PKEY *key, const char *label, struct keyref *ret,
		  struct err *e)
{
	return add(ctx, en, key, label, ret, e);
}

int sealed_pubkey(struct ctx *ctx, struct engine *en, const struct keyref *ref, EVP_PKEY **ret, struct err *e)
{
	AUTO(EVP_PKEY) *key = NULL;

	return sealed_load(ctx, en, ref, &key, e) == 0 ? public_half(ctx->arena, key, ret, e) : -1;
}

/* What changes of the passphrase left beside a key that is deleted. */
static int drop_next(struct ctx *ctx, struct engine *en, const char *name, struct err *e)
{
	const struct store_ops *store = en->ops->store;
	struct err gone = { 0 };
	bool has_seal = true;
	int64_t gone_at;

	if (store->shared && seal_read(ctx, en, &has_seal, e) != 0)
		return -1;
	if (!has_seal || store->del(ctx, en, sealed_next(ctx->arena, en, &en->sealed->seal, name), &gone_at,
				    &gone) == 0 ||
	    gone.code == ERR_NOT_FOUND)
		return 0;
	*e = gone;
	return -1;
}

int sealed_destroy(struct ctx *ctx, struct engine *en, const struct keyref *ref, int64_t *ret_gone_at, struct err *e)
{
	struct sealed *s = en->sealed;

	*ret_gone_at = 0;
	if (!ctx->dry_run && (drop_next(ctx, en, ref->handle, e) != 0 ||
			      en->ops->store->del(ctx, en, ref->handle, ret_gone_at, e) != 0))
		return -1;
	for (size_t i = 0; i < s->nheld; i++) {
		if (strcmp(s->held[i].name, ref->handle) != 0)
			continue;
		EVP_PKEY_free(s->held[i].key);
		s->held[i--] = s->held[--s->nheld];
	}
	return 0;
}

int sealed_find(struct ctx *ctx, struct engine *en, const char *name, struct keyref *ret, struct err *e)
{
	struct bytes pem;

	if (en->ops->store->get(ctx, en, name, &pem, NULL, e) != 0)
		return -1;
	*ret = (struct keyref){ .handle = arena_strdup(ctx->arena, name) };
	return 0;
}

int sealed_annotate(struct ctx *ctx, struct engine *en, const struct keyref *ref, const struct key_notes *notes,
		    struct err *e)
{
	const struct store_ops *store = en->ops->store;

	return store->annotate && !ctx->dry_run ? store->annotate(ctx, en, ref->handle, notes, e) : 0;
}

struct listing {
	int (*cb)(void *, const struct keyref *, struct err *);
	void *arg;
};

static int each_name(void *arg, const char *name, struct err *e)
{
	const struct listing *l = arg;

	if (text_has_prefix(name, SEALED_OWN) || strstr(name, SEALED_NEXT))
		return 0;
	return l->cb(l->arg, &(struct keyref){ .handle = name, .id = name }, e);
}

int sealed_each(struct ctx *ctx, struct engine *en, int (*cb)(void *, const struct keyref *, struct err *), void *arg,
		struct err *e)
{
	return en->ops->store->each(ctx, en, each_name, &(struct listing){ cb, arg }, e);
}
