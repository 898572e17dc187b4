#pragma once
#include "pki/cert_find.h"

/* Is a certificate good: path to a root of this repository, dates, name constraints and usages of the authorities (RFC
 * 5280 6), and revocation by our own records. */
struct cert_verdict {
	char *serial_number, *subject, *ca;
	bool valid;
	char *reason; /* NULL when valid */
	int status;   /* enum cert_status */
	bool recorded;
	int64_t not_before, not_after;
	struct strv chain; /* subjects, from the certificate to the root */
};
extern const struct schema cert_verdict_type;
int cert_judge(struct ctx *, const struct found_cert *, struct cert_verdict *ret, struct err *) NODISCARD;
