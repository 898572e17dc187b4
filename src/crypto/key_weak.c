/* Judges public keys that somebody wants certified. Says why a key must not be, in one phrase that fits after "key:";
 * never decides what is done with the verdict. */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <string.h>

#include "crypto/key.h"

/* ROCA, CVE-2017-15361: the moduli of a flawed library are powers of 65537 modulo every one of these primes. The chance
 * that a sound modulus passes all of them is below 2^-27 (Nemec and others, "The Return of Coppersmith's Attack",
 * 2.2). */
static bool roca(const BIGNUM *n)
{
	static const unsigned char primes[] = { 11, 13, 17, 19, 37, 3,  5,  7,  23, 29,  31,  41,  43,  47,  53,  59,
						 61,  67,  71,
						73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149,
						151, 157, 163, 167 };

	for (size_t i = 0; i < COUNT(primes); i++) {
		unsigned p = primes[i], x = 1, r = (unsigned)BN_mod_word(n, p);

		do
			x = x * (65537 % p) % p;
		while (x != r && x != 1);
		if (x != r)
			return false;
	}
	return true;
}

static const char *rsa_weakness(const EVP_PKEY *key)
{
	AUTO(BIGNUM) *n = NULL;
	AUTO(BIGNUM) *exp = NULL;

	if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) != 1 ||
	    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exp) != 1)
		return "RSA key without modulus or exponent";
	if (BN_num_bits(n) < 2048)
		return "RSA key below 2048 bits";
	if (BN_num_bits(n) > 16384)
		return "RSA key above 16384 bits";
	if (!BN_is_odd(n))
		return "RSA modulus is even";
	if (!BN_is_odd(exp))
		return "RSA exponent is even";
	if (BN_is_one(exp))
		return "RSA exponent is 1";
	if (BN_num_bits(exp) > 256)
		return "RSA exponent above 256 bits";
	if (roca(n))
		return "RSA modulus has the ROCA fingerprint (CVE-2017-15361)";
	return NULL;
}

static const char *ec_weakness(const EVP_PKEY *key)
{
	int from_explicit = 0;

	if (EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &from_explicit) == 1 &&
	    from_explicit)
		return "EC key with explicit parameters (RFC 5480 2.1.1)";
	if (EVP_PKEY_get_bits(key) < 224)
		return "EC curve below 224 bits";
	if (!keytype_of(key))
		return "EC curve is not one of P-224, P-256, P-384, P-521";
	return NULL; /* a point that is at infinity or not on the curve does not become a key: key_from_spki */
}

/* Encodings of points of order 1, 2, 4 and 8, the non-canonical ones too, without the sign bit (first octet is
 * lowest). */
static const unsigned char small_order[][32] = {
	{ 0 },
	{ 1 },
	{ 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
	  0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05 },
	{ 0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
	  0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a },
	{ 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
	{ 0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
	{ 0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
};

static const char *ed25519_weakness(const EVP_PKEY *key)
{
	unsigned char y[32];
	size_t n = sizeof(y);

	if (EVP_PKEY_get_raw_public_key(key, y, &n) != 1 || n != sizeof(y))
		return "Ed25519 key without a public half";
	y[31] &= 0x7f;
	for (size_t i = 0; i < COUNT(small_order); i++)
		if (memcmp(y, small_order[i], sizeof(y)) == 0)
			return "Ed25519 point of small order";
	return NULL;
}

const char *key_weakness(const EVP_PKEY *key)
{
	const char *why = NULL;

	if (EVP_PKEY_is_a(key, "RSA"))
		why = rsa_weakness(key);
	else if (EVP_PKEY_is_a(key, "EC"))
		why = ec_weakness(key);
	else if (EVP_PKEY_is_a(key, "ED25519"))
		why = ed25519_weakness(key);
	else if (!keytype_of(key))
		why = "key type is not supported";
	ERR_clear_error();
	return why;
}
