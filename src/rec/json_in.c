/* Reads JSON (RFC 8259) into a tree with the place of every value. jansson keeps no places and libyaml does not know
 * surrogate pairs, hence a reader of our own; it is strict and takes nothing that jansson would refuse. */
#include "rec/node.h"
#include "rec/schema.h"

struct reader {
	struct arena *a;
	const char *file;
	const unsigned char *p, *stop;
	size_t index, line, column;
	size_t nodes;
	struct err *e;
};

static int fail(const struct reader *r, const char *why)
{
	return err_set(r->e, ERR_INVALID, "%s:%zu:%zu: %s", r->file, r->line, r->column, why);
}

static int peek(const struct reader *r)
{
	return r->p < r->stop ? *r->p : -1;
}

static void step(struct reader *r)
{
	unsigned char c = *r->p++;

	if ((c & 0xC0) == 0x80) /* inside a UTF-8 sequence */
		return;
	r->index++;
	r->column++;
	if (c == '\n') {
		r->line++;
		r->column = 1;
	}
}

static void skip_space(struct reader *r)
{
	while (r->p < r->stop && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
		step(r);
}

static int hex4(struct reader *r, unsigned *ret)
{
	unsigned v = 0;

	for (int i = 0; i < 4; i++, step(r)) {
		int c = peek(r);

		if (c >= '0' && c <= '9')
			v = v * 16 + (unsigned)(c - '0');
		else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
			v = v * 16 + (unsigned)((c | 0x20) - 'a' + 10);
		else
			return fail(r, "\\u needs four hexadecimal digits");
	}
	*ret = v;
	return 0;
}

static char *put_utf8(char *to, unsigned c)
{
	if (c < 0x80) {
		*to++ = (char)c;
	} else if (c < 0x800) {
		*to++ = (char)(0xC0 | c >> 6);
		*to++ = (char)(0x80 | (c & 0x3F));
	} else if (c < 0x10000) {
		*to++ = (char)(0xE0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 0x3F));
		*to++ = (char)(0x80 | (c & 0x3F));
	} else {
		*to++ = (char)(0xF0 | c >> 18);
		*to++ = (char)(0x80 | (c >> 12 & 0x3F));
		*to++ = (char)(0x80 | (c >> 6 & 0x3F));
		*to++ = (char)(0x80 | (c & 0x3F));
	}
	return to;
}

static int unicode(struct reader *r, unsigned *ret)
{
	unsigned hi = 0, lo = 0;

	if (hex4(r, &hi) != 0)
		return -1;
	if (hi == 0)
		return fail(r, "a NUL character is not accepted");
	if (hi >= 0xDC00 && hi <= 0xDFFF)
		return fail(r, "half of a surrogate pair");
	if (hi >= 0xD800 && hi <= 0xDBFF) {
		if (r->stop - r->p < 6 || r->p[0] != '\\' || r->p[1] != 'u')
			return fail(r, "half of a surrogate pair");
		step(r);
		step(r);
		if (hex4(r, &lo) != 0)
			return -1;
		if (lo < 0xDC00 || lo > 0xDFFF)
			return fail(r, "half of a surrogate pair");
		hi = 0x10000 + ((hi - 0xD800) << 10) + (lo - 0xDC00);
	}
	*ret = hi;
	return 0;
}

static int escape(struct reader *r, char **to)
{
	static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
	int c = peek(r);
	const char *at = c > 0 ? strchr(from, c) : NULL;
	unsigned u = 0;

	if (c == 'u') {
		step(r);
		if (unicode(r, &u) != 0)
			return -1;
		*to = put_utf8(*to, u);
		return 0;
	}
	if (!at)
		return fail(r, "unknown escape in a string");
	*(*to)++ = into[at - from];
	step(r);
	return 0;
}

static int string(struct reader *r, struct node *ret)
{
	const unsigned char *quote = r->p + 1;
	char *text, *to;

	for (; quote < r->stop && *quote != '"'; quote++)
		if (*quote == '\\' && quote + 1 < r->stop)
			quote++;
	if (quote >= r->stop)
		return fail(r, "a string without its end");
	/* an escape is never shorter than what it means */
	text = to = arena_alloc(r->a, (size_t)(quote - r->p) + 1, 1);
	for (step(r); r->p < quote;) {
		if (*r->p == '\\') {
			step(r);
			if (escape(r, &to) != 0)
				return -1;
			continue;
		}
		if (*r->p < 0x20)
			return fail(r, "a control character in a string must be escaped");
		*to++ = (char)*r->p;
		step(r);
	}
	step(r);
	ret->text = text;
	return 0;
}

/* Numbers, true, false and null: the longest run of their characters, then its grammar. */
static int literal(struct reader *r, struct node *ret)
{
	const char *start = (const char *)r->p;
	size_t n = 0;

	while (r->p + n < r->stop && r->p[n] && strchr("+-.0123456789abcdefghijklmnopqrstuvwxyzE", r->p[n]))
		n++;
	ret->plain = true;
	ret->text = arena_strndup(r->a, start, n);
	const char *s = ret->text;
	if (strcmp(s, "true") != 0 && strcmp(s, "false") != 0 && strcmp(s, "null") != 0) {
		s += *s == '-';
		size_t whole = strspn(s, "0123456789");
		bool good = whole == 1 || (whole > 1 && *s != '0');

		s += whole;
		if (*s == '.') {
			size_t frac = strspn(s + 1, "0123456789");
			good = good && frac > 0;
			s += 1 + frac;
		}
		if (*s == 'e' || *s == 'E') {
			s += 1 + (s[1] == '+' || s[1] == '-');
			size_t exponent = strspn(s, "0123456789");
			good = good && exponent > 0;
			s += exponent;
		}
		if (!good || *s)
			return fail(r, "not a JSON value");
	}
	while (n--)
		step(r);
	return 0;
}

static int value(struct reader *r, int depth, struct node *ret);

static int collection(struct reader *r, int depth, struct node *ret)
{
	bool map = peek(r) == '{';
	int closing = map ? '}' : ']';

	ret->kind = map ? NODE_MAP : NODE_LIST;
	ret->flow = true;
	if (depth >= REC_MAX_DEPTH)
		return fail(r, "nested too deeply");
	step(r);
	skip_space(r);
	for (bool first = true; peek(r) != closing; first = false) {
		if (!first) {
			if (peek(r) != ',')
				return fail(r, map ? "expected , or }" : "expected , or ]");
			step(r);
			skip_space(r);
		}
		for (int i = 0; i < (map ? 2 : 1); i++) {
			struct node item = { 0 };

			if (map && i == 0 && peek(r) != '"')
				return fail(r, "expected a key in double quotes");
			if (map && i == 1) {
				if (peek(r) != ':')
					return fail(r, "expected : after a key");
				step(r);
			}
			if (value(r, depth + 1, &item) != 0)
				return -1;
			ret->items = arena_grow(r->a, ret->items, ret->n, sizeof(*ret->items));
			ret->items[ret->n++] = item;
			skip_space(r);
		}
	}
	step(r);
	return 0;
}

static int value(struct reader *r, int depth, struct node *ret)
{
	int rc;

	skip_space(r);
	if (++r->nodes > REC_MAX_NODES)
		return fail(r, "too many values in one document");
	ret->line = r->line;
	ret->column = r->column;
	ret->at = r->index;
	if (peek(r) == '{' || peek(r) == '[')
		rc = collection(r, depth, ret);
	else
		rc = peek(r) == '"' ? string(r, ret) : literal(r, ret);
	ret->end = r->index;
	return rc;
}

int json_parse(struct arena *a, const char *file, struct bytes text, struct node *ret, struct err *e)
{
	struct reader r = { .a = a, .file = file, .p = text.p, .stop = text.p + text.n, .line = 1, .column = 1,
			    .e = e };
	struct node root = { 0 };

	if (value(&r, 0, &root) != 0)
		return -1;
	skip_space(&r);
	if (r.p != r.stop)
		return fail(&r, "text after the end of the document");
	*ret = root;
	return 0;
}
