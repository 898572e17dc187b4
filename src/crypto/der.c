/* DER by hand. The reader takes definite lengths in their shortest form and one-octet tags only, never reads past the
 * run it was given and never allocates; the writer fills a caller's buffer backwards and never writes outside it. Both
 * are for hostile input and for the paths where a certificate must cost microseconds. */
#include "crypto/der.h"

#include <string.h>

#include "base/tm.h"

bool der_next(struct der *d, int *ret_tag, struct bytes *ret_value, struct bytes *ret_whole)
{
	const unsigned char *p = d->p;
	size_t left = (size_t)(d->end - d->p), n, octets;
	int tag;

	if (left < 2)
		return false;
	tag = p[0];
	if ((tag & 0x1f) == 0x1f)
		return false;
	n = p[1];
	p += 2;
	left -= 2;
	if (n >= 0x80) {
		octets = n & 0x7f;
		if (octets == 0 || octets > 4 || octets > left || p[0] == 0)
			return false;
		n = 0;
		for (size_t i = 0; i < octets; i++)
			n = n << 8 | p[i];
		if (n < 0x80)
			return false;
		p += octets;
		left -= octets;
	}
	if (n > left)
		return false;
	if (ret_tag)
		*ret_tag = tag;
	if (ret_value)
		*ret_value = (struct bytes){ p, n };
	if (ret_whole)
		*ret_whole = (struct bytes){ d->p, (size_t)(p - d->p) + n };
	d->p = p + n;
	return true;
}

bool der_expect(struct der *d, int tag, struct bytes *ret_value)
{
	struct der save = *d;
	struct bytes value;
	int got;

	if (!der_next(d, &got, &value, NULL) || got != tag) {
		*d = save;
		return false;
	}
	if (ret_value)
		*ret_value = value;
	return true;
}

bool der_peek(const struct der *d, int *ret_tag)
{
	if (d->p == d->end)
		return false;
	*ret_tag = *d->p;
	return true;
}

bool der_done(const struct der *d)
{
	return d->p == d->end;
}

bool der_uint(struct bytes v, uint64_t *ret)
{
	uint64_t x = 0;

	if (v.n == 0 || v.p[0] & 0x80)
		return false;
	if (v.p[0] == 0 && v.n > 1) {
		if (!(v.p[1] & 0x80)) /* X.690 8.3.2: the first nine bits are not all alike */
			return false;
		v.p++;
		v.n--;
	}
	if (v.n > sizeof(x))
		return false;
	for (size_t i = 0; i < v.n; i++)
		x = x << 8 | v.p[i];
	*ret = x;
	return true;
}

static bool digits(const unsigned char *p, size_t n, int *ret)
{
	int x = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		x = x * 10 + (p[i] - '0');
	}
	*ret = x;
	return true;
}

bool der_time(int tag, struct bytes v, int64_t *ret)
{
	struct civil c = { 0 }, back;
	size_t year = tag == DER_GENTIME ? 4 : 2;
	const unsigned char *p;
	int64_t t;

	if ((tag != DER_GENTIME && tag != DER_UTCTIME) || v.n != year + 11 || v.p[v.n - 1] != 'Z')
		return false;
	p = v.p + year;
	if (!digits(v.p, year, &c.year) || !digits(p, 2, &c.month) || !digits(p + 2, 2, &c.day) ||
	    !digits(p + 4, 2, &c.hour) || !digits(p + 6, 2, &c.minute) || !digits(p + 8, 2, &c.second))
		return false;
	if (tag == DER_UTCTIME)
		c.year += c.year >= 50 ? 1900 : 2000;
	if (c.month < 1 || c.month > 12 || c.day < 1 || c.day > 31 || c.hour > 23 || c.minute > 59 || c.second > 59)
		return false;
	t = tm_from_civil(c);
	back = tm_civil(t);
	if (back.day != c.day) /* 31 April */
		return false;
	*ret = t;
	return true;
}

/* One base-128 arc; advances *p. */
static bool arc(const unsigned char **p, const unsigned char *end, uint64_t *ret)
{
	uint64_t x = 0;

	if (*p == end || **p == 0x80)
		return false;
	while (*p < end) {
		unsigned char c = *(*p)++;

		if (x >> 57)
			return false;
		x = x << 7 | (c & 0x7f);
		if (!(c & 0x80)) {
			*ret = x;
			return true;
		}
	}
	return false;
}

/* Appends decimal digits at *n, keeping room for the NUL. */
static bool put_decimal(char *out, size_t size, size_t *n, uint64_t x)
{
	char tmp[20];
	size_t k = 0;

	do
		tmp[k++] = (char)('0' + x % 10);
	while (x /= 10);
	if (*n + k + 2 > size)
		return false;
	if (*n)
		out[(*n)++] = '.';
	while (k)
		out[(*n)++] = tmp[--k];
	out[*n] = 0;
	return true;
}

bool der_oid(struct bytes v, char *out, size_t size)
{
	const unsigned char *p = v.p, *end = v.p + v.n;
	uint64_t x, first;
	size_t n = 0;

	if (v.n == 0 || !arc(&p, end, &x))
		return false;
	first = x < 80 ? x / 40 : 2;
	if (!put_decimal(out, size, &n, first) || !put_decimal(out, size, &n, x - first * 40))
		return false;
	while (p < end)
		if (!arc(&p, end, &x) || !put_decimal(out, size, &n, x))
			return false;
	return true;
}

void derw_raw(struct derw *w, const void *p, size_t n)
{
	if (w->over || n > (size_t)(w->p - w->start)) {
		w->over = true;
		return;
	}
	w->p -= n;
	if (n)
		memcpy(w->p, p, n);
}

void derw_head(struct derw *w, int tag, size_t mark)
{
	size_t n = derw_mark(w) - mark, k = 0;
	unsigned char h[2 + sizeof(n)];
	unsigned char *p = h + sizeof(h);

	if (n < 0x80) {
		*--p = (unsigned char)n;
	} else {
		for (size_t x = n; x; x >>= 8, k++)
			*--p = (unsigned char)x;
		*--p = (unsigned char)(0x80 | k);
	}
	*--p = (unsigned char)tag;
	derw_raw(w, p, (size_t)(h + sizeof(h) - p));
}

void derw_tlv(struct derw *w, int tag, const void *p, size_t n)
{
	size_t mark = derw_mark(w);

	derw_raw(w, p, n);
	derw_head(w, tag, mark);
}

void derw_uint(struct derw *w, uint64_t x)
{
	unsigned char b[sizeof(x)];

	for (size_t i = sizeof(b); i-- > 0; x >>= 8)
		b[i] = (unsigned char)x;
	derw_int_bytes(w, b, sizeof(b));
}

void derw_int_bytes(struct derw *w, const unsigned char *p, size_t n)
{
	size_t mark = derw_mark(w);

	while (n && *p == 0)
		p++, n--;
	derw_raw(w, p, n);
	if (n == 0 || *p & 0x80)
		derw_raw(w, "", 1);
	derw_head(w, DER_INTEGER, mark);
}

void derw_bool(struct derw *w, bool x)
{
	derw_tlv(w, DER_BOOLEAN, x ? "\xff" : "\0", 1);
}

static bool read_decimal(const char **s, uint64_t *ret)
{
	uint64_t x = 0;

	if (**s < '0' || **s > '9' || (**s == '0' && (*s)[1] >= '0' && (*s)[1] <= '9'))
		return false;
	for (; **s >= '0' && **s <= '9'; ++*s)
		if (__builtin_mul_overflow(x, 10U, &x) || __builtin_add_overflow(x, (uint64_t)(**s - '0'), &x))
			return false;
	*ret = x;
	return true;
}

static size_t put_arc(unsigned char *out, uint64_t x)
{
	unsigned char tmp[10];
	size_t k = 0, n = 0;

	do
		tmp[k++] = (unsigned char)(x & 0x7f);
	while (x >>= 7);
	for (; k > 1; k--)
		out[n++] = tmp[k - 1] | 0x80;
	out[n++] = tmp[0];
	return n;
}

bool derw_oid(struct derw *w, const char *s)
{
	unsigned char out[256];
	uint64_t a, b;
	size_t n;

	if (!read_decimal(&s, &a) || a > 2 || *s++ != '.' || !read_decimal(&s, &b))
		return false;
	if ((a < 2 && b > 39) || b > UINT64_MAX - 80)
		return false;
	n = put_arc(out, a * 40 + b);
	while (*s) {
		if (*s++ != '.' || !read_decimal(&s, &a) || n + 10 > sizeof(out))
			return false;
		n += put_arc(out + n, a);
	}
	derw_tlv(w, DER_OID, out, n);
	return true;
}

/* Two decimal digits. */
static void two(char *p, int x)
{
	p[0] = (char)('0' + x / 10 % 10);
	p[1] = (char)('0' + x % 10);
}

static void put_time(struct derw *w, struct civil c, bool utc)
{
	char t[15];

	two(t, c.year / 100);
	two(t + 2, c.year);
	two(t + 4, c.month);
	two(t + 6, c.day);
	two(t + 8, c.hour);
	two(t + 10, c.minute);
	two(t + 12, c.second);
	t[14] = 'Z';
	derw_tlv(w, utc ? DER_UTCTIME : DER_GENTIME, utc ? t + 2 : t, utc ? 13 : 15);
}

void derw_time(struct derw *w, int64_t t)
{
	struct civil c = tm_civil(t);

	put_time(w, c, c.year >= 1950 && c.year < 2050);
}

void derw_gentime(struct derw *w, int64_t t)
{
	put_time(w, tm_civil(t), false);
}

struct bytes der_join(struct arena *a, int tag, const struct bytes *parts, size_t n)
{
	size_t room = 16;
	struct derw w;

	for (size_t i = 0; i < n; i++)
		room += parts[i].n;
	w = derw_init(arena_alloc(a, room, 1), room);
	for (size_t i = n; i-- > 0;)
		derw_raw(&w, parts[i].p, parts[i].n);
	derw_head(&w, tag, 0);
	return derw_bytes(&w);
}
