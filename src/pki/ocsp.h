#pragma once
#include "pki/authority.h"
#include "pki/ocsp_request.h"

/* OCSP answers (RFC 6960, RFC 5019, RFC 9654) from the records of this repository. */

struct ocsp_signer { /* what answers are signed with: a delegated responder, or the authority itself */
	EVP_PKEY *key;          /* borrowed */
	struct bytes cert;      /* DER */
	const struct sigalg *alg;
	struct bytes key_hash;  /* of the certificate's key: ocsp_key_hash */
};
/* how a responder is named: SHA-1 of its key (RFC 6960 4.2.1) */
struct bytes ocsp_key_hash(struct arena *, struct bytes spki);

struct ocsp_issuer { /* an authority that answers are given for */
	struct authority *ca;
	struct bytes name_hash[OCSP_HASHES], key_hash[OCSP_HASHES]; /* by the order of ocsp_hashes[] */
};
void ocsp_issuer_init(struct arena *, struct authority *, struct ocsp_issuer *ret);

struct ocsp_responder {
	struct ocsp_issuer *v;
	size_t n;
	int64_t validity; /* seconds from thisUpdate to nextUpdate */
	/* The signer for an authority's answers; called only when something is to be signed. */
	int (*signer)(void *arg, struct authority *, struct ocsp_signer *ret, struct err *);
	void *arg;
};

struct ocsp_answer {
	struct bytes der;     /* OCSPResponse: always there */
	bool good_to_cache;   /* signed, and without a nonce */
	int64_t this_update, next_update; /* next_update: also where a revocation dated ahead begins */
	/* for logs: "good" "revoked" "unknown" "several" "unauthorized" "malformed" "try_later" "internal" */
	const char *status;
	const char *ca, *serial; /* of the first one asked for; NULL: unknown */
};
/* The answer to a request, whatever it is: what is no OCSP request, or asks of authorities that are not ours, is
 * answered with the error that RFC 6960 4.2.1 has for it. */
void ocsp_answer(struct ctx *, const struct ocsp_responder *, struct bytes request, struct ocsp_answer *ret);
/* An answer about one certificate without a request, for static hosting; and the name of its file: the request in
 * base64, URL-encoded, as a GET has it (RFC 5019 5). */
int ocsp_produce(struct ctx *, const struct ocsp_responder *, const struct ocsp_issuer *, const struct certrec *,
		 struct ocsp_answer *ret, char **ret_name, struct err *) NODISCARD;
