/* Changes the text of a document at one place and leaves every other byte. Works from the places of nodes alone, so it
 * may be fooled by rare layouts; the caller parses the result and compares trees. */
#include "rec/node.h"

struct cut {
	struct arena *a;
	const struct doc *doc;
	const char *text;
	size_t n;
};

static struct cut cut_of(struct arena *a, const struct doc *doc)
{
	return (struct cut){ a, doc, (const char *)doc->text.p, doc->text.n };
}

/* Nodes count characters, text is bytes. */
static size_t byte_at(const struct cut *c, size_t index)
{
	size_t i = 0;

	for (; i < c->n; i++)
		if (((unsigned char)c->text[i] & 0xC0) != 0x80 && index-- == 0)
			break;
	return i;
}

static size_t line_start(const struct cut *c, size_t at)
{
	while (at > 0 && c->text[at - 1] != '\n')
		at--;
	return at;
}

static size_t line_end(const struct cut *c, size_t at)
{
	while (at < c->n && c->text[at] != '\n')
		at++;
	return at;
}

static bool is_blank(const struct cut *c, size_t from, size_t to, const char *also)
{
	for (; from < to; from++)
		if (!strchr(" \t", c->text[from]) && !strchr(also, c->text[from]))
			return false;
	return true;
}

static const struct node *last_leaf(const struct node *n)
{
	while (n->kind != NODE_SCALAR && !n->flow && n->n > 0)
		n = &n->items[n->n - 1];
	return n;
}

/* Where the value ends, without the line breaks that a block scalar takes. */
static size_t end_of(const struct cut *c, const struct node *n)
{
	size_t end = byte_at(c, last_leaf(n)->end);

	while (last_leaf(n)->block && end > 0 && strchr(" \t\r\n", c->text[end - 1]))
		end--;
	return end;
}

/* The start of the first line after the value. */
static size_t next_line(const struct cut *c, const struct node *n)
{
	const struct node *leaf = last_leaf(n);
	size_t end = byte_at(c, leaf->end);

	if (leaf->block)
		return end;
	end = line_end(c, end);
	return end < c->n ? end + 1 : end;
}

static void splice(const struct cut *c, size_t from, size_t to, const char *with, struct buf *out)
{
	buf_put(out, c->text, from);
	buf_puts(out, with);
	buf_put(out, c->text + to, c->n - to);
}

static const char *inline_text(const struct cut *c, const struct node *value, bool flow)
{
	SCOPED_BUF b = buf_init(BUF_TEXT);

	if (c->doc->json)
		json_print(value, 0, &b);
	else
		yaml_print_inline(value, flow, &b);
	return arena_strdup(c->a, buf_str(&b));
}

/* A block collection gives way to text behind its key; a comment on the key's line stays. */
static void replace_block(const struct cut *c, const struct node *key, const struct node *old, const char *text,
			  struct buf *out)
{
	size_t colon = byte_at(c, key->end), eol, end = end_of(c, old);

	while (colon < c->n && c->text[colon] != ':')
		colon++;
	colon += colon < c->n;
	eol = line_end(c, colon);
	if (eol > colon && c->text[eol - 1] == '\r')
		eol--;
	if (eol > end)
		eol = end;
	splice(c, colon, end, arena_printf(c->a, " %s%.*s", text, (int)(eol - colon), c->text + colon), out);
}

void edit_replace(struct arena *a, const struct doc *doc, const struct node *parent, size_t i, const struct node *value,
		  struct buf *out)
{
	struct cut c = cut_of(a, doc);
	const struct node *old = parent ? &parent->items[i] : &doc->root;
	const char *text = inline_text(&c, value, parent && parent->flow);
	size_t at = byte_at(&c, old->at);

	if (parent && parent->kind == NODE_MAP && old->kind != NODE_SCALAR && !old->flow) {
		replace_block(&c, &parent->items[i - 1], old, text, out);
		return;
	}
	if (old->at == old->end && at > 0 && !strchr(" \n", c.text[at - 1])) /* "key:" without a value */
		text = arena_printf(a, " %s", text);
	splice(&c, at, end_of(&c, old), text, out);
}

/* One more entry at the end of [] or {}; on a line of its own if the last one is. */
static void add_flow(const struct cut *c, const struct node *parent, const char *entry, struct buf *out)
{
	size_t at = byte_at(c, parent->at) + 1, from, n;

	if (parent->n == 0) {
		splice(c, at, at, entry, out);
		return;
	}
	const struct node *last = &parent->items[parent->n - (parent->kind == NODE_MAP ? 2 : 1)];
	at = end_of(c, &parent->items[parent->n - 1]);
	if (last->line == parent->line) {
		splice(c, at, at, arena_printf(c->a, ", %s", entry), out);
		return;
	}
	from = line_start(c, byte_at(c, last->at));
	n = strspn(c->text + from, " \t");
	splice(c, at, at,
	       arena_printf(c->a, ",%s%.*s%s", from > 1 && c->text[from - 2] == '\r' ? "\r\n" : "\n", (int)n,
			    c->text + from, entry),
	       out);
}

/* Lines of ours, with the line ends of the document. */
static const char *lines(const struct cut *c, const struct buf *text)
{
	SCOPED_BUF b = buf_init(BUF_BIG);
	bool cr = memmem(c->text, c->n, "\r\n", 2);

	for (const char *s = buf_str(text); *s; s++) {
		if (*s == '\n' && cr)
			buf_putc(&b, '\r');
		buf_putc(&b, *s);
	}
	return arena_strdup(c->a, buf_str(&b));
}

void edit_add(struct arena *a, const struct doc *doc, const struct node *parent, const char *key,
	      const struct node *value, struct buf *out)
{
	struct cut c = cut_of(a, doc);
	struct node entry = { .kind = key ? NODE_MAP : NODE_LIST }, name = node_text(a, key ? key : "");
	SCOPED_BUF text = buf_init(BUF_TEXT);

	if (parent->flow || parent->n == 0) {
		const char *one = inline_text(&c, value, true);

		add_flow(&c, parent, key ? arena_printf(a, "%s: %s", inline_text(&c, &name, true), one) : one, out);
		return;
	}
	size_t at = next_line(&c, parent);
	if (at > 0 && c.text[at - 1] != '\n')
		buf_putc(&text, '\n');
	if (key) {
		node_add(a, &entry, key, *value);
		yaml_print_at(&entry, (int)parent->items[0].column - 1, &text);
	} else {
		entry.items = arena_memdup(a, value, sizeof(*value));
		entry.n = 1;
		yaml_print_at(&entry, (int)parent->column - 1, &text); /* a list starts at its first dash */
	}
	splice(&c, at, at, lines(&c, &text), out);
}

static void remove_flow(const struct cut *c, const struct node *parent, size_t first, size_t width, struct buf *out)
{
	size_t last = first + width - 1, from, to;

	if (first > 0) {
		from = end_of(c, &parent->items[first - 1]);
		to = end_of(c, &parent->items[last]);
	} else {
		from = byte_at(c, parent->items[0].at);
		to = last + 1 < parent->n ? byte_at(c, parent->items[last + 1].at) : end_of(c, &parent->items[last]);
	}
	splice(c, from, to, "", out);
}

void edit_remove(struct arena *a, const struct doc *doc, const struct node *parent, size_t i, struct buf *out)
{
	struct cut c = cut_of(a, doc);
	size_t width = parent->kind == NODE_MAP ? 2 : 1, first = i + 1 - width;

	if (parent->flow) {
		remove_flow(&c, parent, first, width, out);
		return;
	}
	size_t at = byte_at(&c, parent->items[first].at), start = line_start(&c, at);
	if (is_blank(&c, start, at, width == 1 ? "-" : ""))
		splice(&c, start, next_line(&c, &parent->items[i]), "", out);
	else if (i + 1 < parent->n) /* the first key of an item stands behind its dash */
		splice(&c, at, byte_at(&c, parent->items[i + 1].at), "", out);
	else
		splice(&c, at, end_of(&c, &parent->items[i]), "", out);
}
