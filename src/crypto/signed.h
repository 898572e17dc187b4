#pragma once
#include "crypto/algs.h"
#include "crypto/der.h"

/* SIGNED{} of X.509: certificates, CRLs and requests are { what is signed, algorithm, signature } in one allocation. */
enum { SIGNED_HEAD = 8, SIGNED_TAIL = 5400 }; /* around it; the largest signature, ML-DSA-87, has 4627 octets */
struct derw signed_begin(struct arena *, size_t room); /* a writer for what is signed, of at most `room` octets */
/* Of a writer from signed_begin, or of one with that much room before and behind it. */
int signed_end(struct derw *, EVP_PKEY *, const struct sigalg *, struct bytes *ret_der, struct err *) NODISCARD;
