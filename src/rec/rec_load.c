/* From a document to a record: the schema decides what each scalar means, so a country "no" stays "no". Whatever is not
 * understood is refused with its place, its path and, for names, the nearest one; the first mistake is reported. Values
 * of secret fields never appear in a message. */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/text.h"
#include "rec/fields.h"
#include "rec/node.h"
#include "rec/schema.h"

struct load {
	struct arena *a;
	const char *file;
	struct err *e;
};

struct path {
	const struct path *up;
	const char *name; /* NULL: the item `index` of a list */
	size_t index;
};

static void put_path(const struct path *at, struct buf *b)
{
	if (!at)
		return;
	put_path(at->up, b);
	if (b->n)
		buf_putc(b, '.');
	if (at->name)
		buf_puts(b, at->name);
	else
		buf_printf(b, "%zu", at->index);
}

PRINTF(4, 5) static int bad(struct load *l, const struct node *n, const struct path *at, const char *fmt, ...)
{
	SCOPED_BUF where = buf_init(256);
	char why[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	put_path(at, &where);
	return err_set(l->e, ERR_INVALID, "%s:%zu:%zu: %s%s%s", l->file, n->line, n->column, buf_str(&where),
		       where.n ? ": " : "", why);
}

/* What the user wrote, for a message: escaped, and no longer than a line. */
static const char *shown(struct load *l, const char *text)
{
	char *s = arena_alloc(l->a, 64, 1);

	text_escape_into(s, 64, bytes_of(text));
	return s;
}

static const char *hint(struct load *l, const char *got, const char *const *names)
{
	const char *near = text_nearest(got, names);

	return near ? arena_printf(l->a, "; did you mean \"%s\"?", near) : "";
}

static int need_scalar(struct load *l, const struct node *n, const struct path *at, const char *what)
{
	if (n->kind != NODE_SCALAR)
		return bad(l, n, at, "must be %s, not a %s", what, n->kind == NODE_MAP ? "mapping" : "list");
	if (node_is_null(n))
		return bad(l, n, at, "must not be empty or null; leave the field out, or write \"\" for an empty text");
	return 0;
}

/* The forms by which a document may name a secret. */
bool field_is_reference(const char *s)
{
	static const char *const prefixes[] = { "env:", "file:", "fd:", "command:" };
	static const char name[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";

	for (size_t i = 0; i < COUNT(prefixes); i++)
		if (text_has_prefix(s, prefixes[i]))
			return s[strlen(prefixes[i])];
	if (!text_has_prefix(s, "${"))
		return false;
	size_t n = strspn(s + 2, name);
	return n > 0 && strcmp(s + 2 + n, "}") == 0;
}

static int bind_text(struct load *l, const struct field *f, const struct node *n, const struct path *at, char **ret)
{
	if (need_scalar(l, n, at, "a text") != 0)
		return -1;
	if ((f->flags & F_SECRET) && !field_is_reference(n->text))
		return bad(l, n, at,
			   "a secret may only be given by reference: ${NAME}, env:NAME, file:PATH, fd:N or "
			   "command:ARGV");
	if (f->kind == F_REF && !(f->flags & F_REQ) && *n->text == '\0')
		return 0; /* encoders of JSON write "" for what was not said */
	if ((f->kind == F_REF || f->kind == F_REFV) && !id_valid(n->text))
		return bad(l, n, at, "\"%s\" is not a valid id: [a-z0-9][a-z0-9._-]{0,63}", shown(l, n->text));
	*ret = arena_strdup(l->a, n->text);
	return 0;
}

static bool in_range(const struct field *f, int64_t v)
{
	return (f->min == 0 && f->max == 0) || (v >= f->min && v <= f->max);
}

static int bind_int(struct load *l, const struct field *f, const struct node *n, const struct path *at, int64_t *ret)
{
	char *end;

	if (need_scalar(l, n, at, "an integer") != 0)
		return -1;
	const char *digits = n->text + (*n->text == '-' || *n->text == '+');
	if (!n->plain || !*digits || digits[strspn(digits, "0123456789")])
		return bad(l, n, at, "must be an integer, not \"%s\"", shown(l, n->text));
	errno = 0;
	long long v = strtoll(n->text, &end, 10);
	if (errno != 0 || !in_range(f, v))
		return f->min || f->max ? bad(l, n, at, "must be from %lld to %lld", (long long)f->min,
					      (long long)f->max)
					: bad(l, n, at, "this number is too large");
	*ret = v;
	return 0;
}

static int bind_bool(struct load *l, const struct node *n, const struct path *at, bool *ret)
{
	if (need_scalar(l, n, at, "true or false") != 0)
		return -1;
	bool yes = strcasecmp(n->text, "true") == 0;
	if (!n->plain || (!yes && strcasecmp(n->text, "false") != 0))
		return bad(l, n, at, "must be true or false, not \"%s\"", shown(l, n->text));
	*ret = yes;
	return 0;
}

static const char *name_list(struct load *l, const char *const *names)
{
	SCOPED_BUF b = buf_init(300);

	for (int i = 0; names[i]; i++)
		if (*names[i])
			buf_printf(&b, "%s%s", b.n ? ", " : "", names[i]);
	return arena_strdup(l->a, buf_str(&b));
}

static int bind_name(struct load *l, const struct field *f, const struct node *n, const struct path *at, int *ret)
{
	if (need_scalar(l, n, at, "a name") != 0)
		return -1;
	int i = *n->text || *f->names[0] ? field_bit(f, n->text) : 0; /* a first name of "" stands for "not said" */
	if (i < 0) {
		const char *near = hint(l, n->text, f->names);

		return bad(l, n, at, "\"%s\" is not one of %s%s", shown(l, n->text), name_list(l, f->names), near);
	}
	*ret = i;
	return 0;
}

static int bind_dur(struct load *l, const struct field *f, const struct node *n, const struct path *at, struct dur *ret)
{
	struct err why = { 0 };
	int64_t secs;

	if (need_scalar(l, n, at, "a duration such as 90d") != 0)
		return -1;
	if (dur_parse(n->text, &secs, &why) != 0)
		return bad(l, n, at, "%s", why.msg);
	if (!in_range(f, secs))
		return bad(l, n, at, "must be from %s to %s", dur_format(l->a, f->min), dur_format(l->a, f->max));
	*ret = (struct dur){ secs, arena_strdup(l->a, n->text) };
	return 0;
}

static int bind_time(struct load *l, const struct field *f, const struct node *n, const struct path *at, int64_t *ret)
{
	struct err why = { 0 };
	int64_t t;

	if (need_scalar(l, n, at, "a time such as 2030-01-31T12:00:00Z") != 0)
		return -1;
	if (tm_parse(n->text, &t, &why) != 0)
		return bad(l, n, at, "%s", why.msg);
	if (!in_range(f, t))
		return bad(l, n, at, "must be from %s to %s", tm_format(l->a, f->min), tm_format(l->a, f->max));
	if (t == 0)
		return bad(l, n, at, "the very second of the epoch is not accepted");
	*ret = t;
	return 0;
}

static int bind_bytes(struct load *l, const struct node *n, const struct path *at, struct bytes *ret)
{
	if (need_scalar(l, n, at, "base64") != 0)
		return -1;
	if (b64_decode(l->a, bytes_of(n->text), ret) != 0)
		return bad(l, n, at, "must be base64");
	return 0;
}

static int bind_strv(struct load *l, const struct field *f, const struct node *n, const struct path *at,
		     struct strv *ret)
{
	bool single = n->kind == NODE_SCALAR && (f->flags & F_LAX);

	if (!single && n->kind != NODE_LIST)
		return bad(l, n, at, "must be a list");
	size_t count = single ? 1 : n->n;
	char **v = arena_new_array(l->a, count + 1, char *);
	for (size_t i = 0; i < count; i++) {
		struct path item = { at, NULL, i };

		if (bind_text(l, f, single ? n : &n->items[i], single ? at : &item, &v[i]) != 0)
			return -1;
	}
	*ret = (struct strv){ v, count, true };
	return 0;
}

static int bind_intv(struct load *l, const struct field *f, const struct node *n, const struct path *at,
		     struct intv *ret)
{
	if (n->kind != NODE_LIST)
		return bad(l, n, at, "must be a list");
	int64_t *v = arena_new_array(l->a, n->n + 1, int64_t);
	for (size_t i = 0; i < n->n; i++) {
		struct path item = { at, NULL, i };

		if (bind_int(l, f, &n->items[i], &item, &v[i]) != 0)
			return -1;
	}
	*ret = (struct intv){ v, n->n, true };
	return 0;
}

/* {a: true, b: false}, [a] or a. */
static int bind_flags(struct load *l, const struct field *f, const struct node *n, const struct path *at, unsigned *ret)
{
	size_t step = n->kind == NODE_MAP ? 2 : 1, count = n->kind == NODE_SCALAR ? 1 : n->n;
	const struct node *items = n->kind == NODE_SCALAR ? n : n->items;
	unsigned seen = 0, bits = 0;
	int bit = 0;

	for (size_t i = 0; i < count; i += step) {
		bool on = true;

		if (bind_name(l, f, &items[i], at, &bit) != 0)
			return -1;
		struct path here = { at, f->names[bit], 0 };
		if (seen & 1U << bit)
			return bad(l, &items[i], &here, "given twice");
		if (step == 2 && bind_bool(l, &items[i + 1], &here, &on) != 0)
			return -1;
		seen |= 1U << bit;
		bits |= on ? 1U << bit : 0;
	}
	*ret = bits;
	return 0;
}

static int bind_any(struct load *l, const struct node *n, const struct path *at, char **ret)
{
	struct node copy = *n;
	const struct node *culprit;
	const char *why;

	if (node_is_null(n))
		return bad(l, n, at, "must not be empty or null; leave the field out");
	if (any_resolve(l->a, &copy, &culprit, &why) != 0)
		return bad(l, culprit, at, "%s", why);
	SCOPED_BUF json = buf_init(BUF_BIG);
	json_print(&copy, 0, &json);
	*ret = arena_strdup(l->a, buf_str(&json));
	return 0;
}

static int bind_map(struct load *, const struct schema *, const struct node *, const struct path *, void *rec);

static int bind_objv(struct load *l, const struct field *f, const struct node *n, const struct path *at,
		     struct vec *ret)
{
	if (n->kind != NODE_LIST)
		return bad(l, n, at, "must be a list");
	char *v = arena_alloc(l->a, n->n + 1, f->sub->size);
	for (size_t i = 0; i < n->n; i++) {
		struct path item = { at, NULL, i };

		if (bind_map(l, f->sub, &n->items[i], &item, v + i * f->sub->size) != 0)
			return -1;
	}
	*ret = (struct vec){ v, n->n };
	return 0;
}

static int bind_field(struct load *l, const struct field *f, const struct node *n, const struct path *at, void *p)
{
	switch (f->kind) {
	case F_STR:
	case F_REF:
		return bind_text(l, f, n, at, p);
	case F_INT:
		return bind_int(l, f, n, at, p);
	case F_BOOL:
		return bind_bool(l, n, at, p);
	case F_ENUM:
		return bind_name(l, f, n, at, p);
	case F_FLAGS:
		return bind_flags(l, f, n, at, p);
	case F_DUR:
		return bind_dur(l, f, n, at, p);
	case F_TIME:
		return bind_time(l, f, n, at, p);
	case F_BYTES:
		return bind_bytes(l, n, at, p);
	case F_STRV:
	case F_REFV:
		return bind_strv(l, f, n, at, p);
	case F_INTV:
		return bind_intv(l, f, n, at, p);
	case F_OBJ:
		return bind_map(l, f->sub, n, at, p);
	case F_OBJV:
		return bind_objv(l, f, n, at, p);
	case F_ANY:
		return bind_any(l, n, at, p);
	}
	return -1;
}

static int unknown_field(struct load *l, const struct schema *s, const struct node *key, const struct path *at)
{
	const char **names = field_names(l->a, s, false);
	struct path here = { at, shown(l, key->text), 0 };

	return bad(l, key, &here, "unknown field%s", hint(l, key->text, names));
}

/* What is gathered while the members of one mapping are bound. */
struct members {
	const struct schema *s;
	const struct path *at;
	void *rec;
	uint64_t seen;
	const struct field *rest; /* F_REST: its own members and those that no row names; NULL: they are refused */
	struct node others;
};

static int take_rest(struct load *l, struct members *m, const struct node *first, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		m->others.items = arena_grow(l->a, m->others.items, m->others.n, sizeof(*first));
		m->others.items[m->others.n++] = first[i];
	}
	return 0;
}

static int bind_member(struct load *l, struct members *m, const struct node *key, const struct node *value)
{
	const struct field *f = field_find(m->s, key->text);

	if (!f)
		return m->rest ? take_rest(l, m, key, 2) : unknown_field(l, m->s, key, m->at);
	struct path here = { m->at, f->name, 0 };
	uint64_t bit = UINT64_C(1) << (f - m->s->fields);
	void *p = (char *)m->rec + f->off;
	if (m->seen & bit)
		return bad(l, key, &here, "given twice");
	if (f->flags & F_OUT)
		return bad(l, key, &here, "is computed and cannot be given");
	/* Encoders of JSON write null for what was not said; "note:" with nothing behind it is a slip. */
	if (value->kind == NODE_SCALAR && value->plain && strcmp(value->text, "null") == 0 && !(f->flags & F_REQ)) {
		m->seen |= bit;
		return 0;
	}
	m->seen |= bit;
	if (f == m->rest)
		return value->kind == NODE_MAP ? take_rest(l, m, value->items, value->n)
					       : bad(l, value, &here, "must be a mapping");
	if (bind_field(l, f, value, &here, p) != 0)
		return -1;
	if (field_is_id(m->s, f) && !id_valid(*(char **)p))
		return bad(l, value, &here, "not a valid id: [a-z0-9][a-z0-9._-]{0,63}");
	return 0;
}

/* The value of the member that a path or a message begins with ("validity.duration", "name: is too long", "names.2"),
 * at any depth; the mapping itself where it has no such member. */
static const struct node *place_of(struct arena *a, const struct schema *s, const struct node *n, const char *path)
{
	size_t len = strcspn(path, ".:"), i = 0;

	if (n->kind == NODE_LIST && path_index(path, len, &i) && i < n->n)
		return path[len] == '.' ? place_of(a, s, &n->items[i], path + len + 1) : &n->items[i];
	i = 0;
	const struct field *f = s && n->kind == NODE_MAP ? field_find(s, arena_strndup(a, path, len)) : NULL;

	while (f && i < n->n && field_find(s, n->items[i].text) != f)
		i += 2;
	if (!f || i >= n->n)
		return n;
	return path[len] == '.' ? place_of(a, f->sub, &n->items[i + 1], path + len + 1) : &n->items[i + 1];
}

/* After the last member: what is missing, and the rules between fields. */
static int finish_map(struct load *l, struct members *m, const struct node *n)
{
	if (m->others.n) {
		struct path here = { m->at, m->rest->name, 0 };

		m->others.line = n->line;
		m->others.column = n->column;
		if (bind_any(l, &m->others, &here, (void *)((char *)m->rec + m->rest->off)) != 0)
			return -1;
	}
	for (const struct field *f = m->s->fields; f->name; f++) {
		struct path here = { m->at, f->name, 0 };

		if ((f->flags & F_REQ) && !(m->seen & UINT64_C(1) << (f - m->s->fields)))
			return bad(l, n, &here, "is required");
	}
	if (m->s->check && m->s->check(l->a, m->rec, l->e) != 0) {
		const struct node *culprit = place_of(l->a, m->s, n, l->e->msg);
		SCOPED_BUF where = buf_init(256);

		put_path(m->at, &where);
		return err_ctx(l->e, "%s:%zu:%zu%s%s", l->file, culprit->line, culprit->column, where.n ? ": " : "",
			       buf_str(&where));
	}
	return 0;
}

static int bind_map(struct load *l, const struct schema *s, const struct node *n, const struct path *at, void *rec)
{
	struct members m = { .s = s, .at = at, .rec = rec, .rest = field_rest(s), .others = { .kind = NODE_MAP } };

	if (n->kind != NODE_MAP)
		return bad(l, n, at, "must be a mapping");
	rec_default(l->a, s, rec);
	for (size_t i = 0; i < n->n; i += 2)
		if (bind_member(l, &m, &n->items[i], &n->items[i + 1]) != 0)
			return -1;
	return finish_map(l, &m, n);
}

int rec_load(struct arena *a, const struct schema *s, const char *file, struct bytes text, void *rec, struct err *e)
{
	struct load l = { a, file, e };
	struct doc doc;
	void *fresh;

	if (doc_parse(a, file, text, &doc, e) != 0)
		return -1;
	fresh = arena_alloc(a, 1, s->size);
	if (bind_map(&l, s, &doc.root, NULL, fresh) != 0)
		return -1;
	memcpy(rec, fresh, s->size);
	return 0;
}

void rec_place(struct arena *a, const struct schema *s, const char *file, struct bytes text, const char *path,
	       struct err *e)
{
	struct err ignored = { 0 };
	const struct node *n;
	struct doc doc;

	if (doc_parse(a, file, text, &doc, &ignored) != 0) {
		err_ctx(e, "%s", file);
		return;
	}
	n = place_of(a, s, &doc.root, path);
	err_ctx(e, "%s:%zu:%zu", file, n->line, n->column);
}

/* A default stands in the table as in a document; lists and mappings in flow style. */
static void set_default(struct arena *a, const struct field *f, void *p)
{
	struct err e = { 0 };
	struct load l = { a, f->name, &e };
	struct node n = { .kind = NODE_SCALAR, .plain = true, .line = 1, .column = 1 };
	int rc = 0;

	if (*f->dflt == '[' || *f->dflt == '{')
		rc = yaml_parse(a, f->name, bytes_of(f->dflt), &n, &e);
	else
		n.text = arena_strdup(a, f->dflt);
	n.plain = n.plain && *f->dflt;
	if (rc == 0)
		rc = bind_field(&l, f, &n, NULL, p);
	assert(rc == 0);
}

void rec_default(struct arena *a, const struct schema *s, void *rec)
{
	memset(rec, 0, s->size);
	for (const struct field *f = s->fields; f->name; f++) {
		void *p = (char *)rec + f->off;

		if (f->kind == F_OBJ)
			rec_default(a, f->sub, p);
		else if (f->dflt)
			set_default(a, f, p);
	}
}

static int check_field(struct arena *a, const struct schema *s, const struct field *f, void *p, struct err *e)
{
	if ((f->flags & F_REQ) && field_absent(f, p))
		return err_set(e, ERR_INVALID, "%s: is required", f->name);
	if (field_is_id(s, f) && *(char **)p && !id_valid(*(char **)p))
		return err_set(e, ERR_INVALID, "%s: not a valid id: [a-z0-9][a-z0-9._-]{0,63}", f->name);
	if (f->kind == F_OBJ && !field_is_default(a, f, p) && rec_check(a, f->sub, p, e) != 0)
		return err_ctx(e, "%s", f->name);
	if (f->kind == F_OBJV) {
		struct vec *v = p;

		for (size_t i = 0; i < v->n; i++)
			if (rec_check(a, f->sub, (char *)v->v + i * f->sub->size, e) != 0)
				return err_ctx(e, "%s.%zu", f->name, i);
	}
	return 0;
}

int rec_check(struct arena *a, const struct schema *s, void *rec, struct err *e)
{
	for (const struct field *f = s->fields; f->name; f++)
		if (check_field(a, s, f, (char *)rec + f->off, e) != 0)
			return -1;
	return s->check ? s->check(a, rec, e) : 0;
}
