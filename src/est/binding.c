/* Linking identity and proof of possession (RFC 7030 3.5): the CSR repeats a value that only this TLS connection has,
 * so it was made by who speaks here. tls-unique of TLS 1.2 (RFC 5929), tls-exporter of TLS 1.3 (RFC 9266), in
 * challengePassword or in estIdentityLinking (RFC 7894 3.3). Guarantees: a binding that a CSR holds is checked,
 * whatever is required. */
#include <openssl/crypto.h>
#include <string.h>

#include "base/text.h"
#include "est/auth.h"
#include "est/service.h"

#define OID_OTP_CHALLENGE "1.2.840.113549.1.9.16.2.56"
#define OID_REVOCATION_CHALLENGE "1.2.840.113549.1.9.16.2.57"
#define OID_IDENTITY_LINKING "1.2.840.113549.1.9.16.2.58"

/* PrintableString, UTF8String or IA5String. */
static bool text_of(struct bytes element, struct bytes *ret)
{
	struct der in = der_of(element);
	int tag;

	return der_next(&in, &tag, ret, NULL) && (tag == DER_PRINTABLE || tag == DER_UTF8 || tag == DER_IA5);
}

static bool equals(struct arena *a, struct bytes text, struct bytes binding)
{
	char *wanted = binding.n ? b64_encode(a, binding) : NULL;

	return wanted && text.n == strlen(wanted) && CRYPTO_memcmp(text.p, wanted, text.n) == 0;
}

static int check_one(const struct asking *q, const char *oid, bool *ret_there, struct refusal *why)
{
	const struct tls_peer *tls = q->http->tls;
	struct bytes value, text;
	struct err e = { 0 };

	if (csr_attribute(q->csr, oid, &value, &e) != 0)
		return refuse(why, 400, "malformed_request", "%s", e.msg);
	*ret_there = value.n > 0;
	if (!*ret_there)
		return 0;
	if (!text_of(value, &text))
		return refuse(why, 400, "malformed_request", "attribute %s is no string", oid);
	if (tls && (equals(q->http->arena, text, tls->unique) || equals(q->http->arena, text, tls->exporter)))
		return 0;
	return refuse(why, 403, "binding_mismatch",
		      "the link of identity and proof of possession is not of this connection (RFC 7030 3.5)");
}

int binding_check(const struct asking *q, struct refusal *why)
{
	bool challenge = false, linking = false;
	struct bytes other;
	struct err e = { 0 };

	if (check_one(q, OID_CHALLENGE_PASSWORD, &challenge, why) != 0 ||
	    check_one(q, OID_IDENTITY_LINKING, &linking, why) != 0)
		return -1;
	if (csr_attribute(q->csr, OID_OTP_CHALLENGE, &other, &e) != 0 ||
	    (other.n == 0 && csr_attribute(q->csr, OID_REVOCATION_CHALLENGE, &other, &e) != 0))
		return refuse(why, 400, "malformed_request", "%s", e.msg);
	if (other.n) /* RFC 7894 3: each one that is there must succeed, and there are no such secrets here */
		return refuse(why, 403, "binding_mismatch",
			      "one-time and revocation challenges are not known here (RFC 7894)");
	if (q->options->require_binding && !challenge && !linking)
		return refuse(why, 403, "binding_missing",
			      "linking of identity and POP information is required (RFC 7030 3.5)");
	return 0;
}
