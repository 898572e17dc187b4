/* A query of the user, run. Who drives is decided here by counting, not by the planner's guess: a filter that few rows pass is
 * followed through its index and the rest is sorted; otherwise the order's own index is walked until the page is full. */
#include "state/index_query.h"

#include <string.h>

enum { FEW = 5000, MAX_FILTERS = 100 };

/* How many rows the term leaves; FEW + 1 when more than FEW do. */
static int probe(struct builder *b, const struct term *t, int64_t *ret, struct err *e)
{
	AUTO(sqlite3_stmt) *s = NULL;
	const char *sql = t->drive && t->index
		? arena_printf(b->a, "SELECT count(*) FROM (SELECT 1 FROM cert INDEXED BY %s WHERE %s LIMIT %d)", t->index, t->drive, FEW + 1)
		: arena_printf(b->a, "SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH %s LIMIT %d)", t->match, FEW + 1);

	if (sqlite3_prepare_v2(b->ix->db, sql, -1, &s, NULL) != SQLITE_OK)
		return index_fail(b->ix, e);
	query_bind(b, s);
	if (index_step(b->ix, s, e) <= 0)
		return -1;
	*ret = sqlite3_column_int64(s, 0);
	return 0;
}

/* The term that leaves the fewest rows, if they are few; *ret_words: through its words. */
static int choose_driver(struct builder *b, const struct term **ret, bool *ret_words, struct err *e)
{
	int64_t least = FEW, n = 0;

	*ret = NULL;
	for (size_t i = 0; i < b->nterms; i++) {
		struct term by_index = b->terms[i], by_words = b->terms[i];

		by_index.match = NULL;
		by_words.index = NULL;
		for (int words = 0; words < 2; words++) {
			const struct term *t = words ? &by_words : &by_index;

			if (words ? !t->match : !t->index)
				continue;
			if (probe(b, t, &n, e) != 0)
				return -1;
			if (n <= least) {
				least = n;
				*ret = &b->terms[i];
				*ret_words = words;
			}
		}
	}
	return 0;
}

/* The order of equals is that of the ledger, which no rebuild of the cache changes: by folder, then by name. */
#define LEDGER_ORDER "path", "serial_number", NULL

/* Of these the whole column is in the index, in its order, with the other columns of the index between. */
static const struct order {
	const char *index, *then[6];
} orders[] = {
	{ "cert_key", { "ca", "substr(fingerprint, 1, 8)", "path", NULL } },
	{ "cert_ca", { "profile", "status", "not_after", LEDGER_ORDER } },
	{ "cert_not_after", { LEDGER_ORDER } },
	{ "cert_issued_at", { LEDGER_ORDER } },
	{ "cert_subject", { LEDGER_ORDER } },
	{ "cert_common_name", { LEDGER_ORDER } },
	{ NULL, { LEDGER_ORDER } },
};

static const struct order *order_of(const struct column *c)
{
	const struct order *o = orders;

	while (o->index && !(c->index && strcmp(c->index, o->index) == 0))
		o++;
	return o;
}

static int write_sql(struct builder *b, const struct query *q, struct buf *out, struct err *e)
{
	const struct column *sort = query_column(q->sort_by ? q->sort_by : "issued_at");
	bool desc = q->sort_by ? q->desc : !q->desc, words = false; /* of its own accord, the newest first */
	const struct order *order = sort ? order_of(sort) : NULL;
	const struct term *driver;

	if (!order)
		return query_unknown_field(b->a, q->sort_by, e);
	if (choose_driver(b, &driver, &words, e) != 0)
		return -1;
	buf_puts(out, "SELECT id FROM cert");
	if (driver && !words)
		buf_printf(out, " INDEXED BY %s", driver->index);
	else if (!driver && order->index)
		buf_printf(out, " INDEXED BY %s", order->index);
	else
		buf_puts(out, " NOT INDEXED");
	for (size_t i = 0; i < b->nterms; i++)
		buf_printf(out, "%s(%s)", i ? " AND " : " WHERE ", b->terms[i].sql);
	if (words)
		buf_printf(out, " AND id IN (SELECT rowid FROM words WHERE words MATCH %s)", driver->match);
	if (sort->kind == COL_STATE)
		buf_printf(out, " ORDER BY coalesce(status, not_after < %s)", query_int(b, b->now));
	else
		buf_printf(out, " ORDER BY \"%s\"", sort->name);
	buf_puts(out, desc ? " DESC" : "");
	for (const char *const *c = order->then; *c; c++)
		buf_printf(out, ", %s%s", *c, desc ? " DESC" : "");
	if (q->page_size > 0 || q->offset > 0)
		buf_printf(out, " LIMIT %s OFFSET %s", query_int(b, q->page_size > 0 ? q->page_size + 1 : -1), query_int(b, q->offset));
	return 0;
}

static int collect(struct builder *b, const struct query *q, const char *sql, int64_t **ret, size_t *ret_n, bool *ret_more, struct err *e)
{
	AUTO(sqlite3_stmt) *s = NULL;
	int64_t *ids = NULL;
	size_t n = 0;
	int r;

	if (sqlite3_prepare_v2(b->ix->db, sql, -1, &s, NULL) != SQLITE_OK)
		return index_fail(b->ix, e);
	query_bind(b, s);
	while ((r = index_step(b->ix, s, e)) > 0) {
		ids = arena_grow(b->a, ids, n, sizeof(*ids));
		ids[n++] = sqlite3_column_int64(s, 0);
	}
	if (r < 0)
		return -1;
	*ret_more = q->page_size > 0 && n > (size_t)q->page_size;
	*ret_n = *ret_more ? (size_t)q->page_size : n;
	*ret = ids;
	return 0;
}

int index_query(struct index *ix, struct arena *a, const struct query *q, int64_t now, int64_t **ret, size_t *ret_n, bool *ret_more,
		struct err *e)
{
	struct builder b = { .a = a, .ix = ix, .now = now, .terms = arena_new_array(a, q->nfilters + 1, struct term) };
	SCOPED_BUF sql = buf_init(BUF_TEXT);
	int r = 0;

	if (q->nfilters > MAX_FILTERS)
		return err_set(e, ERR_USAGE, "more than %d filters", MAX_FILTERS);
	if (index_read_begin(ix, e) != 0)
		return -1;
	for (size_t i = 0; i < q->nfilters && r == 0; i++)
		r = query_add(&b, &q->filters[i], e);
	if (r == 0)
		r = write_sql(&b, q, &sql, e);
	if (r == 0)
		r = collect(&b, q, buf_str(&sql), ret, ret_n, ret_more, e);
	index_read_end(ix);
	return r;
}
