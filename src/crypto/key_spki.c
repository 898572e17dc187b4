/* SubjectPublicKeyInfo to EVP_PKEY. The common kinds are taken apart by hand, because OpenSSL's general decoder costs
 * more than the signature check that follows; everything else goes to that decoder. Points are checked to lie on their
 * curve. */
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <string.h>

#include "crypto/der.h"
#include "crypto/key_der.h"

DEFINE_AUTO(OSSL_PARAM, OSSL_PARAM_free)
DEFINE_AUTO(OSSL_PARAM_BLD, OSSL_PARAM_BLD_free)

enum { SPKI_MAX = 8192, RSA_MAX_BYTES = 16384 / 8, RSA_MAX_EXPONENT = 32 };

static EVP_PKEY *rsa_key(struct bytes alg, struct bytes key)
{
	static const char id[] = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05";
	AUTO(EVP_PKEY_CTX) *pc = NULL;
	AUTO(OSSL_PARAM_BLD) *b = NULL;
	AUTO(OSSL_PARAM) *params = NULL;
	AUTO(BIGNUM) *n = NULL;
	AUTO(BIGNUM) *exp = NULL;
	struct der d = der_of(key), seq;
	struct bytes body, vn, ve;
	EVP_PKEY *made = NULL;

	if (alg.n != sizeof(id) || memcmp(alg.p, id, sizeof(id)) != 0)
		return NULL;
	if (!der_expect(&d, DER_SEQUENCE, &body) || !der_done(&d))
		return NULL;
	seq = der_of(body);
	if (!der_expect(&seq, DER_INTEGER, &vn) || !der_expect(&seq, DER_INTEGER, &ve) || !der_done(&seq))
		return NULL;
	if (vn.n == 0 || ve.n == 0 || vn.p[0] & 0x80 || ve.p[0] & 0x80 || vn.n > RSA_MAX_BYTES + 1 ||
	    ve.n > RSA_MAX_EXPONENT + 1)
		return NULL;
	n = BN_bin2bn(vn.p, (int)vn.n, NULL);
	exp = BN_bin2bn(ve.p, (int)ve.n, NULL);
	b = OSSL_PARAM_BLD_new();
	pc = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	if (!n || !exp || !b || !pc || !OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, n) ||
	    !OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, exp))
		return NULL;
	params = OSSL_PARAM_BLD_to_param(b);
	if (!params || EVP_PKEY_fromdata_init(pc) <= 0 ||
	    EVP_PKEY_fromdata(pc, &made, EVP_PKEY_PUBLIC_KEY, params) <= 0)
		return NULL;
	return made;
}

static EVP_PKEY *ed25519_key(struct bytes alg, struct bytes key)
{
	if (alg.n != 5 || memcmp(alg.p, "\x06\x03\x2b\x65\x70", 5) != 0)
		return NULL;
	return EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, key.p, key.n);
}

int key_from_spki(struct bytes der, EVP_PKEY **ret, struct err *e)
{
	const unsigned char *p = der.p;
	struct der d = der_of(der), in;
	struct bytes body, alg, key;
	EVP_PKEY *k;

	if (der.n > SPKI_MAX)
		return err_set(e, ERR_INVALID, "public key: %zu octets, more than %d", der.n, SPKI_MAX);
	if (!der_expect(&d, DER_SEQUENCE, &body) || !der_done(&d))
		return err_set(e, ERR_INVALID, "public key: not a SubjectPublicKeyInfo (RFC 5280 4.1.2.7)");
	in = der_of(body);
	if (!der_expect(&in, DER_SEQUENCE, &alg) || !der_expect(&in, DER_BITSTRING, &key) || !der_done(&in) ||
	    key.n < 2 ||
	    key.p[0] != 0)
		return err_set(e, ERR_INVALID, "public key: not a SubjectPublicKeyInfo (RFC 5280 4.1.2.7)");
	key.p++;
	key.n--;
	k = key_ec_public(alg, key);
	if (!k)
		k = rsa_key(alg, key);
	if (!k)
		k = ed25519_key(alg, key);
	if (!k)
		k = d2i_PUBKEY_ex(NULL, &p, (long)der.n, NULL, NULL);
	if (!k) {
		err_ossl(e, "public key");
		e->code = ERR_INVALID;
		return -1;
	}
	if (key.n == 1 && EVP_PKEY_is_a(k, "EC")) { /* SEC 1 2.3.3; OpenSSL takes it for a point */
		EVP_PKEY_free(k);
		return err_set(e, ERR_INVALID, "public key: EC point at infinity");
	}
	*ret = k;
	return 0;
}
