/* Reads the database of cfssl, for `repo import`. It lies here because this folder's index files are the only ones that
 * speak to SQLite. The file is opened for reading only; nothing in its schema is run. */
#include "state/index_import.h"

#include <string.h>

#include "state/index_sql.h"

enum { TEXT_LONGEST = 1 << 20 };

DEFINE_AUTO(sqlite3, sqlite3_close)

static char *text_of(struct arena *a, sqlite3_stmt *s, int column)
{
	const void *p = sqlite3_column_blob(s, column); /* cfssl declares most of them as blobs */
	int n = sqlite3_column_bytes(s, column);

	return arena_strndup(a, p ? p : "", n > 0 ? (size_t)n : 0);
}

static int fail(sqlite3 *db, const char *path, struct err *e)
{
	return err_set(e, ERR_INVALID, "%s: is not a database of cfssl: %s", path, sqlite3_errmsg(db));
}

int cfssl_each(const char *path, int (*cb)(void *arg, const struct cfssl_row *, struct err *), void *arg, struct err *e)
{
	static const char sql[] = "SELECT CAST(serial_number AS TEXT), ca_label, authority_key_identifier, status, "
				  "reason, CAST(revoked_at AS TEXT), CAST(expiry AS TEXT), pem FROM certificates ORDER "
				  "BY rowid";
	AUTO(sqlite3) *db = NULL;
	AUTO(sqlite3_stmt) *s = NULL;
	int r;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
		return fail(db, path, e);
	sqlite3_limit(db, SQLITE_LIMIT_LENGTH, TEXT_LONGEST);
	sqlite3_busy_timeout(db, 10000);
	if (sqlite3_exec(db, "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON", NULL, NULL,
			 NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
		return fail(db, path, e);
	while ((r = sqlite3_step(s)) == SQLITE_ROW) {
		SCOPED_ARENA *a = arena_new();
		struct cfssl_row row = { .serial = text_of(a, s, 0), .label = text_of(a, s, 1), .aki = text_of(a, s, 2),
			.status = text_of(a, s, 3), .reason = sqlite3_column_int64(s, 4),
			.revoked_at = text_of(a, s, 5),
			.expiry = text_of(a, s, 6), .pem = text_of(a, s, 7) };

		if (cb(arg, &row, e) != 0)
			return -1;
	}
	return r == SQLITE_DONE ? 0 : fail(db, path, e);
}
