#pragma once
#include "base/arena.h"
#include "base/bytes.h"
#include "crypto/ossl.h"

/* CRLs that were decoded, for all threads of a worker. `place`: where it comes from; `key`: what changes when it
 * does. */
X509_CRL *crls_find(const char *place, struct bytes key); /* NULL: it must be decoded; the caller owns a reference */
X509_CRL *crls_keep(const char *place, struct bytes key, struct bytes der, struct err *); /* NULL: it is none */
