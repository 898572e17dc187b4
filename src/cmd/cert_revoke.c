/* `cert revoke`, `hold`, `unhold`: several at once, in one commit. What cannot be revoked is named, and the others are,
 * unless --atomic. */
#include <string.h>

#include "base/text.h"
#include "cmd/ca.h"
#include "cmd/cert.h"
#include "pki/cert_find.h"
#include "pki/revoke.h"
#include "state/state.h"

struct revoke_args {
	struct strv certs;
	const char *ca, *reason, *at, *invalidity, *note;
	bool crl, atomic;
};

struct revoking {
	struct ctx *ctx;
	const struct revoke_args *args;
	struct revoke_order order;
	const char *verb, *done; /* "revoke", "revoked" */
	struct certrec *v;
	size_t n, failed;
};

static int fail(struct revoking *r, const char *ref, const struct err *why, struct err *e)
{
	r->failed++;
	if (r->args->certs.n == 1 || r->args->atomic) {
		*e = *why;
		return -1;
	}
	ctx_fault(r->ctx, "%s: %s", ref, why->msg);
	return 0;
}

static bool is_twice(const struct revoking *r, const struct certrec *c)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->v[i].serial_number, c->serial_number) == 0 && strcmp(r->v[i].ca, c->ca) == 0)
			return true;
	return false;
}

static int find_all(struct revoking *r, struct err *e)
{
	const struct strv *refs = &r->args->certs;

	r->v = arena_new_array(r->ctx->arena, refs->n, struct certrec);
	for (size_t i = 0; i < refs->n; i++) {
		struct found_cert f;
		struct err why = { 0 };

		if (cert_find(r->ctx, r->args->ca, refs->v[i], &f, &why) != 0) {
			if (fail(r, refs->v[i], &why, e) != 0)
				return -1;
		} else if (!is_twice(r, &f.rec)) {
			r->v[r->n++] = f.rec;
		}
	}
	return 0;
}

/* Those that could not be revoked leave the list. */
static int revoke_all(struct revoking *r, struct err *e)
{
	size_t good = 0;

	for (size_t i = 0; i < r->n; i++) {
		struct err why = { 0 };
		if (revoke_cert(r->ctx, &r->v[i], &r->order, &why) == 0)
			r->v[good++] = r->v[i];
		else if (fail(r, r->v[i].serial_number, &why, e) != 0)
			return -1;
	}
	r->n = good;
	return 0;
}

static int confirm(struct revoking *r, struct err *e)
{
	if (r->order.action == REVOKE_UNHOLD || r->n == 0)
		return 0;
	if (r->n == 1)
		return cli_confirm(r->ctx, e, "%s certificate %s (%s)?", r->verb, r->v[0].serial_number,
				   r->v[0].subject);
	return cli_confirm(r->ctx, e, "%s %zu certificates?", r->verb, r->n);
}

static int commit(struct revoking *r, struct err *e)
{
	struct arena *ar = r->ctx->arena;

	if (r->n == 0)
		return 0;
	return state_commit(r->ctx->state,
			    r->n == 1 ? arena_printf(ar, "certificate: %s %s", r->verb, r->v[0].serial_number)
						    : arena_printf(ar, "certificate: %s %zu certificates", r->verb,
								   r->n), e);
}

/* Publishing may need the other program (net/net.h), which is asked for before anything is written. */
static int need_network(struct revoking *r, struct err *e)
{
	struct err ignored = { 0 };
	struct ca ca;

	for (size_t i = 0; i < r->n; i++)
		if (state_get(r->ctx->state, &ca_type, r->v[i].ca, &ca, &ignored) == 0 &&
		    ca_crl_need(r->ctx, &ca, e) != 0)
			return -1;
	return 0;
}

/* One CRL for each authority concerned; made from the committed ledger. */
static int make_crls(struct revoking *r, struct err *e)
{
	if (r->n > 0 && ca_crl_sync(r->ctx, e) != 0)
		return err_ctx(e, "it is recorded, but no CRL was made");
	for (size_t i = 0; i < r->n && !r->ctx->dry_run; i++) {
		size_t before = 0;

		while (before < i && strcmp(r->v[before].ca, r->v[i].ca) != 0)
			before++;
		if (before == i && ca_crl_now(r->ctx, r->v[i].ca, NULL, e) != 0)
			return err_ctx(e, "it is recorded, but no CRL was made");
	}
	return 0;
}

static int report(struct revoking *r, struct err *e)
{
	if (!out_is_table(r->ctx) ? cert_print(r->ctx, r->v, r->n, e) != 0
	    : r->n == 1		  ? out_done(r->ctx, e, "%s certificate %s (%s)", r->done, r->v[0].serial_number,
					     r->v[0].subject) != 0
				  : out_done(r->ctx, e, "%s %s", r->done,
					     text_count(r->ctx->arena, r->n, "certificate", NULL)) != 0)
		return -1;
	if (r->failed)
		return err_set(e, ERR_PARTIAL, "%zu of %s failed", r->failed,
			       text_count(r->ctx->arena, r->args->certs.n, "certificate", NULL));
	return 0;
}

static int run(struct ctx *ctx, const struct revoke_args *a, struct revoke_order order, const char *verb,
	       const char *done, struct err *e)
{
	struct revoking r = { .ctx = ctx, .args = a, .order = order, .verb = verb, .done = done };

	r.order.note = a->note;
	if (a->at && tm_parse(a->at, &r.order.at, e) != 0)
		return err_ctx(e, "--at");
	if (a->invalidity && tm_parse(a->invalidity, &r.order.invalidity, e) != 0)
		return err_ctx(e, "--invalidity");
	if (find_all(&r, e) != 0 || (a->crl && need_network(&r, e) != 0) || confirm(&r, e) != 0 ||
	    revoke_all(&r, e) != 0 || commit(&r, e) != 0 ||
	    (a->crl && make_crls(&r, e) != 0))
		return -1;
	return report(&r, e);
}

static int run_revoke(struct ctx *ctx, void *args, struct err *e)
{
	const struct revoke_args *a = args;
	struct revoke_order o = { .action = REVOKE_REVOKE };

	if (revocation_reason_parse(a->reason, &o.reason) != 0)
		return err_set(e, ERR_USAGE, "--reason \"%s\" is none of RFC 5280 5.3.1: unspecified, key_compromise, "
			       "ca_compromise, affiliation_changed, superseded, cessation_of_operation, "
			       "certificate_hold, privilege_withdrawn, aa_compromise",
			       text_escape(ctx->arena, bytes_of(a->reason)));
	return run(ctx, a, o, "revoke", "revoked", e);
}

static int run_hold(struct ctx *ctx, void *args, struct err *e)
{
	return run(ctx, args, (struct revoke_order){ .action = REVOKE_HOLD }, "hold", "put on hold:", e);
}

static int run_unhold(struct ctx *ctx, void *args, struct err *e)
{
	return run(ctx, args, (struct revoke_order){ .action = REVOKE_UNHOLD }, "unhold", "released from hold:", e);
}

#define COMMON_OPTS \
	OSTR(revoke_args, ca, 0, "ca", CERT_CA_DOC), OSTR(revoke_args, note, 0, "text", "A note for the ledger."), \
	OFLAG(revoke_args, crl, 0, "Make new CRLs of the authorities concerned at once."), \
	OFLAG(revoke_args, atomic, 0, "All or none.")

static const struct opt revoke_opts[] = {
	OSTR(revoke_args, reason, 'r', "reason",
	     "Why, of RFC 5280 5.3.1: key_compromise, superseded, cessation_of_operation and others.",
	     .flags = O_REQ),
	OSTR(revoke_args, at, 0, "time", "Since when it counts as revoked. Default: now."),
	OSTR(revoke_args, invalidity, 0, "time", "When the key is thought to have been compromised (invalidityDate)."),
	COMMON_OPTS, OEND
};
static const struct opt hold_opts[] = { COMMON_OPTS, OEND };
static const struct operand operands[] = { PARAMS(revoke_args, certs, "cert", CERT_REF_DOC), { 0 } };

const struct cmd cert_revoke_cmd = {
	.name = "revoke", .brief = "Revoke certificates", .opts = revoke_opts, .operands = operands,
	.argsize = sizeof(struct revoke_args),
	.needs = NEED_STATE | NEED_WRITE | NEED_CONFIRM, .run = run_revoke, .type = &certrec_type,
	.doc = "For good, but for the reason certificate_hold. All of them enter one commit. Relying parties learn it "
	       "from the next CRL: --crl makes it at once.",
	.example = "lamassu cert revoke 5f3a0c11 --reason key_compromise --crl\nlamassu cert revoke sensor-*.pem "
		   "--reason superseded --yes"
};
const struct cmd cert_hold_cmd = {
	.name = "hold", .brief = "Revoke certificates for the time being", .opts = hold_opts, .operands = operands,
	.argsize = sizeof(struct revoke_args), .needs = NEED_STATE | NEED_WRITE | NEED_CONFIRM, .run = run_hold,
	.type = &certrec_type,
	.example = "lamassu cert hold 5f3a0c11 --note 'device is missing'"
};
const struct cmd cert_unhold_cmd = {
	.name = "unhold", .brief = "Release certificates from hold", .opts = hold_opts, .operands = operands,
	.argsize = sizeof(struct revoke_args), .needs = NEED_STATE | NEED_WRITE, .run = run_unhold,
	.type = &certrec_type
};
