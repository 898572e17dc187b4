/* Extensions that a profile gives by OID: their value as DER in hexadecimal digits, or as a small text of one ASN.1
 * element. The value is always one whole DER element; what is inside is the profile's business. */
#include <string.h>

#include "base/text.h"
#include "crypto/dn.h"
#include "crypto/ext.h"

static int integer(struct arena *a, const char *s, struct bytes *ret)
{
	int64_t v = 0, sign = *s == '-' ? -1 : 1;
	unsigned char buf[16];
	struct derw w = derw_init(buf, sizeof(buf));

	s += *s == '-';
	if (!*s || s[strspn(s, "0123456789")])
		return -1;
	for (; *s; s++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, sign * (*s - '0'), &v))
			return -1;
	for (int i = 0; i < 8; i++) { /* two's complement in as few octets as hold it (X.690 8.3.2) */
		unsigned char octet = (unsigned char)((uint64_t)v >> 8 * i);

		derw_raw(&w, &octet, 1);
		if (i < 7 && v >= -((int64_t)1 << (8 * i + 7)) && v < (int64_t)1 << (8 * i + 7))
			break;
	}
	*ret = DER_JOIN(a, DER_INTEGER, derw_bytes(&w));
	return 0;
}

static int boolean(struct arena *a, const char *s, struct bytes *ret)
{
	bool yes = text_same_name(s, "true");

	if (!yes && !text_same_name(s, "false"))
		return -1;
	*ret = DER_JOIN(a, DER_BOOLEAN, { (const unsigned char *)(yes ? "\xff" : "\0"), 1 });
	return 0;
}

static int octets(struct arena *a, const char *s, struct bytes *ret)
{
	struct bytes v;

	if (hex_decode(a, s, &v) < 0)
		return -1;
	*ret = DER_JOIN(a, DER_OCTETSTRING, v);
	return 0;
}

static int oid(struct arena *a, const char *s, struct bytes *ret)
{
	struct bytes v;

	if (dn_oid(a, s, &v) < 0)
		return -1;
	*ret = DER_JOIN(a, DER_OID, v);
	return 0;
}

static int utf8(struct arena *a, const char *s, struct bytes *ret)
{
	if (!utf8_valid(bytes_of(s)))
		return -1;
	*ret = DER_JOIN(a, DER_UTF8, bytes_of(s));
	return 0;
}

static int ia5(struct arena *a, const char *s, struct bytes *ret)
{
	for (const char *p = s; *p; p++)
		if (*p & 0x80)
			return -1;
	*ret = DER_JOIN(a, DER_IA5, bytes_of(s));
	return 0;
}

static int printable(struct arena *a, const char *s, struct bytes *ret)
{
	if (s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 '()+,-./:=?")])
		return -1;
	*ret = DER_JOIN(a, DER_PRINTABLE, bytes_of(s));
	return 0;
}

static int null(struct arena *a, const char *s, struct bytes *ret)
{
	if (*s)
		return -1;
	*ret = der_join(a, DER_NULL, NULL, 0);
	return 0;
}

static const struct {
	const char *name;
	int (*build)(struct arena *, const char *, struct bytes *ret);
} kinds[] = {
	{ "UTF8String", utf8 }, { "UTF8", utf8 },	{ "IA5String", ia5 }, { "PrintableString", printable },
	{ "INTEGER", integer }, { "BOOLEAN", boolean }, { "OCTETSTRING", octets }, { "OID", oid },
	{ "NULL", null },
};

static int build_asn1(struct arena *a, const struct custom_extension *c, struct bytes *ret, struct err *e)
{
	size_t n = strcspn(c->asn1, ":");
	char *kind = arena_strndup(a, c->asn1, n);

	for (size_t i = 0; i < COUNT(kinds); i++) {
		if (!text_same_name(kinds[i].name, kind))
			continue;
		if (kinds[i].build(a, c->asn1 + n + (c->asn1[n] == ':'), ret) < 0)
			return err_set(e, ERR_INVALID, "extension %s: \"%s\" is not a valid %s", c->oid,
				       text_escape(a, bytes_of(c->asn1)), kinds[i].name);
		return 0;
	}
	return err_set(e, ERR_INVALID,
		       "extension %s: \"%s\" begins with none of UTF8String: IA5String: PrintableString: INTEGER: "
		       "BOOLEAN: OCTETSTRING: OID: NULL",
		       c->oid, text_escape(a, bytes_of(c->asn1)));
}

int ext_custom(struct arena *a, struct exts *x, const struct custom_extension *c, struct err *e)
{
	struct bytes value;
	struct der d;

	if (!c->oid || !oid_valid(c->oid) || !c->der == !c->asn1)
		return err_set(e, ERR_INVALID, "a custom extension needs an OID and either der or asn1");
	if (!c->der) {
		if (build_asn1(a, c, &value, e) < 0)
			return -1;
	} else if (hex_decode(a, c->der, &value) < 0) {
		return err_set(e, ERR_INVALID, "extension %s: der is not hexadecimal digits", c->oid);
	}
	d = der_of(value);
	if (!der_next(&d, NULL, NULL, NULL) || !der_done(&d))
		return err_set(e, ERR_INVALID, "extension %s: the value is not one DER element (RFC 5280 4.2)", c->oid);
	if (exts_find(x, c->oid))
		return err_set(e, ERR_INVALID, "extension %s is there already (RFC 5280 4.2)", c->oid);
	exts_add(a, x, c->oid, c->critical, value);
	return 0;
}
