/* Distinguished names as people write and read them: RFC 4514 escapes, in the order of the DER, and the "/CN=…/O=…" of
 * `openssl req -subj`. name_parse undoes name_format. */
#include "crypto/name.h"

#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "crypto/der.h"
#include "crypto/dn.h"

/* One attribute after another of a text. */
struct reader {
	const char *p;
	bool slash; /* the form with leading slashes */
};

static int hex_pair(const char *p)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *x, *y;

	if (!p[0] || !p[1])
		return -1;
	x = strchr(digits, p[0]);
	y = strchr(digits, p[1]);
	return x && y ? (int)((x - digits) % 16 * 16 + (y - digits) % 16) : -1;
}

static bool ends_value(const struct reader *r)
{
	return *r->p == 0 || *r->p == '+' || (r->slash ? *r->p == '/' : (*r->p == ',' || *r->p == ';'));
}

/* A backslash and what it stands for. */
static int put_escaped(struct reader *r, struct buf *out, struct err *e)
{
	int x = hex_pair(r->p + 1);

	if (x > 0) {
		buf_putc(out, (char)x);
		r->p += 3;
	} else if (r->p[1] && !(r->p[1] & 0x80) && strchr(r->slash ? "/+\\,;\"<>#= " : "+\\,;\"<>#= /", r->p[1])) {
		buf_putc(out, r->p[1]);
		r->p += 2;
	} else {
		return err_set(e, ERR_INVALID,
			       "subject: a backslash must stand before a special character or two hexadecimal "
			       "digits other than 00 (RFC 4514 2.4)");
	}
	return 0;
}

static int read_quoted(struct reader *r, struct buf *out, struct err *e)
{
	r->p++;
	while (*r->p != '"') {
		if (!*r->p)
			return err_set(e, ERR_INVALID, "subject: a quotation mark is not closed");
		if (*r->p == '\\') {
			if (put_escaped(r, out, e) < 0)
				return -1;
			continue;
		}
		buf_putc(out, *r->p++);
	}
	for (r->p++; *r->p == ' ';)
		r->p++;
	return ends_value(r) ? 0 : err_set(e, ERR_INVALID, "subject: a separator must follow a closing quotation mark");
}

/* The text of a value without escapes and without unescaped spaces around it. */
static int read_value(struct reader *r, struct buf *out, struct err *e)
{
	size_t keep = 0; /* up to here, spaces at the end are part of the value */

	while (*r->p == ' ')
		r->p++;
	if (*r->p == '"' && !r->slash)
		return read_quoted(r, out, e);
	while (!ends_value(r)) {
		if (*r->p == '\\') {
			if (put_escaped(r, out, e) < 0)
				return -1;
			keep = out->n;
			continue;
		}
		if (*r->p != ' ')
			keep = out->n + 1;
		buf_putc(out, *r->p++);
	}
	if (keep < out->n) {
		out->n = keep;
		out->p[keep] = 0;
	}
	return 0;
}

/* "#0c0161": the DER of the value (RFC 4514 2.4), in a type of string that we issue. */
static int read_der_value(struct arena *a, struct reader *r, struct ava *v, struct err *e)
{
	size_t n = strspn(r->p + 1, "0123456789abcdefABCDEF");
	struct bytes raw;
	struct der d;

	if (hex_decode(a, arena_strndup(a, r->p + 1, n), &raw) < 0)
		return err_set(e, ERR_INVALID, "subject: a value after # must be hexadecimal digits");
	d = der_of(raw);
	if (!der_next(&d, &v->tag, &v->value, NULL) || !der_done(&d))
		return err_set(e, ERR_INVALID, "subject: the value after # is not DER (RFC 4514 2.4)");
	for (r->p += 1 + n; *r->p == ' ';)
		r->p++;
	if (!ends_value(r))
		return err_set(e, ERR_INVALID, "subject: a value after # must be hexadecimal digits");
	return ava_check(a, v, e) < 0 ? -1 : ava_renew(a, v, e);
}

/* A name or an OID, and the equals sign. Types that we do not know hold a UTF8String. */
static int read_type(struct arena *a, struct reader *r, const struct attr **ret, bool *ret_known, struct err *e)
{
	size_t n = strcspn(r->p, "=,+;/\\\"#"), len = n;
	struct attr other = { .tag = DER_UTF8, .max = 1024, .field = NO_FIELD };
	struct bytes oid;

	while (len && r->p[len - 1] == ' ')
		len--;
	if (r->p[n] != '=' || len == 0)
		return err_set(e, ERR_INVALID, "subject: \"%s\" is not TYPE=VALUE, as in CN=Acme Root CA,O=Acme,C=US",
			       text_escape(a, bytes_of(r->p)));
	other.name = other.oid = arena_strndup(a, r->p, len);
	r->p += n + 1;
	*ret = attr_find(other.name);
	*ret_known = *ret != NULL;
	if (*ret)
		return 0;
	if (dn_oid(a, other.oid, &oid) < 0)
		return err_set(e, ERR_INVALID,
			       "subject: unknown attribute type \"%s\"; known are C ST L O OU CN serialNumber DC email "
			       "UID and others, or an OID",
			       text_escape(a, bytes_of(other.oid)));
	*ret = arena_memdup(a, &other, sizeof(other));
	return 0;
}

static int read_ava(struct arena *a, struct reader *r, struct ava *ret, struct err *e)
{
	SCOPED_BUF text = buf_init(NAME_MAX_DER);
	const struct attr *t;
	struct ava v = { 0 };
	bool known;

	while (*r->p == ' ')
		r->p++;
	if (read_type(a, r, &t, &known, e) < 0)
		return -1;
	if (*r->p == '#' && !r->slash) {
		v.attr = known ? t : NULL;
		if (dn_oid(a, t->oid, &v.oid) < 0 || read_der_value(a, r, &v, e) < 0)
			return -1;
	} else {
		if (read_value(r, &text, e) < 0)
			return -1;
		if (text.over)
			return err_set(e, ERR_INVALID, "subject: a value is too long");
		if (ava_encode(a, t, buf_str(&text), &v, e) < 0)
			return err_ctx(e, "subject");
		v.attr = known ? t : NULL;
	}
	*ret = v;
	return 0;
}

int name_parse(struct arena *a, const char *text, struct bytes *ret_der, struct err *e)
{
	struct reader r = { .p = text };
	bool joins = false;
	struct dn dn = { 0 };

	while (*r.p == ' ')
		r.p++;
	r.slash = *r.p == '/';
	if (r.slash)
		r.p++;
	while (*r.p) {
		struct ava v;

		if (dn.n == NAME_MAX_AVAS)
			return err_set(e, ERR_INVALID, "subject: more than %d attributes", NAME_MAX_AVAS);
		if (read_ava(a, &r, &v, e) < 0)
			return -1;
		v.joins = joins;
		dn_add(a, &dn, v);
		if (!*r.p)
			break;
		joins = *r.p++ == '+';
		if (!*r.p && (joins || !r.slash))
			return err_set(e, ERR_INVALID, "subject: ends with a separator");
	}
	*ret_der = dn_write(a, &dn);
	return 0;
}

static void put_value(struct buf *b, const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < ' ' || c == 0x7f)
			buf_printf(b, "\\%02X", c);
		else if (strchr("\"+,;<>\\", c) || (i == 0 && (c == '#' || c == ' ')) || (i == n - 1 && c == ' '))
			buf_printf(b, "\\%c", c);
		else
			buf_putc(b, s[i]);
	}
}

static void put_ava(struct arena *a, struct buf *b, const struct ava *v)
{
	const char *text = v->attr ? ava_text(a, v) : NULL;
	char dotted[128] = "?";
	struct derw w;

	der_oid(v->oid, dotted, sizeof(dotted));
	buf_printf(b, "%s=", text ? v->attr->name : dotted);
	if (text) {
		put_value(b, text);
		return;
	}
	w = derw_init(arena_alloc(a, v->value.n + 16, 1), v->value.n + 16);
	derw_tlv(&w, v->tag, v->value.p, v->value.n);
	buf_printf(b, "#%s", hex_encode(a, derw_bytes(&w)));
}

int name_format(struct arena *a, struct bytes der, char **ret, struct err *e)
{
	SCOPED_BUF b = buf_init(BUF_TEXT);
	struct dn dn;

	if (dn_read(a, der, &dn, e) < 0)
		return -1;
	for (size_t i = 0; i < dn.n; i++) {
		if (i)
			buf_putc(&b, dn.v[i].joins ? '+' : ',');
		put_ava(a, &b, &dn.v[i]);
	}
	*ret = arena_strdup(a, buf_str(&b));
	return 0;
}
