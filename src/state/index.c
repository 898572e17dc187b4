/* The cache's life: open, catch up, apply, drop. Guarantees: what it answers is the fold of the commit it is stamped
 * with, or of a later one; it can be deleted or damaged at any time and costs only the time of a rebuild; nothing that
 * goes wrong with its file is an error of the command. Written with synchronous=OFF: a killed process leaves a journal
 * that the next one rolls back, and a cache that outlived a crash of the machine is not trusted. */
#include "state/index_sql.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/tm.h"
#include "state/entries.h"

enum { BUSY_MS = 60000, BUSY_SOON = 100, APPLY_BUSY_MS = 2000, BATCH = 256 };

static const char *const statements[ST_N] = {
	[ST_STAMP] = "SELECT tip FROM stamp WHERE tip IS NOT NULL",
	[ST_STAMP_SET] = "INSERT INTO stamp VALUES(1, ?1, ?2) ON CONFLICT DO UPDATE SET tip = ?1, boot = ?2",
	[ST_BAD_ADD] = "INSERT INTO bad VALUES(?1, ?2) ON CONFLICT DO UPDATE SET why = ?2",
	[ST_BAD] = "SELECT path, why FROM bad ORDER BY path",
	[ST_TWINS] = "SELECT lower(hex(serial_number)), ca FROM cert WHERE ca <> '-' "
		     "GROUP BY serial_number, ca HAVING count(*) > 1",
	[ST_CERT_DROP] = "DELETE FROM cert WHERE id = ?1",
	[ST_WORDS_ADD] = "INSERT INTO words(rowid, t) VALUES(?1, ?2)",
	[ST_ORPHAN_DROP] = "DELETE FROM cert WHERE serial_number = ?1 AND ca = '-' AND substr(fingerprint, 1, 8) = "
			   "substr(?2, 1, 8)",
	[ST_KNOWN] = "SELECT 1 FROM cert WHERE serial_number = ?1 AND ca <> '-' AND fingerprint = ?2 LIMIT 1",
	[ST_REVOCATION_ADD] = "INSERT INTO revocation VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
	[ST_REVOCATIONS] = "SELECT action, reason, time, invalidity, recorded, not_after FROM revocation "
			   "WHERE serial = ?1 AND ca = ?2 ORDER BY name, path",
	[ST_CERT_ENDS] = "SELECT max(not_after), max(\"partition\") FROM cert WHERE serial_number = ?1 AND ca = ?2",
	[ST_REVOKED_SET] = "INSERT OR REPLACE INTO revoked VALUES(?2, ?1, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
	[ST_CERT_STATE] = "UPDATE cert SET status = ?3, revocation_reason = ?4, revoked_at = ?5 WHERE serial_number = "
			  "?1 AND ca = ?2",
	[ST_CHANGE_ADD] = "INSERT INTO change VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[ST_CHANGES] = "SELECT key, value FROM change WHERE serial = ?1 AND ca = ?2 ORDER BY time, name, path",
	[ST_METADATA] = "SELECT id, coalesce(head_metadata, metadata) FROM cert WHERE serial_number = ?1 AND ca = ?2",
	[ST_METADATA_SET] = "UPDATE cert SET head_metadata = coalesce(head_metadata, metadata, '{}'), metadata = ?2 "
			    "WHERE id = ?1",
	[ST_DEVICE_DROP] = "DELETE FROM device WHERE device = ?1",
	[ST_DEVICE_SLOT] = "SELECT lower(hex(serial_number)), ca, not_after, status FROM cert "
			   "WHERE device = ?1 AND (+issued_at > ?2 OR (+issued_at = ?2 AND status IS NULL)) ORDER BY "
			   "not_before DESC, serial_number DESC",
	[ST_DEVICE_OF] = "SELECT device FROM cert INDEXED BY cert_key WHERE serial_number = ?1 AND ca = ?2 AND device "
			 "IS NOT NULL",
	[ST_BOOTSTRAP] = "SELECT count(*), count(status) FROM cert INDEXED BY cert_bootstrap WHERE bind = 'BOOTSTRAP'",
	/* Who enrols with a certificate of single use revokes it: two that did not know of each other left two
	 * entries. */
	[ST_REUSED] = "SELECT DISTINCT lower(hex(r.serial)), r.ca, r.recorded FROM cert c INDEXED BY cert_bootstrap "
		      "CROSS JOIN revocation r INDEXED BY revocation_of ON r.serial = c.serial_number AND r.ca = c.ca "
		      "WHERE c.bind = 'BOOTSTRAP' AND c.status = 2 AND (SELECT count(*) FROM revocation x "
		      "WHERE x.serial = c.serial_number AND x.ca = c.ca) > 1 ORDER BY 1, 2, 3",
	[ST_REFUSALS] = "SELECT reason, total(count) FROM event WHERE first > 0 AND (?1 IS NULL OR dms = ?1) GROUP "
			"BY reason",
	[ST_EVENT_AT] = "SELECT 1 FROM event WHERE time = ?1 AND type = ?2 AND subject = ?3 AND reason = ?4 LIMIT 1",
	[ST_REVOKED_EACH] = "SELECT serial, reason, time, invalidity, \"partition\" FROM revoked "
			    "WHERE ca = ?1 AND state > 0 AND time <= ?4 AND (not_after = 0 OR not_after >= ?2) ORDER "
			    "BY serial",
	[ST_REVOKED_ONE] = "SELECT serial, reason, time, invalidity, \"partition\", state FROM revoked "
			   "WHERE ca = ?1 AND serial = ?3 AND (state = 0 OR time <= ?4) AND (not_after = 0 OR "
			   "not_after >= ?2)",
	[ST_REVOKED_AHEAD] = "SELECT lower(hex(serial)) FROM revoked INDEXED BY revoked_ahead "
			     "WHERE ca = ?1 AND time > changed AND time > ?2 AND time <= ?3",
	[ST_COUNT_BY] = "SELECT ca, profile, status, count(*), total(not_after < ?1) FROM cert INDEXED BY cert_ca "
			"GROUP BY ca, profile, status",
	[ST_COUNT_AHEAD] = "SELECT ca, profile, count(*), total(not_after < ?1) FROM cert INDEXED BY cert_status "
			   "WHERE status = 2 AND revoked_at > ?1 GROUP BY ca, profile",
	[ST_EXPIRY] = "SELECT (not_after - ?1) / ?2 AS period, count(*) FROM cert INDEXED BY cert_not_after "
		      "WHERE not_after >= ?1 AND not_after < ?3 AND not_after >= ?4 AND (status IS NULL OR revoked_at "
		      "> ?4) AND (?5 IS NULL OR ca = ?5) GROUP BY period",
};

int index_fail(struct index *ix, struct err *e)
{
	ix->code = sqlite3_extended_errcode(ix->db);
	return err_set(e, ERR_IO, "cache %s: %s", ix->path, sqlite3_errmsg(ix->db));
}

/* The content is wrong, so that starting anew helps. */
bool index_damaged(const struct index *ix)
{
	int code = ix->code & 0xff;

	return code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_FORMAT || code == SQLITE_ERROR ||
	       code == SQLITE_SCHEMA || code == SQLITE_CONSTRAINT || code == SQLITE_MISMATCH;
}

int index_exec(struct index *ix, const char *sql, struct err *e)
{
	return sqlite3_exec(ix->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : index_fail(ix, e);
}

sqlite3_stmt *index_statement(struct index *ix, enum statement st, struct err *e)
{
	sqlite3_stmt **s = &ix->statements[st];

	if (!*s) {
		const char *sql = statements[st] ? statements[st] : index_sql_of(ix, st);

		if (sqlite3_prepare_v3(ix->db, sql, -1, SQLITE_PREPARE_PERSISTENT, s, NULL) != SQLITE_OK) {
			index_fail(ix, e);
			return NULL;
		}
	} else {
		sqlite3_reset(*s);
		sqlite3_clear_bindings(*s);
	}
	return *s;
}

int index_step(struct index *ix, sqlite3_stmt *s, struct err *e)
{
	int r = sqlite3_step(s);

	if (r == SQLITE_ROW)
		return 1;
	if (r != SQLITE_DONE)
		index_fail(ix, e);
	sqlite3_reset(s);
	return r == SQLITE_DONE ? 0 : -1;
}

int index_run(struct index *ix, sqlite3_stmt *s, struct err *e)
{
	return index_step(ix, s, e) < 0 ? -1 : 0;
}

static void finalize_all(struct index *ix)
{
	for (size_t i = 0; i < ST_N; i++) {
		sqlite3_finalize(ix->statements[i]);
		ix->statements[i] = NULL;
	}
}

void index_rollback(struct index *ix)
{
	for (size_t i = 0; i < ST_N; i++)
		if (ix->statements[i])
			sqlite3_reset(ix->statements[i]);
	if (!sqlite3_get_autocommit(ix->db))
		sqlite3_exec(ix->db, "ROLLBACK", NULL, NULL, NULL);
}

/* --- open --- */

static void read_boot_id(struct index *ix)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, ix->boot, 36);

	ix->boot[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

/* SQLite's own handler soon sleeps for 25 ms and more, which is longer than most transactions of ours take. */
static int on_busy(void *arg, int tries)
{
	static const struct timespec soon = { .tv_nsec = 250000 }, later = { .tv_nsec = 5000000 };
	struct index *ix = arg;

	if (tries == 0)
		ix->busy_until = tm_mono_ms() + ix->patience_ms;
	else if (tm_mono_ms() >= ix->busy_until)
		return 0;
	nanosleep(tries < BUSY_SOON ? &soon : &later, NULL);
	return 1;
}

static int connect_to(struct index *ix, const char *file, struct err *e)
{
	static const char setup[] = "PRAGMA synchronous = OFF; PRAGMA journal_mode = PERSIST; PRAGMA "
				    "journal_size_limit = 1048576;PRAGMA trusted_schema = OFF; PRAGMA "
				    "cell_size_check = ON;";

	finalize_all(ix);
	sqlite3_close(ix->db);
	ix->db = NULL;
	/* One thread at a time uses the connection. */
	if (sqlite3_open_v2(file, &ix->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK)
		return index_fail(ix, e);
	sqlite3_extended_result_codes(ix->db, 1);
	ix->patience_ms = BUSY_MS;
	sqlite3_busy_handler(ix->db, on_busy, ix);
	return index_exec(ix, setup, e);
}

/* Is the file one of ours, of this version, that nothing may have cut short? */
static int look(struct index *ix, bool *ret_good, struct err *e)
{
	AUTO(sqlite3_stmt) *version = NULL, *boot = NULL;
	const char *id;

	if (sqlite3_prepare_v2(ix->db, "PRAGMA user_version", -1, &version, NULL) != SQLITE_OK ||
	    sqlite3_step(version) != SQLITE_ROW)
		return index_fail(ix, e);
	*ret_good = false;
	if (sqlite3_column_int(version, 0) != INDEX_VERSION)
		return 0;
	if (sqlite3_prepare_v2(ix->db, "SELECT boot FROM stamp", -1, &boot, NULL) != SQLITE_OK)
		return index_fail(ix, e);
	switch (sqlite3_step(boot)) {
	case SQLITE_ROW:
		id = (const char *)sqlite3_column_text(boot, 0);
		*ret_good = (id && strcmp(id, ix->boot) == 0) || sqlite3_db_readonly(ix->db, "main");
		return 0;
	case SQLITE_DONE:
		*ret_good = true; /* nothing in it yet */
		return 0;
	default:
		return index_fail(ix, e);
	}
}

/* A database of this process alone: in memory, and in an unnamed temporary file when it grows. */
static int detach(struct index *ix, struct err *e)
{
	ix->detached = true;
	ix->preview = false;
	ix->path = "(private)";
	if (connect_to(ix, "", e) != 0)
		return -1;
	return index_create(ix, e);
}

/* SQLite's own way to empty a file whatever is in it, under its locks: other processes may have it open. */
static int empty(struct index *ix, struct err *e)
{
	int r;

	index_rollback(ix);
	finalize_all(ix);
	sqlite3_db_config(ix->db, SQLITE_DBCONFIG_RESET_DATABASE, 1, (int *)NULL);
	r = index_exec(ix, "VACUUM", e);
	sqlite3_db_config(ix->db, SQLITE_DBCONFIG_RESET_DATABASE, 0, (int *)NULL);
	return r != 0 ? -1 : index_create(ix, e);
}

/* A file that is not good is emptied by one process at a time, and by none that comes after another has done so: that
 * one may have filled it again. The folder is what they lock, so that nothing is left behind. */
static int empty_once(struct index *ix, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	AUTO_FD fd = open(dirname(arena_strdup(a, ix->path)), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err ignored;
	bool good = false;

	while (fd >= 0 && flock(fd, LOCK_EX) != 0 && errno == EINTR)
		;
	return look(ix, &good, &ignored) == 0 && good ? 0 : empty(ix, e);
}

int index_open(struct arena *a, const char *path, struct index **ret, struct err *e)
{
	struct index *ix = arena_alloc(a, 1, sizeof(*ix));
	struct err ignored;
	struct stat st;
	bool good = false;

	/* SQLite would follow a link, and empty what it leads to. */
	if (*path && lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && unlink(path) != 0)
		path = "";
	ix->arena = a;
	ix->path = arena_strdup(a, path);
	read_boot_id(ix);
	if (*path && (connect_to(ix, path, &ignored) != 0 || look(ix, &good, &ignored) != 0))
		good = false;
	if (!good && (!*path || empty_once(ix, &ignored) != 0) && detach(ix, e) != 0) {
		index_close(ix);
		return -1;
	}
	*ret = ix;
	return 0;
}

void index_close(struct index *ix)
{
	if (!ix)
		return;
	if (ix->db)
		index_rollback(ix);
	finalize_all(ix);
	sqlite3_close(ix->db);
	ix->db = NULL;
}

int index_drop(struct index *ix, struct err *e)
{
	index_forget(ix);
	return empty(ix, e);
}

/* --- stamp and transactions --- */

static int read_stamp(struct index *ix, bool *ret_found, struct oid *ret, struct err *e)
{
	sqlite3_stmt *s = index_statement(ix, ST_STAMP, e);
	int r = s ? index_step(ix, s, e) : -1;

	if (r < 0)
		return -1;
	*ret_found = r > 0 && sqlite3_column_bytes(s, 0) == (int)sizeof(ret->b);
	if (*ret_found)
		memcpy(ret->b, sqlite3_column_blob(s, 0), sizeof(ret->b));
	sqlite3_reset(s);
	return 0;
}

static int write_stamp(struct index *ix, const struct oid *tip, struct err *e)
{
	sqlite3_stmt *s = index_statement(ix, ST_STAMP_SET, e);

	if (!s)
		return -1;
	sqlite3_bind_blob(s, 1, tip->b, sizeof(tip->b), SQLITE_STATIC);
	sqlite3_bind_text(s, 2, ix->boot, -1, SQLITE_STATIC);
	return index_run(ix, s, e);
}

bool index_stamp(struct index *ix, struct oid *ret)
{
	struct err ignored;
	bool found;

	return read_stamp(ix, &found, ret, &ignored) == 0 && found;
}

int index_read_begin(struct index *ix, struct err *e)
{
	struct oid tip;
	bool found = false;

	ix->code = SQLITE_OK;
	if (ix->readers == 0 && !ix->preview && index_exec(ix, "BEGIN", e) != 0)
		return -1;
	ix->readers++;
	if (read_stamp(ix, &found, &tip, e) == 0 && found)
		return 0;
	index_read_end(ix);
	if (!found) { /* somebody emptied it after we caught up */
		ix->code = SQLITE_CORRUPT;
		err_set(e, ERR_IO, "cache %s: empty", ix->path);
	}
	return -1;
}

void index_read_end(struct index *ix)
{
	if (--ix->readers == 0 && !ix->preview)
		index_rollback(ix);
}

sqlite3_stmt *index_ask(struct index *ix, enum statement st, struct err *e)
{
	sqlite3_stmt *s;

	if (index_read_begin(ix, e) != 0)
		return NULL;
	s = index_statement(ix, st, e);
	if (!s)
		index_read_end(ix);
	return s;
}

static bool any_row(struct index *ix, const char *sql)
{
	AUTO(sqlite3_stmt) *s = NULL;

	return sqlite3_prepare_v2(ix->db, sql, -1, &s, NULL) != SQLITE_OK || sqlite3_step(s) != SQLITE_DONE;
}

static int begin_write(struct index *ix, struct err *e)
{
	if (index_exec(ix, "BEGIN IMMEDIATE", e) != 0)
		return -1;
	ix->have_revoked = any_row(ix, "SELECT 1 FROM revocation LIMIT 1");
	ix->have_changes = any_row(ix, "SELECT 1 FROM change LIMIT 1");
	ix->have_devices = any_row(ix, "SELECT 1 FROM device_entry LIMIT 1");
	ix->fresh = false;
	ix->keyless = !any_row(ix, "SELECT 1 FROM sqlite_master WHERE name = 'cert_key'");
	return 0;
}

/* --- catching up --- */

struct sync {
	struct index *ix;
	struct store *store;
	bool rewritten; /* an entry that we have was changed or is gone: only a rebuild will do */
	uint64_t done;
	void (*progress)(void *, uint64_t);
	void *arg;
};

static void *prepare(struct arena *a, const char *path, struct bytes text)
{
	return index_parse(a, path, text);
}

static int on_entry(void *arg, const struct entry_seen *x, struct err *e)
{
	struct sync *s = arg;

	if (s->progress && ++s->done % 1024 == 0)
		s->progress(s->arg, s->done);
	if (x->why)
		return index_fold_bad(s->ix, x->path, x->why, e);
	return x->prepared ? index_fold(s->ix, x->prepared, e) : 0;
}

static int fold_between(struct sync *s, const struct oid *old_tree, const struct oid *commit, struct err *e)
{
	struct oid tree;

	if (store_commit_tree(s->store, commit, &tree, e) != 0)
		return -1;
	return entries_each(s->store, old_tree, &tree, prepare, on_entry, s, &s->rewritten, e);
}

/* With the write lock held. */
static int catch_up(struct sync *s, const struct oid *commit, struct err *e)
{
	struct index *ix = s->ix;
	struct err ignored;
	struct oid stamp, old_tree;
	bool found;

	if (read_stamp(ix, &found, &stamp, e) != 0)
		return -1;
	if (found && store_is_ancestor(s->store, commit, &stamp))
		return 0;
	if (found && store_commit_tree(s->store, &stamp, &old_tree, &ignored) != 0) {
		s->rewritten = true;
		return err_set(e, ERR_CONFLICT, "the ledger was rewritten");
	}
	ix->fresh = !found;
	if (!found && index_exec(ix, "PRAGMA cache_size = -24576; PRAGMA threads = 2", e) != 0)
		return -1;
	if (fold_between(s, found ? &old_tree : NULL, commit, e) != 0 || (!found && index_optimise(ix, e) != 0))
		return -1;
	return write_stamp(ix, commit, e);
}

static int try_sync(struct sync *s, const struct oid *commit, struct err *e)
{
	struct index *ix = s->ix;

	ix->code = SQLITE_OK;
	s->done = 0;
	s->rewritten = false;
	if (begin_write(ix, e) != 0)
		return -1;
	if (catch_up(s, commit, e) == 0 && index_exec(ix, "COMMIT", e) == 0)
		return 0;
	index_rollback(ix);
	return -1;
}

/* The last answer is kept: a request asks many times while other commits go on. */
static bool contains(struct index *ix, struct store *store, const struct oid *stamp, const struct oid *commit)
{
	if (oid_equal(stamp, commit) || (oid_equal(stamp, &ix->known[0]) && oid_equal(commit, &ix->known[1])))
		return true;
	if (!store_is_ancestor(store, commit, stamp))
		return false;
	ix->known[0] = *stamp;
	ix->known[1] = *commit;
	return true;
}

int index_sync(struct index *ix, struct store *store, const struct oid *commit, void (*progress)(void *, uint64_t),
	       void *arg, struct err *e)
{
	struct sync s = { .ix = ix, .store = store, .progress = progress, .arg = arg };
	struct err why = { 0 };
	struct oid stamp;

	if (index_stamp(ix, &stamp) && contains(ix, store, &stamp, commit)) /* or later, and no lock for that */
		return 0;
	index_forget(ix);
	for (int attempt = 0; attempt < 3; attempt++) {
		why = (struct err){ 0 };
		if (try_sync(&s, commit, &why) == 0)
			return 0;
		if (!s.rewritten && ix->code == SQLITE_OK)
			break; /* not the cache's fault */
		if ((s.rewritten || index_damaged(ix)) && attempt < 2 && empty(ix, &why) == 0)
			continue;
		if (ix->detached || detach(ix, &why) != 0)
			break;
	}
	*e = why;
	return -1;
}

/* --- our own entries --- */

static int fold_entries(struct index *ix, const struct entry *v, size_t n, struct err *e)
{
	SCOPED_ARENA *a = arena_new();

	for (size_t i = 0; i < n; i++) {
		struct item *it = index_parse(a, v[i].path, v[i].text);

		if (it && index_fold(ix, it, e) != 0)
			return -1;
		if ((i + 1) % BATCH == 0) {
			arena_free(a);
			a = arena_new();
		}
	}
	return 0;
}

bool index_apply_begin(struct index *ix, const struct oid *from, const struct entry *v, size_t n)
{
	struct err ignored = { 0 };
	struct oid stamp;
	bool found, good;

	index_forget(ix);
	ix->patience_ms = APPLY_BUSY_MS;
	good = begin_write(ix, &ignored) == 0 && read_stamp(ix, &found, &stamp, &ignored) == 0 && found &&
	       oid_equal(&stamp, from) &&
	       fold_entries(ix, v, n, &ignored) == 0;
	if (!good)
		index_rollback(ix);
	ix->patience_ms = BUSY_MS;
	return good;
}

void index_apply_end(struct index *ix, const struct oid *to)
{
	struct err ignored = { 0 };

	ix->patience_ms = APPLY_BUSY_MS;
	if (!to || write_stamp(ix, to, &ignored) != 0 || index_exec(ix, "COMMIT", &ignored) != 0)
		index_rollback(ix);
	ix->patience_ms = BUSY_MS;
}

int index_preview(struct index *ix, const struct entry *v, size_t n, struct err *e)
{
	if (n < ix->previewed)
		index_forget(ix);
	if (n == ix->previewed)
		return 0;
	if (!ix->preview) {
		/* Never spilled to the file, which would keep readers out for as long as a signature takes. */
		if (index_exec(ix, "PRAGMA cache_spill = OFF", e) != 0 || begin_write(ix, e) != 0)
			return -1;
		ix->preview = true;
	}
	if (fold_entries(ix, v + ix->previewed, n - ix->previewed, e) != 0) {
		index_forget(ix);
		return -1;
	}
	ix->previewed = n;
	return 0;
}

void index_forget(struct index *ix)
{
	struct err ignored;

	if (!ix->preview)
		return;
	index_rollback(ix);
	ix->preview = false;
	ix->previewed = 0;
	if (index_exec(ix, "PRAGMA cache_spill = ON", &ignored) != 0)
		return;
}
