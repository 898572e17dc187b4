/* simpleenroll and simplereenroll (RFC 7030 4.2). Guarantees: the checks come in one order (media type, credential,
 * request, proof of possession, policy), so that what a client learns does not depend on what it guessed; nothing
 * leaves before it is durable; what is refused leaves no trace in the ledger. */
#include <string.h>

#include "base/text.h"
#include "crypto/bundle.h"
#include "crypto/digest.h"
#include "crypto/key.h"
#include "est/auth.h"
#include "est/op_enroll.h"
#include "est/wire.h"
#include "state/state.h"

static int read_request(struct est_call *c, struct enroll_work *w, struct refusal *why)
{
	struct arena *a = c->in->arena;
	struct bytes der;
	struct err e = { 0 };

	if (wire_decode(a, c->in->body, &der, &e) != 0 || csr_parse(a, der, &w->csr, &e) != 0)
		return refuse(why, 400, "malformed_request", "%s", e.msg);
	if (enroll_device(a, &c->served->dms, &w->csr, &w->device, why) != 0)
		return -1;
	c->out->subject = text_escape(a, bytes_of(w->device));
	return 0;
}

static const struct dms_authentication *rules(const struct est_call *c, enum enroll_kind kind)
{
	static const struct dms_authentication certificate = { .type = AUTH_CERT };
	const struct dms_settings *s = &c->served->dms.settings;

	if (kind == ENROLL_NEW)
		return &s->enrollment_settings.est_rfc7030_settings.authentication;
	return s->reenrollment_settings.authentication.type == AUTH_NONE ? &certificate
									 : &s->reenrollment_settings.authentication;
}

/* The key that is certified, and proof that the client has it. */
static int prove(struct est_call *c, struct enroll_work *w, struct refusal *why)
{
	const struct enrollment_settings *s = &c->served->dms.settings.enrollment_settings;
	struct err e = { 0 };
	int r;

	if (s->verify_csr_signature || !c->options->allow_unverified_csr) {
		r = csr_verify(&w->csr, &w->pub, &e);
		if (r != 0 && e.code == ERR_DENIED)
			return refuse(why, 400, "proof_of_possession", "%s", e.msg);
	} else {
		r = key_from_spki(w->csr.spki, &w->pub, &e);
		if (r == 0 && key_weakness(w->pub))
			return refuse(why, 400, "policy", "the key is not safe to use: %s", key_weakness(w->pub));
	}
	if (r != 0)
		return refuse(why, 400, "malformed_request", "%s", e.msg);
	w->request = (struct request){ .subject = w->csr.subject, .spki = w->csr.spki, .pub = w->pub,
				       .exts = &w->csr.exts, .sha256 = sha256_hex(c->in->arena, w->csr.der) };
	return 0;
}

static int commit(struct est_call *c, struct refusal *why)
{
	struct err e = { 0 };

	if (post_commit(c->post, &e) == 0)
		return 0;
	ctx_warn(&c->post->ctx, "%s", e.msg);
	return refuse(why, 503, "repository", "the repository cannot be written at the moment");
}

/* Clients that send a credential only when they are asked for one begin with a request that may be empty (RFC 7030
 * 3.2.3). */
static bool shows_nothing(const struct est_call *c, const struct asking *q)
{
	return q->nchain == 0 && q->how->type != AUTH_OPEN && !http_field(c->in, "authorization") &&
	       !(c->in->tls && c->in->tls->psk_identity);
}

int enroll_begin(struct est_call *c, enum enroll_kind kind, struct enroll_work *w, struct refusal *why)
{
	struct asking q = { .post = c->post, .options = c->options, .served = c->served, .how = rules(c, kind),
			    .kind = kind, .http = c->in, .csr = &w->csr };

	if (client_chain(c, &q.chain, &q.nchain, why) != 0)
		return -1;
	if (read_request(c, w, why) != 0)
		return shows_nothing(c, &q) ? refuse(why, 401, "no_certificate", "no credential") : -1;
	q.device = w->device;
	return est_authenticate(&q, &w->who, why);
}

int enroll_finish(struct est_call *c, enum enroll_kind kind, struct enroll_work *w, struct refusal *why)
{
	const struct enrolment en = { .dms = &c->served->dms, .ca = &c->served->ca, .profile = &c->served->profile,
				      .kind = kind, .csr = &w->csr, .request = &w->request, .who = &w->who,
				      .keygen = w->keygen };
	const char *keys[4];
	struct err e = { 0 };

	if (post_claim(c->post, keys, enroll_claims(c->in->arena, &en, w->device, keys), true, &e) != 0)
		return e.code == ERR_CONFLICT ? refuse(why, 403, "target_reached", "%s", e.msg) : refuse_err(why, &e);
	if (est_ready(c->post, c->served, why) != 0 ||
	    enroll_issue(&c->post->ctx, &en, w->device, &w->result, why) != 0)
		return -1;
	c->out->counts = !w->result.existing;
	c->out->serial_number = arena_strdup(c->in->arena, w->result.rec.serial_number);
	if (w->result.existing)
		return 0;
	if (psk_use(c->post, &c->served->dms, &w->who, w->request.sha256, why) != 0)
		return -1;
	if ((!w->keygen || keygen_keep(c, w, why) == 0) && commit(c, why) == 0)
		return 0;
	if (c->post->link >= 0) { /* else nobody said whether it was committed; the same request may ask again */
		keygen_forget(c, w);
		psk_unuse(c->post, &c->served->dms, &w->who);
	}
	c->out->serial_number = NULL;
	return -1;
}

static void answer(struct est_call *c, const struct enroll_work *w)
{
	struct refusal why;
	struct bytes p7;
	struct err e = { 0 };

	http_add_header(c->out, "Cache-Control", "no-store");
	if (wire_wants_pem(c->in)) {
		c->out->status = 200;
		c->out->type = "application/x-pem-file";
		c->out->body = cert_pem(c->in->arena, w->result.der);
		return;
	}
	if (p7_certs(c->in->arena, &w->result.der, 1, &p7, &e) != 0) {
		refuse_err(&why, &e);
		est_refuse(c, &why);
		return;
	}
	wire_answer(c->in, c->out, "application/pkcs7-mime; smime-type=certs-only", p7);
}

static int enroll(struct est_call *c, enum enroll_kind kind, struct enroll_work *w, struct refusal *why)
{
	return enroll_begin(c, kind, w, why) != 0 || prove(c, w, why) != 0 ? -1 : enroll_finish(c, kind, w, why);
}

static void run(struct est_call *c, enum enroll_kind kind)
{
	struct enroll_work w = { 0 };
	struct refusal why;

	if (enroll(c, kind, &w, &why) == 0) {
		answer(c, &w);
	} else {
		c->out->counts = false;
		est_refuse(c, &why);
	}
	EVP_PKEY_free(w.pub);
}

void est_enroll(struct est_call *c)
{
	run(c, ENROLL_NEW);
}

void est_reenroll(struct est_call *c)
{
	run(c, ENROLL_RENEW);
}
