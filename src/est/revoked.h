#pragma once
#include "crypto/cert.h"
#include "est/auth.h"

/* Revocation of certificates that this repository did not issue. */
enum { SOURCES_MAX = 3 }; /* addresses of one kind that are asked for one certificate */

/* Is the certificate revoked? Asks the manager's CRLs, then OCSP, then the distribution points of the certificate,
 * until one knows. Refuses when it is, and when nobody knows, unless the manager allows that. */
int auth_revoked(struct asking *, const struct client_cert_auth *, const struct cert *, const struct cert *issuer,
		 struct refusal *) NODISCARD;
/* ocsp_ask.c: the answer of one responder. */
enum revoked ocsp_ask(struct asking *, const char *url, const struct cert *, const struct cert *issuer, struct err *);
/* The addresses in a certificate. */
size_t cert_ocsp_urls(struct arena *, struct bytes cert, char *ret[SOURCES_MAX]);
size_t cert_crl_urls(struct arena *, struct bytes cert, char *ret[SOURCES_MAX]);
