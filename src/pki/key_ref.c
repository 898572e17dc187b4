/* How a key is named, wherever a command or a document names one: id or a unique beginning of it, alias, name, or a
 * URI. The grammar is this file's; a reference never matches two keys silently. */
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "crypto/bundle.h"
#include "crypto/der.h"
#include "crypto/key.h"
#include "engine/engine.h"
#include "pki/key_uri.h"
#include "pki/keys.h"
#include "state/state.h"

enum { ID_LEN = 64, PREFIX_MIN = 8 };

/* The engine's document, or one without anything when it is gone. */
static struct engine_doc engine_of(struct ctx *ctx, const struct key *k)
{
	struct engine_doc doc = { .security_level = -1 };
	struct err ignored = { 0 };

	if (!k->engine_id || !state_has(ctx->state, &engine_type, k->engine_id) ||
	    state_get(ctx->state, &engine_type, k->engine_id, &doc, &ignored) != 0)
		return (struct engine_doc){ .security_level = -1 };
	return doc;
}

void keys_compute(struct ctx *ctx, struct key *k)
{
	struct engine_doc doc = engine_of(ctx, k);
	const struct key_binding *v = k->bound.v;
	SCOPED_BUF list = buf_init(BUF_TEXT);
	struct err ignored = { 0 };

	k->recorded = keys_have(ctx, k->id);
	k->strength = arena_strdup(ctx->arena, key_strength(k->algorithm, k->size));
	if (k->has_private_key)
		k->security_level = arena_printf(ctx->arena, "SL%d", engine_security_level(&doc));
	k->pkcs11_uri = key_uri_format(ctx->arena, k, &doc);
	if (k->bound.n == 0)
		return;
	for (size_t i = 0; i < k->bound.n; i++) {
		buf_putc(&list, i ? ',' : '[');
		rec_json(&key_binding_type, &v[i], 0, &list);
	}
	buf_putc(&list, ']');
	(void)!any_set(ctx->arena, k->metadata, "lamassu.io/kms/binded-resources", buf_str(&list), &k->metadata,
		       &ignored);
}

/* --- the engines' own names --- */

const char *keys_scheme(const char *ref, const char **ret_rest)
{
	for (size_t i = 0; engine_kinds[i]; i++) {
		const char *scheme = engine_kinds[i]->scheme;
		size_t n = scheme ? strlen(scheme) : 0;

		if (n && strncmp(ref, scheme, n) == 0 && ref[n] == ':') {
			*ret_rest = ref + n + 1;
			return scheme;
		}
	}
	return NULL;
}

/* "awskms:…": what follows the scheme is the engine's own name of the key. */
static bool handle_matches(struct ctx *ctx, const char *ref, const struct key *k)
{
	const char *rest, *scheme = keys_scheme(ref, &rest);
	const struct engine_ops *ops;
	struct engine_doc doc;

	if (!scheme || !k->handle || strcmp(k->handle, rest) != 0)
		return false;
	doc = engine_of(ctx, k);
	ops = doc.type ? engine_kind(doc.type) : NULL;
	return ops && ops->scheme && strcmp(ops->scheme, scheme) == 0;
}

static int ask_passphrase(struct ctx *ctx, const char *file, char **ret, struct err *e)
{
	struct secret_ask q = { .what = arena_printf(ctx->arena, "passphrase of %s", file),
			       .env = "LAMASSU_IMPORT_PASSPHRASE",
				.env_general = "LAMASSU_PASSPHRASE" };

	if (!ctx->secret)
		return err_set(e, ERR_DENIED, "%s is needed: %s", q.what, q.env);
	return ctx->secret(ctx, &q, ret, e);
}

/* A PFX is SEQUENCE { INTEGER 3, … } (RFC 7292 4); PKCS#8 has version 0 or 1 there, PKCS#1 0, SEC1 1. */
static bool looks_like_p12(struct bytes b)
{
	struct der top = der_of(b);
	struct bytes body, version;
	struct der in;
	uint64_t v;

	if (!der_expect(&top, DER_SEQUENCE, &body))
		return false;
	in = der_of(body);
	return der_expect(&in, DER_INTEGER, &version) && der_uint(version, &v) && v == 3;
}

int keys_read(struct ctx *ctx, const char *file, struct bytes text, EVP_PKEY **ret, struct err *e)
{
	bool p12 = looks_like_p12(text);
	char *passphrase = NULL;
	struct p12 bag;
	struct err first = { 0 };

	if (p12 && p12_load(ctx->arena, text, "", &bag, &first) != 0) {
		if (ask_passphrase(ctx, file, &passphrase, e) != 0 ||
		    p12_load(ctx->arena, text, passphrase, &bag, e) != 0)
			return err_ctx(e, "%s", file);
	}
	if (p12 && !bag.key)
		return err_set(e, ERR_INVALID, "%s: holds no private key", file);
	if (p12) {
		*ret = bag.key;
		return 0;
	}
	if (key_is_encrypted(text) && ask_passphrase(ctx, file, &passphrase, e) != 0)
		return -1;
	return key_load(text, passphrase, ret, e) == 0 ? 0 : err_ctx(e, "%s", file);
}

/* file:PATH names the key that the file holds, private or public, when there is a record of it. */
static int resolve_file(struct ctx *ctx, const char *path, struct key *ret, struct err *e)
{
	AUTO(EVP_PKEY) *key = NULL;
	struct err not_public = { 0 };
	struct bytes text, spki;
	char *id;

	if (fs_read_input(ctx->arena, path, FS_LIMIT_CERT, &text, e) != 0)
		return -1;
	if (key_from_public_pem(text, &key, &not_public) != 0 && keys_read(ctx, path, text, &key, e) != 0)
		return -1;
	if (key_spki(ctx->arena, key, &spki, e) != 0)
		return -1;
	id = key_id(ctx->arena, spki);
	if (!keys_have(ctx, id))
		return err_set(e, ERR_NOT_FOUND,
			       "the key in %s is not in this repository; bring it in with: lamassu kms key import",
			       path);
	return state_get(ctx->state, &key_type, id, ret, e);
}

/* --- resolving --- */

static bool alias_matches(struct ctx *ctx, const char *ref, const struct key *k)
{
	(void)ctx;
	for (size_t i = 0; i < k->aliases.n; i++)
		if (strcmp(k->aliases.v[i], ref) == 0)
			return true;
	return false;
}

static bool name_matches(struct ctx *ctx, const char *ref, const struct key *k)
{
	(void)ctx;
	return k->name && strcmp(k->name, ref) == 0;
}

static bool prefix_matches(struct ctx *ctx, const char *ref, const struct key *k)
{
	size_t n = strlen(ref);

	(void)ctx;
	return n >= PREFIX_MIN && n <= ID_LEN && strspn(ref, "0123456789abcdefABCDEF") == n &&
	       strncasecmp(k->id, ref, n) == 0;
}

/* One match, none (*ret_found false), or an error that lists them. */
static int pick(struct ctx *ctx, const char *ref, const struct key *v, const bool *hit, size_t n, bool *ret_found,
		struct key *ret,
		struct err *e)
{
	SCOPED_BUF list = buf_init(BUF_TEXT);
	size_t found = 0;

	for (size_t i = 0; i < n; i++) {
		if (!hit[i])
			continue;
		if (found++ == 0)
			*ret = v[i];
		if (found <= 5)
			buf_printf(&list, "%s%.16s", found > 1 ? ", " : "", v[i].id);
	}
	(void)ctx;
	*ret_found = found == 1;
	if (found > 1)
		return err_set(e, ERR_USAGE, "\"%s\" names %zu keys: %s; give the id", ref, found, buf_str(&list));
	return 0;
}

static int not_found(struct ctx *ctx, const char *ref, const struct key *v, size_t n, struct err *e)
{
	const char **names = arena_new_array(ctx->arena, n + 1, const char *);
	const char *near;
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		if (v[i].name)
			names[count++] = v[i].name;
	near = text_nearest(ref, names);
	return err_set(e, ERR_NOT_FOUND, "key \"%s\" not found%s%s%s", ref, near ? "; did you mean \"" : "",
		       near ? near : "",
		       near ? "\"?" : "");
}

static int resolve_uri(struct ctx *ctx, const char *ref, const struct key *v, size_t n, bool *ret_found,
		       struct key *ret, struct err *e)
{
	bool *hit = arena_new_array(ctx->arena, n + 1, bool);
	struct engine_doc doc;
	struct key_uri u;

	if (key_uri_parse(ctx->arena, ref, &u, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		doc = engine_of(ctx, &v[i]);
		hit[i] = key_uri_matches(ctx->arena, &u, &v[i], &doc);
	}
	if (pick(ctx, ref, v, hit, n, ret_found, ret, e) != 0)
		return -1;
	if (!*ret_found)
		return 0;
	doc = engine_of(ctx, ret);
	return key_uri_check_module(ctx->arena, &u, &doc, e);
}

int keys_find(struct ctx *ctx, const char *ref, bool *ret_found, struct key *ret, struct err *e)
{
	static bool (*const ways[])(struct ctx *, const char *, const struct key *) = { alias_matches, handle_matches,
										       name_matches, prefix_matches };
	struct key *v;
	bool *hit;
	size_t n;

	*ret_found = true; /* or an error */
	if (text_has_prefix(ref, "file:"))
		return resolve_file(ctx, ref + 5, ret, e);
	if (strlen(ref) == ID_LEN && keys_have(ctx, ref)) /* the common case, without reading all of them */
		return state_get(ctx->state, &key_type, ref, ret, e);
	if (keys_all(ctx, &v, &n, e) != 0)
		return -1;
	if (text_has_prefix(ref, "pkcs11:"))
		return resolve_uri(ctx, ref, v, n, ret_found, ret, e);
	hit = arena_new_array(ctx->arena, n + 1, bool);
	for (size_t w = 0; w < COUNT(ways); w++) {
		for (size_t i = 0; i < n; i++)
			hit[i] = ways[w](ctx, ref, &v[i]);
		if (pick(ctx, ref, v, hit, n, ret_found, ret, e) != 0)
			return -1;
		if (*ret_found)
			break;
	}
	return 0;
}

int keys_missing(struct ctx *ctx, const char *ref, struct err *e)
{
	struct key *v;
	size_t n;

	if (keys_all(ctx, &v, &n, e) != 0)
		return -1;
	return not_found(ctx, ref, v, n, e);
}
