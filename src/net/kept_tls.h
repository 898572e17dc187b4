#pragma once
#include <curl/curl.h>
#include <stdbool.h>

#include "net/net.h"

/* What TLS takes from files, read once, for clients that make a connection for each request. */
struct kept_tls;

/* NULL: it cannot be kept; libcurl then reads the files, each time, and says what is wrong with them. */
struct kept_tls *kept_tls_open(const struct net_options *);
void kept_tls_close(struct kept_tls *); /* NULL is allowed */
bool kept_tls_use(const struct kept_tls *, CURL *);
