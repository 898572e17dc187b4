/* Containers of other people's making and for them: PKCS#7 with certificates only, PKCS#12. Nothing is taken out of
 * a PKCS#12 whose key derivation would run for minutes, and no passphrase appears in a message. */
#include "crypto/bundle.h"

#include <openssl/err.h>
#include <openssl/pkcs7.h>
#include <openssl/provider.h>
#include <string.h>

#include "crypto/cert.h"
#include "crypto/der.h"
#include "crypto/dn.h"
#include "crypto/key.h"

enum { P12_MAX = 4 << 20, ITERATIONS_MAX = 5000000, CERTS_MAX = 10000, ITERATIONS = 100000 };

int p7_certs(struct arena *a, const struct bytes *ders, size_t n, struct bytes *ret_der, struct err *e)
{
	static const unsigned char version[] = { DER_INTEGER, 1, 1 }, empty[] = { DER_SET, 0 };
	const struct bytes one = { version, sizeof(version) }, none = { empty, sizeof(empty) };
	struct bytes signed_data, data, certs;

	if (dn_oid(a, "1.2.840.113549.1.7.2", &signed_data) < 0 || dn_oid(a, "1.2.840.113549.1.7.1", &data) < 0)
		return err_set(e, ERR_CRYPTO, "PKCS#7: object identifier");
	certs = n ? der_join(a, DER_CTX_CONS, ders, n) : (struct bytes){ 0 };
	data = DER_JOIN(a, DER_SEQUENCE, DER_JOIN(a, DER_OID, data));
	data = DER_JOIN(a, DER_SEQUENCE, one, none, data, certs, none);
	*ret_der = DER_JOIN(a, DER_SEQUENCE, DER_JOIN(a, DER_OID, signed_data), DER_JOIN(a, DER_CTX_CONS, data));
	return 0;
}

/* DER as we and most others write it (RFC 5652 5.1); OpenSSL takes a hundred times as long. false: ask it. */
static bool split_plain(struct arena *a, struct bytes der, struct bytes **ret_v, size_t *ret_n)
{
	struct der all = der_of(der), d;
	struct bytes part, whole, *v = NULL;
	size_t n = 0;
	char oid[32];
	int tag;

	if (!der_expect(&all, DER_SEQUENCE, &part) || !der_done(&all))
		return false;
	d = der_of(part);
	if (!der_expect(&d, DER_OID, &part) || !der_oid(part, oid, sizeof(oid)) ||
	    strcmp(oid, "1.2.840.113549.1.7.2") != 0 ||
	    !der_expect(&d, DER_CTX_CONS, &part) || !der_done(&d))
		return false;
	d = der_of(part);
	if (!der_expect(&d, DER_SEQUENCE, &part) || !der_done(&d))
		return false;
	d = der_of(part);
	if (!der_expect(&d, DER_INTEGER, &part) || !der_expect(&d, DER_SET, &part) ||
	    !der_expect(&d, DER_SEQUENCE, &part) ||
	    !der_expect(&d, DER_CTX_CONS, &part))
		return false;
	for (d = der_of(part); !der_done(&d); v[n++] = whole) {
		if (n == CERTS_MAX || !der_next(&d, &tag, &part, &whole) || tag != DER_SEQUENCE)
			return false;
		v = arena_grow(a, v, n, sizeof(*v));
	}
	*ret_v = v;
	*ret_n = n;
	return true;
}

static int take_cert(struct arena *a, X509 *x, struct bytes **v, size_t *n, struct err *e)
{
	unsigned char *der = NULL;
	int len = i2d_X509(x, &der);

	if (len <= 0)
		return err_ossl(e, "certificate");
	*v = arena_grow(a, *v, *n, sizeof(**v));
	(*v)[(*n)++] = (struct bytes){ arena_memdup(a, der, (size_t)len), (size_t)len };
	OPENSSL_free(der);
	return 0;
}

int p7_split(struct arena *a, struct bytes der, struct bytes **ret_v, size_t *ret_n, struct err *e)
{
	const unsigned char *p = der.p;
	AUTO(PKCS7) *p7 = NULL;
	const STACK_OF(X509) * certs;
	struct bytes *v = NULL;
	size_t n = 0;

	if (split_plain(a, der, ret_v, ret_n))
		return 0;
	p7 = d2i_PKCS7(NULL, &p, (long)der.n);
	if (!p7 || p != der.p + der.n) {
		ERR_clear_error();
		return err_set(e, ERR_INVALID, "neither a certificate nor PKCS#7");
	}
	if (!PKCS7_type_is_signed(p7) || !p7->d.sign)
		return err_set(e, ERR_INVALID, "PKCS#7 without certificates");
	certs = p7->d.sign->cert;
	for (int i = 0; certs && i < sk_X509_num(certs) && i < CERTS_MAX; i++)
		if (take_cert(a, sk_X509_value(certs, i), &v, &n, e) < 0)
			return -1;
	*ret_v = v;
	*ret_n = n;
	return 0;
}

/* Old files use RC2, which OpenSSL 3 has in its legacy provider only: a library context of its own, used while one
 * file is read. */
struct reader {
	struct arena *a;
	const char *passphrase;
	int len;
	OSSL_LIB_CTX *legacy;
	OSSL_PROVIDER *providers[2];
	struct p12 out;
};

static void close_reader(struct reader *r)
{
	for (size_t i = 0; i < COUNT(r->providers); i++)
		if (r->providers[i])
			OSSL_PROVIDER_unload(r->providers[i]);
	OSSL_LIB_CTX_free(r->legacy);
	EVP_PKEY_free(r->out.key);
}

static OSSL_LIB_CTX *legacy(struct reader *r)
{
	if (!r->legacy && (r->legacy = OSSL_LIB_CTX_new())) {
		r->providers[0] = OSSL_PROVIDER_load(r->legacy, "default");
		r->providers[1] = OSSL_PROVIDER_load(r->legacy, "legacy");
	}
	return r->legacy;
}

/* Iteration counts, and scrypt's costs, are the INTEGERs in an algorithm's parameters; an absurd one is refused
 * unread. */
static bool sane_costs(struct bytes params, int depth)
{
	struct der d = der_of(params);
	struct bytes v;
	uint64_t n;
	int tag;

	while (!der_done(&d)) {
		if (depth > 6 || !der_next(&d, &tag, &v, NULL))
			return false;
		if (tag == DER_INTEGER && (!der_uint(v, &n) || n > ITERATIONS_MAX))
			return false;
		if (tag == DER_SEQUENCE && !sane_costs(v, depth + 1))
			return false;
	}
	return true;
}

static int check_alg(const X509_ALGOR *alg, struct err *e)
{
	unsigned char *der = NULL;
	int n = i2d_X509_ALGOR(alg, &der);
	bool good = n > 0 && sane_costs((struct bytes){ der, (size_t)n }, 0);

	OPENSSL_free(der);
	return good ? 0 : err_set(e, ERR_INVALID, "PKCS#12: more than %d rounds of key derivation", ITERATIONS_MAX);
}

static int undecipherable(struct err *e)
{
	struct err why = { 0 };

	err_ossl(&why, "PKCS#12");
	if (strstr(why.msg, "unsupported") || strstr(why.msg, "unknown"))
		return err_set(e, ERR_UNSUPPORTED,
			       "PKCS#12: encrypted with an algorithm that this OpenSSL does not have");
	return err_set(e, ERR_DENIED, "PKCS#12: the passphrase is wrong");
}

static int take_key(struct reader *r, const PKCS8_PRIV_KEY_INFO *p8, struct err *e)
{
	EVP_PKEY *key = p8 ? EVP_PKCS82PKEY(p8) : NULL;

	if (!key)
		return err_ossl(e, "PKCS#12: private key");
	if (r->out.key) {
		EVP_PKEY_free(key);
		return err_set(e, ERR_INVALID, "PKCS#12: more than one private key");
	}
	r->out.key = key;
	return 0;
}

static int take_shrouded(struct reader *r, const PKCS12_SAFEBAG *bag, struct err *e)
{
	const X509_SIG *sig = PKCS12_SAFEBAG_get0_pkcs8(bag);
	AUTO(PKCS8_PRIV_KEY_INFO) *p8 = NULL;
	const X509_ALGOR *alg;

	X509_SIG_get0(sig, &alg, NULL);
	if (check_alg(alg, e) < 0)
		return -1;
	p8 = PKCS8_decrypt_ex(sig, r->passphrase, r->len, NULL, NULL);
	if (!p8)
		p8 = PKCS8_decrypt_ex(sig, r->passphrase, r->len, legacy(r), NULL);
	return p8 ? take_key(r, p8, e) : undecipherable(e);
}

static int take_bag(struct reader *r, PKCS12_SAFEBAG *bag, struct err *e)
{
	char *name = PKCS12_get_friendlyname(bag);
	AUTO(X509) *x = NULL;

	if (name && !r->out.name)
		r->out.name = arena_strdup(r->a, name);
	OPENSSL_free(name);
	switch (PKCS12_SAFEBAG_get_nid(bag)) {
	case NID_keyBag:
		return take_key(r, PKCS12_SAFEBAG_get0_p8inf(bag), e);
	case NID_pkcs8ShroudedKeyBag:
		return take_shrouded(r, bag, e);
	case NID_certBag:
		if (r->out.ncerts == CERTS_MAX)
			return err_set(e, ERR_INVALID, "PKCS#12: more than %d certificates", CERTS_MAX);
		x = PKCS12_SAFEBAG_get1_cert(bag);
		return x ? take_cert(r->a, x, &r->out.certs, &r->out.ncerts, e) : err_ossl(e, "PKCS#12: certificate");
	default:
		return 0; /* CRLs and secrets are not ours */
	}
}

static STACK_OF(PKCS12_SAFEBAG) * open_safe(struct reader *r, PKCS7 *p7, struct err *e)
{
	STACK_OF(PKCS12_SAFEBAG) *bags = NULL;

	if (PKCS7_type_is_data(p7)) {
		bags = PKCS12_unpack_p7data(p7);
		if (!bags)
			err_ossl(e, "PKCS#12");
	} else if (PKCS7_type_is_encrypted(p7) && p7->d.encrypted && p7->d.encrypted->enc_data) {
		if (check_alg(p7->d.encrypted->enc_data->algorithm, e) < 0)
			return NULL;
		bags = PKCS12_unpack_p7encdata(p7, r->passphrase, r->len);
		if (!bags) {
			bags = PKCS12_item_decrypt_d2i_ex(p7->d.encrypted->enc_data->algorithm,
							  ASN1_ITEM_rptr(PKCS12_SAFEBAGS), r->passphrase, r->len,
							  p7->d.encrypted->enc_data->enc_data, 1, legacy(r), NULL);
		}
		if (!bags)
			undecipherable(e);
	} else {
		err_set(e, ERR_UNSUPPORTED, "PKCS#12: encrypted to a certificate, not with a passphrase");
	}
	return bags;
}

static int read_safe(struct reader *r, PKCS7 *p7, struct err *e)
{
	STACK_OF(PKCS12_SAFEBAG) *bags = open_safe(r, p7, e);
	int rc = bags ? 0 : -1;

	for (int i = 0; rc == 0 && i < sk_PKCS12_SAFEBAG_num(bags); i++)
		rc = take_bag(r, sk_PKCS12_SAFEBAG_value(bags, i), e);
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	return rc;
}

/* Without a passphrase some write the empty string and some nothing at all; the two derive different keys. */
static int check_mac(struct reader *r, PKCS12 *p12, struct err *e)
{
	const ASN1_INTEGER *iterations;

	if (!PKCS12_mac_present(p12))
		return 0;
	PKCS12_get0_mac(NULL, NULL, NULL, &iterations, p12);
	if (iterations && (ASN1_INTEGER_get(iterations) < 0 || ASN1_INTEGER_get(iterations) > ITERATIONS_MAX))
		return err_set(e, ERR_INVALID, "PKCS#12: more than %d rounds of key derivation", ITERATIONS_MAX);
	if (PKCS12_verify_mac(p12, r->passphrase, r->len) == 1)
		return 0;
	if (r->len == 0) {
		r->passphrase = r->passphrase ? NULL : "";
		if (PKCS12_verify_mac(p12, r->passphrase, r->len) == 1)
			return 0;
	}
	ERR_clear_error();
	return err_set(e, ERR_DENIED, "PKCS#12: the passphrase is wrong");
}

/* The key's certificate goes to the front; the others keep their order. */
static void own_first(struct p12 *out)
{
	for (size_t i = 0; out->key && i < out->ncerts; i++) {
		const unsigned char *p = out->certs[i].p;
		AUTO(X509) *x = d2i_X509(NULL, &p, (long)out->certs[i].n);
		struct bytes own = out->certs[i];

		if (!x || !X509_get0_pubkey(x) || EVP_PKEY_eq(X509_get0_pubkey(x), out->key) != 1)
			continue;
		memmove(out->certs + 1, out->certs, i * sizeof(*out->certs));
		out->certs[0] = own;
		break;
	}
	ERR_clear_error();
}

int p12_load(struct arena *a, struct bytes der, const char *passphrase, struct p12 *ret, struct err *e)
{
	__attribute__((cleanup(close_reader))) struct reader r = { .a = a, .passphrase = passphrase ? passphrase : "" };
	const unsigned char *p = der.p;
	AUTO(PKCS12) *p12 = der.n <= P12_MAX ? d2i_PKCS12(NULL, &p, (long)der.n) : NULL;
	STACK_OF(PKCS7) * safes;
	int rc = 0;

	r.len = (int)strlen(r.passphrase);
	if (!p12 || p != der.p + der.n) {
		ERR_clear_error();
		return err_set(e, ERR_INVALID, "not a PKCS#12 file (RFC 7292)");
	}
	if (check_mac(&r, p12, e) < 0)
		return -1;
	safes = PKCS12_unpack_authsafes(p12);
	if (!safes)
		return err_ossl(e, "PKCS#12");
	for (int i = 0; rc == 0 && i < sk_PKCS7_num(safes); i++)
		rc = read_safe(&r, sk_PKCS7_value(safes, i), e);
	sk_PKCS7_pop_free(safes, PKCS7_free);
	ERR_clear_error();
	if (rc < 0)
		return -1;
	own_first(&r.out);
	*ret = r.out;
	r.out.key = NULL;
	return 0;
}

static void free_certs(STACK_OF(X509) **s)
{
	sk_X509_pop_free(*s, X509_free);
}

int p12_build(struct arena *a, EVP_PKEY *key, const struct bytes *certs, size_t ncerts, const char *name,
	      const char *passphrase, bool legacy_algs, struct bytes *ret_der, struct err *e)
{
	__attribute__((cleanup(free_certs))) STACK_OF(X509) *others = sk_X509_new_null();
	int pbe = legacy_algs ? NID_pbe_WithSHA1And3_Key_TripleDES_CBC : NID_aes_256_cbc;
	int rounds = legacy_algs ? 2048 : ITERATIONS;
	AUTO(X509) *own = NULL;
	AUTO(PKCS12) *p12 = NULL;
	unsigned char *der = NULL;
	int n;

	for (size_t i = 0; i < ncerts; i++) {
		const unsigned char *p = certs[i].p;
		X509 *x = d2i_X509(NULL, &p, (long)certs[i].n);

		if (!x)
			return err_ossl(e, "PKCS#12: certificate");
		if (key && !own)
			own = x;
		else if (sk_X509_push(others, x) <= 0)
			return err_ossl(e, "PKCS#12: certificate");
	}
	p12 = PKCS12_create(passphrase, name, key, own, others, pbe, pbe, rounds, -1, 0);
	if (!p12 || PKCS12_set_mac(p12, passphrase, -1, NULL, 0, rounds, legacy_algs ? EVP_sha1() : EVP_sha256()) != 1)
		return err_ossl(e, "PKCS#12");
	n = i2d_PKCS12(p12, &der);
	if (n <= 0)
		return err_ossl(e, "PKCS#12");
	*ret_der = (struct bytes){ arena_memdup(a, der, (size_t)n), (size_t)n };
	OPENSSL_clear_free(der, (size_t)n);
	return 0;
}
