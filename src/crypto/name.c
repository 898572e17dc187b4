/* What can be done with a distinguished name in DER: look, check, compare, merge. Attributes of unknown type are
 * carried as they are and never dropped. */
#include "crypto/name.h"

#include <string.h>

#include "crypto/der.h"
#include "crypto/dn.h"

bool name_empty(struct bytes der)
{
	return der.n == 0 || (der.n == 2 && der.p[0] == 0x30 && der.p[1] == 0);
}

static struct strv *field_of(const struct attr *t, struct subject_fields *f)
{
	return (struct strv *)(void *)((char *)f + t->field);
}

static const struct strv *values_of(const struct attr *t, const struct subject_fields *f)
{
	return (const struct strv *)(const void *)((const char *)f + t->field);
}

int name_fields(struct arena *a, struct bytes der, struct subject_fields *ret, struct err *e)
{
	struct subject_fields f = { 0 };
	struct dn dn;

	if (dn_read(a, der, &dn, e) < 0)
		return -1;
	for (size_t i = 0; i < dn.n; i++) {
		const struct attr *t = dn.v[i].attr;
		char *text = ava_text(a, &dn.v[i]);
		struct strv *list;

		if (!t || t->field == NO_FIELD || !text)
			continue;
		list = field_of(t, &f);
		list->v = arena_grow(a, list->v, list->n, sizeof(*list->v));
		list->v[list->n++] = text;
		list->set = true;
	}
	*ret = f;
	return 0;
}

char *name_cn(struct arena *a, struct bytes der)
{
	struct err ignored = { 0 };
	struct dn dn;

	if (dn_read(a, der, &dn, &ignored) < 0)
		return NULL;
	for (size_t i = 0; i < dn.n; i++)
		if (dn.v[i].attr && strcmp(dn.v[i].attr->name, "CN") == 0)
			return ava_text(a, &dn.v[i]);
	return NULL;
}

static int add_values(struct arena *a, struct dn *dn, const struct attr *t, const struct strv *list, size_t from,
		      struct err *e)
{
	for (size_t i = from; i < list->n; i++) {
		struct ava v;

		if (ava_encode(a, t, list->v[i], &v, e) < 0)
			return -1;
		dn_add(a, dn, v);
	}
	return 0;
}

int name_from_fields(struct arena *a, const struct subject_fields *f, struct bytes *ret_der, struct err *e)
{
	struct dn dn = { 0 };

	for (size_t i = 0; i < ATTR_FIELDS; i++)
		if (add_values(a, &dn, &attrs[i], values_of(&attrs[i], f), 0, e) < 0)
			return -1;
	*ret_der = dn_write(a, &dn);
	return 0;
}

struct merge {
	struct dn out;
	const struct subject_fields *fields;
	bool done[ATTR_FIELDS];
	bool late[ATTR_FIELDS]; /* further values are due once the RDN at hand has ended */
	bool open;              /* the RDN at hand has an attribute in `out` */
};

static int end_rdn(struct arena *a, struct merge *m, struct err *e)
{
	for (size_t i = 0; i < ATTR_FIELDS; i++) {
		if (m->late[i] && add_values(a, &m->out, &attrs[i], values_of(&attrs[i], m->fields), 1, e) < 0)
			return -1;
		m->late[i] = false;
	}
	m->open = false;
	return 0;
}

static int merge_one(struct arena *a, struct merge *m, struct ava v, struct err *e)
{
	size_t i = v.attr ? (size_t)(v.attr - attrs) : ATTR_FIELDS;
	const struct strv *mine = i < ATTR_FIELDS ? values_of(v.attr, m->fields) : NULL;

	if (mine && mine->n) {
		if (m->done[i])
			return 0;
		m->done[i] = true;
		m->late[i] = mine->n > 1;
		if (ava_encode(a, v.attr, mine->v[0], &v, e) < 0)
			return -1;
	} else if (ava_renew(a, &v, e) < 0) {
		return -1;
	}
	v.joins = m->open;
	m->open = true;
	dn_add(a, &m->out, v);
	return 0;
}

int name_merge(struct arena *a, struct bytes base_der, const struct subject_fields *f, struct bytes *ret_der,
	       struct err *e)
{
	struct merge m = { .fields = f };
	struct dn base;

	if (dn_read(a, base_der, &base, e) < 0)
		return -1;
	for (size_t i = 0; i < base.n; i++) {
		if (!base.v[i].joins && end_rdn(a, &m, e) < 0)
			return -1;
		if (merge_one(a, &m, base.v[i], e) < 0)
			return -1;
	}
	if (end_rdn(a, &m, e) < 0)
		return -1;
	for (size_t i = 0; i < ATTR_FIELDS; i++)
		if (!m.done[i] && add_values(a, &m.out, &attrs[i], values_of(&attrs[i], f), 0, e) < 0)
			return -1;
	*ret_der = dn_write(a, &m.out);
	return 0;
}

int name_check(struct bytes der, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct dn dn;

	if (dn_read(a, der, &dn, e) < 0)
		return -1;
	for (size_t i = 0; i < dn.n; i++)
		if (ava_check(a, &dn.v[i], e) < 0)
			return -1;
	return 0;
}

/* Runs of spaces count as one, none at the ends; case is folded in ASCII only, as OpenSSL does. */
static char *prepared(struct arena *a, const char *text)
{
	char *out = arena_strdup(a, text), *w = out;

	for (const char *p = text; *p; p++) {
		if (*p == ' ') {
			if (w > out && w[-1] != ' ')
				*w++ = ' ';
			continue;
		}
		*w++ = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
	}
	if (w > out && w[-1] == ' ')
		w--;
	*w = 0;
	return out;
}

static bool same_value(struct arena *a, const struct ava *x, const struct ava *y)
{
	const char *s, *t;

	if (x->joins != y->joins || !bytes_equal(x->oid, y->oid))
		return false;
	if (x->tag == y->tag && bytes_equal(x->value, y->value))
		return true;
	s = ava_text(a, x);
	t = ava_text(a, y);
	return s && t && strcmp(prepared(a, s), prepared(a, t)) == 0;
}

bool name_equal(struct bytes x, struct bytes y)
{
	struct err ignored = { 0 };
	struct dn p, q;

	if (bytes_equal(x, y))
		return true;

	SCOPED_ARENA *a = arena_new();

	if (dn_read(a, x, &p, &ignored) < 0 || dn_read(a, y, &q, &ignored) < 0 || p.n != q.n)
		return false;
	for (size_t i = 0; i < p.n; i++)
		if (!same_value(a, &p.v[i], &q.v[i]))
			return false;
	return true;
}
