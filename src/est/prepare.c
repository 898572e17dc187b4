/* Before the listener serves. Guarantees: a manager that could serve nobody, or would let in anybody unasked, stops it
 * here, by name; keys are opened once, so that passphrases are asked for while somebody is there to type them; the
 * certificate of the listener itself is recorded like any other. */
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "crypto/key.h"
#include "engine/engine.h"
#include "est/auth.h"
#include "est/jwks.h"
#include "est/service.h"
#include "pki/psk.h"
#include "pki/templates.h"
#include "state/state.h"

enum { TLS_CERT_SECS = 7 * 86400, NONCE_KEY = 32, OWN_MAX = 4 << 20 };

static bool by_tls(const struct dms_authentication *a)
{
	return a->type == AUTH_PSK && a->psk.store == PSK_TLS;
}

/* Of enrolment: then nobody could enrol. Of renewal: then nobody could renew, which a shift may do without. */
static int check_asked(struct ctx *ctx, const struct est_options *o, const struct dms *d, struct err *e)
{
	const struct dms_authentication *enrol = &d->settings.enrollment_settings.est_rfc7030_settings.authentication;
	const struct dms_authentication *renew = &d->settings.reenrollment_settings.authentication;
	int first = enrol->type, next = renew->type;

	if (o->need_client_certs && (by_tls(enrol) || by_tls(renew)))
		return err_set(e, ERR_INVALID,
			       "dms %s: TLS with secrets has no certificates, and http.client_auth.required of "
			       "lamassu.yaml is true", d->id);
	if (!o->no_client_certs || o->trusted_proxies.n)
		return 0;
	if (first == AUTH_CERT || first == AUTH_CERT_AND_WEBHOOK)
		return err_set(e, ERR_INVALID,
			       "dms %s: enrolment by %s, and http.client_auth.enabled of lamassu.yaml is false", d->id,
			       dms_auth_names[first]);
	if (next == AUTH_NONE || next == AUTH_CERT || next == AUTH_CERT_AND_WEBHOOK)
		ctx_warn(ctx, "dms %s: devices cannot renew, because http.client_auth.enabled of lamassu.yaml is false",
			 d->id);
	return 0;
}

static int check_auth(struct ctx *ctx, const struct est_options *o, const struct dms *d, const char *where,
		      const struct dms_authentication *a, struct err *e)
{
	if (a->type == AUTH_OPEN && !o->allow_no_auth)
		return err_set(e, ERR_DENIED, "dms %s: %s accepts everybody; --allow-no-auth permits it", d->id, where);
	if ((a->type == AUTH_WEBHOOK || a->type == AUTH_CERT_AND_WEBHOOK) &&
	    !a->external_webhook.config.validate_server_cert)
		ctx_warn(ctx, "dms %s: %s does not check who its webhook is: whoever is between may let devices in",
			 d->id, where);
	if (a->type == AUTH_JWT && jwks_check_file(ctx->arena, &a->jwt, e) != 0)
		return err_ctx(e, "dms %s: %s", d->id, where);
	if (!est_auth_known(a->type))
		return err_set(e, ERR_UNSUPPORTED, "dms %s: %s by %s cannot be served yet", d->id, where,
			       dms_auth_names[a->type]);
	return 0;
}

/* The engine that keeps copies of keys is asked for its secret now. */
static int check_escrow(struct ctx *ctx, const struct server_keygen_settings *s, struct err *e)
{
	const struct keytype *type = keytype_find(s->key.type == KEYGEN_RSA ? "RSA" : "ECDSA", s->key.bits);

	return s->enabled && s->escrow && engine_import_ready(ctx, s->escrow, type, e) != 0 ? err_ctx(e, "escrow") : 0;
}

static int check(struct ctx *ctx, const struct est_options *o, const char *id, struct served *s, struct prepared *p,
		 struct err *e)
{
	const struct dms_settings *set = &s->dms.settings;

	if (est_load(ctx, o, id, s, e) != 0 || check_asked(ctx, o, &s->dms, e) != 0)
		return -1;
	if (check_auth(ctx, o, &s->dms, "enrolment", &set->enrollment_settings.est_rfc7030_settings.authentication,
		       e) != 0 ||
	    check_auth(ctx, o, &s->dms, "renewal", &set->reenrollment_settings.authentication, e) != 0)
		return -1;
	if (set->enrollment_settings.est_rfc7030_settings.authentication.type == AUTH_OPEN)
		ctx_warn(ctx, "dms %s: whoever reaches this listener gets a certificate", id);
	if (!set->enrollment_settings.verify_csr_signature && !o->allow_unverified_csr)
		return err_set(e, ERR_DENIED,
			       "dms %s: verify_csr_signature is false; --allow-unverified-csr permits it", id);
	if (authority_may_issue(&s->ca, e) != 0 || authority_open_key(ctx, &s->ca, e) != 0 ||
	    check_escrow(ctx, &set->server_keygen_settings, e) != 0)
		return err_ctx(e, "dms %s", id);
	p->about.v = arena_grow(ctx->arena, p->about.v, p->about.n, sizeof(*p->about.v));
	p->about.v[p->about.n++] = arena_printf(ctx->arena, "dms %s enrols at ca %s with profile %s", id, s->ca.rec.id,
						s->profile.id);
	return 0;
}

/* --- the listener's own certificate --- */

static void add_name(struct arena *a, struct strv *v, const char *prefix, const char *name)
{
	char *text = arena_printf(a, "%s%s", prefix, name);

	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->v[i], text) == 0)
			return;
	v->v = arena_grow(a, v->v, v->n, sizeof(*v->v));
	v->v[v->n++] = text;
	v->set = true;
}

static bool is_address(const char *s)
{
	return strchr(s, ':') || s[strspn(s, "0123456789.")] == '\0';
}

static bool is_any(const char *s)
{
	return !*s || strcmp(s, "0.0.0.0") == 0 || strcmp(s, "::") == 0 || strcmp(s, "*") == 0;
}

static struct strv names_of(struct arena *a, const struct est_options *o)
{
	struct strv v = { 0 };
	char host[256] = "";

	if (o->tls_name)
		add_name(a, &v, is_address(o->tls_name) ? "IP:" : "DNS:", o->tls_name);
	if (gethostname(host, sizeof(host) - 1) == 0 && *host &&
	    host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")] == '\0')
		add_name(a, &v, "DNS:", host);
	add_name(a, &v, "DNS:", "localhost");
	add_name(a, &v, "IP:", "127.0.0.1");
	add_name(a, &v, "IP:", "::1");
	if (o->listen_host && !is_any(o->listen_host))
		add_name(a, &v, is_address(o->listen_host) ? "IP:" : "DNS:", o->listen_host);
	return v;
}

static struct bytes with_chain(struct ctx *ctx, const struct authority *ca, struct bytes leaf)
{
	SCOPED_BUF text = buf_init(BUF_TEXT);
	struct bytes pem = cert_pem(ctx->arena, leaf);

	buf_put(&text, pem.p, pem.n);
	/* Without the root, which who trusts it has, and others cannot use (RFC 8446 4.4.2). */
	for (const struct authority *at = ca; at && !authority_is_root(at) && at->cert.der.n; at = at->parent) {
		pem = cert_pem(ctx->arena, at->cert.der);
		buf_put(&text, pem.p, pem.n);
	}
	return bytes_of(arena_strdup(ctx->arena, buf_str(&text)));
}

static int make_tls(struct ctx *ctx, const struct est_options *o, struct authority *ca, struct prepared *p,
		    struct err *e)
{
	AUTO(EVP_PKEY) *key = NULL;
	struct wishes wishes = NO_WISHES;
	struct profile profile;
	struct issued is;

	wishes.san = names_of(ctx->arena, o);
	wishes.subject = arena_printf(ctx->arena, "CN=%s", strchr(wishes.san.v[0], ':') + 1);
	wishes.allow_outlive = true; /* of an authority that ends within the week */
	if (template_profile(ctx->arena, "tls-server", &profile, e) != 0)
		return -1;
	if (profile.validity.type != VALIDITY_DURATION || profile.validity.duration.secs > TLS_CERT_SECS)
		wishes.validity = arena_printf(ctx->arena, "%ds", TLS_CERT_SECS);
	profile.crypto_enforcement.enabled = false; /* the key is ours */
	if (key_generate(keytype_find("ECDSA", 256), &key, e) != 0 || authority_may_issue(ca, e) != 0 ||
	    authority_open_key(ctx, ca, e) != 0 || issue_own(ctx, ca, &profile, key, &wishes, &is, e) != 0 ||
	    key_plain_pem(ctx->arena, key, &p->tls_key, e) != 0)
		return -1;
	p->tls_cert = with_chain(ctx, ca, is.der);
	p->about.v = arena_grow(ctx->arena, p->about.v, p->about.n, sizeof(*p->about.v));
	p->about.v[p->about.n++] = arena_printf(ctx->arena, "TLS certificate of ca %s for %s, SHA-256 %s", ca->rec.id,
						wishes.san.v[0], is.rec.fingerprint);
	return 0;
}

static int own_tls(struct ctx *ctx, const struct est_options *o, struct served *first, struct prepared *p,
		   struct err *e)
{
	SCOPED_AUTHORITY other = { 0 };

	if (!o->tls_ca)
		return make_tls(ctx, o, &first->ca, p, e) != 0 ? err_ctx(e, "the listener's TLS certificate") : 0;
	if (authority_load(ctx, o->tls_ca, &other, e) != 0 || make_tls(ctx, o, &other, p, e) != 0)
		return err_ctx(e, "the listener's TLS certificate");
	return 0;
}

int est_certificate(struct ctx *ctx, const void *options, struct prepared *ret, struct err *e)
{
	const struct est_options *o = options;
	struct served *first = arena_new_array(ctx->arena, 1, struct served);
	struct strv ids;

	if (est_ids(ctx, o, &ids, e) != 0)
		return -1;
	if (ids.n == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no device manager any more");
	return est_load(ctx, o, ids.v[0], first, e) != 0 ? -1 : own_tls(ctx, o, first, ret, e);
}

static int put_list(struct ctx *ctx, const struct dms *dms, struct buf *own, struct err *e)
{
	struct bytes list;

	if (psk_list_read(ctx, dms, &list, e) != 0)
		return -1;
	buf_put_run(own, bytes_of(dms->id));
	buf_put_run(own, bytes_of(psk_source(ctx->arena, dms)));
	buf_put_run(own, list);
	return 0;
}

/* What workers and the handshake need of the secrets of devices: a key for nonces, and where they are. */
static int prepare_secrets(struct ctx *ctx, const struct served *v, size_t n, struct prepared *p, struct err *e)
{
	SCOPED_BUF own = buf_init(OWN_MAX);
	unsigned char key[NONCE_KEY];
	bool elsewhere = false;

	for (size_t i = 0; i < n; i++) {
		const struct dms_settings *s = &v[i].dms.settings;

		elsewhere = elsewhere || psk_source(ctx->arena, &v[i].dms);
		p->psk = p->psk || by_tls(&s->enrollment_settings.est_rfc7030_settings.authentication) ||
			 by_tls(&s->reenrollment_settings.authentication);
	}
	if ((p->psk || elsewhere) && psk_prepare(ctx, e) != 0)
		return -1;
	if (RAND_bytes(key, NONCE_KEY) != 1)
		return err_ossl(e, "no random numbers");
	buf_put_run(&own, (struct bytes){ key, NONCE_KEY });
	buf_put_run(&own, bytes_of(psk_folder(ctx)));
	for (size_t i = 0; i < n; i++)
		if (psk_source(ctx->arena, &v[i].dms) && put_list(ctx, &v[i].dms, &own, e) != 0)
			return -1;
	if (own.over)
		return err_set(e, ERR_INVALID, "the secrets of devices exceed %d bytes", OWN_MAX);
	p->own = (struct bytes){ arena_memdup(ctx->arena, own.p, own.n), own.n };
	OPENSSL_cleanse(key, NONCE_KEY);
	return 0;
}

static void add_pem(struct arena *a, const struct authority *v, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		struct bytes pem = v[i].cert.der.n ? cert_pem(a, v[i].cert.der) : (struct bytes){ 0 };

		buf_put(out, pem.p, pem.n);
	}
}

/* The authorities by which some manager knows devices: strangers to all of them may be sent away at the handshake. */
static struct bytes accepted(struct arena *a, const struct served *v, size_t n)
{
	SCOPED_BUF text = buf_init(BUF_BIG);

	for (size_t i = 0; i < n; i++) {
		add_pem(a, v[i].validation, v[i].nvalidation, &text);
		add_pem(a, v[i].renewal, v[i].nrenewal, &text);
	}
	return bytes_of(arena_strdup(a, buf_str(&text)));
}

static int check_default(struct ctx *ctx, const struct strv *ids, struct err *e)
{
	const char *id = state_config(ctx->state)->est.default_dms;
	struct dms ignored;

	for (size_t i = 0; i < ids->n; i++)
		if (!id || strcmp(ids->v[i], id) == 0)
			return 0;
	if (state_get(ctx->state, &dms_type, id, &ignored, e) != 0)
		return err_ctx(e, "lamassu.yaml: est.default_dms");
	return err_set(e, ERR_INVALID,
		       "lamassu.yaml: est.default_dms: %s is not served: add --dms %s, or take the setting out", id,
		       id);
}

int est_prepare(struct ctx *ctx, const void *options, struct prepared *ret, struct err *e)
{
	const struct est_options *o = options;
	struct prepared p = { 0 };
	struct served *v;
	struct strv ids;

	if (proxy_check(o, e) != 0 || est_ids(ctx, o, &ids, e) != 0)
		return -1;
	if (ids.n == 0)
		return err_set(e, ERR_NOT_FOUND,
			       "there is no device manager to serve: make one with lamassu dms create");
	if (check_default(ctx, &ids, e) != 0)
		return -1;
	v = arena_new_array(ctx->arena, ids.n, struct served);
	for (size_t i = 0; i < ids.n; i++)
		if (check(ctx, o, ids.v[i], &v[i], &p, e) != 0)
			return -1;
	if (prepare_secrets(ctx, v, ids.n, &p, e) != 0)
		return -1;
	p.client_cas = accepted(ctx->arena, v, ids.n);
	if (o->own_tls &&
	    (own_tls(ctx, o, &v[0], &p, e) != 0 ||
	     state_commit(ctx->state, "est: certificate of the listener", e) != 0))
		return -1;
	*ret = p;
	return 0;
}
