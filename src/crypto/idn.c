/* International host names to A-labels (RFC 5890, Punycode RFC 3492). The only mapping done is ASCII to lower case.
 * Labels are taken only when all their characters are letters that stand for themselves in IDNA 2008: whatever would
 * need normalisation, case folding, or the rules for right-to-left and joining scripts is refused, because two
 * programs could map it to two names; such a label can be given as A-label ("xn--…"). */
#include "crypto/idn.h"

#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"

enum { HOST_MAX = 253, LABEL_MAX = 63 };

/* PVALID letters of scripts without case, or in lower case; step 2 where upper and lower case alternate. */
static const struct {
	uint32_t from, to, step;
} letters[] = {
	{ 0xdf, 0xf6, 1 }, { 0xf8, 0xff, 1 }, { 0x101, 0x131, 2 }, { 0x135, 0x137, 2 },
	{ 0x138, 0x13e, 2 }, { 0x142, 0x148, 2 }, { 0x14b, 0x177, 2 }, { 0x17a, 0x17e, 2 },
	{ 0x390, 0x390, 1 }, { 0x3ac, 0x3ce, 1 }, { 0x430, 0x45f, 1 }, { 0x48b, 0x4bf, 2 },
	{ 0x4d1, 0x52f, 2 }, { 0x1ea1, 0x1ef9, 2 }, { 0x3041, 0x3096, 1 }, { 0x30a1, 0x30fa, 1 },
	{ 0x30fc, 0x30fe, 1 }, { 0x3400, 0x4dbf, 1 }, { 0x4e00, 0x9fff, 1 }, { 0xac00, 0xd7a3, 1 },
};

static bool is_letter(uint32_t c)
{
	for (size_t i = 0; i < COUNT(letters); i++)
		if (c >= letters[i].from && c <= letters[i].to)
			return (c - letters[i].from) % letters[i].step == 0;
	return false;
}

static bool is_ldh(uint32_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

/* The next character of valid UTF-8. */
static uint32_t next_char(const char **s)
{
	const unsigned char *p = (const unsigned char *)*s;
	uint32_t c = p[0] < 0x80 ? p[0] : p[0] < 0xe0 ? p[0] & 0x1f : p[0] < 0xf0 ? p[0] & 0xf : p[0] & 7;
	int more = p[0] < 0x80 ? 0 : p[0] < 0xe0 ? 1 : p[0] < 0xf0 ? 2 : 3;

	for (int i = 1; i <= more; i++)
		c = c << 6 | (p[i] & 0x3f);
	*s += more + 1;
	return c;
}

/* RFC 3492 3.4 and 6.1 */
static uint32_t adapt(uint32_t delta, uint32_t points, bool first)
{
	uint32_t k = 0;

	delta = first ? delta / 700 : delta / 2;
	for (delta += delta / points; delta > 455; k += 36)
		delta /= 35;
	return k + 36 * delta / (delta + 38);
}

static char digit(uint32_t d)
{
	return (char)(d < 26 ? 'a' + d : '0' + (d - 26));
}

/* RFC 3492 6.3. A label has at most LABEL_MAX characters, so that no counter comes near 32 bits: 0x10ffff * 64 <
 * 2^27. */
static void punycode(struct buf *out, const uint32_t *c, size_t n)
{
	uint32_t at = 0x80, delta = 0, bias = 72, basic = 0, done;

	for (size_t i = 0; i < n; i++)
		if (c[i] < 0x80) {
			buf_putc(out, (char)c[i]);
			basic++;
		}
	if (basic)
		buf_putc(out, '-');
	for (done = basic; done < n; delta++, at++) {
		uint32_t min = UINT32_MAX;

		for (size_t i = 0; i < n; i++)
			if (c[i] >= at && c[i] < min)
				min = c[i];
		delta += (min - at) * (done + 1);
		at = min;
		for (size_t i = 0; i < n; i++) {
			uint32_t q = delta;

			if (c[i] < at)
				delta++;
			if (c[i] != at)
				continue;
			for (uint32_t k = 36;; k += 36) {
				uint32_t t = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;

				if (q < t)
					break;
				buf_putc(out, digit(t + (q - t) % (36 - t)));
				q = (q - t) / (36 - t);
			}
			buf_putc(out, digit(q));
			bias = adapt(delta, done + 1, done == basic);
			delta = 0;
			done++;
		}
	}
}

/* A label with other than ASCII characters. */
static int put_u_label(struct arena *a, struct buf *out, const char *s, size_t len, struct err *e)
{
	const char *p = s, *end = s + len;
	uint32_t c[LABEL_MAX];
	size_t n = 0;

	while (p < end) {
		if (n == LABEL_MAX)
			return err_set(e, ERR_INVALID, "a label has more than 63 characters (RFC 1035 2.3.4)");
		c[n] = next_char(&p);
		if (c[n] >= 'A' && c[n] <= 'Z')
			c[n] += 'a' - 'A';
		if (!(c[n] < 0x80 ? is_ldh(c[n]) : is_letter(c[n])))
			return err_set(e, ERR_INVALID,
				       "the label \"%s\" needs its characters mapped; write it as A-label (xn--…)",
				       text_escape(a, (struct bytes){ (const unsigned char *)s, len }));
		n++;
	}
	if (n >= 4 && c[2] == '-' && c[3] == '-')
		return err_set(e, ERR_INVALID, "a label has \"--\" in its third and fourth place (RFC 5891 4.2.3.1)");
	buf_puts(out, "xn--");
	punycode(out, c, n);
	return 0;
}

/* The form of a label (RFC 1034 3.5, RFC 1123 2.1). '_' is not in it, but in use (RFC 8552) and harmless. */
static int check_label(struct arena *a, const char *s, size_t n, bool first, struct err *e)
{
	if (n == 0)
		return err_set(e, ERR_INVALID, "a label is empty");
	if (n > LABEL_MAX)
		return err_set(e, ERR_INVALID, "a label has more than 63 characters (RFC 1035 2.3.4)");
	if (first && n == 1 && s[0] == '*')
		return 0;
	for (size_t i = 0; i < n; i++) {
		char c = s[i] >= 'A' && s[i] <= 'Z' ? 'a' : s[i];

		if (!is_ldh((unsigned char)c) && c != '_')
			return err_set(e, ERR_INVALID, "\"%s\" is not allowed in a host name (RFC 1123 2.1)",
				       text_escape(a, (struct bytes){ (const unsigned char *)s + i, 1 }));
	}
	if (s[0] == '-' || s[n - 1] == '-')
		return err_set(e, ERR_INVALID, "a label begins or ends with \"-\" (RFC 1123 2.1)");
	return 0;
}

int idn_to_ascii(struct arena *a, const char *host, char **ret, struct err *e)
{
	SCOPED_BUF out = buf_init(4096);
	const char *s = host;

	if (!utf8_valid(bytes_of(host)))
		return err_set(e, ERR_INVALID, "a host name is not valid UTF-8");
	for (;;) {
		size_t n = strcspn(s, "."), from = out.n;
		bool ascii = true;

		for (size_t i = 0; i < n; i++)
			ascii = ascii && !(s[i] & 0x80);
		if (ascii)
			buf_put(&out, s, n);
		else if (put_u_label(a, &out, s, n, e) < 0)
			return -1;
		if (check_label(a, buf_str(&out) + from, out.n - from, from == 0, e) < 0)
			return -1;
		s += n;
		if (!*s)
			break;
		s++;
		buf_putc(&out, '.');
	}
	if (out.over || out.n > HOST_MAX)
		return err_set(e, ERR_INVALID, "a host name has more than 253 characters (RFC 1035 2.3.4)");
	*ret = arena_strdup(a, buf_str(&out));
	return 0;
}

int idn_mailbox(struct arena *a, const char *mailbox, char **ret, struct err *e)
{
	const char *at = strrchr(mailbox, '@');
	char *host;

	if (!at || at == mailbox || at - mailbox > 64)
		return err_set(e, ERR_INVALID, "\"%s\" is not a mail address", text_escape(a, bytes_of(mailbox)));
	for (const char *p = mailbox; p < at; p++)
		if (*p <= ' ' || *p > '~' || strchr("<>,;:\\\"()[]@", *p))
			return err_set(e, ERR_INVALID,
				       "\"%s\" has a local part that is not an ASCII atom (RFC 5280 4.2.1.6)",
				       text_escape(a, bytes_of(mailbox)));
	if (idn_to_ascii(a, at + 1, &host, e) < 0)
		return -1;
	*ret = arena_printf(a, "%.*s@%s", (int)(at - mailbox), mailbox, host);
	return 0;
}
