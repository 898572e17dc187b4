#pragma once
#include "crypto/cert.h"
#include "pki/authority.h"
#include "pki/verify_repo.h"
#include "state/inspect.h"

/* What verify_*.c share. */
struct issuer_cert {
	struct cert cert;
	EVP_PKEY *pub;
	const char *file;
};
struct issuer { /* an authority with every certificate that it has, or had */
	struct ca rec;
	bool here;      /* on the policy branch; else only the ledger remembers it */
	struct issuer_cert *v;
	size_t n;
	const struct issuer_cert *newest; /* ca.pem; NULL while PENDING */
};

struct verifying {
	struct ctx *ctx;
	struct finding *v;
	size_t n;
	uint64_t untold; /* more than can be read by anybody are only counted */
	struct verified seen;
	struct issuer *issuers; /* sorted by id */
	size_t nissuers;
	struct inspector inspector;
};

void verify_found(struct verifying *, const char *object, const char *repair, const char *problem, ...) PRINTF(4, 5);
const struct issuer *verify_issuer(const struct verifying *, const char *id); /* NULL: unknown */
/* Adds a certificate to an authority; NULL, and reported, where it is not one of a CA. */
struct issuer_cert *verify_add_cert(struct verifying *, struct issuer *, const char *file, struct bytes pem);
/* Did `by` issue it? NULL, or what is wrong. Names, key ids, signature, and what the issuer's certificate allows. Safe
 * on threads. */
const char *verify_chain(struct arena *, const struct cert *, const struct issuer *by);

/* verify_policy.c: records and their references; fills the issuers. */
int verify_policy(struct verifying *, struct err *) NODISCARD;
/* verify_entries.c: authorities that only the ledger remembers become issuers too; then every entry, on all cores. */
int verify_former_authorities(struct verifying *, struct err *) NODISCARD;
int verify_entries(struct verifying *, struct err *) NODISCARD;
/* verify_crls.c: the CRL records. */
int verify_crls(struct verifying *, struct err *) NODISCARD;
