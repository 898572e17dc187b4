/* Client authentication by a key that no file holds, since libcurl's options know only files. No key is copied. */
#include "net/http_key.h"

#include <curl/curl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

bool http_tls_is_ours(void)
{
	static const char openssl[] = "OpenSSL/";
	const char *name = curl_version_info(CURLVERSION_NOW)->ssl_version;

	return name && text_has_prefix(name, openssl) &&
	       strtol(name + strlen(openssl), NULL, 10) == OPENSSL_VERSION_MAJOR;
}

bool http_key_set(void *ssl_ctx, const struct net_options *o)
{
	SSL_CTX *c = ssl_ctx;

	if (SSL_CTX_use_certificate_chain_file(c, o->cert_file) == 1 && SSL_CTX_use_PrivateKey(c, o->key) == 1 &&
	    SSL_CTX_check_private_key(c) == 1)
		return true;
	ERR_clear_error();
	return false;
}
