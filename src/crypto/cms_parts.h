#pragma once
#include <openssl/cms.h>
#include <openssl/objects.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "crypto/ossl.h"

/* What the files about CMS share. */
void cms_free(CMS_ContentInfo *); /* wipes the content before */
DEFINE_AUTO(CMS_ContentInfo, cms_free)
DEFINE_AUTO(ASN1_OBJECT, ASN1_OBJECT_free)

X509 *cms_read_cert(struct bytes der); /* NULL: none; owned by the caller */
int cms_write(struct arena *, CMS_ContentInfo *, struct bytes *ret, struct err *) NODISCARD;
int cms_from_bio(struct arena *, BIO *, struct bytes *ret, struct err *) NODISCARD;
