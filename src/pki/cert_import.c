/* Recording foreign certificates. Guarantees: the issuer that is noted really signed it; nothing is recorded twice. */
#include "pki/cert_import.h"

#include "base/text.h"
#include "crypto/key.h"
#include "pki/issue.h"
#include "pki/keys.h"
#include "state/ledger.h"

static int find_issuer(struct ctx *ctx, const char *wanted, const struct cert *c, const char **ret_id, struct err *e)
{
	struct authority ca = { 0 };
	struct found_cert f = { .cert = *c };
	bool found;

	if (wanted) {
		if (authority_load(ctx, wanted, &ca, e) != 0)
			return -1;
		if (ca.cert.der.n == 0 || !cert_issued_by(c, &ca.cert))
			return err_set(e, ERR_DENIED, "ca %s did not issue it", ca.rec.id);
		*ret_id = ca.rec.id;
		return 0;
	}
	if (cert_issuer(ctx, &f, &ca, &found, e) != 0)
		return -1;
	*ret_id = found ? ca.rec.id : "-";
	return 0;
}

static int check_new(struct ctx *ctx, const struct cert *c, const char *serial, struct err *e)
{
	struct certrec old;
	struct err none = { 0 };

	if (ledger_cert(ctx->state, NULL, cert_fingerprint(ctx->arena, c), &old, &none) == 0)
		return err_set(e, ERR_EXISTS, "it is recorded already, as one of %s", old.ca);
	if (none.code == ERR_NOT_FOUND)
		return 0;
	*e = none;
	return err_ctx(e, "certificate %s", serial);
}

int cert_import(struct ctx *ctx, const struct cert_arrival *in, struct bytes der, struct certrec *ret, struct err *e)
{
	AUTO(EVP_PKEY) *pub = NULL;
	struct certrec rec;
	struct cert c;
	const char *issuer, *weak;
	char *serial;

	if (cert_parse(ctx->arena, der, &c, e) != 0)
		return -1;
	serial = cert_serial_hex(ctx->arena, c.serial);
	if (find_issuer(ctx, in->ca, &c, &issuer, e) != 0 || check_new(ctx, &c, serial, e) != 0 ||
	    issue_head_of(ctx->arena, issuer, &c, ctx->now, &rec, e) != 0 || cert_pubkey(&c, &pub, e) != 0)
		return err_ctx(e, "certificate %s", serial);
	weak = key_weakness(pub);
	if (weak)
		ctx_warn(ctx, "certificate %s: its key is weak: %s", serial, weak);
	if (keys_have(ctx, rec.key_id))
		rec.type = arena_strdup(ctx->arena, "MANAGED");
	rec.profile = arena_strdup(ctx->arena, in->profile);
	rec.device = arena_strdup(ctx->arena, in->device);
	rec.metadata = in->metadata;
	if (issue_record(ctx, &rec, der, e) != 0)
		return err_ctx(e, "certificate %s", serial);
	*ret = rec;
	return 0;
}
