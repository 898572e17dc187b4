/* Text as bytes: encodings, UTF-8, and names. Nothing here depends on the locale, so the same input gives the same
 * result in every terminal and in every log. */
#include "base/text.h"

#include <stdint.h>
#include <string.h>

static const char hex_digits[] = "0123456789abcdef", upper_hex[] = "0123456789ABCDEF";
static const char b64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *hex_encode(struct arena *a, struct bytes b)
{
	char *s = arena_alloc(a, b.n + 1, 2);

	for (size_t i = 0; i < b.n; i++) {
		s[2 * i] = hex_digits[b.p[i] >> 4];
		s[2 * i + 1] = hex_digits[b.p[i] & 15];
	}
	return s;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int hex_decode(struct arena *a, const char *s, struct bytes *ret)
{
	size_t n = strlen(s);
	unsigned char *p;

	if (n % 2 != 0)
		return -1;
	p = arena_alloc(a, n / 2 + 1, 1);
	for (size_t i = 0; i < n; i += 2) {
		int hi = hex_value(s[i]), lo = hex_value(s[i + 1]);

		if (hi < 0 || lo < 0)
			return -1;
		p[i / 2] = (unsigned char)(hi << 4 | lo);
	}
	*ret = (struct bytes){ p, n / 2 };
	return 0;
}

/* Three octets at a time, as four characters. */
static char *b64_put(char *to, const unsigned char *p, size_t n)
{
	for (; n >= 3; p += 3, n -= 3) {
		uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];

		*to++ = b64_digits[v >> 18];
		*to++ = b64_digits[v >> 12 & 63];
		*to++ = b64_digits[v >> 6 & 63];
		*to++ = b64_digits[v & 63];
	}
	if (n) {
		uint32_t v = (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0);

		*to++ = b64_digits[v >> 18];
		*to++ = b64_digits[v >> 12 & 63];
		*to++ = n > 1 ? b64_digits[v >> 6 & 63] : '=';
		*to++ = '=';
	}
	return to;
}

char *b64_encode(struct arena *a, struct bytes b)
{
	char *s = arena_alloc(a, b.n / 3 + 2, 4);

	b64_put(s, b.p, b.n);
	return s;
}

char *b64_lines(char *to, struct bytes b, size_t columns)
{
	for (size_t i = 0; i < b.n; i += columns / 4 * 3) {
		to = b64_put(to, b.p + i, b.n - i < columns / 4 * 3 ? b.n - i : columns / 4 * 3);
		*to++ = '\n';
	}
	return to;
}

static int b64_value(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int b64_decode(struct arena *a, struct bytes text, struct bytes *ret)
{
	unsigned char *p = arena_alloc(a, text.n / 4 + 1, 3);
	size_t n = 0, chars = 0, pad = 0;
	uint32_t acc = 0;

	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = text.p[i];
		int v = b64_value(c);

		if (c == '\n' || c == '\r' || c == ' ' || c == '\t')
			continue;
		if (c == '=')
			pad++;
		else if (v < 0 || pad > 0)
			return -1;
		acc = acc << 6 | (uint32_t)(v < 0 ? 0 : v);
		if (++chars % 4 != 0)
			continue;
		/* Bits under the padding are zero: one value has one text (RFC 4648 3.5). */
		if (pad > 2 || (pad == 1 && (acc & 0xff)) || (pad == 2 && (acc & 0xffff)))
			return -1;
		p[n++] = (unsigned char)(acc >> 16);
		p[n++] = (unsigned char)(acc >> 8);
		p[n++] = (unsigned char)acc;
	}
	if (chars % 4 != 0 || pad > 2)
		return -1;
	n -= pad;
	p[n] = 0;
	*ret = (struct bytes){ p, n };
	return 0;
}

char *b64url_encode(struct arena *a, struct bytes b)
{
	char *s = b64_encode(a, b), *p = s;

	for (; *p && *p != '='; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
	*p = '\0';
	return s;
}

int b64url_decode(struct arena *a, struct bytes text, struct bytes *ret)
{
	char *s = arena_alloc(a, 1, text.n + 4);
	size_t n = 0;

	for (; n < text.n; n++) {
		unsigned char c = text.p[n];

		if (c != '=' && c != '-' && c != '_' && (b64_value(c) < 0 || c == '+' || c == '/'))
			return -1;
		s[n] = c == '-' ? '+' : c == '_' ? '/' : (char)c;
	}
	if (!memchr(s, '=', n))
		while (n % 4 != 0)
			s[n++] = '=';
	return b64_decode(a, (struct bytes){ (const unsigned char *)s, n }, ret);
}

char *url_encode(struct arena *a, struct bytes b)
{
	char *s = arena_alloc(a, b.n + 1, 3), *to = s;

	for (size_t i = 0; i < b.n; i++) {
		unsigned char c = b.p[i];

		if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		    (c && strchr("-._~", c))) {
			*to++ = (char)c;
			continue;
		}
		*to++ = '%';
		*to++ = upper_hex[c >> 4];
		*to++ = upper_hex[c & 15];
	}
	return s;
}

char *url_decode(struct arena *a, struct bytes b)
{
	char *s = arena_alloc(a, b.n + 1, 1), *to = s;

	for (size_t i = 0; i < b.n; i++) {
		int c = b.p[i];

		if (c == '%') {
			int hi = b.n - i > 2 ? hex_value((char)b.p[i + 1]) : -1, lo = b.n - i > 2
				 ? hex_value((char)b.p[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return NULL;
			c = hi << 4 | lo;
			i += 2;
		}
		if (c == '\0')
			return NULL;
		*to++ = (char)c;
	}
	return s;
}

/* Bytes of the UTF-8 character at p, its code point in *ret; 0 when it is not valid (RFC 3629 4). */
static size_t utf8_next(const unsigned char *p, size_t n, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
	uint32_t c;

	if (len == 0 || len > n)
		return 0;
	c = len == 1 ? p[0] : p[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		c = c << 6 | (p[i] & 63u);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return len;
}

bool utf8_valid(struct bytes b)
{
	uint32_t c;

	for (size_t i = 0, len; i < b.n; i += len) {
		len = utf8_next(b.p + i, b.n - i, &c);
		if (len == 0 || c == 0)
			return false;
	}
	return true;
}

struct range {
	uint32_t from, to;
};

static bool in_ranges(uint32_t c, const struct range *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (c >= r[i].from && c <= r[i].to)
			return true;
	return false;
}

size_t utf8_width(const char *s)
{
	/* Blocks of combining marks and of East Asian wide characters; enough to keep a table straight. */
	static const struct range none[] = {
		{ 0x300, 0x36f },   { 0x483, 0x489 },   { 0x591, 0x5bd },   { 0x610, 0x61a },   { 0x64b, 0x65f },
		{ 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff }, { 0x200b, 0x200f }, { 0x20d0, 0x20ff }, { 0xfe00, 0xfe0f },
		{ 0xfe20, 0xfe2f }, { 0xfeff, 0xfeff }, { 0xe0100, 0xe01ef },
	};
	static const struct range wide[] = {
		{ 0x1100, 0x115f }, { 0x2e80, 0x303e }, { 0x3041, 0xa4cf }, { 0xa960, 0xa97f },   { 0xac00, 0xd7a3 },
		{ 0xf900, 0xfaff }, { 0xfe30, 0xfe6f }, { 0xff00, 0xff60 }, { 0xffe0, 0xffe6 },   { 0x1f300, 0x1f64f },
		{ 0x1f680, 0x1f6ff }, { 0x1f900, 0x1f9ff }, { 0x20000, 0x3fffd },
	};
	struct bytes b = bytes_of(s);
	size_t width = 0;

	for (size_t i = 0, len; i < b.n; i += len) {
		uint32_t c = 0;

		len = utf8_next(b.p + i, b.n - i, &c);
		if (len == 0)
			len = 1;
		if (!in_ranges(c, none, COUNT(none)))
			width += in_ranges(c, wide, COUNT(wide)) ? 2 : 1;
	}
	return width;
}

/* What a terminal obeys rather than shows: C0, DEL, C1, line separators, and the controls of text direction. */
static bool is_control(uint32_t c)
{
	static const struct range controls[] = {
		{ 0, 0x1f },	    { 0x7f, 0x9f },	{ 0x61c, 0x61c },
		{ 0x200e, 0x200f }, { 0x2028, 0x202e }, { 0x2066, 0x2069 },
	};

	return in_ranges(c, controls, COUNT(controls));
}

void text_escape_into(char *to, size_t cap, struct bytes b)
{
	char *end = to + cap - 1;

	for (size_t i = 0, len; i < b.n; i += len) {
		uint32_t c;
		bool bad;
		size_t need;

		len = utf8_next(b.p + i, b.n - i, &c);
		bad = len == 0 || is_control(c);
		if (len == 0)
			len = 1;
		need = bad ? 4 * len : len;
		if ((size_t)(end - to) < need)
			break;
		for (size_t k = i; k < i + len; k++) {
			if (bad) {
				*to++ = '\\';
				*to++ = 'x';
				*to++ = hex_digits[b.p[k] >> 4];
				*to++ = hex_digits[b.p[k] & 15];
			} else {
				*to++ = (char)b.p[k];
			}
		}
	}
	*to = '\0';
}

char *text_escape(struct arena *a, struct bytes b)
{
	char *s = arena_alloc(a, b.n + 1, 4);

	text_escape_into(s, 4 * b.n + 1, b);
	return s;
}

static char fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c == '_' ? '-' : c;
}

/* Edits (insert, delete, change, swap of neighbours) that turn a into b; both of at most 64 characters. */
static size_t distance(const char *a, size_t na, const char *b, size_t nb)
{
	size_t rows[3][65], *before = rows[0], *prev = rows[1], *row = rows[2];

	for (size_t j = 0; j <= nb; j++)
		prev[j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t *oldest = before;

		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t best = prev[j - 1] + (fold(a[i - 1]) != fold(b[j - 1]));

			best = prev[j] + 1 < best ? prev[j] + 1 : best;
			best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]) &&
			    before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			row[j] = best;
		}
		before = prev;
		prev = row;
		row = oldest;
	}
	return prev[nb];
}

const char *text_nearest(const char *got, const char *const *candidates)
{
	size_t n = strlen(got), least = SIZE_MAX;
	const char *best = NULL;

	if (n > 64)
		return NULL;
	for (; *candidates; candidates++) {
		size_t len = strlen(*candidates), d;

		if (len > 64)
			continue;
		d = distance(got, n, *candidates, len);
		/* The beginning of a name is as good as one mistake. */
		if (n >= 3 && d > 1 && text_has_prefix(*candidates, got))
			d = 1;
		if (d < least && d < n && d < len && d <= ((len > n ? len : n) + 2) / 3) {
			least = d;
			best = *candidates;
		}
	}
	return best;
}

bool text_same_name(const char *a, const char *b)
{
	for (;; a++, b++) {
		while (*a == '_' || *a == '-')
			a++;
		while (*b == '_' || *b == '-')
			b++;
		if (fold(*a) != fold(*b))
			return false;
		if (!*a)
			return true;
	}
}

bool id_valid(const char *s)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	static const char rest[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t n = strlen(s);

	return n >= 1 && n <= 64 && strspn(s, first) > 0 && strspn(s, rest) == n;
}

char *text_file_name(struct arena *a, const char *name, size_t max)
{
	char *out = arena_alloc(a, 1, max + 3), *to = out;

	for (const unsigned char *c = (const unsigned char *)name; *c && (size_t)(to - out) < max; c++) {
		if ((*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '-' ||
		    *c == '_' ||
		    (*c == '.' && to != out)) {
			*to++ = (char)*c;
			continue;
		}
		*to++ = '%';
		*to++ = upper_hex[*c >> 4];
		*to++ = upper_hex[*c & 15];
	}
	return out;
}

char *text_count(struct arena *a, uint64_t n, const char *one, const char *many)
{
	return n == 1 || !many ? arena_printf(a, "%llu %s%s", (unsigned long long)n, one, n == 1 ? "" : "s")
			       : arena_printf(a, "%llu %s", (unsigned long long)n, many);
}

bool text_has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

struct strv text_items(struct arena *a, const char *s, const char *separators)
{
	struct strv v = { .set = true };

	while (*s) {
		size_t n = strcspn(s, separators);

		if (n) {
			v.v = arena_grow(a, v.v, v.n, sizeof(*v.v));
			v.v[v.n++] = arena_strndup(a, s, n);
		}
		s += n + (s[n] != '\0');
	}
	return v;
}

static size_t skip_white(struct bytes text, size_t i)
{
	while (i < text.n && text.p[i] && strchr(" \t\r\n", text.p[i]))
		i++;
	return i;
}

int text_token(struct arena *a, struct bytes text, char **ret, struct err *e)
{
	size_t begin = skip_white(text, 0), end = begin;

	if (begin == text.n)
		return err_set(e, ERR_INVALID, "it is empty");
	while (end < text.n && text.p[end] > ' ' && text.p[end] < 0x7f)
		end++;
	if (skip_white(text, end) != text.n)
		return err_set(e, ERR_INVALID, "it holds more than one token, or what is none");
	*ret = arena_strndup(a, (const char *)text.p + begin, end - begin);
	return 0;
}
