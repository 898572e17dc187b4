/* Records as people read them: a list as a table that fits the terminal, one record as lines "field: value". Through a
 * pipe nothing is ever cut. Every value is escaped, so a hostile name cannot move the cursor or hide a row. */
#include "cli/internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/text.h"
#include "rec/fields.h"

/* Columns between columns; what a shrunk one keeps, and where nothing else helps; "2027-01-31…". */
enum { GAP = 2, NARROW = 6, NARROWEST = 3, DATE = 11 };

size_t term_width(int fd)
{
	const char *env = getenv("COLUMNS");
	long cols = env ? strtol(env, NULL, 10) : 0;
	struct winsize ws;

	if (!isatty(fd))
		return 0;
	if (cols > 0 && cols < 10000)
		return (size_t)cols;
	return ioctl(fd, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0 ? ws.ws_col : CLI_WIDTH;
}

bool term_color(int mode, int fd)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (mode != COLOR_AUTO)
		return mode == COLOR_ALWAYS;
	return isatty(fd) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

static void add_column(struct arena *a, struct listing *l, const char *name, size_t n)
{
	l->cols = arena_grow(a, l->cols, l->ncols, sizeof(*l->cols));
	l->cols[l->ncols++] = arena_strndup(a, name, n);
}

static void default_columns(struct arena *a, const struct schema *s, struct listing *l)
{
	for (const struct field *f = s->fields; f->name; f++)
		if (f->flags & F_COL)
			add_column(a, l, f->name, strlen(f->name));
	for (const struct field *f = s->fields; f->name && l->ncols == 0; f++)
		if (f->flags & F_KEY)
			add_column(a, l, f->name, strlen(f->name));
	if (l->ncols == 0)
		add_column(a, l, s->fields->name, strlen(s->fields->name));
}

int table_columns(struct arena *a, const struct schema *s, const char *columns, struct listing *ret, struct err *e)
{
	struct listing l = { .type = s };

	for (const char *p = columns; p && *p; p += strspn(p, ", ")) {
		size_t n = strcspn(p, ", ");

		if (n > 0)
			add_column(a, &l, p, n);
		p += n;
	}
	if (l.ncols == 0)
		default_columns(a, s, &l);
	for (size_t i = 0; i < l.ncols; i++)
		if (query_field(a, s, l.cols[i], e) != 0)
			return err_ctx(e, "--columns");
	*ret = l;
	return 0;
}

/* At most `width` terminal columns of `text`, ending in "…" when something had to go. */
static const char *fit(struct arena *a, const char *text, size_t width)
{
	size_t keep = 0, used = 0;

	if (utf8_width(text) <= width)
		return text;
	while (text[keep]) {
		size_t n = 1, w;

		while (((unsigned char)text[keep + n] & 0xc0) == 0x80)
			n++;
		w = utf8_width(arena_strndup(a, text + keep, n));
		if (used + w > width - 1)
			break;
		used += w;
		keep += n;
	}
	return arena_printf(a, "%.*s…", (int)keep, text);
}

static void put_row(struct out *o, struct arena *a, const char *const *cells, const bool *right)
{
	const struct listing *l = &o->list;

	for (size_t i = 0; i < l->ncols; i++) {
		const char *text = o->width ? fit(a, cells[i], l->width[i]) : cells[i];
		size_t w = utf8_width(text), pad = w < l->width[i] ? l->width[i] - w : 0;

		if (right[i])
			buf_printf(&o->buf, "%*s%s", (int)pad, "", text);
		else
			buf_printf(&o->buf, "%s%*s", text, i + 1 < l->ncols ? (int)pad : 0, "");
		if (i + 1 < l->ncols)
			buf_printf(&o->buf, "%*s", GAP, "");
	}
	while (o->buf.n > 0 && o->buf.p[o->buf.n - 1] == ' ')
		o->buf.p[--o->buf.n] = '\0';
}

/* What a column keeps while others can give: a time its date, then the record's id all of it, and a state its name. */
static size_t least(const struct listing *l, size_t col, int pass)
{
	const struct field *f = field_find(l->type, l->cols[col]);

	if (f && ((pass < 3 && f->kind == F_ENUM) || (pass < 2 && f->flags & F_KEY)))
		return l->width[col];
	if (f && pass < 1 && f->kind == F_TIME)
		return DATE;
	return pass < 3 ? NARROW : NARROWEST;
}

/* Takes from the widest columns until the row fits. */
static void shrink(struct listing *l, size_t room)
{
	size_t total = GAP * (l->ncols - 1);

	for (size_t i = 0; i < l->ncols; i++) {
		if (l->width[i] > room)
			l->width[i] = room;
		total += l->width[i];
	}
	for (int pass = 0; pass <= 3; pass++)
		while (total > room) {
			size_t *widest = NULL;

			for (size_t i = 0; i < l->ncols; i++)
				if (l->width[i] > least(l, i, pass) && (!widest || l->width[i] > *widest))
					widest = &l->width[i];
			if (widest == NULL)
				break;
			(*widest)--;
			total--;
		}
}

static void head(struct out *o, struct arena *a, const char *const *titles, const bool *right)
{
	buf_puts(&o->buf, o->bold ? "\033[1m" : "");
	put_row(o, a, titles, right);
	buf_puts(&o->buf, o->bold ? "\033[0m\n" : "\n");
}

/* The cells of n records, row by row. */
static int read_cells(struct out *o, struct arena *a, const void *recs, size_t n, const char **cells, bool *right,
		      struct err *e)
{
	struct listing *l = &o->list;

	for (size_t r = 0; r < n; r++)
		for (size_t c = 0; c < l->ncols; c++) {
			const void *rec = (const char *)recs + r * l->type->size;
			const struct field *f = NULL;
			char *text = NULL;

			if (rec_get(a, l->type, rec, l->cols[c], &text, &f, e) != 0)
				return -1;
			right[c] = f && f->kind == F_INT;
			cells[r * l->ncols + c] = text_escape(a, bytes_of(text ? text : ""));
		}
	return 0;
}

int table_rows(struct out *o, const void *recs, size_t n, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct listing *l = &o->list;
	const char **cells = arena_alloc(a, n * l->ncols, sizeof(*cells));
	const char **titles = arena_alloc(a, l->ncols, sizeof(*titles));
	bool *right = arena_new_array(a, l->ncols, bool), first = l->width == NULL;

	if (read_cells(o, a, recs, n, cells, right, e) != 0)
		return -1;
	if (first)
		l->width = arena_new_array(o->arena, l->ncols, size_t);
	for (size_t c = 0; first && c < l->ncols; c++) {
		titles[c] = metavar(a, l->cols[c]);
		l->width[c] = utf8_width(titles[c]);
		for (size_t r = 0; r < n; r++) {
			size_t w = utf8_width(cells[r * l->ncols + c]);

			l->width[c] = w > l->width[c] ? w : l->width[c];
		}
	}
	if (first && o->width)
		shrink(l, o->width);
	if (first)
		head(o, a, titles, right);
	for (size_t r = 0; r < n; r++, l->rows++) {
		put_row(o, a, cells + r * l->ncols, right);
		buf_putc(&o->buf, '\n');
	}
	return 0;
}

/* --- one record --- */

struct lines {
	struct arena *arena;
	struct strv names, values;
	const char *prefix; /* of any_each */
};

static void add_line(struct lines *l, const char *name, const char *value)
{
	struct arena *a = l->arena;

	if (value == NULL || *value == '\0')
		return;
	l->names.v = arena_grow(a, l->names.v, l->names.n, sizeof(char *));
	l->names.v[l->names.n++] = text_escape(a, bytes_of(name));
	l->values.v = arena_grow(a, l->values.v, l->values.n, sizeof(char *));
	l->values.v[l->values.n++] = text_escape(a, bytes_of(value));
}

static int add_member(void *arg, const char *key, const char *value)
{
	struct lines *l = arg;

	add_line(l, arena_printf(l->arena, "%s.%s", l->prefix, key), value);
	return 0;
}

static int flatten(struct lines *l, const char *prefix, const struct schema *s, const void *rec, struct err *e);

static int flatten_field(struct lines *l, const char *name, const struct schema *s, const struct field *f,
			 const void *rec, struct err *e)
{
	const void *at = (const char *)rec + f->off;
	const struct vec *items = at;
	char *text = NULL;

	if ((f->kind == F_OBJ || (f->flags & F_IN)) && !rec_shown(l->arena, f, at))
		return 0;
	if (f->kind == F_OBJ)
		return flatten(l, arena_printf(l->arena, "%s.", name), f->sub, at, e);
	if (f->kind == F_OBJV) {
		for (size_t i = 0; i < items->n; i++)
			if (flatten(l, arena_printf(l->arena, "%s.%zu.", name, i), f->sub,
				    (const char *)items->v + i * f->sub->size, e) != 0)
				return -1;
		return 0;
	}
	if (rec_get(l->arena, s, rec, f->name, &text, NULL, e) != 0)
		return -1;
	if (text && f->kind == F_ANY && *text == '{') {
		l->prefix = name;
		return any_each(l->arena, text, add_member, l);
	}
	add_line(l, name, text);
	return 0;
}

static int flatten(struct lines *l, const char *prefix, const struct schema *s, const void *rec, struct err *e)
{
	for (const struct field *f = s->fields; f->name; f++)
		if (!(f->flags & F_HIDE) &&
		    flatten_field(l, arena_printf(l->arena, "%s%s", prefix, f->name), s, f, rec, e) != 0)
			return -1;
	return 0;
}

int table_record(struct out *o, const struct schema *s, const void *rec, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct lines l = { .arena = a };
	size_t width = 0;

	if (flatten(&l, "", s, rec, e) != 0)
		return -1;
	for (size_t i = 0; i < l.names.n; i++) {
		size_t w = utf8_width(l.names.v[i]);

		width = w > width ? w : width;
	}
	if (o->width && width > o->width / 2) /* on a terminal a few long names do not push all values away */
		width = o->width / 2;
	for (size_t i = 0; i < l.names.n; i++) {
		size_t w = utf8_width(l.names.v[i]);

		buf_printf(&o->buf, "%s%s:%s%*s%s\n", o->bold ? "\033[1m" : "", l.names.v[i], o->bold ? "\033[0m" : "",
			   (int)(width > w ? width - w : 0) + 1, "", l.values.v[i]);
	}
	return 0;
}
