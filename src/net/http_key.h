#pragma once
#include "net/net.h"

/* Is libcurl's TLS the OpenSSL that this program has? Only then may it be given contexts and keys. */
bool http_tls_is_ours(void);

/* Gives a context of OpenSSL, which is libcurl's, the certificate and the key of the options; both must live as
 * long. */
bool http_key_set(void *ssl_ctx, const struct net_options *);
