/* Is the cache the fold of the ledger? A second one is made from nothing, in private, and both are walked side by side
 * in the order of their keys; the first difference is named. */
#include <string.h>

#include "state/index_sql.h"

static const struct {
	const char *what, *columns, *from;
	const struct table *table; /* its columns come after those */
} walks[] = {
	{ "certificate", "lower(hex(serial_number))", "cert ORDER BY serial_number, ca, fingerprint", &cert_table },
	{ "device", "device", "device ORDER BY device", &device_table },
	{ "event", "path", "event ORDER BY path", &event_table },
	{ "device entry", "path", "device_entry ORDER BY path", &device_entry_table },
	{ "revocation entry", "path, *", "revocation ORDER BY name, path", NULL },
	{ "revocation", "lower(hex(serial)), *", "revoked ORDER BY ca, serial", NULL },
	{ "CRL record", "path, ca, scope, number, base_number, this_update, next_update, sha256, ledger_commit, "
			"entries, stored",
	  "crl ORDER BY path", NULL },
	{ "metadata entry", "path, *", "change ORDER BY name, path", NULL },
	{ "bad entry", "*", "bad ORDER BY path", NULL },
};

static bool same_value(sqlite3_stmt *x, sqlite3_stmt *y, int i)
{
	int n = sqlite3_column_bytes(x, i);

	if (sqlite3_column_type(x, i) != sqlite3_column_type(y, i) || n != sqlite3_column_bytes(y, i))
		return false;
	return n == 0 || memcmp(sqlite3_column_blob(x, i), sqlite3_column_blob(y, i), (size_t)n) == 0;
}

static int differ(struct index *ix, const char *what, sqlite3_stmt *row, const char *why, struct err *e)
{
	return err_set(e, ERR_CHECK, "cache %s: %s %s %s; `lamassu repo reindex` rebuilds it", ix->path, what,
		       (const char *)sqlite3_column_text(row, 0), why);
}

static int walk(struct index *ix, sqlite3_stmt *x, struct index *fresh, sqlite3_stmt *y, const char *what,
		struct err *e)
{
	for (;;) {
		int rx = index_step(ix, x, e), ry = index_step(fresh, y, e);

		if (rx < 0 || ry < 0)
			return -1;
		if (rx == 0 && ry == 0)
			return 0;
		if (rx == 0)
			return differ(ix, what, y, "is missing", e);
		if (ry == 0)
			return differ(ix, what, x, "is not in the ledger", e);
		for (int i = 0; i < sqlite3_column_count(x); i++)
			if (!same_value(x, y, i))
				return i == 0 ? differ(ix, what, y, "is missing, or another is too many", e)
					      : err_set(e, ERR_CHECK,
							"cache %s: %s %s: %s differs; `lamassu repo reindex` "
							"rebuilds it",
							ix->path, what, (const char *)sqlite3_column_text(x, 0),
							sqlite3_column_name(x, i));
	}
}

static int compare(struct index *ix, struct index *fresh, struct err *e)
{
	for (size_t i = 0; i < COUNT(walks); i++) {
		AUTO(sqlite3_stmt) *x = NULL, *y = NULL;
		SCOPED_BUF columns = buf_init(BUF_TEXT);
		char *sql;

		buf_puts(&columns, walks[i].columns);
		if (walks[i].table) {
			buf_puts(&columns, ", ");
			index_columns(walks[i].table, &columns);
		}
		sql = arena_printf(ix->arena, "SELECT %s FROM %s", buf_str(&columns), walks[i].from);

		if (sqlite3_prepare_v2(ix->db, sql, -1, &x, NULL) != SQLITE_OK)
			return index_fail(ix, e);
		if (sqlite3_prepare_v2(fresh->db, sql, -1, &y, NULL) != SQLITE_OK)
			return index_fail(fresh, e);
		if (walk(ix, x, fresh, y, walks[i].what, e) != 0)
			return -1;
	}
	return 0;
}

int index_check(struct index *ix, struct store *store, const struct oid *commit, struct err *e)
{
	struct index *fresh;
	int r;

	index_forget(ix);
	if (index_open(ix->arena, "", &fresh, e) != 0)
		return -1;
	r = index_sync(fresh, store, commit, NULL, NULL, e);
	if (r == 0)
		r = index_read_begin(ix, e);
	if (r == 0) {
		r = compare(ix, fresh, e);
		index_read_end(ix);
	}
	index_close(fresh);
	/* A page that cannot be read is a finding, too. */
	if (r != 0 && e->code == ERR_IO && index_damaged(ix))
		e->code = ERR_CHECK;
	return r;
}
