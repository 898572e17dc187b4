#pragma once
#include "crypto/cms.h"
#include "est/op_enroll.h"

/* serverkeygen for clients that want the key encrypted to them (RFC 7030 4.4.1.1, 4.4.1.2, 4.4.2). */
struct keygen_recipient {
	bool asked;        /* for encryption; the rest is only then set */
	struct bytes cert; /* DER: of the client or its device, valid now, its key fit to encrypt to */
	struct cms_how how;
};
/* 400 when the request asks for what cannot be done. */
int keygen_recipient(struct est_call *, const struct enroll_work *, struct keygen_recipient *ret,
		     struct refusal *) NODISCARD;

/* What this worker signs the keys with that it makes: a key that never leaves it, with a certificate of the enrolment
 * authority. */
struct keygen_signer {
	EVP_PKEY *key; /* owned by the caller */
	struct bytes *certs;
	size_t n;
};
/* Makes one where there is none yet, or not for long any more; its certificate is durable then. */
int keygen_signer(struct est_call *, struct keygen_signer *ret, struct refusal *) NODISCARD;

/* EnvelopedData(SignedData(AsymmetricKeyPackage)) of a PKCS#8 key (RFC 5958). */
int keygen_seal(struct arena *, struct bytes pkcs8, const struct keygen_signer *, const struct keygen_recipient *,
		struct bytes *ret, struct err *) NODISCARD;
