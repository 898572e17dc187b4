/* Runs one command line from argv to exit status: parses, opens what the command needs, runs it, sends the results, and
 * prints the one line that says what failed. The only place that turns errors into output. Installs no handlers: SIGINT
 * ends the process (130 to the shell), which is safe at any moment; SIGPIPE is ignored so that a reader that goes away
 * cannot undo what is already recorded. */
#include "cli/internal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"

void say(struct out *o, const char *kind, const char *text)
{
	SCOPED_ARENA *a = arena_new(); /* warnings may come from any thread */
	SCOPED_BUF line = buf_init(BUF_TEXT);
	struct err ignored = { 0 };

	progress_erase(&o->progress);
	buf_printf(&line, "lamassu: %s%s%s\n", kind, *kind ? ": " : "", text_escape(a, bytes_of(text)));
	if (fs_write_fd(STDERR_FILENO, buf_bytes(&line), &ignored) != 0)
		return; /* nobody is left to tell */
}

static void warn(void *arg, const char *msg)
{
	struct out *o = arg;

	if (!o->globals.quiet)
		say(o, "warning", msg);
}

/* What failed of a batch is no warning: --quiet names it too, unless a program reads what is then one JSON object. */
static void fault(void *arg, const char *msg)
{
	struct out *o = arg;

	if (!o->globals.quiet || o->globals.output != OUT_JSON)
		say(o, "", msg);
}

/* --verbose: what happens, beside what is printed. */
static void note(void *arg, const char *msg)
{
	struct out *o = arg;

	if (o->globals.verbose)
		say(o, "", msg);
}

static void print_error(struct out *o, const struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	SCOPED_BUF json = buf_init(BUF_TEXT);
	struct err ignored = { 0 };

	if (o->globals.output != OUT_JSON) {
		say(o, "", e->msg);
		return;
	}
	progress_erase(&o->progress);
	buf_printf(&json, "{\"error\": {\"code\": \"%s\", \"message\": ", err_name(e->code));
	json_text(a, &json, e->msg);
	buf_puts(&json, "}}\n");
	if (fs_write_fd(STDERR_FILENO, buf_bytes(&json), &ignored) != 0)
		return;
}

/* A file that we open must not become standard output by accident. Descriptors 0-2 that are closed are opened so that
 * using them fails as it would have. */
static void keep_std_fds(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
			break;
}

/* A line that cannot be parsed may still have asked for JSON. */
static bool wants_json(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		const char *next = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(argv[i], "-ojson") == 0 || strcmp(argv[i], "--output=json") == 0)
			return true;
		if ((strcmp(argv[i], "-o") == 0 || strcmp(argv[i], "--output") == 0) && strcmp(next, "json") == 0)
			return true;
	}
	return false;
}

static const char *op_name(struct arena *a, const struct parser *p)
{
	SCOPED_BUF b = buf_init(BUF_TEXT);

	for (size_t i = 1; i < p->depth; i++)
		buf_printf(&b, "%s%s", i > 1 ? "." : "", p->path[i]->name);
	return arena_strdup(a, buf_str(&b));
}

static const char *first_operand(const struct parser *p)
{
	const struct operand *r = p->path[p->depth - 1]->operands;
	const void *at = r && r->name ? (const char *)p->args + r->off : NULL;

	if (at && r->flags & P_MANY)
		return ((const struct strv *)at)->n ? ((const struct strv *)at)->v[0] : NULL;
	return at ? *(const char *const *)at : NULL;
}

/* The context of one command, from what was parsed. */
static int set_up(struct ctx *ctx, struct out *o, const struct parser *p, struct err *e)
{
	const struct globals *g = &o->globals;

	o->globals = p->globals;
	if (globals_env(&o->globals, e) != 0)
		return -1;
	out_open(o);
	o->cmd = p->path[p->depth - 1];
	o->op = op_name(ctx->arena, p);
	o->operand = first_operand(p);
	o->columns = p->list.columns;
	ctx->now = tm_now();
	ctx->now_given = g->at != NULL;
	if (g->at && query_time(g->at, ctx->now, &ctx->now, e) != 0)
		return err_ctx(e, "--at");
	ctx->dry_run = g->dry_run;
	ctx->yes = g->yes;
	ctx->no_input = g->no_input || !(isatty(STDIN_FILENO) || isatty(STDERR_FILENO));
	ctx->secret = cli_secret;
	ctx->progress = progress_draw;
	ctx->progress_arg = o;
	return o->cmd->needs & NEED_LIST ? list_query(ctx->arena, &p->list, &o->query, e) : 0;
}

static int show(struct ctx *ctx, const struct cli *cli, const struct parser *p, struct err *e)
{
	SCOPED_BUF text = buf_init(BUF_TEXT);

	ctx->dry_run = false;
	if (p->globals.version)
		buf_printf(&text, "%s %s\n", cli->root->name, cli->version);
	else
		cli_help(cli, p->path, p->depth, &text);
	return out_bytes(ctx, NULL, buf_bytes(&text), false, false, e);
}

static int run(struct ctx *ctx, const struct cli *cli, struct parser *p, struct err *e)
{
	const struct cmd *cmd = p->path[p->depth - 1];
	struct err late = { 0 };
	int rc;

	if (p->globals.help || p->globals.version || cmd->run == NULL)
		rc = show(ctx, cli, p, e);
	else if (cli->prepare && cli->prepare(ctx, &ctx->out->globals, cmd, e) != 0)
		rc = -1;
	else
		rc = cmd->run(ctx, p->args, e);
	progress_erase(&ctx->out->progress);
	if (out_finish(ctx, &late) != 0 && rc == 0) {
		*e = late;
		rc = -1;
	}
	if (cli->finish)
		cli->finish(ctx);
	return rc;
}

static int complete(struct ctx *ctx, struct out *o, const struct cli *cli, int argc, char **argv)
{
	struct err ignored = { 0 };

	o->globals.quiet = true;
	ctx->warn = ctx->fault = NULL;
	cli_complete(cli, ctx, (size_t)argc, argv, &o->buf);
	return out_finish(ctx, &ignored) != 0;
}

int cli_main(const struct cli *cli, int argc, char **argv)
{
	SCOPED_ARENA *arena = arena_new();
	struct out out = { .arena = arena, .cli = cli, .buf = buf_init(BUF_BIG), .diff = buf_init(BUF_BIG) };
	struct ctx ctx = { .arena = arena, .argv = argv, .out = &out, .warn = warn, .fault = fault, .note = note,
			   .warn_arg = &out };
	struct err e = { 0 };
	struct parser p;
	int rc = 0;

	keep_std_fds();
	signal(SIGPIPE, SIG_IGN);
	parser_init(&p, arena, cli->root);
	if (argc > 1 && strcmp(argv[1], "__complete") == 0) {
		rc = complete(&ctx, &out, cli, argc - 2, argv + 2);
	} else {
		out.globals.output = wants_json(argc, argv) ? OUT_JSON : OUT_TABLE;
		for (int i = 1; i < argc && rc == 0; i++)
			rc = parser_word(&p, argv[i], &e);
		if (rc != 0 || parser_end(&p, &e) != 0 || set_up(&ctx, &out, &p, &e) != 0 ||
		    run(&ctx, cli, &p, &e) != 0) {
			print_error(&out, &e);
			rc = e.code == ERR_NONE ? 1 : err_exit_status(e.code);
		}
	}
	buf_release(&out.buf);
	buf_release(&out.diff);
	return rc;
}

const struct globals *cli_globals(const struct ctx *ctx)
{
	return &ctx->out->globals;
}

const char *cli_op(const struct ctx *ctx)
{
	return ctx->out->op;
}

const struct query *cli_query(const struct ctx *ctx)
{
	return &ctx->out->query;
}
