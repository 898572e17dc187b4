/* Password-based encryption of private keys (RFC 8018 PBES2, RFC 7914 scrypt), read and written by hand: so that a
 * derived key can be kept and used again, and so that a hostile file cannot make us compute for minutes or take all
 * memory. */
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <string.h>

#include "crypto/der.h"
#include "crypto/key_der.h"

DEFINE_AUTO(EVP_KDF, EVP_KDF_free)
DEFINE_AUTO(EVP_KDF_CTX, EVP_KDF_CTX_free)
DEFINE_AUTO(EVP_CIPHER, EVP_CIPHER_free)
DEFINE_AUTO(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)

#define MAX_ROUNDS UINT64_C(10000000)              /* PBKDF2: about ten seconds */
#define MAX_SCRYPT_MEMORY (UINT64_C(256) << 20)    /* bytes: 128 r N */
#define MAX_SCRYPT_WORK (UINT64_C(1) << 23)        /* r N p: about ten seconds */

#define OID_PBES2 "1.2.840.113549.1.5.13"
#define OID_PBKDF2 "1.2.840.113549.1.5.12"
#define OID_SCRYPT "1.3.6.1.4.1.11591.4.11"
#define OID_HMAC_SHA256 "1.2.840.113549.2.9"
#define OID_AES256 "2.16.840.1.101.3.4.1.42"

/* clang-format off */
static const struct { const char *oid, *md; } prfs[] = {
	{ "1.2.840.113549.2.7", "SHA1" }, { "1.2.840.113549.2.8", "SHA224" }, { OID_HMAC_SHA256, "SHA256" },
	{ "1.2.840.113549.2.10", "SHA384" }, { "1.2.840.113549.2.11", "SHA512" },
};
static const struct { const char *oid, *name; size_t key_n, block; } ciphers[] = {
	{ OID_AES256, "AES-256-CBC", 32, 16 }, { "2.16.840.1.101.3.4.1.22", "AES-192-CBC", 24, 16 },
	{ "2.16.840.1.101.3.4.1.2", "AES-128-CBC", 16, 16 }, { "1.2.840.113549.3.7", "DES-EDE3-CBC", 24, 8 },
};
/* clang-format on */

bool kdf_rounds_ok(uint64_t rounds)
{
	return rounds >= 1 && rounds <= MAX_ROUNDS;
}

static bool scrypt_ok(uint64_t n, uint64_t r, uint64_t p)
{
	if (n < 2 || n & (n - 1) || n > MAX_SCRYPT_WORK || r < 1 || r > 1024 || p < 1 || p > 1024)
		return false;
	return 128 * r * n <= MAX_SCRYPT_MEMORY && r * n * p <= MAX_SCRYPT_WORK;
}

/* AlgorithmIdentifier: OID as text, and a reader that stands at the parameters. */
static bool algorithm(struct der *d, char oid[64], struct der *ret_params)
{
	struct bytes body, id;

	if (!der_expect(d, DER_SEQUENCE, &body))
		return false;
	*ret_params = der_of(body);
	return der_expect(ret_params, DER_OID, &id) && der_oid(id, oid, 64);
}

static bool number(struct der *d, uint64_t *ret)
{
	struct bytes v;

	return der_expect(d, DER_INTEGER, &v) && der_uint(v, ret);
}

/* keyLength, when it is given, must be the cipher's; that is checked where the cipher is known. */
static bool key_length(struct der *d, uint64_t *ret)
{
	int tag;

	return !der_peek(d, &tag) || tag != DER_INTEGER || number(d, ret);
}

static int parse_pbkdf2(struct der d, struct pbes2 *x, uint64_t *ret_len, struct err *e)
{
	char oid[64];
	struct der prf;
	uint64_t rounds;

	if (!der_expect(&d, DER_OCTETSTRING, &x->seal.salt) || !number(&d, &rounds) || !key_length(&d, ret_len))
		return err_set(e, ERR_INVALID, "PBKDF2 parameters are malformed (RFC 8018 A.2)");
	if (!kdf_rounds_ok(rounds))
		return err_set(e, ERR_INVALID, "PBKDF2 with %llu rounds is refused", (unsigned long long)rounds);
	x->seal.kdf = KDF_PBKDF2;
	x->seal.iterations = (int64_t)rounds;
	x->prf = "SHA1"; /* the default */
	if (der_done(&d))
		return 0;
	x->prf = NULL;
	if (!algorithm(&d, oid, &prf) || !der_done(&d))
		return err_set(e, ERR_INVALID, "PBKDF2 parameters are malformed (RFC 8018 A.2)");
	for (size_t i = 0; i < COUNT(prfs); i++)
		if (strcmp(prfs[i].oid, oid) == 0)
			x->prf = prfs[i].md;
	return x->prf ? 0 : err_set(e, ERR_UNSUPPORTED, "PBKDF2 with function %s is not supported", oid);
}

static int parse_scrypt(struct der d, struct pbes2 *x, uint64_t *ret_len, struct err *e)
{
	uint64_t n, r, p;

	if (!der_expect(&d, DER_OCTETSTRING, &x->seal.salt) || !number(&d, &n) || !number(&d, &r) || !number(&d, &p) ||
	    !key_length(&d, ret_len) || !der_done(&d))
		return err_set(e, ERR_INVALID, "scrypt parameters are malformed (RFC 7914 7.1)");
	if (!scrypt_ok(n, r, p))
		return err_set(e, ERR_INVALID, "scrypt with N = %llu, r = %llu, p = %llu is refused",
			       (unsigned long long)n, (unsigned long long)r, (unsigned long long)p);
	x->seal.kdf = KDF_SCRYPT;
	x->seal.n = (int64_t)n;
	x->seal.r = (int64_t)r;
	x->seal.p = (int64_t)p;
	return 0;
}

static int parse_cipher(struct der *schemes, struct pbes2 *x, uint64_t key_len, struct err *e)
{
	char oid[64];
	struct der params;

	if (!algorithm(schemes, oid, &params) || !der_expect(&params, DER_OCTETSTRING, &x->iv) || !der_done(&params) ||
	    !der_done(schemes))
		return err_set(e, ERR_INVALID, "PBES2 encryption scheme is malformed (RFC 8018 A.4)");
	for (size_t i = 0; i < COUNT(ciphers); i++) {
		if (strcmp(ciphers[i].oid, oid) != 0)
			continue;
		if (x->iv.n != ciphers[i].block || (key_len && key_len != ciphers[i].key_n))
			return err_set(e, ERR_INVALID, "PBES2 IV or key length is wrong (RFC 8018 B.2)");
		x->cipher = ciphers[i].name;
		x->key_n = ciphers[i].key_n;
		return 0;
	}
	return err_set(e, ERR_UNSUPPORTED, "encryption scheme %s is not supported", oid);
}

int pbes2_parse(struct bytes der, struct pbes2 *ret, struct err *e)
{
	struct der d = der_of(der), in, params, schemes, kdf;
	struct pbes2 x = { .key_n = 0 };
	struct bytes body;
	uint64_t key_len = 0;
	char oid[64];
	int failed;

	if (!der_expect(&d, DER_SEQUENCE, &body) || !der_done(&d))
		return err_set(e, ERR_INVALID, "not an EncryptedPrivateKeyInfo (RFC 5958 3)");
	in = der_of(body);
	if (!algorithm(&in, oid, &params) || !der_expect(&in, DER_OCTETSTRING, &x.data) || !der_done(&in))
		return err_set(e, ERR_INVALID, "not an EncryptedPrivateKeyInfo (RFC 5958 3)");
	if (strcmp(oid, OID_PBES2) != 0)
		return err_set(e, ERR_UNSUPPORTED, "encryption scheme %s is not supported", oid);
	if (!der_expect(&params, DER_SEQUENCE, &body) || !der_done(&params))
		return err_set(e, ERR_INVALID, "PBES2 parameters are malformed (RFC 8018 A.4)");
	schemes = der_of(body);
	if (!algorithm(&schemes, oid, &kdf))
		return err_set(e, ERR_INVALID, "PBES2 parameters are malformed (RFC 8018 A.4)");
	params = kdf;
	if (!der_expect(&params, DER_SEQUENCE, &body) || !der_done(&params))
		return err_set(e, ERR_INVALID, "PBES2 parameters are malformed (RFC 8018 A.4)");
	if (strcmp(oid, OID_PBKDF2) == 0)
		failed = parse_pbkdf2(der_of(body), &x, &key_len, e);
	else if (strcmp(oid, OID_SCRYPT) == 0)
		failed = parse_scrypt(der_of(body), &x, &key_len, e);
	else
		failed = err_set(e, ERR_UNSUPPORTED, "key derivation %s is not supported", oid);
	if (failed || parse_cipher(&schemes, &x, key_len, e))
		return -1;
	*ret = x;
	return 0;
}

static OSSL_PARAM octets(const char *name, struct bytes b)
{
	void *p;

	memcpy(&p, &b.p, sizeof(p)); /* OSSL_PARAM has no const; it only reads */
	return OSSL_PARAM_construct_octet_string(name, b.n ? p : &(char){ 0 }, b.n);
}

int pbes2_derive(const struct pbes2 *x, const char *passphrase, unsigned char key[PBES2_KEY_MAX], struct err *e)
{
	bool scrypt = x->seal.kdf == KDF_SCRYPT;
	AUTO(EVP_KDF) *kdf = EVP_KDF_fetch(NULL, scrypt ? "SCRYPT" : "PBKDF2", NULL);
	AUTO(EVP_KDF_CTX) *kc = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	uint64_t n = (uint64_t)x->seal.n, memory = 2 * MAX_SCRYPT_MEMORY;
	uint32_t r = (uint32_t)x->seal.r, p = (uint32_t)x->seal.p;
	unsigned rounds = (unsigned)x->seal.iterations;
	char md[8];
	OSSL_PARAM params[7], *at = params;

	*at++ = octets(OSSL_KDF_PARAM_PASSWORD, bytes_of(passphrase));
	*at++ = octets(OSSL_KDF_PARAM_SALT, x->seal.salt);
	if (scrypt) {
		*at++ = OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n);
		*at++ = OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r);
		*at++ = OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p);
		*at++ = OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory);
	} else {
		snprintf(md, sizeof(md), "%s", x->prf);
		*at++ = OSSL_PARAM_construct_uint(OSSL_KDF_PARAM_ITER, &rounds);
		*at++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, md, 0);
	}
	*at = OSSL_PARAM_construct_end();
	if (!kc || EVP_KDF_derive(kc, key, x->key_n, params) != 1)
		return err_ossl(e, "key derivation");
	return 0;
}

/* CBC in one go, either way. */
static int cbc(struct arena *a, const char *name, bool encrypt, const unsigned char *key, const unsigned char *iv,
	       struct bytes in, struct bytes *ret)
{
	AUTO(EVP_CIPHER) *c = EVP_CIPHER_fetch(NULL, name, NULL);
	AUTO(EVP_CIPHER_CTX) *cc = EVP_CIPHER_CTX_new();
	unsigned char *out = arena_alloc(a, in.n + EVP_MAX_BLOCK_LENGTH, 1);
	int n = 0, last = 0;

	if (!c || !cc || in.n > INT32_MAX / 2 || EVP_CipherInit_ex2(cc, c, key, iv, encrypt, NULL) != 1 ||
	    EVP_CipherUpdate(cc, out, &n, in.p, (int)in.n) != 1 || EVP_CipherFinal_ex(cc, out + n, &last) != 1)
		return -1;
	*ret = (struct bytes){ out, (size_t)(n + last) };
	return 0;
}

int pbes2_decrypt(struct arena *a, const struct pbes2 *x, const unsigned char *key, struct bytes *ret, struct err *e)
{
	if (cbc(a, x->cipher, false, key, x->iv.p, x->data, ret)) {
		err_ossl(e, "decryption");
		return err_set(e, ERR_DENIED, "the passphrase does not open the key");
	}
	return 0;
}

static void put_kdf(struct derw *w, const struct key_seal *s)
{
	size_t mark = derw_mark(w), prf;

	if (s->kdf == KDF_SCRYPT) {
		derw_uint(w, (uint64_t)s->p);
		derw_uint(w, (uint64_t)s->r);
		derw_uint(w, (uint64_t)s->n);
	} else {
		prf = derw_mark(w);
		derw_tlv(w, DER_NULL, NULL, 0);
		derw_oid(w, OID_HMAC_SHA256);
		derw_head(w, DER_SEQUENCE, prf);
		derw_uint(w, (uint64_t)s->iterations);
	}
	derw_tlv(w, DER_OCTETSTRING, s->salt.p, s->salt.n);
	derw_head(w, DER_SEQUENCE, mark);
	derw_oid(w, s->kdf == KDF_SCRYPT ? OID_SCRYPT : OID_PBKDF2);
	derw_head(w, DER_SEQUENCE, mark);
}

int pbes2_encrypt(struct arena *a, const struct key_seal *s, const unsigned char key[PBES2_KEY_MAX], struct bytes plain,
		  struct bytes *ret_der, struct err *e)
{
	unsigned char iv[16];
	struct bytes data;
	struct derw w;
	size_t room, mark;

	if (RAND_bytes(iv, sizeof(iv)) != 1 || cbc(a, "AES-256-CBC", true, key, iv, plain, &data))
		return err_ossl(e, "encryption");
	room = data.n + s->salt.n + 256;
	w = derw_init(arena_alloc(a, room, 1), room);
	derw_tlv(&w, DER_OCTETSTRING, data.p, data.n);
	mark = derw_mark(&w);
	derw_tlv(&w, DER_OCTETSTRING, iv, sizeof(iv));
	derw_oid(&w, OID_AES256);
	derw_head(&w, DER_SEQUENCE, mark);
	put_kdf(&w, s);
	derw_head(&w, DER_SEQUENCE, mark);
	derw_oid(&w, OID_PBES2);
	derw_head(&w, DER_SEQUENCE, mark);
	derw_head(&w, DER_SEQUENCE, 0);
	if (w.over)
		return err_set(e, ERR_INVALID, "salt is too long");
	*ret_der = derw_bytes(&w);
	return 0;
}
