/* Reads the shape in which most records are stored, lines of "key: value" in ASCII, several times faster than a whole
 * YAML parser: a ledger has millions of them. Takes only what libyaml would read as the very same tree, places
 * included, and leaves all else, right or wrong, to yaml_parse. */
#include "rec/node.h"

enum { MAX_LINES = 256 };
#define ALNUM "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

struct line {
	struct arena *a;
	const char *s; /* the whole line, ends with '\n' */
	size_t number, at; /* of its first character */
};

static struct node scalar(const struct line *l, size_t from, size_t to, bool plain)
{
	return (struct node){
		.kind = NODE_SCALAR,
		.plain = plain,
		.text = plain ? arena_strndup(l->a, l->s + from, to - from)
			      : arena_strndup(l->a, l->s + from + 1, to - from - 2),
		.line = l->number,
		.column = from + 1,
		.at = l->at + from,
		.end = l->at + to,
	};
}

static bool is_in(char c, const char *set)
{
	return c && strchr(set, c);
}

/* Where a plain scalar that starts at `from` ends; 0 if anything about it is unusual. */
static size_t plain_end(const char *s, size_t from, bool flow)
{
	size_t i = from;

	if (!is_in(s[i], ALNUM "_/.$"))
		return 0;
	for (; s[i] != '\n' && !(flow && is_in(s[i], ",]")); i++) {
		if (s[i] < ' ' || s[i] > '~' || s[i] == '#' || (flow && is_in(s[i], "[{}?")))
			return 0;
		if (s[i] == ':' && !is_in(s[i + 1], ALNUM "/"))
			return 0;
	}
	return s[i - 1] == ' ' ? 0 : i;
}

static size_t quoted_end(const char *s, size_t from)
{
	size_t i = from + 1;

	while (s[i] >= ' ' && s[i] <= '~' && s[i] != '"' && s[i] != '\\')
		i++;
	return s[i] == '"' ? i + 1 : 0;
}

static size_t read_scalar(const struct line *l, size_t from, bool flow, struct node *ret)
{
	bool plain = l->s[from] != '"';
	size_t end = plain ? plain_end(l->s, from, flow) : quoted_end(l->s, from);

	if (end)
		*ret = scalar(l, from, end, plain);
	return end;
}

/* [a, "b"] */
static size_t read_list(const struct line *l, size_t from, struct node *ret)
{
	struct node list = { .kind = NODE_LIST, .flow = true, .line = l->number, .column = from + 1,
			     .at = l->at + from };
	size_t i = from + 1;

	while (l->s[i] != ']') {
		struct node item;

		if (list.n && (l->s[i] != ',' || l->s[i + 1] != ' '))
			return 0;
		i = read_scalar(l, list.n ? i + 2 : i, true, &item);
		if (!i)
			return 0;
		list.items = arena_grow(l->a, list.items, list.n, sizeof(item));
		list.items[list.n++] = item;
	}
	list.end = l->at + i + 1;
	*ret = list;
	return i + 1;
}

static bool read_line(const struct line *l, struct node *key, struct node *value)
{
	size_t n = strspn(l->s, "abcdefghijklmnopqrstuvwxyz_0123456789"), end;

	if (!n || n > 64 || is_in(*l->s, "_0123456789") || l->s[n] != ':' || l->s[n + 1] != ' ')
		return false;
	*key = scalar(l, 0, n, true);
	end = l->s[n + 2] == '[' ? read_list(l, n + 2, value) : read_scalar(l, n + 2, false, value);
	return end && l->s[end] == '\n';
}

bool flat_parse(struct arena *a, struct bytes text, struct node *ret)
{
	struct node map = { .kind = NODE_MAP, .line = 1, .column = 1 };
	struct line l = { .a = a, .s = (const char *)text.p, .number = 1 };
	size_t lines = 0, cap = 2;

	if (text.n == 0 || text.p[text.n - 1] != '\n') /* the end of every line is then inside the text */
		return false;
	for (size_t i = 0; i < text.n; i++)
		lines += text.p[i] == '\n';
	if (lines > MAX_LINES)
		return false;
	while (cap < 2 * lines) /* as arena_grow would have it */
		cap *= 2;
	map.items = arena_new_array(a, cap, struct node);
	for (; l.at < text.n; l.number++) {
		if (!read_line(&l, &map.items[map.n], &map.items[map.n + 1]))
			return false;
		map.n += 2;
		size_t n = strcspn(l.s, "\n") + 1;
		l.s += n;
		l.at += n;
	}
	map.end = map.items[map.n - 1].end;
	*ret = map;
	return true;
}
