#pragma once
#include "pki/authority.h"

/* Making CRLs of an authority (C13). One scope at a time: all certificates, or one partition; full or delta. */
struct crl_order {
	bool delta;
	int64_t partition;      /* -1: none */
	int64_t this_update;    /* 0: now; later dates are for horizons of offline authorities */
	int64_t validity;       /* seconds; 0: the configured one */
};
struct crl_made {
	struct bytes der;
	struct crlrec rec;
};
/* Signs and puts the record into the transaction. REVOKED and INACTIVE authorities sign too; an authority without key here does
 * not. ERR_CONFLICT when the ledger here lacks what the last CRL was made from: a CRL never un-revokes. */
int crl_issue(struct ctx *, struct authority *, const struct crl_order *, struct crl_made *ret, struct err *) NODISCARD;
/* How many partitions an authority's CRL has; 0: one CRL. */
int64_t crl_partitions(struct ctx *, const struct authority *);
/* A CRL made elsewhere for this authority (C12): signature verified, number must have grown; recorded. */
int crl_install(struct ctx *, struct authority *, struct bytes text, struct crl_made *ret, struct err *) NODISCARD;
/* Is a new full CRL due, by crl_update_interval_hours or because the last one ends before `until`? */
int crl_due(struct ctx *, const struct authority *, int64_t until, bool *ret, struct err *) NODISCARD;
