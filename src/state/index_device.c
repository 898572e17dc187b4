/* Devices in the cache: the fold of their entries and certificates, and reading it. A device's row is made anew from
 * all that there is about it whenever something is added, so the order in which entries come does not matter. Of two
 * that register one id the first wins; certificates from before a deletion are another device's. */
#include <string.h>

#include "base/text.h"
#include "state/index_query.h"

/* --- folding --- */

static void replace(char **to, char *value)
{
	if (value)
		*to = *value ? value : NULL;
}

static void change(struct arena *a, struct device *d, const struct device_entry *x)
{
	struct err ignored = { 0 };
	char *merged;

	replace(&d->dms, x->dms);
	replace(&d->alias, x->alias);
	replace(&d->icon, x->icon);
	replace(&d->icon_color, x->icon_color);
	if (x->tags.set)
		d->tags = x->tags;
	if (x->metadata && any_merge(a, d->metadata, x->metadata, &merged, &ignored) == 0)
		d->metadata = strcmp(merged, "{}") == 0 ? NULL : merged;
}

static void apply(struct arena *a, struct device *d, bool *live, const struct device_entry *x)
{
	if (x->action == DEVICE_REGISTER && !*live) {
		*d = (struct device){ .id = d->id, .since = d->since, .created_at = x->time };
		*live = true;
		change(a, d, x);
	} else if (*live && x->action == DEVICE_CHANGE) {
		change(a, d, x);
	} else if (*live && x->action == DEVICE_DECOMMISSION && d->decommissioned_at == 0) {
		d->decommissioned_at = x->time;
	} else if (*live && (x->action == DEVICE_BLOCK || x->action == DEVICE_UNBLOCK)) {
		d->blocked = x->action == DEVICE_BLOCK;
	} else if (*live && x->action == DEVICE_DELETE) {
		*live = false;
		d->since = x->time;
	}
}

static int fold_entries(struct index *ix, struct arena *a, struct device *d, bool *ret_live, struct err *e)
{
	sqlite3_stmt *s = index_statement(ix, ST_DEVICE_ENTRIES, e);
	int r = -1;

	*ret_live = false;
	if (s)
		index_bind_text(s, 1, d->id);
	while (s && (r = index_step(ix, s, e)) > 0) {
		struct device_entry x = { 0 };

		index_read(a, s, &device_entry_table, &x);
		apply(a, d, ret_live, &x);
	}
	return r;
}

static int fold_slot(struct index *ix, struct arena *a, struct device *d, struct err *e)
{
	sqlite3_stmt *s = index_statement(ix, ST_DEVICE_SLOT, e);
	int64_t versions = 0;
	int r = -1;

	if (s) {
		index_bind_text(s, 1, d->id);
		sqlite3_bind_int64(s, 2, d->since);
	}
	while (s && (r = index_step(ix, s, e)) > 0)
		if (versions++ == 0) {
			d->identity.serial_number = index_text(a, s, 0);
			d->identity.ca = index_text(a, s, 1);
			d->identity.expiration_date = sqlite3_column_int64(s, 2);
			d->state = sqlite3_column_type(s, 3) == SQLITE_NULL ? DEVICE_LIVE : DEVICE_DEAD;
		}
	d->identity.active_version = versions > 0 ? versions - 1 : 0;
	if (d->decommissioned_at)
		d->state = DEVICE_GONE;
	return r;
}

int index_fold_device(struct index *ix, const char *id, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct device d = { .id = arena_strdup(a, id) };
	sqlite3_stmt *s;
	bool live;

	if (!id)
		return 0;
	if (fold_entries(ix, a, &d, &live, e) != 0 || (live && fold_slot(ix, a, &d, e) != 0))
		return -1;
	s = index_statement(ix, live ? ST_DEVICE_PUT : ST_DEVICE_DROP, e);
	if (!s)
		return -1;
	for (size_t i = 0; i < (live ? device_table.n : 1); i++)
		index_bind(s, (int)i + 1, &device_table.columns[i], &d);
	return index_run(ix, s, e);
}

int index_fold_device_of(struct index *ix, const char *serial, const char *ca, struct err *e)
{
	sqlite3_stmt *s = index_statement(ix, ST_DEVICE_OF, e);
	SCOPED_ARENA *a = arena_new();
	char *id = NULL;
	int r;

	if (!s)
		return -1;
	index_bind_hex(s, 1, serial);
	index_bind_text(s, 2, ca);
	r = index_step(ix, s, e);
	if (r > 0)
		id = index_text(a, s, 0);
	sqlite3_reset(s);
	return r < 0 ? -1 : index_fold_device(ix, id, e);
}

int index_fold_devices(struct index *ix, struct err *e)
{
	AUTO(sqlite3_stmt) *s = NULL;
	int r;

	if (sqlite3_prepare_v2(ix->db,
			       "SELECT DISTINCT device FROM device_entry INDEXED BY device_entry_of ORDER BY device",
			       -1, &s,
			       NULL) != SQLITE_OK)
		return index_fail(ix, e);
	while ((r = index_step(ix, s, e)) > 0)
		if (index_fold_device(ix, (const char *)sqlite3_column_text(s, 0), e) != 0)
			return -1;
	return r;
}

/* --- reading --- */

static int read_one(struct index *ix, struct arena *a, sqlite3_stmt *s, struct device *ret, struct err *e)
{
	int r = index_step(ix, s, e);

	if (r > 0) {
		*ret = (struct device){ 0 };
		index_read(a, s, &device_table, ret);
		if (ret->identity.serial_number)
			ret->identity.type = arena_strdup(a, "x509");
	}
	sqlite3_reset(s);
	return r;
}

int index_find_device(struct index *ix, struct arena *a, const char *id, bool *ret_found, struct device *ret,
		      struct err *e)
{
	sqlite3_stmt *s = index_ask(ix, ST_DEVICE_FIND, e);
	int r;

	if (!s)
		return -1;
	index_bind_text(s, 1, id);
	r = read_one(ix, a, s, ret, e);
	index_read_end(ix);
	*ret_found = r > 0;
	return r < 0 ? -1 : 0;
}

int index_get_device(struct index *ix, struct arena *a, int64_t row, struct device *ret, struct err *e)
{
	sqlite3_stmt *s = index_ask(ix, ST_DEVICE_GET, e);
	int r;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, row);
	r = read_one(ix, a, s, ret, e);
	if (r == 0) {
		ix->code = SQLITE_CORRUPT; /* rebuilt under us */
		err_set(e, ERR_IO, "cache %s: row %lld is gone", ix->path, (long long)row);
	}
	index_read_end(ix);
	return r > 0 ? 0 : -1;
}

int index_device_entries(struct index *ix, struct arena *a, const char *id, struct device_entry **ret, size_t *ret_n,
			 struct err *e)
{
	struct device_entry *v = NULL;
	sqlite3_stmt *s = index_ask(ix, ST_DEVICE_ENTRIES, e);
	size_t n = 0;
	int r;

	if (!s)
		return -1;
	index_bind_text(s, 1, id);
	while ((r = index_step(ix, s, e)) > 0) {
		v = arena_grow(a, v, n, sizeof(*v));
		v[n] = (struct device_entry){ 0 };
		index_read(a, s, &device_entry_table, &v[n++]);
	}
	index_read_end(ix);
	*ret = v;
	*ret_n = n;
	return r;
}

int index_device_certs(struct index *ix, struct arena *a, const char *id, int64_t since, int64_t now,
		       struct certrec **ret, size_t *ret_n, struct err *e)
{
	struct certrec *v = NULL;
	sqlite3_stmt *s = index_ask(ix, ST_DEVICE_CERTS, e);
	size_t n = 0;
	int r;

	if (!s)
		return -1;
	index_bind_text(s, 1, id);
	sqlite3_bind_int64(s, 2, since);
	while ((r = index_step(ix, s, e)) > 0) {
		v = arena_grow(a, v, n, sizeof(*v));
		index_read_cert(a, s, now, &v[n++]);
	}
	index_read_end(ix);
	*ret = v;
	*ret_n = n;
	return r;
}

int index_bootstrap(struct index *ix, int64_t *ret_all, int64_t *ret_revoked, struct err *e)
{
	sqlite3_stmt *s = index_ask(ix, ST_BOOTSTRAP, e);
	int r;

	if (!s)
		return -1;
	if ((r = index_step(ix, s, e)) > 0) {
		*ret_all = sqlite3_column_int64(s, 0);
		*ret_revoked = sqlite3_column_int64(s, 1);
		sqlite3_reset(s);
	}
	index_read_end(ix);
	return r > 0 ? 0 : -1;
}

/* --- status, as the clock and the deltas have it --- */

/* "dms IS ?3 → ?4 …" : seconds before the end. */
static const char *delta_sql(struct builder *b, bool preventive)
{
	struct device_deltas usual = DEVICE_DELTAS_DEFAULT;
	SCOPED_BUF out = buf_init(BUF_TEXT);

	if (b->target->ndeltas == 0)
		return query_int(b, preventive ? usual.preventive : usual.critical);
	buf_puts(&out, "CASE dms");
	for (size_t i = 0; i < b->target->ndeltas; i++) {
		const struct dms_deltas *d = &b->target->deltas[i];

		buf_printf(&out, " WHEN %s", query_text(b, d->dms));
		buf_printf(&out, " THEN %s", query_int(b, preventive ? d->deltas.preventive : d->deltas.critical));
	}
	buf_printf(&out, " ELSE %s END", query_int(b, preventive ? usual.preventive : usual.critical));
	return arena_strdup(b->a, buf_str(&out));
}

static int64_t delta_bound(const struct query_target *t, bool preventive, bool least)
{
	struct device_deltas usual = DEVICE_DELTAS_DEFAULT;
	int64_t bound = preventive ? usual.preventive : usual.critical;

	for (size_t i = 0; i < t->ndeltas; i++) {
		int64_t d = preventive ? t->deltas[i].deltas.preventive : t->deltas[i].deltas.critical;

		bound = (d < bound) == least ? d : bound;
	}
	return bound;
}

const char *query_device_status(struct builder *b, enum device_status status, struct term *t)
{
	const char *now = query_int(b, b->now);

	t->index = "device_state";
	switch (status) {
	case DEVICE_NO_IDENTITY:
		return t->drive = arena_printf(b->a, "state = %d", DEVICE_EMPTY);
	case DEVICE_REVOKED:
		return t->drive = arena_printf(b->a, "state = %d", DEVICE_DEAD);
	case DEVICE_DECOMMISSIONED:
		return t->drive = arena_printf(b->a, "state = %d", DEVICE_GONE);
	case DEVICE_EXPIRED:
		return t->drive = arena_printf(b->a, "(state = %d AND expiration_date < %s)", DEVICE_LIVE, now);
	case DEVICE_EXPIRING_SOON:
		t->drive = arena_printf(b->a, "(state = %d AND expiration_date >= %s AND expiration_date < %s)",
					DEVICE_LIVE, now, query_int(b, b->now + delta_bound(b->target, false, false)));
		return arena_printf(b->a, "(%s AND expiration_date < %s + %s)", t->drive, now, delta_sql(b, false));
	case DEVICE_RENEWAL_PENDING:
		t->drive = arena_printf(b->a, "(state = %d AND expiration_date >= %s AND expiration_date < %s)",
					DEVICE_LIVE, now, query_int(b, b->now + delta_bound(b->target, true, false)));
		return arena_printf(b->a, "(%s AND expiration_date >= %s + %s AND expiration_date < %s + %s)", t->drive,
				    now, delta_sql(b, false), now, delta_sql(b, true));
	default:
		t->drive = arena_printf(b->a, "(state = %d AND expiration_date >= %s)", DEVICE_LIVE,
					query_int(b, b->now + delta_bound(b->target, true, true)));
		return arena_printf(b->a, "(%s AND expiration_date >= %s AND expiration_date >= %s + %s)", t->drive,
				    now, now, delta_sql(b, true));
	}
}

const char *query_device_status_case(struct builder *b)
{
	const char *now = query_int(b, b->now);

	return arena_printf(b->a, "CASE state WHEN %d THEN %d WHEN %d THEN %d WHEN %d THEN %d ELSE CASE WHEN "
			    "expiration_date < %s THEN %d WHEN expiration_date < %s + %s THEN %d WHEN expiration_date "
			    "< %s + %s THEN %d ELSE %d END END",
			    DEVICE_EMPTY, DEVICE_NO_IDENTITY, DEVICE_DEAD, DEVICE_REVOKED, DEVICE_GONE,
			    DEVICE_DECOMMISSIONED, now,
			    DEVICE_EXPIRED, now, delta_sql(b, false), DEVICE_EXPIRING_SOON, now, delta_sql(b, true),
			    DEVICE_RENEWAL_PENDING, DEVICE_ACTIVE);
}
