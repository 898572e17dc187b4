#pragma once
#include "crypto/algs.h"
#include "crypto/ext.h"
#include "crypto/ossl.h"

/* PKCS#10 (RFC 2986), read strictly by hand: definite lengths, version 0, no trailing bytes, size limits. */
enum { CSR_MAX = 64 << 10, CSR_MAX_EXTS = 64 };

struct csr {
	struct bytes der;       /* the whole request */
	struct bytes info;      /* CertificationRequestInfo: what is signed */
	struct bytes subject;   /* DER name */
	struct bytes spki;
	struct bytes sig_alg, sig;
	struct exts exts;       /* extensionRequest; empty when absent */
	struct bytes attributes; /* content of [0] */
};

/* One request from DER or PEM. ERR_INVALID with the reason. Does not verify the signature. */
int csr_parse(struct arena *, struct bytes text, struct csr *ret, struct err *) NODISCARD;
/* Splits concatenated PEM; each *ret_v is DER. Garbage between blocks is ignored as in PEM; none found is
 * ERR_INVALID. */
int csr_split(struct arena *, struct bytes text, struct bytes **ret_v, size_t *ret_n, struct err *) NODISCARD;
/* The key, judged: weak or unsupported is ERR_DENIED; then the proof of possession: a wrong one is ERR_DENIED. */
int csr_verify(const struct csr *, EVP_PKEY **ret_key, struct err *) NODISCARD;
#define OID_CHALLENGE_PASSWORD "1.2.840.113549.1.9.7"
#define OID_EXTENSION_REQUEST "1.2.840.113549.1.9.14"
/* The value of an attribute by its dotted OID, a whole element; n = 0: absent. ERR_INVALID when there is more than
 * one. */
int csr_attribute(const struct csr *, const char *oid, struct bytes *ret, struct err *) NODISCARD;
/* Makes one. */
int csr_build(struct arena *, struct bytes subject_der, const struct exts *, EVP_PKEY *, const struct sigalg *,
	      struct bytes *ret_der, struct err *) NODISCARD;
/* The same with further attributes, each a whole element. */
int csr_build_with(struct arena *, struct bytes subject_der, const struct exts *, const struct bytes *attributes,
		   size_t n, EVP_PKEY *, const struct sigalg *, struct bytes *ret_der, struct err *) NODISCARD;
struct bytes csr_attribute_build(struct arena *, const char *oid, struct bytes value); /* of one value */
