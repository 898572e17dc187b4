/* Tokens. Guarantees: the algorithm comes from the manager's list and must fit the key, so that neither "none" nor a
 * public key taken for a secret gets anybody in; what the header calls critical is refused; a token ends. Signatures
 * are verified by cjose, those of Ed25519, which it does not know, by OpenSSL. */
#include "est/jwt.h"

#include <cjose/cjose.h>
#include <string.h>

#include "base/text.h"
#include "crypto/ossl.h"

enum { TOKEN_MAX = 16 << 10, LEEWAY_SECS = 60, RSA_BITS_MIN = 2048 };

static const struct alg {
	const char *name, *kty, *crv; /* crv NULL: none */
	size_t sig;                   /* octets; 0: as long as the key */
} algs[] = {
	{ "ES256", "EC", "P-256", 64 }, { "ES384", "EC", "P-384", 96 }, { "ES512", "EC", "P-521", 132 },
	{ "RS256", "RSA", NULL, 0 },
	{ "RS384", "RSA", NULL, 0 }, { "RS512", "RSA", NULL, 0 }, { "PS256", "RSA", NULL, 0 },
	{ "PS384", "RSA", NULL, 0 },
	{ "PS512", "RSA", NULL, 0 }, { "EdDSA", "OKP", "Ed25519", 64 },
};

static const struct alg *find_alg(const char *name)
{
	for (size_t i = 0; i < COUNT(algs); i++)
		if (strcmp(algs[i].name, name) == 0)
			return &algs[i];
	return NULL;
}

/* --- reading --- */

static int part(struct arena *a, const char *text, size_t n, struct bytes *ret)
{
	struct bytes in = { (const unsigned char *)text, n };

	for (size_t i = 0; i < n; i++) /* one encoding for one token */
		if (strchr("= \t\r\n", text[i]))
			return -1;
	return b64url_decode(a, in, ret);
}

static int read_header(struct jwt *t, struct err *e)
{
	t->alg = est_json_str(&t->header, "alg");
	t->kid = est_json_str(&t->header, "kid");
	if (!t->alg)
		return err_set(e, ERR_INVALID, "token: names no algorithm");
	if (node_find(&t->header, "crit") || node_find(&t->header, "b64"))
		return err_set(e, ERR_INVALID,
			       "token: has a header that is critical and not known here (RFC 7515 4.1.11)");
	if (node_find(&t->header, "kid") && !t->kid)
		return err_set(e, ERR_INVALID, "token: kid is no text");
	return 0;
}

int jwt_parse(struct arena *a, const char *text, struct jwt *ret, struct err *e)
{
	size_t n = strlen(text), head = strcspn(text, "."), body;
	struct jwt t = { .compact = bytes_of(text) };
	struct bytes header, claims;

	if (n > TOKEN_MAX)
		return err_set(e, ERR_INVALID, "token: longer than %d bytes", TOKEN_MAX);
	body = text[head] ? strcspn(text + head + 1, ".") : 0;
	if (!text[head] || text[head + 1 + body] != '.' || strchr(text + head + body + 2, '.'))
		return err_set(e, ERR_INVALID, "token: does not have three parts (RFC 7515 3.1)");
	if (part(a, text, head, &header) != 0 || part(a, text + head + 1, body, &claims) != 0 ||
	    part(a, text + head + body + 2, n - head - body - 2, &t.sig) != 0)
		return err_set(e, ERR_INVALID, "token: is not base64url");
	if (est_json(a, "token", header, &t.header, e) != 0 || est_json(a, "token", claims, &t.claims, e) != 0 ||
	    read_header(&t, e) != 0)
		return -1;
	t.signed_part = (struct bytes){ t.compact.p, head + body + 1 };
	*ret = t;
	return 0;
}

int jwks_parse(struct arena *a, struct bytes text, struct node *ret, struct err *e)
{
	const struct node *keys;

	if (est_json(a, "key set", text, ret, e) != 0)
		return -1;
	keys = node_find(ret, "keys");
	return keys && keys->kind == NODE_LIST ? 0
					       : err_set(e, ERR_INVALID, "key set: has no list of keys (RFC 7517 5)");
}

/* --- keys --- */

int jwt_check_alg(const struct jwt *t, const struct jwt_auth *rules, struct err *e)
{
	for (size_t i = 0; find_alg(t->alg) && i < rules->algorithms.n; i++)
		if (strcmp(rules->algorithms.v[i], t->alg) == 0)
			return 0;
	return err_set(e, ERR_DENIED, "token: its algorithm is not accepted");
}

static bool same(const struct node *key, const char *name, const char *wanted)
{
	const char *is = est_json_str(key, name);

	return is && strcmp(is, wanted) == 0;
}

/* Is it a key that may verify such a token? */
static bool fits(const struct jwt *t, const struct node *key)
{
	const struct alg *alg = find_alg(t->alg);
	const struct node *ops;
	bool verify = true;

	if (!alg || key->kind != NODE_MAP || !same(key, "kty", alg->kty) || (alg->crv && !same(key, "crv", alg->crv)))
		return false;
	if ((node_find(key, "use") && !same(key, "use", "sig")) || (node_find(key, "alg") && !same(key, "alg", t->alg)))
		return false;
	ops = node_find(key, "key_ops");
	if (ops)
		verify = false;
	for (size_t i = 0; ops && ops->kind == NODE_LIST && i < ops->n; i++)
		verify = verify || (ops->items[i].kind == NODE_SCALAR && strcmp(ops->items[i].text, "verify") == 0);
	return verify;
}

const struct node *jwt_find_key(const struct jwt *t, const struct node *jwks)
{
	const struct node *keys = node_find(jwks, "keys"), *found = NULL;

	for (size_t i = 0; keys && keys->kind == NODE_LIST && i < keys->n; i++) {
		if (!fits(t, &keys->items[i]) || (t->kid && !same(&keys->items[i], "kid", t->kid)))
			continue;
		if (found)
			return NULL; /* which of them is not said */
		found = &keys->items[i];
	}
	return found;
}

/* --- signatures --- */

DEFINE_AUTO(cjose_jws_t, cjose_jws_release)
DEFINE_AUTO(cjose_jwk_t, cjose_jwk_release)

static int verify_ed25519(struct arena *a, const struct jwt *t, const struct node *jwk, struct err *e)
{
	AUTO(EVP_PKEY) *key = NULL;
	AUTO(EVP_MD_CTX) *md = EVP_MD_CTX_new();
	const char *x = est_json_str(jwk, "x");
	struct bytes raw;

	if (!x || part(a, x, strlen(x), &raw) != 0 ||
	    !(key = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, raw.p, raw.n)))
		return err_ossl(e, "key of the token");
	if (!md || EVP_DigestVerifyInit_ex(md, NULL, NULL, NULL, NULL, key, NULL) != 1)
		return err_ossl(e, "signature of the token");
	if (EVP_DigestVerify(md, t->sig.p, t->sig.n, t->signed_part.p, t->signed_part.n) != 1) {
		struct err ignored = { 0 };

		(void)err_ossl(&ignored, "");
		return err_set(e, ERR_DENIED, "token: the signature is wrong");
	}
	return 0;
}

static int verify_cjose(const struct jwt *t, const struct node *jwk, struct err *e)
{
	SCOPED_BUF json = buf_init(BUF_TEXT);
	AUTO(cjose_jws_t) *jws = NULL;
	AUTO(cjose_jwk_t) *key = NULL;
	const char *alg;
	cjose_err why;

	json_print(jwk, 0, &json);
	key = cjose_jwk_import(buf_str(&json), json.n, &why);
	if (!key)
		return err_set(e, ERR_DENIED, "token: its key cannot be used");
	if (cjose_jwk_get_kty(key, &why) == CJOSE_JWK_KTY_RSA && cjose_jwk_get_keysize(key, &why) < RSA_BITS_MIN)
		return err_set(e, ERR_DENIED, "token: its key is not safe to use");
	jws = cjose_jws_import((const char *)t->compact.p, t->compact.n, &why);
	alg = jws ? cjose_header_get(cjose_jws_get_protected(jws), CJOSE_HDR_ALG, &why) : NULL;
	if (!alg || strcmp(alg, t->alg) != 0 || !cjose_jws_verify(jws, key, &why))
		return err_set(e, ERR_DENIED, "token: the signature is wrong");
	return 0;
}

int jwt_verify(struct arena *a, const struct jwt *t, const struct node *jwk, struct err *e)
{
	const struct alg *alg = find_alg(t->alg);
	struct err ignored = { 0 };
	int r;

	if (!alg || !fits(t, jwk) || (alg->sig && t->sig.n != alg->sig))
		return err_set(e, ERR_DENIED, "token: the signature is wrong");
	r = strcmp(alg->kty, "OKP") == 0 ? verify_ed25519(a, t, jwk, e) : verify_cjose(t, jwk, e);
	if (r != 0)
		(void)err_ossl(&ignored, ""); /* what libraries left behind */
	return r;
}

/* --- claims --- */

static bool in_audience(const struct node *claims, const char *wanted)
{
	const struct node *aud = node_find(claims, "aud");

	if (same(claims, "aud", wanted))
		return true;
	for (size_t i = 0; aud && aud->kind == NODE_LIST && i < aud->n; i++)
		if (aud->items[i].kind == NODE_SCALAR && !aud->items[i].plain &&
		    strcmp(aud->items[i].text, wanted) == 0)
			return true;
	return false;
}

static int check_times(const struct node *claims, int64_t now, struct err *e)
{
	double exp, from;

	if (!est_json_number(claims, "exp", &exp) || !(exp < (double)TIME_MAX))
		return err_set(e, ERR_DENIED, "token: says not when it ends");
	if ((double)now >= exp + LEEWAY_SECS)
		return err_set(e, ERR_DENIED, "token: has expired");
	for (int i = 0; i < 2; i++) {
		const char *name = i ? "iat" : "nbf";

		if (!node_find(claims, name))
			continue;
		if (!est_json_number(claims, name, &from) || !((double)now + LEEWAY_SECS >= from))
			return err_set(e, ERR_DENIED, "token: is not valid yet");
	}
	return 0;
}

int jwt_check_claims(const struct jwt *t, const struct jwt_auth *rules, int64_t now, struct err *e)
{
	if (!same(&t->claims, "iss", rules->issuer))
		return err_set(e, ERR_DENIED, "token: is of another issuer");
	if (!in_audience(&t->claims, rules->audience))
		return err_set(e, ERR_DENIED, "token: is for another audience");
	if (check_times(&t->claims, now, e) != 0)
		return -1;
	for (size_t i = 0; i < rules->required_claims.n; i++) {
		const struct node *n = node_find(&t->claims, rules->required_claims.v[i]);

		if (!n || node_is_null(n))
			return err_set(e, ERR_DENIED, "token: a claim is missing that is required");
	}
	return 0;
}
