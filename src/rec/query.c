/* What a list command was asked for: filters, order, pages. Filters are compiled against the schema before any record
 * is looked at, so a mistake is reported for an empty list too. Bookmarks are checked like any input from outside. */
#include "rec/query.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/text.h"
#include "rec/fields.h"
#include "rec/node.h"

static const struct {
	const char *name, *also;
	enum filter_op op;
} ops[] = {
	{ "eq", "equal", OP_EQ },	{ "ne", "notequal", OP_NE },	 { "ct", "contains", OP_CT },
	{ "nc", "notcontains", OP_NC }, { "sw", "startswith", OP_SW }, { "ew", "endswith", OP_EW },
	{ "gt", NULL, OP_GT },		{ "ge", NULL, OP_GE },		 { "lt", NULL, OP_LT },
	{ "le", NULL, OP_LE },		{ "bf", "before", OP_BF },	 { "af", "after", OP_AF },
	{ "in", NULL, OP_IN },		{ "nin", NULL, OP_NIN },
};

static int parse_op(struct arena *a, const char *name, struct filter *f, struct err *e)
{
	size_t n = strlen(name);
	bool ic = n > 3 && strcmp(name + n - 3, "_ic") == 0;
	const char *base = ic ? arena_strndup(a, name, n - 3) : name;

	for (size_t i = 0; i < COUNT(ops); i++)
		if (strcmp(ops[i].name, base) == 0 || (ops[i].also && strcmp(ops[i].also, base) == 0)) {
			f->op = ops[i].op;
			f->ignore_case = ic || f->op == OP_CT || f->op == OP_NC;
			return 0;
		}
	return err_set(e, ERR_USAGE,
		       "unknown operator \"%s\"; known are eq ne ct nc sw ew gt ge lt le bf af in nin, each also "
		       "with _ic", name);
}

int filter_parse(struct arena *a, const char *text, struct filter *ret, struct err *e)
{
	size_t n = strcspn(text, "[=");
	struct filter f = { .op = OP_EQ };

	if (!utf8_valid(bytes_of(text)))
		return err_set(e, ERR_USAGE, "a filter must be UTF-8 text");
	f.field = arena_strndup(a, text, n);
	if (n == 0 || !text[n])
		return err_set(e, ERR_USAGE, "\"%s\" is not a filter; write field=value or field[op]=value",
			       text);
	if (text[n] == '[') {
		const char *op = text + n + 1, *end = strchr(op, ']');

		if (!end)
			return err_set(e, ERR_USAGE, "\"%s\" has no ] after its operator", text);
		if (parse_op(a, arena_strndup(a, op, (size_t)(end - op)), &f, e) != 0)
			return -1;
		text = end + 1;
		text += *text == '=';
	} else {
		text += n + 1;
	}
	f.value = arena_strdup(a, text);
	*ret = f;
	return 0;
}

static const char *op_text(struct arena *a, const struct filter *f)
{
	for (size_t i = 0; i < COUNT(ops); i++)
		if (ops[i].op == f->op)
			return arena_printf(a, "%s%s", ops[i].name,
					    f->ignore_case && f->op != OP_CT && f->op != OP_NC ? "_ic" : "");
	return "eq";
}

int query_time(const char *value, int64_t now, int64_t *ret, struct err *e)
{
	struct err ignored = { 0 };
	int64_t t;

	if (tm_parse(value, &t, &ignored) != 0 &&
	    (dur_parse(value, &t, &ignored) != 0 || __builtin_add_overflow(now, t, &t)))
		return err_set(e, ERR_USAGE, "\"%s\" is neither a time nor a duration from now such as 30d or -30d",
			       value);
	*ret = t;
	return 0;
}

/* --- bookmarks: base64url of a JSON object --- */

static struct node number(struct arena *a, int64_t v)
{
	struct node n = node_text(a, arena_printf(a, "%" PRId64, v));

	n.plain = true;
	return n;
}

char *query_bookmark(struct arena *a, const struct query *q, int64_t next_offset)
{
	struct node map = { .kind = NODE_MAP }, filters = { .kind = NODE_LIST };
	SCOPED_BUF json = buf_init(BUF_TEXT);

	for (size_t i = 0; i < q->nfilters; i++) {
		const struct filter *f = &q->filters[i];

		filters.items = arena_grow(a, filters.items, filters.n, sizeof(*filters.items));
		filters.items[filters.n++] =
			node_text(a, arena_printf(a, "%s[%s]=%s", f->field, op_text(a, f), f->value));
	}
	node_add(a, &map, "o", number(a, next_offset));
	node_add(a, &map, "n", number(a, q->page_size));
	node_add(a, &map, "d", number(a, q->desc));
	if (q->sort_by)
		node_add(a, &map, "s", node_text(a, q->sort_by));
	node_add(a, &map, "f", filters);
	json_print(&map, 0, &json);

	char *text = b64_encode(a, buf_bytes(&json));
	for (char *c = text; *c; c++)
		*c = (char)(*c == '+' ? '-' : *c == '/' ? '_' : *c == '=' ? '\0' : *c);
	return text;
}

static bool get_number(const struct node *map, const char *key, int64_t *ret)
{
	const struct node *n = node_find(map, key);

	if (!n || !n->plain || !*n->text || strlen(n->text) > 15 || n->text[strspn(n->text, "0123456789")])
		return false;
	*ret = strtoll(n->text, NULL, 10);
	return true;
}

static bool read_query(struct arena *a, const struct node *map, struct query *q)
{
	const struct node *list = node_find(map, "f"), *sort = node_find(map, "s");
	struct err ignored = { 0 };
	int64_t desc;

	if (!list || list->kind != NODE_LIST || (sort && sort->kind != NODE_SCALAR))
		return false;
	if (!get_number(map, "o", &q->offset) || !get_number(map, "n", &q->page_size) || !get_number(map, "d", &desc))
		return false;
	q->desc = desc != 0;
	q->sort_by = sort ? sort->text : NULL;
	q->filters = arena_new_array(a, list->n + 1, struct filter);
	q->nfilters = list->n;
	for (size_t i = 0; i < list->n; i++)
		if (list->items[i].kind != NODE_SCALAR ||
		    filter_parse(a, list->items[i].text, &q->filters[i], &ignored) != 0)
			return false;
	return true;
}

int query_from_bookmark(struct arena *a, const char *bookmark, struct query *ret, struct err *e)
{
	size_t n = strlen(bookmark);
	struct err ignored = { 0 };
	struct query q = { 0 };
	struct bytes json;
	struct node map;

	if (n > REC_MAX_BYTES)
		return err_set(e, ERR_USAGE, "not a bookmark");
	char *text = arena_alloc(a, n + 4, 1);
	for (size_t i = 0; i < n; i++)
		text[i] = (char)(bookmark[i] == '-' ? '+' : bookmark[i] == '_' ? '/' : bookmark[i]);
	memcpy(text + n, "===", (4 - n % 4) % 4);
	if (b64_decode(a, bytes_of(text), &json) != 0 || !utf8_valid(json) ||
	    json_parse(a, "", json, &map, &ignored) != 0 ||
	    map.kind != NODE_MAP || !read_query(a, &map, &q))
		return err_set(e, ERR_USAGE, "not a bookmark");
	*ret = q;
	return 0;
}
