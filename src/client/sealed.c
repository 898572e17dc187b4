/* A key that comes encrypted (RFC 7030 4.4.2, RFC 5958). Guarantees: it is used only when it was encrypted to the
 * recipient's key and signed by somebody whose certificate leads to the authorities that the server distributes. */
#include "client/est.h"
#include "crypto/cms.h"
#include "crypto/csr.h"
#include "crypto/key.h"

int est_recipient_attributes(struct arena *a, const struct est_recipient *to,
			     struct bytes ret[EST_RECIPIENT_ATTRIBUTES], struct err *e)
{
	struct bytes capabilities;

	if (cms_capabilities(a, to->key, &capabilities, e) != 0)
		return -1;
	ret[0] = csr_attribute_build(a, OID_ASYMMETRIC_DECRYPT_KEY_ID,
				     DER_JOIN(a, DER_OCTETSTRING, cms_key_id(a, &to->cert)));
	ret[1] = csr_attribute_build(a, OID_SMIME_CAPABILITIES, capabilities);
	return 0;
}

/* AsymmetricKeyPackage ::= SEQUENCE OF OneAsymmetricKey, of which there is one here. */
static int unpack(struct bytes package, EVP_PKEY **ret, struct err *e)
{
	struct der d = der_of(package);
	struct bytes keys, one;
	int tag;

	if (!der_expect(&d, DER_SEQUENCE, &keys) || !der_done(&d))
		return err_set(e, ERR_INVALID, "not an AsymmetricKeyPackage (RFC 5958 2)");
	d = der_of(keys);
	if (!der_next(&d, &tag, NULL, &one) || tag != DER_SEQUENCE || !der_done(&d))
		return err_set(e, ERR_INVALID, "an AsymmetricKeyPackage without one key (RFC 5958 2)");
	return key_load(one, NULL, ret, e);
}

int est_unseal(struct ctx *ctx, const struct est_answer *answer, const struct est_recipient *to,
	       const struct est_cas *cas, EVP_PKEY **ret, struct err *e)
{
	struct cms_signed key;
	struct est_answer signer;
	struct est_chain chain;
	struct bytes sd;

	if (cms_decrypt(ctx->arena, answer->sealed, to->key, to->cert.der, &sd, e) != 0 ||
	    cms_verify(ctx->arena, OID_CT_KEY_PACKAGE, sd, &key, e) != 0)
		return err_ctx(e, "the key of the answer");
	signer = (struct est_answer){ .certs = key.certs, .n = key.n };
	if (est_judge(ctx, &signer, cas, key.signer, &chain, e) != 0)
		return err_ctx(e, "who signed the key of the answer");
	return unpack(key.content, ret, e) != 0 ? err_ctx(e, "the key of the answer") : 0;
}
