/* Before a validation authority serves: responder certificates for every authority whose key is here (RFC 6960 4.2.2.2:
 * issued directly by that authority), so that its own key signs certificates and CRLs only. Their keys live in the
 * processes of this listener and nowhere else. */
#include <string.h>

#include "base/text.h"
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
		if (authority_open_key(ctx, &v[i], e) != 0 || va_make_delegate(ctx, &v[i], &own, e) != 0)
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
