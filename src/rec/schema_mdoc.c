/* The fields of a record type for a manual page, mdoc(7). One sentence a line, as mandoc(1) wants it; nothing from the
 * tables can be taken for a request. */
#include <inttypes.h>

#include "rec/fields.h"
#include "rec/schema.h"

enum { LINE_WIDTH = 76 };

static const char *const kinds[] = {
	[F_STR] = "text",
	[F_INT] = "integer",
	[F_BOOL] = "true or false",
	[F_ENUM] = "name",
	[F_FLAGS] = "mapping of names to true or false, list of names, or one name",
	[F_DUR] = "duration",
	[F_TIME] = "time",
	[F_BYTES] = "base64",
	[F_STRV] = "list of texts",
	[F_INTV] = "list of integers",
	[F_OBJ] = "mapping",
	[F_OBJV] = "list of mappings",
	[F_REF] = "id",
	[F_REFV] = "list of ids",
	[F_ANY] = "anything",
};

static bool ends_sentence(const char *s, const char *at)
{
	return at > s && strchr(".?!", at[-1]) && at[1] >= 'A' && at[1] <= 'Z';
}

/* Text lines: short, a backslash written \e, a dot or quote that would start a request behind a \&. */
static void put_text(const char *s, struct buf *out)
{
	size_t column = 0;

	for (const char *p = s; *p; p++) {
		if ((unsigned char)*p >= 0x80) /* mandoc counts \[u2026] */
			column += 3;
		if (*p == ' ' && (ends_sentence(s, p) || column + strcspn(p + 1, " ") >= LINE_WIDTH)) {
			buf_putc(out, '\n');
			column = 0;
			continue;
		}
		if (column++ == 0 && strchr(".'", *p))
			buf_puts(out, "\\&");
		if (*p == '\\')
			buf_puts(out, "\\e");
		else
			buf_putc(out, *p);
	}
	buf_putc(out, '\n');
}

/* An argument of a macro. */
static void put_word(const char *s, struct buf *out)
{
	buf_putc(out, '"');
	for (; *s; s++)
		if (*s == '"')
			buf_puts(out, "\\(dq");
		else if (*s == '\\')
			buf_puts(out, "\\e");
		else
			buf_putc(out, *s);
	buf_putc(out, '"');
}

static void put_names(const char *which, const char *const *names, struct buf *out)
{
	buf_printf(out, "%s of\n", which);
	for (; *names; names++) {
		if (!**names)
			continue;
		buf_puts(out, ".Cm ");
		put_word(*names, out);
		buf_puts(out, names[1] ? " ,\n" : " .\n");
	}
}

static void put_range(const struct field *f, struct buf *out)
{
	SCOPED_ARENA *a = arena_new();

	if ((f->min == 0 && f->max == 0) || (f->kind != F_INT && f->kind != F_INTV && f->kind != F_DUR))
		return;
	if (f->kind == F_DUR)
		buf_printf(out, "From %s to %s.\n", dur_format(a, f->min), dur_format(a, f->max));
	else
		buf_printf(out, "From %" PRId64 " to %" PRId64 ".\n", f->min, f->max);
}

static void put_fields(const struct schema *s, struct buf *out);

static void put_field(const struct field *f, struct buf *out)
{
	buf_puts(out, ".It Cm ");
	put_word(f->name, out);
	buf_printf(out, " Pq %s%s\n", kinds[f->kind],
		   f->flags & F_REQ ? ", required" : f->flags & F_OUT ? ", computed" : f->flags & F_IN
		   ? ", on input" : "");
	put_text(f->doc, out);
	if (f->names)
		put_names(f->kind == F_FLAGS ? "Any" : "One", f->names, out);
	put_range(f, out);
	if (f->flags & F_LAX)
		buf_printf(out, "A single %s is accepted too.\n", f->kind == F_REFV ? "id" : "text");
	if (f->flags & F_REST)
		buf_puts(out, "Its members may also stand beside it.\n");
	if (f->flags & F_SECRET)
		buf_puts(out, "Only a reference to the secret is accepted.\n");
	if (f->dflt) {
		buf_puts(out, "The default is\n.Ql ");
		put_word(f->dflt, out);
		buf_puts(out, " .\n");
	}
	for (const char *const *aka = f->aka; aka && *aka; aka++) {
		buf_puts(out, "Also accepted as\n.Cm ");
		put_word(*aka, out);
		buf_puts(out, " .\n");
	}
	if (f->sub && !(f->flags & F_IN))
		put_fields(f->sub, out);
}

static void put_fields(const struct schema *s, struct buf *out)
{
	buf_puts(out, ".Bl -tag -width Ds\n");
	for (const struct field *f = s->fields; f->name; f++)
		put_field(f, out);
	buf_puts(out, ".El\n");
}

void schema_mdoc(const struct schema *s, struct buf *out)
{
	put_fields(s, out);
}
