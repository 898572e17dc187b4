/* Keys whose private half is elsewhere, as EVP_PKEY. An OpenSSL provider inside this process offers key management and
 * signatures that call back to key_sign_fn; it lives in a library context of its own, so nothing that others fetch from the
 * global one ever meets it, and OpenSSL finds it only through the keys it made. No private key passes through here, and no
 * signature leaves before it has been verified with the public key: a backend that signs wrongly is an error. */
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/key.h"

#define HANDLE "remote-handle"

struct remote { /* key data; never changes once it is made */
	atomic_int refs;
	EVP_PKEY *pub;
	key_sign_fn *sign;
	void *arg;
};

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

static struct remote *remote_ref(struct remote *k)
{
	atomic_fetch_add(&k->refs, 1);
	return k;
}

/* Key management. */

static void *km_new(void *provctx)
{
	struct remote *k = OPENSSL_zalloc(sizeof(*k));

	(void)provctx;
	if (k)
		atomic_init(&k->refs, 1);
	return k;
}

static void km_free(void *data)
{
	struct remote *k = data;

	if (!k || atomic_fetch_sub(&k->refs, 1) != 1)
		return;
	EVP_PKEY_free(k->pub);
	OPENSSL_free(k);
}

/* Claims the private half too: sign() is where it is used. */
static int km_has(const void *data, int selection)
{
	const struct remote *k = data;

	(void)selection;
	return k && k->pub;
}

static int km_match(const void *a, const void *b, int selection)
{
	const struct remote *x = a, *y = b;

	(void)selection;
	return x->pub && y->pub && EVP_PKEY_eq(x->pub, y->pub) == 1;
}

static const OSSL_PARAM *km_import_types(int selection)
{
	static const OSSL_PARAM types[] = { OSSL_PARAM_octet_string(HANDLE, NULL, 0), OSSL_PARAM_END };

	(void)selection;
	return types;
}

static int km_import(void *data, int selection, const OSSL_PARAM params[])
{
	const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, HANDLE);
	struct remote *k = data, from;

	(void)selection;
	if (!p || p->data_size != sizeof(from))
		return 0;
	memcpy(&from, p->data, sizeof(from));
	if (!EVP_PKEY_up_ref(from.pub))
		return 0;
	k->pub = from.pub;
	k->sign = from.sign;
	k->arg = from.arg;
	return 1;
}

/* Only the public half: an exported "private" half would let OpenSSL sign elsewhere and fail far from the cause. */
static int km_export(void *data, int selection, OSSL_CALLBACK *cb, void *arg)
{
	struct remote *k = data;
	OSSL_PARAM *params = NULL;
	int good;

	if (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY || EVP_PKEY_todata(k->pub, EVP_PKEY_PUBLIC_KEY, &params) != 1)
		return 0;
	good = cb(params, arg);
	OSSL_PARAM_free(params);
	return good;
}

static const OSSL_PARAM *km_export_types(int selection)
{
	static const OSSL_PARAM types[] = { OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
					    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
					    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
					    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0), OSSL_PARAM_END };

	return selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY ? NULL : types;
}

static void *km_dup(const void *data, int selection)
{
	void *k;

	(void)selection;
	memcpy(&k, &(const void *){ data }, sizeof(k)); /* shared, so the const goes */
	return remote_ref(k);
}

/* The public key answers: sizes, group, digests, whatever this OpenSSL asks for. */
static int km_get_params(void *data, OSSL_PARAM params[])
{
	struct remote *k = data;

	return EVP_PKEY_get_params(k->pub, params);
}

static const OSSL_PARAM *km_gettable(void *provctx)
{
	static const OSSL_PARAM types[] = { OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
					    OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
					    OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
					    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
					    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
					    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
					    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
					    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
					    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
					    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0), OSSL_PARAM_END };

	(void)provctx;
	return types;
}

static const char *op_ec(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : "EC";
}

/* Signatures. */

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
	km_free(s->key);
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
					    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0), OSSL_PARAM_END };

	(void)ctx;
	(void)provctx;
	return types;
}

/* A second init without a key starts over with the one that is there. */
static bool take_key(struct signing *s, struct remote *k)
{
	if (k) {
		remote_ref(k);
		km_free(s->key);
		s->key = k;
	}
	s->pss = false;
	return s->key && s->key->sign;
}

static int sg_sign_init(void *ctx, void *key, const OSSL_PARAM params[])
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
	if (s->key->sign(s->key->arg, alg, in, &out, &e))
		return fail(&e);
	if (key_verify(s->key->pub, alg, in, alg->md != NULL, buf_bytes(&out), &valid, &e))
		return fail(&e);
	if (!valid || out.over || out.n > cap) {
		err_set(&e, ERR_REMOTE, "the signature that came back is not valid for this key (%s)", alg->name);
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
					    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0), OSSL_PARAM_END };

	(void)ctx;
	(void)provctx;
	return types;
}

/* The tables that OpenSSL reads. */

#define FN(id, f) { id, (void (*)(void))(f) }
#define KEYMGMT                                                                                       \
	FN(OSSL_FUNC_KEYMGMT_NEW, km_new), FN(OSSL_FUNC_KEYMGMT_FREE, km_free),                       \
	FN(OSSL_FUNC_KEYMGMT_HAS, km_has), FN(OSSL_FUNC_KEYMGMT_MATCH, km_match),                     \
	FN(OSSL_FUNC_KEYMGMT_IMPORT, km_import), FN(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, km_import_types), \
	FN(OSSL_FUNC_KEYMGMT_EXPORT, km_export), FN(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, km_export_types), \
	FN(OSSL_FUNC_KEYMGMT_GET_PARAMS, km_get_params), FN(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, km_gettable), \
	FN(OSSL_FUNC_KEYMGMT_DUP, km_dup)
#define SIGNATURE                                                                                     \
	FN(OSSL_FUNC_SIGNATURE_NEWCTX, sg_new), FN(OSSL_FUNC_SIGNATURE_FREECTX, sg_free),             \
	FN(OSSL_FUNC_SIGNATURE_DUPCTX, sg_dup), FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, sg_digest_init), \
	FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, sg_oneshot),                                              \
	FN(OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, sg_get_params),                                        \
	FN(OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, sg_gettable),                                     \
	FN(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, sg_set_params),                                        \
	FN(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, sg_settable)

/* clang-format off */
static const OSSL_DISPATCH km_any[] = { KEYMGMT, { 0, NULL } };
static const OSSL_DISPATCH km_ec[] = { KEYMGMT, FN(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, op_ec), { 0, NULL } };
static const OSSL_DISPATCH sg_message[] = { SIGNATURE, { 0, NULL } };
static const OSSL_DISPATCH sg_digest[] = {
	SIGNATURE, FN(OSSL_FUNC_SIGNATURE_SIGN_INIT, sg_sign_init), FN(OSSL_FUNC_SIGNATURE_SIGN, sg_sign),
	FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, sg_update), FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, sg_final), { 0, NULL }
};

#define REMOTE "provider=remote"
static const OSSL_ALGORITHM keymgmts[] = {
	{ "RSA:rsaEncryption:1.2.840.113549.1.1.1", REMOTE, km_any, "" },
	{ "EC:id-ecPublicKey:1.2.840.10045.2.1", REMOTE, km_ec, "" },
	{ "ED25519:1.3.101.112", REMOTE, km_any, "" },
	{ "ML-DSA-44:MLDSA44:2.16.840.1.101.3.4.3.17", REMOTE, km_any, "" },
	{ "ML-DSA-65:MLDSA65:2.16.840.1.101.3.4.3.18", REMOTE, km_any, "" },
	{ "ML-DSA-87:MLDSA87:2.16.840.1.101.3.4.3.19", REMOTE, km_any, "" },
	{ 0 }
};
static const OSSL_ALGORITHM signatures[] = {
	{ "RSA:rsaEncryption:1.2.840.113549.1.1.1", REMOTE, sg_digest, "" },
	{ "ECDSA", REMOTE, sg_digest, "" },
	{ "ED25519:1.3.101.112", REMOTE, sg_message, "" },
	{ "ML-DSA-44:MLDSA44:2.16.840.1.101.3.4.3.17", REMOTE, sg_message, "" },
	{ "ML-DSA-65:MLDSA65:2.16.840.1.101.3.4.3.18", REMOTE, sg_message, "" },
	{ "ML-DSA-87:MLDSA87:2.16.840.1.101.3.4.3.19", REMOTE, sg_message, "" },
	{ 0 }
};
/* clang-format on */

static const OSSL_ALGORITHM *query(void *provctx, int operation, int *no_cache)
{
	(void)provctx;
	*no_cache = 0;
	return operation == OSSL_OP_KEYMGMT ? keymgmts : operation == OSSL_OP_SIGNATURE ? signatures : NULL;
}

static int provider_init(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **provctx)
{
	static const OSSL_DISPATCH table[] = { FN(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query), { 0, NULL } };

	(void)in;
	memcpy(provctx, &core, sizeof(core)); /* any non-NULL value */
	*out = table;
	return 1;
}

static OSSL_LIB_CTX *lib;
static OSSL_PROVIDER *provider_default, *provider_remote;

static void unload(void)
{
	OSSL_PROVIDER_unload(provider_remote);
	OSSL_PROVIDER_unload(provider_default);
	OSSL_LIB_CTX_free(lib);
}

/* "default" is there for encoders and comparisons of remote keys, and comes first in every search of this context. */
static void load(void)
{
	OSSL_LIB_CTX *l;

	OPENSSL_init_crypto(0, NULL);
	l = OSSL_LIB_CTX_new();
	if (!l)
		return;
	provider_default = OSSL_PROVIDER_load(l, "default");
	if (provider_default && EVP_set_default_properties(l, "?provider=default") == 1 &&
	    OSSL_PROVIDER_add_builtin(l, "remote", provider_init) == 1)
		provider_remote = OSSL_PROVIDER_load(l, "remote");
	if (!provider_remote) {
		OSSL_PROVIDER_unload(provider_default);
		OSSL_LIB_CTX_free(l);
		return;
	}
	lib = l;
	OPENSSL_atexit(unload);
}

int key_remote(EVP_PKEY *pub, key_sign_fn *sign, void *arg, EVP_PKEY **ret, struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	AUTO(EVP_PKEY_CTX) *pc = NULL;
	struct remote from = { .pub = pub, .sign = sign, .arg = arg };
	OSSL_PARAM params[] = { OSSL_PARAM_construct_octet_string(HANDLE, &from, sizeof(from)), OSSL_PARAM_construct_end() };
	const char *type = EVP_PKEY_get0_type_name(pub);
	EVP_PKEY *key = NULL;

	pthread_once(&once, load);
	if (!lib)
		return err_ossl(e, "loading the provider of remote keys");
	if (!type)
		return err_set(e, ERR_UNSUPPORTED, "remote key of an unknown type");
	pc = EVP_PKEY_CTX_new_from_name(lib, type, REMOTE);
	if (!pc || EVP_PKEY_fromdata_init(pc) <= 0 || EVP_PKEY_fromdata(pc, &key, EVP_PKEY_KEYPAIR, params) <= 0)
		return err_ossl(e, "remote key");
	*ret = key;
	return 0;
}
