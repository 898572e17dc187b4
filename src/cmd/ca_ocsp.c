/* `ca ocsp`: OCSP answers made ahead, for static hosting (RFC 5019). Guarantees: one file for each certificate that has
 * not expired, whole or not there; memory does not grow with their number. */
#include "base/fs.h"
#include "base/text.h"
#include "cmd/ca.h"
#include "pki/ocsp.h"
#include "state/ledger.h"

enum { VALIDITY = 7 * 86400, VALIDITY_MAX = 366 * 86400 };

struct ocsp_args {
	const char *ca, *out;
	struct dur validity;
};

struct producing {
	struct ctx *ctx;
	const char *out;
	struct ocsp_responder responder;
	struct ocsp_issuer issuer;
	uint64_t n;
};

struct produced_view {
	char *ca, *folder;
	int64_t answers, next_update;
};

static const struct field produced_fields[] = {
	STR(produced_view, ca, "The authority.", .flags = F_KEY | F_COL),
	INT(produced_view, answers, "How many answers were made.", .flags = F_COL | F_SHOW0),
	TIME(produced_view, next_update, "Until when they hold.", .flags = F_COL),
	STR(produced_view, folder, "Where they are.", .flags = F_COL),
	END
};
static const struct schema produced_type = { .name = "answers", .plural = "answers", .doc = "What `ca ocsp` made",
					     .size = sizeof(struct produced_view), .fields = produced_fields };

static int own_key(void *arg, struct authority *ca, struct ocsp_signer *ret, struct err *e)
{
	(void)e;
	*ret = (struct ocsp_signer){ ca->key, ca->cert.der, ca->alg, ((const struct ocsp_issuer *)arg)->key_hash[0] };
	return 0;
}

static int produce_one(void *arg, const struct certrec *c, struct err *e)
{
	struct producing *p = arg;
	SCOPED_ARENA *a = arena_new();
	struct ctx ctx = *p->ctx;
	struct ocsp_answer answer;
	char *name;

	if (c->not_after < ctx.now)
		return 0;
	ctx.arena = a;
	if (ocsp_produce(&ctx, &p->responder, &p->issuer, c, &answer, &name, e) != 0 ||
	    fs_put(fs_join(a, p->out, name), answer.der, 0644, e) != 0)
		return err_ctx(e, "certificate %s", c->serial_number);
	if (++p->n % 256 == 0)
		ctx_progress(p->ctx, "OCSP answers", p->n, 0);
	return 0;
}

static int run_ocsp(struct ctx *ctx, void *args, struct err *e)
{
	const struct ocsp_args *a = args;
	SCOPED_AUTHORITY ca = { 0 };
	struct producing p = { .ctx = ctx, .out = a->out };
	struct filter only = { .field = "ca", .op = OP_EQ };
	struct query q = { .filters = &only, .nfilters = 1 };
	struct produced_view v = { 0 };

	p.responder = (struct ocsp_responder){ .v = &p.issuer, .n = 1,
					       .validity = a->validity.text ? a->validity.secs : VALIDITY,
					       .signer = own_key, .arg = &p.issuer };
	if (p.responder.validity < 60 || p.responder.validity > VALIDITY_MAX)
		return err_set(e, ERR_USAGE, "--validity must be between 1m and 366d");
	if (authority_load(ctx, a->ca, &ca, e) != 0)
		return -1;
	if (ca.cert.der.n == 0)
		return err_set(e, ERR_DENIED, "ca %s has no certificate yet", ca.rec.id);
	if (authority_open_key(ctx, &ca, e) != 0 || fs_mkdirs(a->out, 0755, e) != 0)
		return -1;
	ocsp_issuer_init(ctx->arena, &ca, &p.issuer);
	only.value = ca.rec.id;
	if (ledger_each_cert(ctx->state, &q, produce_one, &p, e) != 0)
		return -1;
	v = (struct produced_view){ ca.rec.id, arena_strdup(ctx->arena, a->out), (int64_t)p.n,
				    ctx->now + p.responder.validity };
	return out_record(ctx, &produced_type, &v, e);
}

static const struct opt ocsp_opts[] = {
	OSTR(ocsp_args, out, 0, "dir", "Where they go.", .flags = O_REQ),
	ODUR(ocsp_args, validity, 0, "duration", "For how long they hold. Default: 7d."),
	OEND
};
static const struct operand ocsp_operands[] = { PARAM(ocsp_args, ca, "ca", "The authority."), { 0 } };

const struct cmd ca_ocsp_cmd = {
	.name = "ocsp", .brief = "Make OCSP answers ahead, for static hosting", .opts = ocsp_opts,
	.operands = ocsp_operands, .argsize = sizeof(struct ocsp_args), .needs = NEED_STATE, .run = run_ocsp,
	.type = &produced_type,
	.doc = "One file for each certificate that has not expired, signed with the authority's own key. A file is "
	       "named as a GET request names its answer (RFC 5019 5: the request, with SHA-1 hashes, in base64, "
	       "URL-encoded), so a web server serves the folder at /ocsp/ as it is, with the type "
	       "application/ocsp-response.",
	.example = "lamassu ca ocsp devices --out /srv/www/ocsp --validity 3d"
};
