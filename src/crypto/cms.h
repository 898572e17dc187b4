#pragma once
#include <stdbool.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "crypto/cert.h"
#include "crypto/ossl.h"

/* CMS (RFC 5652) as far as keys on their way need it (RFC 5958): signed by who made them, encrypted to who asked for
 * them. */

#define OID_CT_KEY_PACKAGE "2.16.840.1.101.2.1.2.78.5" /* AsymmetricKeyPackage */
#define OID_SMIME_CAPABILITIES "1.2.840.113549.1.9.15"
#define OID_ASYMMETRIC_DECRYPT_KEY_ID "1.2.840.113549.1.9.16.2.54"

/* SignedData (without ContentInfo around it) of a content of this type, with the certificates in it, the signer's own
 * first. */
int cms_sign(struct arena *, const char *type, struct bytes content, EVP_PKEY *, const struct bytes *certs, size_t n,
	     struct bytes *ret, struct err *) NODISCARD;
struct cms_signed {
	struct bytes content;
	struct bytes signer;  /* the certificate that the signature verifies with; who that is remains to be judged */
	struct bytes *certs;  /* all that came along */
	size_t n;
};
int cms_verify(struct arena *, const char *type, struct bytes der, struct cms_signed *ret, struct err *) NODISCARD;

/* How to encrypt to somebody: chosen among what he says he is able to (RFC 8551 2.5.2), the first in his order that
 * this side does too. */
struct cms_how {
	const EVP_CIPHER *cipher;           /* of the content */
	bool oaep;                          /* RSA: RSAES-OAEP with these, else PKCS #1 v1.5 */
	const EVP_MD *md, *mgf1_md;
	const EVP_MD *kdf_md;               /* EC: of ECDH's key derivation */
	const EVP_CIPHER *wrap;
};
/* `capabilities` is the value of the attribute. ERR_INVALID when it is none, ERR_UNSUPPORTED when nothing of it is
 * known here. */
int cms_choose(struct bytes capabilities, const EVP_PKEY *recipient, struct cms_how *ret, struct err *) NODISCARD;
/* What cms_open is able to with this key; ERR_UNSUPPORTED for a key that does not decrypt. */
int cms_capabilities(struct arena *, const EVP_PKEY *, struct bytes *ret, struct err *) NODISCARD;

/* How a recipient is named: the subject key identifier of his certificate, else the one that RFC 5280 4.2.1.2 (1) makes
 * of the key. */
struct bytes cms_key_id(struct arena *, const struct cert *);

/* EnvelopedData, as ContentInfo, of a SignedData, to the owner of a certificate, who is named by his key's id where it
 * has one. */
int cms_encrypt(struct arena *, struct bytes signed_data, struct bytes cert, const struct cms_how *, struct bytes *ret,
		struct err *) NODISCARD;
/* The SignedData in it; wiped with the arena. ERR_DENIED when the key does not open it. */
int cms_decrypt(struct arena *, struct bytes der, EVP_PKEY *, struct bytes cert, struct bytes *ret,
		struct err *) NODISCARD;
