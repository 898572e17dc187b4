#pragma once
#include "pki/authority.h"

/* The incident plan for an authority whose key is in wrong hands (C15). */
struct affected {
	char *serial_number, *subject, *ca, *device, *profile;
	int64_t not_after;
	char *action; /* what to do: "reissue with another authority", … */
};
extern const struct schema affected_type;
/* Takes it offline, revokes its certificate and everything below; lists what is affected. The emergency CRL is the caller's, after
 * the commit, because it is made from the committed ledger. */
int compromise_authority(struct ctx *, struct authority *, const char *note, struct affected **ret, size_t *ret_n, struct err *) NODISCARD;
/* The notice to relying parties, as text. */
int compromise_notice(struct ctx *, const struct authority *, size_t affected, struct buf *out, struct err *) NODISCARD;
