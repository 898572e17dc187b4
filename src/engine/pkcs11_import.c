/* Private keys from files into a token: as an object, or wrapped where the token takes no plain key. Guarantees: the
 * key is sensitive and not extractable from then on, and says so truthfully that it was not made there; plain parts are
 * in wiped memory only; a public object stands beside it, and when one of the two could not be made none is left. */
#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <string.h>

#include "crypto/der.h"
#include "engine/key_wrap.h"
#include "engine/pkcs11.h"

enum { ATTRS = 24, WRAP_BITS = 2048, AES_LEN = 32 };

struct template {
	CK_ATTRIBUTE v[ATTRS];
	size_t n;
};

struct importing {
	EVP_PKEY *key;
	const struct keytype *type;
	const char *label;
	struct bytes id, spki;
	struct arena *secret; /* plain parts: of the task */
	char *handle;
};

static void add(struct template *t, CK_ATTRIBUTE_TYPE type, const void *p, size_t n)
{
	t->v[t->n++] = P11_ATTR(type, p, n);
}

static int add_number(struct arena *a, struct template *t, CK_ATTRIBUTE_TYPE type, const EVP_PKEY *key,
		      const char *name, size_t width, struct err *e)
{
	BIGNUM *n = NULL;
	unsigned char *p;
	int len;

	if (EVP_PKEY_get_bn_param(key, name, &n) != 1)
		return err_ossl(e, "reading the key");
	len = width ? (int)width : BN_num_bytes(n);
	p = arena_alloc(a, 1, (size_t)len + 1);
	len = BN_bn2binpad(n, p, len);
	BN_clear_free(n);
	if (len < 0)
		return err_ossl(e, "reading the key");
	add(t, type, p, (size_t)len);
	return 0;
}

static int rsa_parts(struct importing *m, struct template *t, bool all, struct err *e)
{
	static const struct {
		CK_ATTRIBUTE_TYPE type;
		const char *name;
	} parts[] = { { CKA_MODULUS, OSSL_PKEY_PARAM_RSA_N }, { CKA_PUBLIC_EXPONENT, OSSL_PKEY_PARAM_RSA_E },
		      { CKA_PRIVATE_EXPONENT, OSSL_PKEY_PARAM_RSA_D }, { CKA_PRIME_1, OSSL_PKEY_PARAM_RSA_FACTOR1 },
		      { CKA_PRIME_2, OSSL_PKEY_PARAM_RSA_FACTOR2 }, { CKA_EXPONENT_1, OSSL_PKEY_PARAM_RSA_EXPONENT1 },
		      { CKA_EXPONENT_2, OSSL_PKEY_PARAM_RSA_EXPONENT2 },
		      { CKA_COEFFICIENT, OSSL_PKEY_PARAM_RSA_COEFFICIENT1 } };

	for (size_t i = 0; i < (all ? COUNT(parts) : 2); i++)
		if (add_number(m->secret, t, parts[i].type, m->key, parts[i].name, 0, e) != 0)
			return -1;
	return 0;
}

/* The secret number of a curve. */
static int ec_secret(struct importing *m, struct template *t, struct err *e)
{
	unsigned char *p;
	size_t n = 64;

	if (m->type->group)
		return add_number(m->secret, t, CKA_VALUE, m->key, OSSL_PKEY_PARAM_PRIV_KEY,
				  ((size_t)m->type->bits + 7) / 8, e);
	p = arena_alloc(m->secret, 1, n);
	if (EVP_PKEY_get_raw_private_key(m->key, p, &n) != 1)
		return err_ossl(e, "reading the key");
	add(t, CKA_VALUE, p, n);
	return 0;
}

/* CKA_EC_POINT: the BIT STRING of the SubjectPublicKeyInfo as an OCTET STRING. */
static int ec_point(struct importing *m, struct template *t, struct err *e)
{
	struct der d = der_of(m->spki), in;
	struct bytes body, alg, bits, point;

	if (!der_expect(&d, DER_SEQUENCE, &body))
		return err_set(e, ERR_CRYPTO, "not a public key");
	in = der_of(body);
	if (!der_expect(&in, DER_SEQUENCE, &alg) || !der_expect(&in, DER_BITSTRING, &bits) || bits.n < 2)
		return err_set(e, ERR_CRYPTO, "not a public key");
	point = DER_JOIN(m->secret, DER_OCTETSTRING, ((struct bytes){ bits.p + 1, bits.n - 1 }));
	add(t, CKA_EC_POINT, point.p, point.n);
	return 0;
}

static void common(const struct importing *m, struct template *t, const CK_OBJECT_CLASS *class, const CK_KEY_TYPE *type,
		   const CK_BBOOL *is_private)
{
	add(t, CKA_CLASS, class, sizeof(*class));
	add(t, CKA_KEY_TYPE, type, sizeof(*type));
	add(t, CKA_TOKEN, &p11_yes, sizeof(p11_yes));
	add(t, CKA_PRIVATE, is_private, sizeof(*is_private));
	add(t, CKA_LABEL, m->label, strlen(m->label));
	add(t, CKA_ID, m->id.p, m->id.n);
}

static void staying(struct template *t)
{
	add(t, CKA_SENSITIVE, &p11_yes, sizeof(p11_yes));
	add(t, CKA_EXTRACTABLE, &p11_no, sizeof(p11_no));
	add(t, CKA_SIGN, &p11_yes, sizeof(p11_yes));
}

static CK_KEY_TYPE type_of(const struct importing *m)
{
	return strcmp(m->type->ossl, "RSA") == 0 ? CKK_RSA : m->type->group ? CKK_EC : CKK_EC_EDWARDS;
}

static int put_public(struct p11_use *u, struct importing *m, CK_OBJECT_HANDLE *ret, struct err *e)
{
	static const CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
	const CK_KEY_TYPE type = type_of(m);
	struct bytes curve = p11_curve(m->type);
	struct template t = { 0 };
	CK_RV rv;

	common(m, &t, &class, &type, &p11_no);
	add(&t, CKA_VERIFY, &p11_yes, sizeof(p11_yes));
	if (curve.n)
		add(&t, CKA_EC_PARAMS, curve.p, curve.n);
	if ((curve.n ? ec_point(m, &t, e) : rsa_parts(m, &t, false, e)) != 0)
		return -1;
	rv = P11(u->f, C_CreateObject, u->s, t.v, t.n, ret);
	return rv == CKR_OK ? 0 : p11_fail(u, "C_CreateObject (public key)", rv, e);
}

static int put_private(struct p11_use *u, struct importing *m, CK_OBJECT_HANDLE *ret, struct err *e)
{
	static const CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	const CK_KEY_TYPE type = type_of(m);
	struct bytes curve = p11_curve(m->type);
	struct template t = { 0 };
	CK_RV rv;

	common(m, &t, &class, &type, &p11_yes);
	staying(&t);
	if (curve.n)
		add(&t, CKA_EC_PARAMS, curve.p, curve.n);
	if ((curve.n ? ec_secret(m, &t, e) : rsa_parts(m, &t, true, e)) != 0)
		return -1;
	rv = P11(u->f, C_CreateObject, u->s, t.v, t.n, ret);
	return rv == CKR_OK ? 0 : p11_fail(u, "C_CreateObject (private key)", rv, e);
}

/* --- wrapped --- */

static CK_RV unwrap(struct p11_use *u, CK_OBJECT_HANDLE with, CK_MECHANISM m, struct bytes wrapped,
		    struct importing *to, CK_OBJECT_HANDLE *ret)
{
	static const CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	const CK_KEY_TYPE type = type_of(to);
	struct template t = { 0 };

	common(to, &t, &class, &type, &p11_yes);
	staying(&t);
	return P11(u->f, C_UnwrapKey, u->s, &m, with, (CK_BYTE *)(uintptr_t)wrapped.p, wrapped.n, t.v, t.n, ret);
}

/* Under an AES key that is given to the token for this journey. */
static int put_under_aes(struct p11_use *u, struct importing *m, CK_OBJECT_HANDLE *ret, struct err *e)
{
	static const CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	static const CK_KEY_TYPE type = CKK_AES;
	unsigned char *aes = arena_alloc(m->secret, 1, AES_LEN);
	CK_ATTRIBUTE t[] = { P11_VAR(CKA_CLASS, class), P11_VAR(CKA_KEY_TYPE, type), P11_VAR(CKA_TOKEN, p11_no),
			     P11_VAR(CKA_UNWRAP, p11_yes), P11_ATTR(CKA_VALUE, aes, AES_LEN) };
	CK_OBJECT_HANDLE key;
	struct bytes wrapped;
	CK_RV rv;

	if (RAND_priv_bytes(aes, AES_LEN) != 1)
		return err_ossl(e, "random numbers");
	if (key_wrap_aes(u->arena, (struct bytes){ aes, AES_LEN }, m->key, &wrapped, e) != 0)
		return -1;
	rv = P11(u->f, C_CreateObject, u->s, t, COUNT(t), &key);
	if (rv != CKR_OK)
		return p11_fail(u, "C_CreateObject (wrapping key)", rv, e);
	rv = unwrap(u, key, (CK_MECHANISM){ CKM_AES_KEY_WRAP_PAD, NULL, 0 }, wrapped, m, ret);
	P11(u->f, C_DestroyObject, u->s, key);
	return rv == CKR_OK ? 0 : p11_fail(u, "C_UnwrapKey", rv, e);
}

/* An RSA pair for one journey; not kept by the token. */
static int wrapping_pair(struct p11_use *u, CK_OBJECT_HANDLE pair[2], struct err *e)
{
	static const CK_BYTE exponent[] = { 1, 0, 1 };
	CK_ULONG bits = WRAP_BITS;
	CK_MECHANISM how = { .mechanism = p11_rsa_generator(u->p) };
	CK_ATTRIBUTE pub[] = { P11_VAR(CKA_TOKEN, p11_no), P11_VAR(CKA_WRAP, p11_yes), P11_VAR(CKA_MODULUS_BITS, bits),
			       P11_ATTR(CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent)) };
	CK_ATTRIBUTE priv[] = { P11_VAR(CKA_TOKEN, p11_no), P11_VAR(CKA_PRIVATE, p11_yes),
				P11_VAR(CKA_SENSITIVE, p11_yes),
				P11_VAR(CKA_EXTRACTABLE, p11_no), P11_VAR(CKA_UNWRAP, p11_yes) };
	CK_RV rv = P11_SLOW(u->f, C_GenerateKeyPair, u->s, &how, pub, COUNT(pub), priv, COUNT(priv), &pair[0],
			    &pair[1]);

	return rv == CKR_OK ? 0 : p11_fail(u, "C_GenerateKeyPair (wrapping key)", rv, e);
}

/* Under an RSA key that the token has made for this journey. */
static int put_under_rsa(struct p11_use *u, struct importing *m, CK_OBJECT_HANDLE *ret, struct err *e)
{
	CK_RSA_PKCS_OAEP_PARAMS oaep = { .hash_alg = CKM_SHA256, .mgf = CKG_MGF1_SHA256, .source = CKZ_DATA_SPECIFIED };
	struct { /* CK_RSA_AES_KEY_WRAP_PARAMS, PKCS#11 2.40 2.1.21 */
		CK_ULONG aes_bits;
		CK_RSA_PKCS_OAEP_PARAMS *oaep;
	} how = { 8 * AES_LEN, &oaep };
	AUTO(EVP_PKEY) *rsa = NULL;
	CK_OBJECT_HANDLE pair[2];
	struct bytes wrapped;
	CK_RV rv = CKR_OK;
	int rc;

	if (wrapping_pair(u, pair, e) != 0)
		return -1;
	rc = p11_public(u, pair[0], &rsa, e) != 0 || key_wrap(u->arena, rsa, m->key, &wrapped, e) != 0 ? -1 : 0;
	if (rc == 0)
		rv = unwrap(u, pair[1], (CK_MECHANISM){ P11_RSA_AES_KEY_WRAP, &how, sizeof(how) }, wrapped, m, ret);
	P11(u->f, C_DestroyObject, u->s, pair[1]);
	P11(u->f, C_DestroyObject, u->s, pair[0]);
	return rc == 0 && rv != CKR_OK ? p11_fail(u, "C_UnwrapKey", rv, e) : rc;
}

static int put_wrapped(struct p11_use *u, struct importing *m, CK_OBJECT_HANDLE *ret, struct err *e)
{
	if (p11_has(u->p, P11_RSA_AES_KEY_WRAP))
		return put_under_rsa(u, m, ret, e);
	if (p11_has(u->p, CKM_AES_KEY_WRAP_PAD))
		return put_under_aes(u, m, ret, e);
	return p11_fail(u, "C_UnwrapKey", CKR_MECHANISM_INVALID, e);
}

static int put_both(struct p11_use *u, struct importing *m, CK_OBJECT_HANDLE pair[2], struct err *e)
{
	if (put_public(u, m, &pair[0], e) != 0)
		return -1;
	if (put_private(u, m, &pair[1], e) == 0)
		return 0;
	if (!p11_not_able(u->rv))
		return -1;
	*e = (struct err){ 0 };
	u->rv = CKR_OK;
	return put_wrapped(u, m, &pair[1], e);
}

static int import(struct p11_use *u, void *arg, struct err *e)
{
	struct importing *m = arg;
	CK_OBJECT_HANDLE pair[2];

	m->secret = u->arena;
	m->label = arena_strdup(u->arena, m->label);
	if (p11_fresh_id(u, &m->id, e) != 0)
		return -1;
	if (put_both(u, m, pair, e) == 0 && p11_settle(u, pair, m->key, m->id, &m->handle, e) == 0)
		return 0;
	p11_remove(u, m->id);
	if (!p11_not_able(u->rv))
		return -1;
	e->code = ERR_UNSUPPORTED;
	return err_ctx(e, "the token does not take private keys like this one");
}

int p11_import(struct ctx *ctx, struct engine *en, EVP_PKEY *key, const char *label, struct keyref *ret, struct err *e)
{
	SCOPED_ARENA *secret = arena_new();
	struct importing m = { .key = key, .type = keytype_of(key), .label = label ? label : "" };

	if (p11_writable(en->priv, e) != 0 || key_spki(secret, key, &m.spki, e) != 0 ||
	    p11_run(ctx, en->priv, secret, import, &m, e) != 0)
		return -1;
	*ret = (struct keyref){ .handle = arena_strdup(ctx->arena, m.handle), .label = label };
	return 0;
}
