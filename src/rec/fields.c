/* One field's value: whether it is there, whether it equals another, and which names a schema has. */
#include "rec/fields.h"

#include <stdlib.h>

#include "base/text.h"

const struct field *field_find(const struct schema *s, const char *name)
{
	for (const struct field *f = s->fields; f->name; f++) {
		if (strcmp(f->name, name) == 0)
			return f;
		for (const char *const *aka = f->aka; aka && *aka; aka++)
			if (strcmp(*aka, name) == 0)
				return f;
	}
	return NULL;
}

const char **field_names(struct arena *a, const struct schema *s, bool all)
{
	const char **names = arena_new_array(a, 64, const char *);
	size_t n = 0;

	for (const struct field *f = s->fields; f->name && n < 63; f++)
		if (all || !(f->flags & F_OUT))
			names[n++] = f->name;
	return names;
}

const struct field *field_find_like(const struct schema *s, const char *name)
{
	const struct field *f = field_find(s, name);

	if (f)
		return f;
	for (f = s->fields; f->name; f++)
		if (text_same_name(f->name, name))
			return f;
	return NULL;
}

int field_unknown(struct arena *a, const struct schema *s, const char *name, struct err *e)
{
	const char **names = field_names(a, s, true), *near = text_nearest(name, names);
	SCOPED_BUF known = buf_init(600);

	if (near)
		return err_set(e, ERR_INVALID, "unknown field \"%s\"; did you mean \"%s\"?", name, near);
	for (size_t i = 0; names[i]; i++)
		buf_printf(&known, " %s", names[i]);
	return err_set(e, ERR_INVALID, "unknown field \"%s\"; known are%s", name, buf_str(&known));
}

const struct field *field_rest(const struct schema *s)
{
	for (const struct field *f = s->fields; f->name; f++)
		if (f->flags & F_REST)
			return f;
	return NULL;
}

int field_bit(const struct field *f, const char *name)
{
	for (int i = 0; f->names[i]; i++)
		if (*f->names[i] && text_same_name(f->names[i], name))
			return i;
	return -1;
}

bool field_is_id(const struct schema *s, const struct field *f)
{
	return (f->flags & F_KEY) && f->kind == F_STR && s->path && strstr(s->path, "%s");
}

bool field_absent(const struct field *f, const void *p)
{
	switch (f->kind) {
	case F_STR:
	case F_REF:
	case F_ANY:
		return !*(char *const *)p;
	case F_TIME:
		return *(const int64_t *)p == 0;
	case F_DUR:
		return ((const struct dur *)p)->secs == 0 && !((const struct dur *)p)->text;
	case F_BYTES:
		return ((const struct bytes *)p)->n == 0;
	case F_STRV:
	case F_REFV:
		return !((const struct strv *)p)->set && ((const struct strv *)p)->n == 0;
	case F_INTV:
		return !((const struct intv *)p)->set && ((const struct intv *)p)->n == 0;
	case F_OBJV:
		return ((const struct vec *)p)->n == 0;
	case F_INT: /* a default below zero stands for "none" */
		return f->dflt && *f->dflt == '-' && *(const int64_t *)p == strtoll(f->dflt, NULL, 10);
	case F_ENUM: /* below zero: none of the names */
		return *(const int *)p < 0;
	case F_FLAGS:
	case F_BOOL:
	case F_OBJ:
		return false;
	}
	return false;
}

static bool same_text(const char *x, const char *y)
{
	return x && y ? strcmp(x, y) == 0 : x == y;
}

static bool same_strv(const struct strv *x, const struct strv *y)
{
	if (x->n != y->n || (x->set || x->n) != (y->set || y->n))
		return false;
	for (size_t i = 0; i < x->n; i++)
		if (strcmp(x->v[i], y->v[i]) != 0)
			return false;
	return true;
}

static bool same_intv(const struct intv *x, const struct intv *y)
{
	if (x->n != y->n || (x->set || x->n) != (y->set || y->n))
		return false;
	return x->n == 0 || memcmp(x->v, y->v, x->n * sizeof(*x->v)) == 0;
}

static bool same_dur(const struct dur *x, const struct dur *y)
{
	if (x->secs != y->secs)
		return false;
	return x->text && y->text ? strcmp(x->text, y->text) == 0 : x->secs != 0 || x->text == y->text;
}

static bool same_record(const struct schema *s, const void *x, const void *y)
{
	for (const struct field *f = s->fields; f->name; f++)
		if (!(f->flags & F_OUT) && !field_equal(f, (const char *)x + f->off, (const char *)y + f->off))
			return false;
	return true;
}

static bool same_vec(const struct schema *s, const struct vec *x, const struct vec *y)
{
	if (x->n != y->n)
		return false;
	for (size_t i = 0; i < x->n; i++)
		if (!same_record(s, (const char *)x->v + i * s->size, (const char *)y->v + i * s->size))
			return false;
	return true;
}

bool field_equal(const struct field *f, const void *p, const void *q)
{
	switch (f->kind) {
	case F_STR:
	case F_REF:
	case F_ANY:
		return same_text(*(char *const *)p, *(char *const *)q);
	case F_INT:
	case F_TIME:
		return *(const int64_t *)p == *(const int64_t *)q;
	case F_BOOL:
		return *(const bool *)p == *(const bool *)q;
	case F_ENUM:
		return *(const int *)p == *(const int *)q;
	case F_FLAGS:
		return *(const unsigned *)p == *(const unsigned *)q;
	case F_DUR:
		return same_dur(p, q);
	case F_BYTES:
		return bytes_equal(*(const struct bytes *)p, *(const struct bytes *)q);
	case F_STRV:
	case F_REFV:
		return same_strv(p, q);
	case F_INTV:
		return same_intv(p, q);
	case F_OBJ:
		return same_record(f->sub, p, q);
	case F_OBJV:
		return same_vec(f->sub, p, q);
	}
	return false;
}

bool field_is_default(struct arena *a, const struct field *f, const void *p)
{
	struct field one[] = { *f, { .name = NULL } };
	struct schema s = { .fields = one };

	/* A record of this one field, at the start of its own memory. */
	one[0].off = 0;
	s.size = f->kind == F_OBJ ? f->sub->size : 64;
	void *dflt = arena_alloc(a, 1, s.size);
	rec_default(a, &s, dflt);
	return field_equal(f, p, dflt);
}

bool rec_equal(const struct schema *s, const void *x, const void *y)
{
	return same_record(s, x, y);
}
