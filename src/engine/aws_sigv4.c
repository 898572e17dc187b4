/* Signature Version 4 by hand: libcurl's own signs headers that are not sent and does not let a clock be corrected.
 * Derived keys are wiped; nothing of a secret is in the result. */
#include "engine/aws_sigv4.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/text.h"
#include "base/tm.h"
#include "crypto/digest.h"
#include "crypto/ossl.h"

char *sigv4_date(struct arena *a, int64_t when)
{
	struct civil c = tm_civil(when);

	return arena_printf(a, "%04d%02d%02dT%02d%02d%02dZ", c.year, c.month, c.day, c.hour, c.minute, c.second);
}

/* RFC 3986 2.3, upper-case hexadecimal; `keep` stays too. */
static void put_encoded(struct buf *out, struct bytes in, const char *keep)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";

	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] && (strchr(plain, in.p[i]) || strchr(keep, in.p[i])))
			buf_putc(out, (char)in.p[i]);
		else
			buf_printf(out, "%%%02X", in.p[i]);
	}
}

/* Without empty segments, "." and ".."; a slash at the end stays. */
static void put_path(struct arena *a, struct buf *out, const char *path)
{
	struct bytes *v = NULL;
	size_t n = 0, last = strlen(path);

	for (const char *p = path; *p;) {
		struct bytes part = { (const unsigned char *)p, strcspn(p, "/") };

		p += part.n + (p[part.n] == '/');
		if (bytes_equal(part, bytes_of(".."))) {
			n -= n > 0;
		} else if (part.n && !bytes_equal(part, bytes_of("."))) {
			v = arena_grow(a, v, n, sizeof(*v));
			v[n++] = part;
		}
	}
	for (size_t i = 0; i < n; i++) {
		buf_putc(out, '/');
		put_encoded(out, v[i], "");
	}
	if (n == 0 || path[last - 1] == '/')
		buf_putc(out, '/');
}

/* "a=1" before "a%2F=": by name, then by value. */
static int by_name_and_value(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;

	while (*x && *x == *y)
		x++, y++;
	return (*x == '=' ? 1 : (unsigned char)*x) - (*y == '=' ? 1 : (unsigned char)*y);
}

/* Parameters in order. They are encoded already; what cannot be in a URL is encoded here. */
static void put_query(struct arena *a, struct buf *out, const char *query)
{
	char **v = NULL;
	size_t n = 0;

	for (const char *p = query ? query : ""; *p;) {
		SCOPED_BUF one = buf_init(BUF_TEXT);
		size_t len = strcspn(p, "&");
		const char *equals = memchr(p, '=', len);

		put_encoded(&one, (struct bytes){ (const unsigned char *)p, len }, "%=");
		if (!equals)
			buf_putc(&one, '=');
		v = arena_grow(a, v, n, sizeof(*v));
		v[n++] = arena_strdup(a, buf_str(&one));
		p += len + (p[len] == '&');
	}
	if (n)
		qsort(v, n, sizeof(*v), by_name_and_value);
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%s%s", i ? "&" : "", v[i]);
}

struct line { /* a header; those of one name keep their order */
	const char *name, *value;
	size_t i;
};

static int by_name(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : x->i < y->i ? -1 : 1;
}

/* Without white space at the ends, and one space for any amount within. */
static void put_trimmed(struct buf *out, const char *s)
{
	static const char white[] = " \t\r\n";
	bool first = true;

	for (s += strspn(s, white); *s; s += strspn(s, white)) {
		size_t n = strcspn(s, white);

		if (!first)
			buf_putc(out, ' ');
		buf_put(out, s, n);
		first = false;
		s += n;
	}
}

static char *lower(struct arena *a, const char *s)
{
	char *t = arena_strdup(a, s);

	for (char *p = t; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	return t;
}

/* The canonical headers into `out`, their names into `names`. */
static void put_headers(struct arena *a, const struct sigv4 *r, struct buf *out, struct buf *names)
{
	struct line *v = arena_new_array(a, r->nheaders + 1, struct line);

	for (size_t i = 0; i < r->nheaders; i++)
		v[i] = (struct line){ lower(a, r->headers[i].name), r->headers[i].value, i };
	qsort(v, r->nheaders, sizeof(*v), by_name);
	for (size_t i = 0; i < r->nheaders; i++) {
		bool again = i > 0 && strcmp(v[i].name, v[i - 1].name) == 0;

		if (!again)
			buf_printf(names, "%s%s", i ? ";" : "", v[i].name);
		buf_printf(out, "%s%s%s", again ? "" : i ? "\n" : "", again ? "," : v[i].name, again ? "" : ":");
		put_trimmed(out, v[i].value);
	}
	buf_putc(out, '\n');
}

static void hmac(const void *key, size_t n, const char *text, unsigned char out[SHA256_LEN])
{
	struct bytes in = bytes_of(text);

	if (!HMAC(ossl_md("SHA256"), key, (int)n, in.p, in.n, out, NULL))
		abort();
}

static char *sign(struct arena *a, const struct aws_keys *keys, const struct sigv4 *r, const char *day,
		  const char *text)
{
	SCOPED_BUF start = buf_init(BUF_TEXT);
	unsigned char one[SHA256_LEN], two[SHA256_LEN];

	buf_printf(&start, "AWS4%s", keys->secret);
	hmac(start.p, start.n, day, one);
	hmac(one, sizeof(one), r->region, two);
	hmac(two, sizeof(two), r->service, one);
	hmac(one, sizeof(one), "aws4_request", two);
	hmac(two, sizeof(two), text, one);
	OPENSSL_cleanse(two, sizeof(two));
	return hex_encode(a, (struct bytes){ one, sizeof(one) });
}

char *sigv4_authorization(struct arena *a, const struct sigv4 *r, const struct aws_keys *keys)
{
	SCOPED_BUF canonical = buf_init(BUF_BIG);
	SCOPED_BUF names = buf_init(BUF_TEXT);
	char *date = sigv4_date(a, r->when), *day = arena_strndup(a, date, 8), *scope, *text;

	buf_printf(&canonical, "%s\n", r->method);
	put_path(a, &canonical, r->path);
	buf_putc(&canonical, '\n');
	put_query(a, &canonical, r->query);
	buf_putc(&canonical, '\n');
	put_headers(a, r, &canonical, &names);
	buf_printf(&canonical, "\n%s\n%s", buf_str(&names), sha256_hex(a, r->body));
	scope = arena_printf(a, "%s/%s/%s/aws4_request", day, r->region, r->service);
	text = arena_printf(a, "AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope, sha256_hex(a, buf_bytes(&canonical)));
	return arena_printf(a, "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s", keys->access, scope,
			    buf_str(&names), sign(a, keys, r, day, text));
}
