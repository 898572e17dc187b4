#pragma once
#include "model/key.h"
#include "pki/crl_issue.h"

/* What crl_*.c and authority.c share. */

/* Who signs an indirect CRL: the key that crl.issuer_key names, and its newest certificate in the ledger. */
int crl_signer(struct ctx *, const struct ca *, struct key *ret_key, struct cert *ret_cert, struct err *) NODISCARD;
/* "full", "delta", "full/3". */
char *crl_scope_name(struct arena *, bool delta, int64_t partition);
/* Numbers are decimal text without leading zeros: up to 20 octets (RFC 5280 5.2.3), more than an int64_t. */
int crl_compare_numbers(const char *a, const char *b);
/* Writes digest and size into the record, and it into the transaction. */
int crl_record(struct ctx *, struct crlrec *, struct bytes der, struct err *) NODISCARD;
