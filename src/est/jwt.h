#pragma once
#include "est/json.h"
#include "model/dms.h"

/* Bearer tokens (RFC 7519, RFC 7515) and the keys that sign them (RFC 7517). Nothing here waits or reads files. */
struct jwt {
	struct bytes compact;        /* as sent */
	struct bytes signed_part, sig;
	struct node header, claims;
	const char *alg, *kid;       /* kid NULL: none */
};

/* A token in the compact form; its signature is not looked at. */
int jwt_parse(struct arena *, const char *text, struct jwt *ret, struct err *) NODISCARD;
/* ERR_DENIED unless the algorithm is one that `rules` accepts, by name. */
int jwt_check_alg(const struct jwt *, const struct jwt_auth *rules, struct err *) NODISCARD;
/* The key of a set that the token was signed with: by its kid, or without one the only key that fits. NULL: there is
 * none. */
const struct node *jwt_find_key(const struct jwt *, const struct node *jwks);
int jwt_verify(struct arena *, const struct jwt *, const struct node *jwk, struct err *) NODISCARD;
/* iss, aud, exp, nbf, iat and the claims that must be there, at `now`. To be called after jwt_verify. */
int jwt_check_claims(const struct jwt *, const struct jwt_auth *rules, int64_t now, struct err *) NODISCARD;
/* A key set: an object with the list "keys". */
int jwks_parse(struct arena *, struct bytes text, struct node *ret, struct err *) NODISCARD;
