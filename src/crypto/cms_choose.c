/* SMIMECapabilities (RFC 8551 2.5.2). Guarantees: what is chosen is among what the recipient listed; where he says
 * nothing of how keys are wrapped for a key like his, it is what every recipient must be able to (RFC 5751 2.3, RFC
 * 8551 2.3); nothing older than AES. */
#include <string.h>

#include "crypto/cms.h"
#include "crypto/der.h"

enum { CAPABILITIES_MAX = 64, OID_ROOM = 64 };

#define OID_RSA "1.2.840.113549.1.1.1"
#define OID_OAEP "1.2.840.113549.1.1.7"
#define OID_MGF1 "1.2.840.113549.1.1.8"

/* What an object identifier stands for. A row without one ends a table. */
static const struct known {
	const char *oid;
	const EVP_CIPHER *(*cipher)(void);
	const EVP_MD *(*md)(void);
} ciphers[] = {
	{ "2.16.840.1.101.3.4.1.42", .cipher = EVP_aes_256_cbc },
	{ "2.16.840.1.101.3.4.1.22", .cipher = EVP_aes_192_cbc },
	{ "2.16.840.1.101.3.4.1.2", .cipher = EVP_aes_128_cbc },
	{ 0 }
}, wraps[] = {
	{ "2.16.840.1.101.3.4.1.45", .cipher = EVP_aes_256_wrap },
	{ "2.16.840.1.101.3.4.1.25", .cipher = EVP_aes_192_wrap },
	{ "2.16.840.1.101.3.4.1.5", .cipher = EVP_aes_128_wrap },
	{ 0 }
}, digests[] = {
	{ "1.3.14.3.2.26", .md = EVP_sha1 },
	{ "2.16.840.1.101.3.4.2.4", .md = EVP_sha224 },
	{ "2.16.840.1.101.3.4.2.1", .md = EVP_sha256 },
	{ "2.16.840.1.101.3.4.2.2", .md = EVP_sha384 },
	{ "2.16.840.1.101.3.4.2.3", .md = EVP_sha512 },
	{ 0 }
}, agreements[] = { /* dhSinglePass-stdDH-…kdf-scheme (RFC 5753 7.1.4) */
	{ "1.3.133.16.840.63.0.2", .md = EVP_sha1 },
	{ "1.3.132.1.11.0", .md = EVP_sha224 },
	{ "1.3.132.1.11.1", .md = EVP_sha256 },
	{ "1.3.132.1.11.2", .md = EVP_sha384 },
	{ "1.3.132.1.11.3", .md = EVP_sha512 },
	{ 0 }
};

/* The last row where there is none. */
static const struct known *find(const struct known *row, const char *oid)
{
	while (row->oid && strcmp(row->oid, oid) != 0)
		row++;
	return row;
}

static const EVP_CIPHER *cipher_in(const struct known *table, const char *oid)
{
	const struct known *row = find(table, oid);

	return row->cipher ? row->cipher() : NULL;
}

static const EVP_MD *md_in(const struct known *table, const char *oid)
{
	const struct known *row = find(table, oid);

	return row->md ? row->md() : NULL;
}

/* SEQUENCE { OID, parameters OPTIONAL }: an AlgorithmIdentifier, and a capability. */
static bool read_algorithm(struct der *in, char oid[OID_ROOM], struct bytes *ret_params)
{
	struct bytes body, value;
	struct der d;

	if (!der_expect(in, DER_SEQUENCE, &body))
		return false;
	d = der_of(body);
	if (!der_expect(&d, DER_OID, &value) || !der_oid(value, oid, OID_ROOM))
		return false;
	*ret_params = (struct bytes){ d.p, (size_t)(d.end - d.p) };
	return true;
}

/* RSAES-OAEP-params (RFC 4055 4.1): a hash, a mask with its own, and no label. */
static bool read_oaep(struct bytes params, struct cms_how *how)
{
	struct der in = der_of(params), d;
	char oid[OID_ROOM];
	struct bytes body, part, more;
	int tag;

	how->md = how->mgf1_md = EVP_sha1();
	if (!params.n)
		return true;
	if (!der_expect(&in, DER_SEQUENCE, &body) || !der_done(&in))
		return false;
	for (in = der_of(body); !der_done(&in);) {
		if (!der_next(&in, &tag, &part, NULL))
			return false;
		d = der_of(part);
		if (tag == DER_CTX_CONS && read_algorithm(&d, oid, &more))
			how->md = md_in(digests, oid);
		else if (tag == DER_CTX_CONS + 1 && read_algorithm(&d, oid, &more) && strcmp(oid, OID_MGF1) == 0 &&
			 (d = der_of(more), read_algorithm(&d, oid, &more)))
			how->mgf1_md = md_in(digests, oid);
		else
			return false;
		if (!der_done(&d))
			return false;
	}
	return how->md && how->mgf1_md;
}

/* One capability: whether it says how keys are wrapped for keys like the recipient's, and how if it does here. */
static bool take_rsa(const char *oid, struct bytes params, struct cms_how *how, bool *done)
{
	struct cms_how with = *how;

	if (strcmp(oid, OID_RSA) == 0) {
		*done = true;
		return true;
	}
	if (strcmp(oid, OID_OAEP) != 0)
		return false;
	if (!*done && read_oaep(params, &with)) {
		*how = with;
		how->oaep = *done = true;
	}
	return true;
}

static bool take_ec(const char *oid, struct bytes params, struct cms_how *how, bool *done)
{
	const EVP_MD *md = md_in(agreements, oid);
	char inner[OID_ROOM];
	struct der d = der_of(params);
	struct bytes more;

	if (!how->wrap)
		how->wrap = cipher_in(wraps, oid);
	if (!md)
		return strncmp(oid, "1.3.132.1.", 10) == 0; /* another scheme of agreement */
	if (!*done) {
		how->kdf_md = md;
		*done = true;
		if (params.n && read_algorithm(&d, inner, &more) && cipher_in(wraps, inner))
			how->wrap = cipher_in(wraps, inner);
	}
	return true;
}

/* Wraps as strong as what they wrap. */
static const EVP_CIPHER *wrap_for(const EVP_CIPHER *cipher)
{
	int bits = EVP_CIPHER_get_key_length(cipher) * 8;

	return bits == 128 ? EVP_aes_128_wrap() : bits == 192 ? EVP_aes_192_wrap() : EVP_aes_256_wrap();
}

int cms_choose(struct bytes capabilities, const EVP_PKEY *key, struct cms_how *ret, struct err *e)
{
	struct der in = der_of(capabilities);
	bool rsa = EVP_PKEY_is_a(key, "RSA"), ec = EVP_PKEY_is_a(key, "EC"), named = false, done = false;
	struct cms_how how = { 0 };
	struct bytes body, params;
	char oid[OID_ROOM];
	int n = 0;

	if (!rsa && !ec)
		return err_set(e, ERR_UNSUPPORTED, "nothing is encrypted to a key of its type; RSA and EC keys do");
	if (!der_expect(&in, DER_SEQUENCE, &body) || !der_done(&in))
		return err_set(e, ERR_INVALID, "SMIMECapabilities: not what RFC 8551 2.5.2 says");
	for (in = der_of(body); !der_done(&in); n++) {
		if (n == CAPABILITIES_MAX || !read_algorithm(&in, oid, &params))
			return err_set(e, ERR_INVALID,
				       "SMIMECapabilities: not what RFC 8551 2.5.2 says, or more than %d",
				       CAPABILITIES_MAX);
		if (!how.cipher)
			how.cipher = cipher_in(ciphers, oid);
		named |= rsa ? take_rsa(oid, params, &how, &done) : take_ec(oid, params, &how, &done);
	}
	if (!how.cipher)
		return err_set(e, ERR_UNSUPPORTED,
			       "SMIMECapabilities: none of AES-128, AES-192 and AES-256 in CBC mode");
	if (named && !done)
		return err_set(e, ERR_UNSUPPORTED,
			       "SMIMECapabilities: no way to wrap a key for %s key that is known here",
			       rsa ? "an RSA" : "an EC");
	if (ec && !how.kdf_md)
		how.kdf_md = EVP_sha256();
	if (ec && !how.wrap)
		how.wrap = wrap_for(how.cipher);
	*ret = how;
	return 0;
}

/* --- ours --- */

static struct bytes oid_element(struct arena *a, const char *dotted)
{
	unsigned char *room = arena_alloc(a, OID_ROOM, 1);
	struct derw w = derw_init(room, OID_ROOM);

	derw_oid(&w, dotted);
	return derw_bytes(&w);
}

static struct bytes algorithm(struct arena *a, const char *oid, struct bytes params)
{
	return DER_JOIN(a, DER_SEQUENCE, oid_element(a, oid), params);
}

/* RSAES-OAEP with SHA-256 throughout. */
static struct bytes oaep_sha256(struct arena *a)
{
	struct bytes sha256 = algorithm(a, digests[2].oid, (struct bytes){ 0 });

	return DER_JOIN(a, DER_SEQUENCE, DER_JOIN(a, DER_CTX_CONS, sha256),
			DER_JOIN(a, DER_CTX_CONS + 1, algorithm(a, OID_MGF1, sha256)));
}

int cms_capabilities(struct arena *a, const EVP_PKEY *key, struct bytes *ret, struct err *e)
{
	const struct bytes none = { 0 };
	struct bytes how, also;

	if (EVP_PKEY_is_a(key, "RSA")) {
		how = algorithm(a, OID_OAEP, oaep_sha256(a));
		also = algorithm(a, OID_OAEP, DER_JOIN(a, DER_SEQUENCE, none));
	} else if (EVP_PKEY_is_a(key, "EC")) {
		how = algorithm(a, agreements[2].oid, algorithm(a, wraps[0].oid, none));
		also = algorithm(a, agreements[2].oid, algorithm(a, wraps[2].oid, none));
	} else {
		return err_set(e, ERR_UNSUPPORTED,
			       "nothing can be decrypted with a key of this type; RSA and EC keys do");
	}
	*ret = DER_JOIN(a, DER_SEQUENCE, algorithm(a, ciphers[0].oid, none), algorithm(a, ciphers[2].oid, none), how,
			also);
	return 0;
}
