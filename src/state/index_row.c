/* Rows of the cache: which columns a record has and how each is kept. Everything that names columns is made from these
 * tables, so a field cannot be written and then not be read. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "state/index_sql.h"

#define CERT(m, k, ...) { .name = #m, .kind = k, .off = offsetof(struct certrec, m), __VA_ARGS__ }
#define DEVICE(nm, m, k, ...) { .name = nm, .kind = k, .off = offsetof(struct device, m), __VA_ARGS__ }
#define ENTRY(m, k) { .name = #m, .kind = k, .off = offsetof(struct device_entry, m) }
#define EVENT(m, k) { .name = #m, .kind = k, .off = offsetof(struct eventrec, m) }
#define CRL(m, k) { .name = #m, .kind = k, .off = offsetof(struct crlrec, m) }

static const struct column cert_columns[] = {
	CERT(serial_number, COL_HEX, .index = "cert_key"),
	CERT(ca, COL_TEXT, .index = "cert_ca"),
	CERT(profile, COL_TEXT, ),
	CERT(subject, COL_TEXT, .index = "cert_subject", .words = true),
	CERT(common_name, COL_TEXT, .index = "cert_common_name", .words = true),
	CERT(san, COL_LIST, .words = true),
	CERT(device, COL_TEXT, .index = "cert_device", .words = true),
	CERT(dms, COL_TEXT, ),
	CERT(bind, COL_TEXT, ),
	CERT(type, COL_TEXT, ),
	CERT(is_ca, COL_BOOL, ),
	CERT(ca_id, COL_TEXT, .index = "cert_ca_id"),
	CERT(not_before, COL_TIME, ),
	CERT(not_after, COL_TIME, .index = "cert_not_after"),
	CERT(issued_at, COL_TIME, .index = "cert_issued_at"),
	CERT(key_id, COL_HEX, ),
	CERT(key_type, COL_TEXT, ),
	CERT(fingerprint, COL_HEX, .index = "cert_fingerprint"),
	CERT(request_sha256, COL_HEX, .index = "cert_request"),
	CERT(batch, COL_TEXT, ),
	CERT(partition, COL_INT, ),
	CERT(metadata, COL_TEXT, ),
	CERT(path, COL_PATH, .hidden = true),
	/* Folded; a new row has none of them. */
	CERT(status, COL_STATE, .index = "cert_status"),
	CERT(revocation_reason, COL_REASON, ),
	CERT(revoked_at, COL_TIME, ),
};
static const struct column crl_columns[] = {
	CRL(ca, COL_TEXT),
	CRL(scope, COL_TEXT),
	CRL(number, COL_TEXT),
	CRL(base_number, COL_TEXT),
	CRL(this_update, COL_TIME),
	CRL(next_update, COL_TIME),
	CRL(sha256, COL_HEX),
	CRL(ledger_commit, COL_TEXT),
	CRL(entries, COL_INT),
	CRL(stored, COL_BOOL),
	CRL(path, COL_TEXT),
};
static const struct column device_columns[] = {
	DEVICE("device", id, COL_TEXT, .index = "device_key"),
	DEVICE("dms", dms, COL_TEXT, .index = "device_dms"),
	DEVICE("alias", alias, COL_TEXT, ),
	DEVICE("tags", tags, COL_LIST, ),
	DEVICE("metadata", metadata, COL_TEXT, ),
	DEVICE("icon", icon, COL_TEXT, ),
	DEVICE("icon_color", icon_color, COL_TEXT, ),
	DEVICE("blocked", blocked, COL_BOOL, ),
	DEVICE("serial_number", identity.serial_number, COL_HEX, ),
	DEVICE("ca", identity.ca, COL_TEXT, ),
	DEVICE("expiration_date", identity.expiration_date, COL_WHEN, .index = "device_expires"),
	DEVICE("active_version", identity.active_version, COL_INT, ),
	DEVICE("created_at", created_at, COL_TIME, .index = "device_created"),
	DEVICE("decommissioned_at", decommissioned_at, COL_WHEN, ),
	DEVICE("state", state, COL_INT, .hidden = true),
	DEVICE("since", since, COL_TIME, .hidden = true),
};
static const struct column device_entry_columns[] = {
	ENTRY(device, COL_TEXT),
	ENTRY(action, COL_ENUM),
	ENTRY(time, COL_TIME),
	ENTRY(seq, COL_INT),
	ENTRY(actor, COL_TEXT),
	ENTRY(reason, COL_TEXT),
	ENTRY(type, COL_TEXT),
	ENTRY(dms, COL_TEXT),
	ENTRY(alias, COL_TEXT),
	ENTRY(icon, COL_TEXT),
	ENTRY(icon_color, COL_TEXT),
	ENTRY(tags, COL_LIST),
	ENTRY(metadata, COL_TEXT),
	ENTRY(path, COL_TEXT),
};
static const struct column event_columns[] = {
	EVENT(type, COL_TEXT),
	EVENT(subject, COL_TEXT),
	EVENT(time, COL_TIME),
	EVENT(dms, COL_TEXT),
	EVENT(device, COL_TEXT),
	EVENT(serial_number, COL_TEXT),
	EVENT(reason, COL_TEXT),
	EVENT(count, COL_INT),
	EVENT(first, COL_TIME),
	EVENT(last, COL_TIME),
	EVENT(actor, COL_TEXT),
	EVENT(path, COL_TEXT),
};
const struct table cert_table = { "cert", cert_columns, COUNT(cert_columns), "issued_at" };
const struct table crl_table = { "crl", crl_columns, COUNT(crl_columns), "this_update" };
const struct table device_table = { "device", device_columns, COUNT(device_columns), "created_at" };
const struct table device_entry_table = { "device_entry", device_entry_columns, COUNT(device_entry_columns), "time" };
const struct table event_table = { "event", event_columns, COUNT(event_columns), "time" };

void index_columns(const struct table *t, struct buf *out)
{
	for (size_t i = 0; i < t->n; i++)
		buf_printf(out, "%s\"%s\"", i ? ", " : "", t->columns[i].name);
}

static char *insert_of(struct arena *a, const struct table *t)
{
	SCOPED_BUF b = buf_init(BUF_TEXT);

	buf_printf(&b, "INSERT INTO %s(", t->name);
	index_columns(t, &b);
	buf_puts(&b, ") VALUES(");
	for (size_t i = 0; i < t->n; i++)
		buf_puts(&b, i ? ", ?" : "?");
	buf_putc(&b, ')');
	return arena_strdup(a, buf_str(&b));
}

/* The parameter after those of the columns is the row. */
static char *update_of(struct arena *a, const struct table *t, const char *more)
{
	SCOPED_BUF b = buf_init(BUF_TEXT);

	buf_printf(&b, "UPDATE %s SET %s", t->name, more);
	for (size_t i = 0; i < t->n; i++)
		buf_printf(&b, ", \"%s\" = ?%zu", t->columns[i].name, i + 1);
	buf_printf(&b, " WHERE id = ?%zu", t->n + 1);
	return arena_strdup(a, buf_str(&b));
}

/* One row for each value of the first column. */
static char *upsert_of(struct arena *a, const struct table *t)
{
	SCOPED_BUF b = buf_init(BUF_TEXT);

	buf_printf(&b, "%s ON CONFLICT(\"%s\") DO UPDATE SET ", insert_of(a, t), t->columns[0].name);
	for (size_t i = 1; i < t->n; i++)
		buf_printf(&b, "%s\"%s\" = excluded.\"%s\"", i > 1 ? ", " : "", t->columns[i].name, t->columns[i].name);
	return arena_strdup(a, buf_str(&b));
}

static char *select_of(struct arena *a, const struct table *t, const char *tail)
{
	SCOPED_BUF b = buf_init(BUF_TEXT);

	buf_puts(&b, "SELECT ");
	index_columns(t, &b);
	buf_printf(&b, ", id FROM %s %s", t->name, tail);
	return arena_strdup(a, buf_str(&b));
}

char *index_sql_of(struct index *ix, enum statement st)
{
	static const struct {
		const struct table *table;
		const char *tail;
	} selects[ST_N] = {
		[ST_CERT_GET] = { &cert_table, "WHERE id = ?1" },
		[ST_CERT_TWIN] = { &cert_table, "INDEXED BY cert_key WHERE serial_number = ?1 AND ca = ?2 "
						"AND substr(fingerprint, 1, 8) = substr(?3, 1, 8)" },
		[ST_CERT_EXACT] = { &cert_table, "INDEXED BY cert_key WHERE serial_number = ?1 AND (?2 IS NULL OR ca = "
						 "?2) LIMIT 8" },
		[ST_CERT_PREFIX] = { &cert_table, "INDEXED BY cert_key WHERE serial_number BETWEEN ?1 AND ?3 "
						  "AND (?2 IS NULL OR ca = ?2) LIMIT 8" },
		[ST_CERT_PRINT] = { &cert_table, "INDEXED BY cert_fingerprint WHERE substr(fingerprint, 1, 8) = "
						 "substr(?1, 1, 8) AND fingerprint = ?1 AND (?2 IS NULL OR ca = "
						 "?2) LIMIT 8" },
		[ST_CERT_REQUEST] = { &cert_table, "INDEXED BY cert_request WHERE substr(request_sha256, 1, 8) = "
						   "substr(?1, 1, 8) AND request_sha256 = ?1 AND ca = ?2 ORDER BY "
						   "issued_at DESC, path DESC, serial_number DESC LIMIT 1" },
		[ST_DEVICE_GET] = { &device_table, "WHERE id = ?1" },
		[ST_DEVICE_FIND] = { &device_table, "WHERE device = ?1" },
		[ST_DEVICE_ENTRIES] = { &device_entry_table, "WHERE device = ?1 ORDER BY time, seq, path" },
		[ST_DEVICE_CERTS] = { &cert_table, "WHERE device = ?1 AND (+issued_at > ?2 OR (+issued_at = ?2 AND "
						   "status IS NULL)) ORDER BY not_before, serial_number" },
		[ST_CRL_LAST] = { &crl_table, "WHERE ca = ?1 AND scope = ?2 "
					      "ORDER BY length(number) DESC, number DESC, path DESC LIMIT 1" },
		[ST_CRLS] = { &crl_table, "WHERE ?1 IS NULL OR ca = ?1 ORDER BY ca, scope, length(number) DESC, number "
					  "DESC, path DESC" },
	};

	if (st == ST_CERT_ADD)
		return insert_of(ix->arena, &cert_table);
	if (st == ST_CERT_PUT)
		return update_of(ix->arena, &cert_table, "head_metadata = NULL");
	if (st == ST_CRL_ADD)
		return insert_of(ix->arena, &crl_table);
	if (st == ST_DEVICE_ENTRY_ADD)
		return insert_of(ix->arena, &device_entry_table);
	if (st == ST_EVENT_ADD)
		return insert_of(ix->arena, &event_table);
	if (st == ST_DEVICE_PUT)
		return upsert_of(ix->arena, &device_table);
	return selects[st].table ? select_of(ix->arena, selects[st].table, selects[st].tail) : NULL;
}

void index_bind_text(sqlite3_stmt *s, int at, const char *text)
{
	if (text)
		sqlite3_bind_text(s, at, text, (int)strlen(text), SQLITE_TRANSIENT);
}

static int nibble(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void index_bind_hex(sqlite3_stmt *s, int at, const char *hex)
{
	unsigned char b[32];
	size_t n = hex ? strlen(hex) / 2 : 0;

	if (!hex || n > sizeof(b))
		return;
	for (size_t i = 0; i < n; i++) {
		int hi = nibble(hex[2 * i]), lo = nibble(hex[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return;
		b[i] = (unsigned char)(hi << 4 | lo);
	}
	sqlite3_bind_blob(s, at, b, (int)n, SQLITE_TRANSIENT);
}

static void bind_list(sqlite3_stmt *s, int at, const struct strv *v)
{
	SCOPED_BUF b = buf_init(BUF_BIG);

	if (v->n == 0 && !v->set)
		return;
	for (size_t i = 0; i < v->n; i++) {
		/* A line break inside an item shows as a space: the cache is for finding, the entry has the truth. */
		for (const char *c = v->v[i]; *c; c++)
			buf_putc(&b, *c == '\n' ? ' ' : *c);
		buf_putc(&b, '\n');
	}
	sqlite3_bind_text(s, at, buf_str(&b), (int)b.n, SQLITE_TRANSIENT);
}

/* "issued/HH/HH/HH/<serial>.pem" is kept as the number of the folder, which saves 50 MB in a ledger of a million. */
static void bind_path(sqlite3_stmt *s, int at, const struct certrec *r)
{
	unsigned a, b, c;
	char usual[80];

	if (sscanf(r->path, "issued/%2x/%2x/%2x/", &a, &b, &c) == 3) {
		snprintf(usual, sizeof(usual), "issued/%02x/%02x/%02x/%s.pem", a, b, c, r->serial_number);
		if (strcmp(usual, r->path) == 0) {
			sqlite3_bind_int64(s, at, (int64_t)a << 16 | b << 8 | c);
			return;
		}
	}
	index_bind_text(s, at, r->path);
}

void index_bind(sqlite3_stmt *s, int at, const struct column *c, const void *rec)
{
	const char *member = (const char *)rec + c->off;

	switch (c->kind) {
	case COL_TEXT:
		index_bind_text(s, at, *(char *const *)(const void *)member);
		break;
	case COL_HEX:
		index_bind_hex(s, at, *(char *const *)(const void *)member);
		break;
	case COL_WHEN:
		if (*(const int64_t *)(const void *)member != 0)
			sqlite3_bind_int64(s, at, *(const int64_t *)(const void *)member);
		break;
	case COL_TIME:
	case COL_INT:
		sqlite3_bind_int64(s, at, *(const int64_t *)(const void *)member);
		break;
	case COL_BOOL:
		sqlite3_bind_int(s, at, *(const bool *)(const void *)member);
		break;
	case COL_ENUM:
		sqlite3_bind_int(s, at, *(const int *)(const void *)member);
		break;
	case COL_LIST:
		bind_list(s, at, (const struct strv *)(const void *)member);
		break;
	case COL_PATH:
		bind_path(s, at, rec);
		break;
	case COL_STATE:
	case COL_REASON:
	case COL_STATUS:
		break; /* NULL: folding sets them */
	}
}

char *index_text(struct arena *a, sqlite3_stmt *s, int column)
{
	return arena_strndup(a, (const char *)sqlite3_column_text(s, column), (size_t)sqlite3_column_bytes(s, column));
}

static char *read_hex(struct arena *a, sqlite3_stmt *s, int column)
{
	const void *p = sqlite3_column_blob(s, column);

	return p ? hex_encode(a, (struct bytes){ p, (size_t)sqlite3_column_bytes(s, column) }) : NULL;
}

static struct strv read_list(struct arena *a, sqlite3_stmt *s, int column)
{
	struct strv v = { 0 };
	const char *p = (const char *)sqlite3_column_text(s, column);

	while (p && *p) {
		size_t n = strcspn(p, "\n");

		v.v = arena_grow(a, v.v, v.n, sizeof(*v.v));
		v.v[v.n++] = arena_strndup(a, p, n);
		p += n + (p[n] == '\n');
	}
	v.set = p != NULL;
	return v;
}

static char *read_path(struct arena *a, sqlite3_stmt *s, int column, const struct certrec *r)
{
	unsigned n = (unsigned)sqlite3_column_int(s, column);

	if (sqlite3_column_type(s, column) != SQLITE_INTEGER)
		return index_text(a, s, column);
	return arena_printf(a, "issued/%02x/%02x/%02x/%s.pem", n >> 16 & 255, n >> 8 & 255, n & 255, r->serial_number);
}

static void read_column(struct arena *a, sqlite3_stmt *s, int i, const struct column *c, void *rec)
{
	char *member = (char *)rec + c->off;

	switch (c->kind) {
	case COL_TEXT:
		*(char **)(void *)member = index_text(a, s, i);
		break;
	case COL_HEX:
		*(char **)(void *)member = read_hex(a, s, i);
		break;
	case COL_TIME:
	case COL_WHEN:
	case COL_INT:
		*(int64_t *)(void *)member = sqlite3_column_int64(s, i);
		break;
	case COL_BOOL:
		*(bool *)(void *)member = sqlite3_column_int(s, i) != 0;
		break;
	case COL_ENUM:
		*(int *)(void *)member = sqlite3_column_int(s, i);
		break;
	case COL_STATUS:
		break;
	case COL_LIST:
		*(struct strv *)(void *)member = read_list(a, s, i);
		break;
	case COL_PATH:
		*(char **)(void *)member = read_path(a, s, i, rec);
		break;
	case COL_STATE:
		*(int *)(void *)member = sqlite3_column_int(s, i); /* NULL is 0, CERT_ACTIVE */
		break;
	case COL_REASON:
		*(int *)(void *)member = sqlite3_column_type(s, i) == SQLITE_NULL ? -1 : sqlite3_column_int(s, i);
		break;
	}
}

void index_read(struct arena *a, sqlite3_stmt *s, const struct table *t, void *rec)
{
	for (size_t i = 0; i < t->n; i++)
		read_column(a, s, (int)i, &t->columns[i], rec);
}

void index_read_cert(struct arena *a, sqlite3_stmt *s, int64_t now, struct certrec *ret)
{
	*ret = (struct certrec){ 0 };
	index_read(a, s, &cert_table, ret);
	if (ret->status == CERT_REVOKED && ret->revoked_at > now)
		ret->status = CERT_ACTIVE;
	if (ret->status == CERT_ACTIVE && ret->not_after < now)
		ret->status = CERT_EXPIRED;
}
