/* `device psk`: the secret that one device enrols with. It never comes from the command line and is never printed: a
 * generated one goes into a file that only its owner can read, and what is kept is its hash. */
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "cmd/device.h"
#include "engine/engine.h"
#include "model/device.h"
#include "model/dms.h"
#include "pki/psk.h"
#include "state/state.h"

struct psk_args {
	const char *device, *dms, *out;
	bool generate, remove, reusable;
};

static int check(const struct psk_args *a, const struct dms *dms, struct err *e)
{
	const struct psk_auth *psk = &dms->settings.enrollment_settings.est_rfc7030_settings.authentication.psk;

	if (a->generate != !!a->out)
		return err_set(e, ERR_USAGE, "--generate and --out go together");
	if (a->remove && (a->generate || a->reusable))
		return err_set(e, ERR_USAGE, "--remove excludes --generate and --reusable");
	if (psk->engine && a->reusable)
		return err_set(e, ERR_USAGE, "--reusable: secrets in the store of an engine serve once");
	if (strchr(a->device, ':') && psk->store != PSK_TLS)
		return err_set(e, ERR_INVALID, "device \"%s\": a name with a colon cannot be sent by HTTP (RFC 7617 2)",
			       a->device);
	if (!a->remove && dms->settings.enrollment_settings.est_rfc7030_settings.authentication.type != AUTH_PSK)
		return err_set(e, ERR_CONFLICT,
			       "dms %s: devices do not enrol with secrets there; set its authentication to psk first",
			       dms->id);
	return device_id_check(a->device, e);
}

static int set(struct ctx *ctx, const struct psk_args *a, const struct dms *dms, struct err *e)
{
	const struct secret_ask ask = { .what = "secret of the device", .confirm = true };
	char *secret;

	if (!a->generate)
		return ctx->secret(ctx, &ask, &secret, e) != 0 ? -1
							       : psk_set(ctx, dms, a->device, secret, !a->reusable, e);
	secret = psk_random(ctx->arena, dms);
	if (!secret)
		return err_set(e, ERR_CRYPTO, "no random numbers");
	if (!ctx->dry_run && fs_write(a->out, bytes_of(arena_printf(ctx->arena, "%s\n", secret)), 0600, false, e) != 0)
		return -1;
	if (psk_set(ctx, dms, a->device, secret, !a->reusable, e) == 0)
		return 0;
	if (!ctx->dry_run)
		unlink(a->out);
	return -1;
}

static int run_psk(struct ctx *ctx, void *args, struct err *e)
{
	const struct psk_args *a = args;
	const char *engine;
	struct dms dms;

	if (state_get(ctx->state, &dms_type, a->dms, &dms, e) != 0 || check(a, &dms, e) != 0)
		return -1;
	engine = dms.settings.enrollment_settings.est_rfc7030_settings.authentication.psk.engine;
	if (engine)
		engine_ready(ctx, engine); /* before a file is written */
	if (a->remove ? psk_remove(ctx, &dms, a->device, e) != 0 : set(ctx, a, &dms, e) != 0)
		return -1;
	return out_done(ctx, e, "device %s %s dms %s", a->device,
			a->remove ? "shares no secret any more with" : "shares a secret with", dms.id);
}

static const struct opt opts[] = {
	OSTR(psk_args, dms, 0, "dms", "The device manager.", .flags = O_REQ),
	OFLAG(psk_args, generate, 0, "Make a random secret of 256 bits."),
	OSTR(psk_args, out, 0, "file", "Where the generated secret goes; a new file of mode 0600."),
	OFLAG(psk_args, reusable, 0, "It may be used again. Default: it is spent by the certificate that it got."),
	OFLAG(psk_args, remove, 0, "Forget it."),
	OEND
};
static const struct operand operands[] = { PARAM(psk_args, device, "device", "The device's id."), { 0 } };
const struct cmd device_psk_cmd = {
	.name = "psk", .brief = "Set the secret that a device enrols with", .opts = opts, .operands = operands,
	.argsize = sizeof(struct psk_args),
	.needs = NEED_STATE, .run = run_psk,
	.doc = "For managers with authentication psk. The device sends its id and the secret by HTTP Basic, or by "
	       "Digest with SHA-256 where the manager's psk.store is ha1; an empty user name stands for the device "
	       "that the request is for. Where psk.store is tls the secret is the key of TLS-PSK, in hexadecimal "
	       "digits: the identity is the device's id, or DMS/DEVICE where several managers of a listener share a "
	       "secret with it.\n\nThe secret comes from --passphrase-file, --passphrase-fd or a prompt, and has at "
	       "least 12 bytes; for TLS 32 to 128 digits. Its hash, for TLS the key itself, is kept in "
	       ".git/lamassu/psk of this clone, never in the history. Where the manager names an engine (psk.engine), "
	       "the secret goes into its store instead, and a listener must be started again to know it.",
	.example = "lamassu device psk sensor-1 --dms factory --generate --out sensor-1.secret"
};
