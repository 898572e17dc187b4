/* How a key is named, wherever a command or a document names one: id or a unique beginning of it, alias, name, or a
 * URI. The grammar is this file's; a reference never matches two keys silently. */
#include <ctype.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "crypto/bundle.h"
#include "crypto/der.h"
#include "crypto/key.h"
#include "engine/engine.h"
#include "pki/keys.h"
#include "state/state.h"

enum { ID_LEN = 64, PREFIX_MIN = 8 };

/* --- RFC 7512 --- */

struct uri {
	const char *token, *id, *object, *type, *module_path; /* decoded; id: hexadecimal */
};

/* One percent-decoded value. */
static int unescape(struct arena *a, const char *s, size_t n, struct bytes *ret, struct err *e)
{
	unsigned char *out = arena_alloc(a, 1, n + 1);
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		struct bytes one;

		if (s[i] != '%') {
			out[len++] = (unsigned char)s[i];
			continue;
		}
		if (n - i < 3 || hex_decode(a, arena_strndup(a, s + i + 1, 2), &one) != 0)
			return err_set(e, ERR_INVALID,
				       "a %% must be followed by two hexadecimal digits (RFC 7512 2.3)");
		out[len++] = one.p[0];
		i += 2;
	}
	*ret = (struct bytes){ out, len };
	return 0;
}

static bool is_hex(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isxdigit((unsigned char)s[i]))
			return false;
	return n > 0;
}

/* CKA_ID as bytes, or an id of ours written out. */
static char *id_text(struct arena *a, struct bytes v)
{
	return v.n == ID_LEN && is_hex((const char *)v.p, v.n) ? arena_strndup(a, (const char *)v.p,
									       v.n) : hex_encode(a, v);
}

static int uri_attribute(struct arena *a, const char *name, struct bytes v, struct uri *u, struct err *e)
{
	static const char *const ignored[] = { "manufacturer", "serial", "model", "library-manufacturer",
					      "library-description",
					       "library-version", "slot-manufacturer", "slot-description", "slot-id",
					       "module-name", "pin-source" };
	const struct {
		const char *name, **to;
	} rows[] = { { "token", &u->token }, { "token-id", &u->token }, { "object", &u->object }, { "type", &u->type },
		     { "module-path", &u->module_path }, { "id", &u->id } };

	if (strcmp(name, "pin-value") == 0)
		return err_set(e, ERR_USAGE,
			       "pin-value is not accepted: a PIN on the command line can be seen by others");
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (strcmp(name, rows[i].name) != 0)
			continue;
		if (*rows[i].to)
			return err_set(e, ERR_INVALID, "%s is given twice (RFC 7512 2.3)", name);
		if (rows[i].to != &u->id && memchr(v.p, 0, v.n))
			return err_set(e, ERR_INVALID, "%s holds a NUL byte", name);
		*rows[i].to = rows[i].to == &u->id ? id_text(a, v) : arena_strndup(a, (const char *)v.p, v.n);
		return 0;
	}
	for (size_t i = 0; i < COUNT(ignored); i++)
		if (strcmp(name, ignored[i]) == 0)
			return 0;
	return text_has_prefix(name, "x-") ? 0 : err_set(e, ERR_INVALID, "unknown attribute \"%s\" (RFC 7512 2.3)",
							 name);
}

static int uri_parse(struct arena *a, const char *text, struct uri *ret, struct err *e)
{
	struct uri u = { 0 };

	for (const char *p = text + strlen("pkcs11:"); *p;) {
		size_t n = strcspn(p, ";?&"), name = strcspn(p, "=");
		struct bytes v;

		if (name >= n || unescape(a, p + name + 1, n - name - 1, &v, e) != 0 ||
		    uri_attribute(a, arena_strndup(a, p, name), v, &u, e) != 0)
			return e->code ? err_ctx(e, "pkcs11 URI") : err_set(e, ERR_INVALID,
									    "pkcs11 URI: attribute without '='");
		p += n + (p[n] != '\0');
	}
	if (!u.id && !u.object)
		return err_set(e, ERR_INVALID, "pkcs11 URI: neither id nor object is given");
	*ret = u;
	return 0;
}

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

static char *setting(struct ctx *ctx, const struct engine_doc *doc, const char *name)
{
	return doc->config ? any_get(ctx->arena, doc->config, name) : NULL;
}

/* The label of the engine's token. Other kinds have tokens too, of another sort. */
static char *label_of(struct ctx *ctx, const struct engine_doc *doc)
{
	return doc->type && text_same_name(doc->type, "PKCS11") ? setting(ctx, doc, "token") : NULL;
}

static bool uri_matches(struct ctx *ctx, const struct uri *u, const struct key *k)
{
	struct engine_doc doc = engine_of(ctx, k);
	char *token = label_of(ctx, &doc);

	if (u->token && (!k->engine_id || strcmp(u->token, k->engine_id) != 0) &&
	    (!token || strcmp(u->token, token) != 0))
		return false;
	if (u->id && strcasecmp(u->id, k->id) != 0 && (!k->handle || strcasecmp(u->id, k->handle) != 0))
		return false;
	if (u->object && (!k->name || strcmp(u->object, k->name) != 0))
		return false;
	return !u->type || strcmp(u->type, k->has_private_key ? "private" : "public") == 0 || strcmp(u->type,
												     "public") == 0;
}

/* A URI may name the engine's module, never another one. */
static int check_module(struct ctx *ctx, const struct uri *u, const struct key *k, struct err *e)
{
	struct engine_doc doc = engine_of(ctx, k);
	char *module = setting(ctx, &doc, "module_path");

	if (u->module_path && (!module || strcmp(module, u->module_path) != 0))
		return err_set(e, ERR_INVALID, "pkcs11 URI: module-path is not that of engine %s", k->engine_id);
	return 0;
}

/* RFC 7512 2.3: what may stand as it is in a value. */
static void escape_uri(struct buf *out, struct bytes v, bool all)
{
	static const char plain[] = "-_.~abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:[]@!$'()*+,=&";

	for (size_t i = 0; i < v.n; i++) {
		if (!all && v.p[i] && strchr(plain, v.p[i]))
			buf_putc(out, (char)v.p[i]);
		else
			buf_printf(out, "%%%02X", v.p[i]);
	}
}

static char *format_uri(struct ctx *ctx, const struct key *k, const struct engine_doc *doc)
{
	SCOPED_BUF out = buf_init(BUF_TEXT);
	char *token = label_of(ctx, doc);
	struct bytes id;

	if (!k->handle || hex_decode(ctx->arena, k->handle, &id) != 0 || id.n == 0)
		if (hex_decode(ctx->arena, k->id, &id) != 0)
			return NULL;
	buf_puts(&out, "pkcs11:");
	if (k->engine_id) {
		buf_puts(&out, "token=");
		escape_uri(&out, bytes_of(token ? token : k->engine_id), false);
		buf_putc(&out, ';');
	}
	buf_puts(&out, "id=");
	escape_uri(&out, id, true);
	buf_printf(&out, ";type=%s", k->has_private_key ? "private" : "public");
	return arena_strdup(ctx->arena, buf_str(&out));
}

void keys_compute(struct ctx *ctx, struct key *k)
{
	struct engine_doc doc = engine_of(ctx, k);
	const struct key_binding *v = k->bound.v;
	SCOPED_BUF list = buf_init(BUF_TEXT);
	struct err ignored = { 0 };

	k->strength = arena_strdup(ctx->arena, key_strength(k->algorithm, k->size));
	if (k->has_private_key)
		k->security_level = arena_printf(ctx->arena, "SL%d", engine_security_level(&doc));
	k->pkcs11_uri = format_uri(ctx, k, &doc);
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

/* --- the other schemes --- */

static const struct {
	const char *scheme, *kind;
} schemes[] = { { "awskms:", "AWS_KMS" }, { "azurekv:", "AZURE_KEY_VAULT" }, { "vault:", "HASHICORP_VAULT_KV_V2" } };

/* What follows the scheme is the engine's own name of the key. */
static bool handle_matches(struct ctx *ctx, const char *ref, const struct key *k)
{
	for (size_t i = 0; i < COUNT(schemes); i++) {
		struct engine_doc doc;

		if (!text_has_prefix(ref, schemes[i].scheme))
			continue;
		doc = engine_of(ctx, k);
		return doc.type && text_same_name(doc.type, schemes[i].kind) && k->handle &&
		       strcmp(k->handle, ref + strlen(schemes[i].scheme)) == 0;
	}
	return false;
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
	return n >= PREFIX_MIN && n <= ID_LEN && is_hex(ref, n) && strncasecmp(k->id, ref, n) == 0;
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
		       struct key *ret,
		       struct err *e)
{
	bool *hit = arena_new_array(ctx->arena, n + 1, bool);
	struct uri u;

	if (uri_parse(ctx->arena, ref, &u, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		hit[i] = uri_matches(ctx, &u, &v[i]);
	if (pick(ctx, ref, v, hit, n, ret_found, ret, e) != 0)
		return -1;
	return *ret_found ? check_module(ctx, &u, ret, e) : 0;
}

int keys_resolve(struct ctx *ctx, const char *ref, struct key *ret, struct err *e)
{
	static bool (*const ways[])(struct ctx *, const char *, const struct key *) = { alias_matches, handle_matches,
										       name_matches,
											prefix_matches };
	struct key *v;
	bool found, *hit;
	size_t n;

	if (text_has_prefix(ref, "file:"))
		return resolve_file(ctx, ref + 5, ret, e);
	if (strlen(ref) == ID_LEN && keys_have(ctx, ref)) /* the common case, without reading all of them */
		return state_get(ctx->state, &key_type, ref, ret, e);
	if (keys_all(ctx, &v, &n, e) != 0)
		return -1;
	if (text_has_prefix(ref, "pkcs11:")) {
		if (resolve_uri(ctx, ref, v, n, &found, ret, e) != 0)
			return -1;
		return found ? 0 : not_found(ctx, ref, v, n, e);
	}
	hit = arena_new_array(ctx->arena, n + 1, bool);
	for (size_t w = 0; w < COUNT(ways); w++) {
		for (size_t i = 0; i < n; i++)
			hit[i] = ways[w](ctx, ref, &v[i]);
		if (pick(ctx, ref, v, hit, n, &found, ret, e) != 0)
			return -1;
		if (found)
			return 0;
	}
	return not_found(ctx, ref, v, n, e);
}
