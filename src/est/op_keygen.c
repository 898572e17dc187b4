/* serverkeygen (RFC 7030 4.4): the key pair is made here and leaves once, in the answer. Guarantees: off unless the
 * manager turns it on; a client that asks for encryption never gets a plain key; no copy is kept unless the manager
 * names an engine for it. */
#include <string.h>

#include "base/text.h"
#include "crypto/bundle.h"
#include "crypto/digest.h"
#include "crypto/key.h"
#include "est/keygen.h"
#include "est/wire.h"

/* One request for a key. */
struct making {
	struct enroll_work w;
	struct keygen_recipient to;
	struct keygen_signer signer; /* only where it is encrypted */
	struct wire_part part;       /* of the answer: the key */
};

/* The manager's type and size; where the request asks for the same type with another size, that one. */
static const struct keytype *type_of(const struct est_call *c, const struct enroll_work *w)
{
	const struct keygen_key *k = &c->served->dms.settings.server_keygen_settings.key;
	AUTO(EVP_PKEY) *asked = NULL;
	struct err ignored = { 0 };
	const struct keytype *type = keytype_find(k->type == KEYGEN_RSA ? "RSA" : "ECDSA", k->bits), *other = NULL;

	if (key_from_spki(w->csr.spki, &asked, &ignored) == 0)
		other = keytype_of(asked);
	return other && plan_check_key(&c->served->profile, asked, &ignored) == 0 && keytype_available(other)
	       ? other : type;
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

int keygen_keep(struct est_call *c, struct enroll_work *w, struct refusal *why)
{
	const char *engine = c->served->dms.settings.server_keygen_settings.escrow;
	struct err e = { 0 };

	if (!engine)
		return 0;
	if (worker_deposit(c->post, engine, w->pub, w->device, &w->copy, &e) != 0) {
		ctx_warn(&c->post->ctx, "escrow: %s", e.msg);
		return refuse(why, 503, "engine", "the key that was made cannot be kept at the moment");
	}
	w->kept = true;
	return 0;
}

void keygen_forget(struct est_call *c, struct enroll_work *w)
{
	if (w->kept)
		worker_withdraw(c->post, &w->copy);
	w->kept = false;
}

/* The key's part of the answer. Before the certificate is issued: a key that nobody can open is found out in time. */
static int pack(struct est_call *c, struct making *m, struct refusal *why)
{
	struct arena *a = c->in->arena;
	struct err e = { 0 };

	m->part.type = "application/pkcs8";
	if (key_pkcs8(a, m->w.pub, &m->part.der, &e) != 0)
		return refuse_err(why, &e);
	if (!m->to.asked)
		return 0;
	m->part.type = "application/pkcs7-mime; smime-type=server-generated-key";
	if (keygen_signer(c, &m->signer, why) != 0)
		return -1;
	return keygen_seal(a, m->part.der, &m->signer, &m->to, &m->part.der, &e) == 0 ? 0 : refuse_err(why, &e);
}

static int answer(struct est_call *c, const struct making *m, struct refusal *why)
{
	struct bytes p7;
	struct err e = { 0 };

	if (p7_certs(c->in->arena, &m->w.result.der, 1, &p7, &e) != 0)
		return refuse_err(why, &e);
	wire_answer_parts(c->in, c->out,
			  (const struct wire_part[]){ m->part,
						      { "application/pkcs7-mime; smime-type=certs-only", p7 } }, 2);
	http_add_header(c->out, "Cache-Control", "no-store");
	return 0;
}

static int run(struct est_call *c, struct making *m, struct refusal *why)
{
	return enroll_begin(c, ENROLL_NEW, &m->w, why) != 0 || keygen_recipient(c, &m->w, &m->to, why) != 0 ||
	       make_key(c, &m->w, why) != 0 ||
	       pack(c, m, why) != 0 || enroll_finish(c, ENROLL_NEW, &m->w, why) != 0 ? -1 : answer(c, m, why);
}

void est_keygen(struct est_call *c)
{
	struct making m = { 0 };
	struct refusal why;

	if (!c->served->dms.settings.server_keygen_settings.enabled) {
		http_text(c->in->arena, c->out, 404, "unsupported", "server-side key generation is not enabled");
		return;
	}
	if (run(c, &m, &why) != 0) {
		c->out->counts = false;
		est_refuse(c, &why);
	}
	EVP_PKEY_free(m.signer.key);
	EVP_PKEY_free(m.w.pub);
}
