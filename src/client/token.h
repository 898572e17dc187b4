#pragma once
#include "base/ctx.h"
#include "crypto/algs.h"
#include "crypto/ossl.h"

/* A device's key in a PKCS#11 token, by a URI of RFC 7512; no repository is needed. After net_need(). */
struct token; /* ends with token_close; keys before it */
bool token_is_uri(const char *); /* NULL: false */
int token_open(struct ctx *, const char *uri, struct token **ret, struct err *) NODISCARD;
void token_close(struct token *); /* NULL is allowed */

/* The key of a certificate, or of a request, wherever in the token it is: the URI has named the token, and the key says
 * which it is. ERR_NOT_FOUND. */
int token_key_for(struct token *, struct bytes spki, EVP_PKEY **ret, struct err *) NODISCARD;
/* The one that the URI names; ERR_NOT_FOUND. */
int token_key(struct token *, EVP_PKEY **ret, struct err *) NODISCARD;
/* A new one under the label of the URI (object). */
int token_make(struct token *, const struct keytype *, EVP_PKEY **ret, struct err *) NODISCARD;
int token_remove(struct token *, struct bytes spki, struct err *) NODISCARD;
