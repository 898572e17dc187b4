#pragma once
#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"
#include "model/profile.h"

/* What csrattrs answers (RFC 7030 4.5, RFC 8951, RFC 9908): how a request should look so that the profile makes of it
 * what it will. The widely understood list of attributes and object identifiers, or RFC 9908's template of a whole
 * request; an empty list ("MAA=" in base64) where the profile asks for nothing. DER. */
struct csrattrs_wishes {
	bool pop;      /* proof of possession linked to the TLS session is required (RFC 7030 3.5) */
	bool template_; /* the template instead of extensionRequest */
};
int csrattrs_build(struct arena *, const struct profile *, const struct csrattrs_wishes *, struct bytes *ret_der,
		   struct err *) NODISCARD;
