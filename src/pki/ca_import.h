#pragma once
#include "pki/authority.h"

/* Authorities that exist already: certificate alone, with a key to import, or with a key that an engine holds. */
struct ca_arrival {
	const char *id;
	struct bytes certs;          /* PEM, DER or PKCS#7; a chain in any order; or a PKCS#12 */
	struct bytes key;            /* private key text; n = 0: none */
	const char *key_ref;         /* a key that stays where it is; NULL: none */
	const char *passphrase;      /* of key or PKCS#12; NULL: none */
	const char *engine;          /* where an imported key goes; NULL: the default */
	const char *issuance_profile;
	char *metadata;
};
/* *ret_key_is_new: a private part entered an engine for it, which is the caller's to take back when nothing is
 * committed. */
int ca_import(struct ctx *, const struct ca_arrival *, struct authority *ret, bool *ret_key_is_new,
	      struct err *) NODISCARD;
/* Does the key file or the PKCS#12 need a passphrase? */
bool arrival_needs_passphrase(struct arena *, const struct ca_arrival *);
/* an id made from its common name: "Acme Root CA" -> "acme-root-ca" */
char *ca_slug(struct arena *, const struct cert *);
