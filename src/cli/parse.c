/* Reads a command line word by word against the tree of commands: nouns and verbs first, then operands and options in
 * any order, global options anywhere. Option values land in the command's args struct by offset. Nothing is abbreviated
 * and nothing is guessed: what is unknown is an error that names the nearest known word. Prints nothing. */
#include "cli/internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "base/text.h"

enum { MAX_WORDS = 128 }; /* candidates for "did you mean" */

char *opt_name(struct arena *a, const struct opt *o)
{
	size_t n = strlen(o->name);
	char *s = arena_strndup(a, o->name, n > 1 && o->name[n - 1] == '_' ? n - 1 : n);

	for (char *p = s; *p; p++)
		if (*p == '_')
			*p = '-';
	return s;
}

char *metavar(struct arena *a, const char *name)
{
	char *s = arena_strdup(a, name);

	for (char *p = s; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	return s;
}

static bool opt_is(const struct opt *o, const char *typed, size_t n)
{
	size_t len = strlen(o->name);

	if (len > 1 && o->name[len - 1] == '_')
		len--;
	if (len != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (typed[i] != (o->name[i] == '_' ? '-' : o->name[i]))
			return false;
	return true;
}

static int unknown(struct err *e, const char *what, const char *got, const char *dashes, const char *near)
{
	if (near)
		return err_set(e, ERR_USAGE, "unknown %s \"%s%s\" (did you mean \"%s%s\"?)", what, dashes, got, dashes,
			       near);
	return err_set(e, ERR_USAGE, "unknown %s \"%s%s\"; see --help", what, dashes, got);
}

void parser_init(struct parser *p, struct arena *a, const struct cmd *root)
{
	*p = (struct parser){ .arena = a, .path = { root }, .depth = 1, .list = { .page_size = INT64_MIN } };
	globals_init(&p->globals);
	p->list.sort_mode = -1;
	p->tables[TABLE_GLOBAL] = (struct opt_table){ .opts = global_opts, .base = &p->globals };
}

static void enter(struct parser *p, const struct cmd *c)
{
	p->path[p->depth++] = c;
	if (c->sub)
		return;
	p->args = arena_alloc(p->arena, 1, c->argsize + 1);
	for (const struct opt *o = c->opts; o && o->name; o++)
		if (o->kind == O_ENUM)
			memcpy((char *)p->args + o->off, &(int){ -1 }, sizeof(int));
		else if (o->kind == O_INT)
			memcpy((char *)p->args + o->off, &o->dflt, sizeof(o->dflt));
	p->tables[TABLE_CMD] = (struct opt_table){ .opts = c->opts, .base = p->args };
	if (c->needs & NEED_LIST)
		p->tables[TABLE_LIST] = (struct opt_table){ .opts = list_opts, .base = &p->list };
	p->operand = c->operands;
}

static int descend(struct parser *p, const char *word, struct err *e)
{
	const char *names[MAX_WORDS + 1] = { NULL };
	size_t n = 0;

	for (const struct cmd *const *c = p->path[p->depth - 1]->sub; *c; c++) {
		if (strcmp((*c)->name, word) == 0 && p->depth < CLI_DEPTH) {
			enter(p, *c);
			return 0;
		}
		if (n < MAX_WORDS && !cmd_hidden(*c))
			names[n++] = (*c)->name;
	}
	return unknown(e, "command", word, "", text_nearest(word, names));
}

const struct opt *parser_opt(struct parser *p, const char *name, size_t n, struct opt_table **ret_table)
{
	for (size_t t = 0; t < TABLE_COUNT; t++)
		for (const struct opt *o = p->tables[t].opts; o && o->name; o++)
			if (opt_is(o, name, n)) {
				*ret_table = &p->tables[t];
				return o;
			}
	return NULL;
}

static const struct opt *find_letter(struct parser *p, char letter, struct opt_table **ret_table)
{
	for (size_t t = 0; t < TABLE_COUNT; t++)
		for (const struct opt *o = p->tables[t].opts; o && o->name; o++)
			if (o->letter == letter) {
				*ret_table = &p->tables[t];
				return o;
			}
	return NULL;
}

static int unknown_option(struct parser *p, const char *name, size_t len, struct err *e)
{
	const char *names[MAX_WORDS + 1] = { NULL };
	char *got = arena_strndup(p->arena, name, len);
	size_t n = 0;

	for (size_t t = 0; t < TABLE_COUNT; t++)
		for (const struct opt *o = p->tables[t].opts; o && o->name && n < MAX_WORDS; o++)
			names[n++] = opt_name(p->arena, o);
	return unknown(e, "option", got, "--", text_nearest(got, names));
}

static int store_enum(const struct opt *o, const char *name, const char *val, int *at, struct err *e)
{
	SCOPED_BUF list = buf_init(sizeof(e->msg));
	const char *near = text_nearest(val, o->names);

	for (int i = 0; o->names[i]; i++) {
		if (text_same_name(o->names[i], val)) {
			*at = i;
			return 0;
		}
		buf_printf(&list, "%s%s", i ? ", " : "", o->names[i]);
	}
	if (near)
		return err_set(e, ERR_USAGE, "--%s: unknown value \"%s\" (did you mean \"%s\"?)", name, val, near);
	return err_set(e, ERR_USAGE, "--%s: unknown value \"%s\", must be one of %s", name, val, buf_str(&list));
}

static int store_int(const char *name, const char *val, int64_t *at, struct err *e)
{
	char *end;

	errno = 0;
	*at = strtoll(val, &end, 10);
	if (errno || end == val || *end || isspace((unsigned char)*val))
		return err_set(e, ERR_USAGE, "--%s: \"%s\" is not a whole number", name, val);
	return 0;
}

static int store(struct parser *p, const struct opt *o, struct opt_table *t, char *val, struct err *e)
{
	uint64_t bit = UINT64_C(1) << (o - t->opts);
	const char *name = opt_name(p->arena, o);
	void *at = (char *)t->base + o->off;

	if (t->seen & bit && o->kind != O_FLAG && o->kind != O_LIST)
		return err_set(e, ERR_USAGE, "--%s is given twice", name);
	t->seen |= bit;
	switch (o->kind) {
	case O_FLAG:
		*(bool *)at = true;
		return 0;
	case O_STR:
		*(const char **)at = val;
		return 0;
	case O_INT:
		return store_int(name, val, at, e);
	case O_DUR:
		((struct dur *)at)->text = val;
		return dur_parse(val, &((struct dur *)at)->secs, e) == 0 ? 0 : err_ctx(e, "--%s", name);
	case O_LIST: {
		struct strv *l = at;

		l->v = arena_grow(p->arena, l->v, l->n, sizeof(*l->v));
		l->v[l->n++] = val;
		l->set = true;
		return 0;
	}
	case O_ENUM:
		return store_enum(o, name, val, at, e);
	}
	return 0;
}

static int long_option(struct parser *p, char *word, struct err *e)
{
	size_t n = strcspn(word, "=");
	struct opt_table *t;
	const struct opt *o = parser_opt(p, word, n, &t);

	if (o == NULL)
		return unknown_option(p, word, n, e);
	if (word[n] == '=' && o->kind == O_FLAG)
		return err_set(e, ERR_USAGE, "--%.*s takes no value", (int)n, word);
	if (word[n] == '=')
		return store(p, o, t, word + n + 1, e);
	if (o->kind == O_FLAG)
		return store(p, o, t, NULL, e);
	p->pending = o;
	p->pending_table = t;
	return 0;
}

static int letters(struct parser *p, char *word, struct err *e)
{
	for (; *word; word++) {
		struct opt_table *t;
		const struct opt *o = find_letter(p, *word, &t);

		if (o == NULL)
			return unknown(e, "option", arena_strndup(p->arena, word, 1), "-", NULL);
		if (o->kind != O_FLAG && word[1])
			return store(p, o, t, word + 1, e);
		if (o->kind != O_FLAG) {
			p->pending = o;
			p->pending_table = t;
		} else if (store(p, o, t, NULL, e) != 0) {
			return -1;
		}
	}
	return 0;
}

static int take_operand(struct parser *p, char *word, struct err *e)
{
	const struct operand *r = p->operand;

	if (r == NULL || r->name == NULL)
		return err_set(e, ERR_USAGE, "unexpected operand \"%s\"", word);
	if (r->flags & P_MANY) {
		struct strv *l = (void *)((char *)p->args + r->off);

		l->v = arena_grow(p->arena, l->v, l->n, sizeof(*l->v));
		l->v[l->n++] = word;
		l->set = true;
		return 0;
	}
	*(const char **)(void *)((char *)p->args + r->off) = word;
	p->operand++;
	return 0;
}

int parser_word(struct parser *p, char *word, struct err *e)
{
	if (p->pending) {
		const struct opt *o = p->pending;

		p->pending = NULL;
		return store(p, o, p->pending_table, word, e);
	}
	if (!p->only_operands && word[0] == '-' && word[1]) {
		if (word[1] != '-')
			return letters(p, word + 1, e);
		if (word[2])
			return long_option(p, word + 2, e);
		p->only_operands = true;
		return 0;
	}
	if (p->path[p->depth - 1]->sub)
		return descend(p, word, e);
	return take_operand(p, word, e);
}

static bool operand_missing(const struct parser *p)
{
	const struct operand *r = p->operand;

	if (r == NULL || r->name == NULL || r->flags & P_OPTIONAL)
		return false;
	return !(r->flags & P_MANY) || ((const struct strv *)(const void *)((const char *)p->args + r->off))->n == 0;
}

int parser_end(struct parser *p, struct err *e)
{
	const struct opt_table *t = &p->tables[TABLE_CMD];

	if (p->pending)
		return err_set(e, ERR_USAGE, "--%s needs a value", opt_name(p->arena, p->pending));
	if (p->globals.help || p->globals.version || p->path[p->depth - 1]->sub)
		return 0;
	if (operand_missing(p))
		return err_set(e, ERR_USAGE, "operand %s is missing; see --help", metavar(p->arena, p->operand->name));
	for (const struct opt *o = t->opts; o && o->name; o++)
		if (o->flags & O_REQ && !(t->seen & UINT64_C(1) << (o - t->opts)))
			return err_set(e, ERR_USAGE, "--%s is required", opt_name(p->arena, o));
	return 0;
}

int cli_find(const struct cli *cli, const struct strv *words, const struct cmd *path[CLI_DEPTH], size_t *ret_depth,
	     struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct parser p;

	parser_init(&p, a, cli->root);
	for (size_t i = 0; i < words->n; i++) {
		if (p.path[p.depth - 1]->sub == NULL)
			return err_set(e, ERR_USAGE, "\"%s\" has no commands of its own", p.path[p.depth - 1]->name);
		if (descend(&p, words->v[i], e) != 0)
			return -1;
	}
	memcpy(path, p.path, sizeof(p.path));
	*ret_depth = p.depth;
	return 0;
}
