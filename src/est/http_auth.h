#pragma once
#include <stdbool.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"

/* The Authorization field (RFC 9110 11.4) of HTTP Basic (RFC 7617) and Digest (RFC 7616). */
struct basic {
	char *user;          /* may be empty */
	struct bytes secret;
};
int http_basic(struct arena *, const char *field, struct basic *ret, struct err *) NODISCARD;

struct digest { /* absent members are NULL */
	char *username, *realm, *nonce, *uri, *response, *algorithm, *qop, *nc, *cnonce;
};
int http_digest(struct arena *, const char *field, struct digest *ret, struct err *) NODISCARD;
bool http_is(const char *field, const char *scheme); /* field may be NULL */
