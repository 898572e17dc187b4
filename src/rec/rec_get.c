/* One value of a record by its path, as text for a person or a filter: lists joined, secrets masked. */
#include <stdlib.h>

#include "base/text.h"
#include "rec/fields.h"
#include "rec/node.h"
#include "rec/schema.h"

static char *compact(struct arena *a, const struct node *n)
{
	SCOPED_BUF b = buf_init(BUF_BIG);

	json_print(n, 0, &b);
	return arena_strdup(a, buf_str(&b));
}

static char *joined(struct arena *a, const struct node *list, size_t step)
{
	SCOPED_BUF b = buf_init(BUF_BIG);

	for (size_t i = 0; i < list->n; i += step) {
		const struct node *item = &list->items[i];

		buf_printf(&b, "%s%s", i ? ", " : "", item->kind == NODE_SCALAR ? item->text : compact(a, item));
	}
	return arena_strdup(a, buf_str(&b));
}

static char *line_of(struct arena *a, const struct node *n, bool flags)
{
	if (n->kind == NODE_SCALAR)
		return n->plain && node_is_null(n) ? NULL : n->text;
	if (n->kind == NODE_LIST || flags)
		return joined(a, n, flags ? 2 : 1);
	return compact(a, n);
}

static bool index_of(const char *s, size_t n, size_t *ret)
{
	size_t i = 0;

	if (!n || n > 9)
		return false;
	for (size_t k = 0; k < n; k++) {
		if (s[k] < '0' || s[k] > '9')
			return false;
		i = i * 10 + (size_t)(s[k] - '0');
	}
	*ret = i;
	return true;
}

/* Keys of free-form data may hold dots, so the longest key that fits is taken. NULL: absent. */
static const struct node *descend(const struct node *n, const char *path)
{
	size_t i, len = strcspn(path, ".");

	if (n->kind == NODE_LIST && index_of(path, len, &i) && i < n->n)
		return path[len] ? descend(&n->items[i], path + len + 1) : &n->items[i];
	if (n->kind != NODE_MAP)
		return NULL;
	const struct node *whole = node_find(n, path);
	if (whole)
		return whole;
	for (len = strlen(path); len-- > 0;) {
		for (i = 0; path[len] == '.' && i < n->n; i += 2) {
			const char *key = n->items[i].text;
			const struct node *found;

			if (strlen(key) == len && memcmp(key, path, len) == 0 &&
			    (found = descend(&n->items[i + 1], path + len + 1)))
				return found;
		}
	}
	return NULL;
}

static int no_such(struct arena *a, const struct schema *s, const char *name, struct err *e)
{
	const char *near = text_nearest(name, field_names(a, s, true));

	return err_set(e, ERR_INVALID, "unknown field \"%s\"%s%s%s", text_escape(a, bytes_of(name)),
		       near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static const struct field *find(const struct schema *s, const char *name)
{
	const struct field *f = field_find(s, name);

	if (f)
		return f;
	for (f = s->fields; f->name; f++) /* "valid-to" on a command line */
		if (text_same_name(f->name, name))
			return f;
	return NULL;
}

static int get(struct arena *a, const struct schema *s, const char *rec, const char *path, char **ret,
	       const struct field **ret_field, struct err *e);

/* A path into a field that has parts. */
static int get_inside(struct arena *a, const struct field *f, const char *p, const char *rest, char **ret,
		      const struct field **ret_field, struct err *e)
{
	size_t len = strcspn(rest, "."), i;

	if (f->kind == F_OBJ)
		return get(a, f->sub, p, rest, ret, ret_field, e);
	*ret = NULL;
	*ret_field = f;
	if (f->kind == F_OBJV && index_of(rest, len, &i)) {
		const struct vec *v = (const void *)p;

		if (i >= v->n)
			return 0;
		p = (const char *)v->v + i * f->sub->size;
		if (rest[len])
			return get(a, f->sub, p, rest + len + 1, ret, ret_field, e);
		struct node item = rec_node(a, f->sub, p, NODE_SHOW);
		*ret = compact(a, &item);
		return 0;
	}
	if (f->kind == F_FLAGS) {
		for (int bit = 0; bit < 32 && f->names[bit]; bit++)
			if (text_same_name(f->names[bit], rest)) {
				*ret = arena_strdup(a, *(const unsigned *)(const void *)p & 1U << bit ? "true" : "false");
				return 0;
			}
		const char *near = text_nearest(rest, f->names);
		return err_set(e, ERR_INVALID, "%s has no \"%s\"%s%s%s", f->name, text_escape(a, bytes_of(rest)),
			       near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
	}
	if (f->kind != F_ANY && f->kind != F_STRV && f->kind != F_REFV && f->kind != F_INTV)
		return err_set(e, ERR_INVALID, "%s has no parts", f->name);
	if (field_absent(f, p))
		return 0;
	struct node n = field_node(a, f, p, NODE_SHOW);
	const struct node *found = n.kind == NODE_SCALAR && strcmp(rest, "0") == 0 ? &n : descend(&n, rest);
	*ret = found ? line_of(a, found, false) : NULL;
	return 0;
}

static int get(struct arena *a, const struct schema *s, const char *rec, const char *path, char **ret,
	       const struct field **ret_field, struct err *e)
{
	size_t len = strcspn(path, ".");
	const char *name = arena_strndup(a, path, len);
	const struct field *f = find(s, name);

	if (!f)
		return no_such(a, s, name, e);
	const char *p = rec + f->off;
	if (path[len])
		return get_inside(a, f, p, path + len + 1, ret, ret_field, e);
	*ret_field = f;
	*ret = NULL;
	if (field_absent(f, p) || (f->kind == F_FLAGS && *(const unsigned *)(const void *)p == 0))
		return 0;
	struct node n = field_node(a, f, p, NODE_SHOW);
	*ret = line_of(a, &n, f->kind == F_FLAGS);
	return 0;
}

int rec_get(struct arena *a, const struct schema *s, const void *rec, const char *path, char **ret,
	    const struct field **ret_field, struct err *e)
{
	const struct field *f;
	char *text;

	if (get(a, s, rec, path, &text, &f, e) != 0)
		return -1;
	*ret = text;
	if (ret_field)
		*ret_field = f;
	return 0;
}
