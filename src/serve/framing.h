#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a request begins and ends, byte by byte. It accepts what can be read in one way only (RFC 9112 2.2, 3.2, 5, 6,
 * 7.1): whoever else reads the same bytes, a proxy before us or a library after us, sees the same requests in them. */
enum { FRAMING_HEAD_MAX = 8 << 10, FRAMING_WORD = 24 };

struct framing {
	size_t body_max, body, left; /* left: of the body or of a chunk */
	unsigned char state, field;
	bool cr;             /* a carriage return has come */
	bool head_only;      /* the method is HEAD */
	bool named, sized, chunked; /* Host, Content-Length, Transfer-Encoding were there */
	bool one_one;        /* HTTP/1.1 or later */
	unsigned char nword;
	char word[FRAMING_WORD]; /* as much of a name or value as matters; longer than any that does: not ended */
	unsigned short head; /* bytes of lines so far */
	unsigned short fields; /* headers before the body: those after it do not count */
	int status;          /* of the refusal; 0: none */
	const char *why;
};

void framing_begin(struct framing *, size_t body_max);
/* Takes bytes, none after the request's last. Returns how many; fewer than `n` at the end and at what is refused
 * (status). */
size_t framing_take(struct framing *, const unsigned char *p, size_t n);
bool framing_fresh(const struct framing *); /* nothing has come yet */
bool framing_whole(const struct framing *);

/* What a request is told that was refused here; `reason` is one of refusal_reasons[]. */
struct framing_refusal {
	int status;
	const char *phrase, *reason;
};
const struct framing_refusal *framing_refusal(const struct framing *);
