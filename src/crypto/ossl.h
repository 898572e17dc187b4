#pragma once
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <stdbool.h>

#include "base/auto.h"
#include "base/err.h"

/* Scoped OpenSSL handles and its error queue. */
DEFINE_AUTO(BIO, BIO_free_all)
DEFINE_AUTO(BIGNUM, BN_free)
DEFINE_AUTO(EVP_PKEY, EVP_PKEY_free)
DEFINE_AUTO(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
DEFINE_AUTO(EVP_MD, EVP_MD_free)
DEFINE_AUTO(EVP_MD_CTX, EVP_MD_CTX_free)
DEFINE_AUTO(X509, X509_free)
DEFINE_AUTO(X509_CRL, X509_CRL_free)
DEFINE_AUTO(X509_NAME, X509_NAME_free)
DEFINE_AUTO(X509_REQ, X509_REQ_free)
DEFINE_AUTO(X509_STORE, X509_STORE_free)
DEFINE_AUTO(X509_STORE_CTX, X509_STORE_CTX_free)
DEFINE_AUTO(PKCS12, PKCS12_free)
DEFINE_AUTO(PKCS7, PKCS7_free)
DEFINE_AUTO(PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free)

/* Sets OpenSSL up for a process that lives for milliseconds; before anything else uses it. alone: nobody's modules
 * will be loaded, which may ask it for any cipher by name. */
void ossl_start(bool alone);
/* ERR_CRYPTO "what: reason of the oldest queued error"; empties the queue; returns -1. */
int err_ossl(struct err *, const char *what);
/* SHA256, SHA384, SHA512 or SHA1, fetched once for the process; NULL for others. */
const EVP_MD *ossl_md(const char *name);
