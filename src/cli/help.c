/* Help at every level, written from the tree of commands. Wrapped to the terminal, or to 80 columns without one. */
#include "cli/internal.h"

#include <unistd.h>

#include "base/text.h"

enum { LEFT = 26, WIDEST = 100 };

struct page {
	struct arena *arena;
	struct buf *out;
	size_t width;
};

/* Words of `text` from column `at` on, later lines indented; blank lines separate paragraphs. */
static void wrap(struct page *p, const char *text, size_t at, size_t indent)
{
	bool fresh = true; /* nothing on this line yet */

	while (*text) {
		size_t blank = strspn(text, " \n"), n = strcspn(text + blank, " \n"), w;
		bool paragraph = false;

		for (size_t i = 0; i + 1 < blank; i++)
			paragraph |= text[i] == '\n' && text[i + 1] == '\n';
		text += blank;
		if (n == 0)
			break;
		w = utf8_width(arena_strndup(p->arena, text, n));
		if (paragraph || (!fresh && at + 1 + w > p->width)) {
			buf_printf(p->out, "%s%*s", paragraph ? "\n\n" : "\n", (int)indent, "");
			at = indent;
			fresh = true;
		}
		buf_printf(p->out, "%s%.*s", fresh ? "" : " ", (int)n, text);
		at += w + !fresh;
		fresh = false;
		text += n;
	}
	buf_putc(p->out, '\n');
}

static void row(struct page *p, const char *left, const char *doc)
{
	size_t n = utf8_width(left);

	buf_printf(p->out, "  %s", left);
	if (n + 3 > LEFT)
		buf_printf(p->out, "\n%*s", LEFT, "");
	else
		buf_printf(p->out, "%*s", (int)(LEFT - 2 - n), "");
	wrap(p, doc, LEFT, LEFT);
}

static void options(struct page *p, const char *title, const struct opt *opts)
{
	if (opts == NULL || opts->name == NULL)
		return;
	buf_printf(p->out, "\n%s:\n", title);
	for (const struct opt *o = opts; o->name; o++) {
		char letter[5] = "    ";
		SCOPED_BUF doc = buf_init(BUF_TEXT), values = buf_init(BUF_TEXT);
		const char *arg = o->arg ? metavar(p->arena, o->arg) : NULL;

		if (o->letter)
			memcpy(letter, (char[]){ '-', o->letter, ',', ' ' }, 4);
		for (size_t i = 0; o->kind == O_ENUM && o->names[i]; i++)
			buf_printf(&values, "%s%s", i ? "|" : "", o->names[i]);
		if (o->kind == O_ENUM)
			arg = values.n <= 30 ? buf_str(&values) : "VALUE";
		buf_puts(&doc, o->doc);
		if (o->kind == O_ENUM && values.n > 30)
			for (size_t i = 0; o->names[i]; i++)
				buf_printf(&doc, "%s%s", i ? ", " : " One of ", o->names[i]);
		if (o->flags & O_REQ)
			buf_puts(&doc, " (required)");
		if (o->kind == O_LIST)
			buf_puts(&doc, " (repeatable)");
		row(p,
		    arena_printf(p->arena, "%s--%s%s%s", letter, opt_name(p->arena, o), arg ? " " : "", arg ? arg : ""),
		    buf_str(&doc));
	}
}

static void usage(struct page *p, const struct cmd *const path[], size_t depth)
{
	const struct cmd *c = path[depth - 1];

	buf_puts(p->out, "usage:");
	for (size_t i = 0; i < depth; i++)
		buf_printf(p->out, " %s", path[i]->name);
	if (c->sub)
		buf_puts(p->out, depth == 1 ? " [GLOBAL OPTIONS] COMMAND …" : " COMMAND …");
	for (const struct operand *r = c->operands; r && r->name; r++)
		buf_printf(p->out, r->flags & P_OPTIONAL ? " [%s%s]" : " %s%s", metavar(p->arena, r->name),
			   r->flags & P_MANY ? "…" : "");
	for (const struct opt *o = c->opts; o && o->name; o++)
		if (o->flags & O_REQ)
			buf_printf(p->out, " --%s %s", opt_name(p->arena, o),
				   o->arg ? metavar(p->arena, o->arg) : "VALUE");
	if (c->sub == NULL)
		buf_puts(p->out, " [OPTIONS]");
	buf_putc(p->out, '\n');
}

static void children(struct page *p, const struct cmd *c)
{
	if (c->sub)
		buf_puts(p->out, "\nCommands:\n");
	for (const struct cmd *const *s = c->sub; s && *s; s++)
		if (!cmd_hidden(*s))
			row(p, (*s)->name, (*s)->brief);
}

static void operands(struct page *p, const struct cmd *c)
{
	if (c->operands && c->operands->name)
		buf_puts(p->out, "\nOperands:\n");
	for (const struct operand *r = c->operands; r && r->name; r++)
		row(p, metavar(p->arena, r->name), r->doc);
}

static void examples(struct page *p, const char *text)
{
	if (text)
		buf_puts(p->out, "\nExamples:\n");
	while (text && *text) {
		size_t n = strcspn(text, "\n");

		buf_printf(p->out, "  %.*s\n", (int)n, text);
		text += n + (text[n] != '\0');
	}
}

void cli_help(const struct cli *cli, const struct cmd *const path[], size_t depth, struct buf *out)
{
	SCOPED_ARENA *a = arena_new();
	size_t term = term_width(STDOUT_FILENO);
	struct page p = { a, out, term == 0 ? CLI_WIDTH : term > WIDEST ? WIDEST : term };
	const struct cmd *c = path[depth - 1];

	usage(&p, path, depth);
	buf_putc(out, '\n');
	wrap(&p, c->brief, 0, 0);
	if (c->doc) {
		buf_putc(out, '\n');
		wrap(&p, c->doc, 0, 0);
	}
	if (c->needs & NEED_CONFIRM)
		buf_puts(out, "\nAsks before it acts; --yes answers.\n");
	children(&p, c);
	operands(&p, c);
	options(&p, "Options", c->opts);
	if (c->needs & NEED_LIST)
		options(&p, "List options", list_opts);
	if (depth == 1)
		options(&p, "Global options", global_opts);
	examples(&p, c->example);
	if (depth > 1)
		buf_printf(out, "\nGlobal options: see %s --help.\n", cli->root->name);
	for (size_t i = 0; c->sub && i < depth; i++)
		buf_printf(out, "%s%s ", i == 0 ? "\n" : "", path[i]->name);
	buf_puts(out, c->sub ? "COMMAND --help says more about a command.\n" : "");
}
