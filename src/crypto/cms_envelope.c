/* EnvelopedData (RFC 5652 6) around a SignedData. Guarantees: one recipient, by the algorithms that were chosen for
 * him; when a key does not open it no message says why, and nothing half decrypted comes out. */
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>

#include "crypto/cms.h"
#include "crypto/cms_parts.h"
#include "crypto/der.h"

struct bytes cms_key_id(struct arena *a, const struct cert *c)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	struct der d = der_of(c->spki);
	struct bytes body, alg, bits;
	unsigned n = 0;

	if (c->ski.n)
		return c->ski;
	if (der_expect(&d, DER_SEQUENCE, &body) && (d = der_of(body), der_expect(&d, DER_SEQUENCE, &alg)) &&
	    der_expect(&d, DER_BITSTRING, &bits) &&
	    bits.n && EVP_Digest(bits.p + 1, bits.n - 1, digest, &n, ossl_md("SHA1"), NULL) != 1)
		n = 0;
	return (struct bytes){ arena_memdup(a, digest, n), n };
}

static int set_recipient(CMS_ContentInfo *cms, X509 *x, const struct cms_how *how, struct err *e)
{
	unsigned flags = CMS_KEY_PARAM | (X509_get0_subject_key_id(x) ? CMS_USE_KEYID : 0);
	CMS_RecipientInfo *ri = CMS_add1_recipient_cert(cms, x, flags);
	EVP_PKEY_CTX *ctx = ri ? CMS_RecipientInfo_get0_pkey_ctx(ri) : NULL;
	bool good = ctx != NULL;

	if (good && how->oaep)
		good = EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0 &&
		       EVP_PKEY_CTX_set_rsa_oaep_md(ctx, how->md) > 0 &&
		       EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, how->mgf1_md) > 0;
	if (good && how->kdf_md)
		good = EVP_PKEY_CTX_set_ecdh_kdf_md(ctx, how->kdf_md) > 0 &&
		       EVP_EncryptInit_ex(CMS_RecipientInfo_kari_get0_ctx(ri), how->wrap, NULL, NULL, NULL) == 1;
	return good ? 0 : err_ossl(e, "CMS: recipient");
}

int cms_encrypt(struct arena *a, struct bytes signed_data, struct bytes cert, const struct cms_how *how,
		struct bytes *ret, struct err *e)
{
	const unsigned flags = CMS_BINARY | CMS_PARTIAL;
	AUTO(CMS_ContentInfo) *cms = CMS_encrypt(NULL, NULL, how->cipher, flags);
	AUTO(X509) *x = cms_read_cert(cert);
	AUTO(BIO) *in = BIO_new_mem_buf(signed_data.p, (int)signed_data.n);

	if (!cms || !x || !in || CMS_set1_eContentType(cms, OBJ_nid2obj(NID_pkcs7_signed)) != 1)
		return err_ossl(e, "CMS");
	if (set_recipient(cms, x, how, e) != 0)
		return -1;
	if (CMS_final(cms, in, NULL, flags) != 1)
		return err_ossl(e, "CMS: encryption");
	return cms_write(a, cms, ret, e);
}

int cms_decrypt(struct arena *a, struct bytes der, EVP_PKEY *key, struct bytes cert, struct bytes *ret, struct err *e)
{
	const unsigned char *p = der.p;
	AUTO(CMS_ContentInfo) *cms = d2i_CMS_ContentInfo(NULL, &p, (long)der.n);
	AUTO(X509) *x = cms_read_cert(cert);
	AUTO(BIO) *out = BIO_new(BIO_s_mem());

	if (!cms || p != der.p + der.n || OBJ_obj2nid(CMS_get0_type(cms)) != NID_pkcs7_enveloped ||
	    OBJ_obj2nid(CMS_get0_eContentType(cms)) != NID_pkcs7_signed) {
		ERR_clear_error();
		return err_set(e, ERR_INVALID, "CMS: not an EnvelopedData with a SignedData in it");
	}
	if (!x || !out)
		return err_ossl(e, "CMS");
	if (CMS_decrypt(cms, key, x, NULL, out, CMS_BINARY) != 1) {
		ERR_clear_error();
		return err_set(e, ERR_DENIED, "CMS: it is not encrypted to this key");
	}
	return cms_from_bio(a, out, ret, e);
}
