/* Reading the cache: certificates by their names, CRL rows, CRL records, numbers. Nothing is held open across a call,
 * except in index_each_revoked, whose callback is quick by contract. */
#include <string.h>

#include "base/text.h"
#include "state/index_sql.h"

static int collect_certs(struct index *ix, struct arena *a, sqlite3_stmt *s, int64_t now, struct certrec **ret,
			 size_t *ret_n, struct err *e)
{
	struct certrec *v = NULL;
	size_t n = 0;
	int r;

	while ((r = index_step(ix, s, e)) > 0) {
		v = arena_grow(a, v, n, sizeof(*v));
		index_read_cert(a, s, now, &v[n++]);
	}
	*ret = v;
	*ret_n = n;
	return r;
}

int index_find(struct index *ix, struct arena *a, const struct cert_ref *ref, int64_t now, struct certrec **ret,
	       size_t *ret_n, struct err *e)
{
	enum statement st = ref->serial ? ST_CERT_EXACT : ref->serial_from ? ST_CERT_PREFIX
			    : ref->fingerprint ? ST_CERT_PRINT : ST_CERT_REQUEST;
	sqlite3_stmt *s = index_ask(ix, st, e);
	int r;

	if (!s)
		return -1;
	index_bind_hex(s, 1, ref->serial ? ref->serial : ref->serial_from ? ref->serial_from
				    : ref->fingerprint ? ref->fingerprint : ref->request_sha256);
	index_bind_text(s, 2, ref->ca);
	if (st == ST_CERT_PREFIX)
		index_bind_hex(s, 3, ref->serial_to);
	r = collect_certs(ix, a, s, now, ret, ret_n, e);
	index_read_end(ix);
	return r;
}

int index_get(struct index *ix, struct arena *a, int64_t id, int64_t now, struct certrec *ret, struct err *e)
{
	sqlite3_stmt *s = index_ask(ix, ST_CERT_GET, e);
	int r;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	r = index_step(ix, s, e);
	if (r > 0)
		index_read_cert(a, s, now, ret);
	if (r == 0) {
		ix->code = SQLITE_CORRUPT; /* rebuilt under us */
		err_set(e, ERR_IO, "cache %s: row %lld is gone", ix->path, (long long)id);
	}
	sqlite3_reset(s);
	index_read_end(ix);
	return r > 0 ? 0 : -1;
}

/* --- revocations --- */

/* one: of a serial number that was asked for, which may be revoked no longer. */
static void read_revoked(sqlite3_stmt *s, bool one, struct revoked_row *ret)
{
	struct revoked_row r = { .serial_n = (size_t)sqlite3_column_bytes(s, 0) };

	if (r.serial_n > sizeof(r.serial))
		r.serial_n = sizeof(r.serial);
	if (r.serial_n)
		memcpy(r.serial, sqlite3_column_blob(s, 0), r.serial_n);
	r.reason = sqlite3_column_int(s, 1);
	r.time = sqlite3_column_int64(s, 2);
	r.invalidity = sqlite3_column_int64(s, 3);
	r.partition = sqlite3_column_int(s, 4);
	r.removed = one && sqlite3_column_int(s, 5) == CERT_ACTIVE;
	*ret = r;
}

struct revoked_call {
	const char *ca, *serial; /* serial NULL: all */
	int64_t expired_before, as_of;
	int (*cb)(void *arg, const struct revoked_row *, struct err *);
	void *arg;
};

static int run_revoked(struct index *ix, const struct revoked_call *c, struct err *e)
{
	sqlite3_stmt *s = index_statement(ix, c->serial ? ST_REVOKED_ONE : ST_REVOKED_EACH, e);
	struct revoked_row row;
	int r;

	if (!s)
		return -1;
	index_bind_text(s, 1, c->ca);
	sqlite3_bind_int64(s, 2, c->expired_before);
	if (c->serial)
		index_bind_hex(s, 3, c->serial);
	sqlite3_bind_int64(s, 4, c->as_of);
	while ((r = index_step(ix, s, e)) > 0) {
		read_revoked(s, c->serial != NULL, &row);
		if (c->cb(c->arg, &row, e) != 0) {
			sqlite3_reset(s);
			return -1;
		}
	}
	return r;
}

int index_each_revoked(struct index *ix, const char *ca, int64_t expired_before, int64_t as_of, const struct strv *only,
		       int (*cb)(void *arg, const struct revoked_row *, struct err *), void *arg, struct err *e)
{
	struct revoked_call c = { .ca = ca, .expired_before = expired_before, .as_of = as_of, .cb = cb, .arg = arg };
	int r = 0;

	if (index_read_begin(ix, e) != 0)
		return -1;
	if (!only)
		r = run_revoked(ix, &c, e);
	for (size_t i = 0; only && i < only->n && r == 0; i++) {
		c.serial = only->v[i];
		r = run_revoked(ix, &c, e);
	}
	index_read_end(ix);
	return r;
}

int index_revoked_ahead(struct index *ix, struct arena *a, const char *ca, int64_t after, int64_t until,
			struct strv *ret, struct err *e)
{
	struct strv v = { 0 };
	sqlite3_stmt *s = index_ask(ix, ST_REVOKED_AHEAD, e);
	int r;

	if (!s)
		return -1;
	index_bind_text(s, 1, ca);
	sqlite3_bind_int64(s, 2, after);
	sqlite3_bind_int64(s, 3, until);
	while ((r = index_step(ix, s, e)) > 0) {
		v.v = arena_grow(a, v.v, v.n, sizeof(*v.v));
		v.v[v.n++] = index_text(a, s, 0);
	}
	index_read_end(ix);
	*ret = v;
	return r;
}

/* --- CRL records --- */

int index_last_crl(struct index *ix, struct arena *a, const char *ca, const char *scope, bool *ret_found,
		   struct crlrec *ret, struct err *e)
{
	sqlite3_stmt *s = index_ask(ix, ST_CRL_LAST, e);
	int r;

	if (!s)
		return -1;
	index_bind_text(s, 1, ca);
	index_bind_text(s, 2, scope);
	r = index_step(ix, s, e);
	if (r > 0) {
		*ret = (struct crlrec){ 0 };
		index_read(a, s, &crl_table, ret);
	}
	sqlite3_reset(s);
	*ret_found = r > 0;
	index_read_end(ix);
	return r < 0 ? -1 : 0;
}

int index_crls(struct index *ix, struct arena *a, const char *ca, struct crlrec **ret, size_t *ret_n, struct err *e)
{
	struct crlrec *v = NULL;
	sqlite3_stmt *s = index_ask(ix, ST_CRLS, e);
	size_t n = 0;
	int r;

	if (!s)
		return -1;
	index_bind_text(s, 1, ca);
	while ((r = index_step(ix, s, e)) > 0) {
		v = arena_grow(a, v, n, sizeof(*v));
		v[n] = (struct crlrec){ 0 };
		index_read(a, s, &crl_table, &v[n++]);
	}
	index_read_end(ix);
	if (r < 0)
		return -1;
	*ret = v;
	*ret_n = n;
	return 0;
}

/* --- numbers --- */

static bool same_text(const char *x, const char *y)
{
	return x && y ? strcmp(x, y) == 0 : x == y;
}

static void add_count(struct arena *a, struct cert_count **v, size_t *n, struct cert_count c)
{
	if (c.n == 0)
		return;
	for (size_t i = 0; i < *n; i++)
		if ((*v)[i].status == c.status && same_text((*v)[i].ca, c.ca) &&
		    same_text((*v)[i].profile, c.profile)) {
			(*v)[i].n += c.n;
			return;
		}
	*v = arena_grow(a, *v, *n, sizeof(**v));
	(*v)[(*n)++] = c;
}

/* Those whose revocation lies ahead were counted as revoked. */
static int count_ahead(struct index *ix, struct arena *a, int64_t now, struct cert_count **v, size_t *n, struct err *e)
{
	sqlite3_stmt *s = index_statement(ix, ST_COUNT_AHEAD, e);
	int r = -1;

	if (s)
		sqlite3_bind_int64(s, 1, now);
	while (s && (r = index_step(ix, s, e)) > 0) {
		struct cert_count c = { .ca = index_text(a, s, 0), .profile = index_text(a, s, 1),
					.status = CERT_REVOKED, .n = -sqlite3_column_int64(s, 2) };
		int64_t expired = (int64_t)sqlite3_column_double(s, 3), live = -c.n - expired;

		add_count(a, v, n, c);
		c.status = CERT_ACTIVE;
		c.n = live;
		add_count(a, v, n, c);
		c.status = CERT_EXPIRED;
		c.n = expired;
		add_count(a, v, n, c);
	}
	return r;
}

int index_count(struct index *ix, struct arena *a, int64_t now, struct cert_count **ret, size_t *ret_n, struct err *e)
{
	struct cert_count *v = NULL;
	sqlite3_stmt *s = index_ask(ix, ST_COUNT_BY, e);
	size_t n = 0;
	int r;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, now);
	while ((r = index_step(ix, s, e)) > 0) {
		struct cert_count c = { .ca = index_text(a, s, 0), .profile = index_text(a, s, 1),
					.status = sqlite3_column_int(s, 2),
					.n = sqlite3_column_int64(s, 3) };
		/* NULL stands for both of those that depend on the clock. */
		int64_t expired = sqlite3_column_type(s, 2) == SQLITE_NULL ? (int64_t)sqlite3_column_double(s, 4) : 0;

		c.n -= expired;
		add_count(a, &v, &n, c);
		c.status = CERT_EXPIRED;
		c.n = expired;
		add_count(a, &v, &n, c);
	}
	if (r == 0)
		r = count_ahead(ix, a, now, &v, &n, e);
	index_read_end(ix);
	if (r < 0)
		return -1;
	*ret = v;
	*ret_n = n;
	return 0;
}

int index_expiry(struct index *ix, const char *ca, int64_t now, int64_t from, int64_t step, size_t n, int64_t *ret,
		 struct err *e)
{
	sqlite3_stmt *s;
	int64_t end;
	int r;

	if (step <= 0 || n > INT64_MAX || __builtin_mul_overflow(step, (int64_t)n, &end) ||
	    __builtin_add_overflow(from, end, &end))
		return err_set(e, ERR_USAGE, "the periods reach too far");
	s = index_ask(ix, ST_EXPIRY, e);
	if (!s)
		return -1;
	memset(ret, 0, n * sizeof(*ret));
	sqlite3_bind_int64(s, 1, from);
	sqlite3_bind_int64(s, 2, step);
	sqlite3_bind_int64(s, 3, end);
	sqlite3_bind_int64(s, 4, now);
	index_bind_text(s, 5, ca);
	while ((r = index_step(ix, s, e)) > 0) {
		int64_t period = sqlite3_column_int64(s, 0);

		if (period >= 0 && period < (int64_t)n)
			ret[period] += sqlite3_column_int64(s, 1);
	}
	index_read_end(ix);
	return r;
}

/* --- what is wrong --- */

static int collect_bad(struct index *ix, struct arena *a, enum statement st, struct bad_entry **v, size_t *n,
		       struct err *e)
{
	sqlite3_stmt *s = index_statement(ix, st, e);
	int r = -1;

	while (s && (r = index_step(ix, s, e)) > 0) {
		char *first = index_text(a, s, 0), *second = index_text(a, s, 1);

		*v = arena_grow(a, *v, *n, sizeof(**v));
		(*v)[(*n)++] = st == ST_BAD ? (struct bad_entry){ first, second }
					    : (struct bad_entry){ arena_printf(a, "issued/…/%s.*", first),
								  arena_printf(a,
									       "%s used this serial number for more "
									       "than one certificate (RFC 5280 "
									       "4.1.2.2)", second) };
	}
	return r;
}

int index_bad(struct index *ix, struct arena *a, struct bad_entry **ret, size_t *ret_n, struct err *e)
{
	struct bad_entry *v = NULL;
	size_t n = 0;
	int r;

	if (index_read_begin(ix, e) != 0)
		return -1;
	r = collect_bad(ix, a, ST_BAD, &v, &n, e) != 0 || collect_bad(ix, a, ST_TWINS, &v, &n, e) != 0 ? -1 : 0;
	index_read_end(ix);
	*ret = v;
	*ret_n = n;
	return r;
}
