/* The tree of a document: which reader takes it, and small operations on it. What both readers may rely on (size,
 * UTF-8, no NUL) is checked here, once. Never knows a schema. */
#include "rec/node.h"

#include "base/text.h"
#include "rec/schema.h"

/* The line on which a text first stops being UTF-8; 0 when it is all right. */
static size_t bad_line(struct bytes text)
{
	size_t line = 1;

	if (utf8_valid(text))
		return 0;
	for (size_t at = 0; at < text.n; line++) {
		const unsigned char *eol = memchr(text.p + at, '\n', text.n - at);
		size_t n = eol ? (size_t)(eol - text.p) - at + 1 : text.n - at;

		if (!utf8_valid((struct bytes){ text.p + at, n }))
			return line;
		at += n;
	}
	return line;
}

static bool looks_like_json(struct bytes text)
{
	for (size_t i = 0; i < text.n; i++)
		if (!strchr(" \t\r\n", text.p[i]))
			return text.p[i] == '{';
	return false;
}

int doc_parse(struct arena *a, const char *file, struct bytes text, struct doc *ret, struct err *e)
{
	struct err yaml_err = { 0 };
	struct doc doc = { .text = text };

	if (text.n > REC_MAX_BYTES)
		return err_set(e, ERR_INVALID, "%s: larger than %d bytes", file, REC_MAX_BYTES);
	if (text.n >= 3 && memcmp(text.p, "\xEF\xBB\xBF", 3) == 0)
		doc.text = (struct bytes){ text.p + 3, text.n - 3 };
	size_t bad = bad_line(doc.text);
	if (bad)
		return err_set(e, ERR_INVALID, "%s:%zu:1: not UTF-8 text, or a NUL byte in it", file, bad);

	/* libyaml knows neither surrogate pairs nor a key and its colon on two lines, so JSON has its own reader; what
	 * that refuses may still be YAML in flow style. */
	if (looks_like_json(doc.text)) {
		struct err json_err = { 0 };

		if (json_parse(a, file, doc.text, &doc.root, &json_err) == 0)
			doc.json = true;
		else if (yaml_parse(a, file, doc.text, &doc.root, &yaml_err) != 0)
			return err_set(e, json_err.code, "%s", json_err.msg);
	} else if (!flat_parse(a, doc.text, &doc.root) && yaml_parse(a, file, doc.text, &doc.root, e) != 0) {
		return -1;
	}
	*ret = doc;
	return 0;
}

bool node_is_null(const struct node *n)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL" };

	if (n->kind != NODE_SCALAR || !n->plain)
		return false;
	for (size_t i = 0; i < COUNT(nulls); i++)
		if (strcmp(n->text, nulls[i]) == 0)
			return true;
	return false;
}

bool node_equal(struct arena *a, const struct node *x, const struct node *y)
{
	if (x->kind != y->kind || x->n != y->n)
		return false;
	if (x->kind == NODE_SCALAR)
		return strcmp(x->text, y->text) == 0 && any_is_text(a, x) == any_is_text(a, y);
	for (size_t i = 0; i < x->n; i++)
		if (!node_equal(a, &x->items[i], &y->items[i]))
			return false;
	return true;
}

struct node node_text(struct arena *a, const char *text)
{
	/* Records may hold what a certificate said; what we write is always UTF-8. */
	if (!utf8_valid(bytes_of(text)))
		return (struct node){ .kind = NODE_SCALAR, .text = text_escape(a, bytes_of(text)) };
	/* Text that came from a certificate or a file name may be anything; documents and JSON are UTF-8. */
	bool good = utf8_valid(bytes_of(text));

	return (struct node){ .kind = NODE_SCALAR,
			      .text = good ? arena_strdup(a, text) : text_escape(a, bytes_of(text)) };
}

struct node *node_add(struct arena *a, struct node *map, const char *key, struct node value)
{
	map->items = arena_grow(a, map->items, map->n, sizeof(*map->items));
	map->items[map->n++] = node_text(a, key);
	map->items = arena_grow(a, map->items, map->n, sizeof(*map->items));
	map->items[map->n++] = value;
	return &map->items[map->n - 1];
}

struct node *node_find(const struct node *map, const char *key)
{
	for (size_t i = 0; map->kind == NODE_MAP && i < map->n; i += 2)
		if (map->items[i].kind == NODE_SCALAR && strcmp(map->items[i].text, key) == 0)
			return &map->items[i + 1];
	return NULL;
}
