/* Reads CRLs of others and our own, entry by entry and without objects, so that size is the only cost. Strict about
 * form; what an unknown critical extension means is for the caller to decide. */
#include <openssl/bn.h>
#include <string.h>

#include "crypto/cert.h"
#include "crypto/crl.h"
#include "crypto/der.h"
#include "crypto/key.h"

static bool next_time(struct der *d, int64_t *ret)
{
	struct bytes v;
	int tag;

	return der_next(d, &tag, &v, NULL) && der_time(tag, v, ret);
}

static bool at_time(const struct der *d)
{
	int tag;

	return der_peek(d, &tag) && (tag == DER_UTCTIME || tag == DER_GENTIME);
}

/* CRLNumber and BaseCRLNumber as decimal text; at most 20 octets (RFC 5280 5.2.3). */
static int number_ext(struct arena *a, const struct exts *x, const char *oid, char **ret, struct err *e)
{
	const struct ext *ext = exts_find(x, oid);
	AUTO(BIGNUM) *n = NULL;
	struct bytes v;
	struct der d;
	char *text;

	if (!ext)
		return 0;
	d = der_of(ext->value);
	if (!der_expect(&d, DER_INTEGER, &v) || !der_done(&d) || v.n == 0 || v.n > 21 || v.p[0] & 0x80)
		return err_set(e, ERR_INVALID, "malformed CRL number (RFC 5280 5.2.3)");
	n = BN_bin2bn(v.p, (int)v.n, NULL);
	text = n ? BN_bn2dec(n) : NULL;
	if (!text)
		return err_ossl(e, "CRL number");
	*ret = arena_strdup(a, text);
	OPENSSL_free(text);
	return 0;
}

static int parse_tbs(struct arena *a, struct bytes body, struct crl *c, struct err *e)
{
	struct der d = der_of(body);
	struct bytes v, inner_alg, issuer_value;
	int tag, got;

	if (der_expect(&d, DER_INTEGER, &v) && (v.n != 1 || v.p[0] != 1))
		return err_set(e, ERR_INVALID, "version is not v2 (RFC 5280 5.1.2.1)");
	if (!der_next(&d, &got, &v, &inner_alg) || got != DER_SEQUENCE || !bytes_equal(inner_alg, c->sig_alg))
		return err_set(e, ERR_INVALID, "the two signature algorithms differ (RFC 5280 5.1.2.2)");
	if (!der_next(&d, &got, &issuer_value, &c->issuer) || got != DER_SEQUENCE)
		return err_set(e, ERR_INVALID, "malformed issuer (RFC 5280 5.1.2.3)");
	if (!next_time(&d, &c->this_update) || (at_time(&d) && !next_time(&d, &c->next_update)))
		return err_set(e, ERR_INVALID, "malformed thisUpdate or nextUpdate (RFC 5280 5.1.2.4)");
	if (der_peek(&d, &tag) && tag == DER_SEQUENCE && !der_expect(&d, DER_SEQUENCE, &c->revoked))
		return err_set(e, ERR_INVALID, "malformed revokedCertificates (RFC 5280 5.1.2.6)");
	if (der_peek(&d, &tag) && tag == DER_CTX_CONS) {
		if (!der_expect(&d, DER_CTX_CONS, &v))
			return err_set(e, ERR_INVALID, "malformed crlExtensions (RFC 5280 5.1.2.7)");
		if (exts_parse(a, v, &c->exts, e))
			return err_ctx(e, "crlExtensions");
	}
	if (!der_done(&d))
		return err_set(e, ERR_INVALID, "unknown fields in the CRL (RFC 5280 5.1)");
	return number_ext(a, &c->exts, OID_CRL_NUMBER, &c->number, e) ||
	       number_ext(a, &c->exts, OID_DELTA_CRL, &c->base_number, e)
		       ? -1
		       : 0;
}

int crl_parse(struct arena *a, struct bytes text, struct crl *ret, struct err *e)
{
	struct crl c = { 0 };
	struct bytes v, body;
	struct der d, in;
	int tag;

	c.der = text;
	if ((text.n == 0 || text.p[0] != DER_SEQUENCE) && !pem_next(a, &text, "X509 CRL", NULL, &c.der))
		return err_set(e, ERR_INVALID, "no CRL found, neither PEM nor DER");
	d = der_of(c.der);
	if (!der_expect(&d, DER_SEQUENCE, &v))
		return err_set(e, ERR_INVALID, "malformed CRL (RFC 5280 5.1)");
	if (!der_done(&d))
		return err_set(e, ERR_INVALID, "trailing bytes after the CRL");
	in = der_of(v);
	if (!der_next(&in, &tag, &body, &c.tbs) || tag != DER_SEQUENCE || !der_next(&in, &tag, NULL, &c.sig_alg) ||
	    tag != DER_SEQUENCE || !der_expect(&in, DER_BITSTRING, &v) || !der_done(&in) || v.n < 2 || v.p[0] != 0)
		return err_set(e, ERR_INVALID, "malformed CRL (RFC 5280 5.1)");
	c.sig = (struct bytes){ v.p + 1, v.n - 1 };
	if (parse_tbs(a, body, &c, e))
		return -1;
	*ret = c;
	return 0;
}

static bool parse_reason(struct bytes value, int *ret)
{
	struct der d = der_of(value);
	struct bytes v;

	if (!der_expect(&d, DER_ENUMERATED, &v) || !der_done(&d) || v.n != 1 || v.p[0] > 10)
		return false;
	*ret = v.p[0];
	return true;
}

static bool parse_invalidity(struct bytes value, int64_t *ret)
{
	struct der d = der_of(value);

	return next_time(&d, ret) && der_done(&d);
}

/* GeneralNames with one directoryName. */
static bool parse_issuer(struct bytes value, struct bytes *ret)
{
	struct der d = der_of(value);
	struct bytes v;
	int tag;

	if (!der_expect(&d, DER_SEQUENCE, &v) || !der_done(&d))
		return false;
	d = der_of(v);
	if (!der_expect(&d, DER_CTX_CONS | 4, &v) || !der_done(&d))
		return false;
	d = der_of(v);
	return der_next(&d, &tag, &v, ret) && tag == DER_SEQUENCE && der_done(&d);
}

static bool parse_entry_exts(struct der d, struct crl_entry *x)
{
	struct bytes v, oid, value;

	while (!der_done(&d)) {
		struct der one;
		bool good = true;

		if (!der_expect(&d, DER_SEQUENCE, &v))
			return false;
		one = der_of(v);
		if (!der_expect(&one, DER_OID, &oid))
			return false;
		der_expect(&one, DER_BOOLEAN, NULL);
		if (!der_expect(&one, DER_OCTETSTRING, &value) || !der_done(&one))
			return false;
		if (oid.n != 3 || memcmp(oid.p, "\x55\x1d", 2) != 0)
			continue;
		if (oid.p[2] == 21)
			good = parse_reason(value, &x->reason);
		else if (oid.p[2] == 24)
			good = parse_invalidity(value, &x->invalidity);
		else if (oid.p[2] == 29)
			good = parse_issuer(value, &x->certificate_issuer);
		if (!good)
			return false;
	}
	return true;
}

static bool parse_entry(struct bytes body, struct crl_entry *x)
{
	struct der d = der_of(body);
	struct bytes v;

	if (!der_expect(&d, DER_INTEGER, &x->serial) || x->serial.n == 0 || !next_time(&d, &x->time))
		return false;
	while (x->serial.n > 1 && x->serial.p[0] == 0) {
		x->serial.p++;
		x->serial.n--;
	}
	if (der_done(&d))
		return true;
	return der_expect(&d, DER_SEQUENCE, &v) && der_done(&d) && v.n && parse_entry_exts(der_of(v), x);
}

int crl_each(const struct crl *c, int (*cb)(void *arg, const struct crl_entry *, struct err *), void *arg,
	     struct err *e)
{
	struct der d = der_of(c->revoked);
	struct bytes body, issuer = { 0 };

	for (size_t n = 1; !der_done(&d); n++) {
		/* the one before speaks for this one too: 5.3.3 */
		struct crl_entry x = { .certificate_issuer = issuer };

		if (!der_expect(&d, DER_SEQUENCE, &body) || !parse_entry(body, &x))
			return err_set(e, ERR_INVALID, "CRL entry %zu is malformed (RFC 5280 5.1.2.6)", n);
		issuer = x.certificate_issuer;
		if (bytes_equal(issuer, c->issuer))
			x.certificate_issuer = (struct bytes){ 0 };
		if (cb(arg, &x, e))
			return -1;
	}
	return 0;
}

int crl_verify(const struct crl *c, EVP_PKEY *issuer_pub, struct err *e)
{
	const struct sigalg *alg = sigalg_by_der(c->sig_alg);
	bool valid = false;

	if (!alg || !sigalg_fits(alg, issuer_pub))
		return err_set(e, ERR_CHECK, "the CRL's signature algorithm does not go with the issuer's key");
	if (key_verify(issuer_pub, alg, c->tbs, false, c->sig, &valid, e))
		return -1;
	return valid ? 0 : err_set(e, ERR_CHECK, "the CRL's signature does not verify");
}
