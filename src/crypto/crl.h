#pragma once
#include "crypto/algs.h"
#include "crypto/ext.h"
#include "crypto/ossl.h"

/* CRLs (RFC 5280 5), written by hand: a million entries cost a write and a hash, not a million objects. */
struct crl_builder;

struct crl_head {
	struct bytes issuer;      /* DER name of the signer */
	int64_t this_update, next_update;
	struct exts exts;         /* cRLNumber, AKI, IDP, delta indicator, freshest */
	size_t expected;          /* about how many entries there will be; 0: unknown */
};
struct crl_entry {
	struct bytes serial;      /* big-endian, unsigned */
	int64_t time;
	int reason;               /* 0: no reasonCode extension; 8 removeFromCRL */
	int64_t invalidity;       /* 0: none */
	/* DER name, indirect CRLs; n = 0: none. Applies to this entry only as RFC 5280 5.3.3 */
	struct bytes certificate_issuer;
};

struct crl_builder *crl_new(const struct crl_head *);
int crl_add(struct crl_builder *, const struct crl_entry *, struct err *) NODISCARD; /* in any order */
size_t crl_count(const struct crl_builder *);
int crl_sign(struct arena *, struct crl_builder *, EVP_PKEY *, const struct sigalg *, struct bytes *ret_der,
	     struct err *) NODISCARD;
void crl_free(struct crl_builder *);
typedef struct crl_builder crl_builder;
DEFINE_AUTO(crl_builder, crl_free)

/* oid: OID_CRL_NUMBER, or OID_DELTA_CRL, which is critical */
void crl_ext_number(struct arena *, struct exts *, const char *oid, const char *decimal);
struct crl_idp { /* issuingDistributionPoint, critical */
	struct strv uris;
	bool only_user, only_ca, indirect;
};
int crl_ext_idp(struct arena *, struct exts *, const struct crl_idp *, struct err *) NODISCARD;

struct crl { /* read */
	struct bytes der, tbs, sig_alg, sig, issuer;
	int64_t this_update, next_update; /* next_update 0: absent */
	struct exts exts;
	struct bytes revoked;             /* content of revokedCertificates; empty when absent */
	char *number;                     /* decimal or NULL */
	char *base_number;                /* delta */
};
int crl_parse(struct arena *, struct bytes text, struct crl *ret, struct err *) NODISCARD; /* PEM or DER */
int crl_each(const struct crl *, int (*cb)(void *arg, const struct crl_entry *, struct err *), void *arg,
	     struct err *) NODISCARD;
int crl_verify(const struct crl *, EVP_PKEY *issuer_pub, struct err *) NODISCARD;
