/* `lamassu init`: a new repository with its settings, the software engine and the shipped profiles. */
#include "cmd/init.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "cmd/open.h"
#include "model/config.h"
#include "model/engine.h"
#include "model/profile.h"
#include "pki/templates.h"
#include "state/state.h"

struct init_args {
	const char *dir, *name, *operator_, *ledger_branch;
	bool unencrypted_keys;
};

struct filling {
	struct ctx *ctx;
	const struct init_args *args;
	struct strv names;    /* of the shipped profiles */
	struct bytes *texts;
};

/* Read before anything is made, so that a missing file leaves nothing behind. */
static int read_templates(struct filling *f, struct err *e)
{
	struct arena *ar = f->ctx->arena;

	if (templates_list(ar, &f->names, e) != 0)
		return -1;
	f->texts = arena_new_array(ar, f->names.n + 1, struct bytes);
	for (size_t i = 0; i < f->names.n; i++)
		if (template_text(ar, f->names.v[i], &f->texts[i], e) != 0)
			return -1;
	return 0;
}

static int put_config(struct ctx *ctx, const struct init_args *a, struct state *st, struct err *e)
{
	struct config c = *state_config(st);

	c.format = REPO_FORMAT;
	c.name = arena_strdup(ctx->arena, a->name);
	return state_put(st, &config_type, "lamassu", &c, e);
}

static int put_engine(struct ctx *ctx, bool unencrypted, struct state *st, struct err *e)
{
	struct engine_doc doc;

	rec_default(ctx->arena, &engine_type, &doc);
	doc.id = arena_strdup(ctx->arena, "software");
	doc.type = arena_strdup(ctx->arena, "SOFTWARE");
	if (unencrypted)
		doc.config = arena_strdup(ctx->arena, "{\"unencrypted\":true}");
	return state_put(st, &engine_type, doc.id, &doc, e);
}

static int fill(void *arg, struct state *st, struct err *e)
{
	struct filling *f = arg;

	if (put_config(f->ctx, f->args, st, e) != 0 || put_engine(f->ctx, f->args->unencrypted_keys, st, e) != 0)
		return -1;
	for (size_t i = 0; i < f->names.n; i++)
		if (state_write(st, schema_path(f->ctx->arena, &profile_type, f->names.v[i]), f->texts[i], e) != 0)
			return -1;
	return 0;
}

static int run_init(struct ctx *ctx, void *args, struct err *e)
{
	const struct init_args *a = args;
	const char *dir = a->dir ? a->dir : ".";
	struct filling f = { .ctx = ctx, .args = a };
	struct state_init_opts opts = { .name = a->name, .ledger_branch = a->ledger_branch, .operator_ = a->operator_ };
	struct state_env env;

	if (ctx->dry_run)
		return err_set(e, ERR_USAGE, "init cannot be tried with --dry-run");
	cmd_state_env(ctx, cli_globals(ctx), &env);
	if (a->operator_)
		env.actor = a->operator_;
	if (read_templates(&f, e) != 0 || state_init(ctx->arena, dir, &opts, &env, fill, &f, e) != 0)
		return -1;
	return out_done(ctx, e, "created repository %s", dir);
}

static const struct opt init_opts[] = {
	OSTR(init_args, name, 0, "text", "Name of this PKI, for people."),
	{ .name = "operator", .kind = O_STR, .arg = "name-mail", .off = offsetof(struct init_args, operator_),
	  .doc = "Who makes changes here, as 'Name <mail>'; kept in this clone's git configuration." },
	OFLAG(init_args, unencrypted_keys, 0, "Keep the software engine's private keys unencrypted on disk."),
	OSTR(init_args, ledger_branch, 0, "branch", "Another name for the branch `ledger`, when that is taken."),
	OEND
};

static const struct operand init_operands[] = {
	PARAM(init_args, dir, "dir", "The folder; made when it is missing. Default: the working directory.",
	      .flags = P_OPTIONAL), { 0 }
};

const struct cmd init_cmd = {
	.name = "init", .brief = "Make a new repository", .opts = init_opts, .operands = init_operands,
	.argsize = sizeof(struct init_args), .run = run_init,
	.doc = "Makes a git repository with lamassu.yaml, a software engine and the shipped profiles, or adds "
	       "them to one that exists. Works in an empty folder and in the top folder of a git work tree.",
	.example = "lamassu init pki --name 'Acme PKI' --operator 'Ada <ada@example.org>'",
};
