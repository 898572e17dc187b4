/* Extensions for people: one line each. Nothing is refused here; what cannot be read is shown in hexadecimal digits. */
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "crypto/ext.h"
#include "crypto/gn.h"

static const char *const ku_names[] = { "digitalSignature", "contentCommitment", "keyEncipherment", "dataEncipherment",
					"keyAgreement", "keyCertSign", "cRLSign", "encipherOnly", "decipherOnly" };

static void put_item(struct buf *b, size_t *n, const char *text)
{
	buf_printf(b, "%s%s", (*n)++ ? ", " : "", text);
}

static bool put_list(struct buf *b, const struct strv *list)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++)
		put_item(b, &n, list->v[i]);
	return true;
}

static bool basic_constraints(struct arena *a, struct buf *b, struct bytes v)
{
	struct err ignored = { 0 };
	int64_t len;
	bool ca;

	(void)a;
	if (ext_parse_basic_constraints(v, &ca, &len, &ignored) < 0)
		return false;
	buf_puts(b, ca ? "CA" : "end entity");
	if (len >= 0)
		buf_printf(b, ", path length %d", (int)len);
	return true;
}

static bool key_usage(struct arena *a, struct buf *b, struct bytes v)
{
	struct err ignored = { 0 };
	unsigned bits;
	size_t n = 0;

	(void)a;
	if (ext_parse_key_usage(v, &bits, &ignored) < 0)
		return false;
	for (unsigned i = 0; i < COUNT(ku_names); i++)
		if (bits >> i & 1)
			put_item(b, &n, ku_names[i]);
	return true;
}

static bool usages(struct arena *a, struct buf *b, struct bytes v)
{
	struct err ignored = { 0 };
	struct strv names;

	return ext_parse_eku(a, v, &names, &ignored) == 0 && put_list(b, &names);
}

static bool alt_names(struct arena *a, struct buf *b, struct bytes v)
{
	struct err ignored = { 0 };
	struct strv names;

	return san_parse(a, v, &names, &ignored) == 0 && put_list(b, &names);
}

static bool octets(struct arena *a, struct buf *b, struct bytes v)
{
	struct der d = der_of(v);

	if (!der_expect(&d, DER_OCTETSTRING, &v) || !der_done(&d))
		return false;
	buf_puts(b, hex_encode(a, v));
	return true;
}

static bool authority_key(struct arena *a, struct buf *b, struct bytes v)
{
	struct der d = der_of(v);

	if (!der_expect(&d, DER_SEQUENCE, &v) || !der_done(&d))
		return false;
	d = der_of(v);
	if (!der_expect(&d, DER_CTX, &v))
		return false;
	buf_puts(b, hex_encode(a, v));
	return true;
}

/* All URIs in a value, however deep: distribution points hold them four levels down. */
static bool uris(struct arena *a, struct buf *b, size_t *n, struct bytes v, int depth)
{
	struct err ignored = { 0 };
	struct der d = der_of(v);
	char *text;
	int tag;

	while (!der_done(&d)) {
		if (depth > 8 || !der_next(&d, &tag, &v, NULL))
			return false;
		if (tag == GN_URI) {
			text = gn_text(a, tag, v, false, &ignored);
			if (!text)
				return false;
			put_item(b, n, text);
		} else if (tag & 0x20 && !uris(a, b, n, v, depth + 1)) {
			return false;
		}
	}
	return true;
}

static bool points(struct arena *a, struct buf *b, struct bytes v)
{
	size_t n = 0;

	return uris(a, b, &n, v, 0) && n > 0;
}

static bool info_access(struct arena *a, struct buf *b, struct bytes v)
{
	struct err ignored = { 0 };
	struct der d = der_of(v), one;
	struct bytes oid;
	char dotted[128];
	size_t n = 0;
	int tag;

	if (!der_expect(&d, DER_SEQUENCE, &v) || !der_done(&d))
		return false;
	for (d = der_of(v); !der_done(&d);) {
		const char *text, *method;

		if (!der_expect(&d, DER_SEQUENCE, &v))
			return false;
		one = der_of(v);
		if (!der_expect(&one, DER_OID, &oid) || !der_oid(oid, dotted, sizeof(dotted)) ||
		    !der_next(&one, &tag, &v, NULL))
			return false;
		text = gn_text(a, tag, v, false, &ignored);
		if (!text)
			return false;
		method = strcmp(dotted, "1.3.6.1.5.5.7.48.1") == 0 ? "OCSP"
			 : strcmp(dotted, "1.3.6.1.5.5.7.48.2") == 0 ? "CA issuers" : dotted;
		put_item(b, &n, arena_printf(a, "%s %s", method, text));
	}
	return n > 0;
}

static bool policies(struct arena *a, struct buf *b, struct bytes v)
{
	struct der d = der_of(v), one;
	char dotted[128];
	size_t n = 0;

	(void)a;
	if (!der_expect(&d, DER_SEQUENCE, &v) || !der_done(&d))
		return false;
	for (d = der_of(v); !der_done(&d);) {
		if (!der_expect(&d, DER_SEQUENCE, &v))
			return false;
		one = der_of(v);
		if (!der_expect(&one, DER_OID, &v) || !der_oid(v, dotted, sizeof(dotted)))
			return false;
		put_item(b, &n, dotted);
	}
	return n > 0;
}

static bool subtrees(struct arena *a, struct buf *b, size_t *n, const char *what, struct bytes v)
{
	struct err ignored = { 0 };
	struct der d = der_of(v), one;
	int tag;

	while (!der_done(&d)) {
		const char *text;

		if (!der_expect(&d, DER_SEQUENCE, &v))
			return false;
		one = der_of(v);
		if (!der_next(&one, &tag, &v, NULL))
			return false;
		text = gn_text(a, tag, v, true, &ignored);
		if (!text)
			return false;
		put_item(b, n, arena_printf(a, "%s %s", what, text));
	}
	return true;
}

static bool constraints(struct arena *a, struct buf *b, struct bytes v)
{
	struct der d = der_of(v);
	struct bytes list;
	size_t n = 0;

	if (!der_expect(&d, DER_SEQUENCE, &v) || !der_done(&d))
		return false;
	d = der_of(v);
	if (der_expect(&d, DER_CTX_CONS, &list) && !subtrees(a, b, &n, "permitted", list))
		return false;
	if (der_expect(&d, DER_CTX_CONS + 1, &list) && !subtrees(a, b, &n, "excluded", list))
		return false;
	return der_done(&d) && n > 0;
}

static bool tls_feature(struct arena *a, struct buf *b, struct bytes v)
{
	(void)a;
	if (v.n != 5 || memcmp(v.p, "\x30\x03\x02\x01\x05", 5) != 0)
		return false;
	buf_puts(b, "status_request (must staple)");
	return true;
}

static bool no_check(struct arena *a, struct buf *b, struct bytes v)
{
	(void)a;
	buf_puts(b, "yes");
	return v.n == 2 && v.p[0] == DER_NULL;
}

static const struct {
	const char *oid, *name;
	bool (*describe)(struct arena *, struct buf *, struct bytes);
} kinds[] = {
	{ OID_BC, "basicConstraints", basic_constraints },
	{ OID_KU, "keyUsage", key_usage },
	{ OID_EKU, "extKeyUsage", usages },
	{ OID_SKI, "subjectKeyIdentifier", octets },
	{ OID_AKI, "authorityKeyIdentifier", authority_key },
	{ OID_SAN, "subjectAltName", alt_names },
	{ OID_CDP, "cRLDistributionPoints", points },
	{ OID_FRESHEST, "freshestCRL", points },
	{ OID_AIA, "authorityInfoAccess", info_access },
	{ OID_CP, "certificatePolicies", policies },
	{ OID_NC, "nameConstraints", constraints },
	{ OID_TLS_FEATURE, "tlsFeature", tls_feature },
	{ OID_OCSP_NOCHECK, "ocspNoCheck", no_check },
};

char *ext_describe(struct arena *a, const struct ext *x)
{
	SCOPED_BUF b = buf_init(BUF_TEXT);
	const char *name = x->oid;
	bool known = false;

	for (size_t i = 0; i < COUNT(kinds) && !known; i++)
		if (strcmp(kinds[i].oid, x->oid) == 0) {
			name = kinds[i].name;
			known = kinds[i].describe(a, &b, x->value);
		}
	if (!known) {
		buf_clear(&b);
		buf_puts(&b, hex_encode(a, x->value));
	}
	return arena_printf(a, "%s%s: %s", name, x->critical ? " critical" : "", buf_str(&b));
}
