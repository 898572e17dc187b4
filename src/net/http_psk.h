#pragma once
#include "net/net.h"

/* Makes a context of OpenSSL, which is libcurl's, speak with the secret in the options and with nothing else; they must
 * live as long. */
bool http_psk_set(void *ssl_ctx, const struct net_options *);
