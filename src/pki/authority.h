#pragma once
#include "base/ctx.h"
#include "crypto/cert.h"
#include "model/ca.h"
#include "model/config.h"
#include "model/key.h"
#include "model/ledger_records.h"
#include "state/state.h"

/* A certificate authority as it stands now: record, newest certificate, place in the hierarchy, computed status, and
 * (once it was asked for) the key that signs. */
struct authority {
	struct ca rec;
	struct cert cert;          /* der.n == 0 while PENDING */
	int status;                /* enum ca_status */
	int revocation_reason;     /* code, -1 when not revoked */
	int64_t revoked_at;
	int64_t level;             /* 0: root; an authority whose parent is unknown counts from 0 too */
	struct authority *parent;  /* NULL: root, or unknown */
	EVP_PKEY *key;             /* owned; NULL until authority_open_key */
	const struct sigalg *alg;
	struct bytes crl_issuer;   /* name of who signs its CRLs where it is not itself; n = 0 */
};

void authority_release(struct authority *);
#define SCOPED_AUTHORITY __attribute__((cleanup(authority_release))) struct authority

/* By id, or by the serial number of any of its certificates. Loads the parents too; crl_issuer of the authority
 * alone. */
int authority_load(struct ctx *, const char *ref, struct authority *ret, struct err *) NODISCARD;
/* Opens the signing key. ERR_DENIED when the authority has none here. */
/* Whoever signs asks: ERR_DENIED when the clock went backwards and the operator has not given the time. */
int authority_clock(struct ctx *, struct err *) NODISCARD;
int authority_open_key(struct ctx *, struct authority *, struct err *) NODISCARD;
/* The same with a key that somebody else has opened; takes it over. */
int authority_take_key(struct authority *, EVP_PKEY *, struct err *) NODISCARD;
/* ERR_DENIED unless ACTIVE with a key: what every act of issuing asks first (C7). */
int authority_may_issue(const struct authority *, struct err *) NODISCARD;
bool authority_is_root(const struct authority *);

/* Certificates from this one to the root, DER; parents that are unknown are missing. */
int authority_chain(struct arena *, const struct authority *, struct bytes **ret, size_t *ret_n,
		    struct err *) NODISCARD;
struct bytes authority_key_id(struct arena *, const struct authority *); /* what AKIs of its issues carry */
char *authority_subject(struct arena *, const struct authority *);
int authority_view(struct ctx *, const struct authority *, struct ca_view *ret, struct err *) NODISCARD;

/* All authorities of the repository, in order of id; chains are shared. For lists, trees and checks. */
int authority_all(struct ctx *, struct authority **ret, size_t *ret_n, struct err *) NODISCARD;
int authority_compute_status(const struct ca *, const struct cert *, bool revoked, int64_t now);
/* Whether the authority's own certificate is revoked in the ledger. */
int authority_check_revoked(struct ctx *, struct authority *, struct err *) NODISCARD;
/* The key record of an authority. */
int authority_key_record(struct ctx *, const struct authority *, struct key *ret, struct err *) NODISCARD;
