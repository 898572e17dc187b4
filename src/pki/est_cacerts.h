#pragma once
#include "base/ctx.h"
#include "model/dms.h"

/* What cacerts answers (RFC 7030 4.1.3, E3): the authorities that the settings name, each with its issuers up to the
 * root, and for a root that got a new key the other generation with OldWithNew and NewWithOld. Compromised, revoked and
 * expired certificates are left out. Without repetitions; ERR_CONFLICT when nothing is left. `system_ca` issued the
 * listener's TLS certificate; NULL: the enrolment authority. */
int est_cacerts(struct ctx *, const struct dms *, const char *system_ca, struct bytes **ret_ders, size_t *ret_n,
		struct err *) NODISCARD;
/* PKCS#7 certs-only as strict clients want it: the set in DER order. */
int est_p7(struct arena *, const struct bytes *ders, size_t n, struct bytes *ret_der, struct err *) NODISCARD;
