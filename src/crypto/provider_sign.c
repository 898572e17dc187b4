/* Signatures of remote keys: calls back to key_sign_fn, once for each signature. No signature leaves before it has been
 * verified with the public key: a backend that signs wrongly is an error, and its words and code reach the caller. */
#include "crypto/provider.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

struct signing { /* a signature operation */
	struct remote *key;
	EVP_MD_CTX *md;  /* running digest of the message; NULL for one-shot algorithms and given digests */
	char mdname[16]; /* "" when the algorithm takes the message itself */
	bool pss;
};

/* What the last failed remote signature of this thread said: OpenSSL's queue would lose its code. */
static _Thread_local struct err last_error;
static _Thread_local bool have_error;

bool key_remote_error(struct err *e)
{
	bool had = have_error;

	have_error = false;
	if (had && e)
		*e = last_error;
	return had;
}

static void *sg_new(void *provctx, const char *propq)
{
	(void)provctx;
	(void)propq;
	return OPENSSL_zalloc(sizeof(struct signing));
}

static void sg_free(void *ctx)
{
	struct signing *s = ctx;

	if (!s)
		return;
	remote_free(s->key);
	EVP_MD_CTX_free(s->md);
	OPENSSL_free(s);
}

/* CMS and PKCS#7 copy contexts; without this they fail and queue no error. */
static void *sg_dup(void *ctx)
{
	struct signing *s = ctx, *d = OPENSSL_memdup(s, sizeof(*s));

	if (!d)
		return NULL;
	if (d->key)
		remote_ref(d->key);
	d->md = NULL;
	if (!s->md)
		return d;
	d->md = EVP_MD_CTX_new();
	if (d->md && EVP_MD_CTX_copy_ex(d->md, s->md) == 1)
		return d;
	sg_free(d);
	return NULL;
}

static bool is_rsa(const struct signing *s)
{
	return EVP_PKEY_is_a(s->key->pub, "RSA");
}

static bool takes_digest(const struct signing *s)
{
	return is_rsa(s) || EVP_PKEY_is_a(s->key->pub, "EC");
}

static int refuse(const char *why)
{
	ERR_raise_data(ERR_LIB_PROV, ERR_R_UNSUPPORTED, "remote key: %s", why);
	return 0;
}

/* Remembers the digest by the name that sigalgs[] uses. */
static bool set_mdname(struct signing *s, const char *name)
{
	static const char *const known[] = { "SHA256", "SHA384", "SHA512" };

	for (size_t i = 0; i < COUNT(known); i++)
		if (EVP_MD_is_a(ossl_md(known[i]), name)) {
			memcpy(s->mdname, known[i], sizeof("SHA256"));
			return true;
		}
	return refuse("digest is not SHA-256, SHA-384 or SHA-512");
}

static int set_pad_mode(struct signing *s, const OSSL_PARAM *p)
{
	int mode = 0;

	if (p->data_type == OSSL_PARAM_UTF8_STRING) {
		const char *name = p->data;

		mode = strcmp(name, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0	 ? RSA_PKCS1_PSS_PADDING
		       : strcmp(name, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0 ? RSA_PKCS1_PADDING
									   : 0;
	} else if (!OSSL_PARAM_get_int(p, &mode)) {
		return 0;
	}
	if (!is_rsa(s) || (mode != RSA_PKCS1_PSS_PADDING && mode != RSA_PKCS1_PADDING))
		return refuse("padding is not PKCS#1 or PSS");
	s->pss = mode == RSA_PKCS1_PSS_PADDING;
	return 1;
}

/* Backends know only salts as long as the digest (RFC 8446 4.2.3 wants the same). */
static int check_salt(const struct signing *s, const OSSL_PARAM *p)
{
	int n = 0;

	if (p->data_type == OSSL_PARAM_UTF8_STRING) {
		if (strcmp(p->data, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) == 0)
			return 1;
		n = (int)strtol(p->data, NULL, 10);
	} else if (!OSSL_PARAM_get_int(p, &n)) {
		return 0;
	}
	if (n == RSA_PSS_SALTLEN_DIGEST || (s->mdname[0] && n == EVP_MD_get_size(ossl_md(s->mdname))))
		return 1;
	return refuse("PSS salt is not as long as the digest");
}

static int sg_set_params(void *ctx, const OSSL_PARAM params[])
{
	struct signing *s = ctx;
	const OSSL_PARAM *p;

	if (!params)
		return 1;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_DIGEST);
	if (p && (p->data_type != OSSL_PARAM_UTF8_STRING || !set_mdname(s, p->data)))
		return 0;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
	if (p && !set_pad_mode(s, p))
		return 0;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
	if (p && !check_salt(s, p))
		return 0;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_MGF1_DIGEST);
	if (p && (p->data_type != OSSL_PARAM_UTF8_STRING || !s->mdname[0] || !EVP_MD_is_a(ossl_md(s->mdname), p->data)))
		return refuse("MGF1 digest differs from the digest");
	return 1;
}

static const OSSL_PARAM *sg_settable(void *ctx, void *provctx)
{
	static const OSSL_PARAM types[] = { OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
					    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
					    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
					    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
					    OSSL_PARAM_END };

	(void)ctx;
	(void)provctx;
	return types;
}

/* A second init without a key starts over with the one that is there. */
static bool take_key(struct signing *s, struct remote *k)
{
	if (k) {
		remote_ref(k);
		remote_free(s->key);
		s->key = k;
	}
	s->pss = false;
	return s->key && s->key->backend.sign;
}

static int sg_digest_given(void *ctx, void *key, const OSSL_PARAM params[])
{
	struct signing *s = ctx;

	if (!take_key(s, key))
		return 0;
	if (!takes_digest(s))
		return refuse("this kind of key signs messages, not digests");
	return set_mdname(s, "SHA256") && sg_set_params(s, params);
}

static int sg_digest_init(void *ctx, const char *mdname, void *key, const OSSL_PARAM params[])
{
	struct signing *s = ctx;

	if (!take_key(s, key))
		return 0;
	s->mdname[0] = '\0';
	EVP_MD_CTX_free(s->md);
	s->md = NULL;
	if (!takes_digest(s))
		return mdname && *mdname ? refuse("this kind of key takes no digest") : sg_set_params(s, params);
	if (!set_mdname(s, mdname && *mdname ? mdname : "SHA256"))
		return 0;
	s->md = EVP_MD_CTX_new();
	return s->md && EVP_DigestInit_ex2(s->md, ossl_md(s->mdname), NULL) == 1 && sg_set_params(s, params);
}

static const struct sigalg *algorithm(const struct signing *s)
{
	for (const struct sigalg *a = sigalgs; a->name; a++)
		if (sigalg_fits(a, s->key->pub) && a->pss == s->pss && strcmp(a->md ? a->md : "", s->mdname) == 0)
			return a;
	return NULL;
}

static int fail(struct err *e)
{
	last_error = *e;
	have_error = true;
	ERR_raise_data(ERR_LIB_PROV, ERR_R_OPERATION_FAIL, "%s", e->msg);
	return 0;
}

/* Signs and checks: `in` is the digest, or the message of a one-shot algorithm. */
static int sign_remotely(struct signing *s, struct bytes in, unsigned char *sig, size_t *sig_n, size_t cap)
{
	SCOPED_BUF out = buf_init(1 << 16);
	const struct sigalg *alg = algorithm(s);
	struct err e = { 0 };
	bool valid = false;

	if (!alg) {
		err_set(&e, ERR_UNSUPPORTED, "no signature algorithm fits this key, padding and digest");
		return fail(&e);
	}
	if (s->key->backend.sign(s->key->backend.arg, alg, in, &out, &e))
		return fail(&e);
	if (key_verify(s->key->pub, alg, in, alg->md != NULL, buf_bytes(&out), &valid, &e))
		return fail(&e);
	if (!valid || out.over || out.n > cap) {
		err_set(&e, ERR_REMOTE, "the signature that came back is not valid for this key (%s)", alg->name);
		if (s->key->backend.where)
			err_ctx(&e, "%s", s->key->backend.where);
		return fail(&e);
	}
	memcpy(sig, out.p, out.n);
	*sig_n = out.n;
	return 1;
}

/* A question for the size must not cost a remote call. */
static int answer_size(const struct signing *s, size_t *sig_n)
{
	*sig_n = (size_t)EVP_PKEY_get_size(s->key->pub);
	return 1;
}

static int sg_sign(void *ctx, unsigned char *sig, size_t *sig_n, size_t cap, const unsigned char *in, size_t n)
{
	struct signing *s = ctx;

	if (!sig)
		return answer_size(s, sig_n);
	if (n != (size_t)EVP_MD_get_size(ossl_md(s->mdname)))
		return refuse("length of the digest");
	return sign_remotely(s, (struct bytes){ in, n }, sig, sig_n, cap);
}

static int sg_update(void *ctx, const unsigned char *p, size_t n)
{
	struct signing *s = ctx;

	return s->md && EVP_DigestUpdate(s->md, p, n);
}

static int sg_final(void *ctx, unsigned char *sig, size_t *sig_n, size_t cap)
{
	struct signing *s = ctx;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (!sig)
		return answer_size(s, sig_n);
	if (!s->md || EVP_DigestFinal_ex(s->md, digest, &n) != 1)
		return 0;
	return sign_remotely(s, (struct bytes){ digest, n }, sig, sig_n, cap);
}

static int sg_oneshot(void *ctx, unsigned char *sig, size_t *sig_n, size_t cap, const unsigned char *in, size_t n)
{
	struct signing *s = ctx;

	if (!sig)
		return answer_size(s, sig_n);
	if (s->md)
		return sg_update(s, in, n) && sg_final(s, sig, sig_n, cap);
	return sign_remotely(s, (struct bytes){ in, n }, sig, sig_n, cap);
}

/* Verification is local; it is here so that a remote key serves wherever a key with both halves does. */
static int check(const struct signing *s, struct bytes in, const unsigned char *sig, size_t sig_n)
{
	const struct sigalg *alg = algorithm(s);
	struct err e = { 0 };
	bool valid = false;

	if (!alg)
		return refuse("no signature algorithm fits this key, padding and digest");
	return !key_verify(s->key->pub, alg, in, alg->md != NULL, (struct bytes){ sig, sig_n }, &valid, &e) && valid;
}

static int sg_verify(void *ctx, const unsigned char *sig, size_t sig_n, const unsigned char *in, size_t n)
{
	return check(ctx, (struct bytes){ in, n }, sig, sig_n);
}

static int sg_verify_final(void *ctx, const unsigned char *sig, size_t sig_n)
{
	struct signing *s = ctx;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	return s->md && EVP_DigestFinal_ex(s->md, digest, &n) == 1 && check(s, (struct bytes){ digest, n }, sig, sig_n);
}

static int sg_verify_oneshot(void *ctx, const unsigned char *sig, size_t sig_n, const unsigned char *in, size_t n)
{
	struct signing *s = ctx;

	if (s->md)
		return sg_update(s, in, n) && sg_verify_final(s, sig, sig_n);
	return check(s, (struct bytes){ in, n }, sig, sig_n);
}

static int sg_get_params(void *ctx, OSSL_PARAM params[])
{
	struct signing *s = ctx;
	OSSL_PARAM *p = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_ALGORITHM_ID);
	const struct sigalg *alg = algorithm(s);

	if (p && (!alg || !OSSL_PARAM_set_octet_string(p, alg->der.p, alg->der.n)))
		return 0;
	p = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_DIGEST);
	return !p || OSSL_PARAM_set_utf8_string(p, s->mdname);
}

static const OSSL_PARAM *sg_gettable(void *ctx, void *provctx)
{
	static const OSSL_PARAM types[] = { OSSL_PARAM_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, NULL, 0),
					    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
					    OSSL_PARAM_END };

	(void)ctx;
	(void)provctx;
	return types;
}

/* clang-format off */
#define COMMON \
	REMOTE_FN(OSSL_FUNC_SIGNATURE_NEWCTX, sg_new), REMOTE_FN(OSSL_FUNC_SIGNATURE_FREECTX, sg_free), \
	REMOTE_FN(OSSL_FUNC_SIGNATURE_DUPCTX, sg_dup), \
	REMOTE_FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, sg_digest_init), \
	REMOTE_FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, sg_oneshot), \
	REMOTE_FN(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_INIT, sg_digest_init), \
	REMOTE_FN(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY, sg_verify_oneshot), \
	REMOTE_FN(OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, sg_get_params), \
	REMOTE_FN(OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, sg_gettable), \
	REMOTE_FN(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, sg_set_params), \
	REMOTE_FN(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, sg_settable)

const OSSL_DISPATCH remote_sign_message[] = { COMMON, { 0, NULL } };
const OSSL_DISPATCH remote_sign_digest[] = {
	COMMON,
	REMOTE_FN(OSSL_FUNC_SIGNATURE_SIGN_INIT, sg_digest_given), REMOTE_FN(OSSL_FUNC_SIGNATURE_SIGN, sg_sign),
	REMOTE_FN(OSSL_FUNC_SIGNATURE_VERIFY_INIT, sg_digest_given), REMOTE_FN(OSSL_FUNC_SIGNATURE_VERIFY, sg_verify),
	REMOTE_FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, sg_update),
	REMOTE_FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, sg_final),
	REMOTE_FN(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_UPDATE, sg_update),
	REMOTE_FN(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_FINAL, sg_verify_final),
	{ 0, NULL }
};
/* clang-format on */
