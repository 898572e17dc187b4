/* `device decommission`, `delete`, `compromise`, `unblock`: what ends a device. All that belongs to one of them is one
 * commit. */
#include <string.h>

#include "base/text.h"
#include "cmd/device.h"
#include "pki/device.h"
#include "pki/psk.h"
#include "state/ledger.h"

struct end_args {
	const char *device, *reason, *ticket;
};

static int find(struct ctx *ctx, const struct end_args *a, struct device *d, struct err *e)
{
	return ledger_device(ctx->state, a->device, d, e);
}

static int commit(struct ctx *ctx, const char *verb, const struct device *d, struct err *e)
{
	return state_commit(ctx->state, arena_printf(ctx->arena, "device: %s %s", verb, d->id), e);
}

#define REASON_OPT OSTR(end_args, reason, 0, "text", "Why; kept in the ledger.")
static const struct operand operands[] = { PARAM(end_args, device, "device", "The device's id."), { 0 } };
static const struct opt reason_opts[] = { REASON_OPT, OEND };

/* --- decommission, delete --- */

static int run_decommission(struct ctx *ctx, void *args, struct err *e)
{
	const struct end_args *a = args;
	struct device d;
	size_t n;

	if (find(ctx, a, &d, e) != 0 || device_decommission(ctx, &d, a->reason, &n, e) != 0 ||
	    cli_confirm(ctx, e, "decommission device %s for good and revoke %zu certificate%s?", d.id, n,
			n == 1 ? "" : "s") != 0 ||
	    commit(ctx, "decommission", &d, e) != 0)
		return -1;
	return out_done(ctx, e, "decommissioned device %s, revoked %zu certificate%s", d.id, n, n == 1 ? "" : "s");
}

const struct cmd device_decommission_cmd = {
	.name = "decommission", .brief = "Take a device out of service", .opts = reason_opts, .operands = operands,
	.argsize = sizeof(struct end_args), .needs = NEED_STATE | NEED_WRITE | NEED_CONFIRM, .run = run_decommission,
	.type = &device_type,
	.doc = "For good: its certificates are revoked (cessation_of_operation) and it cannot enrol any more.",
	.example = "lamassu device decommission sensor-1 --reason 'scrapped'"
};

static int run_delete(struct ctx *ctx, void *args, struct err *e)
{
	const struct end_args *a = args;
	struct device d;

	if (find(ctx, a, &d, e) != 0 || device_delete(ctx, &d, a->reason, e) != 0 ||
	    cli_confirm(ctx, e, "delete device %s?", d.id) != 0 || commit(ctx, "delete", &d, e) != 0)
		return -1;
	psk_forget(ctx, NULL, d.id);
	return out_done(ctx, e, "deleted device %s", d.id);
}

const struct cmd device_delete_cmd = {
	.name = "delete", .brief = "Forget a decommissioned device", .opts = reason_opts, .operands = operands,
	.argsize = sizeof(struct end_args), .needs = NEED_STATE | NEED_WRITE | NEED_CONFIRM, .run = run_delete,
	.type = &device_type,
	.doc = "Its history and its certificates stay in the ledger. The id is free again, for another device; secrets "
	       "that it shared with device managers are removed from this clone."
};

/* --- compromise --- */

static int report(struct ctx *ctx, const struct end_args *a, const struct device *d, const struct device_touched *v,
		  size_t n, struct err *e)
{
	SCOPED_BUF ticket = buf_init(BUF_BIG);

	device_ticket(ctx, d, v, n, &ticket);
	if (a->ticket && out_bytes(ctx, a->ticket, buf_bytes(&ticket), false, true, e) != 0)
		return -1;
	if (!out_is_table(ctx) || a->ticket)
		return out_list(ctx, &device_touched_type, v, n, NULL, e);
	return out_bytes(ctx, NULL, buf_bytes(&ticket), false, false, e);
}

static int run_compromise(struct ctx *ctx, void *args, struct err *e)
{
	const struct end_args *a = args;
	struct device_touched *v;
	struct device d;
	size_t n;

	if (find(ctx, a, &d, e) != 0 ||
	    cli_confirm(ctx, e, "revoke all certificates of device %s as compromised and block it?", d.id) != 0 ||
	    device_compromise(ctx, &d, a->reason, &v, &n, e) != 0 || commit(ctx, "compromise", &d, e) != 0)
		return -1;
	return report(ctx, a, &d, v, n, e);
}

static const struct opt compromise_opts[] = {
	REASON_OPT,
	OSTR(end_args, ticket, 0, "file",
	     "Where to write the text for a ticket; the list goes to standard output then."), OEND
};
const struct cmd device_compromise_cmd = {
	.name = "compromise", .brief = "A device's key was stolen: revoke, block, and say what else it touches",
	.opts = compromise_opts, .operands = operands, .argsize = sizeof(struct end_args),
	.needs = NEED_STATE | NEED_WRITE | NEED_CONFIRM, .run = run_compromise, .type = &device_touched_type,
	.doc = "Revokes its certificates with reason key_compromise, forbids it to enrol, and finds the certificates "
	       "with one of its keys, the bootstrap certificate that it enrolled with, and the devices that enrolled "
	       "with the same. Nothing of another device is changed.",
	.example = "lamassu device compromise sensor-1 --reason 'found open' --ticket ticket.txt"
};

static int run_unblock(struct ctx *ctx, void *args, struct err *e)
{
	const struct end_args *a = args;
	struct device_entry x = { .action = DEVICE_UNBLOCK, .reason = arena_strdup(ctx->arena, a->reason) };
	struct device d;

	if (find(ctx, a, &d, e) != 0)
		return -1;
	if (!d.blocked)
		return err_set(e, ERR_CONFLICT, "device \"%s\" is not blocked", d.id);
	x.device = d.id;
	if (ledger_add_device(ctx->state, &x, e) != 0 || commit(ctx, "unblock", &d, e) != 0)
		return -1;
	return out_done(ctx, e, "device %s may enrol again", d.id);
}

const struct cmd device_unblock_cmd = {
	.name = "unblock", .brief = "Let a device enrol again", .opts = reason_opts, .operands = operands,
	.argsize = sizeof(struct end_args),
	.needs = NEED_STATE | NEED_WRITE, .run = run_unblock, .type = &device_type
};
