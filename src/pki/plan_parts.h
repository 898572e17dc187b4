#pragma once
#include "pki/plan.h"

/* What plan.c and plan_ext.c share: one plan in the making. */
struct planning {
	struct arena *ar;
	const struct config *config;
	const struct authority *issuer; /* NULL: self-signed */
	const struct profile *prof;
	const struct request *req;
	const struct wishes *wishes;
	int64_t now;
	bool explain;
	struct plan plan;
};

/* Notes where a field came from, when reasons are wanted. */
void plan_reason(struct planning *, const char *field, const char *source, const char *text);
/* All extensions of plan.tbs. */
int plan_extensions(struct planning *, struct err *) NODISCARD;
/* How many partitions the CRL of an authority has; 0: one CRL, also where the addresses would not tell partitions
 * apart. */
int64_t authority_partitions(const struct config *, const struct authority *);
/* Addresses that the extensions and the CRLs of an authority carry. partition -1: of the complete CRL. */
struct strv authority_cdp(struct arena *, const struct config *, const struct authority *, int64_t partition);
