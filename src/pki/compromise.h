#pragma once
#include "pki/authority.h"

/* The incident plan for an authority whose key is in wrong hands (C15). */
struct affected {
	char *serial_number, *subject, *ca, *device, *profile;
	int64_t not_after;
	char *action; /* what to do: "reissue with another authority", … */
};
extern const struct schema affected_type;
/* Takes it offline, revokes its certificate and everything below; large hierarchies are committed on the way, under
 * `subject`. The emergency CRL is the caller's, after the commit, because it is made from the committed ledger. */
int compromise_authority(struct ctx *, struct authority *, const char *note, const char *subject,
			 struct err *) NODISCARD;
/* Each certificate that has not ended and is revoked because an authority above it is compromised, from this one down,
 * some at a time; told by the committed ledger, so a plan that was cut off and carried out again has all of them. */
typedef int compromise_fn(void *arg, const struct affected *, size_t n, struct err *);
int compromise_each(struct ctx *, const char *ca, compromise_fn *, void *arg, struct err *) NODISCARD;
/* The notice to relying parties, as text. */
int compromise_notice(struct ctx *, const struct authority *, size_t affected, struct buf *out, struct err *) NODISCARD;
