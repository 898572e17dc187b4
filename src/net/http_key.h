#pragma once
#include "net/net.h"

/* Gives a context of OpenSSL, which is libcurl's, the certificate and the key of the options; both must live as long. */
bool http_key_set(void *ssl_ctx, const struct net_options *);
