#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"

/* DER by hand, for the paths where OpenSSL's objects cost too much, and for strict reading of hostile input.
 * Reader: definite lengths only, minimal length octets, no trailing bytes unless the caller goes on. */
struct der {
	const unsigned char *p, *end;
};
static inline struct der der_of(struct bytes b)
{
	return (struct der){ b.p, b.n ? b.p + b.n : b.p }; /* p may be NULL, and NULL + 0 is undefined */
}
enum { DER_BOOLEAN = 1, DER_INTEGER = 2, DER_BITSTRING = 3, DER_OCTETSTRING = 4, DER_NULL = 5, DER_OID = 6,
       DER_ENUMERATED = 10,
       DER_UTF8 = 12, DER_SEQUENCE = 0x30, DER_SET = 0x31, DER_PRINTABLE = 19, DER_T61 = 20, DER_IA5 = 22,
		  DER_UTCTIME = 23,
       DER_GENTIME = 24, DER_BMP = 30, DER_UNIVERSAL = 28, DER_CTX = 0x80, DER_CTX_CONS = 0xa0 };

/* false: end or malformed */
bool der_next(struct der *, int *ret_tag, struct bytes *ret_value, struct bytes *ret_whole);
bool der_expect(struct der *, int tag, struct bytes *ret_value); /* next element has this tag */
bool der_peek(const struct der *, int *ret_tag);
bool der_done(const struct der *);
bool der_uint(struct bytes value, uint64_t *ret); /* content of a non-negative INTEGER that fits */
/* content -> dotted, with its NUL; false: malformed or too long */
bool der_oid(struct bytes value, char *out, size_t size);
/* UTCTime or GeneralizedTime as RFC 5280 4.1.2.5 wants them */
bool der_time(int tag, struct bytes value, int64_t *ret);

/* Writer: fills a caller's buffer from its end towards its start, so lengths are known when headers are written.
 * On overflow `over` is set and nothing more is written; check once at the end. */
struct derw {
	unsigned char *start, *p, *end;
	bool over;
};
static inline struct derw derw_init(unsigned char *buf, size_t n)
{
	return (struct derw){ buf, buf + n, buf + n, false };
}
static inline size_t derw_mark(const struct derw *w)
{
	return (size_t)(w->end - w->p);
}
void derw_raw(struct derw *, const void *, size_t n);
void derw_head(struct derw *, int tag, size_t mark);  /* header for all that was written since mark */
void derw_tlv(struct derw *, int tag, const void *, size_t n);
void derw_uint(struct derw *, uint64_t);
/* unsigned big-endian, made positive and minimal */
void derw_int_bytes(struct derw *, const unsigned char *, size_t n);
void derw_bool(struct derw *, bool);
bool derw_oid(struct derw *, const char *dotted);     /* false if not an OID */
void derw_time(struct derw *, int64_t);               /* UTCTime to 2049, GeneralizedTime after: RFC 5280 4.1.2.5 */
void derw_gentime(struct derw *, int64_t);
static inline struct bytes derw_bytes(const struct derw *w)
{
	return (struct bytes){ w->p, derw_mark(w) };
}

/* Elements made one after the other, for what is not made in masses: parts in a row under one header, in the arena. */
struct bytes der_join(struct arena *, int tag, const struct bytes *parts, size_t n);
#define DER_JOIN(a, tag, ...) \
	der_join((a), (tag), (const struct bytes[]){ __VA_ARGS__ }, \
		 sizeof((struct bytes[]){ __VA_ARGS__ }) / sizeof(struct bytes))
