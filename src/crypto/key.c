/* Keys as EVP_PKEY: making, naming, comparing, and one signature or verification at a time. No private key is copied
 * out of its handle here (key_load.c and key_seal.c do that), and no function keeps state, so all are fit for
 * threads. */
#include "crypto/key.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>

#include "crypto/cert.h"
#include "crypto/der.h"
#include "crypto/digest.h"

enum { SIG_MAX = 5120 }; /* ML-DSA-87 needs 4627, RSA of 16384 bits 2048 */

int key_generate(const struct keytype *type, EVP_PKEY **ret, struct err *e)
{
	EVP_PKEY *key;

	if (strcmp(type->ossl, "RSA") == 0)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)type->bits);
	else if (type->group)
		key = EVP_PKEY_Q_keygen(NULL, NULL, type->ossl, type->group);
	else
		key = EVP_PKEY_Q_keygen(NULL, NULL, type->ossl);
	if (!key) {
		err_ossl(e, "key generation");
		return err_ctx(e, "%s", type->name);
	}
	*ret = key;
	return 0;
}

int key_spki(struct arena *a, const EVP_PKEY *key, struct bytes *ret, struct err *e)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(key, &der);

	if (n <= 0)
		return err_ossl(e, "encoding a public key");
	*ret = (struct bytes){ arena_memdup(a, der, (size_t)n), (size_t)n };
	OPENSSL_free(der);
	return 0;
}

char *key_id(struct arena *a, struct bytes spki)
{
	return sha256_hex(a, spki);
}

int key_public_pem(struct arena *a, const EVP_PKEY *key, char **ret, struct err *e)
{
	struct bytes spki, pem;

	if (key_spki(a, key, &spki, e))
		return -1;
	pem = pem_encode(a, "PUBLIC KEY", spki);
	*ret = arena_strndup(a, (const char *)pem.p, pem.n);
	return 0;
}

int key_from_public_pem(struct bytes pem, EVP_PKEY **ret, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct bytes spki;

	if (!pem_next(a, &pem, "PUBLIC KEY", NULL, &spki))
		return err_set(e, ERR_INVALID, "no PEM block \"PUBLIC KEY\" found (RFC 7468 13)");
	return key_from_spki(spki, ret, e);
}

const char *key_strength(const char *algorithm, int64_t bits)
{
	if (strcmp(algorithm, "RSA") == 0)
		return bits >= 3072 ? "HIGH" : bits >= 2048 ? "MEDIUM" : "LOW";
	if (strcmp(algorithm, "ECDSA") == 0)
		return bits >= 384 ? "HIGH" : bits >= 256 ? "MEDIUM" : "LOW";
	return strcmp(algorithm, "Ed25519") == 0 || strcmp(algorithm, "ML-DSA") == 0 ? "HIGH" : "LOW";
}

bool key_matches(const EVP_PKEY *priv, const EVP_PKEY *pub)
{
	bool same = EVP_PKEY_eq(priv, pub) == 1;

	ERR_clear_error();
	return same;
}

static int check_fit(const EVP_PKEY *key, const struct sigalg *alg, struct err *e)
{
	const char *type = EVP_PKEY_get0_type_name(key);

	if (sigalg_fits(alg, key))
		return 0;
	return err_set(e, ERR_INVALID, "algorithm %s does not go with a key of type %s", alg->name,
		       type ? type : "unknown");
}

static bool set_padding(EVP_PKEY_CTX *pc, const struct sigalg *alg)
{
	return !alg->pss || (EVP_PKEY_CTX_set_rsa_padding(pc, RSA_PKCS1_PSS_PADDING) > 0 &&
			     EVP_PKEY_CTX_set_rsa_pss_saltlen(pc, RSA_PSS_SALTLEN_DIGEST) > 0);
}

/* What a failed signature says: the remote signer's own words where there are some. */
static int sign_failed(struct err *e)
{
	if (!key_remote_error(e))
		return err_ossl(e, "signing");
	ERR_clear_error();
	return -1;
}

int key_sign(EVP_PKEY *key, const struct sigalg *alg, struct bytes msg, struct buf *sig, struct err *e)
{
	AUTO(EVP_MD_CTX) *m = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pc = NULL; /* belongs to m */
	unsigned char out[SIG_MAX];
	size_t n = sizeof(out);

	if (check_fit(key, alg, e))
		return -1;
	key_remote_error(NULL);
	if (!m || EVP_DigestSignInit(m, &pc, alg->md ? ossl_md(alg->md) : NULL, NULL, key) != 1 ||
	    !set_padding(pc, alg) ||
	    EVP_DigestSign(m, out, &n, msg.p, msg.n) != 1)
		return sign_failed(e);
	buf_put(sig, out, n);
	return 0;
}

static int check_digest(const struct sigalg *alg, struct bytes digest, struct err *e)
{
	size_t want = alg->md ? (size_t)EVP_MD_get_size(ossl_md(alg->md)) : 0;

	if (!alg->md)
		return err_set(e, ERR_INVALID, "%s signs messages, not digests", alg->name);
	if (digest.n != want)
		return err_set(e, ERR_INVALID, "a digest for %s has %zu octets, not %zu", alg->name, want, digest.n);
	return 0;
}

int key_sign_digest(EVP_PKEY *key, const struct sigalg *alg, struct bytes digest, struct buf *sig, struct err *e)
{
	AUTO(EVP_PKEY_CTX) *pc = NULL;
	unsigned char out[SIG_MAX];
	size_t n = sizeof(out);

	if (check_fit(key, alg, e) || check_digest(alg, digest, e))
		return -1;
	key_remote_error(NULL);
	pc = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	if (!pc || EVP_PKEY_sign_init(pc) <= 0 || !set_padding(pc, alg) ||
	    EVP_PKEY_CTX_set_signature_md(pc, ossl_md(alg->md)) <= 0 ||
	    EVP_PKEY_sign(pc, out, &n, digest.p, digest.n) <= 0)
		return sign_failed(e);
	buf_put(sig, out, n);
	return 0;
}

static int verify_digest(EVP_PKEY *pub, const struct sigalg *alg, struct bytes digest, struct bytes sig, bool *ret,
			 struct err *e)
{
	AUTO(EVP_PKEY_CTX) *pc = EVP_PKEY_CTX_new_from_pkey(NULL, pub, NULL);

	if (check_digest(alg, digest, e))
		return -1;
	if (!pc || EVP_PKEY_verify_init(pc) <= 0 || !set_padding(pc, alg) ||
	    EVP_PKEY_CTX_set_signature_md(pc, ossl_md(alg->md)) <= 0)
		return err_ossl(e, "verifying");
	*ret = EVP_PKEY_verify(pc, sig.p, sig.n, digest.p, digest.n) == 1;
	return 0;
}

int key_verify(EVP_PKEY *pub, const struct sigalg *alg, struct bytes msg, bool is_digest, struct bytes sig,
	       bool *ret_valid, struct err *e)
{
	AUTO(EVP_MD_CTX) *m = NULL;
	EVP_PKEY_CTX *pc = NULL; /* belongs to m */

	if (check_fit(pub, alg, e))
		return -1;
	if (is_digest) {
		if (verify_digest(pub, alg, msg, sig, ret_valid, e))
			return -1;
	} else {
		m = EVP_MD_CTX_new();
		if (!m || EVP_DigestVerifyInit(m, &pc, alg->md ? ossl_md(alg->md) : NULL, NULL, pub) != 1 ||
		    !set_padding(pc, alg))
			return err_ossl(e, "verifying");
		*ret_valid = EVP_DigestVerify(m, sig.p, sig.n, msg.p, msg.n) == 1;
	}
	ERR_clear_error(); /* why it is not valid */
	return 0;
}

static bool all_zero(const unsigned char *p, size_t n)
{
	while (n && *p == 0)
		p++, n--;
	return n == 0;
}

int key_ecdsa_der(struct bytes raw, size_t n, struct buf *ret, struct err *e)
{
	unsigned char room[160];
	struct derw w = derw_init(room, sizeof(room));
	size_t half = n / 2;

	if (raw.n != n || n % 2 != 0 || n == 0 || n > sizeof(room) - 16)
		return err_set(e, ERR_CRYPTO, "ECDSA signature: %zu octets, not %zu", raw.n, n);
	if (all_zero(raw.p, half) || all_zero(raw.p + half, half))
		return err_set(e, ERR_CRYPTO, "ECDSA signature: r or s is zero");
	derw_int_bytes(&w, raw.p + half, half);
	derw_int_bytes(&w, raw.p, half);
	derw_head(&w, DER_SEQUENCE, 0);
	if (w.over)
		return err_set(e, ERR_CRYPTO, "ECDSA signature: too long");
	buf_put(ret, w.p, derw_mark(&w));
	return 0;
}
