#pragma once
#include <sqlite3.h>

#include "base/buf.h"
#include "state/index.h"

/* The inside of the cache, for index*.c only. */
enum { INDEX_VERSION = 7 };

/* One table drives a record type's columns: making the table, writing a row, reading it back, and the fields of
 * queries. */
enum column_kind {
	COL_TEXT,
	COL_HEX,    /* hex text in the record, octets in the cache */
	COL_TIME,
	COL_WHEN,   /* a time that may be absent: NULL, which no comparison finds */
	COL_INT,
	COL_BOOL,
	COL_ENUM,
	COL_LIST,   /* struct strv; each item ends with a line break */
	COL_REASON, /* code; NULL while not revoked */
	COL_STATE,  /* REVOKED, HELD, or NULL; ACTIVE and EXPIRED depend on the clock and are never stored */
	COL_STATUS, /* of a device: never stored, from `state`, the clock and the deltas of its device manager */
	COL_PATH    /* of an issued entry: the number of its folder when the rest follows from the serial number */
};
struct column {
	const char *name;
	enum column_kind kind;
	size_t off;
	const char *index; /* that begins with this column; NULL: none */
	bool words;        /* substrings are found through the table `words` */
	bool hidden;       /* not a field of queries */
};
struct table {
	const char *name;
	const struct column *columns;
	size_t n;
	const char *newest; /* the column that a list is sorted by of its own accord, backwards */
};
extern const struct table cert_table, crl_table, device_table, device_entry_table, event_table;

enum statement {
	/* whole records: the columns come from the tables above */
	ST_CERT_ADD, ST_CERT_PUT, ST_CERT_TWIN, ST_CERT_DROP, ST_CRL_ADD, ST_CERT_GET, ST_CERT_EXACT, ST_CERT_PREFIX,
	ST_CERT_PRINT, ST_CERT_REQUEST, ST_CRL_LAST, ST_CRLS,
	/* the cache itself */
	ST_STAMP, ST_STAMP_SET, ST_BAD_ADD, ST_BAD, ST_TWINS,
	/* folding */
	ST_WORDS_ADD, ST_ORPHAN_DROP, ST_KNOWN, ST_REVOCATION_ADD, ST_REVOCATIONS, ST_CERT_ENDS, ST_REVOKED_SET,
	ST_CERT_STATE, ST_CHANGE_ADD, ST_CHANGES,
	ST_METADATA, ST_METADATA_SET,
	ST_EVENT_ADD, ST_DEVICE_ENTRY_ADD, ST_DEVICE_ENTRIES, ST_DEVICE_PUT, ST_DEVICE_DROP, ST_DEVICE_SLOT,
	ST_DEVICE_OF,
	/* reading */
	ST_DEVICE_GET, ST_DEVICE_FIND, ST_DEVICE_CERTS,
	ST_BOOTSTRAP, ST_REUSED, ST_REFUSALS, ST_EVENT_AT, ST_REVOKED_EACH, ST_REVOKED_ONE, ST_REVOKED_AHEAD,
	ST_COUNT_BY, ST_COUNT_AHEAD, ST_EXPIRY,
	ST_N
};

struct index {
	struct arena *arena;
	const char *path;
	sqlite3 *db;
	sqlite3_stmt *statements[ST_N]; /* prepared on first use */
	/* which start of the machine this is: what was never synced is trusted only within one */
	char boot[40];
	int code;                       /* SQLite's, of the last failure */
	bool detached;                  /* a private database, because the file cannot be written */
	bool have_revoked, have_changes, have_devices;
	bool fresh;                     /* the first fold is under way: revocations wait for its end */
	bool keyless;                   /* and certificates cannot be looked up yet */
	bool preview;                   /* a transaction with uncommitted entries is open */
	size_t previewed;
	int readers;                    /* depth of index_read_begin */
	int64_t patience_ms, busy_until; /* with others who have the file */
	struct oid known[2];            /* a stamp, and a commit that it contains */
};

/* Sets *e from the connection's last error. Always -1. */
int index_fail(struct index *, struct err *);
int index_exec(struct index *, const char *sql, struct err *) NODISCARD;
/* The statement, reset and without bindings; NULL on failure. */
sqlite3_stmt *index_statement(struct index *, enum statement, struct err *);
/* The same in a transaction for reading, which index_read_end ends; after NULL there is none to end. */
sqlite3_stmt *index_ask(struct index *, enum statement, struct err *);
void index_rollback(struct index *); /* if a transaction is open */
int index_run(struct index *, sqlite3_stmt *, struct err *) NODISCARD;  /* a statement that gives no rows */
int index_step(struct index *, sqlite3_stmt *, struct err *) NODISCARD; /* 1: a row; 0: no more, reset; -1 */

/* index_schema.c */
int index_create(struct index *, struct err *) NODISCARD;   /* all tables, empty, unless somebody just has */
int index_make_key(struct index *, struct err *) NODISCARD; /* unless it is there */
int index_optimise(struct index *, struct err *) NODISCARD; /* what a fresh fold leaves for its end */

/* index_row.c: records to rows and back. */
void index_bind(sqlite3_stmt *, int at, const struct column *, const void *rec);
void index_bind_hex(sqlite3_stmt *, int at, const char *hex);
void index_bind_text(sqlite3_stmt *, int at, const char *);
char *index_text(struct arena *, sqlite3_stmt *, int column);
void index_read(struct arena *, sqlite3_stmt *, const struct table *, void *rec);
void index_read_cert(struct arena *, sqlite3_stmt *, int64_t now, struct certrec *);
void index_columns(const struct table *, struct buf *out); /* quoted, with commas */
char *index_sql_of(struct index *, enum statement);        /* NULL: not one of whole records */

/* index_fold.c: one entry. Parsing needs no database, so that another thread can do it; NULL: not of a kind that is
 * folded. A malformed entry goes into the table `bad`; -1 means that the cache itself failed. `path` must live as long
 * as the arena. */
struct item;
struct item *index_parse(struct arena *, const char *path, struct bytes text);
int index_fold(struct index *, struct item *, struct err *) NODISCARD;
int index_fold_twins(struct index *, struct err *) NODISCARD; /* what could not be noticed while there was no key */
int index_fold_waiting(struct index *, struct err *) NODISCARD; /* all revocations of a fresh fold */
/* The device again, from its entries and certificates; NULL: no device. */
int index_fold_device(struct index *, const char *id, struct err *) NODISCARD;
/* whose certificate it is */
int index_fold_device_of(struct index *, const char *serial, const char *ca, struct err *) NODISCARD;
int index_fold_devices(struct index *, struct err *) NODISCARD; /* all of a fresh fold */
int index_fold_bad(struct index *, const char *path, const char *why, struct err *) NODISCARD;

DEFINE_AUTO(sqlite3_stmt, sqlite3_finalize)
