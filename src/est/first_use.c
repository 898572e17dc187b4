/* A device shows the certificate that it got by renewal, so that arrived. Guarantees: what it replaced is revoked then,
 * where the manager says so; nobody but the device can bring that about; what fails here fails no request. Requests
 * that need no credential count too. */
#include "crypto/cert.h"
#include "est/auth.h"
#include "est/service.h"
#include "pki/enroll.h"
#include "state/ledger.h"

int client_chain(struct est_call *c, const struct bytes **ret, size_t *ret_n, struct refusal *why)
{
	struct bytes *forwarded;
	size_t n;

	if (proxy_chain(c->in->arena, c->options, c->in, &forwarded, &n, why) != 0)
		return -1;
	*ret = n ? forwarded : c->in->tls ? c->in->tls->chain : NULL;
	*ret_n = n ? n : c->in->tls ? c->in->tls->nchain : 0;
	return 0;
}

/* Recorded under its fingerprint, so it is one of ours, and it stands. */
static bool find_shown(struct est_call *c, struct identity *who, struct err *e)
{
	struct ctx *ctx = &c->post->ctx;
	struct refusal ignored;
	const struct bytes *chain;
	struct cert cert;
	size_t n;

	if (client_chain(c, &chain, &n, &ignored) != 0 || n == 0 || cert_parse(c->in->arena, chain[0], &cert, e) != 0 ||
	    ledger_cert(ctx->state, NULL, cert_fingerprint(c->in->arena, &cert), &who->rec, e) != 0)
		return false;
	who->recorded = true;
	return who->rec.status == CERT_ACTIVE && who->rec.not_before <= ctx->now && ctx->now <= who->rec.not_after;
}

void est_first_use(struct est_call *c)
{
	struct ctx *ctx = &c->post->ctx;
	struct identity who = { 0 };
	struct err e = { 0 };
	const char *key;
	bool changed;

	if (!find_shown(c, &who, &e) || (enroll_first_use(ctx, &c->served->dms, &who, &changed, &e) == 0 && !changed))
		return;
	state_drop(ctx->state);
	key = arena_printf(c->in->arena, "device/%s", who.rec.device);
	if (e.code || post_claim(c->post, &key, 1, false, &e) != 0 ||
	    enroll_first_use(ctx, &c->served->dms, &who, &changed, &e) != 0 ||
	    (changed && post_commit(c->post, &e) != 0)) {
		state_drop(ctx->state);
		if (!c->post->moved)
			ctx_warn(ctx, "dms %s: what was renewed is not revoked: %s", c->served->dms.id, e.msg);
	}
	post_release(c->post);
}
