/* Reads lists of devices, which come from other systems. Guarantees: one bad line spoils no other; nothing is guessed
 * that the file does not say; what is written is read back as it was. */
#include "pki/device_import.h"

#include <string.h>

#include "base/text.h"

enum { MAX_COLUMNS = 64, MAX_LINES = 10000000, MAX_DEPTH = 32 };

/* --- what a line holds --- */

static const char *const dms_aka[] = { "dms_id", "dms_owner", NULL };
#define IGNORED(nm) { .name = nm, .kind = F_ANY, .flags = F_IN, .off = offsetof(struct device_doc, ignored), \
		      .doc = "Taken and ignored." }
static const struct field device_doc_fields[] = {
	STR(device_doc, id, "Id of the device.", .flags = F_REQ),
	STR(device_doc, dms, "Its device manager.", .aka = dms_aka),
	STR(device_doc, alias, "A name for people."),
	STRV(device_doc, tags, "Tags."),
	ANY(device_doc, metadata, "Free key-value data."),
	STR(device_doc, icon, "Icon, for user interfaces."),
	STR(device_doc, icon_color, "Its colours."),
	IGNORED("status"), IGNORED("blocked"), IGNORED("identity"), IGNORED("slots"), IGNORED("events"),
	IGNORED("created_at"),
	IGNORED("creation_timestamp"), IGNORED("decommissioned_at"),
	END
};
const struct schema device_doc_type = {
	.name = "device-doc", .plural = "device-docs", .doc = "A device in a list to import",
	.size = sizeof(struct device_doc),
	.fields = device_doc_fields
};

struct reading {
	struct arena *a;
	struct device_line *v;
	size_t n;
};

static int add(struct reading *r, size_t line, const struct device_doc *d, const char *why, struct err *e)
{
	struct device_line x = { .line = line, .why = why };
	struct err bad = { 0 };

	if (r->n == MAX_LINES)
		return err_set(e, ERR_INVALID, "more than %d devices", MAX_LINES);
	if (d) {
		x.entry = (struct device_entry){ .device = d->id, .action = DEVICE_REGISTER, .time = 1, .dms = d->dms,
						 .alias = d->alias, .icon = d->icon, .icon_color = d->icon_color,
						 .tags = d->tags, .metadata = d->metadata };
		if (rec_check(r->a, &device_entry_type, &x.entry, &bad) != 0)
			x.why = arena_strdup(r->a, bad.msg);
		x.entry.time = 0;
	}
	r->v = arena_grow(r->a, r->v, r->n, sizeof(*r->v));
	r->v[r->n++] = x;
	return 0;
}

/* --- CSV --- */

struct csv {
	struct arena *a;
	const char *p, *end;
	char separator;
	size_t line;
};

/* One cell, quoted or not; *ret_why stays when it is well formed. */
static char *read_cell(struct csv *c, const char **ret_why)
{
	SCOPED_BUF b = buf_init(BUF_TEXT);
	bool quoted = c->p < c->end && *c->p == '"';

	for (c->p += quoted; c->p < c->end; c->p++) {
		if (quoted && *c->p == '"' && !(c->p + 1 < c->end && c->p[1] == '"'))
			break;
		if (!quoted && (*c->p == c->separator || *c->p == '\n'))
			break;
		c->p += quoted && *c->p == '"';
		c->line += *c->p == '\n';
		buf_putc(&b, *c->p);
	}
	if (quoted && c->p >= c->end)
		*ret_why = "a quoted cell has no end";
	c->p += quoted && c->p < c->end;
	if (!quoted && b.n && b.p[b.n - 1] == '\r')
		b.n--;
	if (quoted && c->p < c->end && *c->p == '\r')
		c->p++;
	if (b.over || !utf8_valid(buf_bytes(&b)))
		*ret_why = "a cell is too long, or not UTF-8";
	return arena_strndup(c->a, buf_str(&b), *ret_why ? 0 : b.n);
}

/* The cells of one record; -1 at the end. *ret_why when it is not well formed; reading goes on with the next line
 * then. */
static int csv_record(struct csv *c, char *cells[MAX_COLUMNS], const char **ret_why)
{
	int n = 0;

	*ret_why = NULL;
	if (c->p >= c->end)
		return -1;
	for (;;) {
		char *cell = read_cell(c, ret_why);

		if (n < MAX_COLUMNS)
			cells[n++] = cell;
		else
			*ret_why = "too many columns";
		if (c->p < c->end && *c->p == c->separator) {
			c->p++;
			continue;
		}
		if (c->p < c->end && *c->p != '\n') {
			*ret_why = "text follows a quoted cell";
			while (c->p < c->end && *c->p != '\n')
				c->p++;
		}
		c->line++;
		c->p++;
		return n;
	}
}

/* NULL, or what is wrong. An empty cell says nothing. */
static const char *take_cell(struct arena *a, struct device_doc *d, const char *name, char *cell)
{
	struct err bad = { 0 };

	if (!*cell)
		return NULL;
	if (strcmp(name, "tags") == 0)
		d->tags = text_items(a, cell, ";|");
	else if (strcmp(name, "metadata") == 0 && any_merge(a, d->metadata, cell, &d->metadata, &bad) != 0)
		return arena_printf(a, "metadata: %s", bad.msg);
	else if (text_has_prefix(name, "metadata.") &&
		 any_set(a, d->metadata, name + strlen("metadata."), cell, &d->metadata, &bad) != 0)
		return arena_printf(a, "%s: %s", name, bad.msg);
	for (const struct field *f = device_doc_type.fields; f->name; f++)
		if (f->kind == F_STR &&
		    (strcmp(f->name, name) == 0 ||
		     (f->aka && (strcmp(f->aka[0], name) == 0 || strcmp(f->aka[1], name) == 0))))
			*(char **)(void *)((char *)d + f->off) = cell;
	return NULL;
}

static int check_header(char *cells[], int n, struct err *e)
{
	bool id = false;

	for (int i = 0; i < n; i++) {
		const struct field *f = device_doc_type.fields;

		while (f->name && strcmp(f->name, cells[i]) != 0 &&
		       !(f->aka && (strcmp(f->aka[0], cells[i]) == 0 || strcmp(f->aka[1], cells[i]) == 0)))
			f++;
		if (!f->name && !text_has_prefix(cells[i], "metadata."))
			return err_set(e, ERR_INVALID, "line 1: unknown column \"%.40s\"; known are id, dms, alias, "
				       "tags, metadata, metadata.KEY, icon, icon_color", cells[i]);
		id |= strcmp(cells[i], "id") == 0;
		for (int k = 0; k < i; k++)
			if (strcmp(cells[k], cells[i]) == 0)
				return err_set(e, ERR_INVALID, "line 1: column \"%.40s\" is there twice", cells[i]);
	}
	return id ? 0 : err_set(e, ERR_INVALID, "line 1: no column id; the first line names the columns");
}

static int read_csv(struct reading *r, struct bytes text, struct err *e)
{
	struct csv c = { .a = r->a, .p = (const char *)text.p, .end = (const char *)text.p + text.n, .separator = ',',
			 .line = 1 };
	char *names[MAX_COLUMNS], *cells[MAX_COLUMNS];
	const char *why, *eol = text.n ? memchr(text.p, '\n', text.n) : NULL;
	size_t first = eol ? (size_t)(eol - c.p) : text.n;
	int columns, n;

	/* Spreadsheets of half of Europe write semicolons. */
	if (first && !memchr(c.p, ',', first) && memchr(c.p, ';', first))
		c.separator = ';';
	columns = csv_record(&c, names, &why);
	if (columns < 0 || why)
		return err_set(e, ERR_INVALID, "line 1: %s", why ? why : "the file is empty");
	if (check_header(names, columns, e) != 0)
		return -1;
	for (;;) {
		struct device_doc d = { 0 };
		size_t line = c.line;

		n = csv_record(&c, cells, &why);
		if (n < 0)
			return 0;
		if (n == 1 && !why && !*cells[0])
			continue; /* an empty line */
		if (!why && n != columns)
			why = arena_printf(r->a, "%d cells, where the first line has %d", n, columns);
		for (int i = 0; i < columns && !why; i++)
			why = take_cell(r->a, &d, names[i], cells[i]);
		if (!why && !d.id)
			why = "no id";
		if (add(r, line, why ? NULL : &d, why, e) != 0)
			return -1;
	}
}

static void csv_cell(const char *s, struct buf *out)
{
	bool quote = s && (strpbrk(s, ",;\"\r\n") || *s == ' ');

	if (quote)
		buf_putc(out, '"');
	for (; s && *s; s++) {
		if (*s == '"')
			buf_putc(out, '"');
		buf_putc(out, *s);
	}
	if (quote)
		buf_putc(out, '"');
}

void devices_csv_header(struct buf *out)
{
	buf_puts(out, "id,dms,alias,tags,metadata,icon,icon_color\n");
}

void devices_csv_line(struct arena *a, const struct device *d, struct buf *out)
{
	const char *tags = NULL, *const cells[] = { d->id, d->dms, d->alias, NULL, d->metadata, d->icon,
						    d->icon_color };

	for (size_t i = 0; i < d->tags.n; i++)
		tags = tags ? arena_printf(a, "%s|%s", tags, d->tags.v[i]) : d->tags.v[i];
	for (size_t i = 0; i < COUNT(cells); i++) {
		if (i)
			buf_putc(out, ',');
		csv_cell(i == 3 ? tags : cells[i], out);
	}
	buf_putc(out, '\n');
}

/* --- JSON --- */

struct scan {
	const char *p, *end;
	size_t line;
};

static void skip_blank(struct scan *s, const char *more)
{
	while (s->p < s->end && *s->p && strchr(more, *s->p)) {
		s->line += *s->p == '\n';
		s->p++;
	}
}

/* The object that begins here, by its braces; what is in it is for rec_load. false: it has no end. */
static bool whole_object(struct scan *s, struct bytes *ret)
{
	const char *start = s->p;
	size_t depth = 0;
	bool quoted = false;

	for (; s->p < s->end; s->p++) {
		s->line += *s->p == '\n';
		if (quoted) {
			if (*s->p == '\\' && s->p + 1 < s->end)
				s->p++;
			else
				quoted = *s->p != '"';
			continue;
		}
		quoted = *s->p == '"';
		depth += *s->p == '{';
		if (*s->p == '}' && --depth == 0) {
			s->p++;
			*ret = (struct bytes){ (const unsigned char *)start, (size_t)(s->p - start) };
			return true;
		}
		if (depth > MAX_DEPTH)
			return false;
	}
	return false;
}

static int read_json(struct reading *r, struct bytes text, struct err *e)
{
	static const char blanks[] = " \t\r\n", between[] = " \t\r\n,";
	struct scan s = { .p = (const char *)text.p, .end = (const char *)text.p + text.n, .line = 1 }, list;

	skip_blank(&s, blanks);
	list = s;
	skip_blank(&list, " \t\r\n{");
	if (s.p < s.end && *s.p == '{' && (size_t)(list.end - list.p) > 6 && memcmp(list.p, "\"list\"", 6) == 0) {
		s = list;
		s.p += 6;
		skip_blank(&s, " \t\r\n:");
	}
	if (s.p < s.end && *s.p == '[')
		s.p++;
	for (skip_blank(&s, between); s.p < s.end && *s.p == '{'; skip_blank(&s, between)) {
		size_t line = s.line;
		struct device_doc d;
		struct err bad = { 0 };
		struct bytes one;

		if (!whole_object(&s, &one))
			return err_set(e, ERR_INVALID, "line %zu: an object has no end", line);
		if (rec_load(r->a, &device_doc_type, "object", one, &d, &bad) != 0 ? add(r, line, NULL,
											 arena_strdup(r->a, bad.msg),
											 e) != 0
										   : add(r, line, &d, NULL, e) != 0)
			return -1;
	}
	if (s.p < s.end && *s.p != ']')
		return err_set(e, ERR_INVALID, "line %zu: neither CSV nor a list of JSON objects", s.line);
	return 0;
}

int devices_read(struct arena *a, enum device_format format, struct bytes text, struct device_line **ret, size_t *ret_n,
		 struct err *e)
{
	struct reading r = { .a = a };

	if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
		text = (struct bytes){ text.p + 3, text.n - 3 };
	if (format == DEVICES_CSV ? read_csv(&r, text, e) != 0 : read_json(&r, text, e) != 0)
		return -1;
	*ret = r.v;
	*ret_n = r.n;
	return 0;
}
