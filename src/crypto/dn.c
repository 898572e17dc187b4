/* Distinguished names taken apart and put together: the table of attribute types, the string types, the bounds of
 * RFC 5280 A.1. Reading checks structure only, because names of foreign authorities must be shown whatever is in
 * them; what we certify goes through ava_check or is made by ava_encode. */
#include "crypto/dn.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "crypto/der.h"
#include "crypto/idn.h"

#define FIELD(m) offsetof(struct subject_fields, m)

const struct attr attrs[] = {
	{ "C", "2.5.4.6", DER_PRINTABLE, 2, { "countryName" }, FIELD(country) },
	{ "ST", "2.5.4.8", DER_UTF8, 128, { "stateOrProvinceName", "S" }, FIELD(state) },
	{ "L", "2.5.4.7", DER_UTF8, 128, { "localityName" }, FIELD(locality) },
	{ "O", "2.5.4.10", DER_UTF8, 64, { "organizationName" }, FIELD(organization) },
	{ "OU", "2.5.4.11", DER_UTF8, 64, { "organizationalUnitName" }, FIELD(organization_unit) },
	{ "CN", "2.5.4.3", DER_UTF8, 64, { "commonName" }, FIELD(common_name) },
	{ "serialNumber", "2.5.4.5", DER_PRINTABLE, 64, { 0 }, FIELD(serial_number) },
	{ "DC", "0.9.2342.19200300.100.1.25", DER_IA5, 63, { "domainComponent" }, FIELD(domain_component) },
	{ "emailAddress", "1.2.840.113549.1.9.1", DER_IA5, 255, { "email", "E" }, FIELD(email) },
	{ "street", "2.5.4.9", DER_UTF8, 128, { "streetAddress" }, NO_FIELD },
	{ "postalCode", "2.5.4.17", DER_UTF8, 40, { 0 }, NO_FIELD },
	{ "UID", "0.9.2342.19200300.100.1.1", DER_UTF8, 256, { "userId" }, NO_FIELD },
	{ "SN", "2.5.4.4", DER_UTF8, 32768, { "surname" }, NO_FIELD },
	{ "GN", "2.5.4.42", DER_UTF8, 32768, { "givenName" }, NO_FIELD },
	{ "initials", "2.5.4.43", DER_UTF8, 32768, { 0 }, NO_FIELD },
	{ "title", "2.5.4.12", DER_UTF8, 64, { 0 }, NO_FIELD },
	{ "name", "2.5.4.41", DER_UTF8, 32768, { 0 }, NO_FIELD },
	{ "generationQualifier", "2.5.4.44", DER_UTF8, 32768, { 0 }, NO_FIELD },
	{ "pseudonym", "2.5.4.65", DER_UTF8, 128, { 0 }, NO_FIELD },
	{ "dnQualifier", "2.5.4.46", DER_PRINTABLE, 64, { 0 }, NO_FIELD },
	{ "description", "2.5.4.13", DER_UTF8, 1024, { 0 }, NO_FIELD },
	{ "businessCategory", "2.5.4.15", DER_UTF8, 128, { 0 }, NO_FIELD },
	{ "organizationIdentifier", "2.5.4.97", DER_UTF8, 256, { 0 }, NO_FIELD },
	{ "unstructuredName", "1.2.840.113549.1.9.2", DER_UTF8, 255, { 0 }, NO_FIELD },
	{ "jurisdictionL", "1.3.6.1.4.1.311.60.2.1.1", DER_UTF8, 128, { "jurisdictionLocalityName" }, NO_FIELD },
	{ "jurisdictionST", "1.3.6.1.4.1.311.60.2.1.2", DER_UTF8, 128, { "jurisdictionStateOrProvinceName" },
	  NO_FIELD },
	{ "jurisdictionC", "1.3.6.1.4.1.311.60.2.1.3", DER_PRINTABLE, 2, { "jurisdictionCountryName" }, NO_FIELD },
	{ 0 },
};

const struct attr *attr_find(const char *name)
{
	for (const struct attr *t = attrs; t->name; t++) {
		if (text_same_name(t->name, name) || strcmp(t->oid, name) == 0)
			return t;
		for (size_t i = 0; i < COUNT(t->aka) && t->aka[i]; i++)
			if (text_same_name(t->aka[i], name))
				return t;
	}
	return NULL;
}

/* false: no OID; *ret is NULL for types that we do not know. */
static bool attr_by_der(struct bytes oid, const struct attr **ret)
{
	char dotted[128];

	if (!der_oid(oid, dotted, sizeof(dotted)))
		return false;
	*ret = NULL;
	for (const struct attr *t = attrs; t->name && !*ret; t++)
		if (strcmp(t->oid, dotted) == 0)
			*ret = t;
	return true;
}

int dn_oid(struct arena *a, const char *dotted, struct bytes *ret)
{
	struct derw w = derw_init(arena_alloc(a, 300, 1), 300);
	struct der d;

	if (!oid_valid(dotted) || !derw_oid(&w, dotted) || w.over)
		return -1;
	d = der_of(derw_bytes(&w));
	return der_expect(&d, DER_OID, ret) ? 0 : -1;
}

void dn_add(struct arena *a, struct dn *dn, struct ava v)
{
	dn->v = arena_grow(a, dn->v, dn->n, sizeof(*dn->v));
	dn->v[dn->n++] = v;
}

int dn_read(struct arena *a, struct bytes der, struct dn *ret, struct err *e)
{
	struct der d = der_of(der), rdns, set, seq;
	struct bytes value;
	struct dn dn = { 0 };

	if (der.n > NAME_MAX_DER || !der_expect(&d, DER_SEQUENCE, &value) || !der_done(&d))
		return err_set(e, ERR_INVALID, "not a distinguished name (RFC 5280 4.1.2.4)");
	for (rdns = der_of(value); !der_done(&rdns);) {
		if (!der_expect(&rdns, DER_SET, &value) || value.n == 0)
			return err_set(e, ERR_INVALID, "a name is not a sequence of sets (RFC 5280 4.1.2.4)");
		set = der_of(value);
		for (bool joins = false; !der_done(&set); joins = true) {
			struct ava v = { .joins = joins };

			if (!der_expect(&set, DER_SEQUENCE, &value))
				return err_set(e, ERR_INVALID, "a name holds a malformed attribute (RFC 5280 4.1.2.4)");
			seq = der_of(value);
			if (!der_expect(&seq, DER_OID, &v.oid) || !attr_by_der(v.oid, &v.attr) ||
			    !der_next(&seq, &v.tag, &v.value, NULL) || !der_done(&seq))
				return err_set(e, ERR_INVALID, "a name holds a malformed attribute (RFC 5280 4.1.2.4)");
			if (dn.n == NAME_MAX_AVAS)
				return err_set(e, ERR_INVALID, "a name has more than %d attributes", NAME_MAX_AVAS);
			dn_add(a, &dn, v);
		}
	}
	*ret = dn;
	return 0;
}

static int by_der(const void *x, const void *y)
{
	const struct bytes *a = x, *b = y;
	int c = memcmp(a->p, b->p, a->n < b->n ? a->n : b->n);

	return c ? c : (a->n > b->n) - (a->n < b->n);
}

/* One RDN: n attributes, in the order that DER wants in a SET OF (X.690 11.6). */
static void write_rdn(struct arena *a, struct derw *w, const struct ava *v, size_t n)
{
	struct bytes *one = arena_new_array(a, n, struct bytes);
	size_t set = derw_mark(w);

	for (size_t i = 0; i < n; i++) {
		size_t room = v[i].oid.n + v[i].value.n + 32;
		struct derw x = derw_init(arena_alloc(a, room, 1), room);

		derw_tlv(&x, v[i].tag, v[i].value.p, v[i].value.n);
		derw_tlv(&x, DER_OID, v[i].oid.p, v[i].oid.n);
		derw_head(&x, DER_SEQUENCE, 0);
		one[i] = derw_bytes(&x);
	}
	qsort(one, n, sizeof(*one), by_der);
	for (size_t i = n; i-- > 0;)
		derw_raw(w, one[i].p, one[i].n);
	derw_head(w, DER_SET, set);
}

struct bytes dn_write(struct arena *a, const struct dn *dn)
{
	size_t room = 16, end = dn->n;
	struct derw w;

	for (size_t i = 0; i < dn->n; i++)
		room += dn->v[i].oid.n + dn->v[i].value.n + 32;
	w = derw_init(arena_alloc(a, room, 1), room);
	for (size_t i = dn->n; i-- > 0;)
		if (!dn->v[i].joins || i == 0) {
			write_rdn(a, &w, dn->v + i, end - i);
			end = i;
		}
	derw_head(&w, DER_SEQUENCE, 0);
	return derw_bytes(&w);
}

static void put_utf8(struct buf *b, uint32_t c)
{
	if (c < 0x80) {
		buf_putc(b, (char)c);
		return;
	}
	if (c < 0x800) {
		buf_putc(b, (char)(0xc0 | c >> 6));
	} else {
		if (c < 0x10000) {
			buf_putc(b, (char)(0xe0 | c >> 12));
		} else {
			buf_putc(b, (char)(0xf0 | (c >> 18 & 7)));
			buf_putc(b, (char)(0x80 | (c >> 12 & 0x3f)));
		}
		buf_putc(b, (char)(0x80 | (c >> 6 & 0x3f)));
	}
	buf_putc(b, (char)(0x80 | (c & 0x3f)));
}

/* Octets of one character in the fixed-width string types; 0: not one of them. T61String is read as Latin-1, which
 * is what those who still write it mean. */
static size_t char_width(int tag)
{
	switch (tag) {
	case DER_PRINTABLE:
	case DER_IA5:
	case DER_T61:
	case 18: /* NumericString */
		return 1;
	case DER_BMP:
		return 2;
	case DER_UNIVERSAL:
		return 4;
	default:
		return 0;
	}
}

char *ava_text(struct arena *a, const struct ava *v)
{
	SCOPED_BUF b = buf_init(4 * NAME_MAX_DER);
	size_t width = char_width(v->tag);

	if (v->tag == DER_UTF8)
		return utf8_valid(v->value) ? arena_strndup(a, (const char *)v->value.p, v->value.n) : NULL;
	if (width == 0 || v->value.n % width)
		return NULL;
	for (size_t i = 0; i < v->value.n; i += width) {
		uint32_t c = 0;

		for (size_t k = 0; k < width; k++)
			c = c << 8 | v->value.p[i + k];
		if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ||
		    (c > 0x7f && width == 1 && v->tag != DER_T61))
			return NULL;
		put_utf8(&b, c);
	}
	return arena_strdup(a, buf_str(&b));
}

bool ava_readable(struct arena *a, const struct ava *v)
{
	const struct bytes *x = &v->value;

	if (v->tag == DER_BITSTRING)
		return x->n && (x->n == 1 ? x->p[0] == 0 : x->p[0] <= 7);
	return v->tag == DER_SEQUENCE || char_width(v->tag) == 1 || ava_text(a, v);
}

static bool printable(const char *s) /* X.680 41.4 */
{
	for (; *s; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') ||
		      strchr(" '()+,-./:=?", *s)))
			return false;
	return true;
}

/* The rules for a value that hold however it is encoded. */
static int check_text(struct arena *a, const struct attr *t, const char *text, struct err *e)
{
	const char *name = t ? t->name : "an attribute of the name";
	size_t chars = 0;

	for (const char *p = text; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return err_set(e, ERR_INVALID, "%s: \"%s\" contains a control character", name,
				       text_escape(a, bytes_of(text)));
		chars += ((unsigned char)*p & 0xc0) != 0x80;
	}
	if (chars == 0)
		return err_set(e, ERR_INVALID, "%s is empty", name);
	if (t && chars > t->max)
		return err_set(e, ERR_INVALID, "%s has %zu characters, at most %zu are allowed (RFC 5280 A.1)", name,
			       chars, t->max);
	if (t && t->max == 2 && (strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") != 2))
		return err_set(e, ERR_INVALID, "%s: \"%s\" is not two letters (ISO 3166)", name,
			       text_escape(a, bytes_of(text)));
	if (t && t->tag == DER_PRINTABLE && !printable(text))
		return err_set(e, ERR_INVALID, "%s: \"%s\" has characters that a PrintableString lacks (RFC 5280 A.1)",
			       name, text_escape(a, bytes_of(text)));
	return 0;
}

int ava_encode(struct arena *a, const struct attr *t, const char *text, struct ava *ret, struct err *e)
{
	struct ava v = { .attr = t, .tag = t->tag };
	char *s = arena_strdup(a, text);

	if (dn_oid(a, t->oid, &v.oid) < 0)
		return err_set(e, ERR_INVALID, "%s is not an attribute type", t->name);
	if (!utf8_valid(bytes_of(text)))
		return err_set(e, ERR_INVALID, "%s: \"%s\" is not valid UTF-8", t->name,
			       text_escape(a, bytes_of(text)));
	if (t->field == FIELD(email) && strchr(text, '@') && idn_mailbox(a, text, &s, e) < 0)
		return err_ctx(e, "%s", t->name);
	if (t->field == FIELD(domain_component) && idn_to_ascii(a, text, &s, e) < 0)
		return err_ctx(e, "%s", t->name);
	if (check_text(a, t, s, e) < 0)
		return -1;
	for (const char *p = s; *p && t->tag == DER_IA5; p++)
		if (*p & 0x80)
			return err_set(e, ERR_INVALID, "%s: \"%s\" is not ASCII (RFC 5280 A.1)", t->name,
				       text_escape(a, bytes_of(s)));
	v.value = bytes_of(s);
	*ret = v;
	return 0;
}

int ava_renew(struct arena *a, struct ava *v, struct err *e)
{
	bool joins = v->joins, good;
	const char *text;

	if (!v->attr)
		return 0;
	good = v->tag == v->attr->tag || (v->attr->tag == DER_UTF8 && v->tag == DER_PRINTABLE);
	if (good)
		return 0;
	text = ava_text(a, v);
	if (!text)
		return err_set(e, ERR_INVALID, "%s is not a valid string of its type", v->attr->name);
	if (ava_encode(a, v->attr, text, v, e) < 0)
		return -1;
	v->joins = joins;
	return 0;
}

int ava_check(struct arena *a, const struct ava *v, struct err *e)
{
	const char *text = ava_text(a, v), *name = v->attr ? v->attr->name : "an attribute of the name";

	if (!text && !v->attr && !char_width(v->tag) && ava_readable(a, v))
		return 0; /* no string, and no type that we would know better */
	if (!text)
		return err_set(e, ERR_INVALID, "%s is not a valid string of its type", name);
	if (v->tag == DER_PRINTABLE && !printable(text))
		return err_set(e, ERR_INVALID, "%s: \"%s\" has characters that a PrintableString lacks (X.680 41.4)",
			       name, text_escape(a, bytes_of(text)));
	return check_text(a, v->attr, text, e);
}
