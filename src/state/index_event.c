/* Events in the cache, and what adds up to one. */
#include "state/index_sql.h"

int index_reused(struct index *ix, struct arena *a, struct use **ret, size_t *ret_n, struct err *e)
{
	struct use *v = NULL;
	sqlite3_stmt *s = index_ask(ix, ST_REUSED, e);
	size_t n = 0;
	int r;

	if (!s)
		return -1;
	while ((r = index_step(ix, s, e)) > 0) {
		v = arena_grow(a, v, n, sizeof(*v));
		v[n++] = (struct use){ index_text(a, s, 0), index_text(a, s, 1), sqlite3_column_int64(s, 2) };
	}
	index_read_end(ix);
	*ret = v;
	*ret_n = n;
	return r;
}

int index_refusals(struct index *ix, struct arena *a, const char *dms, struct refusal_count **ret, size_t *ret_n,
		   struct err *e)
{
	struct refusal_count *v = NULL;
	sqlite3_stmt *s = index_ask(ix, ST_REFUSALS, e);
	size_t n = 0;
	int r;

	if (!s)
		return -1;
	index_bind_text(s, 1, dms);
	while ((r = index_step(ix, s, e)) > 0) {
		v = arena_grow(a, v, n, sizeof(*v));
		v[n++] = (struct refusal_count){ index_text(a, s, 0), (int64_t)sqlite3_column_double(s, 1) };
	}
	index_read_end(ix);
	*ret = v;
	*ret_n = n;
	return r;
}

int index_has_event(struct index *ix, const struct eventrec *x, bool *ret, struct err *e)
{
	sqlite3_stmt *s = index_ask(ix, ST_EVENT_AT, e);
	int r;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, x->time);
	index_bind_text(s, 2, x->type);
	index_bind_text(s, 3, x->subject);
	index_bind_text(s, 4, x->reason);
	r = index_step(ix, s, e);
	sqlite3_reset(s);
	index_read_end(ix);
	*ret = r > 0;
	return r < 0 ? -1 : 0;
}
