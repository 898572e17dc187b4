/* A record type as JSON Schema 2020-12, for editors and for checks by other tools. It describes the canonical form:
 * other names of a field are listed as deprecated, other spellings of a value are not. Computed fields do not
 * appear. */
#include <inttypes.h>

#include "rec/fields.h"
#include "rec/node.h"
#include "rec/schema.h"

static struct node map(void)
{
	return (struct node){ .kind = NODE_MAP };
}

static struct node list(void)
{
	return (struct node){ .kind = NODE_LIST };
}

static struct node literal(struct arena *a, const char *s)
{
	struct node n = node_text(a, s);

	n.plain = true;
	return n;
}

static void add_item(struct arena *a, struct node *to, struct node n)
{
	to->items = arena_grow(a, to->items, to->n, sizeof(n));
	to->items[to->n++] = n;
}

static void add_text(struct arena *a, struct node *to, const char *key, const char *value)
{
	node_add(a, to, key, node_text(a, value));
}

static struct node of_type(struct arena *a, const char *type)
{
	struct node n = map();

	add_text(a, &n, "type", type);
	return n;
}

static struct node text_type(struct arena *a, const char *key, const char *value)
{
	struct node n = of_type(a, "string");

	if (key)
		add_text(a, &n, key, value);
	return n;
}

static struct node names_type(struct arena *a, const char *const *names)
{
	struct node n = map(), values = list();

	for (; *names; names++)
		if (**names)
			add_item(a, &values, node_text(a, *names));
	node_add(a, &n, "enum", values);
	return n;
}

static struct node list_of(struct arena *a, struct node item)
{
	struct node n = of_type(a, "array");

	node_add(a, &n, "items", item);
	return n;
}

static struct node any_of(struct arena *a, struct node x, struct node y)
{
	struct node n = map(), forms = list();

	add_item(a, &forms, x);
	add_item(a, &forms, y);
	node_add(a, &n, "anyOf", forms);
	return n;
}

static struct node flags_type(struct arena *a, const struct field *f)
{
	struct node n = of_type(a, "object"), bits = map();

	for (const char *const *name = f->names; *name; name++)
		node_add(a, &bits, *name, of_type(a, "boolean"));
	node_add(a, &n, "properties", bits);
	node_add(a, &n, "additionalProperties", literal(a, "false"));
	return any_of(a, n, list_of(a, names_type(a, f->names)));
}

static struct node int_type(struct arena *a, const struct field *f)
{
	struct node n = of_type(a, "integer");

	if (f->min || f->max) {
		node_add(a, &n, "minimum", literal(a, arena_printf(a, "%" PRId64, f->min)));
		node_add(a, &n, "maximum", literal(a, arena_printf(a, "%" PRId64, f->max)));
	}
	return n;
}

static struct node object_type(struct arena *, const struct schema *);

#define ID_PATTERN "^[a-z0-9][a-z0-9._-]{0,63}$"
#define SECRET_PATTERN "^(\\$\\{[A-Za-z0-9_]+\\}|(env|file|fd|command):.+)$"
#define DUR_PATTERN "^[+-]?((([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ns|us|ms|s|m|h|d|w|y))+|0)$"

static struct node text_kind(struct arena *a, const struct schema *s, const struct field *f)
{
	if (f->flags & F_SECRET)
		return text_type(a, "pattern", SECRET_PATTERN);
	if (f->kind == F_REF || f->kind == F_REFV || field_is_id(s, f))
		return text_type(a, "pattern", ID_PATTERN);
	return text_type(a, NULL, NULL);
}

static struct node kind_type(struct arena *a, const struct schema *s, const struct field *f)
{
	switch (f->kind) {
	case F_STR:
	case F_REF:
		return text_kind(a, s, f);
	case F_STRV:
	case F_REFV:
		if (f->flags & F_LAX)
			return any_of(a, text_kind(a, s, f), list_of(a, text_kind(a, s, f)));
		return list_of(a, text_kind(a, s, f));
	case F_INT:
		return int_type(a, f);
	case F_INTV:
		return list_of(a, int_type(a, f));
	case F_BOOL:
		return of_type(a, "boolean");
	case F_ENUM:
		return names_type(a, f->names);
	case F_FLAGS:
		return flags_type(a, f);
	case F_DUR:
		return text_type(a, "pattern", DUR_PATTERN);
	case F_TIME:
		return any_of(a, text_type(a, "format", "date-time"), text_type(a, "format", "date"));
	case F_BYTES:
		return text_type(a, "contentEncoding", "base64");
	case F_OBJ:
		return object_type(a, f->sub);
	case F_OBJV:
		return list_of(a, object_type(a, f->sub));
	case F_ANY:
		return map();
	}
	return map();
}

static struct node default_of(struct arena *a, const struct field *f)
{
	struct field one[] = { *f, { .name = NULL } };
	struct schema s = { .fields = one };
	max_align_t rec[4] = { 0 };

	one[0].off = 0;
	s.size = sizeof(rec);
	rec_default(a, &s, rec);
	return field_node(a, f, rec, NODE_SHOW);
}

static struct node property(struct arena *a, const struct schema *s, const struct field *f)
{
	struct node n = kind_type(a, s, f);

	if (!node_find(&n, "description"))
		add_text(a, &n, "description", f->doc);
	else
		*node_find(&n, "description") = node_text(a, f->doc);
	if (f->dflt)
		node_add(a, &n, "default", default_of(a, f));
	return n;
}

static struct node object_type(struct arena *a, const struct schema *s)
{
	struct node n = map(), properties = map(), required = list();

	for (const struct field *f = s->fields; f->name; f++) {
		if (f->flags & F_OUT)
			continue;
		node_add(a, &properties, f->name, property(a, s, f));
		for (const char *const *aka = f->aka; aka && *aka; aka++)
			node_add(a, node_add(a, &properties, *aka, property(a, s, f)), "deprecated",
				 literal(a, "true"));
		if (f->flags & F_REQ)
			add_item(a, &required, node_text(a, f->name));
	}
	add_text(a, &n, "description", s->doc);
	add_text(a, &n, "type", "object");
	node_add(a, &n, "properties", properties);
	if (required.n)
		node_add(a, &n, "required", required);
	node_add(a, &n, "additionalProperties", literal(a, field_rest(s) ? "true" : "false"));
	return n;
}

void schema_json(const struct schema *s, struct buf *out)
{
	SCOPED_ARENA *a = arena_new();
	struct node n = map(), body = object_type(a, s);

	add_text(a, &n, "$schema", "https://json-schema.org/draft/2020-12/schema");
	add_text(a, &n, "title", s->name);
	for (size_t i = 0; i < body.n; i += 2)
		node_add(a, &n, body.items[i].text, body.items[i + 1]);
	json_print(&n, 2, out);
	buf_putc(out, '\n');
}
