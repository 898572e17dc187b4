/* Reads certificate extensions strictly: definite lengths, no trailing bytes, no unknown bits, no duplicates. */
#include <string.h>

#include "crypto/ext.h"

int exts_parse(struct arena *a, struct bytes seq, struct exts *ret, struct err *e)
{
	struct der d = der_of(seq), one;
	struct bytes v, oid, critical;
	struct exts x = { 0 };

	if (!der_expect(&d, DER_SEQUENCE, &v) || !der_done(&d))
		return err_set(e, ERR_INVALID, "malformed extensions (RFC 5280 4.1)");
	for (d = der_of(v); !der_done(&d);) {
		struct ext ext = { 0 };
		char dotted[128];

		if (!der_expect(&d, DER_SEQUENCE, &v))
			return err_set(e, ERR_INVALID, "malformed extension (RFC 5280 4.1)");
		one = der_of(v);
		if (!der_expect(&one, DER_OID, &oid) || !der_oid(oid, dotted, sizeof(dotted)))
			return err_set(e, ERR_INVALID, "an extension has a malformed OID (RFC 5280 4.1)");
		/* FALSE is the default and need not be there; some write it */
		if (der_expect(&one, DER_BOOLEAN, &critical)) {
			if (critical.n != 1 || (critical.p[0] != 0 && critical.p[0] != 0xff))
				return err_set(e, ERR_INVALID, "extension %s: malformed critical (X.690 11.1)", dotted);
			ext.critical = critical.p[0] != 0;
		}
		if (!der_expect(&one, DER_OCTETSTRING, &ext.value) || !der_done(&one))
			return err_set(e, ERR_INVALID, "extension %s: malformed (RFC 5280 4.1)", dotted);
		if (exts_find(&x, dotted))
			return err_set(e, ERR_INVALID, "extension %s is there twice (RFC 5280 4.2)", dotted);
		if (x.n == EXTS_MAX)
			return err_set(e, ERR_INVALID, "more than %d extensions", EXTS_MAX);
		ext.oid = arena_strdup(a, dotted);
		exts_add(a, &x, ext.oid, ext.critical, ext.value);
	}
	*ret = x;
	return 0;
}

int ext_parse_basic_constraints(struct bytes value, bool *ret_ca, int64_t *ret_pathlen, struct err *e)
{
	struct der d = der_of(value);
	struct bytes seq, v;
	int64_t pathlen = -1;
	bool ca = false, good = der_expect(&d, DER_SEQUENCE, &seq) && der_done(&d);
	uint64_t n;

	d = der_of(good ? seq : (struct bytes){ 0 });
	if (good && der_expect(&d, DER_BOOLEAN, &v)) {
		good = v.n == 1 && (v.p[0] == 0 || v.p[0] == 0xff);
		ca = good && v.p[0] == 0xff;
	}
	if (good && der_expect(&d, DER_INTEGER, &v)) {
		good = der_uint(v, &n);
		pathlen = good ? (int64_t)(n < 1000 ? n : 1000) : -1; /* no path is that long */
	}
	if (!good || !der_done(&d) || (pathlen >= 0 && !ca))
		return err_set(e, ERR_INVALID, "malformed basicConstraints (RFC 5280 4.2.1.9)");
	*ret_ca = ca;
	*ret_pathlen = pathlen;
	return 0;
}

int ext_parse_key_usage(struct bytes value, unsigned *ret, struct err *e)
{
	struct der d = der_of(value);
	struct bytes v;
	unsigned bits = 0;

	if (!der_expect(&d, DER_BITSTRING, &v) || !der_done(&d) || v.n < 2 || v.n > 3 || v.p[0] > 7 ||
	    v.p[v.n - 1] & ((1U << v.p[0]) - 1))
		return err_set(e, ERR_INVALID, "malformed keyUsage (RFC 5280 4.2.1.3)");
	for (unsigned i = 0; i < 8 * (v.n - 1); i++)
		if (v.p[1 + i / 8] & 0x80 >> i % 8)
			bits |= 1U << i;
	if (bits == 0 || bits > USE_DECIPHER_ONLY * 2 - 1)
		return err_set(e, ERR_INVALID, "keyUsage has %s (RFC 5280 4.2.1.3)",
			       bits ? "unknown bits" : "no bit set");
	*ret = bits;
	return 0;
}

int ext_parse_eku(struct arena *a, struct bytes value, struct strv *ret, struct err *e)
{
	struct strv names = { .set = true };
	struct der d = der_of(value);
	struct bytes v;
	char dotted[128];

	if (!der_expect(&d, DER_SEQUENCE, &v) || !der_done(&d) || v.n == 0)
		return err_set(e, ERR_INVALID, "malformed extKeyUsage (RFC 5280 4.2.1.12)");
	for (d = der_of(v); !der_done(&d);) {
		const char *name;

		if (!der_expect(&d, DER_OID, &v) || !der_oid(v, dotted, sizeof(dotted)))
			return err_set(e, ERR_INVALID, "malformed extKeyUsage (RFC 5280 4.2.1.12)");
		name = eku_canonical(a, dotted);
		names.v = arena_grow(a, names.v, names.n, sizeof(*names.v));
		names.v[names.n++] = arena_strdup(a, name ? name : dotted);
	}
	*ret = names;
	return 0;
}
