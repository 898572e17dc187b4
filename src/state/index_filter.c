/* One filter of the user as a condition in SQL. Values are only ever bound, never put into the text; names come from
 * the table of columns. A field or an operator that is not known is an error that lists those that are. */
#include "state/index_query.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { MAX_ITEMS = 500, MAX_TRIGRAMS = 12 };

/* --- fields --- */

struct alias {
	const char *alias, *name;
};
static const struct alias cert_aliases[] = {
	{ "serial", "serial_number" },	      { "valid_from", "not_before" },	     { "valid_to", "not_after" },
	{ "expires", "not_after" },	      { "issued", "issued_at" },	     { "subject.common_name",
										       "common_name" },
	{ "issuer_meta.id", "ca" },	      { "issuer_metadata.id", "ca" },	     { "revocation_timestamp",
										       "revoked_at" },
	{ "reason", "revocation_reason" },    { "subject_key_id", "key_id" },	     { "profile_id", "profile" },
	{ "issuance_profile_id", "profile" }, { "device_id", "device" },	     { "dms_id", "dms" }, { NULL, NULL }
};
static const struct alias device_aliases[] = {
	{ "id", "device" },	    { "dms_id", "dms" },	    { "dms_owner",
								      "dms" },	    { "expires", "expiration_date" },
	{ "created", "created_at" }, { "creation_timestamp", "created_at" },
	{ "identity.serial_number", "serial_number" },
	{ "identity.ca", "ca" },    { "identity.expiration_date", "expiration_date" },
	{ "identity.active_version", "active_version" },
	{ NULL, NULL }
};
static const struct column device_status_column = { .name = "status", .kind = COL_STATUS };

const struct column *query_column(const struct table *t, const char *name)
{
	for (const struct alias *a = t == &device_table ? device_aliases : cert_aliases; a->alias; a++)
		if (strcmp(a->alias, name) == 0)
			name = a->name;
	if (t == &device_table && strcmp(name, device_status_column.name) == 0)
		return &device_status_column;
	for (size_t i = 0; i < t->n; i++)
		if (!t->columns[i].hidden && strcmp(t->columns[i].name, name) == 0)
			return &t->columns[i];
	return NULL;
}

int query_unknown_field(struct builder *b, const char *name, struct err *e)
{
	SCOPED_BUF known = buf_init(600);
	const char *names[64] = { NULL }, *near;
	size_t n = 0;

	if (b->table == &device_table)
		names[n++] = device_status_column.name;
	for (size_t i = 0; i < b->table->n && n < COUNT(names) - 1; i++)
		if (!b->table->columns[i].hidden)
			names[n++] = b->table == &device_table && i == 0 ? "id" : b->table->columns[i].name;
	for (size_t i = 0; i < n; i++)
		buf_printf(&known, "%s%s", i ? ", " : "", names[i]);
	near = text_nearest(name, names);
	return err_set(e, ERR_USAGE, "unknown field \"%s\"%s%s%s; known are %s, metadata.KEY",
		       text_escape(b->a, bytes_of(name)), near ? "; did you mean \"" : "", near ? near : "",
		       near ? "\"?" : "", buf_str(&known));
}

/* --- operators --- */

static const char *const op_names[] = {
	[OP_EQ] = "eq", [OP_NE] = "ne", [OP_CT] = "ct", [OP_NC] = "nc", [OP_SW] = "sw", [OP_EW] = "ew", [OP_GT] = "gt",
	[OP_GE] = "ge", [OP_LT] = "lt", [OP_LE] = "le", [OP_BF] = "bf", [OP_AF] = "af", [OP_IN] = "in", [OP_NIN] = "nin"
};
#define BIT(op) (1u << (op))
enum {
	OPS_SAME = BIT(OP_EQ) | BIT(OP_NE) | BIT(OP_IN) | BIT(OP_NIN),
	OPS_ORDER = BIT(OP_GT) | BIT(OP_GE) | BIT(OP_LT) | BIT(OP_LE),
	OPS_PART = BIT(OP_CT) | BIT(OP_NC) | BIT(OP_SW) | BIT(OP_EW),
};
static const unsigned ops_of[] = {
	[COL_TEXT] = OPS_SAME | OPS_ORDER | OPS_PART,
	[COL_HEX] = OPS_SAME | OPS_ORDER | OPS_PART,
	[COL_TIME] = BIT(OP_EQ) | BIT(OP_NE) | OPS_ORDER | BIT(OP_BF) | BIT(OP_AF),
	[COL_WHEN] = BIT(OP_EQ) | BIT(OP_NE) | OPS_ORDER | BIT(OP_BF) | BIT(OP_AF),
	[COL_INT] = OPS_SAME | OPS_ORDER,
	[COL_BOOL] = BIT(OP_EQ) | BIT(OP_NE),
	[COL_LIST] = OPS_SAME | OPS_PART,
	[COL_REASON] = OPS_SAME,
	[COL_STATE] = OPS_SAME,
	[COL_STATUS] = OPS_SAME,
};

static int check_items(const struct filter *f, struct err *e)
{
	size_t n = 0;

	for (const char *s = f->value; *s && (f->op == OP_IN || f->op == OP_NIN); s++)
		n += *s == ',';
	return n >= MAX_ITEMS ? err_set(e, ERR_USAGE, "%s: more than %d values", f->field, MAX_ITEMS) : 0;
}

static int check_op(const char *field, unsigned allowed, enum filter_op op, struct err *e)
{
	SCOPED_BUF b = buf_init(200);

	if (allowed & BIT(op))
		return 0;
	for (unsigned i = 0; i < COUNT(op_names); i++)
		if (allowed & BIT(i))
			buf_printf(&b, "%s%s", b.n ? ", " : "", op_names[i]);
	return err_set(e, ERR_USAGE, "%s has no operator %s; known are %s", field, op_names[op], buf_str(&b));
}

static const char *comparison(enum filter_op op)
{
	switch (op) {
	case OP_NE:
		return "<>";
	case OP_GT:
	case OP_AF:
		return ">";
	case OP_GE:
		return ">=";
	case OP_LT:
	case OP_BF:
		return "<";
	case OP_LE:
		return "<=";
	default:
		return "=";
	}
}

/* --- parameters --- */

static const char *param(struct builder *b, struct param p)
{
	b->params = arena_grow(b->a, b->params, b->nparams, sizeof(*b->params));
	b->params[b->nparams++] = p;
	return arena_printf(b->a, "?%zu", b->nparams);
}

const char *query_text(struct builder *b, const char *s)
{
	return param(b, (struct param){ .text = s });
}

const char *query_int(struct builder *b, int64_t v)
{
	return param(b, (struct param){ .number = v });
}

void query_bind(const struct builder *b, sqlite3_stmt *s)
{
	/* A probe uses some of them only; numbers stay the same. */
	size_t n = (size_t)sqlite3_bind_parameter_count(s);

	for (size_t i = 0; i < b->nparams && i < n; i++) {
		const struct param *p = &b->params[i];

		if (p->text)
			index_bind_text(s, (int)i + 1, p->text);
		else if (p->hex)
			index_bind_hex(s, (int)i + 1, p->hex);
		else
			sqlite3_bind_int64(s, (int)i + 1, p->number);
	}
}

static char *lower(struct arena *a, const char *s)
{
	char *t = arena_strdup(a, s);

	for (char *c = t; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + 32);
	return t;
}

/* --- text --- */

static const char *text_compare(struct builder *b, const char *x, const struct filter *f, const char *value)
{
	bool ic = f->ignore_case;
	const char *p = query_text(b, ic ? lower(b->a, value) : value);
	const char *in = ic ? arena_printf(b->a, "lower(%s)", x) : x;

	switch (f->op) {
	case OP_NE:
		return arena_printf(b->a, "ifnull(%s, '') <> %s", in, p);
	case OP_CT:
		return arena_printf(b->a, "instr(%s, %s) > 0", in, p);
	case OP_NC:
		return arena_printf(b->a, "ifnull(instr(%s, %s), 0) = 0", in, p);
	case OP_SW:
		return arena_printf(b->a, "substr(%s, 1, length(%s)) = %s", in, p, p);
	case OP_EW:
		return *value ? arena_printf(b->a, "substr(%s, -length(%s)) = %s", in, p, p) : NULL;
	default:
		return arena_printf(b->a, "%s %s %s", in, comparison(f->op), p);
	}
}

static const char *list_compare(struct builder *b, const char *x, const struct filter *f, const char *value)
{
	bool ic = f->ignore_case, head = f->op == OP_EQ || f->op == OP_NE || f->op == OP_SW;
	bool tail = f->op == OP_EQ || f->op == OP_NE || f->op == OP_EW, not = f->op == OP_NE || f->op == OP_NC;
	const char *p = query_text(b, arena_printf(b->a, "%s%s%s", head ? "\n" : "", ic ? lower(b->a, value) : value,
						   tail ? "\n" : ""));
	const char *in = ic ? arena_printf(b->a, "lower(%s)", x) : x;

	/* A line break before the first item lets each be found as "\nitem\n". */
	return arena_printf(b->a, "ifnull(instr(char(10) || %s, %s), 0) %s 0", in, p, not ? "=" : ">");
}

typedef const char *compare_fn(struct builder *, const char *x, const struct filter *, const char *value);

/* Applies `one` to the value, or to each item of in and nin. */
static const char *each_item(struct builder *b, const char *x, const struct filter *f, compare_fn *one)
{
	struct filter eq = *f;
	struct strv v;
	SCOPED_BUF out = buf_init(BUF_TEXT);

	if (f->op != OP_IN && f->op != OP_NIN)
		return one(b, x, f, f->value);
	v = text_items(b->a, f->value, ",");
	if (v.n == 0)
		return NULL;
	eq.op = f->op == OP_IN ? OP_EQ : OP_NE;
	for (size_t i = 0; i < v.n; i++)
		buf_printf(&out, "%s%s", i ? (f->op == OP_IN ? " OR " : " AND ") : "(", one(b, x, &eq, v.v[i]));
	buf_putc(&out, ')');
	return arena_strdup(b->a, buf_str(&out));
}

/* The trigrams of a text as a query for FTS5; NULL when it is too short. */
static const char *trigrams(struct arena *a, const char *s)
{
	SCOPED_BUF b = buf_init(4096);
	size_t at[4] = { 0 }, have = 0, count = 0, n = strlen(s);

	for (size_t i = 0; i <= n && count < MAX_TRIGRAMS; i++) {
		if (i < n && ((unsigned char)s[i] & 0xc0) == 0x80)
			continue;
		/* at[] holds where the last three characters began; i is where the next one does. */
		if (have == 3) {
			buf_puts(&b, count++ ? " AND \"" : "\"");
			for (size_t k = at[0]; k < i; k++)
				buf_printf(&b, s[k] == '"' ? "\"\"" : "%c", s[k]);
			buf_putc(&b, '"');
			at[0] = at[1];
			at[1] = at[2];
			have = 2;
		}
		at[have++] = i;
	}
	return count ? arena_strdup(a, buf_str(&b)) : NULL;
}

/* Alternative names are found without their prefix: the longest part between colons. */
static const char *longest_part(struct arena *a, const char *s)
{
	const char *best = s;
	size_t best_n = 0;

	while (*s) {
		size_t n = strcspn(s, ":");

		if (n > best_n) {
			best = s;
			best_n = n;
		}
		s += n + (s[n] == ':');
	}
	return arena_strndup(a, best, best_n);
}

static void match_words(struct builder *b, const struct column *c, const struct filter *f, struct term *t)
{
	const char *value = c->kind == COL_LIST ? longest_part(b->a, f->value) : f->value;
	const char *query;

	if (!c->words || !(BIT(f->op) & (BIT(OP_EQ) | BIT(OP_CT) | BIT(OP_SW) | BIT(OP_EW))))
		return;
	query = trigrams(b->a, value);
	if (query)
		t->match = query_text(b, query);
}

static void text_term(struct builder *b, const struct column *c, const struct filter *f, struct term *t)
{
	const char *x = arena_printf(b->a, "\"%s\"", c->name);

	t->sql = each_item(b, x, f, c->kind == COL_LIST ? list_compare : text_compare);
	if (c->kind == COL_TEXT && c->index && !f->ignore_case && (f->op == OP_EQ || f->op == OP_IN)) {
		t->index = c->index;
		t->drive = t->sql;
	}
	match_words(b, c, f, t);
}

/* --- hex --- */

char *index_hex(struct arena *a, const char *s)
{
	char *out = arena_alloc(a, strlen(s) + 2, 1), *to = out;

	s = lower(a, s);
	for (s += text_has_prefix(s, "0x") ? 2 : 0; *s; s++)
		if (!strchr(":- ", *s))
			*to++ = *s;
	return out[strspn(out, "0123456789abcdef")] ? NULL : out;
}

char *index_hex_last(struct arena *a, const char *digits)
{
	static const char most[] = "ffffffffffffffffffffffffffffffffffffffff";
	size_t n = strlen(digits);

	return arena_printf(a, "%s%s", digits, n < 40 ? most + n : "");
}

static const char *hex_is(struct builder *b, const char *name, const struct filter *f, const char *value)
{
	char *hex = index_hex(b->a, value);
	size_t n = hex ? strlen(hex) : 0;
	const char *p;

	if (n == 0 || n > 64)
		return f->op == OP_NE ? "1" : "0";
	if (n % 2)
		hex = arena_printf(b->a, "0%s", hex);
	p = param(b, (struct param){ .hex = hex });
	if (f->op == OP_NE)
		return arena_printf(b->a, "\"%s\" IS NOT %s", name, p);
	if (strcmp(name, "serial_number") == 0)
		return arena_printf(b->a, "\"%s\" = %s", name, p);
	return arena_printf(b->a, "(substr(\"%s\", 1, 8) = substr(%s, 1, 8) AND \"%s\" = %s)", name, p, name, p);
}

static void hex_term(struct builder *b, const struct column *c, const struct filter *f, struct term *t)
{
	struct filter g = *f;
	char *digits;

	if (BIT(f->op) & OPS_SAME) {
		t->sql = each_item(b, c->name, f, hex_is);
		if (c->index && (f->op == OP_EQ || f->op == OP_IN)) {
			t->index = c->index;
			t->drive = t->sql;
		}
		return;
	}
	digits = index_hex(b->a, f->value);
	g.value = digits ? digits : f->value;
	g.ignore_case = false;
	t->sql = text_compare(b, arena_printf(b->a, "lower(hex(\"%s\"))", c->name), &g, g.value);
	if (f->op == OP_SW && digits && strlen(digits) <= 38 && strcmp(c->name, "serial_number") == 0) {
		/* "5f3" is everything from 5f30 to 5f3fff… */
		size_t odd = strlen(digits) % 2;
		const char *from =
			param(b, (struct param){ .hex = arena_printf(b->a, "%s%s", digits, odd ? "0" : "") });
		const char *to = param(b, (struct param){ .hex = index_hex_last(b->a, digits) });

		t->index = c->index;
		t->drive = arena_printf(b->a, "\"%s\" BETWEEN %s AND %s", c->name, from, to);
		t->sql = arena_printf(b->a, "%s AND %s", t->drive, t->sql);
	}
}

/* --- numbers, times, names --- */

static int number_term(struct builder *b, const struct column *c, const struct filter *f, struct term *t, struct err *e)
{
	struct strv v = f->op == OP_IN || f->op == OP_NIN ? text_items(b->a, f->value, ",") : (struct strv){ 0 };
	bool is_list = f->op == OP_IN || f->op == OP_NIN;
	SCOPED_BUF out = buf_init(BUF_TEXT);

	if (is_list && v.n == 0)
		return 0;
	buf_printf(&out, "\"%s\" %s", c->name,
		   f->op == OP_IN ? "IN (" : f->op == OP_NIN ? "NOT IN (" : comparison(f->op));
	for (size_t i = 0; i < (is_list ? v.n : 1); i++) {
		const char *value = is_list ? v.v[i] : f->value;
		int64_t n = 0;
		char *end = NULL;

		if ((c->kind == COL_TIME || c->kind == COL_WHEN) && query_time(value, b->now, &n, e) != 0)
			return err_ctx(e, "%s", f->field);
		if (c->kind == COL_INT)
			n = strtoll(value, &end, 10);
		if (c->kind == COL_INT && (!*value || *end))
			return err_set(e, ERR_USAGE, "%s: \"%s\" is not a number", f->field,
				       text_escape(b->a, bytes_of(value)));
		if (c->kind == COL_BOOL && !text_same_name(value, "true") && !text_same_name(value, "false"))
			return err_set(e, ERR_USAGE, "%s: must be true or false", f->field);
		if (c->kind == COL_BOOL)
			n = text_same_name(value, "true");
		buf_printf(&out, "%s%s", i ? ", " : " ", query_int(b, n));
	}
	if (is_list)
		buf_putc(&out, ')');
	t->sql = arena_strdup(b->a, buf_str(&out));
	if (c->index && f->op != OP_NE && f->op != OP_NIN) {
		t->index = c->index;
		t->drive = t->sql;
	}
	return 0;
}

static int name_code(struct builder *b, const struct column *c, const struct filter *f, const char *value, int *ret,
		     struct err *e)
{
	if (c->kind == COL_REASON && revocation_reason_parse(value, ret) == 0)
		return 0;
	for (int i = 0; c->kind == COL_STATE && cert_status_names[i]; i++)
		if (text_same_name(cert_status_names[i], value)) {
			*ret = i;
			return 0;
		}
	for (int i = 0; c->kind == COL_STATUS && device_status_names[i]; i++)
		if (text_same_name(device_status_names[i], value)) {
			*ret = i;
			return 0;
		}
	return err_set(e, ERR_USAGE, "%s: unknown value \"%s\"; known are %s", f->field,
		       text_escape(b->a, bytes_of(value)), c->kind == COL_STATE ? "ACTIVE, EXPIRED, REVOKED, HELD"
		       : c->kind == COL_STATUS ? "NO_IDENTITY, ACTIVE, RENEWAL_PENDING, EXPIRING_SOON, EXPIRED, "
						 "REVOKED, DECOMMISSIONED"
					    : "unspecified, key_compromise, ca_compromise, affiliation_changed, "
					      "superseded, cessation_of_operation, certificate_hold, "
					      "privilege_withdrawn, aa_compromise");
}

const char *query_in_force(struct builder *b)
{
	return arena_printf(b->a, "(status IS NULL OR (status = %d AND revoked_at > %s))", CERT_REVOKED,
			    query_int(b, b->now));
}

static const char *name_is(struct builder *b, const struct column *c, int code, struct term *t)
{
	if (c->kind == COL_STATUS)
		return query_device_status(b, (enum device_status)code, t);
	t->index = "cert_status";
	t->drive = "status IS NOT NULL";
	if (c->kind == COL_REASON)
		return arena_printf(b->a, "(status IS NOT NULL AND revocation_reason = %d)", code);
	if (code == CERT_REVOKED || code == CERT_HELD) {
		t->drive = arena_printf(b->a, "status = %d", code);
		return code == CERT_HELD ? t->drive
					 : arena_printf(b->a, "(%s AND revoked_at <= %s)", t->drive,
							query_int(b, b->now));
	}
	/* Who is neither revoked nor held is ACTIVE until it ends. */
	t->index = code == CERT_EXPIRED ? "cert_not_after" : NULL;
	t->drive = arena_printf(b->a, "not_after %s %s", code == CERT_EXPIRED ? "<" : ">=", query_int(b, b->now));
	return arena_printf(b->a, "(%s AND %s)", query_in_force(b), t->drive);
}

static int name_term(struct builder *b, const struct column *c, const struct filter *f, struct term *t, struct err *e)
{
	bool is_list = f->op == OP_IN || f->op == OP_NIN, not = f->op == OP_NE || f->op == OP_NIN;
	struct strv v = text_items(b->a, f->value, ",");
	SCOPED_BUF out = buf_init(BUF_TEXT);
	int code;

	if (is_list && v.n == 0)
		return 0;
	for (size_t i = 0; i < (is_list ? v.n : 1); i++) {
		if (name_code(b, c, f, is_list ? v.v[i] : f->value, &code, e) != 0)
			return -1;
		buf_printf(&out, "%s%s", i ? " OR " : "", name_is(b, c, code, t));
	}
	if (is_list || not)
		t->index = t->drive = NULL;
	t->sql = arena_printf(b->a, not ? "NOT ifnull(%s, 0)" : "(%s)", buf_str(&out));
	return 0;
}

/* --- metadata.KEY --- */

/* any_get(json, key) for SQL: the same reading of JSON as everywhere else. */
static void sql_any_get(sqlite3_context *c, int n, sqlite3_value **v)
{
	SCOPED_ARENA *a = arena_new();
	const char *json = (const char *)sqlite3_value_text(v[0]), *key = (const char *)sqlite3_value_text(v[1]);
	char *found = n == 2 && json && key ? any_get(a, json, key) : NULL;

	if (found)
		sqlite3_result_text(c, found, -1, SQLITE_TRANSIENT);
}

static int metadata_term(struct builder *b, const struct filter *f, struct term *t, struct err *e)
{
	const char *key = query_text(b, f->field + strlen("metadata."));

	if (sqlite3_create_function_v2(b->ix->db, "any_get", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, sql_any_get,
				       NULL, NULL, NULL) != SQLITE_OK)
		return index_fail(b->ix, e);
	if (check_op(f->field, ops_of[COL_TEXT], f->op, e) != 0)
		return -1;
	t->sql = each_item(b, arena_printf(b->a, "any_get(metadata, %s)", key), f, text_compare);
	return 0;
}

/* --- any of them --- */

int query_add(struct builder *b, const struct filter *f, struct err *e)
{
	const struct column *c = query_column(b->table, f->field);
	struct term t = { 0 };

	if (check_items(f, e) != 0)
		return -1;
	if (!c && text_has_prefix(f->field, "metadata.") && f->field[strlen("metadata.")]) {
		if (metadata_term(b, f, &t, e) != 0)
			return -1;
	} else if (!c) {
		return query_unknown_field(b, f->field, e);
	} else if (check_op(f->field, ops_of[c->kind], f->op, e) != 0) {
		return -1;
	} else if (c->kind == COL_TEXT || c->kind == COL_LIST) {
		text_term(b, c, f, &t);
	} else if (c->kind == COL_HEX) {
		hex_term(b, c, f, &t);
	} else if (c->kind == COL_STATE || c->kind == COL_REASON || c->kind == COL_STATUS) {
		if (name_term(b, c, f, &t, e) != 0)
			return -1;
	} else if (number_term(b, c, f, &t, e) != 0) {
		return -1;
	}
	if (t.sql)
		b->terms[b->nterms++] = t;
	return 0;
}
