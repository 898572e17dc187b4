#pragma once
#include "model/ledger_records.h"
#include "pki/authority.h"

/* Revocation, hold, release (C9, C11, C15). Entries are appended; nothing is ever un-revoked. */
struct revoke_order {
	int action;          /* enum revocation_action */
	int reason;          /* code */
	int64_t at;          /* takes effect; 0: now */
	bool ahead;          /* `at` may lie in the future: until then the certificate stands */
	int64_t invalidity;  /* 0: none */
	const char *note;
	/* a cascade commits after so many, under `subject`, because memory is not for a million; 0: it does not */
	size_t chunk;
	const char *subject;
};
enum { REVOKE_CHUNK = 10000 };
/* A certificate. ERR_CONFLICT when it is revoked already (or not on hold, to release). */
int revoke_cert(struct ctx *, const struct certrec *, const struct revoke_order *, struct err *) NODISCARD;
/* An authority: its certificates, cross certificates among them; with cascade its children, also those that are revoked
 * already, and all that it and they issued. Counts what was revoked; 0: there was nothing left to revoke. Cut off on
 * the way, a second call goes on. */
int revoke_authority(struct ctx *, struct authority *, const struct revoke_order *, bool cascade, size_t *ret_n,
		     struct err *) NODISCARD;
/* Deletes the authority's record and files. ERR_CONFLICT while live certificates or children exist. The key stays. */
int authority_delete(struct ctx *, struct authority *, bool cascade, struct err *) NODISCARD;
