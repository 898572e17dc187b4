/* Objects of a token: finding them, reading attributes, and public keys out of them. Guarantees: what a module says
 * about lengths is checked and bounded; a key is named by its CKA_ID, never by an object handle, which another session
 * may see differently; several private keys under one name are an error, not a choice. */
#include <string.h>

#include "base/text.h"
#include "crypto/cert.h"
#include "crypto/der.h"
#include "crypto/key.h"
#include "engine/pkcs11.h"

enum { ATTR_MAX = 1 << 16 };
#define LABEL "label:"

const CK_BBOOL p11_yes = CK_TRUE, p11_no = CK_FALSE;

int p11_find(struct p11_use *u, CK_ATTRIBUTE *t, size_t n, CK_OBJECT_HANDLE *out, size_t max, size_t *ret_n,
	     struct err *e)
{
	CK_RV rv = P11(u->f, C_FindObjectsInit, u->s, t, n);
	CK_ULONG got = 1;

	if (rv != CKR_OK)
		return p11_fail(u, "C_FindObjectsInit", rv, e);
	for (*ret_n = 0; rv == CKR_OK && got && *ret_n < max; *ret_n += got) {
		got = 0;
		rv = P11(u->f, C_FindObjects, u->s, out + *ret_n, max - *ret_n, &got);
		if (got > max - *ret_n)
			rv = CKR_GENERAL_ERROR;
		if (rv != CKR_OK)
			break;
	}
	(void)P11(u->f, C_FindObjectsFinal, u->s);
	return rv == CKR_OK ? 0 : p11_fail(u, "C_FindObjects", rv, e);
}

bool p11_attr(struct p11_use *u, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, struct bytes *ret)
{
	CK_ATTRIBUTE t = { .type = type };
	CK_RV rv = P11(u->f, C_GetAttributeValue, u->s, object, &t, 1);
	CK_ULONG room;

	if (rv == CKR_OK && t.ulValueLen != CK_UNAVAILABLE_INFORMATION && t.ulValueLen <= ATTR_MAX) {
		room = t.ulValueLen;
		t.pValue = arena_alloc(u->arena, 1, room + 1);
		rv = P11(u->f, C_GetAttributeValue, u->s, object, &t, 1);
		if (rv == CKR_OK && t.ulValueLen <= room) {
			*ret = (struct bytes){ t.pValue, t.ulValueLen };
			return true;
		}
	}
	if (p11_lost(rv))
		u->rv = rv;
	return false;
}

bool p11_attr_true(struct p11_use *u, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
	struct bytes v;

	return p11_attr(u, object, type, &v) && v.n == 1 && v.p[0] == CK_TRUE;
}

/* --- names --- */

int p11_objects(struct p11_use *u, const char *handle, CK_OBJECT_CLASS class, CK_OBJECT_HANDLE *out, size_t max,
		size_t *ret_n, struct err *e)
{
	CK_ATTRIBUTE t[3] = { P11_VAR(CKA_CLASS, class), P11_VAR(CKA_TOKEN, p11_yes) };
	struct bytes id;

	if (text_has_prefix(handle, LABEL))
		t[2] = P11_ATTR(CKA_LABEL, arena_strdup(u->arena, handle + strlen(LABEL)),
				strlen(handle) - strlen(LABEL));
	else if (hex_decode(u->arena, handle, &id) == 0 && id.n > 0 && id.n <= P11_ID_MAX)
		t[2] = P11_ATTR(CKA_ID, id.p, id.n);
	else
		return err_set(e, ERR_INVALID, "\"%s\" is not the name of a key of a PKCS#11 token", handle);
	return p11_find(u, t, COUNT(t), out, max, ret_n, e);
}

char *p11_handle(struct p11_use *u, CK_OBJECT_HANDLE object)
{
	struct bytes v;

	if (p11_attr(u, object, CKA_ID, &v) && v.n > 0 && v.n <= P11_ID_MAX)
		return hex_encode(u->arena, v);
	if (p11_attr(u, object, CKA_LABEL, &v) && v.n > 0 && v.n <= P11_ID_MAX && utf8_valid(v))
		return arena_printf(u->arena, LABEL "%s", (const char *)v.p);
	return NULL;
}

static int find_private(struct p11_use *u, const char *handle, CK_OBJECT_HANDLE *ret, struct err *e)
{
	CK_OBJECT_HANDLE found[2];
	size_t n;

	if (p11_objects(u, handle, CKO_PRIVATE_KEY, found, COUNT(found), &n, e) != 0)
		return -1;
	if (n == 0)
		return err_set(e, ERR_NOT_FOUND, "the token has no private key %s", handle);
	if (n > 1)
		return err_set(e, ERR_CONFLICT, "the token has several private keys %s; give each a CKA_ID of its own",
			       handle);
	*ret = found[0];
	return 0;
}

static size_t order_of(struct p11_use *u, CK_OBJECT_HANDLE object)
{
	struct bytes curve;

	if (p11_attr(u, object, CKA_EC_PARAMS, &curve))
		for (const struct keytype *k = keytypes; k->name; k++)
			if (k->group && bytes_equal(curve, p11_curve(k)))
				return ((size_t)k->bits + 7) / 8;
	return 0;
}

static struct p11_known *recall(struct p11 *p, const char *handle)
{
	for (size_t i = 0; i < p->nknown; i++)
		if (strcmp(p->known[i]->handle, handle) == 0)
			return p->known[i];
	return NULL;
}

static void remember(struct p11 *p, const struct p11_known *k)
{
	struct p11_known *had = recall(p, k->handle);

	if (!had) {
		had = arena_new_array(p->arena, 1, struct p11_known);
		p->known = arena_grow(p->arena, p->known, p->nknown, sizeof(struct p11_known *));
		p->known[p->nknown++] = had;
		had->handle = arena_strdup(p->arena, k->handle);
	}
	had->object = k->object;
	had->epoch = k->epoch;
	had->order = k->order;
	had->always_auth = k->always_auth;
}

int p11_key(struct p11_use *u, const char *handle, struct p11_known *ret, struct err *e)
{
	struct p11 *p = u->p;
	const struct p11_known *had;
	struct p11_known k = { .handle = handle, .epoch = u->epoch };

	p11_lock(&p->lock);
	had = recall(p, handle);
	if (had && had->epoch == u->epoch)
		k = *had;
	p11_unlock(&p->lock);
	if (!k.object) {
		if (find_private(u, handle, &k.object, e) != 0)
			return -1;
		k.order = order_of(u, k.object);
		k.always_auth = p11_attr_true(u, k.object, CKA_ALWAYS_AUTHENTICATE);
		p11_lock(&p->lock);
		remember(p, &k);
		p11_unlock(&p->lock);
	}
	*ret = k;
	return 0;
}

/* --- public keys, as the SubjectPublicKeyInfo that their attributes make --- */

static const struct {
	const char *keytype;
	struct bytes params;
} curves[] = {
#define DER(s) { (const unsigned char *)(s), sizeof(s) - 1 }
	{ "ecdsa:224", DER("\x06\x05\x2b\x81\x04\x00\x21") },
	{ "ecdsa:256", DER("\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07") },
	{ "ecdsa:384", DER("\x06\x05\x2b\x81\x04\x00\x22") },
	{ "ecdsa:521", DER("\x06\x05\x2b\x81\x04\x00\x23") },
	{ "ed25519", DER("\x06\x03\x2b\x65\x70") },
};

struct bytes p11_curve(const struct keytype *type)
{
	for (size_t i = 0; i < COUNT(curves); i++)
		if (strcmp(curves[i].keytype, type->name) == 0)
			return curves[i].params;
	return (struct bytes){ 0 };
}

/* BIT STRING without unused bits around the key */
static struct bytes bit_string(struct arena *a, struct bytes key)
{
	return DER_JOIN(a, DER_BITSTRING, DER("\0"), key);
}

static struct bytes unsigned_int(struct arena *a, struct bytes v)
{
	while (v.n > 1 && v.p[0] == 0)
		v.p++, v.n--;
	return v.n && v.p[0] & 0x80 ? DER_JOIN(a, DER_INTEGER, DER("\0"), v) : DER_JOIN(a, DER_INTEGER, v);
}

static bool rsa_spki(struct p11_use *u, CK_OBJECT_HANDLE object, struct bytes *ret)
{
	static const struct bytes alg = DER("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00");
	struct arena *a = u->arena;
	struct bytes n, x;

	if (!p11_attr(u, object, CKA_MODULUS, &n) || !p11_attr(u, object, CKA_PUBLIC_EXPONENT, &x) || n.n == 0 ||
	    x.n == 0)
		return false;
	*ret = DER_JOIN(a, DER_SEQUENCE, alg,
			bit_string(a, DER_JOIN(a, DER_SEQUENCE, unsigned_int(a, n), unsigned_int(a, x))));
	return true;
}

/* Of this many octets, 0 for any: within an OCTET STRING as the standard wants it, or as it is. When the length is
 * known the head is not read: tpm2-pkcs11 writes one for P-521 that is no DER. */
static bool point_of(struct p11_use *u, CK_OBJECT_HANDLE object, size_t n, struct bytes *ret)
{
	struct bytes v, inner;
	struct der d;

	if (!p11_attr(u, object, CKA_EC_POINT, &v) || v.n == 0)
		return false;
	d = der_of(v);
	if (n == 0)
		*ret = der_expect(&d, DER_OCTETSTRING, &inner) && der_done(&d) ? inner : v;
	else if (v.n == n || (v.n > n && v.n <= n + 3 && v.p[0] == DER_OCTETSTRING))
		*ret = (struct bytes){ v.p + (v.n - n), n };
	else
		return false;
	return true;
}

static bool ec_spki(struct p11_use *u, CK_OBJECT_HANDLE object, struct bytes *ret)
{
	static const struct bytes id = DER("\x06\x07\x2a\x86\x48\xce\x3d\x02\x01");
	size_t order = order_of(u, object);
	struct bytes params, point;

	if (!p11_attr(u, object, CKA_EC_PARAMS, &params) || !point_of(u, object, order ? 2 * order + 1 : 0, &point))
		return false;
	*ret = DER_JOIN(u->arena, DER_SEQUENCE, DER_JOIN(u->arena, DER_SEQUENCE, id, params),
			bit_string(u->arena, point));
	return true;
}

static bool edwards_spki(struct p11_use *u, CK_OBJECT_HANDLE object, struct bytes *ret)
{
	static const struct bytes alg = DER("\x30\x05\x06\x03\x2b\x65\x70");
	struct bytes point;

	if (!point_of(u, object, 32, &point)) /* Ed448 has 57 */
		return false;
	*ret = DER_JOIN(u->arena, DER_SEQUENCE, alg, bit_string(u->arena, point));
	return true;
}

int p11_public(struct p11_use *u, CK_OBJECT_HANDLE object, EVP_PKEY **ret, struct err *e)
{
	struct bytes v, spki;
	CK_KEY_TYPE type;
	bool got;

	if (!p11_attr(u, object, CKA_KEY_TYPE, &v) || v.n != sizeof(type))
		return err_set(e, ERR_REMOTE, "the token does not say of what type the key is");
	memcpy(&type, v.p, sizeof(type));
	got = type == CKK_RSA ? rsa_spki(u, object, &spki) : type == CKK_EC ? ec_spki(u, object, &spki)
		    : type == CKK_EC_EDWARDS					? edwards_spki(u, object, &spki)
										: false;
	if (!got) /* since PKCS#11 3.0 */
		got = p11_attr(u, object, CKA_PUBLIC_KEY_INFO, &spki) && spki.n > 0;
	if (!got)
		return err_set(e, ERR_UNSUPPORTED, "the token does not give the public half of the key");
	return key_from_spki(spki, ret, e);
}

static int from_certificate(struct p11_use *u, const char *handle, EVP_PKEY **ret, struct err *e)
{
	CK_OBJECT_HANDLE object;
	struct bytes der;
	struct cert c;
	size_t n;

	if (p11_objects(u, handle, CKO_CERTIFICATE, &object, 1, &n, e) != 0)
		return -1;
	if (n == 0 || !p11_attr(u, object, CKA_VALUE, &der))
		return err_set(e, ERR_UNSUPPORTED,
			       "the token has neither a public key nor a certificate for the private key %s",
			       handle);
	return cert_parse(u->arena, der, &c, e) == 0 ? key_from_spki(c.spki, ret, e) : -1;
}

/* From the public object, else from what the private one tells, else from a certificate. */
int p11_pubkey(struct p11_use *u, const char *handle, EVP_PKEY **ret, struct err *e)
{
	struct err ignored = { 0 };
	struct p11_known k;
	CK_OBJECT_HANDLE object;
	size_t n;

	if (p11_key(u, handle, &k, e) != 0 || p11_objects(u, handle, CKO_PUBLIC_KEY, &object, 1, &n, e) != 0)
		return -1;
	if ((n && p11_public(u, object, ret, &ignored) == 0) || p11_public(u, k.object, ret, &ignored) == 0)
		return 0;
	return from_certificate(u, handle, ret, e);
}
