/* From a record to a tree, and from there to its stored text, to JSON and to what is shown. What a document leaves out
 * because it equals its default, JSON still shows, so that a program finds every value; what is absent is left out of
 * both. */
#include <inttypes.h>

#include "base/text.h"
#include "rec/fields.h"
#include "rec/node.h"
#include "rec/schema.h"

static struct node word(struct arena *a, const char *s)
{
	struct node n = node_text(a, s);

	n.word = true;
	return n;
}

static struct node literal(struct arena *a, const char *s)
{
	struct node n = node_text(a, s);

	n.plain = true;
	return n;
}

static struct node integer(struct arena *a, int64_t v)
{
	return literal(a, arena_printf(a, "%" PRId64, v));
}

static struct node list(struct arena *a, size_t n)
{
	return (struct node){ .kind = NODE_LIST, .items = arena_new_array(a, n + 1, struct node), .n = n };
}

static struct node name_of(struct arena *a, const char *const *names, int i)
{
	for (int k = 0; names[k]; k++)
		if (k == i)
			return node_text(a, names[k]);
	return node_text(a, "");
}

static struct node flags_node(struct arena *a, const struct field *f, unsigned bits)
{
	struct node map = { .kind = NODE_MAP };

	for (int i = 0; i < 32 && f->names[i]; i++)
		if (bits & 1U << i)
			node_add(a, &map, f->names[i], literal(a, "true"));
	return map;
}

static struct node strv_node(struct arena *a, const struct field *f, const struct strv *v)
{
	if ((f->flags & F_LAX) && v->n == 1)
		return node_text(a, v->v[0]);
	struct node n = list(a, v->n);
	for (size_t i = 0; i < v->n; i++)
		n.items[i] = node_text(a, v->v[i]);
	return n;
}

static struct node intv_node(struct arena *a, const struct intv *v)
{
	struct node n = list(a, v->n);

	for (size_t i = 0; i < v->n; i++)
		n.items[i] = integer(a, v->v[i]);
	return n;
}

static struct node objv_node(struct arena *a, const struct field *f, const struct vec *v, enum node_use use)
{
	struct node n = list(a, v->n);

	for (size_t i = 0; i < v->n; i++)
		n.items[i] = rec_node(a, f->sub, (const char *)v->v + i * f->sub->size, use);
	return n;
}

static struct node any_node(struct arena *a, const char *json)
{
	struct err ignored = { 0 };
	struct node n = { 0 };

	/* Everything that sets an F_ANY writes JSON; were it not, showing it as text loses nothing. */
	return json_parse(a, "", bytes_of(json), &n, &ignored) == 0 ? n : node_text(a, json);
}

struct node field_node(struct arena *a, const struct field *f, const void *p, enum node_use use)
{
	const struct dur *d = p;

	if ((f->flags & F_SECRET) && use == NODE_SHOW)
		return node_text(a, "***");
	switch (f->kind) {
	case F_STR:
	case F_REF:
		return node_text(a, *(char *const *)p);
	case F_INT:
		return integer(a, *(const int64_t *)p);
	case F_BOOL:
		return literal(a, *(const bool *)p ? "true" : "false");
	case F_ENUM:
		return name_of(a, f->names, *(const int *)p);
	case F_FLAGS:
		return flags_node(a, f, *(const unsigned *)p);
	case F_DUR:
		return word(a, d->text ? d->text : dur_format(a, d->secs));
	case F_TIME:
		return word(a, tm_format(a, *(const int64_t *)p));
	case F_BYTES:
		return node_text(a, b64_encode(a, *(const struct bytes *)p));
	case F_STRV:
	case F_REFV:
		return strv_node(a, f, p);
	case F_INTV:
		return intv_node(a, p);
	case F_OBJ:
		return rec_node(a, f->sub, p, use);
	case F_OBJV:
		return objv_node(a, f, p, use);
	case F_ANY:
		return any_node(a, *(char *const *)p);
	}
	return node_text(a, "");
}

/* Whether the field stands in the result at all. */
static bool wanted(struct arena *a, const struct field *f, const void *p, enum node_use use)
{
	bool always = f->flags & (F_REQ | F_SHOW0);

	if ((f->flags & F_IN) || (use == NODE_STORE && (f->flags & F_OUT)))
		return false;
	if (f->kind == F_STRV || f->kind == F_REFV || f->kind == F_INTV || f->kind == F_OBJV) {
		if (always)
			return true;
	}
	if (field_absent(f, p))
		return always && f->kind == F_INT;
	if (always || (use == NODE_SHOW && f->kind != F_OBJ && f->kind != F_FLAGS))
		return true;
	return !field_is_default(a, f, p);
}

bool rec_shown(struct arena *a, const struct field *f, const void *at)
{
	return wanted(a, f, at, NODE_SHOW);
}

struct node rec_node(struct arena *a, const struct schema *s, const void *rec, enum node_use use)
{
	struct node map = { .kind = NODE_MAP };

	for (const struct field *f = s->fields; f->name; f++) {
		const void *p = (const char *)rec + f->off;

		if (wanted(a, f, p, use))
			node_add(a, &map, f->name, field_node(a, f, p, use));
	}
	return map;
}

void rec_emit(const struct schema *s, const void *rec, struct buf *out)
{
	SCOPED_ARENA *a = arena_new();
	struct node n = rec_node(a, s, rec, NODE_STORE);

	yaml_print(&n, out);
}

void rec_show_yaml(const struct schema *s, const void *rec, struct buf *out)
{
	SCOPED_ARENA *a = arena_new();
	struct node n = rec_node(a, s, rec, NODE_SHOW);

	yaml_print(&n, out);
}

void rec_json(const struct schema *s, const void *rec, int indent, struct buf *out)
{
	SCOPED_ARENA *a = arena_new();
	struct node n = rec_node(a, s, rec, NODE_SHOW);

	json_print(&n, indent, out);
}
