#pragma once
#include "pki/plan.h"

/* Signing plans and recording what was signed. The order is always: plan, sign, record in the transaction, commit,
 * print. */

/* The ledger's head of a certificate that was just signed. issuer NULL: by itself. Pure; safe on threads. */
int issue_head(struct arena *, const struct authority *issuer, const char *profile_id, const struct plan *,
	       const struct request *, struct bytes der, int64_t now, struct certrec *ret, struct err *) NODISCARD;
/* The head of a certificate that somebody else issued. */
int issue_head_of(struct arena *, const char *ca, const struct cert *, int64_t now, struct certrec *ret,
		  struct err *) NODISCARD;
/* Puts it into the transaction; certrec.type and certrec.ca_id may be set by the caller before. */
int issue_record(struct ctx *, struct certrec *, struct bytes der, struct err *) NODISCARD;

/* A profile by id, with its references checked; `id` NULL gives ERR_USAGE naming --profile. */
int profile_load(struct ctx *, const char *id, struct profile *ret, struct err *) NODISCARD;
/* Built-in shapes for authorities that name no profile. */
void profile_builtin_root(struct arena *, struct profile *ret);
void profile_builtin_sub(struct arena *, struct profile *ret);

/* One request signed by an authority whose key is open; not committed. */
struct issued {
	struct bytes der;
	struct certrec rec;
	const char *warning;
	struct plan plan;
};
int issue_sign(struct ctx *, struct authority *, const struct profile *, const struct request *, const struct wishes *,
	       /* only signed: the caller may add to rec before issue_record */
	       struct issued *ret, struct err *) NODISCARD;
/* The same for a key that was made here, under the subject of the wishes; recorded. */
int issue_own(struct ctx *, struct authority *, const struct profile *, const EVP_PKEY *, const struct wishes *,
	      struct issued *ret, struct err *) NODISCARD;
/* A request from a CSR: parsed, key judged, signature verified. The caller owns *ret_pub. */
int request_from_csr(struct arena *, struct bytes text, struct csr *, struct request *ret, EVP_PKEY **ret_pub,
		     struct err *) NODISCARD;

#define META_SHORTENED "lamassu.io/certificate/shortened"
