/* TLS for libcurl by a secret that both sides share (RFC 8446 4.2.11, RFC 8442). Guarantees: the server is one that
 * knows the secret, or there is no connection: a certificate does not take its place; always with (EC)DHE. */
#include <openssl/ssl.h>
#include <string.h>

#include "net/http_psk.h"

static SSL_SESSION *session_of(SSL *ssl, const struct net_options *o)
{
	static const unsigned char suite[] = { 0x13, 0x01 }; /* for its hash: SHA-256 */
	SSL_SESSION *s = SSL_SESSION_new();

	if (s && SSL_SESSION_set1_master_key(s, o->psk.p, o->psk.n) == 1 &&
	    SSL_SESSION_set_cipher(s, SSL_CIPHER_find(ssl, suite)) == 1 &&
	    SSL_SESSION_set_protocol_version(s, TLS1_3_VERSION) == 1)
		return s;
	SSL_SESSION_free(s);
	return NULL;
}

static int on_session(SSL *ssl, const EVP_MD *md, const unsigned char **ret_identity, size_t *ret_n, SSL_SESSION **ret)
{
	const struct net_options *o = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	*ret = NULL;
	if (md && !EVP_MD_is_a(md, "SHA256")) /* the server wants another hash */
		return 1;
	*ret = session_of(ssl, o);
	*ret_identity = (const unsigned char *)o->psk_identity;
	*ret_n = strlen(o->psk_identity);
	return *ret != NULL;
}

/* TLS 1.2 */
static unsigned on_key(SSL *ssl, const char *hint, char *identity, unsigned max_identity, unsigned char *key,
		       unsigned max)
{
	const struct net_options *o = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	size_t n = strlen(o->psk_identity);

	(void)hint;
	if (SSL_version(ssl) != TLS1_2_VERSION || n >= max_identity || o->psk.n > max)
		return 0;
	memcpy(identity, o->psk_identity, n + 1);
	memcpy(key, o->psk.p, o->psk.n);
	return (unsigned)o->psk.n;
}

static int refuse(X509_STORE_CTX *ctx, void *arg)
{
	(void)arg;
	X509_STORE_CTX_set_error(ctx, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

bool http_psk_set(void *ssl_ctx, const struct net_options *o)
{
	SSL_CTX *c = ssl_ctx;

	if (SSL_CTX_set_app_data(c, (void *)(uintptr_t)o) != 1 ||
	    SSL_CTX_set_cipher_list(c, "kECDHEPSK+AESGCM:kECDHEPSK+CHACHA20") != 1 ||
	    SSL_CTX_set_ciphersuites(c, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256") != 1)
		return false;
	SSL_CTX_set_psk_use_session_callback(c, on_session);
	SSL_CTX_set_psk_client_callback(c, on_key);
	SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(c, refuse, NULL);
	return true;
}
