/* The tree of commands, and the commands about the program itself: help, version, completion, manual pages. These open
 * nothing and initialise no library. */
#include "cmd/root.h"

#include "base/text.h"
#include "cmd/ca.h"
#include "cmd/cert.h"
#include "cmd/device.h"
#include "cmd/dms.h"
#include "cmd/est.h"
#include "cmd/init.h"
#include "cmd/kms.h"
#include "cmd/manual.h"
#include "cmd/open.h"
#include "cmd/profile.h"
#include "cmd/refs.h"
#include "cmd/repo.h"
#include "cmd/va.h"

struct help_args {
	struct strv words;
};
struct version_view {
	char *version;
};
struct completion_args {
	const char *shell;
};
struct man_args {
	bool list, types;
	const char *page;
};

static int print(struct ctx *ctx, const struct buf *text, struct err *e)
{
	return out_bytes(ctx, NULL, buf_bytes(text), false, false, e);
}

static int help_run(struct ctx *ctx, void *v, struct err *e)
{
	struct help_args *args = v;
	SCOPED_BUF text = buf_init(BUF_TEXT);
	const struct cmd *path[CLI_DEPTH];
	size_t depth;

	if (cli_find(&lamassu_cli, &args->words, path, &depth, e) != 0)
		return -1;
	cli_help(&lamassu_cli, path, depth, &text);
	return print(ctx, &text, e);
}

static const struct field version_fields[] = {
	STR(version_view, version, "The version of the program.", .flags = F_KEY),
	END
};
static const struct schema version_type = {
	.name = "version", .plural = "versions", .size = sizeof(struct version_view), .fields = version_fields,
};

static int version_run(struct ctx *ctx, void *v, struct err *e)
{
	struct version_view view = { .version = arena_strdup(ctx->arena, lamassu_cli.version) };
	SCOPED_BUF text = buf_init(BUF_TEXT);

	(void)v;
	if (!out_is_table(ctx))
		return out_record(ctx, &version_type, &view, e);
	buf_printf(&text, "%s %s\n", lamassu_cli.root->name, lamassu_cli.version);
	return print(ctx, &text, e);
}

static int completion_run(struct ctx *ctx, void *v, struct err *e)
{
	struct completion_args *args = v;
	const char *near = text_nearest(args->shell, cli_shells);

	for (size_t i = 0; cli_shells[i]; i++)
		if (strcmp(args->shell, cli_shells[i]) == 0)
			return out_bytes(ctx, NULL, bytes_of(cli_completion(i)), false, false, e);
	if (near)
		return err_set(e, ERR_USAGE, "unknown shell \"%s\" (did you mean \"%s\"?)", args->shell, near);
	return err_set(e, ERR_USAGE, "unknown shell \"%s\", must be bash, zsh or fish", args->shell);
}

static int man_run(struct ctx *ctx, void *v, struct err *e)
{
	struct man_args *args = v;
	SCOPED_BUF text = buf_init(BUF_TEXT);

	for (const struct record_type *t = record_types; args->types && t->name; t++)
		buf_printf(&text, "%s\n", t->name);
	if (args->types)
		return print(ctx, &text, e);
	if (args->list)
		cli_man_list(&lamassu_cli, &text);
	else if (cli_man(&lamassu_cli, args->page, &text, e) != 0)
		return -1;
	return print(ctx, &text, e);
}

static const struct operand help_operands[] = {
	PARAMS_OPT(help_args, words, "command", "A noun, and perhaps a verb of it."),
	OEND
};
static const struct operand completion_operands[] = {
	PARAM(completion_args, shell, "shell", "bash, zsh or fish."),
	OEND
};
static const struct operand man_operands[] = {
	PARAM(man_args, page, "page", "A name from --list, or a noun; else the program's page.", .flags = P_OPTIONAL),
	OEND
};
static const struct opt man_opts[] = {
	OFLAG(man_args, list, 0, "Print the names of all pages."),
	OFLAG(man_args, types, 0, "Print the kinds of record, for `profile schema`."),
	OEND
};

static const struct cmd cmd_completion = {
	.name = "completion",
	.brief = "Print the completion script for a shell",
	.doc = "The script asks lamassu itself for candidates, so that names of authorities, profiles, keys and the "
	       "like are always those of the repository.",
	.example = "source <(lamassu completion bash)\n"
		   "lamassu completion fish >~/.config/fish/completions/lamassu.fish",
	.operands = completion_operands,
	.argsize = sizeof(struct completion_args),
	.run = completion_run,
};
static const struct cmd cmd_help = {
	.name = "help",
	.brief = "Show help for a command",
	.operands = help_operands,
	.argsize = sizeof(struct help_args),
	.run = help_run,
};
static const struct cmd cmd_version = { .name = "version", .brief = "Show the version", .run = version_run };
static const struct cmd cmd_man = {
	.name = "__man",
	.brief = "Print a manual page",
	.opts = man_opts,
	.operands = man_operands,
	.argsize = sizeof(struct man_args),
	.run = man_run,
};

static const struct cmd *const nouns[] = {
	&init_cmd, &ca_cmd, &cert_cmd, &profile_cmd, &kms_cmd, &dms_cmd, &device_cmd, &est_serve_cmd, &va_serve_cmd,
	&repo_cmd, &cmd_completion, &cmd_help, &cmd_version, &cmd_man, NULL
};

static const struct cmd root = {
	.name = "lamassu",
	.brief = "Certificate authority over a git-versioned directory",
	.doc = "lamassu runs a public key infrastructure from the command line: certificate authorities, issuance "
	       "profiles, keys, certificates and their revocation. All of it lives in a git repository, as files that "
	       "people can read, and every change is a commit.",
	.sub = nouns,
};

static const struct env_doc env[] = {
	{ "LAMASSU_REPO", "The repository, where --repo does not say." },
	{ "LAMASSU_OPERATOR", "Who acts: Name <mail>." },
	{ "LAMASSU_TOKEN", "Who acts, proven by a token (JWT), where lamassu.yaml has identity_extractors.jwt; wins "
			   "over LAMASSU_OPERATOR. So do --token-file and --token-fd." },
	{ "LAMASSU_PASSPHRASE", "The passphrase of software keys; LAMASSU_PASSPHRASE_ENGINE is that of one engine." },
	{ "LAMASSU_NEW_PASSPHRASE", "The new passphrase, where one is changed." },
	{ "LAMASSU_IMPORT_PASSPHRASE", "The passphrase of a key or PKCS#12 that is imported." },
	{ "LAMASSU_EXPORT_PASSPHRASE", "The passphrase of a key or PKCS#12 that is written." },
	{ "LAMASSU_EST_PASSWORD", "The password that `device enroll` and `device renew` show with --user." },
	{ "LAMASSU_LOCK_TIMEOUT", "How long to wait for another writer, where --lock-timeout does not say." },
	{ "LAMASSU_ALLOW_COMMANDS", "With 1, secrets may be what a program prints (command:ARGV in an engine's "
				    "document); so does git config lamassu.allowCommands true." },
	{ "LAMASSU_DATADIR", "The folder that holds profiles/, where the installed one is not meant." },
	{ "LAMASSU_LIBEXECDIR", "The folder of the program that has the network, where the installed one is "
				"not meant." },
	{ "VISUAL", "The editor of `edit`; EDITOR where it is not set." },
	{ "NO_COLOR", "When set and not empty, no colour." },
	{ "COLUMNS", "The width of the terminal." },
	{ NULL, NULL },
};

const struct cli lamassu_cli = {
	.root = &root,
	.version = VERSION_TEXT,
	.date = "November 21, 2026",
	.env = env,
	.records = manual_records,
	.prepare = cmd_prepare,
	.finish = cmd_finish,
	.names = cmd_names,
};
