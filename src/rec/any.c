/* Free-form values (F_ANY): kept as compact JSON text, with numbers and the order of keys as they were written. YAML's
 * plain scalars get the types of the core schema (YAML 1.2.2, 10.3), except that 007 stays text: older readers take it
 * for octal, and nothing that was written may change. */
#include <stdlib.h>

#include "base/text.h"
#include "rec/node.h"
#include "rec/schema.h"

#define DIGITS "0123456789"

static bool one_of(const char *s, const char *const *names)
{
	while (*names && strcmp(s, *names) != 0)
		names++;
	return *names;
}

/* 0x1F and 0o17 in decimal; NULL if it is neither. */
static char *other_base(struct arena *a, const char *s, const char **ret_why)
{
	bool hex = strncmp(s, "0x", 2) == 0;
	const char *digits = hex ? DIGITS "abcdefABCDEF" : "01234567";

	if ((!hex && strncmp(s, "0o", 2) != 0) || !s[2] || s[2 + strspn(s + 2, digits)])
		return NULL;
	if (strlen(s + 2 + strspn(s + 2, "0")) > (hex ? 15 : 20))
		*ret_why = "a number this large must be quoted";
	return arena_printf(a, "%llu", strtoull(s + 2, NULL, hex ? 16 : 8));
}

static bool too_large(const char *whole, size_t n, bool integer, const char *exponent)
{
	if (integer)
		return n > 19 || (n == 19 && strncmp(whole, "9223372036854775807", n) > 0);
	exponent += *exponent == '+' || *exponent == '-';
	exponent += strspn(exponent, "0");
	return n > 200 || strspn(exponent, DIGITS) > 2;
}

/* A decimal number as JSON writes it; NULL if it is none. */
static char *decimal(struct arena *a, const char *s, const char **ret_why)
{
	const char *sign = *s == '-' ? "-" : "", *whole, *frac = "", *end, *exponent = "";
	size_t n, nfrac = 0;

	s += *s == '-' || *s == '+';
	whole = s;
	n = strspn(s, DIGITS);
	end = s + n;
	bool dot = *end == '.';
	if (dot) {
		frac = ++end;
		nfrac = strspn(frac, DIGITS);
		end += nfrac;
	}
	if (n + nfrac == 0 || (n > 1 && *whole == '0'))
		return NULL;
	if (*end == 'e' || *end == 'E') {
		exponent = end + 1;
		end = exponent + (*exponent == '+' || *exponent == '-');
		if (!strspn(end, DIGITS))
			return NULL;
		end += strspn(end, DIGITS);
	}
	if (*end)
		return NULL;
	if (too_large(whole, n, !dot && !*exponent, exponent))
		*ret_why = "a number this large must be quoted";
	return arena_printf(a, "%s%.*s%s%s%.*s%s%s", sign, n ? (int)n : 1, n ? whole : "0", dot ? "." : "",
			    dot && !nfrac ? "0" : "", (int)nfrac, frac, *exponent ? "e" : "", exponent);
}

static void resolve_scalar(struct arena *a, struct node *n, const char **ret_why)
{
	static const char *const yes[] = { "true", "True", "TRUE", NULL },
					 *const no[] = { "false", "False", "FALSE", NULL };
	static const char *const infinite[] = { ".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN", NULL };
	const char *s = n->text;
	char *number;

	if (!n->plain)
		return;
	if (node_is_null(n))
		n->text = arena_strdup(a, "null");
	else if (one_of(s, yes))
		n->text = arena_strdup(a, "true");
	else if (one_of(s, no))
		n->text = arena_strdup(a, "false");
	else if (one_of(s + (*s == '-' || *s == '+'), infinite))
		*ret_why = "infinity and NaN are not accepted; quote it if it is text";
	else if ((number = decimal(a, s, ret_why)) || (number = other_base(a, s, ret_why)))
		n->text = number;
	else
		n->plain = false;
}

bool any_is_text(struct arena *a, const struct node *scalar)
{
	struct node n = *scalar;
	const char *why = NULL;

	resolve_scalar(a, &n, &why);
	return !n.plain;
}

static int by_text(const void *x, const void *y)
{
	const struct node *const *l = x, *const *r = y;

	return strcmp((*l)->text, (*r)->text);
}

static const struct node *bad_key(struct arena *a, struct node *map, const char **ret_why)
{
	struct node **keys = arena_new_array(a, map->n / 2 + 1, struct node *);
	size_t n = 0;

	for (size_t i = 0; i < map->n; i += 2) {
		keys[n] = &map->items[i];
		keys[n]->plain = false;
		*ret_why = "this key is too long";
		if (strlen(keys[n++]->text) > ANY_MAX_KEY)
			return &map->items[i];
	}
	qsort(keys, n, sizeof(struct node *), by_text);
	*ret_why = "this key is given twice";
	for (size_t i = 1; i < n; i++)
		if (strcmp(keys[i - 1]->text, keys[i]->text) == 0)
			return keys[i]->at > keys[i - 1]->at ? keys[i] : keys[i - 1];
	*ret_why = NULL;
	return NULL;
}

int any_resolve(struct arena *a, struct node *n, const struct node **ret_bad, const char **ret_why)
{
	const char *why = NULL;
	const struct node *bad = n;

	if (n->kind == NODE_SCALAR)
		resolve_scalar(a, n, &why);
	else if (n->kind == NODE_MAP)
		bad = bad_key(a, n, &why);
	if (why) {
		*ret_bad = bad;
		*ret_why = why;
		return -1;
	}
	for (size_t i = n->kind == NODE_MAP; i < n->n; i += n->kind == NODE_MAP ? 2 : 1)
		if (any_resolve(a, &n->items[i], ret_bad, ret_why) != 0)
			return -1;
	return 0;
}

/* Text in a record, or from a command line, as a tree. */
static int parse(struct arena *a, const char *json, struct node *ret, struct err *e)
{
	const struct node *bad;
	const char *why;
	struct node n = { 0 };

	if (strlen(json) > REC_MAX_BYTES || !utf8_valid(bytes_of(json)))
		return err_set(e, ERR_INVALID, "too large or not UTF-8");
	if (json_parse(a, "value", bytes_of(json), &n, e) != 0)
		return -1;
	if (any_resolve(a, &n, &bad, &why) != 0)
		return err_set(e, ERR_INVALID, "value:%zu:%zu: %s", bad->line, bad->column, why);
	*ret = n;
	return 0;
}

static char *print(struct arena *a, const struct node *n)
{
	SCOPED_BUF b = buf_init(BUF_BIG);

	json_print(n, 0, &b);
	return arena_strdup(a, buf_str(&b));
}

static int parse_object(struct arena *a, const char *json, struct node *ret, struct err *e)
{
	struct node n = { .kind = NODE_MAP };

	if (json && parse(a, json, &n, e) != 0)
		return -1;
	if (n.kind != NODE_MAP)
		return err_set(e, ERR_INVALID, "must be a mapping");
	*ret = n;
	return 0;
}

int any_set(struct arena *a, const char *json, const char *key, const char *value, char **ret, struct err *e)
{
	struct err ignored = { 0 };
	struct node map, v;

	if (parse_object(a, json, &map, e) != 0)
		return -1;
	if (strlen(key) > ANY_MAX_KEY || !utf8_valid(bytes_of(key)) || !utf8_valid(bytes_of(value)))
		return err_set(e, ERR_INVALID, "a key must be UTF-8 text of at most %d bytes, a value UTF-8 text",
			       ANY_MAX_KEY);
	if (parse(a, value, &v, &ignored) != 0)
		v = node_text(a, value);
	struct node *place = node_find(&map, key);
	if (place)
		*place = v;
	else
		node_add(a, &map, key, v);
	*ret = print(a, &map);
	return 0;
}

int any_unset(struct arena *a, const char *json, const char *key, char **ret, struct err *e)
{
	struct node map;

	if (parse_object(a, json, &map, e) != 0)
		return -1;
	struct node *place = node_find(&map, key);
	if (!place)
		return err_set(e, ERR_NOT_FOUND, "there is no \"%s\"", text_escape(a, bytes_of(key)));
	size_t after = (size_t)(place - map.items) + 1;
	memmove(place - 1, place + 1, (map.n - after) * sizeof(*place));
	map.n -= 2;
	*ret = print(a, &map);
	return 0;
}

int any_merge(struct arena *a, const char *json, const char *patch, char **ret, struct err *e)
{
	struct node map, changes, out = { .kind = NODE_MAP };

	if (parse_object(a, json, &map, e) != 0 || parse_object(a, patch, &changes, e) != 0)
		return -1;
	for (size_t i = 0; i < map.n; i += 2)
		if (!node_find(&changes, map.items[i].text))
			node_add(a, &out, map.items[i].text, map.items[i + 1]);
	for (size_t i = 0; i < changes.n; i += 2)
		if (!node_is_null(&changes.items[i + 1]))
			node_add(a, &out, changes.items[i].text, changes.items[i + 1]);
	*ret = print(a, &out);
	return 0;
}

char *any_get(struct arena *a, const char *json, const char *key)
{
	struct err ignored = { 0 };
	struct node map;

	if (!json || parse_object(a, json, &map, &ignored) != 0)
		return NULL;
	struct node *v = node_find(&map, key);
	if (!v)
		return NULL;
	return v->kind == NODE_SCALAR && !v->plain ? v->text : print(a, v);
}

int any_each(struct arena *a, const char *json, int (*cb)(void *, const char *key, const char *value), void *arg)
{
	struct err ignored = { 0 };
	struct node map;

	if (parse_object(a, json, &map, &ignored) != 0)
		return -1;
	for (size_t i = 0; i < map.n; i += 2) {
		const struct node *v = &map.items[i + 1];

		if (cb(arg, map.items[i].text, v->kind == NODE_SCALAR && !v->plain ? v->text : print(a, v)) != 0)
			return -1;
	}
	return 0;
}
