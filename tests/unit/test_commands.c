/* The program's own tree of commands keeps the rules that parser, help, manual and completion rely on. */
#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/internal.h"
#include "cmd/root.h"
#include "tap.h"

static size_t kind_size(enum opt_kind k)
{
	static const size_t sizes[] = { [O_FLAG] = sizeof(bool), [O_STR] = sizeof(char *), [O_INT] = sizeof(int64_t),
					[O_DUR] = sizeof(struct dur), [O_LIST] = sizeof(struct strv),
						  [O_ENUM] = sizeof(int) };

	return sizes[k];
}

static bool ends_with_stop(const char *s)
{
	size_t n = s ? strlen(s) : 0;

	return n > 0 && strchr(".?!", s[n - 1]);
}

static bool clashes(const struct opt *o, const struct opt *others)
{
	for (; others && others->name; others++)
		if (others != o && o->letter && others->letter == o->letter)
			return true;
	return false;
}

static bool twice(const struct opt *o, const struct opt *opts)
{
	for (; opts && opts->name; opts++)
		if (opts != o && strcmp(opts->name, o->name) == 0)
			return true;
	return false;
}

static void check_options(const char *words, const struct cmd *c)
{
	size_t n = 0;

	for (const struct opt *o = c->opts; o && o->name; o++, n++) {
		bool list = c->needs & NEED_LIST;

		ok(!clashes(o, c->opts) && !clashes(o, global_opts), "%s --%s: its letter is its own", words, o->name);
		ok(!twice(o, c->opts) && !(list && twice(o, list_opts)), "%s --%s: once", words, o->name);
		ok(o->off + kind_size(o->kind) <= c->argsize, "%s --%s: inside the arguments", words, o->name);
		ok(ends_with_stop(o->doc), "%s --%s: documented by sentences", words, o->name);
		ok((o->kind == O_ENUM) == (o->names != NULL), "%s --%s: values only for an enum", words, o->name);
		ok(o->kind == O_FLAG || o->kind == O_ENUM || o->arg, "%s --%s: its value has a name", words, o->name);
	}
	ok(n <= 64, "%s: at most 64 options", words);
}

static void check_operands(const char *words, const struct cmd *c)
{
	bool optional = false, many = false;

	for (const struct operand *r = c->operands; r && r->name; r++) {
		size_t size = r->flags & P_MANY ? sizeof(struct strv) : sizeof(char *);

		ok(!many && (!optional || r->flags & P_OPTIONAL), "%s %s: in order", words, r->name);
		ok(r->off + size <= c->argsize, "%s %s: inside the arguments", words, r->name);
		ok(ends_with_stop(r->doc), "%s %s: documented by sentences", words, r->name);
		optional |= r->flags & P_OPTIONAL;
		many |= r->flags & P_MANY;
	}
}

static void check(const char *parent, const struct cmd *c, size_t depth)
{
	char words[128];

	snprintf(words, sizeof(words), "%s %s", parent, c->name);
	ok(depth <= CLI_DEPTH, "%s: not too deep", words);
	ok((c->run == NULL) == (c->sub != NULL), "%s: a group or a command", words);
	ok(c->brief && isupper((unsigned char)*c->brief) && !ends_with_stop(c->brief), "%s: one line says what it does",
	   words);
	ok(!c->doc || ends_with_stop(c->doc), "%s: documented by sentences", words);
	ok(!(c->needs & NEED_WRITE) || c->needs & NEED_STATE, "%s: who writes also reads", words);
	check_options(words, c);
	check_operands(words, c);
	for (const struct cmd *const *s = c->sub; s && *s; s++)
		check(words, *s, depth + 1);
}

static void check_manual(const char *page)
{
	SCOPED_BUF text = buf_init(BUF_TEXT);
	char noise[4096] = "", path[] = "/tmp/test_commands_XXXXXX", command[128];
	struct err e = { 0 };
	FILE *f = fdopen(mkstemp(path), "w");

	ok(cli_man(&lamassu_cli, page, &text, &e) == 0, "manual of %s", page);
	if (!f || fputs(buf_str(&text), f) < 0 || fclose(f) != 0)
		return;
	snprintf(command, sizeof(command), "mandoc -Tlint %s 2>&1 | grep -v 'referenced manual not found'", path);
	f = popen(command, "r");
	ok(f && fread(noise, 1, sizeof(noise) - 1, f) == 0, "lint of the manual of %s", page);
	if (*noise)
		printf("# %s", noise);
	if (f)
		pclose(f);
	unlink(path);
}

int main(void)
{
	SCOPED_BUF pages = buf_init(BUF_TEXT);

	check("", lamassu_cli.root, 1);
	if (system("command -v mandoc >/dev/null 2>&1") != 0) {
		ok(true, "manual pages # SKIP no mandoc here");
		return done();
	}
	cli_man_list(&lamassu_cli, &pages);
	for (char *save = NULL, *page = strtok_r(pages.p, "\n", &save); page; page = strtok_r(NULL, "\n", &save))
		check_manual(page);
	return done();
}
