/* The tables of the cache. Folded columns are in the certificate's own row, so that a list needs no join; the entries
 * that they are folded from are kept beside it, because a merge brings entries in any order. */
#include "state/index_sql.h"

static const char tables[] =
	"CREATE TABLE stamp(id INTEGER PRIMARY KEY CHECK(id = 1), tip BLOB, boot TEXT);"
	"CREATE TABLE bad(path TEXT PRIMARY KEY, why TEXT) WITHOUT ROWID;"
	/* Entries, as they are; name is the file's. */
	"CREATE TABLE revocation(name TEXT, path TEXT, serial BLOB, ca TEXT, action INT, reason INT, time INT, "
	"invalidity INT, recorded INT, not_after INT, PRIMARY KEY(name, path)) WITHOUT ROWID;"
	"CREATE INDEX revocation_of ON revocation(serial, ca);"
	"CREATE TABLE change(name TEXT, path TEXT, serial BLOB, ca TEXT, key TEXT, value TEXT, time INT, PRIMARY "
	"KEY(name, path)) WITHOUT ROWID;"
	"CREATE INDEX change_of ON change(serial, ca);"
	/* The fold of revocations, in the order that CRLs want it; state is 0 after a release. */
	"CREATE TABLE revoked(ca TEXT, serial BLOB, state INT, reason INT, time INT, invalidity INT, not_after INT, "
	"changed INT, \"partition\" INT, PRIMARY KEY(ca, serial)) WITHOUT ROWID;"
	/* Few: those that were to take effect later than they were recorded. */
	"CREATE INDEX revoked_ahead ON revoked(ca, time) WHERE time > changed;"
	/* Trigrams of subject, device and alternative names; which column it was is checked on the row. */
	"CREATE VIRTUAL TABLE words USING fts5(t, content='', tokenize='trigram', detail=none, columnsize=0);"
	"INSERT INTO words(words, rank) VALUES('hashsize', 8388608);";

static const char device_key[] = "CREATE UNIQUE INDEX device_key ON device(device);";

/* After a first fold, before and after devices are made of their entries. */
static const char device_entry_of[] = "CREATE INDEX device_entry_of ON device_entry(device, time, seq, path);";
static const char device_indexes[] =
	"CREATE INDEX device_dms ON device(dms, device);"
	"CREATE INDEX device_state ON device(state, expiration_date, dms);"
	"CREATE INDEX device_expires ON device(expiration_date, device);"
	"CREATE INDEX device_created ON device(created_at, device);";

static const char event_key[] = "CREATE INDEX event_key ON event(time, subject);";

static const char crl_key[] = "CREATE INDEX crl_key ON crl(ca, scope, length(number), number);";

/* Made after all certificates of a first fold, or when an entry asks for one: sorting a million is four times faster
 * than putting each into its place. Not unique: a serial number that was used twice is not lost. */
static const char cert_key[] = "CREATE INDEX cert_key ON cert(serial_number, ca, substr(fingerprint, 1, 8));";

/* Made after the first fold, which sorts once instead of a million times. Digests need no more than 8 octets to be
 * found. */
static const char indexes[] =
	"CREATE INDEX cert_ca ON cert(ca, profile, status, not_after, path);"
	"CREATE INDEX cert_not_after ON cert(not_after, path, status, ca);"
	"CREATE INDEX cert_issued_at ON cert(issued_at, path, not_after, status, ca);"
	"CREATE INDEX cert_subject ON cert(subject, path);"
	"CREATE INDEX cert_common_name ON cert(common_name, path);"
	"CREATE INDEX cert_device ON cert(device, not_before, serial_number) WHERE device IS NOT NULL;"
	"CREATE INDEX cert_bootstrap ON cert(status) WHERE bind = 'BOOTSTRAP';"
	"CREATE INDEX cert_ca_id ON cert(ca_id) WHERE ca_id IS NOT NULL;"
	"CREATE INDEX cert_status ON cert(status, revoked_at) WHERE status IS NOT NULL;"
	"CREATE INDEX cert_fingerprint ON cert(substr(fingerprint, 1, 8));"
	"CREATE INDEX cert_request ON cert(substr(request_sha256, 1, 8)) WHERE request_sha256 IS NOT NULL;";

static void create_table(const struct table *t, const char *more, struct buf *out)
{
	static const char *const types[] = {
		[COL_TEXT] = " TEXT", [COL_HEX] = " BLOB", [COL_TIME] = " INT", [COL_INT] = " INT", [COL_BOOL] = " INT",
		[COL_WHEN] = " INT", [COL_ENUM] = " INT", [COL_STATUS] = "", [COL_LIST] = " TEXT",
			     [COL_REASON] = " INT", [COL_STATE] = " INT", [COL_PATH] = ""
	};

	buf_printf(out, "CREATE TABLE %s(id INTEGER PRIMARY KEY", t->name);
	for (size_t i = 0; i < t->n; i++)
		buf_printf(out, ", \"%s\"%s", t->columns[i].name, types[t->columns[i].kind]);
	buf_printf(out, "%s);", more);
}

static int create_all(struct index *ix, struct err *e)
{
	SCOPED_BUF b = buf_init(BUF_TEXT);

	create_table(&cert_table, ", head_metadata TEXT", &b);
	create_table(&crl_table, "", &b);
	create_table(&device_table, "", &b);
	create_table(&device_entry_table, "", &b);
	create_table(&event_table, "", &b);
	buf_puts(&b, tables);
	buf_puts(&b, crl_key);
	buf_puts(&b, device_key);
	buf_puts(&b, event_key);
	buf_printf(&b, "PRAGMA user_version = %d;", INDEX_VERSION);
	return index_exec(ix, buf_str(&b), e);
}

int index_create(struct index *ix, struct err *e)
{
	AUTO(sqlite3_stmt) *s = NULL;

	if (index_exec(ix, "BEGIN IMMEDIATE", e) != 0)
		return -1;
	if (sqlite3_prepare_v2(ix->db, "PRAGMA user_version", -1, &s, NULL) != SQLITE_OK ||
	    sqlite3_step(s) != SQLITE_ROW) {
		index_fail(ix, e);
	} else {
		int version = sqlite3_column_int(s, 0);

		sqlite3_reset(s);
		if ((version == INDEX_VERSION || create_all(ix, e) == 0) && index_exec(ix, "COMMIT", e) == 0)
			return 0;
	}
	sqlite3_reset(s);
	index_rollback(ix);
	return -1;
}

int index_make_key(struct index *ix, struct err *e)
{
	if (!ix->keyless)
		return 0;
	ix->keyless = false;
	return index_exec(ix, cert_key, e) != 0 ? -1 : index_fold_twins(ix, e);
}

int index_optimise(struct index *ix, struct err *e)
{
	if (index_make_key(ix, e) != 0 || index_fold_waiting(ix, e) != 0 || index_exec(ix, indexes, e) != 0 ||
	    index_exec(ix, device_entry_of, e) != 0)
		return -1;
	return index_fold_devices(ix, e) != 0 ? -1 : index_exec(ix, device_indexes, e);
}
