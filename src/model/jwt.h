#pragma once
#include "rec/schema.h"

/* Who signs tokens (RFC 7519) and what they must say: of a device manager, and of the whole repository in
 * lamassu.yaml. */
struct jwt_auth {
	char *issuer, *audience;
	char *public_key_url, *public_key_file; /* JWKS */
	char *ca_file;                          /* for public_key_url, instead of the system's trusted authorities */
	struct strv required_claims, algorithms;
	bool validate_signature;
	char *device_claim;                     /* managers: names the device that may enrol; NULL: any */
	char *roles_claim;                      /* operators: where their roles are */
	bool required;                          /* operators: no change without a token */
};
extern const struct schema jwt_type;           /* of a manager */
extern const struct schema identity_jwt_type;  /* of lamassu.yaml: identity_extractors.jwt */

bool jwt_configured(const struct jwt_auth *);
/* `whole`: nothing comes from elsewhere any more, so what is needed must be there. */
int jwt_check(const char *where, const struct jwt_auth *, bool whole, struct err *) NODISCARD;
/* What a manager does not say is as lamassu.yaml has it; that one's paths are relative to `top`. */
void jwt_inherit(struct arena *, struct jwt_auth *, const struct jwt_auth *from, const char *top);

/* https, or http to this machine, without credentials in it. The message names `where` and `name`. */
int url_check(const char *where, const char *url, const char *name, struct err *) NODISCARD;
