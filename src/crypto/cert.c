/* Reads certificates (RFC 5280 4.1) strictly by hand: definite lengths, no trailing bytes, the two signature
 * algorithms alike, no duplicate extensions. What a foreign authority may have got wrong without harm (long names,
 * old string types, a version without extensions) is taken, because people must be able to import what they have. */
#include "crypto/cert.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"
#include "crypto/bundle.h"
#include "crypto/digest.h"
#include "crypto/dn.h"
#include "crypto/key.h"
#include "crypto/name.h"

enum { SERIAL_MAX = 21, SPLIT_MAX = 10000 };

static int bad(struct err *e, const char *what)
{
	return err_set(e, ERR_INVALID, "certificate: %s", what);
}

static int read_serial(struct der *d, struct cert *c, struct err *e)
{
	const struct bytes *s = &c->serial;

	if (!der_expect(d, DER_INTEGER, &c->serial) || s->n == 0 || (s->n > 1 && s->p[0] == 0 && !(s->p[1] & 0x80)))
		return bad(e, "malformed serial number");
	if (s->p[0] & 0x80)
		return bad(e, "the serial number is negative (RFC 5280 4.1.2.2)");
	if (s->n > SERIAL_MAX)
		return bad(e, "the serial number has more than 20 octets (RFC 5280 4.1.2.2)");
	return 0;
}

static int read_validity(struct bytes v, struct cert *c, struct err *e)
{
	struct der d = der_of(v);
	struct bytes from, to;
	int tag_from, tag_to;

	if (!der_next(&d, &tag_from, &from, NULL) || !der_next(&d, &tag_to, &to, NULL) || !der_done(&d) ||
	    !der_time(tag_from, from, &c->not_before) || !der_time(tag_to, to, &c->not_after))
		return bad(e, "malformed validity (RFC 5280 4.1.2.5)");
	return 0;
}

/* A name; *ret is the whole element. */
static int read_name(struct arena *a, struct der *d, struct bytes *ret, struct err *e)
{
	struct dn dn;
	int tag;

	if (!der_next(d, &tag, NULL, ret) || tag != DER_SEQUENCE)
		return bad(e, "malformed name");
	if (dn_read(a, *ret, &dn, e) < 0)
		return err_ctx(e, "certificate");
	for (size_t i = 0; i < dn.n; i++)
		if (!ava_readable(a, &dn.v[i]))
			return bad(e, "a name has a value that is not a valid string of its type");
	return 0;
}

/* The content of an AlgorithmIdentifier with parameters as the algorithms of X.509 have them. */
static bool is_algorithm(struct bytes v)
{
	struct der d = der_of(v);
	struct bytes oid, nothing;
	char dotted[128];

	if (!der_expect(&d, DER_OID, &oid) || !der_oid(oid, dotted, sizeof(dotted)))
		return false;
	if (der_done(&d) || (der_expect(&d, DER_SEQUENCE, NULL) && der_done(&d)))
		return true;
	if (der_expect(&d, DER_OID, &oid))
		return der_done(&d) && der_oid(oid, dotted, sizeof(dotted));
	return der_expect(&d, DER_NULL, &nothing) && nothing.n == 0 && der_done(&d);
}

static bool is_spki(struct bytes spki)
{
	struct der d = der_of(spki), inner;
	struct bytes v, bits;

	if (!der_expect(&d, DER_SEQUENCE, &v))
		return false;
	inner = der_of(v);
	return der_expect(&inner, DER_SEQUENCE, &v) && is_algorithm(v) && der_expect(&inner, DER_BITSTRING, &bits) &&
	       der_done(&inner) &&
	       bits.n >= 2 && bits.p[0] == 0;
}

static int decode_exts(struct cert *c, struct err *e)
{
	const struct ext *x;
	struct bytes v;
	struct der d;

	c->path_length = -1;
	if ((x = exts_find(&c->exts, OID_BC)) &&
	    ext_parse_basic_constraints(x->value, &c->is_ca, &c->path_length, e) < 0)
		return err_ctx(e, "certificate");
	if ((x = exts_find(&c->exts, OID_KU)) && ext_parse_key_usage(x->value, &c->key_usage, e) < 0)
		return err_ctx(e, "certificate");
	if ((x = exts_find(&c->exts, OID_SKI))) {
		d = der_of(x->value);
		if (!der_expect(&d, DER_OCTETSTRING, &c->ski) || !der_done(&d) || c->ski.n == 0)
			return bad(e, "malformed subjectKeyIdentifier (RFC 5280 4.2.1.2)");
	}
	if ((x = exts_find(&c->exts, OID_AKI))) {
		d = der_of(x->value);
		if (!der_expect(&d, DER_SEQUENCE, &v) || !der_done(&d))
			return bad(e, "malformed authorityKeyIdentifier (RFC 5280 4.2.1.1)");
		d = der_of(v);
		der_expect(&d, DER_CTX, &c->aki); /* there may be issuer and serial number instead */
	}
	return 0;
}

static int read_tbs(struct arena *a, struct bytes tbs, struct cert *c, struct bytes *ret_alg, struct err *e)
{
	struct der d = der_of(tbs), inner;
	uint64_t version = 0;
	struct bytes v, alg, content;
	int tag;

	if (der_expect(&d, DER_CTX_CONS, &v)) {
		inner = der_of(v);
		if (!der_expect(&inner, DER_INTEGER, &v) || !der_done(&inner) || !der_uint(v, &version) || version > 2)
			return bad(e, "unknown version");
	}
	if (read_serial(&d, c, e) < 0)
		return -1;
	if (!der_next(&d, &tag, &content, &alg) || tag != DER_SEQUENCE || !is_algorithm(content))
		return bad(e, "malformed signature algorithm");
	if (read_name(a, &d, &c->issuer, e) < 0)
		return -1;
	if (!der_expect(&d, DER_SEQUENCE, &v))
		return bad(e, "malformed validity (RFC 5280 4.1.2.5)");
	if (read_validity(v, c, e) < 0 || read_name(a, &d, &c->subject, e) < 0)
		return -1;
	if (!der_next(&d, &tag, NULL, &c->spki) || !is_spki(c->spki))
		return bad(e, "malformed public key");
	if (version >= 1) { /* unique identifiers of X.509v2 are passed over */
		der_expect(&d, DER_CTX + 1, &v);
		der_expect(&d, DER_CTX + 2, &v);
	}
	if (version == 2 && der_expect(&d, DER_CTX_CONS + 3, &v) && exts_parse(a, v, &c->exts, e) < 0)
		return err_ctx(e, "certificate");
	if (!der_done(&d))
		return bad(e, "unexpected content at the end of the certificate's body");
	*ret_alg = alg;
	return decode_exts(c, e);
}

static int parse_der(struct arena *a, struct bytes der, struct cert *ret, struct err *e)
{
	struct der d = der_of(der), inner;
	struct cert c = { .der = der };
	struct bytes v, tbs, alg = { 0 };
	int tag;

	if (!der_expect(&d, DER_SEQUENCE, &v))
		return bad(e, "not DER");
	if (!der_done(&d))
		return bad(e, "bytes follow it");
	inner = der_of(v);
	if (!der_next(&inner, &tag, &tbs, &c.tbs) || tag != DER_SEQUENCE)
		return bad(e, "not a certificate (RFC 5280 4.1)");
	if (!der_next(&inner, &tag, NULL, &c.sig_alg) || tag != DER_SEQUENCE ||
	    !der_expect(&inner, DER_BITSTRING, &c.sig) || c.sig.n < 2 || c.sig.p[0] != 0 || !der_done(&inner))
		return bad(e, "malformed signature (RFC 5280 4.1.1.3)");
	c.sig.p++; /* the count of unused bits */
	c.sig.n--;
	if (read_tbs(a, tbs, &c, &alg, e) < 0)
		return -1;
	if (!bytes_equal(alg, c.sig_alg))
		return bad(e, "the signature algorithms inside and outside differ (RFC 5280 4.1.1.2)");
	*ret = c;
	return 0;
}

static bool is_cert_label(const char *label)
{
	return strcmp(label, "CERTIFICATE") == 0 || strcmp(label, "X509 CERTIFICATE") == 0;
}

int cert_parse(struct arena *a, struct bytes text, struct cert *ret, struct err *e)
{
	struct bytes der = { 0 }, block;
	bool found = false;
	char *label;

	if (text.n && text.p[0] == DER_SEQUENCE)
		return parse_der(a, text, ret, e);
	while (pem_next(a, &text, NULL, &label, &block)) {
		if (!is_cert_label(label))
			continue;
		if (found)
			return err_set(e, ERR_INVALID, "more than one certificate where one is expected");
		found = true;
		der = block;
	}
	if (!found)
		return err_set(e, ERR_INVALID, "no certificate found: neither PEM nor DER");
	if (der.n == 0)
		return bad(e, "damaged PEM");
	return parse_der(a, der, ret, e);
}

struct list {
	struct bytes *v;
	size_t n;
};

/* One DER element: a certificate, or a PKCS#7 with some. */
static int add_der(struct arena *a, struct list *l, struct bytes der, struct err *e)
{
	struct der d = der_of(der);
	struct bytes *more, v;
	struct cert c;
	size_t n;

	if (der_expect(&d, DER_SEQUENCE, &v) && v.n && v.p[0] == DER_SEQUENCE) {
		more = &der;
		n = 1;
	} else if (p7_split(a, der, &more, &n, e) < 0) {
		return -1;
	}
	if (l->n + n > SPLIT_MAX)
		return err_set(e, ERR_INVALID, "more than %d certificates", SPLIT_MAX);
	for (size_t i = 0; i < n; i++) {
		if (parse_der(a, more[i], &c, e) < 0)
			return -1;
		l->v = arena_grow(a, l->v, l->n, sizeof(*l->v));
		l->v[l->n++] = more[i];
	}
	return 0;
}

static int add_pem(struct arena *a, struct list *l, struct bytes text, bool *ret_any, struct err *e)
{
	struct bytes block;
	char *label;

	*ret_any = false;
	while (pem_next(a, &text, NULL, &label, &block)) {
		*ret_any = true;
		if (!is_cert_label(label) && strcmp(label, "PKCS7") != 0 && strcmp(label, "CMS") != 0)
			continue;
		if (block.n == 0)
			return err_set(e, ERR_INVALID, "certificate %zu: damaged PEM", l->n + 1);
		if (add_der(a, l, block, e) < 0)
			return err_ctx(e, "certificate %zu", l->n + 1);
	}
	return 0;
}

int cert_split(struct arena *a, struct bytes text, struct bytes **ret_der, size_t *ret_n, struct err *e)
{
	struct list l = { 0 };
	struct bytes der;
	bool any;

	if (text.n && text.p[0] == DER_SEQUENCE) {
		if (add_der(a, &l, text, e) < 0)
			return -1;
	} else if (add_pem(a, &l, text, &any, e) < 0) {
		return -1;
	} else if (!any && b64_decode(a, text, &der) == 0 && der.n && add_der(a, &l, der, e) < 0) {
		return -1; /* bare base64, as EST answers (RFC 7030 4.1.3) */
	}
	if (l.n == 0)
		return err_set(e, ERR_INVALID, "no certificate found: neither PEM, DER nor PKCS#7");
	*ret_der = l.v;
	*ret_n = l.n;
	return 0;
}

char *cert_serial_hex(struct arena *a, struct bytes s)
{
	while (s.n > 1 && s.p[0] == 0) {
		s.p++;
		s.n--;
	}
	return hex_encode(a, s);
}

int serial_normalise(struct arena *a, const char *text, char **ret, struct err *e)
{
	const char *p = strncasecmp(text, "0x", 2) == 0 ? text + 2 : text;
	char out[2 * SERIAL_MAX + 1];
	size_t n = 0;

	for (; *p; p++) {
		if (*p == ':' || *p == '-' || *p == ' ')
			continue;
		if (!isxdigit((unsigned char)*p) || n == sizeof(out) - 1)
			break;
		out[n++] = (char)tolower((unsigned char)*p);
	}
	if (*p || n == 0)
		return err_set(e, ERR_INVALID, "\"%s\" is not a serial number: up to %d hexadecimal digits",
			       text_escape(a, bytes_of(text)), 2 * SERIAL_MAX);
	*ret = arena_strndup(a, out, n);
	return 0;
}

char *cert_fingerprint(struct arena *a, const struct cert *c)
{
	return sha256_hex(a, c->der);
}

struct bytes cert_key_id(struct arena *a, struct bytes spki)
{
	unsigned char digest[SHA256_LEN];

	sha256(spki, digest);
	return (struct bytes){ arena_memdup(a, digest, sizeof(digest)), sizeof(digest) };
}

int cert_pubkey(const struct cert *c, EVP_PKEY **ret, struct err *e)
{
	return key_from_spki(c->spki, ret, e) < 0 ? err_ctx(e, "certificate's public key") : 0;
}

bool cert_self_issued(const struct cert *c)
{
	return name_equal(c->issuer, c->subject);
}

bool cert_issued_by(const struct cert *c, const struct cert *issuer)
{
	AUTO(EVP_PKEY) *key = NULL;
	AUTO(X509) *x = NULL;
	const unsigned char *p = c->der.p;
	struct err ignored = { 0 };
	bool good;

	if (!name_equal(c->issuer, issuer->subject))
		return false;
	if (c->aki.n && issuer->ski.n && !bytes_equal(c->aki, issuer->ski))
		return false;
	x = d2i_X509(NULL, &p, (long)c->der.n);
	good = x && cert_pubkey(issuer, &key, &ignored) == 0 && X509_verify(x, key) == 1;
	if (!good)
		err_ossl(&ignored, "signature");
	return good;
}
