/* SignedData (RFC 5652 5). Guarantees: what comes out of cms_verify is what the signature covers, of the type that was
 * asked for; one signer, whose certificate is in it. Nothing is said of who he is. */
#include <openssl/cms.h>
#include <openssl/err.h>
#include <string.h>

#include "crypto/cms.h"
#include "crypto/cms_parts.h"
#include "crypto/der.h"

enum { CMS_MAX = 1 << 20, CERTS_MAX = 20 };

void cms_free(CMS_ContentInfo *cms)
{
	ASN1_OCTET_STRING **content = CMS_get0_content(cms);

	if (content) {
		ASN1_STRING_clear_free(*content);
		*content = NULL;
	}
	CMS_ContentInfo_free(cms);
}

X509 *cms_read_cert(struct bytes der)
{
	const unsigned char *p = der.p;
	X509 *x = d2i_X509(NULL, &p, (long)der.n);

	ERR_clear_error();
	return x;
}

int cms_write(struct arena *a, CMS_ContentInfo *cms, struct bytes *ret, struct err *e)
{
	unsigned char *der = NULL;
	int n = i2d_CMS_ContentInfo(cms, &der);

	if (n <= 0)
		return err_ossl(e, "CMS");
	*ret = (struct bytes){ arena_memdup(a, der, (size_t)n), (size_t)n };
	OPENSSL_clear_free(der, (size_t)n);
	return 0;
}

int cms_from_bio(struct arena *a, BIO *bio, struct bytes *ret, struct err *e)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);

	if (n < 0 || n > CMS_MAX)
		return err_set(e, ERR_INVALID, "CMS: the content is too long");
	*ret = (struct bytes){ arena_memdup(a, p, (size_t)n), (size_t)n };
	return 0;
}

/* ContentInfo ::= SEQUENCE { contentType, content [0] } -> the content. */
static bool unwrap(struct bytes der, struct bytes *ret)
{
	struct der in = der_of(der), inner;
	struct bytes body, type;

	if (!der_expect(&in, DER_SEQUENCE, &body))
		return false;
	inner = der_of(body);
	return der_expect(&inner, DER_OID, &type) && der_expect(&inner, DER_CTX_CONS, ret);
}

int cms_sign(struct arena *a, const char *type, struct bytes content, EVP_PKEY *key, const struct bytes *certs,
	     size_t n, struct bytes *ret, struct err *e)
{
	const unsigned flags = CMS_BINARY | CMS_PARTIAL | CMS_NOSMIMECAP;
	AUTO(CMS_ContentInfo) *cms = CMS_sign(NULL, NULL, NULL, NULL, flags);
	AUTO(ASN1_OBJECT) *oid = OBJ_txt2obj(type, 1);
	AUTO(BIO) *in = BIO_new_mem_buf(content.p, (int)content.n);
	struct bytes der;

	if (!cms || !oid || !in || CMS_set_detached(cms, 0) != 1 || CMS_set1_eContentType(cms, oid) != 1)
		return err_ossl(e, "CMS");
	for (size_t i = 0; i < n; i++) {
		AUTO(X509) *x = cms_read_cert(certs[i]);

		/* The signer brings his own. */
		if (!x ||
		    (i == 0 ? CMS_add1_signer(cms, x, key, EVP_sha256(), flags) == NULL : CMS_add1_cert(cms, x) != 1))
			return err_ossl(e, "CMS: signer");
	}
	if (CMS_final(cms, in, NULL, flags) != 1)
		return err_ossl(e, "CMS: signature");
	if (cms_write(a, cms, &der, e) != 0)
		return -1;
	return unwrap(der, ret) ? 0 : err_set(e, ERR_CRYPTO, "CMS: SignedData");
}

static void free_certs(STACK_OF(X509) **v)
{
	sk_X509_pop_free(*v, X509_free);
}

static int take_certs(struct arena *a, CMS_ContentInfo *cms, struct cms_signed *ret, struct err *e)
{
	__attribute__((cleanup(free_certs))) STACK_OF(X509) *certs = CMS_get1_certs(cms);
	int n = certs ? sk_X509_num(certs) : 0;

	if (n < 1 || n > CERTS_MAX)
		return err_set(e, ERR_INVALID, "CMS: SignedData with %d certificates, not 1 to %d", n, CERTS_MAX);
	ret->certs = arena_new_array(a, (size_t)n, struct bytes);
	for (int i = 0; i < n; i++) {
		unsigned char *der = NULL;
		int len = i2d_X509(sk_X509_value(certs, i), &der);

		if (len <= 0)
			return err_ossl(e, "CMS: certificate");
		ret->certs[ret->n++] = (struct bytes){ arena_memdup(a, der, (size_t)len), (size_t)len };
		OPENSSL_free(der);
	}
	return 0;
}

/* After the signature was verified. */
static int take_signer(struct arena *a, CMS_ContentInfo *cms, struct cms_signed *ret, struct err *e)
{
	STACK_OF(CMS_SignerInfo) *infos = CMS_get0_SignerInfos(cms);
	X509 *x = NULL;
	unsigned char *der = NULL;
	int n;

	if (!infos || sk_CMS_SignerInfo_num(infos) != 1)
		return err_set(e, ERR_INVALID, "CMS: SignedData without one signer");
	CMS_SignerInfo_get0_algs(sk_CMS_SignerInfo_value(infos, 0), NULL, &x, NULL, NULL);
	n = x ? i2d_X509(x, &der) : 0;
	if (n <= 0)
		return err_set(e, ERR_INVALID, "CMS: SignedData without its signer's certificate");
	ret->signer = (struct bytes){ arena_memdup(a, der, (size_t)n), (size_t)n };
	OPENSSL_free(der);
	return 0;
}

int cms_verify(struct arena *a, const char *type, struct bytes der, struct cms_signed *ret, struct err *e)
{
	static const unsigned char signed_data[] = { DER_OID, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2 };
	struct bytes whole = DER_JOIN(a, DER_SEQUENCE, (struct bytes){ signed_data, sizeof(signed_data) },
				      DER_JOIN(a, DER_CTX_CONS, der));
	const unsigned char *p = whole.p;
	AUTO(CMS_ContentInfo) *cms = whole.n > CMS_MAX ? NULL : d2i_CMS_ContentInfo(NULL, &p, (long)whole.n);
	AUTO(ASN1_OBJECT) *oid = OBJ_txt2obj(type, 1);
	AUTO(BIO) *out = BIO_new(BIO_s_mem());
	struct cms_signed r = { 0 };

	if (!cms || p != whole.p + whole.n || !CMS_get0_SignerInfos(cms)) {
		ERR_clear_error();
		return err_set(e, ERR_INVALID, "CMS: not a SignedData");
	}
	if (!oid || !out)
		return err_ossl(e, "CMS");
	if (OBJ_cmp(CMS_get0_eContentType(cms), oid) != 0)
		return err_set(e, ERR_INVALID, "CMS: what is signed is not of the type that is expected");
	if (CMS_verify(cms, NULL, NULL, NULL, out, CMS_BINARY | CMS_NO_SIGNER_CERT_VERIFY) != 1) {
		err_ossl(e, "CMS: the signature does not verify");
		e->code = ERR_CHECK;
		return -1;
	}
	if (take_signer(a, cms, &r, e) != 0 || take_certs(a, cms, &r, e) != 0 ||
	    cms_from_bio(a, out, &r.content, e) != 0)
		return -1;
	*ret = r;
	return 0;
}
