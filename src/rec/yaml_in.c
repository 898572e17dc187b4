/* Reads YAML into a tree, event by event, so that aliases, anchors and tags are refused before anything is expanded and
 * limits hold while reading. Scalars keep the text as written; what it means is for the schema to say. */
#include <yaml.h>

#include "rec/node.h"
#include "rec/schema.h"

DEFINE_AUTO(yaml_parser_t, yaml_parser_delete)
DEFINE_AUTO(yaml_event_t, yaml_event_delete)

struct reader {
	struct arena *a;
	const char *file;
	struct bytes text;
	yaml_parser_t *parser;
	size_t nodes;
	struct err *e;
};

static int build(struct reader *, const yaml_event_t *, int depth, struct node *ret);

static int fail(struct reader *r, yaml_mark_t at, const char *why)
{
	return err_set(r->e, ERR_INVALID, "%s:%zu:%zu: %s", r->file, at.line + 1, at.column + 1, why);
}

static int next(struct reader *r, yaml_event_t *ev)
{
	yaml_parser_t *p = r->parser;
	yaml_mark_t at;

	if (yaml_parser_parse(p, ev))
		return 0;
	at = p->problem_mark;
	if (p->error == YAML_MEMORY_ERROR)
		return err_set(r->e, ERR_IO, "%s: out of memory", r->file);
	if (p->error == YAML_READER_ERROR) { /* comes with a byte offset and no mark */
		at = (yaml_mark_t){ 0 };
		for (size_t i = 0; i < p->problem_offset && i < r->text.n; i++, at.column++)
			if (r->text.p[i] == '\n') {
				at.line++;
				at.column = (size_t)-1;
			}
	}
	return fail(r, at, p->problem ? p->problem : "not YAML");
}

static int scalar(struct reader *r, const yaml_event_t *ev, struct node *ret)
{
	const char *text = (const char *)ev->data.scalar.value;
	yaml_scalar_style_t style = ev->data.scalar.style;

	if (strlen(text) != ev->data.scalar.length)
		return fail(r, ev->start_mark, "a NUL character is not accepted");
	ret->kind = NODE_SCALAR;
	ret->plain = style == YAML_PLAIN_SCALAR_STYLE;
	ret->block = style == YAML_LITERAL_SCALAR_STYLE || style == YAML_FOLDED_SCALAR_STYLE;
	ret->text = arena_strndup(r->a, text, ev->data.scalar.length);
	return 0;
}

static int collection(struct reader *r, const yaml_event_t *start, int depth, struct node *ret)
{
	bool map = start->type == YAML_MAPPING_START_EVENT;

	ret->kind = map ? NODE_MAP : NODE_LIST;
	ret->flow = map ? start->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE
			: start->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
	if (depth >= REC_MAX_DEPTH)
		return fail(r, start->start_mark, "nested too deeply");
	for (;;) {
		yaml_event_t event = { 0 };
		AUTO(yaml_event_t) *ev = &event;
		struct node item = { 0 };

		if (next(r, ev) != 0)
			return -1;
		if (ev->type == YAML_MAPPING_END_EVENT || ev->type == YAML_SEQUENCE_END_EVENT) {
			/* A block ends where the next token starts, which may be lines of comment later. */
			ret->end = ret->flow || ret->n == 0 ? ev->end_mark.index : ret->items[ret->n - 1].end;
			return 0;
		}
		if (build(r, ev, depth + 1, &item) != 0)
			return -1;
		if (map && ret->n % 2 == 0 && item.kind != NODE_SCALAR)
			return fail(r, ev->start_mark, "a key must be a scalar");
		ret->items = arena_grow(r->a, ret->items, ret->n, sizeof(*ret->items));
		ret->items[ret->n++] = item;
	}
}

static int build(struct reader *r, const yaml_event_t *ev, int depth, struct node *ret)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (++r->nodes > REC_MAX_NODES)
		return fail(r, ev->start_mark, "too many values in one document");
	if (ev->type == YAML_ALIAS_EVENT)
		return fail(r, ev->start_mark, "aliases are not accepted");
	if (ev->type == YAML_SCALAR_EVENT)
		anchor = ev->data.scalar.anchor, tag = ev->data.scalar.tag;
	else if (ev->type == YAML_MAPPING_START_EVENT)
		anchor = ev->data.mapping_start.anchor, tag = ev->data.mapping_start.tag;
	else if (ev->type == YAML_SEQUENCE_START_EVENT)
		anchor = ev->data.sequence_start.anchor, tag = ev->data.sequence_start.tag;
	else
		return fail(r, ev->start_mark, "the document is empty");
	if (anchor)
		return fail(r, ev->start_mark, "anchors are not accepted");
	if (tag)
		return fail(r, ev->start_mark, "tags are not accepted");

	ret->line = ev->start_mark.line + 1;
	ret->column = ev->start_mark.column + 1;
	ret->at = ev->start_mark.index;
	ret->end = ev->end_mark.index;
	return ev->type == YAML_SCALAR_EVENT ? scalar(r, ev, ret) : collection(r, ev, depth, ret);
}

/* The events around the one root: two before it, two after it. */
static int document(struct reader *r, struct node *ret)
{
	static const yaml_event_type_t around[] = { YAML_STREAM_START_EVENT, YAML_DOCUMENT_START_EVENT, YAML_NO_EVENT,
						    YAML_DOCUMENT_END_EVENT, YAML_STREAM_END_EVENT };

	for (size_t i = 0; i < COUNT(around); i++) {
		yaml_event_t event = { 0 };
		AUTO(yaml_event_t) *ev = &event;

		if (next(r, ev) != 0)
			return -1;
		if (around[i] == YAML_NO_EVENT) {
			if (build(r, ev, 0, ret) != 0)
				return -1;
		} else if (ev->type != around[i]) {
			return fail(r, ev->start_mark,
				    i < 2 ? "the document is empty" : "a second document is not accepted");
		}
	}
	return 0;
}

int yaml_parse(struct arena *a, const char *file, struct bytes text, struct node *ret, struct err *e)
{
	yaml_parser_t parser;
	struct node root = { 0 };

	if (!yaml_parser_initialize(&parser))
		return err_set(e, ERR_IO, "%s: out of memory", file);
	AUTO(yaml_parser_t) *p = &parser;
	struct reader r = { a, file, text, p, 0, e };

	yaml_parser_set_encoding(p, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(p, text.p ? text.p : (const unsigned char *)"", text.n);
	if (document(&r, &root) != 0)
		return -1;
	*ret = root;
	return 0;
}
