#pragma once
#include "pki/authority.h"
#include "pki/plan.h"

/* New authorities: made here (root or subordinate), requested from a parent elsewhere, or answered by one. */
struct ca_order {
	const char *id;
	const char *parent;               /* NULL: a root */
	struct bytes subject;             /* DER name */
	const struct keytype *keytype;    /* of a new key; NULL when `key` is given */
	const char *key;                  /* reference to an existing key */
	const char *engine;               /* NULL: the default */
	const char *profile;              /* shape of its own certificate; NULL: built in */
	const char *issuance_profile;     /* default for what it issues; may be NULL */
	const char *validity;             /* NULL: the profile's */
	int64_t path_length;              /* -1: the profile's */
	const struct profile *shape;      /* in place of `profile`, which is only noted; NULL: loaded */
	const struct exts *exts;          /* what the profile may honour; NULL: nothing */
	bool keep_subject;                /* byte for byte, whatever the profile says */
	bool allow_outlive;               /* its parent */
	const struct ca_crl *crl;         /* settings of its CRLs; NULL: the profile's */
	char *metadata;                   /* JSON */
};

/* Puts the new authority into the transaction; the caller commits. On failure a key that was made is removed again. */
int ca_create(struct ctx *, const struct ca_order *, struct authority *ret, struct err *) NODISCARD;
/* A PENDING authority with a key here and its CSR for a parent elsewhere (C12). For an authority that exists already,
 * only the CSR for its key: for cross certificates and renewals by the parent. */
int ca_request(struct ctx *, const struct ca_order *, struct bytes *ret_csr_der, struct err *) NODISCARD;
/* The parent's answer: the certificate must match the key and be a CA's. With `cross` it is kept beside the authority's
 * own. */
int ca_install(struct ctx *, const char *id, struct bytes certs, bool cross, struct authority *ret,
	       struct err *) NODISCARD;
/* The key of an order: an existing one resolved, or a new one made. *ret_new tells which. */
int ca_order_key(struct ctx *, const struct ca_order *, struct key *ret, bool *ret_new, struct err *) NODISCARD;
/* ERR_CONFLICT when the key is an authority's. */
int ca_key_is_free(struct ctx *, const struct key *, struct err *) NODISCARD;
/* Records an authority's certificate: ca.pem, record, and the ledger entry unless the ledger has it. */
int ca_store(struct ctx *, struct ca *rec, struct bytes der, struct certrec *, struct err *) NODISCARD;
/* The parent of a certificate among the authorities of the repository: by name, key id and signature. NULL when
 * unknown. */
int ca_find_parent(struct ctx *, const struct cert *, char **ret_id, struct err *) NODISCARD;
/* Gives authorities without a known parent the one that has just arrived (C4). */
int ca_adopt_orphans(struct ctx *, const char *id, const struct cert *, struct err *) NODISCARD;
/* Commits a transaction that made an authority. Where that fails, and in a dry run, a private key that was made for it
 * is removed again. */
int ca_commit(struct ctx *, const struct authority *, bool key_is_new, const char *subject, struct err *) NODISCARD;
