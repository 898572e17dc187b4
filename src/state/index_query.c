/* A query of the user, run. Who drives is decided here by counting, not by the planner's guess: a filter that few rows
 * pass is followed through its index and the rest is sorted; otherwise the order's own index is walked until the page
 * is full. */
#include "state/index_query.h"

#include <string.h>

enum { FEW = 5000, MAX_FILTERS = 100 };

/* How many rows the term leaves; FEW + 1 when more than FEW do. */
static int probe(struct builder *b, const struct term *t, int64_t *ret, struct err *e)
{
	AUTO(sqlite3_stmt) *s = NULL;
	const char *sql = t->drive && t->index
		? arena_printf(b->a, "SELECT count(*) FROM (SELECT 1 FROM %s INDEXED BY %s WHERE %s LIMIT %d)",
			       b->table->name, t->index, t->drive, FEW + 1)
		: arena_printf(b->a, "SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH %s LIMIT %d)",
			       t->match, FEW + 1);

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
}, device_orders[] = {
	{ "device_key", { NULL } },
	{ "device_dms", { "device", NULL } },
	{ "device_expires", { "device", NULL } },
	{ "device_created", { "device", NULL } },
	{ NULL, { "device", NULL } },
};

static const struct order *order_of(const struct table *t, const struct column *c)
{
	const struct order *o = t == &device_table ? device_orders : orders;

	while (o->index && !(c->index && strcmp(c->index, o->index) == 0))
		o++;
	return o;
}

static int write_sql(struct builder *b, const struct query *q, struct buf *out, struct err *e)
{
	const struct column *sort = query_column(b->table, q->sort_by ? q->sort_by : b->table->newest);
	bool desc = q->sort_by ? q->desc : !q->desc, words = false; /* of its own accord, the newest first */
	const struct order *order = sort ? order_of(b->table, sort) : NULL;
	const struct term *driver;

	if (!order)
		return query_unknown_field(b, q->sort_by, e);
	if (choose_driver(b, &driver, &words, e) != 0)
		return -1;
	buf_printf(out, "SELECT id FROM %s", b->table->name);
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
		buf_printf(out, " ORDER BY CASE WHEN %s THEN not_after < %s ELSE status END", query_in_force(b),
			   query_int(b, b->now));
	else if (sort->kind == COL_STATUS)
		buf_printf(out, " ORDER BY %s", query_device_status_case(b));
	else
		buf_printf(out, " ORDER BY \"%s\"", sort->name);
	buf_puts(out, desc ? " DESC" : "");
	for (const char *const *c = order->then; *c; c++)
		buf_printf(out, ", %s%s", *c, desc ? " DESC" : "");
	if (q->page_size > 0 || q->offset > 0)
		buf_printf(out, " LIMIT %s OFFSET %s", query_int(b, q->page_size > 0 ? q->page_size + 1 : -1),
			   query_int(b, q->offset));
	return 0;
}

static int collect(struct builder *b, const struct query *q, const char *sql, int64_t **ret, size_t *ret_n,
		   bool *ret_more, struct err *e)
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

static int prepare(struct builder *b, struct index *ix, struct arena *a, const struct query_target *t,
		   const struct query *q, int64_t now, struct err *e)
{
	*b = (struct builder){ .a = a, .ix = ix, .target = t, .table = t->devices ? &device_table : &cert_table,
			       .now = now, .terms = arena_new_array(a, q->nfilters + 1, struct term) };
	if (q->nfilters > MAX_FILTERS)
		return err_set(e, ERR_USAGE, "more than %d filters", MAX_FILTERS);
	for (size_t i = 0; i < q->nfilters; i++)
		if (query_add(b, &q->filters[i], e) != 0)
			return -1;
	return 0;
}

int index_query(struct index *ix, struct arena *a, const struct query_target *t, const struct query *q, int64_t now,
		int64_t **ret, size_t *ret_n, bool *ret_more, struct err *e)
{
	SCOPED_BUF sql = buf_init(BUF_TEXT);
	struct builder b;
	int r;

	if (index_read_begin(ix, e) != 0)
		return -1;
	r = prepare(&b, ix, a, t, q, now, e) != 0 || write_sql(&b, q, &sql, e) != 0 ||
	    collect(&b, q, buf_str(&sql), ret, ret_n, ret_more, e) != 0 ? -1 : 0;
	index_read_end(ix);
	return r;
}

static int count_rows(struct builder *b, int64_t ret[DEVICE_STATUSES], struct err *e)
{
	AUTO(sqlite3_stmt) *s = NULL;
	SCOPED_BUF sql = buf_init(BUF_TEXT);
	int r;

	buf_printf(&sql, "SELECT %s AS s, count(*) FROM device", query_device_status_case(b));
	if (b->nterms == 0)
		buf_puts(&sql, " INDEXED BY device_state");
	for (size_t i = 0; i < b->nterms; i++)
		buf_printf(&sql, "%s(%s)", i ? " AND " : " WHERE ", b->terms[i].sql);
	buf_puts(&sql, " GROUP BY s");
	if (sqlite3_prepare_v2(b->ix->db, buf_str(&sql), -1, &s, NULL) != SQLITE_OK)
		return index_fail(b->ix, e);
	query_bind(b, s);
	memset(ret, 0, DEVICE_STATUSES * sizeof(*ret));
	while ((r = index_step(b->ix, s, e)) > 0) {
		int status = sqlite3_column_int(s, 0);

		if (status >= 0 && status < DEVICE_STATUSES)
			ret[status] = sqlite3_column_int64(s, 1);
	}
	return r;
}

int index_device_count(struct index *ix, struct arena *a, const struct query_target *t, const struct query *q,
		       int64_t now, int64_t ret[DEVICE_STATUSES], struct err *e)
{
	struct builder b;
	int r;

	if (index_read_begin(ix, e) != 0)
		return -1;
	r = prepare(&b, ix, a, t, q, now, e) != 0 || count_rows(&b, ret, e) != 0 ? -1 : 0;
	index_read_end(ix);
	return r;
}
