/* Reading of AWS's shared files. Guarantees: any bytes are read in linear time; no value is ever in a message, since it
 * may be a secret. */
#include "engine/aws_ini.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"

struct cursor {
	struct arena *arena;
	struct aws_ini *ini;
	const char *file, *section;
	const char *outer; /* the last setting that had no value: what is indented belongs to it */
	size_t line;
};

static struct bytes trim(struct bytes b)
{
	while (b.n && isspace(b.p[0]))
		b = (struct bytes){ b.p + 1, b.n - 1 };
	while (b.n && isspace(b.p[b.n - 1]))
		b.n--;
	return b;
}

static char *text_of(struct arena *a, struct bytes b)
{
	return arena_strndup(a, (const char *)b.p, b.n);
}

/* A comment may follow a value after white space. */
static struct bytes without_comment(struct bytes b)
{
	for (size_t i = 1; i < b.n; i++)
		if ((b.p[i] == '#' || b.p[i] == ';') && isspace(b.p[i - 1]))
			return (struct bytes){ b.p, i };
	return b;
}

/* [profile "name"], with white space anywhere: "profile name". */
static int section(struct cursor *c, struct bytes line, struct err *e)
{
	const unsigned char *end = memchr(line.p, ']', line.n);
	struct bytes name;
	char *text, *out;

	if (!end)
		return err_set(e, ERR_INVALID, "%s:%zu: the section's name is not closed", c->file, c->line);
	name = trim((struct bytes){ line.p + 1, (size_t)(end - line.p) - 1 });
	text = out = text_of(c->arena, name);
	for (const char *p = text; *p; p++) {
		if (*p == '"' || *p == '\'')
			continue;
		if (isspace((unsigned char)*p) && out > text && out[-1] == ' ')
			continue;
		*out++ = isspace((unsigned char)*p) ? ' ' : *p;
	}
	*out = '\0';
	c->section = text;
	c->outer = NULL;
	return 0;
}

static int setting(struct cursor *c, struct bytes line, bool indented, struct err *e)
{
	const unsigned char *equals = memchr(line.p, '=', line.n);
	struct bytes key, value;
	char *name;

	if (indented && !c->outer)
		return 0; /* goes on with a value that nobody here reads */
	if (!equals || equals == line.p || !c->section)
		return err_set(e, ERR_INVALID, "%s:%zu: neither a section nor a setting", c->file, c->line);
	key = trim((struct bytes){ line.p, (size_t)(equals - line.p) });
	value = trim(without_comment((struct bytes){ equals + 1, line.n - (size_t)(equals - line.p) - 1 }));
	name = text_of(c->arena, key);
	for (char *p = name; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (!indented)
		c->outer = value.n ? NULL : name;
	else
		name = arena_printf(c->arena, "%s.%s", c->outer, name);
	c->ini->v = arena_grow(c->arena, c->ini->v, c->ini->n, sizeof(*c->ini->v));
	c->ini->v[c->ini->n++] = (struct aws_setting){ c->section, name, text_of(c->arena, value) };
	return 0;
}

int aws_ini_parse(struct arena *a, const char *file, struct bytes text, struct aws_ini *ret, struct err *e)
{
	struct aws_ini ini = { 0 };
	struct cursor c = { .arena = a, .ini = &ini, .file = file };

	if (text.n && memchr(text.p, 0, text.n))
		return err_set(e, ERR_INVALID, "%s: holds a NUL byte", file);
	while (text.n) {
		const unsigned char *end = memchr(text.p, '\n', text.n);
		size_t n = end ? (size_t)(end - text.p) : text.n;
		struct bytes line = trim((struct bytes){ text.p, n });
		bool indented = n && isspace(text.p[0]);

		c.line++;
		text = (struct bytes){ text.p + n + (end != NULL), text.n - n - (end != NULL) };
		if (line.n == 0 || line.p[0] == '#' || line.p[0] == ';')
			continue;
		if ((line.p[0] == '[' && !indented ? section(&c, line, e) : setting(&c, line, indented, e)) != 0)
			return -1;
	}
	*ret = ini;
	return 0;
}

const char *aws_ini_get(const struct aws_ini *ini, const char *name, const char *key)
{
	for (size_t i = ini->n; i-- > 0;)
		if (strcmp(ini->v[i].section, name) == 0 && strcmp(ini->v[i].key, key) == 0)
			return ini->v[i].value;
	return NULL;
}

bool aws_ini_has(const struct aws_ini *ini, const char *name)
{
	for (size_t i = 0; i < ini->n; i++)
		if (strcmp(ini->v[i].section, name) == 0)
			return true;
	return false;
}
