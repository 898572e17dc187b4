#pragma once
#include "pki/authority.h"

/* A new certificate for an authority: for the same key (the id stays), or for a new one (a new id; a root also gets the
 * link certificates OldWithNew and NewWithOld of RFC 4210 4.4). */
struct ca_renewal {
	const char *id;
	bool new_key;
	const char *new_id;      /* with new_key; NULL: <id>-g2, -g3 … */
	const char *engine;      /* of the new key; NULL: where the old one is */
	const struct keytype *keytype; /* NULL: as the old one */
	const char *profile;     /* NULL: the authority's, else as the old certificate is */
	const char *validity;    /* NULL: as long as the old certificate was, but not longer than the parent is */
	bool allow_outlive;      /* its parent */
	const char *reason;      /* NULL: "certificate-reissuance" */
};
int ca_reissue(struct ctx *, const struct ca_renewal *, struct authority *ret, struct err *) NODISCARD;
