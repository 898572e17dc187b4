#pragma once
#include "crypto/algs.h"
#include "crypto/der.h"

/* SIGNED{} of X.509: certificates, CRLs and requests are { what is signed, algorithm, signature } in one allocation. */
struct derw signed_begin(struct arena *, size_t room); /* a writer for what is signed, of at most `room` octets */
int signed_end(struct derw *, EVP_PKEY *, const struct sigalg *, struct bytes *ret_der, struct err *) NODISCARD;
