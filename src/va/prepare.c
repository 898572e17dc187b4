/* Before a validation authority serves: responder certificates for every authority whose key is here (RFC 6960 4.2.2.2: issued directly by
 * that authority), so that its own key signs certificates and CRLs only. Their keys live in the processes of this listener and nowhere
 * else. */
#include <string.h>

#include "base/text.h"
#include "base/tm.h"
#include "crypto/key.h"
#include "crypto/name.h"
#include "pki/issue.h"
#include "pki/templates.h"
#include "va/service.h"

int va_authorities(struct ctx *ctx, const struct va_options *o, struct authority **ret, size_t *ret_n, struct err *e)
{
	struct strv ids = o->cas;
	struct authority *v;
	size_t n = 0;

	if (ids.n == 0 && state_ids(ctx->state, &ca_type, &ids, e) != 0)
		return -1;
	v = arena_new_array(ctx->arena, ids.n + 1, struct authority);
	for (size_t i = 0; i < ids.n; i++) {
		if (authority_load(ctx, ids.v[i], &v[n], e) != 0)
			return -1;
		n += v[n].cert.der.n > 0;
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

static int profile(struct arena *a, struct profile *ret, struct err *e)
{
	struct bytes text;

	return template_text(a, "ocsp-responder", &text, e) != 0 || rec_load(a, &profile_type, "ocsp-responder.yaml", text, ret, e) != 0 ? -1 : 0;
}

/* Appends runs for va_learn: authority, certificate, key. */
static int make(struct ctx *ctx, struct authority *ca, struct buf *out, struct err *e)
{
	AUTO(EVP_PKEY) *key = NULL;
	struct wishes wishes = NO_WISHES;
	struct request req = { 0 };
	struct profile prof;
	struct issued is;
	struct bytes pem;

	wishes.subject = arena_printf(ctx->arena, "CN=OCSP responder of %s", ca->rec.id);
	if (profile(ctx->arena, &prof, e) != 0 || key_generate(keytype_find("ECDSA", 256), &key, e) != 0 ||
	    key_spki(ctx->arena, key, &req.spki, e) != 0 || name_parse(ctx->arena, wishes.subject, &req.subject, e) != 0)
		return -1;
	req.pub = key;
	if (issue_one(ctx, ca, &prof, &req, &wishes, &is, e) != 0 || key_plain_pem(ctx->arena, key, &pem, e) != 0)
		return -1;
	buf_put_run(out, bytes_of(ca->rec.id));
	buf_put_run(out, is.der);
	buf_put_run(out, pem);
	return 0;
}

int va_prepare(struct ctx *ctx, const void *options, struct prepared *ret, struct err *e)
{
	const struct va_options *o = options;
	SCOPED_BUF own = buf_init(BUF_TEXT);
	struct authority *v;
	struct err ignored = { 0 };
	size_t n, made = 0;

	if (va_authorities(ctx, o, &v, &n, e) != 0)
		return -1;
	if (n == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no authority to answer for");
	for (size_t i = 0; i < n; i++) {
		if (!v[i].rec.key || o->no_delegate || authority_may_issue(&v[i], &ignored) != 0)
			continue;
		if (authority_open_key(ctx, &v[i], e) != 0 || make(ctx, &v[i], &own, e) != 0)
			return err_ctx(e, "OCSP responder of ca %s", v[i].rec.id);
		made++;
	}
	if (made && state_commit(ctx->state, arena_printf(ctx->arena, "va: %zu OCSP responders", made), e) != 0)
		return -1;
	ret->own = (struct bytes){ arena_memdup(ctx->arena, own.p, own.n), own.n };
	for (size_t i = 0; i < n; i++)
		authority_release(&v[i]);
	return 0;
}
