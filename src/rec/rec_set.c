/* Edits a document in place. The change is made twice: in the text, by the places of nodes, and in the tree. Only if
 * the new text reads as the new tree is it given out, so an unusual layout can make an edit fail but never do something
 * else. The result is also loaded against the schema. */
#include "base/text.h"
#include "rec/fields.h"
#include "rec/node.h"
#include "rec/schema.h"

enum { MAX_STEPS = REC_MAX_DEPTH + 1 };

struct set {
	struct arena *a;
	const char *path;  /* whole, for messages */
	const char *value; /* NULL: remove */
	struct doc doc;
	struct buf *out;
	struct err *e;
	/* The way down: parents[k]->items[at[k]] is parents[k + 1]. */
	struct node *parents[MAX_STEPS];
	size_t at[MAX_STEPS];
	size_t depth;
};

/* What a value means: a field, an item of a list field, or free-form data. */
struct target {
	const struct field *f;
	bool item;
	bool free;
};

static int no_part(struct set *d, const char *name, const char *rest)
{
	return err_set(d->e, ERR_INVALID, "%s: %s has no part \"%s\"", d->path, name, rest);
}

/* --- values --- */

static void as_text(struct node *n)
{
	n->plain = false;
	for (size_t i = 0; i < n->n; i++)
		as_text(&n->items[i]);
}

static int typed(struct set *d, const struct field *f, struct node *n);

static int typed_map(struct set *d, const struct schema *s, struct node *n)
{
	if (n->kind != NODE_MAP)
		return 0; /* loading will say so */
	for (size_t i = 0; i < n->n; i += 2) {
		const struct field *f = field_find(s, n->items[i].text);

		n->items[i].plain = false;
		if (typed(d, f ? f : field_rest(s), &n->items[i + 1]) != 0)
			return -1;
	}
	return 0;
}

/* Gives plain scalars the type of their field: the text "0x1F" stays that. */
static int typed(struct set *d, const struct field *f, struct node *n)
{
	const struct node *bad;
	const char *why;

	if (f && f->kind == F_OBJ)
		return typed_map(d, f->sub, n);
	if (f && f->kind == F_OBJV) {
		for (size_t i = 0; n->kind == NODE_LIST && i < n->n; i++)
			if (typed_map(d, f->sub, &n->items[i]) != 0)
				return -1;
		return 0;
	}
	bool text = f && f->kind != F_ANY && f->kind != F_INT && f->kind != F_INTV && f->kind != F_BOOL &&
		    f->kind != F_FLAGS;
	if (text && !node_is_null(n))
		as_text(n);
	else if (any_resolve(d->a, n, &bad, &why) != 0)
		return err_set(d->e, ERR_INVALID, "%s: %s", d->path, why);
	return 0;
}

static bool is_text_kind(const struct field *f)
{
	return f->kind == F_STR || f->kind == F_REF || f->kind == F_ENUM || f->kind == F_DUR || f->kind == F_TIME ||
	       f->kind == F_BYTES;
}

/* The value as given on a command line. Texts need no quotes, whatever they look like. */
static int read_value(struct set *d, struct target t, struct node *ret)
{
	bool strings = !t.free && (t.f->kind == F_STRV || t.f->kind == F_REFV);
	bool raw = !t.free && (is_text_kind(t.f) || (strings && (t.item || *d->value != '[')));
	struct err why = { 0 };
	struct doc doc;

	if (raw && !strchr("\"'", *d->value)) {
		*ret = node_text(d->a, d->value);
	} else if (doc_parse(d->a, d->path, bytes_of(d->value), &doc, &why) == 0) {
		*ret = doc.root;
		if (t.item && t.f->kind == F_OBJV ? typed_map(d, t.f->sub, ret) : typed(d, t.free ? NULL : t.f, ret))
			return -1;
	} else if (raw || t.free) {
		*ret = node_text(d->a, d->value);
	} else {
		return err_set(d->e, ERR_INVALID, "%s", why.msg);
	}
	if (raw && ret->kind != NODE_SCALAR)
		*ret = node_text(d->a, d->value);
	if (raw)
		as_text(ret);
	if (strings && !t.item && ret->kind == NODE_SCALAR && !(t.f->flags & F_LAX)) {
		struct node list = { .kind = NODE_LIST, .items = arena_memdup(d->a, ret, sizeof(*ret)), .n = 1 };

		*ret = list;
	}
	return 0;
}

/* --- what is missing on the way is made --- */

static int make_field(struct set *d, const struct field *f, const char *rest, struct node *ret);

static int make_map(struct set *d, const struct schema *s, const char *path, struct node *ret)
{
	size_t len = strcspn(path, ".");
	const char *name = arena_strndup(d->a, path, len);
	const struct field *f = field_find_like(s, name);
	struct node map = { .kind = NODE_MAP }, inner;

	if (!f)
		return field_unknown(d->a, s, name, d->e);
	if (make_field(d, f, path[len] ? path + len + 1 : NULL, &inner) != 0)
		return -1;
	node_add(d->a, &map, f->name, inner);
	*ret = map;
	return 0;
}

static int make_free(struct set *d, const char *path, struct node *ret)
{
	size_t len = path ? strcspn(path, ".") : 0;
	struct node map = { .kind = NODE_MAP }, inner;

	if (!path)
		return read_value(d, (struct target){ .free = true }, ret);
	if (make_free(d, path[len] ? path + len + 1 : NULL, &inner) != 0)
		return -1;
	node_add(d->a, &map, arena_strndup(d->a, path, len), inner);
	*ret = map;
	return 0;
}

static int make_list(struct set *d, const struct field *f, const char *rest, struct node *ret)
{
	struct node item, list = { .kind = NODE_LIST };
	size_t len = strcspn(rest, "."), i;
	int rc;

	if (!path_index(rest, len, &i) || (rest[len] && f->kind != F_OBJV))
		return no_part(d, f->name, rest);
	if (i != 0)
		return err_set(d->e, ERR_INVALID, "%s: the list %s is empty, so start at 0", d->path, f->name);
	if (f->kind == F_OBJV && rest[len])
		rc = make_map(d, f->sub, rest + len + 1, &item);
	else
		rc = read_value(d, (struct target){ .f = f, .item = true }, &item);
	if (rc != 0)
		return -1;
	list.items = arena_memdup(d->a, &item, sizeof(item));
	list.n = 1;
	*ret = list;
	return 0;
}

static int make_field(struct set *d, const struct field *f, const char *rest, struct node *ret)
{
	struct node map = { .kind = NODE_MAP }, inner;

	if (f->flags & F_OUT)
		return err_set(d->e, ERR_INVALID, "%s: is computed and cannot be given", d->path);
	if (!rest)
		return read_value(d, (struct target){ .f = f }, ret);
	switch (f->kind) {
	case F_OBJ:
		return make_map(d, f->sub, rest, ret);
	case F_ANY:
		return make_free(d, rest, ret);
	case F_STRV:
	case F_REFV:
	case F_INTV:
	case F_OBJV:
		return make_list(d, f, rest, ret);
	case F_FLAGS:
		if (field_bit(f, rest) < 0)
			return no_part(d, f->name, rest);
		if (read_value(d, (struct target){ .f = f, .item = true }, &inner) != 0)
			return -1;
		node_add(d->a, &map, f->names[field_bit(f, rest)], inner);
		*ret = map;
		return 0;
	default:
		return no_part(d, f->name, rest);
	}
}

/* --- the change, in the text and in the tree --- */

static struct node *parent_of(struct set *d)
{
	return d->depth ? d->parents[d->depth - 1] : NULL;
}

static int absent(struct set *d)
{
	return err_set(d->e, ERR_NOT_FOUND, "%s is not set", d->path);
}

static int replace(struct set *d, struct node value)
{
	struct node *parent = parent_of(d);
	size_t i = d->depth ? d->at[d->depth - 1] : 0;

	edit_replace(d->a, &d->doc, parent, i, &value, d->out);
	*(parent ? &parent->items[i] : &d->doc.root) = value;
	return 0;
}

static int add(struct set *d, struct node *parent, const char *key, struct node value)
{
	edit_add(d->a, &d->doc, parent, key, &value, d->out);
	if (key) {
		node_add(d->a, parent, key, value);
		return 0;
	}
	parent->items = arena_grow(d->a, parent->items, parent->n, sizeof(value));
	parent->items[parent->n++] = value;
	return 0;
}

/* Takes out the value at the end of the way; a mapping that it leaves empty goes too, an empty list says something. */
static int take_out(struct set *d)
{
	struct node *parent = parent_of(d);

	while (d->depth > 1 && parent->kind == NODE_MAP && parent->n == 2) {
		d->depth--;
		parent = parent_of(d);
	}
	size_t i = d->at[d->depth - 1], width = parent->kind == NODE_MAP ? 2 : 1;
	if (parent->n == width) {
		d->depth--;
		return replace(d, (struct node){ .kind = parent->kind });
	}
	edit_remove(d->a, &d->doc, parent, i, d->out);
	memmove(&parent->items[i + 1 - width], &parent->items[i + 1], (parent->n - i - 1) * sizeof(*parent->items));
	parent->n -= width;
	return 0;
}

static int change(struct set *d, struct target t)
{
	struct node value;

	if (!d->value)
		return take_out(d);
	return read_value(d, t, &value) != 0 ? -1 : replace(d, value);
}

/* --- the way to the place --- */

static int enter(struct set *d, struct node *parent, size_t i)
{
	if (d->depth == MAX_STEPS)
		return err_set(d->e, ERR_INVALID, "%s: nested too deeply", d->path);
	d->parents[d->depth] = parent;
	d->at[d->depth++] = i;
	return 0;
}

static int walk_free(struct set *d, struct node *n, const char *path);
static int walk_map(struct set *d, const struct schema *s, struct node *n, const char *path);

/* The longest key that is there, as rec_get finds it; else the path up to the next dot is a new one. */
static int walk_free_map(struct set *d, struct node *n, const char *path)
{
	struct node value;
	size_t len;

	for (len = strlen(path); len > 0; len--)
		for (size_t i = 0; (path[len] == '.' || !path[len]) && i < n->n; i += 2)
			if (strlen(n->items[i].text) == len && memcmp(n->items[i].text, path, len) == 0) {
				if (enter(d, n, i + 1) != 0)
					return -1;
				return walk_free(d, &n->items[i + 1], path[len] ? path + len + 1 : NULL);
			}
	if (!d->value)
		return absent(d);
	len = strcspn(path, ".");
	if (make_free(d, path[len] ? path + len + 1 : NULL, &value) != 0)
		return -1;
	return add(d, n, arena_strndup(d->a, path, len), value);
}

static int walk_free(struct set *d, struct node *n, const char *path)
{
	size_t len = path ? strcspn(path, ".") : 0, i;
	struct node value;

	if (!path)
		return change(d, (struct target){ .free = true });
	if (n->kind == NODE_MAP)
		return walk_free_map(d, n, path);
	if (n->kind != NODE_LIST || !path_index(path, len, &i))
		return err_set(d->e, ERR_INVALID, "%s: there is no \"%s\" in a %s", d->path, path,
			       n->kind == NODE_LIST ? "list" : "single value");
	if (i < n->n) {
		if (enter(d, n, i) != 0)
			return -1;
		return walk_free(d, &n->items[i], path[len] ? path + len + 1 : NULL);
	}
	if (!d->value)
		return absent(d);
	if (i > n->n)
		return err_set(d->e, ERR_INVALID, "%s: the list has %s", d->path, text_count(d->a, n->n, "item", NULL));
	if (make_free(d, path[len] ? path + len + 1 : NULL, &value) != 0)
		return -1;
	return add(d, n, NULL, value);
}

static int walk_list(struct set *d, const struct field *f, struct node *n, const char *rest)
{
	size_t len = strcspn(rest, "."), i;
	struct node made;

	if (n->kind != NODE_LIST)
		return err_set(d->e, ERR_INVALID, "%s: %s is not a list here; set it as a whole", d->path, f->name);
	if (!path_index(rest, len, &i) || (rest[len] && f->kind != F_OBJV))
		return no_part(d, f->name, rest);
	if (i < n->n) {
		if (enter(d, n, i) != 0)
			return -1;
		return rest[len] ? walk_map(d, f->sub, &n->items[i], rest + len + 1)
				 : change(d, (struct target){ .f = f, .item = true });
	}
	if (!d->value)
		return absent(d);
	if (i > n->n)
		return err_set(d->e, ERR_INVALID, "%s: the list has %s", d->path, text_count(d->a, n->n, "item", NULL));
	if (make_list(d, f, arena_printf(d->a, "0%s", rest + len), &made) != 0)
		return -1;
	return add(d, n, NULL, made.items[0]);
}

/* A list of names, or one name, becomes a mapping when one of them is switched. */
static struct node flags_as_map(struct set *d, const struct field *f, const struct node *n)
{
	const struct node *items = n->kind == NODE_LIST ? n->items : n;
	size_t count = n->kind == NODE_LIST ? n->n : 1;
	struct node map = { .kind = NODE_MAP }, yes = node_text(d->a, "true");

	yes.plain = true;
	for (size_t i = 0; i < count; i++) {
		int bit = items[i].kind == NODE_SCALAR ? field_bit(f, items[i].text) : -1;

		if (bit >= 0)
			node_add(d->a, &map, f->names[bit], yes);
	}
	return map;
}

static size_t find_flag(const struct field *f, const struct node *map, int bit)
{
	size_t i = 0;

	while (i < map->n && (map->items[i].kind != NODE_SCALAR || field_bit(f, map->items[i].text) != bit))
		i += 2;
	return i;
}

static int walk_flags(struct set *d, const struct field *f, struct node *n, const char *name)
{
	int bit = field_bit(f, name);
	struct node value = { 0 };

	if (bit < 0)
		return no_part(d, f->name, name);
	if (d->value && read_value(d, (struct target){ .f = f, .item = true }, &value) != 0)
		return -1;
	if (n->kind != NODE_MAP) {
		struct node map = flags_as_map(d, f, n);
		size_t i = find_flag(f, &map, bit);

		if (i < map.n && d->value)
			map.items[i + 1] = value;
		else if (d->value)
			node_add(d->a, &map, f->names[bit], value);
		else if (i == map.n)
			return absent(d);
		else
			memmove(&map.items[i], &map.items[i + 2], ((map.n -= 2) - i) * sizeof(*map.items));
		return replace(d, map);
	}
	size_t i = find_flag(f, n, bit);
	if (i == n->n)
		return d->value ? add(d, n, f->names[bit], value) : absent(d);
	if (enter(d, n, i + 1) != 0)
		return -1;
	return d->value ? replace(d, value) : take_out(d);
}

static int walk_field(struct set *d, const struct field *f, struct node *n, const char *rest)
{
	if (f->flags & F_OUT)
		return err_set(d->e, ERR_INVALID, "%s: is computed and cannot be given", d->path);
	if (!rest)
		return change(d, (struct target){ .f = f });
	switch (f->kind) {
	case F_OBJ:
		return walk_map(d, f->sub, n, rest);
	case F_ANY:
		return walk_free(d, n, rest);
	case F_FLAGS:
		return walk_flags(d, f, n, rest);
	case F_STRV:
	case F_REFV:
	case F_INTV:
	case F_OBJV:
		return walk_list(d, f, n, rest);
	default:
		return no_part(d, f->name, rest);
	}
}

static int walk_map(struct set *d, const struct schema *s, struct node *n, const char *path)
{
	size_t len = strcspn(path, ".");
	const char *name = arena_strndup(d->a, path, len), *rest = path[len] ? path + len + 1 : NULL;
	const struct field *f = field_find_like(s, name);
	struct node value;

	if (n->kind != NODE_MAP)
		return err_set(d->e, ERR_INVALID, "%s: the document has no mapping here", d->path);
	if (!f && field_rest(s))
		return walk_free_map(d, n, path);
	if (!f)
		return field_unknown(d->a, s, name, d->e);
	for (size_t i = 0; i < n->n; i += 2)
		if (field_find(s, n->items[i].text) == f) {
			if (enter(d, n, i + 1) != 0)
				return -1;
			return walk_field(d, f, &n->items[i + 1], rest);
		}
	if (!d->value)
		return absent(d);
	if (make_field(d, f, rest, &value) != 0)
		return -1;
	return add(d, n, f->name, value);
}

/* One change of the text; whether the result is a record is not asked yet. */
static int edit(struct arena *a, const struct schema *s, const char *file, struct bytes text,
		const struct rec_change *c, struct buf *out, struct err *e)
{
	struct set d = { .a = a, .path = c->path, .value = c->value, .out = out, .e = e };
	struct doc again;

	if (!utf8_valid(bytes_of(c->path)) || (c->value && !utf8_valid(bytes_of(c->value))))
		return err_set(e, ERR_INVALID, "path and value must be UTF-8 text");
	if (doc_parse(a, file, text, &d.doc, e) != 0)
		return -1;
	buf_put(out, text.p, text.n - d.doc.text.n); /* the byte order mark */
	if (walk_map(&d, s, &d.doc.root, c->path) != 0)
		return -1;
	if (out->over)
		return err_set(e, ERR_INVALID, "%s: the document becomes too large", file);
	if (doc_parse(a, file, buf_bytes(out), &again, e) != 0)
		return -1;
	if (!node_equal(a, &d.doc.root, &again.root))
		return err_set(e, ERR_INVALID, "%s: %s cannot be changed in place; edit the file", file, c->path);
	return 0;
}

int rec_set_all(struct arena *a, const struct schema *s, const char *file, struct bytes text,
		const struct rec_change *v, size_t n, struct buf *out, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		SCOPED_BUF result = buf_init(out->max);

		if (edit(a, s, file, text, &v[i], &result, e) != 0)
			return -1;
		text = (struct bytes){ arena_memdup(a, result.p, result.n), result.n };
	}
	if (rec_load(a, s, file, text, arena_alloc(a, 1, s->size), e) != 0)
		return -1;
	buf_put(out, text.p, text.n);
	return 0;
}

int rec_set(struct arena *a, const struct schema *s, const char *file, struct bytes text, const char *path,
	    const char *value, struct buf *out, struct err *e)
{
	return rec_set_all(a, s, file, text, &(struct rec_change){ path, value }, 1, out, e);
}
