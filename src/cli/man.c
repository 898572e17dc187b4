/* Manual pages in mdoc(7), written from the tree of commands: lamassu(1) and one page per noun; and from the tables of
 * fields, in section 5. Every text may hold any character; what roff would read as markup is escaped here. */
#include "cli/internal.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/text.h"

enum { LINE = 72 };

static const struct {
	const char *status, *doc;
} statuses[] = {
	{ "0", "Done." },
	{ "1", "Failed: input and output, cryptography, or some items of a batch." },
	{ "2", "The command line or a document is not valid." },
	{ "3", "Something that was named does not exist." },
	{ "4", "It exists already, is in use, or something is in the way." },
	{ "5", "Refused by policy or authentication, or what was to be verified is wrong." },
	{ "6", "A remote engine, hook or server failed." },
	{ "130", "Interrupted, or the answer to a question was no." },
};

struct man {
	struct arena *arena;
	struct buf *out;
	const struct cli *cli;
};

/* One character, escaped for roff; returns how many bytes it was. */
static size_t put_char(struct buf *out, const char *p)
{
	unsigned char c = (unsigned char)*p;
	unsigned code = c & (c >= 0xf0 ? 0x07u : c >= 0xe0 ? 0x0fu : 0x1fu);
	size_t n = 1;

	if (c == '\\') {
		buf_puts(out, "\\e");
	} else if (c < 0x80) {
		buf_putc(out, (char)c);
	} else { /* not every man(1) reads UTF-8 */
		for (; ((unsigned char)p[n] & 0xc0) == 0x80; n++)
			code = code << 6 | ((unsigned char)p[n] & 0x3fu);
		buf_printf(out, "\\[u%04X]", code);
	}
	return n;
}

static void put_word(struct buf *out, const char *p, size_t n)
{
	for (size_t i = 0; i < n;)
		i += put_char(out, p + i);
}

/* Filled text; a sentence ends its line, as mdoc wants it. */
static void text(struct man *m, const char *p)
{
	size_t at = 0;

	while (*p) {
		size_t blank = strspn(p, " \n"), n = strcspn(p + blank, " \n");
		bool paragraph = false;

		for (size_t i = 0; i + 1 < blank; i++)
			paragraph |= p[i] == '\n' && p[i + 1] == '\n';
		p += blank;
		if (n == 0)
			break;
		if (paragraph)
			buf_printf(m->out, "%s.Pp\n", at ? "\n" : "");
		else if (at && at + 1 + n > LINE)
			buf_putc(m->out, '\n');
		if (paragraph || at + 1 + n > LINE)
			at = 0;
		buf_puts(m->out, at ? " " : *p == '.' || *p == '\'' ? "\\&" : "");
		put_word(m->out, p, n);
		at += n + 1;
		p += n;
		if (strchr(".?!", p[-1])) {
			buf_putc(m->out, '\n');
			at = 0;
		}
	}
	if (at)
		buf_putc(m->out, '\n');
}

/* An argument of a macro: quoted, so that no word of ours is taken for a macro's name. */
static void arg(struct man *m, const char *p)
{
	buf_puts(m->out, " \"");
	for (size_t i = 0; p[i];) {
		if (p[i] == '"') {
			buf_puts(m->out, "\\(dq");
			i++;
		} else {
			i += put_char(m->out, p + i);
		}
	}
	buf_putc(m->out, '"');
}

static void macro(struct man *m, const char *name, const char *p)
{
	buf_printf(m->out, ".%s", name);
	arg(m, p);
	buf_putc(m->out, '\n');
}

/* Text that may lack its full stop. */
static void sentence(struct man *m, const char *p)
{
	size_t n = strlen(p);

	text(m, arena_printf(m->arena, "%s%s", p, n && strchr(".?!", p[n - 1]) ? "" : "."));
}

static void brief(struct man *m, const char *p)
{
	sentence(m, arena_printf(m->arena, "%c%s", toupper((unsigned char)*p), p + 1));
}

static void option(struct man *m, const struct opt *o)
{
	buf_puts(m->out, ".It");
	if (o->letter)
		buf_printf(m->out, " Fl %c ,", o->letter);
	buf_printf(m->out, " Fl -%s", opt_name(m->arena, o));
	if (o->kind == O_ENUM) {
		buf_puts(m->out, " Ar");
		arg(m, "value");
	} else if (o->arg) {
		buf_puts(m->out, " Ar");
		arg(m, o->arg);
	}
	buf_putc(m->out, '\n');
	sentence(m, o->doc);
	if (o->kind == O_ENUM) {
		SCOPED_BUF list = buf_init(BUF_TEXT);

		for (size_t i = 0; o->names[i]; i++)
			buf_printf(&list, "%s%s", i ? ", " : "One of ", o->names[i]);
		sentence(m, buf_str(&list));
	}
	if (o->kind == O_LIST)
		text(m, "May be repeated.");
	if (o->flags & O_REQ)
		text(m, "Required.");
}

static void options(struct man *m, const struct cmd *c, const struct opt *opts)
{
	bool any = (opts && opts->name) || (c && c->operands && c->operands->name);

	if (any)
		buf_puts(m->out, ".Bl -tag -width Ds\n");
	for (const struct operand *r = c ? c->operands : NULL; r && r->name; r++) {
		buf_puts(m->out, ".It Ar");
		arg(m, r->name);
		buf_putc(m->out, '\n');
		sentence(m, r->doc);
	}
	for (const struct opt *o = opts; o && o->name; o++)
		option(m, o);
	if (any)
		buf_puts(m->out, ".El\n");
}

/* Calls `each` for every command below c that runs, with the words that lead to it. */
static void walk(struct man *m, const struct cmd *c, const char *words,
		 void (*each)(struct man *, const struct cmd *, const char *))
{
	if (c->sub == NULL)
		each(m, c, words);
	for (const struct cmd *const *s = c->sub; s && *s; s++)
		if (!cmd_hidden(*s))
			walk(m, *s, arena_printf(m->arena, "%s %s", words, (*s)->name), each);
}

static void synopsis(struct man *m, const struct cmd *c, const char *words)
{
	macro(m, "Nm", m->cli->root->name);
	macro(m, "Cm", words);
	for (const struct operand *r = c->operands; r && r->name; r++) {
		buf_puts(m->out, r->flags & P_OPTIONAL ? ".Op Ar" : ".Ar");
		arg(m, r->name);
		buf_puts(m->out, r->flags & P_MANY ? " ...\n" : "\n");
	}
	for (const struct opt *o = c->opts; o && o->name; o++)
		if (o->flags & O_REQ) {
			buf_printf(m->out, ".Fl -%s Ar", opt_name(m->arena, o));
			arg(m, o->arg ? o->arg : "value");
			buf_putc(m->out, '\n');
		}
	buf_puts(m->out, ".Op Ar options\n");
}

static void details(struct man *m, const struct cmd *c, const char *words)
{
	if (strchr(words, ' ')) /* a noun that is its own verb needs no heading */
		macro(m, "Ss", words);
	brief(m, c->brief);
	if (c->doc) {
		buf_puts(m->out, ".Pp\n");
		text(m, c->doc);
	}
	if (c->needs & NEED_CONFIRM)
		text(m, "\n\nIt asks before it acts; --yes answers.");
	if (c->needs & NEED_LIST)
		text(m, arena_printf(m->arena, "\n\nTakes the list options of %s(1).", m->cli->root->name));
	options(m, c, c->opts);
}

static void example(struct man *m, const char *p)
{
	if (p == NULL)
		return;
	buf_puts(m->out, ".Bd -literal\n");
	while (*p) {
		size_t n = strcspn(p, "\n");

		buf_puts(m->out, *p == '.' || *p == '\'' ? "\\&" : "");
		put_word(m->out, p, n);
		buf_putc(m->out, '\n');
		p += n + (p[n] != '\0');
	}
	buf_puts(m->out, ".Ed\n");
}

static void example_of(struct man *m, const struct cmd *c, const char *words)
{
	if (c->example == NULL)
		return;
	if (strchr(words, ' '))
		brief(m, c->brief);
	example(m, c->example);
}

static void head(struct man *m, const char *name, int section, const char *what)
{
	buf_printf(m->out, ".Dd %s\n.Dt %s %d\n.Os\n.Sh NAME\n.Nm %s\n.Nd %s\n", m->cli->date, metavar(m->arena, name),
		   section, name, what);
	if (section == 1)
		buf_puts(m->out, ".Sh SYNOPSIS\n");
}

static void exit_status(struct man *m)
{
	buf_puts(m->out, ".Sh EXIT STATUS\n.Bl -tag -width Ds\n");
	for (size_t i = 0; i < COUNT(statuses); i++)
		buf_printf(m->out, ".It %s\n%s\n", statuses[i].status, statuses[i].doc);
	buf_puts(m->out, ".El\n");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The name of a page of records: one that looks like a file's is the file's. */
static char *record_name(struct arena *a, const struct cli *cli, const struct record_page *r)
{
	return strchr(r->name, '.') ? arena_strdup(a, r->name) : arena_printf(a, "%s-%s", cli->root->name, r->name);
}

/* References in the order of sections and names, as mandoc(1) wants it. */
static void see_also(struct man *m)
{
	const char *names[128];
	size_t n = 0, nouns;

	for (const struct cmd *const *c = m->cli->root->sub; *c && n < COUNT(names) / 2; c++)
		if (!cmd_hidden(*c))
			names[n++] = arena_printf(m->arena, "%s-%s", m->cli->root->name, (*c)->name);
	nouns = n;
	for (const struct record_page *r = m->cli->records; r && r->name && n < COUNT(names); r++)
		names[n++] = record_name(m->arena, m->cli, r);
	qsort(names, nouns, sizeof(*names), by_name);
	qsort(names + nouns, n - nouns, sizeof(*names), by_name);
	buf_puts(m->out, ".Sh SEE ALSO\n");
	for (size_t i = 0; i < n; i++)
		buf_printf(m->out, ".Xr %s %d%s\n", names[i], i < nouns ? 1 : 5, i + 1 < n ? " ," : "");
}

static void program_page(struct man *m)
{
	const struct cmd *root = m->cli->root;

	head(m, root->name, 1, root->brief);
	macro(m, "Nm", root->name);
	buf_puts(m->out, ".Op Ar global options\n.Ar noun\n.Op Ar verb\n.Op Ar operands\n.Op Ar options\n");
	buf_puts(m->out, ".Sh DESCRIPTION\n");
	text(m, root->doc ? root->doc : root->brief);
	buf_puts(m->out, ".Ss Commands\n.Bl -tag -width Ds\n");
	for (const struct cmd *const *c = root->sub; *c; c++)
		if (!cmd_hidden(*c)) {
			macro(m, "It Cm", (*c)->name);
			brief(m, (*c)->brief);
		}
	buf_puts(m->out, ".El\n.Ss Global options\nThey may stand anywhere on the command line.\n");
	options(m, NULL, global_opts);
	buf_puts(m->out, ".Ss List options\nEvery command that lists takes them.\n");
	options(m, NULL, list_opts);
	if (m->cli->env)
		buf_puts(m->out, ".Sh ENVIRONMENT\n.Bl -tag -width Ds\n");
	for (const struct env_doc *v = m->cli->env; v && v->name; v++) {
		macro(m, "It Ev", v->name);
		sentence(m, v->doc);
	}
	if (m->cli->env)
		buf_puts(m->out, ".El\n");
	exit_status(m);
	if (root->example) {
		buf_puts(m->out, ".Sh EXAMPLES\n");
		example(m, root->example);
	}
	see_also(m);
}

static bool has_example(const struct cmd *c)
{
	if (c->example)
		return true;
	for (const struct cmd *const *s = c->sub; s && *s; s++)
		if (has_example(*s))
			return true;
	return false;
}

static void noun_page(struct man *m, const struct cmd *c)
{
	const char *root = m->cli->root->name;

	head(m, arena_printf(m->arena, "%s-%s", root, c->name), 1, c->brief);
	walk(m, c, c->name, synopsis);
	buf_puts(m->out, ".Sh DESCRIPTION\n");
	if (c->sub && c->doc)
		text(m, c->doc);
	else if (c->sub)
		brief(m, c->brief);
	walk(m, c, c->name, details);
	buf_puts(m->out, ".Ss Global options\n");
	text(m, arena_printf(m->arena, "The global options of %s(1) are accepted too.", root));
	buf_printf(m->out, ".Sh EXIT STATUS\nThe same as of\n.Xr %s 1 .\n", root);
	if (has_example(c))
		buf_puts(m->out, ".Sh EXAMPLES\n");
	if (c->sub && c->example)
		example(m, c->example);
	walk(m, c, c->name, example_of);
	buf_printf(m->out, ".Sh SEE ALSO\n.Xr %s 1", root);
	for (const struct record_page *r = m->cli->records; r && r->name; r++)
		if (strcmp(r->name, c->name) == 0)
			buf_printf(m->out, " ,\n.Xr %s-%s 5", root, r->name);
	buf_putc(m->out, '\n');
}

static void fields(struct man *m, const struct schema *s)
{
	size_t n = strlen(s->doc);

	macro(m, "Ss", arena_strndup(m->arena, s->doc, n && s->doc[n - 1] == '.' ? n - 1 : n));
	schema_mdoc(s, m->out);
}

static void record_page(struct man *m, const struct record_page *r)
{
	const char *root = m->cli->root->name;

	head(m, record_name(m->arena, m->cli, r), 5, r->brief);
	buf_puts(m->out, ".Sh DESCRIPTION\n");
	text(m, r->doc);
	for (const struct schema *const *s = r->types; *s; s++)
		fields(m, *s);
	for (size_t i = 0; r->more && r->more(i); i++)
		fields(m, r->more(i));
	if (r->example)
		buf_puts(m->out, ".Sh EXAMPLES\n");
	example(m, r->example);
	buf_printf(m->out, ".Sh SEE ALSO\n.Xr %s 1\n", root);
}

static const struct record_page *find_record(struct arena *a, const struct cli *cli, const char *page)
{
	for (const struct record_page *r = cli->records; r && r->name; r++)
		if (strcmp(page, arena_printf(a, "%s.5", record_name(a, cli, r))) == 0)
			return r;
	return NULL;
}

int cli_man(const struct cli *cli, const char *page, struct buf *out, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct man m = { a, out, cli };
	const struct record_page *record = find_record(a, cli, page ? page : "");
	const struct cmd *path[CLI_DEPTH];
	size_t depth, n = strlen(cli->root->name), len = page ? strlen(page) : 0;
	char *word;

	if (record) {
		record_page(&m, record);
		return 0;
	}
	if (len > 2 && strcmp(page + len - 2, ".1") == 0)
		page = arena_strndup(a, page, len - 2);
	if (page == NULL || strcmp(page, cli->root->name) == 0) {
		program_page(&m);
		return 0;
	}
	word = arena_strdup(a, strncmp(page, cli->root->name, n) == 0 && page[n] == '-' ? page + n + 1 : page);
	if (cli_find(cli, &(struct strv){ &word, 1, true }, path, &depth, e) != 0)
		return -1;
	noun_page(&m, path[1]);
	return 0;
}

void cli_man_list(const struct cli *cli, struct buf *out)
{
	SCOPED_ARENA *a = arena_new();

	buf_printf(out, "%s.1\n", cli->root->name);
	for (const struct cmd *const *c = cli->root->sub; *c; c++)
		if (!cmd_hidden(*c))
			buf_printf(out, "%s-%s.1\n", cli->root->name, (*c)->name);
	for (const struct record_page *r = cli->records; r && r->name; r++)
		buf_printf(out, "%s.5\n", record_name(a, cli, r));
}
