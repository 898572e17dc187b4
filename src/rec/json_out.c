/* Writes a tree as JSON: UTF-8 as it is, everything below a space escaped, no space where indent is 0. */
#include "rec/node.h"

static bool as_it_is(char c)
{
	return (unsigned char)c >= ' ' && c != '"' && c != '\\' && c != 0x7F;
}

void json_print_text(const char *s, struct buf *out)
{
	static const char named[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";

	buf_putc(out, '"');
	while (*s) {
		size_t n = 0;

		while (as_it_is(s[n]))
			n++;
		buf_put(out, s, n);
		s += n;
		if (!*s)
			break;
		const char *at = strchr(named, *s);
		if (at)
			buf_printf(out, "\\%c", letter[at - named]);
		else
			buf_printf(out, "\\u%04x", (unsigned)*s);
		s++;
	}
	buf_putc(out, '"');
}

static void newline(int indent, int depth, struct buf *out)
{
	if (indent > 0)
		buf_printf(out, "\n%*s", indent * depth, "");
}

static void print(const struct node *n, int indent, int depth, struct buf *out)
{
	bool map = n->kind == NODE_MAP;

	if (n->kind == NODE_SCALAR) {
		if (n->plain)
			buf_puts(out, n->text);
		else
			json_print_text(n->text, out);
		return;
	}
	buf_putc(out, map ? '{' : '[');
	for (size_t i = 0; i < n->n; i++) {
		if (map && i % 2) {
			buf_puts(out, indent > 0 ? ": " : ":");
		} else {
			if (i)
				buf_putc(out, ',');
			newline(indent, depth + 1, out);
		}
		print(&n->items[i], indent, depth + 1, out);
	}
	if (n->n)
		newline(indent, depth, out);
	buf_putc(out, map ? '}' : ']');
}

void json_print(const struct node *n, int indent, struct buf *out)
{
	print(n, indent, 0, out);
}
