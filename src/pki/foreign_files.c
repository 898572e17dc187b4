/* Finding what `openssl ca`, easy-rsa and cfssl keep: by openssl.cnf where there is one, else by the usual names. The
 * folder may have been moved since: what the file says of `dir` is not believed. Reads only. */
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "pki/foreign.h"

enum { EXPAND_DEPTH = 8, CONF_MAX = 1 << 20 };

char *foreign_find(struct arena *a, const char *dir, const char *const *names)
{
	for (; *names; names++) {
		char *path = fs_join(a, dir, *names);

		if (fs_exists(path))
			return path;
	}
	return NULL;
}

int foreign_read_ca(struct ctx *ctx, const char *cert, const char *key, struct foreign *f, struct err *e)
{
	struct err why = { 0 };

	if (fs_read_found(ctx->arena, cert, FS_LIMIT_CERT, &f->ca, e) != 0)
		return -1;
	f->key_file = key;
	if (key == NULL) {
		ctx_warn(ctx, "no private key was found: the authority comes without, and cannot sign here");
	} else if (fs_read_found(ctx->arena, key, FS_LIMIT_CERT, &f->key, &why) != 0) {
		ctx_warn(ctx, "the authority comes without its key, and cannot sign here: %s", why.msg);
		f->key = (struct bytes){ 0 };
	}
	return 0;
}

/* --- openssl.cnf --- */

struct setting {
	char *section, *key, *value;
};
struct settings {
	struct arena *a;
	struct setting *v;
	size_t n;
};

static char *trim(struct arena *a, const char *p, const char *end)
{
	while (p < end && strchr(" \t\r", *p))
		p++;
	while (end > p && strchr(" \t\r", end[-1]))
		end--;
	if (end - p >= 2 && (*p == '"' || *p == '\'') && end[-1] == *p) {
		p++;
		end--;
	}
	return arena_strndup(a, p, (size_t)(end - p));
}

static void parse(struct settings *s, const char *text)
{
	char *section = arena_strdup(s->a, "");

	for (const char *line = text; *line;) {
		const char *nl = line + strcspn(line, "\n"), *end = line + strcspn(line, "#\n"), *eq;

		while (line < end && strchr(" \t", *line))
			line++;
		eq = memchr(line, '=', (size_t)(end - line));
		if (*line == '[' && memchr(line, ']', (size_t)(end - line))) {
			section = trim(s->a, line + 1, (const char *)memchr(line, ']', (size_t)(end - line)));
		} else if (eq) {
			s->v = arena_grow(s->a, s->v, s->n, sizeof(*s->v));
			s->v[s->n++] = (struct setting){ section, trim(s->a, line, eq), trim(s->a, eq + 1, end) };
		}
		line = nl + (*nl == '\n');
	}
}

static const char *setting(const struct settings *s, const char *section, const char *key)
{
	const char *found = NULL;

	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i].section, section) == 0 && strcmp(s->v[i].key, key) == 0)
			found = s->v[i].value;
	return found;
}

/* "$dir/x", "${dir}/x" and "$(dir)/x"; `dir` is ours. What is unknown becomes nothing, and the path is not found. */
static char *expand(const struct settings *s, const char *section, const char *value, const char *dir, int depth)
{
	SCOPED_BUF out = buf_init(BUF_TEXT);

	for (const char *p = value; *p;) {
		const char *end, *v;
		char *name;
		bool wrapped;

		if (*p != '$') {
			buf_putc(&out, *p++);
			continue;
		}
		wrapped = p[1] == '{' || p[1] == '(';
		p += 1 + wrapped;
		end = p + strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:.");
		name = arena_strndup(s->a, p, (size_t)(end - p));
		p = end + (wrapped && *end != '\0');
		v = setting(s, section, name);
		v = v ? v : setting(s, "", name);
		if (strcmp(name, "dir") == 0)
			buf_puts(&out, dir);
		else if (v && depth < EXPAND_DEPTH)
			buf_puts(&out, expand(s, section, v, dir, depth + 1));
	}
	return arena_strdup(s->a, buf_str(&out));
}

static void add(struct arena *a, struct strv *v, char *text)
{
	v->v = arena_grow(a, v->v, v->n, sizeof(*v->v));
	v->v[v->n++] = text;
}

static const char *const conf_keys[] = { "certificate", "private_key", "database", "new_certs_dir", "crlnumber", "crl",
	NULL };

/* Each value twice: with `dir` as the file has it, below our folder, and with our folder for `dir`. */
static bool take_conf(struct arena *a, const char *text, struct conf *ret)
{
	struct settings s = { .a = a };
	const char *section, *own;

	parse(&s, text);
	section = setting(&s, "ca", "default_ca");
	if (section == NULL || setting(&s, section, "database") == NULL)
		return false;
	own = setting(&s, section, "dir");
	own = own ? own : setting(&s, "", "dir");
	for (size_t i = 0; conf_keys[i]; i++) {
		const char *v = setting(&s, section, conf_keys[i]);
		const char *const dirs[] = { own ? expand(&s, section, own, ".", EXPAND_DEPTH) : ".", ret->dir };

		for (size_t k = 0; v && k < COUNT(dirs); k++) {
			char *path = expand(&s, section, v, dirs[k], 0);

			add(a, &ret->keys, arena_strdup(a, conf_keys[i]));
			add(a, &ret->values, k == 0 && *path != '/' ? fs_join(a, ret->dir, path) : path);
		}
	}
	return true;
}

static bool is_conf(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && (strcmp(dot, ".cnf") == 0 || strcmp(dot, ".conf") == 0 || strcmp(dot, ".config") == 0);
}

void conf_load(struct arena *a, const char *dir, struct conf *ret)
{
	struct err ignored = { 0 };
	struct strv names;
	struct bytes text;

	*ret = (struct conf){ .arena = a, .dir = dir };
	if (fs_list(a, dir, 100000, &names, &ignored) != 0)
		return;
	for (size_t i = 0; i < names.n; i++)
		if (is_conf(names.v[i]) && fs_read_found(a, fs_join(a, dir, names.v[i]), CONF_MAX, &text,
							 &ignored) == 0 &&
		    take_conf(a, (const char *)text.p, ret))
			return;
}

char *conf_path(const struct conf *c, const char *key)
{
	for (size_t i = 0; i < c->keys.n; i++)
		if (strcmp(c->keys.v[i], key) == 0 && fs_exists(c->values.v[i]))
			return c->values.v[i];
	return NULL;
}
