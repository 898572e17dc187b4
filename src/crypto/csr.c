/* PKCS#10 requests (RFC 2986) as strangers send them: read by hand, strictly, within limits, without OpenSSL's objects.
 * Everything in a struct csr points into the request; nothing of it is believed before csr_verify has seen the
 * signature. */
#include "crypto/csr.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/cert.h"
#include "crypto/der.h"
#include "crypto/key.h"
#include "crypto/name.h"
#include "crypto/signed.h"

#define EXTENSION_REQUEST "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e"
#define MS_EXTENSION_REQUEST "\x2b\x06\x01\x04\x01\x82\x37\x02\x01\x0e"

static bool oid_is(struct bytes v, const char *oid, size_t n)
{
	return v.n == n && memcmp(v.p, oid, n) == 0;
}
#define OID_IS(v, s) oid_is((v), (s), sizeof(s) - 1)

/* A BIT STRING of whole octets. */
static bool octet_bits(struct der *d, struct bytes *ret)
{
	struct bytes v;

	if (!der_expect(d, DER_BITSTRING, &v) || v.n < 2 || v.p[0] != 0)
		return false;
	*ret = (struct bytes){ v.p + 1, v.n - 1 };
	return true;
}

/* An element with its header, of one tag. */
static bool whole(struct der *d, int tag, struct bytes *ret)
{
	struct bytes v;
	int got;

	return der_next(d, &got, &v, ret) && got == tag;
}

static int parse_attribute(struct arena *a, struct der attr, struct csr *c, bool *seen, struct err *e)
{
	struct bytes type, values, one;
	struct der d;
	int tag;

	if (!der_expect(&attr, DER_OID, &type) || !der_expect(&attr, DER_SET, &values) || !der_done(&attr) ||
	    values.n == 0)
		return err_set(e, ERR_INVALID, "malformed attribute (RFC 2986 4.1)");
	d = der_of(values);
	if (!der_next(&d, &tag, NULL, &one))
		return err_set(e, ERR_INVALID, "malformed attribute value (RFC 2986 4.1)");
	if (!OID_IS(type, EXTENSION_REQUEST) && !OID_IS(type, MS_EXTENSION_REQUEST))
		return 0;
	if (*seen || !der_done(&d))
		return err_set(e, ERR_INVALID, "more than one extensionRequest (RFC 2985 5.4.2)");
	*seen = true;
	if (exts_parse(a, one, &c->exts, e))
		return err_ctx(e, "extensionRequest");
	if (c->exts.n > CSR_MAX_EXTS)
		return err_set(e, ERR_INVALID, "extensionRequest: more than %d extensions", CSR_MAX_EXTS);
	return 0;
}

static int parse_attributes(struct arena *a, struct bytes set, struct csr *c, struct err *e)
{
	struct der d = der_of(set);
	struct bytes one;
	bool seen = false;

	while (!der_done(&d)) {
		if (!der_expect(&d, DER_SEQUENCE, &one))
			return err_set(e, ERR_INVALID, "malformed attributes (RFC 2986 4.1)");
		if (parse_attribute(a, der_of(one), c, &seen, e))
			return -1;
	}
	return 0;
}

static int parse_info(struct arena *a, struct bytes body, struct csr *c, struct err *e)
{
	struct der d = der_of(body);
	struct bytes version, attributes;

	if (!der_expect(&d, DER_INTEGER, &version))
		return err_set(e, ERR_INVALID, "malformed CertificationRequestInfo (RFC 2986 4.1)");
	if (version.n != 1 || version.p[0] != 0)
		return err_set(e, ERR_INVALID, "version is not v1 (RFC 2986 4.1)");
	if (!whole(&d, DER_SEQUENCE, &c->subject))
		return err_set(e, ERR_INVALID, "malformed subject (RFC 2986 4.1)");
	if (name_check(c->subject, e))
		return err_ctx(e, "subject");
	if (!whole(&d, DER_SEQUENCE, &c->spki))
		return err_set(e, ERR_INVALID, "malformed subjectPKInfo (RFC 2986 4.1)");
	if (der_done(&d)) /* attributes are not optional, but some devices leave them out */
		return 0;
	if (!der_expect(&d, DER_CTX_CONS, &attributes) || !der_done(&d))
		return err_set(e, ERR_INVALID, "malformed attributes (RFC 2986 4.1)");
	c->attributes = attributes;
	return parse_attributes(a, attributes, c, e);
}

int csr_attribute(const struct csr *c, const char *oid, struct bytes *ret, struct err *e)
{
	struct der all = der_of(c->attributes);
	struct bytes one, type, values, found = { 0 };
	char name[128];

	while (der_expect(&all, DER_SEQUENCE, &one)) {
		struct der attr = der_of(one), in;

		if (!der_expect(&attr, DER_OID, &type) || !der_expect(&attr, DER_SET, &values) ||
		    !der_oid(type, name, sizeof(name)) ||
		    strcmp(name, oid) != 0)
			continue;
		in = der_of(values);
		if (found.n || !der_next(&in, NULL, NULL, &found) || !der_done(&in))
			return err_set(e, ERR_INVALID, "attribute %s has more than one value", oid);
	}
	*ret = found;
	return 0;
}

static int parse_der(struct arena *a, struct bytes der, struct csr *ret, struct err *e)
{
	struct csr c = { .der = der };
	struct der d = der_of(der), in;
	struct bytes body, info = { 0 };

	if (der.n > CSR_MAX)
		return err_set(e, ERR_INVALID, "request has %zu octets, more than %d", der.n, CSR_MAX);
	if (!der_expect(&d, DER_SEQUENCE, &body))
		return err_set(e, ERR_INVALID, "not a PKCS#10 request in DER (RFC 2986 4.2)");
	if (!der_done(&d))
		return err_set(e, ERR_INVALID, "trailing bytes after the request");
	in = der_of(body);
	if (!whole(&in, DER_SEQUENCE, &c.info) || !whole(&in, DER_SEQUENCE, &c.sig_alg) || !octet_bits(&in, &c.sig) ||
	    !der_done(&in))
		return err_set(e, ERR_INVALID, "malformed CertificationRequest (RFC 2986 4.2)");
	d = der_of(c.info);
	der_expect(&d, DER_SEQUENCE, &info); /* seen above */
	if (parse_info(a, info, &c, e))
		return -1;
	*ret = c;
	return 0;
}

/* The next request in PEM, by either label (RFC 7468 7). */
static bool next_request(struct arena *a, struct bytes *text, struct bytes *ret)
{
	char *label;

	while (pem_next(a, text, NULL, &label, ret))
		if (strcmp(label, "CERTIFICATE REQUEST") == 0 || strcmp(label, "NEW CERTIFICATE REQUEST") == 0)
			return true;
	return false;
}

int csr_parse(struct arena *a, struct bytes text, struct csr *ret, struct err *e)
{
	struct bytes der, more;

	if (text.n && text.p[0] == DER_SEQUENCE)
		return parse_der(a, text, ret, e);
	if (text.n > 2 * CSR_MAX) /* base64 grows by a third */
		return err_set(e, ERR_INVALID, "request has %zu characters, more than %d", text.n, 2 * CSR_MAX);
	if (!next_request(a, &text, &der))
		return err_set(e, ERR_INVALID, "no certificate request found, neither PEM nor DER");
	if (der.n == 0)
		return err_set(e, ERR_INVALID, "PEM block is damaged (RFC 7468 3)");
	if (next_request(a, &text, &more))
		return err_set(e, ERR_INVALID, "more than one request where one is expected");
	return parse_der(a, der, ret, e);
}

int csr_split(struct arena *a, struct bytes text, struct bytes **ret_v, size_t *ret_n, struct err *e)
{
	struct bytes *v = NULL, der;
	size_t n = 0;

	if (text.n && text.p[0] == DER_SEQUENCE) {
		*ret_v = arena_memdup(a, &text, sizeof(text));
		*ret_n = 1;
		return 0;
	}
	while (next_request(a, &text, &der)) {
		v = arena_grow(a, v, n, sizeof(*v));
		v[n++] = der;
	}
	if (n == 0)
		return err_set(e, ERR_INVALID, "no certificate request found, neither PEM nor DER");
	*ret_v = v;
	*ret_n = n;
	return 0;
}

int csr_verify(const struct csr *c, EVP_PKEY **ret_key, struct err *e)
{
	const struct sigalg *alg = sigalg_by_der(c->sig_alg);
	AUTO(EVP_PKEY) *key = NULL;
	const char *weak;
	bool valid = false;

	if (key_from_spki(c->spki, &key, e)) {
		e->code = ERR_DENIED;
		return -1;
	}
	weak = key_weakness(key);
	if (weak)
		return err_set(e, ERR_DENIED, "key: %s", weak);
	if (!alg)
		return err_set(e, ERR_DENIED, "signature algorithm of the request is not supported");
	if (!sigalg_fits(alg, key))
		return err_set(e, ERR_DENIED, "signature algorithm %s does not go with the key", alg->name);
	if (key_verify(key, alg, c->info, false, c->sig, &valid, e))
		return -1;
	if (!valid)
		return err_set(e, ERR_DENIED,
			       "signature does not verify: no proof of possession of the key (RFC 2986 3)");
	*ret_key = key;
	key = NULL;
	return 0;
}

struct bytes csr_attribute_build(struct arena *a, const char *oid, struct bytes value)
{
	unsigned char room[128];
	struct derw w = derw_init(room, sizeof(room));

	derw_oid(&w, oid);
	return DER_JOIN(a, DER_SEQUENCE, derw_bytes(&w), DER_JOIN(a, DER_SET, value));
}

static int by_octets(const void *x, const void *y)
{
	const struct bytes *a = x, *b = y;
	int r = memcmp(a->p, b->p, a->n < b->n ? a->n : b->n);

	return r ? r : (a->n > b->n) - (a->n < b->n);
}

/* attributes [0], a SET OF: the extensions that are asked for, and others. */
static void write_attributes(struct arena *a, struct derw *w, const struct exts *exts, const struct bytes *others,
			     size_t n)
{
	struct bytes *all = arena_new_array(a, n + 1, struct bytes);
	size_t mark = derw_mark(w);

	for (size_t i = 0; i < n; i++)
		all[i] = others[i];
	if (exts && exts->n)
		all[n++] = csr_attribute_build(a, OID_EXTENSION_REQUEST, exts_der(a, exts));
	qsort(all, n, sizeof(*all), by_octets);
	while (n-- > 0)
		derw_raw(w, all[n].p, all[n].n);
	derw_head(w, DER_CTX_CONS, mark);
}

int csr_build(struct arena *a, struct bytes subject_der, const struct exts *exts, EVP_PKEY *key,
	      const struct sigalg *alg, struct bytes *ret_der, struct err *e)
{
	return csr_build_with(a, subject_der, exts, NULL, 0, key, alg, ret_der, e);
}

int csr_build_with(struct arena *a, struct bytes subject_der, const struct exts *exts, const struct bytes *attributes,
		   size_t n, EVP_PKEY *key, const struct sigalg *alg, struct bytes *ret_der, struct err *e)
{
	struct bytes spki;
	struct derw w;

	if (key_spki(a, key, &spki, e))
		return -1;
	w = signed_begin(a, CSR_MAX);
	write_attributes(a, &w, exts, attributes, n);
	derw_raw(&w, spki.p, spki.n);
	derw_raw(&w, subject_der.p, subject_der.n);
	derw_uint(&w, 0);
	derw_head(&w, DER_SEQUENCE, 0);
	return signed_end(&w, key, alg, ret_der, e);
}
