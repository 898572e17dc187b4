/* Keys as JSON Web Keys (RFC 7517, 7518): public halves from the vault, private ones on their way into it. Guarantees:
 * numbers have exactly the length that their curve has; a key that is not well-formed or not on its curve is refused; a
 * private key is written into memory that is wiped, and nowhere else. */
#include <openssl/core_names.h>
#include <string.h>

#include "base/text.h"
#include "crypto/der.h"
#include "engine/azure.h"

enum { RSA_MAX = 2048, EXPONENT_MAX = 8 };

static const struct {
	const char *crv, *oid;
	size_t n; /* octets of a number */
} curves[] = { { "P-256", "1.2.840.10045.3.1.7", 32 }, { "P-384", "1.3.132.0.34", 48 },
	       { "P-521", "1.3.132.0.35", 66 } };

const char *azure_curve(const char *group)
{
	for (size_t i = 0; group && i < COUNT(curves); i++)
		if (strcmp(curves[i].crv, group) == 0)
			return curves[i].crv;
	return NULL;
}

/* The member as octets; false when it is absent, not base64url, empty or longer than max. */
static bool member(struct arena *a, json_t *jwk, const char *name, size_t max, struct bytes *ret)
{
	const char *text = remote_text(jwk, name);

	return text && b64url_decode(a, bytes_of(text), ret) == 0 && ret->n > 0 && ret->n <= max;
}

/* SubjectPublicKeyInfo around the key that `w` holds; `parameters`: an OID, or NULL for the NULL of RSA. */
static int from_parts(const char *algorithm, const char *parameters, struct derw *w, EVP_PKEY **ret, struct err *e)
{
	size_t mark;

	derw_raw(w, "", 1); /* no unused bits */
	derw_head(w, DER_BITSTRING, 0);
	mark = derw_mark(w);
	if (parameters)
		derw_oid(w, parameters);
	else
		derw_tlv(w, DER_NULL, "", 0);
	derw_oid(w, algorithm);
	derw_head(w, DER_SEQUENCE, mark);
	derw_head(w, DER_SEQUENCE, 0);
	return w->over ? err_set(e, ERR_REMOTE, "the key is too large") : key_from_spki(derw_bytes(w), ret, e);
}

static int rsa_public(struct arena *a, json_t *jwk, EVP_PKEY **ret, struct err *e)
{
	unsigned char room[RSA_MAX + 128];
	struct derw w = derw_init(room, sizeof(room));
	struct bytes n, exponent;

	if (!member(a, jwk, "n", RSA_MAX, &n) || !member(a, jwk, "e", EXPONENT_MAX, &exponent))
		return err_set(e, ERR_REMOTE, "the key is not a JSON Web Key (RFC 7518 6.3.1)");
	derw_int_bytes(&w, exponent.p, exponent.n);
	derw_int_bytes(&w, n.p, n.n);
	derw_head(&w, DER_SEQUENCE, 0);
	return from_parts("1.2.840.113549.1.1.1", NULL, &w, ret, e);
}

static int ec_public(struct arena *a, json_t *jwk, EVP_PKEY **ret, struct err *e)
{
	const char *crv = remote_text(jwk, "crv");
	unsigned char room[256];
	struct derw w = derw_init(room, sizeof(room));
	size_t i;
	struct bytes x, y;

	for (i = 0; crv && i < COUNT(curves); i++)
		if (strcmp(curves[i].crv, crv) == 0)
			break;
	if (!crv || i == COUNT(curves))
		return err_set(e, ERR_UNSUPPORTED, "keys on the curve \"%s\" sign nothing here",
			       crv ? remote_say(a, crv) : "");
	if (!member(a, jwk, "x", curves[i].n, &x) || !member(a, jwk, "y", curves[i].n, &y) || x.n != curves[i].n ||
	    y.n != curves[i].n)
		return err_set(e, ERR_REMOTE, "the key is not a JSON Web Key (RFC 7518 6.2.1)");
	derw_raw(&w, y.p, y.n);
	derw_raw(&w, x.p, x.n);
	derw_raw(&w, "\4", 1); /* not compressed */
	return from_parts("1.2.840.10045.2.1", curves[i].oid, &w, ret, e);
}

int azure_jwk_public(struct arena *a, json_t *jwk, EVP_PKEY **ret, struct err *e)
{
	const char *kty = remote_text(jwk, "kty");
	int rc;

	if (kty && (strcmp(kty, "RSA") == 0 || strcmp(kty, "RSA-HSM") == 0))
		rc = rsa_public(a, jwk, ret, e);
	else if (kty && (strcmp(kty, "EC") == 0 || strcmp(kty, "EC-HSM") == 0))
		rc = ec_public(a, jwk, ret, e);
	else
		return err_set(e, ERR_UNSUPPORTED, "keys of type \"%s\" sign nothing here",
			       kty ? remote_say(a, kty) : "");
	if (rc != 0 && e->code != ERR_UNSUPPORTED)
		e->code = ERR_REMOTE;
	return rc;
}

/* --- private keys --- */

/* ,"name":"number", `n` octets long or as long as it is. */
static bool put_number(struct arena *a, const EVP_PKEY *key, const char *param, const char *name, size_t n,
		       struct buf *out)
{
	BIGNUM *bn = BN_secure_new();
	unsigned char *p;
	size_t len;
	bool good;

	good = bn && EVP_PKEY_get_bn_param(key, param, &bn) == 1;
	len = good ? n ? n : (size_t)BN_num_bytes(bn) : 0;
	p = arena_alloc(a, 1, len + 1);
	good = good && len <= RSA_MAX && BN_bn2binpad(bn, p, (int)len) == (int)len;
	if (good)
		buf_printf(out, ",\"%s\":\"%s\"", name, b64url_encode(a, (struct bytes){ p, len }));
	BN_clear_free(bn);
	return good;
}

static bool put_rsa(struct arena *a, const EVP_PKEY *key, struct buf *out)
{
	static const struct {
		const char *param, *name;
	} rows[] = { { OSSL_PKEY_PARAM_RSA_N, "n" }, { OSSL_PKEY_PARAM_RSA_E, "e" }, { OSSL_PKEY_PARAM_RSA_D, "d" },
		     { OSSL_PKEY_PARAM_RSA_FACTOR1, "p" }, { OSSL_PKEY_PARAM_RSA_FACTOR2, "q" },
		     { OSSL_PKEY_PARAM_RSA_EXPONENT1, "dp" }, { OSSL_PKEY_PARAM_RSA_EXPONENT2, "dq" },
		     { OSSL_PKEY_PARAM_RSA_COEFFICIENT1, "qi" } };

	for (size_t i = 0; i < COUNT(rows); i++)
		if (!put_number(a, key, rows[i].param, rows[i].name, 0, out))
			return false;
	return true;
}

static bool put_ec(struct arena *a, const EVP_PKEY *key, const char *group, struct buf *out)
{
	size_t i;

	for (i = 0; i < COUNT(curves); i++)
		if (strcmp(curves[i].crv, group) == 0)
			break;
	if (i == COUNT(curves))
		return false;
	buf_printf(out, ",\"crv\":\"%s\"", curves[i].crv);
	return put_number(a, key, OSSL_PKEY_PARAM_EC_PUB_X, "x", curves[i].n, out) &&
	       put_number(a, key, OSSL_PKEY_PARAM_EC_PUB_Y, "y", curves[i].n, out) &&
	       put_number(a, key, OSSL_PKEY_PARAM_PRIV_KEY, "d", curves[i].n, out);
}

int azure_jwk_private(const EVP_PKEY *key, bool hsm, struct buf *ret, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	const struct keytype *type = keytype_of(key);
	bool rsa = type && strcmp(type->ossl, "RSA") == 0;

	if (!type || !(rsa || azure_curve(type->group)))
		return err_set(e, ERR_UNSUPPORTED, "Azure holds RSA keys and those on P-256, P-384 and P-521");
	buf_printf(ret, "{\"kty\":\"%s%s\",\"key_ops\":[\"sign\",\"verify\"]", rsa ? "RSA" : "EC", hsm ? "-HSM" : "");
	if (!(rsa ? put_rsa(a, key, ret) : put_ec(a, key, type->group, ret)) || ret->over)
		return err_set(e, ERR_CRYPTO, "the parts of the private key cannot be had");
	buf_putc(ret, '}');
	return 0;
}
