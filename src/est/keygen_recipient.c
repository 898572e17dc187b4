/* To whom a key is encrypted. Guarantees: only to a key whose certificate the client has shown, or that was issued to
 * its device and still stands; a request that asks for encryption in any way that is not understood whole is
 * refused. */
#include <openssl/evp.h>
#include <string.h>

#include "est/keygen.h"
#include "state/ledger.h"

#define OID_DECRYPT_KEY_ID "1.2.840.113549.1.9.16.2.37"

static bool stands(const struct est_call *c, const struct cert *cert)
{
	return cert->not_before <= c->post->ctx.now && cert->not_after >= c->post->ctx.now;
}

/* Among the certificates of the device; the newest first. */
static int find_issued(struct est_call *c, const struct enroll_work *w, struct bytes id, struct cert *ret,
		       bool *ret_found, struct err *e)
{
	struct state *st = c->post->ctx.state;
	struct arena *a = c->in->arena;
	struct device dev;
	struct certrec *v;
	bool known;
	size_t n;

	*ret_found = false;
	if (ledger_find_device(st, w->device, &known, &dev, e) != 0)
		return -1;
	if (!known || !dev.dms || strcmp(dev.dms, c->served->dms.id) != 0)
		return 0;
	if (ledger_device_certs(st, &dev, &v, &n, e) != 0)
		return -1;
	while (n-- > 0 && !*ret_found) {
		struct bytes pem;

		if (v[n].status != CERT_ACTIVE || v[n].revoked_at)
			continue;
		if (ledger_cert_pem(st, &v[n], &pem, e) != 0 || cert_parse(a, pem, ret, e) != 0)
			return -1;
		*ret_found = bytes_equal(cms_key_id(a, ret), id) && stands(c, ret);
	}
	return 0;
}

static int find(struct est_call *c, const struct enroll_work *w, struct bytes id, struct cert *ret, struct refusal *why)
{
	const struct cert *shown = w->who.cert;
	struct err e = { 0 };
	bool found;

	if (shown && bytes_equal(cms_key_id(c->in->arena, shown), id) && stands(c, shown)) {
		*ret = *shown;
		return 0;
	}
	if (find_issued(c, w, id, ret, &found, &e) != 0)
		return refuse_err(why, &e);
	if (found)
		return 0;
	return refuse(why, 400, "unsupported", "the key that the answer should be encrypted with is not known here: it "
		      "must be that of the certificate that the client shows, or of one that the device was issued "
		      "(RFC 7030 4.4.1.2)");
}

/* RFC 7030 4.4.1.2: explicitly for key transport or key agreement, or not restricted. */
static bool may_decrypt(const struct cert *c, const EVP_PKEY *key)
{
	unsigned wanted = EVP_PKEY_is_a(key, "RSA") ? USE_KEY_ENCIPHERMENT : USE_KEY_AGREEMENT;

	return !exts_find(&c->exts, OID_KU) || c->key_usage & wanted;
}

static int choose(const struct cert *c, struct bytes capabilities, struct cms_how *ret, struct refusal *why)
{
	AUTO(EVP_PKEY) *key = NULL;
	struct err e = { 0 };

	if (cert_pubkey(c, &key, &e) != 0)
		return refuse_err(why, &e);
	if (!may_decrypt(c, key))
		return refuse(why, 400, "unsupported", "the key usage of the certificate of the key that the answer "
			      "should be encrypted with is neither key encipherment (RSA) nor key agreement (EC)");
	return cms_choose(capabilities, key, ret, &e) == 0 ? 0 : refuse(why, 400, "unsupported", "%s", e.msg);
}

int keygen_recipient(struct est_call *c, const struct enroll_work *w, struct keygen_recipient *ret, struct refusal *why)
{
	struct keygen_recipient r = { .asked = true };
	struct bytes shared, ours, capabilities, id;
	struct err e = { 0 };
	struct cert cert;
	struct der d;

	if (csr_attribute(&w->csr, OID_DECRYPT_KEY_ID, &shared, &e) != 0 ||
	    csr_attribute(&w->csr, OID_ASYMMETRIC_DECRYPT_KEY_ID, &ours, &e) != 0 ||
	    csr_attribute(&w->csr, OID_SMIME_CAPABILITIES, &capabilities, &e) != 0)
		return refuse(why, 400, "malformed_request", "%s", e.msg);
	if (shared.n)
		return refuse(why, 400, "unsupported", "no secret keys are shared with devices here that a key could "
			      "be encrypted with (RFC 7030 4.4.1.1)");
	*ret = (struct keygen_recipient){ 0 };
	if (!ours.n)
		return 0;
	d = der_of(ours);
	if (!der_expect(&d, DER_OCTETSTRING, &id) || !id.n)
		return refuse(why, 400, "malformed_request",
			      "AsymmetricDecryptKeyIdentifier is no OCTET STRING (RFC 7030 4.4.1.2)");
	if (!capabilities.n)
		return refuse(why, 400, "malformed_request",
			      "SMIMECapabilities must say how the key is to be encrypted (RFC 7030 4.4.1.2)");
	if (find(c, w, id, &cert, why) != 0 || choose(&cert, capabilities, &r.how, why) != 0)
		return -1;
	r.cert = cert.der;
	*ret = r;
	return 0;
}
