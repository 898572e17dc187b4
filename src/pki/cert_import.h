#pragma once
#include "pki/cert_find.h"

/* Certificates that were issued elsewhere, or before this repository was. */
struct cert_arrival {
	const char *ca;      /* its issuer; NULL: found among the authorities, else "-" */
	const char *profile; /* the profile that is noted with it; NULL: none */
	const char *device;
	char *metadata;
};
/* Recorded in the transaction. ERR_EXISTS when it is here already; ERR_DENIED when `ca` did not issue it. Warns of weak
 * keys. */
int cert_import(struct ctx *, const struct cert_arrival *, struct bytes der, struct certrec *ret,
		struct err *) NODISCARD;
