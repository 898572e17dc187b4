#pragma once
#include <openssl/ssl.h>

#include "serve/exchange.h"
#include "serve/server.h"

struct evhttp_request;
/* A new exchange. `fields`: how many of the headers came before the body; evhttp adds those that came behind it. ssl
 * NULL: no TLS. */
struct exchange *request_take(struct evhttp_request *, size_t fields, SSL *);
/* One in whose place there was no request: only who is there is known. */
struct exchange *request_none(int fd, SSL *);
