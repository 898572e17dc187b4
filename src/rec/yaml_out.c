/* Writes a tree as canonical YAML: the same tree gives the same bytes. Plain scalars only where every YAML reader, of
 * 1.1 as of 1.2, takes them for text; literal blocks for texts of several lines; double quotes for all else. Written by
 * hand because libyaml's emitter picks styles by rules of its own. */
#include <strings.h>

#include "rec/node.h"

enum { LINE_MAX_FLOW = 80 }; /* columns of a list on one line */

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Whether c is one of `set`; NUL never is. */
static bool is_in(char c, const char *set)
{
	return c && strchr(set, c);
}

/* Every form that YAML 1.1 or 1.2 reads as a number, a time or in base 60, and more. */
static bool like_number(const char *s)
{
	if (!is_in(*s, "0123456789+-."))
		return false;
	if (s[0] == '0' && s[1] && strchr("xXoObB", s[1]))
		return true;
	return s[strspn(s, "0123456789+-._:eEtTzZ ,")] == '\0';
}

static bool like_word(const char *s)
{
	static const char *const words[] = { "null", "true", "false", "yes", "no", "on", "off", "y", "n", ".inf",
					     ".nan" };

	for (size_t i = 0; strlen(s) <= 5 && i < COUNT(words); i++)
		if (strcasecmp(s, words[i]) == 0)
			return true;
	return false;
}

/* The length of the character at s and its code point; of what is not UTF-8, one byte. */
static size_t decode(const char *text, unsigned *ret_code)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n = *s < 0xC0 ? 1 : *s < 0xE0 ? 2 : *s < 0xF0 ? 3 : 4;
	unsigned c = n == 1 ? *s : *s & (0x7FU >> n);

	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xC0) != 0x80) {
			*ret_code = *s;
			return 1;
		}
		c = c << 6 | (s[i] & 0x3FU);
	}
	*ret_code = c;
	return n;
}

/* Shows as it is between quotes; all else must be escaped (YAML 1.2 5.1, and the line breaks of 1.1). */
static bool is_printable(unsigned c)
{
	return c >= 0x20 && !(c >= 0x7F && c < 0xA0) && c != 0x2028 && c != 0x2029 && c != 0xFEFF && c != 0xFFFE &&
	       c != 0xFFFF;
}

static bool all_printable(const char *s, char also)
{
	unsigned c;

	for (size_t n; *s; s += n) {
		n = decode(s, &c);
		if (!is_printable(c) && *s != also)
			return false;
	}
	return true;
}

/* Whether p, inside a plain scalar, says nothing but itself: it may not look like the end of a key, a comment or,
 * within [] and {}, like punctuation. */
static bool plain_inside(const char *p, bool flow)
{
	if (is_alnum(*p) || (unsigned char)*p >= 0x80 || is_in(*p, "_/.$-+=@() ;~^%"))
		return true;
	if (*p == ':')
		return is_alnum(p[1]) || is_in(p[1], flow ? "/" : "/:.,");
	return !flow && is_in(*p, ",!?'*&<>|");
}

static bool can_be_plain(const char *s, bool flow)
{
	if (!is_alnum(*s) && !is_in(*s, "_/.$") && (unsigned char)*s < 0x80)
		return false;
	if (like_number(s) || like_word(s) || strncmp(s, "..", 2) == 0 || s[strlen(s) - 1] == ' ' ||
	    !all_printable(s, '\0'))
		return false;
	for (const char *p = s; *p; p++)
		if (!plain_inside(p, flow))
			return false;
	return true;
}

static void print_quoted(const char *s, struct buf *out)
{
	static const char named[] = "\"\\\n\r\t", letter[] = "\"\\nrt";
	unsigned c;

	buf_putc(out, '"');
	for (size_t n; *s; s += n) {
		const char *at = strchr(named, *s);

		n = decode(s, &c);
		if (at)
			buf_printf(out, "\\%c", letter[at - named]);
		else if (is_printable(c))
			buf_put(out, s, n);
		else
			buf_printf(out, c < 0x100 ? "\\x%02X" : "\\u%04X", c);
	}
	buf_putc(out, '"');
}

/* A time or a duration: never mistaken by us, and what it is to others is what it is to us. */
static bool can_be_word(const char *s)
{
	const char *p = s;

	while (is_alnum(*p) || is_in(*p, ".:-"))
		p++;
	return is_alnum(*s) && !*p && p[-1] != ':';
}

static void print_scalar(const struct node *n, bool flow, struct buf *out)
{
	if (n->plain || can_be_plain(n->text, flow) || (n->word && can_be_word(n->text)))
		buf_puts(out, n->text);
	else
		print_quoted(n->text, out);
}

/* A text that reads the same from a literal block: lines without surprises, at most one line break at the end. */
static bool can_be_literal(const char *s)
{
	size_t n = strlen(s);

	if (!strchr(s, '\n') || strchr(" \n", *s) || !all_printable(s, '\n'))
		return false;
	return !(s[n - 1] == '\n' && s[n - 2] == '\n') && !strstr(s, " \n") && s[n - 1] != ' ';
}

static void print_literal(const char *s, int indent, struct buf *out)
{
	buf_puts(out, s[strlen(s) - 1] == '\n' ? "|\n" : "|-\n");
	while (*s) {
		size_t n = strcspn(s, "\n");

		if (n)
			buf_printf(out, "%*s", indent, "");
		buf_put(out, s, n);
		buf_putc(out, '\n');
		s += n + (s[n] == '\n');
	}
}

void yaml_print_inline(const struct node *n, bool flow, struct buf *out)
{
	bool map = n->kind == NODE_MAP;

	if (n->kind == NODE_SCALAR) {
		print_scalar(n, flow, out);
		return;
	}
	buf_putc(out, map ? '{' : '[');
	for (size_t i = 0; i < n->n; i++) {
		buf_puts(out, i == 0 ? "" : map && i % 2 ? ": " : ", ");
		yaml_print_inline(&n->items[i], true, out);
	}
	buf_putc(out, map ? '}' : ']');
}

static bool fits_line(const struct node *list, size_t column)
{
	SCOPED_BUF line = buf_init(LINE_MAX_FLOW);

	for (size_t i = 0; i < list->n; i++)
		if (list->items[i].kind != NODE_SCALAR)
			return false;
	yaml_print_inline(list, true, &line);
	return !line.over && column + line.n <= LINE_MAX_FLOW;
}

static void print_map(const struct node *, int indent, bool hanging, struct buf *);

static void print_list(const struct node *list, int indent, struct buf *out);

/* A value after "key:" or "-"; what stands below it is indented by `indent`. */
static void print_value(const struct node *n, int indent, size_t column, struct buf *out)
{
	if (n->kind == NODE_SCALAR) {
		buf_putc(out, ' ');
		if (!n->plain && can_be_literal(n->text)) {
			print_literal(n->text, indent, out);
			return;
		}
		print_scalar(n, false, out);
		buf_putc(out, '\n');
	} else if (n->n == 0 || (n->kind == NODE_LIST && fits_line(n, column))) {
		buf_putc(out, ' ');
		yaml_print_inline(n, true, out);
		buf_putc(out, '\n');
	} else {
		buf_putc(out, '\n');
		if (n->kind == NODE_MAP)
			print_map(n, indent, false, out);
		else
			print_list(n, indent, out);
	}
}

static void print_list(const struct node *list, int indent, struct buf *out)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct node *item = &list->items[i];

		buf_printf(out, "%*s-", indent, "");
		if (item->kind == NODE_MAP && item->n > 0) {
			buf_putc(out, ' ');
			print_map(item, indent + 2, true, out);
		} else {
			print_value(item, indent + 2, (size_t)indent + 2, out);
		}
	}
}

/* hanging: the first key goes where the line is. */
static void print_map(const struct node *map, int indent, bool hanging, struct buf *out)
{
	for (size_t i = 0; i < map->n; i += 2) {
		if (indent > 0 && !(i == 0 && hanging))
			buf_printf(out, "%*s", indent, "");
		size_t before = out->n;
		print_scalar(&map->items[i], true, out);
		buf_putc(out, ':');
		print_value(&map->items[i + 1], indent + 2, (size_t)indent + out->n - before + 1, out);
	}
}

void yaml_print_at(const struct node *n, int indent, struct buf *out)
{
	if (n->kind == NODE_MAP)
		print_map(n, indent, false, out);
	else
		print_list(n, indent, out);
}

void yaml_print(const struct node *map, struct buf *out)
{
	if (map->n == 0)
		buf_puts(out, "{}\n");
	else
		print_map(map, 0, false, out);
}
