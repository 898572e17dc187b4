/* Reading OCSP requests. Guarantees: definite DER and nothing behind it; at most OCSP_ASKED_MAX certificates; a nonce
 * of RFC 9654's length or none; no extension that is critical and unknown here. Allocates nothing. */
#include "pki/ocsp_request.h"

#include "crypto/der.h"

static const char nonce_oid[] = "1.3.6.1.5.5.7.48.1.2";

const struct ocsp_hash ocsp_hashes[OCSP_HASHES] = { { "1.3.14.3.2.26", "SHA1" }, { "2.16.840.1.101.3.4.2.1", "SHA256" },
						    { "2.16.840.1.101.3.4.2.2", "SHA384" },
						    { "2.16.840.1.101.3.4.2.3", "SHA512" } };

static int hash_of(struct bytes algorithm)
{
	struct der d = der_of(algorithm);
	struct bytes oid;
	char dotted[80];

	if (!der_expect(&d, DER_OID, &oid) || !der_oid(oid, dotted, sizeof(dotted)))
		return -1;
	for (int i = 0; i < OCSP_HASHES; i++)
		if (strcmp(ocsp_hashes[i].oid, dotted) == 0)
			return i;
	return -1;
}

static bool certid(struct der *d, struct ocsp_certid *ret)
{
	struct der in;
	struct bytes body, algorithm;
	int tag;

	if (!der_next(d, &tag, &body, &ret->whole) || tag != DER_SEQUENCE)
		return false;
	in = der_of(body);
	if (!der_expect(&in, DER_SEQUENCE, &algorithm) || !der_expect(&in, DER_OCTETSTRING, &ret->name_hash) ||
	    !der_expect(&in, DER_OCTETSTRING, &ret->key_hash) || !der_expect(&in, DER_INTEGER, &ret->serial) ||
	    ret->serial.n == 0)
		return false;
	ret->hash = hash_of(algorithm);
	return der_done(&in);
}

static bool nonce(struct bytes value)
{
	struct der d = der_of(value);
	struct bytes octets;

	return der_expect(&d, DER_OCTETSTRING, &octets) && der_done(&d) && octets.n >= 1 && octets.n <= OCSP_NONCE_MAX;
}

/* Content of an explicit tag: SEQUENCE OF Extension. ret_nonce NULL: those of a single request, where there is none. */
static bool extensions(struct bytes tagged, struct bytes *ret_nonce)
{
	struct der d = der_of(tagged), list, in;
	struct bytes all, whole, body, oid, critical, value;
	char dotted[80];
	int tag;

	if (!der_expect(&d, DER_SEQUENCE, &all) || !der_done(&d))
		return false;
	for (list = der_of(all); !der_done(&list);) {
		if (!der_next(&list, &tag, &body, &whole) || tag != DER_SEQUENCE)
			return false;
		in = der_of(body);
		critical = (struct bytes){ 0 };
		if (!der_expect(&in, DER_OID, &oid) || !der_oid(oid, dotted, sizeof(dotted)))
			return false;
		if (der_peek(&in, &tag) && tag == DER_BOOLEAN && !der_expect(&in, DER_BOOLEAN, &critical))
			return false;
		if (!der_expect(&in, DER_OCTETSTRING, &value) || !der_done(&in))
			return false;
		if (ret_nonce && strcmp(dotted, nonce_oid) == 0) {
			if (ret_nonce->n || !nonce(value))
				return false;
			*ret_nonce = whole;
		} else if (critical.n == 1 && critical.p[0]) {
			return false;
		}
	}
	return true;
}

static bool requests(struct bytes list, struct ocsp_request *r)
{
	struct der d = der_of(list), in;
	struct bytes body, more;

	while (!der_done(&d)) {
		if (r->n == OCSP_ASKED_MAX || !der_expect(&d, DER_SEQUENCE, &body))
			return false;
		in = der_of(body);
		if (!certid(&in, &r->ids[r->n++]))
			return false;
		if (!der_done(&in) &&
		    !(der_expect(&in, DER_CTX_CONS, &more) && der_done(&in) && extensions(more, NULL)))
			return false;
	}
	return r->n > 0;
}

/* An optional element with this tag. */
static bool optional(struct der *d, int tag, struct bytes *ret)
{
	int next;

	*ret = (struct bytes){ 0 };
	return !der_peek(d, &next) || next != tag || der_expect(d, tag, ret);
}

bool ocsp_request_parse(struct bytes der, struct ocsp_request *ret)
{
	struct der d = der_of(der), in, tbs;
	struct bytes whole, signed_part, version, requestor, list, exts, signature;

	*ret = (struct ocsp_request){ 0 };
	if (der.n > OCSP_REQUEST_MAX || !der_expect(&d, DER_SEQUENCE, &whole) || !der_done(&d))
		return false;
	in = der_of(whole);
	if (!der_expect(&in, DER_SEQUENCE, &signed_part) || !optional(&in, DER_CTX_CONS, &signature) || !der_done(&in))
		return false;
	tbs = der_of(signed_part);
	return optional(&tbs, DER_CTX_CONS, &version) && optional(&tbs, DER_CTX_CONS + 1, &requestor) &&
	       der_expect(&tbs, DER_SEQUENCE, &list) && requests(list, ret) &&
	       optional(&tbs, DER_CTX_CONS + 2, &exts) && der_done(&tbs) &&
	       (exts.n == 0 || extensions(exts, &ret->nonce));
}
