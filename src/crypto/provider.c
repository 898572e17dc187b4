/* Keys whose private half is elsewhere, as EVP_PKEY. An OpenSSL provider inside this process offers key management here
 * and signatures in provider_sign.c; it lives in a library context of its own, so nothing that others fetch from the
 * global one ever meets it, and OpenSSL finds it only through the keys it made. No private key passes through. */
#include "crypto/provider.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define HANDLE "remote-handle"

struct remote *remote_ref(struct remote *k)
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

void remote_free(void *data)
{
	struct remote *k = data;

	if (!k || atomic_fetch_sub(&k->refs, 1) != 1)
		return;
	if (k->backend.release)
		k->backend.release(k->backend.arg);
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
	k->backend = from.backend;
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

/* The tables that OpenSSL reads. */

#define KEYMGMT \
	REMOTE_FN(OSSL_FUNC_KEYMGMT_NEW, km_new), REMOTE_FN(OSSL_FUNC_KEYMGMT_FREE, remote_free), \
	REMOTE_FN(OSSL_FUNC_KEYMGMT_HAS, km_has), REMOTE_FN(OSSL_FUNC_KEYMGMT_MATCH, km_match), \
	REMOTE_FN(OSSL_FUNC_KEYMGMT_IMPORT, km_import), REMOTE_FN(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, km_import_types), \
	REMOTE_FN(OSSL_FUNC_KEYMGMT_EXPORT, km_export), REMOTE_FN(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, km_export_types), \
	REMOTE_FN(OSSL_FUNC_KEYMGMT_GET_PARAMS, km_get_params), \
	REMOTE_FN(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, km_gettable), \
	REMOTE_FN(OSSL_FUNC_KEYMGMT_DUP, km_dup)

/* clang-format off */
static const OSSL_DISPATCH km_any[] = { KEYMGMT, { 0, NULL } };
static const OSSL_DISPATCH km_ec[] = { KEYMGMT, REMOTE_FN(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, op_ec), { 0, NULL } };

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
	{ "RSA:rsaEncryption:1.2.840.113549.1.1.1", REMOTE, remote_sign_digest, "" },
	{ "ECDSA", REMOTE, remote_sign_digest, "" },
	{ "ED25519:1.3.101.112", REMOTE, remote_sign_message, "" },
	{ "ML-DSA-44:MLDSA44:2.16.840.1.101.3.4.3.17", REMOTE, remote_sign_message, "" },
	{ "ML-DSA-65:MLDSA65:2.16.840.1.101.3.4.3.18", REMOTE, remote_sign_message, "" },
	{ "ML-DSA-87:MLDSA87:2.16.840.1.101.3.4.3.19", REMOTE, remote_sign_message, "" },
	{ 0 }
};
/* clang-format on */

static const OSSL_ALGORITHM *query(void *provctx, int operation, int *no_cache)
{
	(void)provctx;
	*no_cache = 0;
	return operation == OSSL_OP_KEYMGMT ? keymgmts : operation == OSSL_OP_SIGNATURE ? signatures : NULL;
}

static int provider_init(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
			 void **provctx)
{
	static const OSSL_DISPATCH table[] = { REMOTE_FN(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query), { 0, NULL } };

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
	atexit(unload); /* after OpenSSL was initialised, so before it cleans up */
}

int key_remote(EVP_PKEY *pub, const struct key_backend *backend, EVP_PKEY **ret, struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	AUTO(EVP_PKEY_CTX) *pc = NULL;
	struct remote from = { .pub = pub, .backend = *backend };
	OSSL_PARAM params[] = { OSSL_PARAM_construct_octet_string(HANDLE, &from, sizeof(from)),
				OSSL_PARAM_construct_end() };
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
