/* Elliptic curve keys in their usual forms, taken apart by hand, because OpenSSL's general decoders cost more than a
 * signature. What is not in the usual form is left to those decoders (NULL). Points are checked to lie on their curve;
 * that the halves of a private key belong together is the caller's to check. */
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <stdatomic.h>
#include <string.h>

#include "crypto/der.h"
#include "crypto/key_der.h"

DEFINE_AUTO(OSSL_PARAM, OSSL_PARAM_free)
DEFINE_AUTO(OSSL_PARAM_BLD, OSSL_PARAM_BLD_free)

static const struct {
	const char *group;
	const char *alg; /* AlgorithmIdentifier content: id-ecPublicKey and the curve (RFC 5480 2.1) */
	size_t alg_n, point_n;
} curves[] = {
#define EC_ALG(s) "\x06\x07\x2a\x86\x48\xce\x3d\x02\x01" s, sizeof("\x06\x07\x2a\x86\x48\xce\x3d\x02\x01" s) - 1
	{ "P-256", EC_ALG("\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"), 65 },
	{ "P-384", EC_ALG("\x06\x05\x2b\x81\x04\x00\x22"), 97 },
	{ "P-521", EC_ALG("\x06\x05\x2b\x81\x04\x00\x23"), 133 },
	{ "P-224", EC_ALG("\x06\x05\x2b\x81\x04\x00\x21"), 57 },
};
static size_t curve_of(struct bytes alg)
{
	size_t i = 0;

	while (i < COUNT(curves) && (alg.n != curves[i].alg_n || memcmp(alg.p, curves[i].alg, alg.n) != 0))
		i++;
	return i;
}

/* A key without a point: building a group by name costs more than copying one. Made once for each curve that is met,
 * shared by all threads, never written again. */
static EVP_PKEY *template_of(size_t curve)
{
	static _Atomic(EVP_PKEY *) templates[COUNT(curves)];
	EVP_PKEY *had = templates[curve], *made = NULL;
	AUTO(EVP_PKEY_CTX) *pc = NULL;

	if (had)
		return had;
	pc = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	if (!pc || EVP_PKEY_paramgen_init(pc) <= 0 || EVP_PKEY_CTX_set_group_name(pc, curves[curve].group) <= 0 ||
	    EVP_PKEY_paramgen(pc, &made) <= 0)
		return NULL;
	if (atomic_compare_exchange_strong(&templates[curve], &had, made))
		return made;
	EVP_PKEY_free(made);
	return had;
}

EVP_PKEY *key_ec_public(struct bytes alg, struct bytes key)
{
	AUTO(EVP_PKEY) *k = NULL;
	EVP_PKEY *template, *made;
	size_t i = curve_of(alg);

	if (i == COUNT(curves) || key.n != curves[i].point_n || key.p[0] != 4)
		return NULL;
	template = template_of(i);
	k = EVP_PKEY_new();
	if (!k || !template || EVP_PKEY_copy_parameters(k, template) != 1 ||
	    EVP_PKEY_set1_encoded_public_key(k, key.p, key.n) != 1)
		return NULL;
	made = k;
	k = NULL;
	return made;
}

/* ECPrivateKey (RFC 5915 3) with its public half, and without the curve, which PKCS#8 has already named. */
static bool split_private(struct bytes der, struct bytes *ret_scalar, struct bytes *ret_point)
{
	struct der d = der_of(der), in;
	struct bytes body, version, pub;
	uint64_t v;

	if (!der_expect(&d, DER_SEQUENCE, &body) || !der_done(&d))
		return false;
	in = der_of(body);
	if (!der_expect(&in, DER_INTEGER, &version) || !der_uint(version, &v) || v != 1 ||
	    !der_expect(&in, DER_OCTETSTRING, ret_scalar) || !der_expect(&in, DER_CTX_CONS | 1, &pub) || !der_done(&in))
		return false;
	in = der_of(pub);
	if (!der_expect(&in, DER_BITSTRING, ret_point) || !der_done(&in) || ret_point->n < 2 || ret_point->p[0] != 0)
		return false;
	ret_point->p++;
	ret_point->n--;
	return true;
}

static EVP_PKEY *make_private(size_t curve, struct bytes scalar, struct bytes point)
{
	AUTO(EVP_PKEY_CTX) *pc = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	AUTO(OSSL_PARAM_BLD) *b = OSSL_PARAM_BLD_new();
	AUTO(OSSL_PARAM) *params = NULL;
	BIGNUM *secret = BN_secure_new();
	EVP_PKEY *made = NULL;

	/* A secure number is kept in wiped memory by the builder too. */
	if (pc && b && secret && BN_bin2bn(scalar.p, (int)scalar.n, secret) &&
	    OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, curves[curve].group, 0) &&
	    OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point.p, point.n) &&
	    OSSL_PARAM_BLD_push_BN_pad(b, OSSL_PKEY_PARAM_PRIV_KEY, secret, scalar.n))
		params = OSSL_PARAM_BLD_to_param(b);
	BN_clear_free(secret);
	if (!params || EVP_PKEY_fromdata_init(pc) <= 0 || EVP_PKEY_fromdata(pc, &made, EVP_PKEY_KEYPAIR, params) <= 0)
		return NULL;
	return made;
}

EVP_PKEY *key_ec_private(struct bytes der)
{
	struct der d = der_of(der), in;
	struct bytes body, version, alg, key, scalar, point;
	uint64_t v;
	size_t i;

	if (!der_expect(&d, DER_SEQUENCE, &body) || !der_done(&d))
		return NULL;
	in = der_of(body);
	if (!der_expect(&in, DER_INTEGER, &version) || !der_uint(version, &v) || v != 0 ||
	    !der_expect(&in, DER_SEQUENCE, &alg) ||
	    !der_expect(&in, DER_OCTETSTRING, &key) || !der_done(&in) || !split_private(key, &scalar, &point))
		return NULL;
	i = curve_of(alg);
	if (i == COUNT(curves) || point.n != curves[i].point_n || point.p[0] != 4 || scalar.n != curves[i].point_n / 2)
		return NULL;
	return make_private(i, scalar, point);
}
