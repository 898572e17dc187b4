/* serverkeygen (RFC 7030 4.4): the key pair is made here and leaves once, in the answer. Guarantees: off unless the manager turns it on; a
 * client that asks for encryption never gets a plain key; no copy is kept unless the manager names an engine for it. */
#include <string.h>

#include "base/text.h"
#include "crypto/bundle.h"
#include "crypto/digest.h"
#include "crypto/key.h"
#include "est/op_enroll.h"
#include "est/wire.h"

#define OID_DECRYPT_KEY_ID "1.2.840.113549.1.9.16.2.37"
#define OID_ASYMMETRIC_DECRYPT_KEY_ID "1.2.840.113549.1.9.16.2.54"

/* The manager's type and size; where the request asks for the same type with another size, that one. */
static const struct keytype *type_of(const struct est_call *c, const struct enroll_work *w)
{
	const struct keygen_key *k = &c->served->dms.settings.server_keygen_settings.key;
	AUTO(EVP_PKEY) *asked = NULL;
	struct err ignored = { 0 };
	const struct keytype *type = keytype_find(k->type == KEYGEN_RSA ? "RSA" : "ECDSA", k->bits), *other = NULL;

	if (key_from_spki(w->csr.spki, &asked, &ignored) == 0)
		other = keytype_of(asked);
	return other && plan_check_key(&c->served->profile, asked, &ignored) == 0 && keytype_available(other) ? other : type;
}

/* RFC 7030 4.4.1.1: a client that wants the key encrypted says with which key of its own. */
static int refuse_encryption(const struct enroll_work *w, struct refusal *why)
{
	static const char *const oids[] = { OID_DECRYPT_KEY_ID, OID_ASYMMETRIC_DECRYPT_KEY_ID };

	for (size_t i = 0; i < COUNT(oids); i++) {
		struct bytes value;
		struct err e = { 0 };

		if (csr_attribute(&w->csr, oids[i], &value, &e) != 0 || value.n)
			return refuse(why, 400, "unsupported", "the key that the request wants the answer encrypted with is not known here");
	}
	return 0;
}

static int make_key(struct est_call *c, struct enroll_work *w, struct refusal *why)
{
	const struct keytype *type = type_of(c, w);
	struct bytes spki;
	struct err e = { 0 };

	if (!type)
		return refuse(why, 500, "fault", "the device manager's key type is not known");
	if (key_generate(type, &w->pub, &e) != 0 || key_spki(c->in->arena, w->pub, &spki, &e) != 0)
		return refuse_err(why, &e);
	w->keygen = true;
	w->request = (struct request){ .subject = w->csr.subject, .spki = spki, .pub = w->pub, .exts = &w->csr.exts,
				       .sha256 = sha256_hex(c->in->arena, w->csr.der) };
	return 0;
}

static int answer(struct est_call *c, const struct enroll_work *w, struct refusal *why)
{
	struct arena *a = c->in->arena;
	struct bytes pem, key, p7;
	struct err e = { 0 };

	if (key_plain_pem(a, w->pub, &pem, &e) != 0 || p7_certs(a, &w->result.der, 1, &p7, &e) != 0)
		return refuse_err(why, &e);
	if (!pem_next(a, &pem, "PRIVATE KEY", NULL, &key))
		return refuse(why, 500, "fault", "a fault on this side");
	wire_answer_parts(c->in, c->out, (const struct wire_part[]){ { "application/pkcs8", key },
			  { "application/pkcs7-mime; smime-type=certs-only", p7 } }, 2);
	http_add_header(c->out, "Cache-Control", "no-store");
	return 0;
}

void est_keygen(struct est_call *c)
{
	struct enroll_work w = { 0 };
	struct refusal why;
	int r;

	if (!c->served->dms.settings.server_keygen_settings.enabled) {
		http_text(c->in->arena, c->out, 404, "unsupported", "server-side key generation is not enabled");
		return;
	}
	r = enroll_begin(c, ENROLL_NEW, &w, &why) != 0 || refuse_encryption(&w, &why) != 0 || make_key(c, &w, &why) != 0 ||
	    enroll_finish(c, ENROLL_NEW, &w, &why) != 0 || answer(c, &w, &why) != 0;
	if (r) {
		c->out->counts = false;
		est_refuse(c, &why);
	}
	EVP_PKEY_free(w.pub);
}
