/* Authorities, certificate and key of a TLS client, read once and lent to every connection: reading them takes longer
 * than the handshake. Guarantees: a connection trusts what it would trust if libcurl had read the files; nothing is
 * kept that libcurl has ways of its own for (keys in memory, pins). */
#include "net/kept_tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "net/http_key.h"

/* A context holds all of it: struct kept_tls is never defined. */
static const SSL_CTX *context(const struct kept_tls *k)
{
	return (const SSL_CTX *)(const void *)k;
}

static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing, (void)arg;
	return 0;
}

static bool load(SSL_CTX *c, const struct net_options *o)
{
	const char *key = o->key_file ? o->key_file : o->cert_file;

	SSL_CTX_set_default_passwd_cb(c, no_passphrase);
	if (SSL_CTX_load_verify_file(c, o->ca_file) != 1)
		return false;
	/* as libcurl does */
	if (X509_STORE_set_flags(SSL_CTX_get_cert_store(c), X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN) != 1)
		return false;
	return !o->cert_file ||
	       (SSL_CTX_use_certificate_chain_file(c, o->cert_file) == 1 &&
		SSL_CTX_use_PrivateKey_file(c, key, SSL_FILETYPE_PEM) == 1);
}

struct kept_tls *kept_tls_open(const struct net_options *o)
{
	SSL_CTX *c;

	if (!o->fresh || !o->ca_file || o->no_verify || o->pinned_key || o->psk_identity || o->key || o->key_pem ||
	    !http_tls_is_ours())
		return NULL;
	c = SSL_CTX_new(TLS_client_method());
	if (c && !load(c, o)) {
		SSL_CTX_free(c);
		c = NULL;
	}
	ERR_clear_error();
	return (struct kept_tls *)(void *)c;
}

void kept_tls_close(struct kept_tls *k)
{
	SSL_CTX_free((SSL_CTX *)(void *)k);
}

static CURLcode lend(CURL *h, void *of_connection, void *arg)
{
	const SSL_CTX *from = context(arg);
	SSL_CTX *to = of_connection;
	X509 *cert = SSL_CTX_get0_certificate(from);
	STACK_OF(X509) *chain = NULL;

	(void)h;
	SSL_CTX_set1_cert_store(to, SSL_CTX_get_cert_store(from));
	if (!cert)
		return CURLE_OK;
	SSL_CTX_get0_chain_certs((SSL_CTX *)(uintptr_t)from, &chain); /* which the macro takes as not const */
	if (SSL_CTX_use_certificate(to, cert) != 1 || SSL_CTX_use_PrivateKey(to, SSL_CTX_get0_privatekey(from)) != 1 ||
	    (chain && SSL_CTX_set1_chain(to, chain) != 1))
		return CURLE_SSL_CERTPROBLEM;
	return CURLE_OK;
}

bool kept_tls_use(const struct kept_tls *k, CURL *h)
{
	return curl_easy_setopt(h, CURLOPT_CAINFO, NULL) == CURLE_OK &&
	       curl_easy_setopt(h, CURLOPT_CAPATH, NULL) == CURLE_OK &&
	       curl_easy_setopt(h, CURLOPT_SSL_CTX_FUNCTION, lend) == CURLE_OK &&
	       curl_easy_setopt(h, CURLOPT_SSL_CTX_DATA, k) == CURLE_OK;
}
