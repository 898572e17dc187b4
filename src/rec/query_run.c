/* Runs a query over records in memory: filters, sorts and cuts an array in place. Sorting is stable, and absent values
 * come last in either order. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "rec/fields.h"
#include "rec/node.h"
#include "rec/query.h"

struct test {
	const struct filter *f;
	const struct field *field;
	int64_t number; /* F_INT, F_TIME, F_DUR */
	char **list;    /* OP_IN, OP_NIN */
	size_t nlist;
};

static int64_t as_number(const char *text)
{
	return strtoll(text, NULL, 10);
}

static bool is_number(const char *s)
{
	s += *s == '-' || *s == '+';
	return *s && strlen(s) < 19 && !s[strspn(s, "0123456789")];
}

static bool is_ordered(const struct field *f)
{
	return f->kind == F_INT || f->kind == F_INTV || f->kind == F_TIME || f->kind == F_DUR;
}

static bool compares(enum filter_op op)
{
	return op == OP_EQ || op == OP_NE || (op >= OP_GT && op <= OP_AF);
}

/* The value of a filter or a record as a number of the field's kind. */
static int number_of(const struct field *f, const char *text, int64_t now, bool relative, int64_t *ret, struct err *e)
{
	struct err ignored = { 0 };

	if (f->kind == F_TIME)
		return relative ? query_time(text, now, ret, e) : tm_parse(text, ret, e);
	if (f->kind == F_DUR)
		return dur_parse(text, ret, &ignored) == 0 ? 0
							   : err_set(e, ERR_USAGE, "\"%s\" is not a duration", text);
	if (!is_number(text))
		return err_set(e, ERR_USAGE, "\"%s\" is not an integer", text);
	*ret = as_number(text);
	return 0;
}

static void split(struct arena *a, const char *value, struct test *t)
{
	while (*value) {
		size_t n = strcspn(value, ","), skip = strspn(value, " ");
		const char *item = value + skip;
		size_t len = n > skip ? n - skip : 0;

		while (len && item[len - 1] == ' ')
			len--;
		if (len) {
			t->list = arena_grow(a, t->list, t->nlist, sizeof(*t->list));
			t->list[t->nlist++] = arena_strndup(a, item, len);
		}
		value += n + (value[n] == ',');
	}
}

/* A record of defaults, to see whether a path leads anywhere. */
static int resolve(struct arena *a, const struct schema *s, const char *path, const struct field **ret, struct err *e)
{
	void *rec = arena_alloc(a, 1, s->size);
	struct err why = { 0 };
	struct node *n;

	rec_default(a, s, rec);
	if (rec_get_node(a, s, rec, path, &n, ret, &why) == 0)
		return 0;
	if (strstr(why.msg, "; known are "))
		return err_set(e, ERR_USAGE, "%s", why.msg);
	SCOPED_BUF known = buf_init(600);
	const char **names = field_names(a, s, true);
	for (size_t i = 0; names[i]; i++)
		buf_printf(&known, "%s%s", i ? " " : "", names[i]);
	return err_set(e, ERR_USAGE, "%s; known are %s", why.msg, buf_str(&known));
}

int query_field(struct arena *a, const struct schema *s, const char *path, struct err *e)
{
	const struct field *f;

	return resolve(a, s, path, &f, e);
}

static int compile(struct arena *a, const struct filter *f, const struct schema *s, int64_t now, struct test *t,
		   struct err *e)
{
	t->f = f;
	if (resolve(a, s, f->field, &t->field, e) != 0)
		return -1;
	if ((f->op == OP_BF || f->op == OP_AF) && t->field->kind != F_TIME && t->field->kind != F_ANY)
		return err_set(e, ERR_USAGE, "filter %s: bf and af are for times", f->field);
	if (f->op == OP_IN || f->op == OP_NIN)
		split(a, f->value, t);
	if (is_ordered(t->field) && compares(f->op) && *f->value &&
	    number_of(t->field, f->value, now, true, &t->number, e) != 0)
		return err_ctx(e, "filter %s", f->field);
	return 0;
}

static bool same(const struct test *t, const char *text, const char *value)
{
	if (t->field->kind == F_ENUM || t->field->kind == F_FLAGS)
		return text_same_name(text, value);
	return (t->f->ignore_case ? strcasecmp(text, value) : strcmp(text, value)) == 0;
}

static bool in_list(const struct test *t, const char *text)
{
	for (size_t i = 0; i < t->nlist; i++)
		if (same(t, text, t->list[i]))
			return true;
	return false;
}

static bool contains(const struct test *t, const char *text)
{
	return t->f->ignore_case ? strcasestr(text, t->f->value) : strstr(text, t->f->value);
}

static bool starts(const struct test *t, const char *text)
{
	size_t n = strlen(t->f->value);

	return (t->f->ignore_case ? strncasecmp(text, t->f->value, n) : strncmp(text, t->f->value, n)) == 0;
}

static bool ends(const struct test *t, const char *text)
{
	size_t n = strlen(t->f->value), len = strlen(text);

	return len >= n && same(t, text + len - n, t->f->value);
}

/* Below zero, zero or above as the text stands to the filter's value. */
static int compare(const struct test *t, const char *text, int64_t now)
{
	const char *value = t->f->value;
	struct err ignored = { 0 };
	int64_t x, y;

	if (is_ordered(t->field) && number_of(t->field, text, now, false, &x, &ignored) == 0)
		return (x > t->number) - (x < t->number);
	if (t->f->op == OP_BF || t->f->op == OP_AF) {
		if (tm_parse(text, &x, &ignored) == 0 && query_time(value, now, &y, &ignored) == 0)
			return (x > y) - (x < y);
		return 0;
	}
	if (is_number(text) && is_number(value))
		return (as_number(text) > as_number(value)) - (as_number(text) < as_number(value));
	return t->f->ignore_case ? strcasecmp(text, value) : strcmp(text, value);
}

/* The positive form of the operator on one text. */
static bool holds(const struct test *t, const char *text, int64_t now)
{
	switch (t->f->op) {
	case OP_EQ:
	case OP_NE:
		return is_ordered(t->field) && *t->f->value ? compare(t, text, now) == 0 : same(t, text, t->f->value);
	case OP_CT:
	case OP_NC:
		return contains(t, text);
	case OP_SW:
		return starts(t, text);
	case OP_EW:
		return ends(t, text);
	case OP_GT:
	case OP_AF:
		return compare(t, text, now) > 0;
	case OP_GE:
		return compare(t, text, now) >= 0;
	case OP_LT:
	case OP_BF:
		return compare(t, text, now) < 0;
	case OP_LE:
		return compare(t, text, now) <= 0;
	case OP_IN:
	case OP_NIN:
		return in_list(t, text);
	}
	return false;
}

/* A list matches when one of its items does; what is absent is like an empty text that is less than nothing. */
static bool any_holds(const struct test *t, const struct node *n, int64_t now)
{
	if (!n)
		return t->f->op < OP_GT || t->f->op > OP_AF ? holds(t, "", now) : false;
	if (n->kind == NODE_SCALAR)
		return holds(t, n->text, now);
	for (size_t i = 0; i < n->n; i++)
		if (n->items[i].kind == NODE_SCALAR && holds(t, n->items[i].text, now))
			return true;
	return false;
}

static bool passes(struct arena *a, const struct test *t, const struct schema *s, const void *rec, int64_t now)
{
	bool negative = t->f->op == OP_NE || t->f->op == OP_NC || t->f->op == OP_NIN;
	const struct field *field;
	struct err ignored = { 0 };
	struct node *n;

	if ((t->f->op == OP_IN || t->f->op == OP_NIN) && t->nlist == 0)
		return true;
	if (rec_get_node(a, s, rec, t->f->field, &n, &field, &ignored) != 0)
		return false;
	return any_holds(t, n, now) != negative;
}

struct place {
	const char *text; /* NULL: absent */
	int64_t number;
	bool numeric, desc;
	size_t index;
};

static int by_value(const void *l, const void *r)
{
	const struct place *x = l, *y = r;
	int order;

	if (!x->text || !y->text)
		order = !x->text - !y->text;
	else if (x->numeric != y->numeric)
		order = y->numeric - x->numeric;
	else if (x->numeric)
		order = ((x->number > y->number) - (x->number < y->number)) * (x->desc ? -1 : 1);
	else
		order = strcmp(x->text, y->text) * (x->desc ? -1 : 1);
	return order ? order : (x->index > y->index) - (x->index < y->index);
}

static int sort(struct arena *a, const struct query *q, const struct schema *s, char *recs, size_t n, struct err *e)
{
	struct place *places = arena_new_array(a, n + 1, struct place);
	char *copy = arena_memdup(a, recs, n * s->size);
	const struct field *f;

	if (resolve(a, s, q->sort_by, &f, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct err ignored = { 0 };
		char *text;

		if (rec_get(a, s, recs + i * s->size, q->sort_by, &text, &f, e) != 0)
			return -1;
		places[i] = (struct place){ .text = text, .desc = q->desc, .index = i };
		if (text && (is_ordered(f) || f->kind == F_ANY))
			places[i].numeric = number_of(f, text, 0, false, &places[i].number, &ignored) == 0;
	}
	qsort(places, n, sizeof(*places), by_value);
	for (size_t i = 0; i < n; i++)
		memcpy(recs + i * s->size, copy + places[i].index * s->size, s->size);
	return 0;
}

int query_run(struct arena *a, const struct query *q, const struct schema *s, void *recs, size_t *n, int64_t now,
	      char **ret_next, struct err *e)
{
	struct test *tests = arena_new_array(a, q->nfilters + 1, struct test);
	size_t kept = 0, from, count;
	char *base = recs;

	for (size_t i = 0; i < q->nfilters; i++)
		if (compile(a, &q->filters[i], s, now, &tests[i], e) != 0)
			return -1;
	for (size_t r = 0; r < *n; r++) {
		size_t i = 0;

		while (i < q->nfilters && passes(a, &tests[i], s, base + r * s->size, now))
			i++;
		if (i == q->nfilters && kept++ != r)
			memcpy(base + (kept - 1) * s->size, base + r * s->size, s->size);
	}
	if (q->sort_by && sort(a, q, s, recs, kept, e) != 0)
		return -1;

	from = q->offset < 0 ? 0 : (uint64_t)q->offset > kept ? kept : (size_t)q->offset;
	count = kept - from;
	if (q->page_size > 0 && (uint64_t)q->page_size < count)
		count = (size_t)q->page_size;
	memmove(base, base + from * s->size, count * s->size);
	*ret_next = from + count < kept ? query_bookmark(a, q, (int64_t)(from + count)) : NULL;
	*n = count;
	return 0;
}
