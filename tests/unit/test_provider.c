/* Remote keys sign everything that OpenSSL signs, also TLS 1.3, and everything else stays as it was. */
#include "tap.h"

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>

#include "crypto/key.h"

DEFINE_AUTO(SSL, SSL_free)
DEFINE_AUTO(SSL_CTX, SSL_CTX_free)
DEFINE_AUTO(CMS_ContentInfo, CMS_ContentInfo_free)

struct backend { /* a signer somewhere else */
	EVP_PKEY *priv, *pub, *remote;
	int calls;
	bool wrong, silent;
};

static int backend_sign(void *arg, const struct sigalg *alg, struct bytes in, struct buf *sig, struct err *e)
{
	struct backend *b = arg;

	__atomic_add_fetch(&b->calls, 1, __ATOMIC_RELAXED);
	if (b->silent)
		return err_set(e, ERR_REMOTE, "the vault is sealed");
	if (alg->md ? key_sign_digest(b->priv, alg, in, sig, e) : key_sign(b->priv, alg, in, sig, e))
		return -1;
	if (b->wrong)
		sig->p[sig->n / 2] ^= 1;
	return 0;
}

static bool backend_open(struct backend *b, const char *type)
{
	SCOPED_ARENA *a = arena_new();
	struct err e = { 0 };
	struct bytes spki;
	const struct keytype *t = keytype_parse(type, &e);
	bool good;

	*b = (struct backend){ .calls = 0 };
	good = t && !key_generate(t, &b->priv, &e) && !key_spki(a, b->priv, &spki, &e) &&
	       !key_from_spki(spki, &b->pub, &e) &&
	       !key_remote(b->pub, &(struct key_backend){ .sign = backend_sign, .arg = b }, &b->remote, &e);
	if (!good)
		printf("# %s: %s\n", type, e.msg);
	return good;
}

static void backend_close(struct backend *b)
{
	EVP_PKEY_free(b->remote);
	EVP_PKEY_free(b->pub);
	EVP_PKEY_free(b->priv);
}

static EVP_MD_CTX *sign_ctx(EVP_PKEY *key, const struct sigalg *alg)
{
	EVP_MD_CTX *m = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pc = NULL;

	if (EVP_DigestSignInit_ex(m, &pc, alg->md, NULL, NULL, key, NULL) != 1)
		ERR_print_errors_fp(stdout);
	if (alg->pss) {
		EVP_PKEY_CTX_set_rsa_padding(pc, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(pc, RSA_PSS_SALTLEN_DIGEST);
	}
	return m;
}

static X509 *certificate(EVP_PKEY *pub, EVP_PKEY *signer, const struct sigalg *alg)
{
	AUTO(EVP_MD_CTX) *m = sign_ctx(signer, alg);
	X509 *x = X509_new();
	AUTO(X509_NAME) *name = X509_NAME_new(); /* that of a certificate is const from OpenSSL 4 on */

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 7);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)"localhost", -1, -1, 0);
	X509_set_subject_name(x, name);
	X509_set_issuer_name(x, name);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, pub);
	if (X509_sign_ctx(x, m) <= 0) {
		ERR_print_errors_fp(stdout);
		X509_free(x);
		return NULL;
	}
	return x;
}

static void test_objects(struct backend *b, const struct sigalg *alg)
{
	AUTO(X509) *x = certificate(b->pub, b->remote, alg);
	AUTO(X509_CRL) *crl = X509_CRL_new();
	AUTO(X509_REQ) *req = X509_REQ_new();
	AUTO(EVP_MD_CTX) *m = NULL;
	AUTO(EVP_MD_CTX) *m2 = NULL;
	ASN1_TIME *now = X509_gmtime_adj(NULL, 0);
	int before;

	ok(x && X509_verify(x, b->pub) == 1, "%s: certificate", alg->name);
	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(x));
	X509_CRL_set1_lastUpdate(crl, now);
	X509_CRL_set1_nextUpdate(crl, now);
	ASN1_TIME_free(now);
	m = sign_ctx(b->remote, alg);
	before = b->calls;
	ok(X509_CRL_sign_ctx(crl, m) > 0 && X509_CRL_verify(crl, b->pub) == 1, "%s: CRL", alg->name);
	is_int(b->calls - before, 1, "one remote call for one signature");
	X509_REQ_set_version(req, X509_REQ_VERSION_1);
	X509_REQ_set_subject_name(req, X509_get_subject_name(x));
	X509_REQ_set_pubkey(req, b->pub);
	m2 = sign_ctx(b->remote, alg);
	ok(X509_REQ_sign_ctx(req, m2) > 0 && X509_REQ_verify(req, b->pub) == 1, "%s: request", alg->name);
	ok(X509_check_private_key(x, b->remote) == 1, "%s: key belongs to certificate", alg->name);
	ok(key_matches(b->remote, b->pub) && key_matches(b->pub, b->remote), "%s: comparison both ways", alg->name);
	ERR_clear_error();
}

static void test_signatures(struct backend *b, const struct sigalg *alg)
{
	SCOPED_BUF sig = buf_init(BUF_TEXT);
	SCOPED_BUF sig2 = buf_init(BUF_TEXT);
	struct err e = { 0 };
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	bool valid = false;
	struct bytes msg = bytes_of("the message");

	ok(!key_sign(b->remote, alg, msg, &sig, &e) &&
	   !key_verify(b->pub, alg, msg, false, buf_bytes(&sig), &valid, &e) && valid,
	   "%s: message %s", alg->name, e.msg);
	valid = false;
	ok(!key_verify(b->remote, alg, msg, false, buf_bytes(&sig), &valid, &e) && valid,
	   "%s: verified by the remote key %s", alg->name, e.msg);
	if (alg->md) {
		EVP_Digest(msg.p, msg.n, digest, &n, ossl_md(alg->md), NULL);
		valid = false;
		ok(!key_sign_digest(b->remote, alg, (struct bytes){ digest, n }, &sig2, &e) &&
			   !key_verify(b->pub, alg, msg, false, buf_bytes(&sig2), &valid, &e) && valid,
		   "%s: digest %s", alg->name, e.msg);
		valid = false;
		ok(!key_verify(b->remote, alg, (struct bytes){ digest, n }, true, buf_bytes(&sig2), &valid, &e) &&
		   valid,
		   "%s: digest verified by the remote key %s", alg->name, e.msg);
		ok(key_sign_digest(b->remote, alg, (struct bytes){ digest, n - 1 }, &sig2, &e), "%s: short digest",
		   alg->name);
	} else {
		ok(key_sign_digest(b->remote, alg, msg, &sig2, &e), "%s: takes no digest", alg->name);
	}
}

static void test_failures(struct backend *b, const struct sigalg *alg)
{
	SCOPED_BUF sig = buf_init(BUF_TEXT);
	struct err e = { 0 };
	struct bytes msg = bytes_of("the message");

	b->wrong = true;
	ok(key_sign(b->remote, alg, msg, &sig, &e) && e.code == ERR_REMOTE && sig.n == 0,
	   "%s: wrong signature never leaves: %s", alg->name, e.msg);
	b->wrong = false;
	b->silent = true;
	e = (struct err){ 0 };
	ok(key_sign(b->remote, alg, msg, &sig, &e) && e.code == ERR_REMOTE, "%s: code of the backend", alg->name);
	is_str(e.msg, "the vault is sealed", "words of the backend");
	b->silent = false;
	ok(!key_remote_error(&e), "error is handed out once");
	ok(ERR_peek_error() == 0, "queue is clean");
}

static void test_cms(struct backend *b, const struct sigalg *alg)
{
	AUTO(X509) *x = certificate(b->pub, b->remote, alg);
	AUTO(BIO) *in = BIO_new_mem_buf("payload", 7);
	AUTO(BIO) *out = BIO_new(BIO_s_mem());
	AUTO(CMS_ContentInfo) *cms = CMS_sign(x, b->remote, NULL, in, CMS_BINARY);
	AUTO(CMS_ContentInfo) *read = NULL;
	unsigned char *der = NULL;
	const unsigned char *p;
	int n = cms ? i2d_CMS_ContentInfo(cms, &der) : -1;

	p = der;
	read = n > 0 ? d2i_CMS_ContentInfo(NULL, &p, n) : NULL;
	ok(read && CMS_verify(read, NULL, NULL, NULL, out, CMS_NO_SIGNER_CERT_VERIFY) == 1, "%s: CMS", alg->name);
	OPENSSL_free(der);
	ERR_print_errors_fp(stdout);
}

static bool handshake(SSL *client, SSL *server)
{
	int c = 0, s = 0;

	for (int i = 0; i < 20 && (c != 1 || s != 1); i++) {
		c = SSL_do_handshake(client);
		s = SSL_do_handshake(server);
	}
	return c == 1 && s == 1;
}

static void test_tls(struct backend *b, const struct sigalg *alg, int version)
{
	AUTO(X509) *x = certificate(b->pub, b->remote, alg);
	AUTO(SSL_CTX) *cc = SSL_CTX_new(TLS_client_method());
	AUTO(SSL_CTX) *sc = SSL_CTX_new(TLS_server_method());
	AUTO(SSL) *client = NULL;
	AUTO(SSL) *server = NULL;
	BIO *cb = NULL, *sb = NULL;

	if (!ok(SSL_CTX_use_certificate(sc, x) == 1 && SSL_CTX_use_PrivateKey(sc, b->remote) == 1 &&
			SSL_CTX_check_private_key(sc) == 1,
		"%s: TLS takes the key", alg->name)) {
		ERR_print_errors_fp(stdout);
		return;
	}
	SSL_CTX_set_min_proto_version(cc, version);
	SSL_CTX_set_max_proto_version(cc, version);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(cc), x);
	SSL_CTX_set_verify(cc, SSL_VERIFY_PEER, NULL);
	client = SSL_new(cc);
	server = SSL_new(sc);
	BIO_new_bio_pair(&cb, 0, &sb, 0);
	SSL_set_bio(client, cb, cb);
	SSL_set_bio(server, sb, sb);
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	ok(handshake(client, server) && SSL_version(client) == version && SSL_get_verify_result(client) == X509_V_OK,
	   "%s: handshake %s", alg->name, SSL_get_version(client));
	ERR_print_errors_fp(stdout);
}

static void *sign_many(void *arg)
{
	struct backend *b = arg;
	const struct sigalg *alg = sigalg_default(b->remote);
	intptr_t failed = 0;

	for (int i = 0; i < 50; i++) {
		SCOPED_BUF sig = buf_init(BUF_TEXT);
		struct err e = { 0 };

		failed += key_sign(b->remote, alg, bytes_of("x"), &sig, &e) != 0;
	}
	return (void *)failed;
}

static void test_threads(void)
{
	struct backend b;
	pthread_t t[4];
	void *failed;
	intptr_t all = 0;

	if (!ok(backend_open(&b, "ecdsa:256"), "threads: key"))
		return;
	for (size_t i = 0; i < COUNT(t); i++)
		pthread_create(&t[i], NULL, sign_many, &b);
	for (size_t i = 0; i < COUNT(t); i++) {
		pthread_join(t[i], &failed);
		all += (intptr_t)failed;
	}
	is_int(all, 0, "four threads sign with one key");
	is_int(b.calls, 200, "each through the backend");
	backend_close(&b);
}

/* Nothing that others ask of OpenSSL may end up with us. */
static void test_rest_is_untouched(void)
{
	AUTO(EVP_PKEY) *rsa = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
	AUTO(EVP_PKEY) *ec = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	AUTO(EVP_PKEY) *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	EVP_PKEY *all[] = { rsa, ec, ed };

	for (size_t i = 0; i < COUNT(all); i++) {
		const OSSL_PROVIDER *p = all[i] ? EVP_PKEY_get0_provider(all[i]) : NULL;

		is_str(p ? OSSL_PROVIDER_get0_name(p) : NULL, "default", "fresh keys belong to the default provider");
	}
}

int main(void)
{
	static const struct {
		const char *type, *alg;
	} rows[] = {
		{ "rsa:2048", "RSASSA_PKCS1_V1_5_SHA_256" },
		{ "rsa:2048", "RSASSA_PSS_SHA_256" },
		{ "rsa:3072", "RSASSA_PSS_SHA_384" },
		{ "rsa:2048", "RSASSA_PKCS1_V1_5_SHA_512" },
		{ "ecdsa:256", "ECDSA_SHA_256" },
		{ "ecdsa:384", "ECDSA_SHA_384" },
		{ "ecdsa:521", "ECDSA_SHA_512" },
		{ "ed25519", "Ed25519" },
	};
	struct backend b;

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct sigalg *alg = sigalg_find(rows[i].alg);
		SCOPED_ARENA *a = arena_new();
		struct bytes spki, spki2;
		struct err e = { 0 };

		if (!ok(backend_open(&b, rows[i].type), "%s: remote key", rows[i].type))
			continue;
		test_objects(&b, alg);
		test_signatures(&b, alg);
		test_failures(&b, alg);
		test_tls(&b, alg, TLS1_3_VERSION);
		if (strcmp(alg->ossl, "RSA") == 0)
			test_tls(&b, alg, TLS1_2_VERSION);
		if (alg->md && !alg->pss) /* CMS with Ed25519 or PSS by default is beyond OpenSSL 3.0 */
			test_cms(&b, alg);
		ok(!key_spki(a, b.remote, &spki, &e) && !key_spki(a, b.pub, &spki2, &e) && bytes_equal(spki, spki2),
		   "%s: public half of the remote key %s", alg->name, e.msg);
		ok(key_plain_pem(a, b.remote, &spki, &e) && e.code == ERR_CRYPTO, "no private half: %s", e.msg);
		is_str(keytype_of(b.remote)->name, rows[i].type, "type of a remote key");
		backend_close(&b);
	}
	test_threads();
	test_rest_is_untouched();
	return done();
}
