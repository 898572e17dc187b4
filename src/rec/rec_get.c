/* One value of a record by its path: as a tree for filters, as text for people; lists joined, secrets masked. */
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

static char *line_of(struct arena *a, const struct node *n)
{
	SCOPED_BUF b = buf_init(BUF_BIG);

	if (n->kind == NODE_SCALAR)
		return node_is_null(n) ? NULL : n->text;
	if (n->kind == NODE_MAP)
		return compact(a, n);
	for (size_t i = 0; i < n->n; i++) {
		const struct node *item = &n->items[i];

		buf_puts(&b, i ? ", " : "");
		buf_puts(&b, item->kind == NODE_SCALAR ? item->text : compact(a, item));
	}
	return arena_strdup(a, buf_str(&b));
}

bool path_index(const char *s, size_t len, size_t *ret)
{
	size_t i = 0;

	if (!len || len > 9)
		return false;
	for (size_t k = 0; k < len; k++) {
		if (s[k] < '0' || s[k] > '9')
			return false;
		i = i * 10 + (size_t)(s[k] - '0');
	}
	*ret = i;
	return true;
}

/* Keys of free-form data may hold dots, so the longest key that leads anywhere is taken. NULL: absent. */
static struct node *descend(const struct node *n, const char *path)
{
	size_t i, len = strcspn(path, ".");

	if (n->kind == NODE_LIST && path_index(path, len, &i) && i < n->n)
		return path[len] ? descend(&n->items[i], path + len + 1) : &n->items[i];
	if (n->kind != NODE_MAP)
		return NULL;
	struct node *found = node_find(n, path);
	for (len = strlen(path); !found && len-- > 0;) {
		for (i = 0; path[len] == '.' && !found && i < n->n; i += 2) {
			const char *key = n->items[i].text;

			if (strlen(key) == len && memcmp(key, path, len) == 0)
				found = descend(&n->items[i + 1], path + len + 1);
		}
	}
	return found;
}

static struct node *keep(struct arena *a, struct node n)
{
	return arena_memdup(a, &n, sizeof(n));
}

static int one_flag(struct arena *a, const struct field *f, unsigned bits, const char *name, struct node **ret,
		    struct err *e)
{
	const char *near = text_nearest(name, f->names);
	int bit = field_bit(f, name);
	struct node n;

	if (bit < 0)
		return err_set(e, ERR_INVALID, "%s has no \"%s\"%s%s%s", f->name, name, near ? "; did you mean \"" : "",
			       near ? near : "", near ? "\"?" : "");
	n = node_text(a, bits & 1U << bit ? "true" : "false");
	n.plain = true;
	*ret = keep(a, n);
	return 0;
}

/* The names of the bits that are set, as a list. */
static struct node *flag_names(struct arena *a, const struct field *f, unsigned bits)
{
	struct node n = { .kind = NODE_LIST };

	for (int i = 0; i < 32 && f->names[i]; i++)
		if (bits & 1U << i) {
			n.items = arena_grow(a, n.items, n.n, sizeof(n));
			n.items[n.n++] = node_text(a, f->names[i]);
		}
	return n.n ? keep(a, n) : NULL;
}

static int get_part(struct arena *a, const struct field *f, const char *p, const char *rest, struct node **ret,
		    const struct field **ret_field, struct err *e)
{
	size_t len = strcspn(rest, "."), i;

	*ret = NULL;
	*ret_field = f;
	if (f->kind == F_OBJ)
		return rec_get_node(a, f->sub, p, rest, ret, ret_field, e);
	if (f->kind == F_FLAGS)
		return one_flag(a, f, *(const unsigned *)(const void *)p, rest, ret, e);
	if (f->kind == F_OBJV && path_index(rest, len, &i)) {
		const struct vec *v = (const void *)p;

		if (i >= v->n)
			return 0;
		p = (const char *)v->v + i * f->sub->size;
		if (rest[len])
			return rec_get_node(a, f->sub, p, rest + len + 1, ret, ret_field, e);
		*ret = keep(a, rec_node(a, f->sub, p, NODE_SHOW));
		return 0;
	}
	if (f->kind != F_ANY && f->kind != F_STRV && f->kind != F_REFV && f->kind != F_INTV)
		return err_set(e, ERR_INVALID, "%s has no part \"%s\"", f->name, rest);
	if (field_absent(f, p))
		return 0;
	struct node *n = keep(a, field_node(a, f, p, NODE_SHOW));
	*ret = n->kind == NODE_SCALAR && strcmp(rest, "0") == 0 ? n : descend(n, rest);
	return 0;
}

int rec_get_node(struct arena *a, const struct schema *s, const void *rec, const char *path, struct node **ret,
		 const struct field **ret_field, struct err *e)
{
	size_t len = strcspn(path, ".");
	const char *name = arena_strndup(a, path, len);
	const struct field *f = field_find_like(s, name);

	if (!f)
		return field_unknown(a, s, name, e);
	const char *p = (const char *)rec + f->off;
	if (path[len])
		return get_part(a, f, p, path + len + 1, ret, ret_field, e);
	*ret_field = f;
	if (f->kind == F_FLAGS)
		*ret = flag_names(a, f, *(const unsigned *)(const void *)p);
	else
		*ret = field_absent(f, p) ? NULL : keep(a, field_node(a, f, p, NODE_SHOW));
	return 0;
}

int rec_get(struct arena *a, const struct schema *s, const void *rec, const char *path, char **ret,
	    const struct field **ret_field, struct err *e)
{
	const struct field *f;
	struct node *n;

	if (rec_get_node(a, s, rec, path, &n, &f, e) != 0)
		return -1;
	*ret = n ? line_of(a, n) : NULL;
	if (ret_field)
		*ret_field = f;
	return 0;
}
