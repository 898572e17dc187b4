/* Settings of tokens. Guarantees: no setting turns the check of the signature off or takes a shared secret for a key;
 * what a manager says itself is never replaced by what lamassu.yaml says. */
#include "model/jwt.h"

#include <string.h>

#include "base/text.h"

bool jwt_configured(const struct jwt_auth *j)
{
	return j->issuer != NULL;
}

int url_check(const char *where, const char *url, const char *name, struct err *e)
{
	static const char *const here[] = { "http://127.0.0.1", "http://localhost", "http://[::1]" };
	size_t n;

	if (!url)
		return err_set(e, ERR_INVALID, "%s.%s: is required", where, name);
	for (const char *c = url; *c; c++)
		if (*c <= ' ' || *c > '~' || strchr("\"<>\\^`{|}", *c))
			return err_set(e, ERR_INVALID, "%s.%s: is not a URL", where, name);
	if (text_has_prefix(url, "https://") && url[8] && url[8] != '/')
		return 0;
	for (size_t i = 0; i < COUNT(here); i++) {
		n = strlen(here[i]);
		if (text_has_prefix(url, here[i]) && (url[n] == '\0' || url[n] == ':' || url[n] == '/'))
			return strchr(url, '@') ? err_set(e, ERR_INVALID, "%s.%s: must not hold credentials", where,
							  name) : 0;
	}
	return err_set(e, ERR_INVALID, "%s.%s: must begin with https:// (http:// only to this machine)", where, name);
}

int jwt_check(const char *where, const struct jwt_auth *j, bool whole, struct err *e)
{
	static const char *const known[] = { "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384",
					     "PS512", "EdDSA" };

	if (whole && (!j->issuer || !*j->issuer || !j->audience || !*j->audience))
		return err_set(e, ERR_INVALID, "%s: issuer and audience are required", where);
	if ((j->public_key_url && j->public_key_file) || (whole && !j->public_key_url && !j->public_key_file))
		return err_set(e, ERR_INVALID, "%s: give public_key_url or public_key_file", where);
	if (j->public_key_url && url_check(where, j->public_key_url, "public_key_url", e) != 0)
		return -1;
	if (!j->validate_signature)
		return err_set(e, ERR_INVALID, "%s.validate_signature: a token without a checked signature proves "
			       "nothing; leave it true", where);
	for (size_t i = 0; i < j->algorithms.n; i++) {
		size_t k = 0;

		while (k < COUNT(known) && strcmp(known[k], j->algorithms.v[i]) != 0)
			k++;
		if (k == COUNT(known))
			return err_set(e, ERR_INVALID, "%s.algorithms: only public-key signatures of RFC 7518 3.1 are "
				       "accepted, such as ES256", where);
	}
	return 0;
}

static bool strv_equal(const struct strv *x, const struct strv *y)
{
	for (size_t i = 0; i < x->n && x->n == y->n; i++)
		if (strcmp(x->v[i], y->v[i]) != 0)
			return false;
	return x->n == y->n;
}

static char *below(struct arena *a, const char *top, const char *path)
{
	return !path || *path == '/' ? arena_strdup(a, path) : arena_printf(a, "%s/%s", top, path);
}

void jwt_inherit(struct arena *a, struct jwt_auth *j, const struct jwt_auth *from, const char *top)
{
	struct jwt_auth none;

	rec_default(a, &jwt_type, &none);
	if (!j->issuer)
		j->issuer = from->issuer;
	if (!j->audience)
		j->audience = from->audience;
	if (!j->public_key_url && !j->public_key_file) {
		j->public_key_url = from->public_key_url;
		j->public_key_file = below(a, top, from->public_key_file);
		j->ca_file = below(a, top, from->ca_file);
	}
	if (strv_equal(&j->required_claims, &none.required_claims))
		j->required_claims = from->required_claims;
	if (strv_equal(&j->algorithms, &none.algorithms))
		j->algorithms = from->algorithms;
}

/* --- tables --- */

static const char *const jwks_aka[] = { "jwks_url", NULL };
#define COMMON \
	STR(jwt_auth, issuer, "The claim iss must be this."), \
	STR(jwt_auth, audience, "The claim aud must hold this."), \
	STR(jwt_auth, public_key_url, "URL of the key set (JWKS).", .aka = jwks_aka), \
	STR(jwt_auth, public_key_file, "File of the key set, instead of public_key_url."), \
	STR(jwt_auth, ca_file, "PEM file of trusted authorities for public_key_url, instead of the system's."), \
	STRV(jwt_auth, required_claims, "Claims that must be present.", .dflt = "[sub, exp]"), \
	STRV(jwt_auth, algorithms, "Signature algorithms that are accepted.", \
	     .dflt = "[ES256, ES384, PS256, RS256, EdDSA]")

static const struct field jwt_fields[] = {
	COMMON,
	STR(jwt_auth, device_claim,
	    "Claim that must be the id of the device that enrols; absent: the token is good for any device."),
	BOOL(jwt_auth, validate_signature, "Always true.", .dflt = "true"),
	END
};
const struct schema jwt_type = {
	.name = "jwt", .size = sizeof(struct jwt_auth), .fields = jwt_fields,
	.doc = "Authentication by bearer token (RFC 7519). What is not said here is as in identity_extractors.jwt of "
	       "lamassu.yaml."
};

static const struct field identity_jwt_fields[] = {
	COMMON,
	STR(jwt_auth, roles_claim, "Claim that holds the roles of an operator, a list or a text; a dot leads into an "
	    "object, as in realm_access.roles.", .dflt = "roles"),
	BOOL(jwt_auth, required,
	     "Refuse changes by operators that show no token (LAMASSU_TOKEN, --token-file, --token-fd).",
	     .dflt = "false"),
	BOOL(jwt_auth, validate_signature, "Always true.", .dflt = "true"),
	END
};
const struct schema identity_jwt_type = {
	.name = "jwt", .doc = "Tokens (RFC 7519) by which operators are known.", .size = sizeof(struct jwt_auth),
	.fields = identity_jwt_fields
};
