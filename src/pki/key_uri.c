/* RFC 7512, read and written. Guarantees: a PIN in a URI is refused and not repeated; what is unknown is refused unless
 * the standard says that it may be ignored; every byte of a value comes out as it went in. */
#include "pki/key_uri.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"
#include "engine/engine.h"

enum { ID_LEN = 64 };

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

static int uri_attribute(struct arena *a, const char *name, struct bytes v, struct key_uri *u, struct err *e)
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

int key_uri_parse(struct arena *a, const char *text, struct key_uri *ret, struct err *e)
{
	struct key_uri u = { 0 };

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

static char *setting(struct arena *a, const struct engine_doc *doc, const char *name)
{
	return doc->config ? any_get(a, doc->config, name) : NULL;
}

/* The label of the engine's token. Other kinds have tokens too, of another sort, which are secret. */
static char *label_of(struct arena *a, const struct engine_doc *doc)
{
	const struct engine_ops *ops = doc->type ? engine_kind(doc->type) : NULL;

	return ops && ops->scheme && strcmp(ops->scheme, "pkcs11") == 0 ? setting(a, doc, "token") : NULL;
}

bool key_uri_names(struct arena *a, const struct key_uri *u, const struct engine_doc *doc)
{
	const char *token = label_of(a, doc);

	return !u->token || (doc->id && strcmp(u->token, doc->id) == 0) || (token && strcmp(u->token, token) == 0);
}

bool key_uri_matches(struct arena *a, const struct key_uri *u, const struct key *k, const struct engine_doc *doc)
{
	if (!key_uri_names(a, u, doc) || (u->object && (!k->name || strcmp(u->object, k->name) != 0)))
		return false;
	if (u->id && strcasecmp(u->id, k->id) != 0 && (!k->handle || strcasecmp(u->id, k->handle) != 0))
		return false;
	return !u->type || strcmp(u->type, "public") == 0 || (strcmp(u->type, "private") == 0 && k->has_private_key);
}

int key_uri_check_module(struct arena *a, const struct key_uri *u, const struct engine_doc *doc, struct err *e)
{
	const char *module = setting(a, doc, "module_path");

	if (u->module_path && (!module || strcmp(module, u->module_path) != 0))
		return err_set(e, ERR_INVALID, "pkcs11 URI: module-path is not that of engine %s",
			       doc->id ? doc->id : "?");
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

char *key_uri_format(struct arena *a, const struct key *k, const struct engine_doc *doc)
{
	SCOPED_BUF out = buf_init(BUF_TEXT);
	char *token = label_of(a, doc);
	struct bytes id;

	if (!k->handle || hex_decode(a, k->handle, &id) != 0 || id.n == 0)
		if (hex_decode(a, k->id, &id) != 0)
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
	return arena_strdup(a, buf_str(&out));
}
