/* `kms engine passphrase`, `unlock`, `lock`: access to an engine's keys. No passphrase is taken from the command line,
 * and none is printed: a generated one goes into a file that only its owner can read. */
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "cmd/kms.h"
#include "engine/engine.h"

enum { MAX_PASSPHRASE = 4096 };

struct passphrase_args {
	const char *engine, *out, *new_passphrase_file;
	bool generate;
};

static int first_line(struct ctx *ctx, const char *file, char **ret, struct err *e)
{
	struct bytes text;
	size_t n;

	if (fs_read_input(ctx->arena, file, MAX_PASSPHRASE, &text, e) != 0)
		return err_ctx(e, "--new-passphrase-file");
	if (memchr(text.p, 0, text.n))
		return err_set(e, ERR_INVALID, "--new-passphrase-file: a NUL byte in a passphrase");
	n = strcspn((const char *)text.p, "\r\n");
	if (n == 0)
		return err_set(e, ERR_INVALID, "--new-passphrase-file: the first line is empty");
	*ret = arena_strndup(ctx->arena, (const char *)text.p, n);
	return 0;
}

/* The file first: a passphrase that is in force must be known. */
static int generate(struct ctx *ctx, const struct passphrase_args *a, struct err *e)
{
	char *text = engine_passphrase_random(ctx->arena);

	if (!a->out)
		return err_set(e, ERR_USAGE, "--generate needs --out FILE for the passphrase");
	if (!text)
		return err_set(e, ERR_CRYPTO, "no random numbers");
	engine_ready(ctx, a->engine);
	if (!ctx->dry_run && fs_write(a->out, bytes_of(arena_printf(ctx->arena, "%s\n", text)), 0600, false, e) != 0)
		return -1;
	if (engine_passphrase(ctx, a->engine, text, true, e) == 0)
		return 0;
	if (e->code == ERR_REMOTE) /* an answer was lost: keys may be under it by now */
		return err_ctx(e, "the new passphrase may be in force and stays in %s", a->out);
	if (!ctx->dry_run)
		unlink(a->out);
	return -1;
}

static int run_passphrase(struct ctx *ctx, void *args, struct err *e)
{
	const struct passphrase_args *a = args;
	char *text = NULL;

	if (a->generate && a->new_passphrase_file)
		return err_set(e, ERR_USAGE, "--generate and --new-passphrase-file exclude each other");
	if (a->out && !a->generate)
		return err_set(e, ERR_USAGE, "--out goes with --generate");
	if (a->new_passphrase_file && first_line(ctx, a->new_passphrase_file, &text, e) != 0)
		return -1;
	if (a->generate ? generate(ctx, a, e) != 0 : engine_passphrase(ctx, a->engine, text, false, e) != 0)
		return -1;
	return out_done(ctx, e, "engine %s has a new passphrase", a->engine);
}

static const struct opt passphrase_opts[] = {
	OFLAG(passphrase_args, generate, 0,
	      "Make a random passphrase, for services; its keys open without stretching."),
	OSTR(passphrase_args, out, 0, "file", "Where the generated passphrase goes; a new file of mode 0600."),
	OSTR(passphrase_args, new_passphrase_file, 0, "file", "Read the new passphrase from the first line of a file."),
	OEND
};
static const struct operand passphrase_operands[] = { PARAM(passphrase_args, engine, "engine", "The engine's id."),
						     OEND };

const struct cmd engine_passphrase_cmd = {
	.name = "passphrase", .brief = "Change the passphrase of an engine's keys", .opts = passphrase_opts,
	.operands = passphrase_operands, .argsize = sizeof(struct passphrase_args), .needs = NEED_STATE | NEED_WRITE,
	.run = run_passphrase,
	.doc = "Encrypts all keys of the engine anew. The present passphrase comes from --passphrase-file, "
	       "--passphrase-fd, LAMASSU_PASSPHRASE_ENGINE, LAMASSU_PASSPHRASE or a prompt; the new one from "
	       "--new-passphrase-file, LAMASSU_NEW_PASSPHRASE or a prompt. When the command is killed, either the old "
	       "or the new one holds for all keys.\n\nIn an engine without keys it sets the first passphrase.",
	.example = "lamassu kms engine passphrase software --generate --out /etc/lamassu/passphrase"
};

/* --- unlock, lock --- */

struct unlock_args {
	const char *engine;
	struct dur for_;
};

static int run_unlock(struct ctx *ctx, void *args, struct err *e)
{
	const struct unlock_args *a = args;
	int64_t secs = a->for_.text ? a->for_.secs : 8 * 3600;

	if (engine_unlock(ctx, a->engine, secs, e) != 0)
		return -1;
	return out_done(ctx, e, "engine %s is unlocked for %s", a->engine, dur_format(ctx->arena, secs));
}

static const struct opt unlock_opts[] = { ODUR(unlock_args, for_, 0, "duration", "How long. Default: 8h."), OEND };
static const struct operand unlock_operands[] = { PARAM(unlock_args, engine, "engine", "The engine's id."), OEND };

const struct cmd engine_unlock_cmd = {
	.name = "unlock", .brief = "Let commands of this login session use an engine without its passphrase",
	.opts = unlock_opts,
	.operands = unlock_operands, .argsize = sizeof(struct unlock_args), .needs = NEED_STATE, .run = run_unlock,
	.doc = "Keeps the key that is derived from the passphrase in the kernel's session keyring, never on a disk.",
	.example = "lamassu kms engine unlock software --for 8h"
};

static int run_lock(struct ctx *ctx, void *args, struct err *e)
{
	const struct engine_ref *a = args;
	bool was;

	if (engine_lock(ctx, a->engine, &was, e) != 0)
		return -1;
	return out_done(ctx, e, was ? "engine %s is locked" : "engine %s was locked", a->engine);
}

const struct cmd engine_lock_cmd = {
	.name = "lock", .brief = "Forget what unlock has kept", .operands = engine_operand,
	.argsize = sizeof(struct engine_ref),
	.needs = NEED_STATE, .run = run_lock
};
