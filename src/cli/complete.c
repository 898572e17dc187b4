/* Completion. The shells know nothing: their scripts hand the words to `lamassu __complete`, which reads them with the
 * same parser as a real command line and answers with candidates. Never fails and never writes to standard error: half
 * a command line is always wrong somewhere. */
#include "cli/internal.h"

#include "base/text.h"

const char *const cli_shells[] = { "bash", "zsh", "fish", NULL };

/* Each takes "candidate<TAB>doc" lines; a line that is "@file" or "@dir" asks for paths. */
static const char bash_script[] =
	"# bash completion for lamassu\n"
	"_lamassu() {\n"
	"	local cur=${COMP_WORDS[COMP_CWORD]} line words=()\n"
	"	# bash splits words at '=' and ':'; join the line up to the cursor again\n"
	"	read -ra words <<<\"${COMP_LINE:0:COMP_POINT}\"\n"
	"	[[ ${COMP_LINE:0:COMP_POINT} == *[[:space:]] ]] && words+=('')\n"
	"	[[ $cur == [=:] ]] && cur=\n"
	"	local typed=${words[${#words[@]}-1]}\n"
	"	COMPREPLY=()\n"
	"	while IFS=$'\\t' read -r line _; do\n"
	"		case $line in\n"
	"		@file) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
	"		@dir) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- \"$cur\") ;;\n"
	"		*) COMPREPLY+=(\"${line:${#typed}-${#cur}}\") ;;\n"
	"		esac\n"
	"		[[ $line == --*= ]] && compopt -o nospace\n"
	"	done < <(lamassu __complete \"${words[@]:1}\" 2>/dev/null)\n"
	"}\n"
	"complete -F _lamassu lamassu\n";

static const char zsh_script[] =
	"#compdef lamassu\n"
	"_lamassu() {\n"
	"	local line\n"
	"	local -a plain\n"
	"	while IFS= read -r line; do\n"
	"		case $line in\n"
	"		@file) _files ;;\n"
	"		@dir) _files -/ ;;\n"
	"		*) plain+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\") ;;\n"
	"		esac\n"
	"	done < <(lamassu __complete \"${(@)words[2,CURRENT]}\" 2>/dev/null)\n"
	"	(( $#plain )) && _describe lamassu plain\n"
	"}\n"
	"if [ \"$funcstack[1]\" = _lamassu ]; then _lamassu \"$@\"; else compdef _lamassu lamassu; fi\n";

static const char fish_script[] =
	"# fish completion for lamassu\n"
	"function __lamassu_complete\n"
	"	set -l words (commandline -opc) (commandline -ct)\n"
	"	for line in (lamassu __complete $words[2..-1] 2>/dev/null)\n"
	"		switch $line\n"
	"			case @file\n"
	"				__fish_complete_path (commandline -ct)\n"
	"			case @dir\n"
	"				__fish_complete_directories (commandline -ct)\n"
	"			case '*'\n"
	"				echo $line\n"
	"		end\n"
	"	end\n"
	"end\n"
	"complete -c lamassu -f -a '(__lamassu_complete)'\n";

const char *cli_completion(size_t shell)
{
	static const char *const scripts[] = { bash_script, zsh_script, fish_script };

	return scripts[shell];
}

struct answer {
	struct buf *out;
	const char *prefix; /* what stands before the candidate in its word: "--ca=" */
	const char *typed;
};

static void offer(void *arg, const char *name, const char *doc)
{
	SCOPED_ARENA *a = arena_new();
	struct answer *to = arg;

	if (text_has_prefix(name, to->typed))
		buf_printf(to->out, "%s%s\t%s\n", to->prefix, text_escape(a, bytes_of(name)),
			   text_escape(a, bytes_of(doc ? doc : "")));
}

static void offer_fields(struct answer *to, const struct schema *s, const char *suffix)
{
	SCOPED_ARENA *a = arena_new();

	for (const struct field *f = s ? s->fields : NULL; f && f->name; f++)
		offer(to, arena_printf(a, "%s%s", f->name, suffix), f->doc);
}

/* Values of a kind: fields by the command's record type, names by the program. */
static void offer_kind(const struct cli *cli, struct ctx *ctx, struct answer *to, const char *kind)
{
	struct err ignored = { 0 };

	if (strcmp(kind, "field") == 0 || strcmp(kind, "fields") == 0)
		offer_fields(to, ctx->out->cmd->type, "");
	else if (strcmp(kind, "filter") == 0 || strcmp(kind, "path=value") == 0)
		offer_fields(to, ctx->out->cmd->type, "=");
	else if (strcmp(kind, "shell") == 0)
		for (size_t i = 0; cli_shells[i]; i++)
			offer(to, cli_shells[i], "");
	else if (cli->names && globals_env(&ctx->out->globals, &ignored) == 0)
		cli->names(ctx, kind, offer, to);
}

/* Of what may have several forms ("file|dir|-") those that are paths by the shell, and first, as it puts them in place
 * of others. */
static void offer_forms(const struct cli *cli, struct ctx *ctx, struct answer *to, const char *forms)
{
	SCOPED_ARENA *a = arena_new();
	bool file = false, dir = false;
	struct strv rest = { 0 };

	for (const char *p = forms; *p; p += strspn(p, "|")) {
		char *form = arena_strndup(a, p, strcspn(p, "|"));

		p += strlen(form);
		file |= strcmp(form, "file") == 0;
		dir |= strcmp(form, "dir") == 0;
		rest.v = arena_grow(a, rest.v, rest.n, sizeof(*rest.v));
		rest.v[rest.n++] = form;
	}
	if (file || dir)
		buf_puts(to->out, file ? "@file\n" : "@dir\n");
	for (size_t i = 0; i < rest.n; i++)
		offer_kind(cli, ctx, to, rest.v[i]);
}

static void offer_values(const struct cli *cli, struct ctx *ctx, struct answer *to, const struct opt *o)
{
	for (size_t i = 0; o->kind == O_ENUM && o->names[i]; i++)
		offer(to, o->names[i], "");
	if (o->kind != O_ENUM && o->arg)
		offer_forms(cli, ctx, to, o->arg);
}

static void offer_options(struct parser *p, struct answer *to)
{
	for (size_t t = 0; t < TABLE_COUNT; t++)
		for (const struct opt *o = p->tables[t].opts; o && o->name; o++) {
			bool again = o->kind == O_LIST || !(p->tables[t].seen & UINT64_C(1) << (o - p->tables[t].opts));

			if (again)
				offer(to, arena_printf(p->arena, "--%s", opt_name(p->arena, o)), o->doc);
		}
}

static void offer_word(const struct cli *cli, struct ctx *ctx, struct parser *p, struct answer *to)
{
	const struct cmd *c = p->path[p->depth - 1];

	for (const struct cmd *const *s = c->sub; s && *s; s++)
		if (!cmd_hidden(*s))
			offer(to, (*s)->name, (*s)->brief);
	if (c->sub == NULL && p->operand && p->operand->name)
		offer_forms(cli, ctx, to, p->operand->name);
}

/* The operands of `help` are commands. */
static bool is_help(const struct parser *p)
{
	return p->depth == 2 && strcmp(p->path[1]->name, "help") == 0;
}

void cli_complete(const struct cli *cli, struct ctx *ctx, size_t n, char **words, struct buf *out)
{
	char *last = n ? words[n - 1] : arena_strdup(ctx->arena, "");
	struct answer to = { out, "", last };
	struct opt_table *table;
	const struct opt *o;
	struct parser p;

	parser_init(&p, ctx->arena, cli->root);
	for (size_t i = 0; i + 1 < n; i++) {
		struct err ignored = { 0 };

		if (is_help(&p))
			parser_init(&p, ctx->arena, cli->root);
		if (parser_word(&p, words[i], &ignored) != 0)
			continue;
	}
	if (is_help(&p))
		parser_init(&p, ctx->arena, cli->root);
	ctx->out->cmd = p.path[p.depth - 1];
	ctx->out->globals = p.globals;
	ctx->no_input = true;
	ctx->now = tm_now();
	if (p.pending) {
		offer_values(cli, ctx, &to, p.pending);
	} else if (!p.only_operands && text_has_prefix(last, "--") && strchr(last, '=')) {
		size_t len = strcspn(last, "=");

		o = parser_opt(&p, last + 2, len - 2, &table);
		to.prefix = arena_strndup(ctx->arena, last, len + 1);
		to.typed = last + len + 1;
		if (o && o->kind != O_FLAG)
			offer_values(cli, ctx, &to, o);
	} else if (!p.only_operands && last[0] == '-') {
		offer_options(&p, &to);
	} else {
		offer_word(cli, ctx, &p, &to);
	}
}
