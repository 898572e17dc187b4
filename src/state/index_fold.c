/* The fold: one entry at a time, in any order, twice the same result. A permanent revocation beats hold and release,
 * the earliest one wins, ties go to the entry's name; of holds and releases the one recorded last counts. Entries come
 * from whoever may push, so one that is malformed is put down in the table `bad` and changes nothing else. Unknown
 * kinds are kept and ignored. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "state/entry.h"
#include "state/index_sql.h"

enum { REASON_HOLD = 6 };

/* Binds the key of a certificate as parameters 1 and 2. */
static sqlite3_stmt *of_cert(struct index *ix, enum statement st, const char *serial, const char *ca, struct err *e)
{
	sqlite3_stmt *s = index_statement(ix, st, e);

	if (s) {
		index_bind_hex(s, 1, serial);
		index_bind_text(s, 2, ca);
	}
	return s;
}

/* --- revocations --- */

struct verdict {
	int state, reason;
	int64_t time, invalidity, not_after, changed;
};

struct verdicts {
	struct verdict ended, held; /* for good, and of holds and releases */
	bool held_once;
};

/* Folds in one more entry; they come in the order of their names. */
static void judge(struct verdicts *v, sqlite3_stmt *s)
{
	struct verdict w = { CERT_REVOKED, sqlite3_column_int(s, 1), sqlite3_column_int64(s, 2),
			     sqlite3_column_int64(s, 3),
			     sqlite3_column_int64(s, 5), sqlite3_column_int64(s, 4) };
	int action = sqlite3_column_int(s, 0);

	if (action == REVOKE_HOLD || (action == REVOKE_REVOKE && w.reason == REASON_HOLD)) {
		w.state = CERT_HELD;
		w.reason = REASON_HOLD;
		v->held_once = true;
	} else if (action == REVOKE_UNHOLD) {
		w.state = CERT_ACTIVE;
	}
	if (w.state == CERT_REVOKED ? v->ended.state != CERT_REVOKED || w.time < v->ended.time
				    : w.changed >= v->held.changed)
		*(w.state == CERT_REVOKED ? &v->ended : &v->held) = w;
}

/* A hold brings a revocation that was recorded ahead forward: it must not be without effect until then. */
static struct verdict settle(const struct verdicts *v)
{
	struct verdict r = v->ended.state == CERT_REVOKED ? v->ended : v->held;

	if (r.state == CERT_REVOKED && r.time > r.changed && v->held.state == CERT_HELD && v->held.time < r.time)
		r.time = v->held.time;
	return r;
}

static int store_verdict(struct index *ix, const char *serial, const char *ca, const struct verdict *v, struct err *e)
{
	int64_t not_after = v->not_after, partition = -1;
	sqlite3_stmt *s = NULL;

	if (!ix->fresh) {
		s = of_cert(ix, ST_CERT_ENDS, serial, ca, e);
		if (!s || index_step(ix, s, e) < 0)
			return -1;
		/* The certificate's own word on its end counts, so that no entry can drop it from CRLs early. */
		if (sqlite3_column_type(s, 0) != SQLITE_NULL) {
			not_after = sqlite3_column_int64(s, 0);
			partition = sqlite3_column_int64(s, 1);
		}
		sqlite3_reset(s);
	}
	s = of_cert(ix, ST_REVOKED_SET, serial, ca, e);
	if (!s)
		return -1;
	sqlite3_bind_int(s, 3, v->state);
	sqlite3_bind_int(s, 4, v->reason);
	sqlite3_bind_int64(s, 5, v->time);
	sqlite3_bind_int64(s, 6, v->invalidity);
	sqlite3_bind_int64(s, 7, not_after);
	sqlite3_bind_int64(s, 8, v->changed);
	sqlite3_bind_int64(s, 9, partition);
	return index_run(ix, s, e);
}

static int mark_cert(struct index *ix, const char *serial, const char *ca, const struct verdict *v, struct err *e)
{
	sqlite3_stmt *s = of_cert(ix, ST_CERT_STATE, serial, ca, e);

	if (!s)
		return -1;
	if (v->state != CERT_ACTIVE) {
		sqlite3_bind_int(s, 3, v->state);
		sqlite3_bind_int(s, 4, v->reason);
	}
	sqlite3_bind_int64(s, 5, v->state == CERT_ACTIVE ? 0 : v->time);
	return index_run(ix, s, e);
}

static int refold_state(struct index *ix, const char *serial, const char *ca, struct err *e)
{
	sqlite3_stmt *s = of_cert(ix, ST_REVOCATIONS, serial, ca, e);
	struct verdicts all = { .held = { .state = CERT_ACTIVE, .changed = INT64_MIN } };
	struct verdict v;
	bool any = false;
	int r;

	while ((r = s ? index_step(ix, s, e) : -1) > 0) {
		any = true;
		judge(&all, s);
	}
	v = settle(&all);
	/* A release of what was never held says nothing. */
	if (r < 0 || !any || (v.state == CERT_ACTIVE && !all.held_once))
		return r;
	if (store_verdict(ix, serial, ca, &v, e) != 0)
		return -1;
	if (ix->fresh)
		return 0;
	return mark_cert(ix, serial, ca, &v, e) != 0 ||
	       (ix->have_devices && index_fold_device_of(ix, serial, ca, e) != 0) ? -1 : 0;
}

/* In the order of the certificates' rows: a hundred thousand random ones would be read and written one page each. */
static const char mark_all[] =
	"UPDATE cert SET (status, revocation_reason, revoked_at) = (SELECT state, reason, time FROM revoked r "
	"WHERE r.ca = cert.ca AND r.serial = cert.serial_number) "
	"WHERE EXISTS (SELECT 1 FROM revoked r WHERE r.ca = cert.ca AND r.serial = cert.serial_number AND r.state > 0);"
	"CREATE TEMP TABLE ends AS SELECT r.ca AS ca, r.serial AS serial, c.not_after AS not_after, c.\"partition\" "
	"AS part FROM cert c NOT INDEXED CROSS JOIN revoked r ON r.ca = c.ca AND r.serial = c.serial_number;"
	"CREATE INDEX temp.ends_of ON ends(ca, serial);"
	"UPDATE revoked SET (not_after, \"partition\") = (SELECT max(n.not_after), max(n.part) FROM temp.ends n "
	"WHERE n.ca = revoked.ca AND n.serial = revoked.serial) "
	"WHERE EXISTS (SELECT 1 FROM temp.ends n WHERE n.ca = revoked.ca AND n.serial = revoked.serial);"
	"DROP TABLE temp.ends;";

int index_fold_waiting(struct index *ix, struct err *e)
{
	static const char each[] = "SELECT DISTINCT lower(hex(serial)), ca FROM revocation INDEXED BY revocation_of";
	AUTO(sqlite3_stmt) *s = NULL;
	int r;

	if (sqlite3_prepare_v2(ix->db, each, -1, &s, NULL) != SQLITE_OK)
		return index_fail(ix, e);
	while ((r = index_step(ix, s, e)) > 0)
		if (refold_state(ix, (const char *)sqlite3_column_text(s, 0), (const char *)sqlite3_column_text(s, 1),
				 e) != 0)
			return -1;
	ix->fresh = false;
	return r < 0 || !ix->have_revoked ? r : index_exec(ix, mark_all, e);
}

/* --- metadata --- */

static int refold_metadata(struct index *ix, struct arena *a, const char *serial, const char *ca, struct err *e)
{
	sqlite3_stmt *s = of_cert(ix, ST_METADATA, serial, ca, e), *changes, *set;
	char *json;
	int64_t id;
	int r = s ? index_step(ix, s, e) : -1;

	if (r <= 0)
		return r; /* not issued yet: folded when it comes */
	id = sqlite3_column_int64(s, 0);
	json = sqlite3_column_type(s, 1) == SQLITE_NULL ? NULL : index_text(a, s, 1);
	sqlite3_reset(s);
	changes = of_cert(ix, ST_CHANGES, serial, ca, e);
	while ((r = changes ? index_step(ix, changes, e) : -1) > 0) {
		struct err ignored = { 0 };
		char *key = index_text(a, changes, 0), *next = json;

		if (sqlite3_column_type(changes, 1) == SQLITE_NULL ? any_unset(a, json, key, &next, &ignored)
								   : any_set(a, json, key, index_text(a, changes, 1),
									     &next, &ignored))
			continue; /* the head's metadata is no object */
		json = next;
	}
	set = r == 0 ? index_statement(ix, ST_METADATA_SET, e) : NULL;
	if (!set)
		return -1;
	sqlite3_bind_int64(set, 1, id);
	index_bind_text(set, 2, json && strcmp(json, "{}") != 0 ? json : NULL);
	return index_run(ix, set, e);
}

/* --- one entry of each kind; item->why is set when it is malformed --- */

struct item {
	const struct kind *kind;
	struct arena *a;
	const char *path, *name;
	void *rec; /* of the kind's schema */
	struct bytes body;
	const char *why;
};

struct kind {
	const char *folder;
	const struct schema *schema;
	int (*fold)(struct index *, struct item *, struct err *);
};

static int check_name(struct item *it, const char *serial)
{
	struct err why = { 0 };

	if (entry_check_name(it->path, serial, &why) == 0)
		return 0;
	it->why = arena_strdup(it->a, why.msg);
	return -1;
}

static void add_words(struct buf *b, const char *text)
{
	if (text && !(b->n && strstr(buf_str(b), text)))
		buf_printf(b, "%s\n", text);
}

static int store_words(struct index *ix, const struct certrec *r, int64_t id, struct err *e)
{
	SCOPED_BUF b = buf_init(BUF_BIG);
	sqlite3_stmt *s = index_statement(ix, ST_WORDS_ADD, e);
	size_t cn = r->common_name ? strlen(r->common_name) : 0;

	if (!s)
		return -1;
	add_words(&b, r->subject);
	add_words(&b, r->common_name);
	add_words(&b, r->device);
	for (size_t i = 0; i < r->san.n; i++) {
		const char *colon = strchr(r->san.v[i], ':'), *name = colon ? colon + 1 : r->san.v[i];

		/* Trigrams have no place: those of the common name need not be said again. */
		add_words(&b, cn > 2 && strncmp(name, r->common_name, cn) == 0 ? name + cn - 2 : name);
	}
	sqlite3_bind_int64(s, 1, id);
	sqlite3_bind_text(s, 2, buf_str(&b), (int)b.n, SQLITE_STATIC);
	return index_run(ix, s, e);
}

/* row 0: a new one */
static int bind_cert(struct index *ix, const struct certrec *r, int64_t row, struct err *e)
{
	sqlite3_stmt *s = index_statement(ix, row ? ST_CERT_PUT : ST_CERT_ADD, e);

	if (!s)
		return -1;
	for (size_t i = 0; i < cert_table.n; i++)
		index_bind(s, (int)i + 1, &cert_table.columns[i], r);
	if (row)
		sqlite3_bind_int64(s, (int)cert_table.n + 1, row);
	return index_run(ix, s, e);
}

/* Of two entries of one certificate, which two clones imported, the first by path is shown, in whatever order they
 * came. Two certificates that only claim to be one are an error of the second. */
static int lose(struct index *ix, struct arena *a, const struct certrec *winner, const struct certrec *loser,
		struct err *e)
{
	if (strcmp(winner->fingerprint, loser->fingerprint) == 0)
		return 0;
	return index_fold_bad(ix, loser->path,
			      arena_printf(a, "%s: not the certificate of %s, whose serial number it has", loser->path,
					   winner->path), e);
}

/* *ret_row: where the certificate is already; 0: nowhere. */
static int find_twin(struct index *ix, struct item *it, const struct certrec *r, struct certrec *ret, int64_t *ret_row,
		     struct err *e)
{
	sqlite3_stmt *s = of_cert(ix, ST_CERT_TWIN, r->serial_number, r->ca, e);
	int found;

	if (!s)
		return -1;
	index_bind_hex(s, 3, r->fingerprint);
	found = index_step(ix, s, e);
	*ret_row = 0;
	if (found > 0) {
		*ret = (struct certrec){ 0 };
		index_read(it->a, s, &cert_table, ret);
		*ret_row = sqlite3_column_int64(s, (int)cert_table.n);
		sqlite3_reset(s);
	}
	return found < 0 ? -1 : 0;
}

/* When the issuer of a certificate becomes known it is recorded again under it, and the entry without issuer gives way,
 * in whatever order they come. *ret_hidden: this is the one that does. */
static int settle_orphan(struct index *ix, const struct certrec *r, bool *ret_hidden, struct err *e)
{
	bool orphan = strcmp(r->ca, "-") == 0;
	sqlite3_stmt *s = index_statement(ix, orphan ? ST_KNOWN : ST_ORPHAN_DROP, e);
	int found;

	if (!s)
		return -1;
	index_bind_hex(s, 1, r->serial_number);
	index_bind_hex(s, 2, r->fingerprint);
	if (!orphan)
		return index_run(ix, s, e);
	found = index_step(ix, s, e);
	sqlite3_reset(s);
	*ret_hidden = found > 0;
	return found < 0 ? -1 : 0;
}

static int fold_issued(struct index *ix, struct item *it, struct err *e)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----";
	struct certrec *r = it->rec, old;
	bool hidden = false;
	int64_t row = 0;

	if (check_name(it, r->serial_number) != 0)
		return 0;
	if (it->body.n < sizeof(begin) || memcmp(it->body.p, begin, sizeof(begin) - 1) != 0) {
		it->why = arena_printf(it->a, "%s: no certificate follows the head", it->path);
		return 0;
	}
	r->path = arena_strdup(it->a, it->path);
	if (!ix->keyless && r->is_ca && r->type && strcmp(r->type, "IMPORTED") == 0 &&
	    settle_orphan(ix, r, &hidden, e) != 0)
		return -1;
	if (hidden)
		return 0;
	if (!ix->keyless && find_twin(ix, it, r, &old, &row, e) != 0)
		return -1;
	if (row && strcmp(old.path, r->path) <= 0)
		return lose(ix, it->a, &old, r, e);
	if (bind_cert(ix, r, row, e) != 0 || (row && lose(ix, it->a, r, &old, e) != 0) ||
	    (!row && store_words(ix, r, sqlite3_last_insert_rowid(ix->db), e) != 0))
		return -1;
	if (ix->have_revoked && !ix->fresh && refold_state(ix, r->serial_number, r->ca, e) != 0)
		return -1;
	if (ix->have_devices && !ix->fresh &&
	    (index_fold_device(ix, r->device, e) != 0 || (row && index_fold_device(ix, old.device, e) != 0)))
		return -1;
	return ix->have_changes ? refold_metadata(ix, it->a, r->serial_number, r->ca, e) : 0;
}

struct row {
	struct certrec rec;
	int64_t id;
};

static int by_path(const void *x, const void *y)
{
	return strcmp(((const struct row *)x)->rec.path, ((const struct row *)y)->rec.path);
}

/* The rows of one group are all read before any is dropped. */
static int settle_group(struct index *ix, struct arena *a, sqlite3_stmt *group, struct err *e)
{
	sqlite3_stmt *s = index_statement(ix, ST_CERT_TWIN, e);
	struct row *v = NULL;
	size_t n = 0;
	int r;

	for (int i = 0; s && i < 3; i++)
		sqlite3_bind_value(s, i + 1, sqlite3_column_value(group, i));
	while ((r = s ? index_step(ix, s, e) : -1) > 0) {
		v = arena_grow(a, v, n, sizeof(*v));
		v[n] = (struct row){ .id = sqlite3_column_int64(s, (int)cert_table.n) };
		index_read(a, s, &cert_table, &v[n++].rec);
	}
	if (n)
		qsort(v, n, sizeof(*v), by_path);
	for (size_t i = 1; i < n && r == 0; i++) {
		s = index_statement(ix, ST_CERT_DROP, e);
		if (!s || lose(ix, a, &v[0].rec, &v[i].rec, e) != 0)
			return -1;
		sqlite3_bind_int64(s, 1, v[i].id);
		r = index_run(ix, s, e);
	}
	return r;
}

int index_fold_twins(struct index *ix, struct err *e)
{
	/* As settle_orphan does one by one. */
	static const char orphans[] = "DELETE FROM cert WHERE ca = '-' AND is_ca AND EXISTS (SELECT 1 FROM cert k "
				      "INDEXED BY cert_key WHERE k.serial_number = cert.serial_number AND k.ca <> '-' "
				      "AND k.fingerprint = cert.fingerprint)";
	static const char groups[] = "CREATE TEMP TABLE twins AS SELECT serial_number, ca, substr(fingerprint, 1, 8) "
				     "FROM cert INDEXED BY cert_key GROUP BY 1, 2, 3 HAVING count(*) > 1";
	AUTO(sqlite3_stmt) *s = NULL;
	SCOPED_ARENA *a = arena_new();
	int r;

	if (index_exec(ix, orphans, e) != 0 || index_exec(ix, groups, e) != 0)
		return -1;
	if (sqlite3_prepare_v2(ix->db, "SELECT * FROM temp.twins", -1, &s, NULL) != SQLITE_OK)
		return index_fail(ix, e);
	while ((r = index_step(ix, s, e)) > 0)
		if (settle_group(ix, a, s, e) != 0)
			return -1;
	sqlite3_finalize(s);
	s = NULL;
	return r < 0 ? -1 : index_exec(ix, "DROP TABLE temp.twins", e);
}

static int fold_revoked(struct index *ix, struct item *it, struct err *e)
{
	const struct revocation *r = it->rec;
	sqlite3_stmt *s;
	int reason = 0;

	if (check_name(it, r->serial_number) != 0)
		return 0;
	if (r->reason && revocation_reason_parse(r->reason, &reason) != 0)
		reason = 0;
	s = index_statement(ix, ST_REVOCATION_ADD, e);
	if (!s)
		return -1;
	index_bind_text(s, 1, it->name);
	index_bind_text(s, 2, it->path);
	index_bind_hex(s, 3, r->serial_number);
	index_bind_text(s, 4, r->ca);
	sqlite3_bind_int(s, 5, r->action);
	sqlite3_bind_int(s, 6, reason);
	sqlite3_bind_int64(s, 7, r->time);
	sqlite3_bind_int64(s, 8, r->invalidity_date);
	sqlite3_bind_int64(s, 9, r->recorded);
	sqlite3_bind_int64(s, 10, r->not_after);
	ix->have_revoked = true;
	if (index_run(ix, s, e) != 0)
		return -1;
	return ix->fresh ? 0 : index_make_key(ix, e) != 0 ? -1 : refold_state(ix, r->serial_number, r->ca, e);
}

static int fold_crl(struct index *ix, struct item *it, struct err *e)
{
	sqlite3_stmt *s = index_statement(ix, ST_CRL_ADD, e);
	struct crlrec *r = it->rec;

	if (!s)
		return -1;
	r->path = arena_strdup(it->a, it->path);
	for (size_t i = 0; i < crl_table.n; i++)
		index_bind(s, (int)i + 1, &crl_table.columns[i], r);
	return index_run(ix, s, e);
}

static int fold_change(struct index *ix, struct item *it, struct err *e)
{
	const struct metachange *m = it->rec;
	const char *serial;
	char *ca;
	sqlite3_stmt *s;

	if (strcmp(m->kind, "certificate") != 0)
		return 0;
	serial = strchr(m->id, '/') + 1;
	ca = arena_strndup(it->a, m->id, (size_t)(serial - 1 - m->id));
	s = index_statement(ix, ST_CHANGE_ADD, e);
	if (check_name(it, serial) != 0)
		return 0;
	if (!s)
		return -1;
	index_bind_text(s, 1, it->name);
	index_bind_text(s, 2, it->path);
	index_bind_hex(s, 3, serial);
	index_bind_text(s, 4, ca);
	index_bind_text(s, 5, m->key);
	index_bind_text(s, 6, m->value);
	sqlite3_bind_int64(s, 7, m->time);
	ix->have_changes = true;
	return index_run(ix, s, e) != 0 || index_make_key(ix, e) != 0 ? -1 : refold_metadata(ix, it->a, serial, ca, e);
}

static int fold_device(struct index *ix, struct item *it, struct err *e)
{
	struct device_entry *d = it->rec;
	sqlite3_stmt *s;

	if (check_name(it, entry_device_label(it->a, d->device)) != 0)
		return 0;
	s = index_statement(ix, ST_DEVICE_ENTRY_ADD, e);
	if (!s)
		return -1;
	d->path = arena_strdup(it->a, it->path);
	for (size_t i = 0; i < device_entry_table.n; i++)
		index_bind(s, (int)i + 1, &device_entry_table.columns[i], d);
	ix->have_devices = true;
	return index_run(ix, s, e) != 0 ? -1 : ix->fresh ? 0 : index_fold_device(ix, d->device, e);
}

static int fold_event(struct index *ix, struct item *it, struct err *e)
{
	struct eventrec *r = it->rec;
	sqlite3_stmt *s;

	if (check_name(it, entry_device_label(it->a, r->subject)) != 0)
		return 0;
	s = index_statement(ix, ST_EVENT_ADD, e);
	if (!s)
		return -1;
	r->path = arena_strdup(it->a, it->path);
	for (size_t i = 0; i < event_table.n; i++)
		index_bind(s, (int)i + 1, &event_table.columns[i], r);
	return index_run(ix, s, e);
}

static const struct kind kinds[] = {
	{ "issued/", &certrec_type, fold_issued },
	{ "revoked/", &revocation_type, fold_revoked },
	{ "crls/", &crlrec_type, fold_crl },
	{ "meta/", &metachange_type, fold_change },
	{ "devices/", &device_entry_type, fold_device },
	{ "events/", &eventrec_type, fold_event },
};

int index_fold_bad(struct index *ix, const char *path, const char *why, struct err *e)
{
	sqlite3_stmt *s = index_statement(ix, ST_BAD_ADD, e);

	if (!s)
		return -1;
	index_bind_text(s, 1, path);
	index_bind_text(s, 2, why);
	return index_run(ix, s, e);
}

struct item *index_parse(struct arena *a, const char *path, struct bytes text)
{
	const char *slash = strrchr(path, '/');
	struct err why = { 0 };
	struct item *it;
	size_t i = 0;

	while (i < COUNT(kinds) && !text_has_prefix(path, kinds[i].folder))
		i++;
	if (i == COUNT(kinds) || !slash)
		return NULL;
	it = arena_alloc(a, 1, sizeof(*it));
	*it = (struct item){ .kind = &kinds[i], .a = a, .path = path, .name = slash + 1 };
	it->rec = arena_alloc(a, 1, kinds[i].schema->size);
	if (entry_load(a, kinds[i].schema, path, text, it->rec, &it->body, &why) != 0)
		it->why = arena_strdup(a, why.msg);
	return it;
}

int index_fold(struct index *ix, struct item *it, struct err *e)
{
	if (!it->why && it->kind->fold(ix, it, e) != 0)
		return -1;
	return it->why ? index_fold_bad(ix, it->path, it->why, e) : 0;
}
