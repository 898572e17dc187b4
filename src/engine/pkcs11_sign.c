/* Signatures by keys of a token. Guarantees: one C_SignInit and one C_Sign for each, unless the token finds the digest
 * too long; only mechanisms over digests, and over the message for Ed25519, so that no more than that crosses to the
 * token; never raw RSA. The caller verifies what comes back. */
#include <string.h>

#include "crypto/key.h"
#include "engine/pkcs11.h"

enum { SIG_MAX = 2048 }; /* RSA of 16384 bits */

struct signing {
	const char *handle;
	const struct sigalg *alg;
	struct bytes in;
	struct buf *sig;
};

/* DigestInfo (RFC 8017 9.2 note 1) up to the digest. */
static const struct {
	const char *md;
	struct bytes head;
	CK_MECHANISM_TYPE mechanism;
	CK_RSA_PKCS_MGF_TYPE mgf;
} digests[] = {
#define SHA2 "\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02"
#define HEAD(all, oid, n) { (const unsigned char *)("\x30" all SHA2 oid "\x05\x00\x04" n), 19 }
	{ "SHA256", HEAD("\x31", "\x01", "\x20"), CKM_SHA256, CKG_MGF1_SHA256 },
	{ "SHA384", HEAD("\x41", "\x02", "\x30"), CKM_SHA384, CKG_MGF1_SHA384 },
	{ "SHA512", HEAD("\x51", "\x03", "\x40"), CKM_SHA512, CKG_MGF1_SHA512 },
};

static int prepare_rsa(const struct signing *s, CK_MECHANISM *m, CK_RSA_PKCS_PSS_PARAMS *pss, struct buf *data)
{
	size_t i = 0;

	while (i < COUNT(digests) && strcmp(digests[i].md, s->alg->md) != 0)
		i++;
	if (i == COUNT(digests))
		return -1;
	if (s->alg->pss) {
		*pss = (CK_RSA_PKCS_PSS_PARAMS){ digests[i].mechanism, digests[i].mgf, s->in.n };
		*m = (CK_MECHANISM){ CKM_RSA_PKCS_PSS, pss, sizeof(*pss) };
	} else {
		*m = (CK_MECHANISM){ CKM_RSA_PKCS, NULL, 0 };
		buf_put(data, digests[i].head.p, digests[i].head.n);
	}
	buf_put(data, s->in.p, s->in.n);
	return 0;
}

/* What is signed, and how. ECDSA uses as many leftmost bits of the digest as the order has (FIPS 186-4 6.4); `cut` is
 * for tokens that leave the cutting to us. All orders that are shorter than a digest are of whole octets. */
static int prepare(const struct signing *s, const struct p11_known *k, bool cut, CK_MECHANISM *m,
		   CK_RSA_PKCS_PSS_PARAMS *pss, struct buf *data)
{
	buf_clear(data);
	if (strcmp(s->alg->ossl, "RSA") == 0)
		return prepare_rsa(s, m, pss, data);
	*m = (CK_MECHANISM){ strcmp(s->alg->ossl, "EC") == 0 ? CKM_ECDSA : CKM_EDDSA, NULL, 0 };
	buf_put(data, s->in.p, cut && k->order && s->in.n > k->order ? k->order : s->in.n);
	return 0;
}

/* One C_SignInit and one C_Sign. */
static int attempt(struct p11_use *u, const struct signing *s, const struct p11_known *k, bool cut, unsigned char *out,
		   CK_ULONG *n, struct err *e)
{
	SCOPED_BUF data = buf_init(BUF_TEXT);
	CK_RSA_PKCS_PSS_PARAMS pss;
	CK_MECHANISM m;
	CK_RV rv;

	if (prepare(s, k, cut, &m, &pss, &data) != 0)
		return err_set(e, ERR_UNSUPPORTED, "%s: not with a PKCS#11 token", s->alg->name);
	rv = P11(u->f, C_SignInit, u->s, &m, k->object);
	if (rv == CKR_MECHANISM_INVALID || rv == CKR_MECHANISM_PARAM_INVALID)
		return err_set(e, ERR_UNSUPPORTED, "the token cannot sign by %s", s->alg->name);
	if (rv != CKR_OK)
		return p11_fail(u, "C_SignInit", rv, e);
	if (k->always_auth && p11_login_again(u, e) != 0) {
		u->rv = u->rv ? u->rv : CKR_GENERAL_ERROR; /* the operation is still active */
		return -1;
	}
	rv = P11(u->f, C_Sign, u->s, (CK_BYTE *)data.p, data.n, out, n);
	return rv == CKR_OK ? 0 : p11_fail(u, "C_Sign", rv, e);
}

static int sign_once(struct p11_use *u, void *arg, struct err *e)
{
	const struct signing *s = arg;
	unsigned char out[SIG_MAX];
	CK_ULONG n = sizeof(out);
	struct p11_known k;
	int rc;

	if (p11_key(u, s->handle, &k, e) != 0)
		return -1;
	rc = attempt(u, s, &k, false, out, &n, e);
	if (rc != 0 && u->rv == CKR_DATA_LEN_RANGE && k.order && s->in.n > k.order) {
		*e = (struct err){ 0 };
		u->rv = CKR_OK;
		n = sizeof(out);
		rc = attempt(u, s, &k, true, out, &n, e);
	}
	if (rc != 0)
		return -1;
	if (n > sizeof(out))
		return err_set(e, ERR_REMOTE,
			       "C_Sign: the module says that the signature is longer than the room it had");
	if (strcmp(s->alg->ossl, "EC") != 0)
		buf_put(s->sig, out, n);
	else if (key_ecdsa_der((struct bytes){ out, n }, k.order ? 2 * k.order : n, s->sig, e) != 0)
		return err_set(e, ERR_REMOTE, "C_Sign: what came back is not an ECDSA signature");
	return 0;
}

int p11_sign(struct engine *en, const struct keyref *ref, const struct sigalg *alg, struct bytes in, struct buf *sig,
	     struct err *e)
{
	struct signing s = { ref->handle, alg, in, sig };

	return p11_run(NULL, en->priv, NULL, sign_once, &s, e);
}
