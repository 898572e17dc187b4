#pragma once
#include <stdbool.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"

/* What EST servers answer (RFC 7030 4, RFC 8951 3): base64 with any white space, PEM armour, or DER, as servers in the
 * field do. */

/* The certificates of a certs-only answer; at least one, at most ANSWER_CERTS_MAX. */
enum { ANSWER_CERTS_MAX = 100 };
int answer_certs(struct arena *, struct bytes body, struct bytes **ret_ders, size_t *ret_n, struct err *) NODISCARD;
/* The two parts of serverkeygen's multipart/mixed (4.4.2), in either order. */
struct answer_key {
	struct bytes der;   /* PKCS#8; where it is encrypted, the EnvelopedData that holds it */
	bool encrypted;
	struct bytes certs; /* body of the certificate's part */
};
int answer_keygen(struct arena *, const char *content_type, struct bytes body, struct answer_key *ret,
		  struct err *) NODISCARD;
