#pragma once
#include "pki/authority.h"

/* Making CRLs of an authority (C13). One scope at a time: all certificates, or one partition; full or delta. */
struct crl_order {
	bool delta;
	int64_t partition;      /* -1: the complete CRL */
	int64_t this_update;    /* 0: now; later dates are for horizons of offline authorities */
	int64_t validity;       /* seconds; 0: the configured one */
	/* NULL: the next one; else that of the CRL which this one accompanies (RFC 5280 5.2.3) */
	const char *number;
};
struct crl_made {
	struct bytes der;
	struct crlrec rec;
	size_t taken;           /* crl_install: how many certificates are revoked because of it */
};
/* Signs and puts the record into the transaction. REVOKED and INACTIVE authorities sign too; an authority without key
 * here does not. ERR_CONFLICT when the ledger here lacks what the last CRL was made from: a CRL never un-revokes. */
int crl_issue(struct ctx *, struct authority *, const struct crl_order *, struct crl_made *ret, struct err *) NODISCARD;

/* Into what the CRL of an authority is split. Partitions that were in use stay; certificates that are in none, because
 * they are older than the partitions, need the complete CRL beside them. */
struct crl_scopes {
	int64_t partitions;
	bool complete;
};
int crl_scopes(struct ctx *, const struct authority *, struct crl_scopes *ret, struct err *) NODISCARD;
/* is there a full CRL to build a delta on? */
bool crl_has_base(struct ctx *, const struct authority *, int64_t partition, struct err *);

/* A CRL made elsewhere for this authority (C12): signature verified, number must have grown; recorded, and what it
 * lists is revoked here too. What is revoked here only is a warning. */
int crl_install(struct ctx *, struct authority *, struct bytes text, struct crl_made *ret, struct err *) NODISCARD;
/* Is a new full CRL due, by crl_update_interval_hours or because the last one ends before `until`? Of one scope (-1:
 * the complete CRL), or of any that there is to make. */
int crl_scope_due(struct ctx *, const struct authority *, int64_t partition, int64_t until, bool *ret,
		  struct err *) NODISCARD;
int crl_due(struct ctx *, const struct authority *, int64_t until, bool *ret, struct err *) NODISCARD;
