#pragma once
#include "est/auth.h"
#include "est/jwt.h"

enum { JWKS_BYTES = 256 << 10 };
int jwks_is_set(struct arena *, struct bytes, struct err *) NODISCARD; /* for struct wanted */
int jwks_from_file(struct arena *, const struct jwt_auth *, struct node *ret, struct err *) NODISCARD;
/* The manager's key set, from its file or its URL. `again`: a key was missing in what is at hand; it is fetched anew
 * unless that was done a moment ago. *ret lives as long as the request. */
int jwks_get(struct asking *, bool again, struct node *ret, struct refusal *) NODISCARD;
/* At the start: the file of the set can be read and is one. */
int jwks_check_file(struct arena *, const struct jwt_auth *, struct err *) NODISCARD;
