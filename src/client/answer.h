#pragma once
#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"

/* What EST servers answer (RFC 7030 4, RFC 8951 3): base64 with any white space, PEM armour, or DER, as servers in the field do. */

/* The certificates of a certs-only answer; at least one, at most ANSWER_CERTS_MAX. */
enum { ANSWER_CERTS_MAX = 100 };
int answer_certs(struct arena *, struct bytes body, struct bytes **ret_ders, size_t *ret_n, struct err *) NODISCARD;
/* The two parts of serverkeygen's multipart/mixed (4.4.2), in either order: the key's DER (PKCS#8, not encrypted) and the body of
 * the certificate's part. */
int answer_keygen(struct arena *, const char *content_type, struct bytes body, struct bytes *ret_key, struct bytes *ret_certs,
		  struct err *) NODISCARD;
