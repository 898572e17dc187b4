#pragma once
#include "base/ctx.h"
#include "model/jwt.h"

/* Who an operator is, by a token: from then on ctx->actor is "SUB <MAIL>" and commits have trailers of it. The set of
 * keys from a URL is kept in `cache` (NULL: nowhere). ERR_DENIED: the token is not good; ERR_REMOTE: the keys cannot be
 * had. */
int operator_identify(struct ctx *, const struct jwt_auth *rules, const char *cache, const char *token,
		      struct err *) NODISCARD;
