/* Framing of HTTP/1 requests. Guarantees: constant memory, one pass, the same result however the bytes are cut; what is
 * accepted has one Host, at most one length, no folded lines, no control bytes, and a target that every parser of URIs
 * takes. Never looks further ahead. */
#include "serve/framing.h"

#include <string.h>
#include <strings.h>

#include "base/auto.h"

enum state { METHOD, TARGET, STAR, SLASH, PATH, SCHEME, AUTHORITY, PORT, PROTOCOL, FIELD, NAME, VALUE, BODY, SIZE,
	     CHUNK, CHUNK_END, TRAILER,
	     TRAILER_NAME, TRAILER_VALUE, WHOLE };
enum field { OTHER, HOST, LENGTH, CODING, EXPECT };
enum { DIGITS_MAX = 15 };

static void refuse(struct framing *f, int status, const char *why)
{
	f->status = status;
	f->why = why;
}

static void malformed(struct framing *f, const char *why)
{
	refuse(f, 400, why);
}

void framing_begin(struct framing *f, size_t body_max)
{
	*f = (struct framing){ .body_max = body_max, .state = METHOD };
}

bool framing_fresh(const struct framing *f)
{
	return f->state == METHOD && f->head == 0;
}

bool framing_whole(const struct framing *f)
{
	return f->state == WHOLE && !f->status;
}

static bool is_token(unsigned char c) /* RFC 9110 5.6.2 */
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* --- words --- */

static void word_begin(struct framing *f, enum state state)
{
	f->state = (unsigned char)state;
	f->nword = 0;
}

static void word_add(struct framing *f, unsigned char c)
{
	if (f->nword < FRAMING_WORD)
		f->word[f->nword++] = (char)c;
}

static bool word_is(const struct framing *f, const char *text)
{
	return f->nword == strlen(text) && strncasecmp(f->word, text, f->nword) == 0;
}

/* false: too large, or none */
static bool word_number(const struct framing *f, unsigned base, size_t *ret)
{
	size_t n = 0;

	if (f->nword == 0 || f->nword > DIGITS_MAX)
		return false;
	for (size_t i = 0; i < f->nword; i++) {
		const char *digits = "0123456789abcdef", c = f->word[i],
				     low = (char)(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);
		const char *at = low ? strchr(digits, low) : NULL;

		if (!at || at - digits >= (ptrdiff_t)base)
			return false;
		n = n * base + (size_t)(at - digits);
	}
	*ret = n;
	return true;
}

/* --- the request line --- */

static void end_method(struct framing *f)
{
	static const char *const known[] = { "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS" };

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (f->nword == strlen(known[i]) && memcmp(f->word, known[i], f->nword) == 0) {
			f->head_only = i == 1;
			word_begin(f, TARGET);
			return;
		}
	refuse(f, 501, "the method is not known");
}

static bool is_host(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '.' ||
	       c == '_';
}

static bool end_authority(struct framing *f, unsigned char c)
{
	size_t port = 0;
	bool good = f->state == AUTHORITY ? f->nword > 0 : word_number(f, 10, &port) && port <= 65535;

	word_begin(f, c == ':' ? PORT : c == ' ' ? PROTOCOL : PATH);
	return good;
}

/* "/path?query", "*", "http://host:1/path": userinfo and addresses in brackets are nobody's need here. */
static bool take_target(struct framing *f, unsigned char c)
{
	if (c <= ' ' ? c != ' ' : c >= 0x7f)
		return false;
	switch (f->state) {
	case TARGET:
		word_add(f, c);
		f->state = c == '/' ? SLASH : c == '*' ? STAR : SCHEME;
		return c != ' ';
	case SCHEME:
		word_add(f, c);
		if (word_is(f, "http://") || word_is(f, "https://"))
			word_begin(f, AUTHORITY);
		return f->nword < sizeof("https://");
	case AUTHORITY:
	case PORT:
		if (c == '/' || c == '?' || c == ' ' || (c == ':' && f->state == AUTHORITY))
			return end_authority(f, c);
		word_add(f, c);
		return is_host(c);
	default: /* one that begins with two slashes would be a host to some */
		if (c == ' ')
			word_begin(f, PROTOCOL);
		else if (f->state == STAR || (f->state == SLASH && c == '/'))
			return false;
		else
			f->state = PATH;
		return true;
	}
}

static void end_request_line(struct framing *f)
{
	if (f->nword != 8 || memcmp(f->word, "HTTP/1.", 7) != 0 || f->word[7] < '0' || f->word[7] > '9')
		malformed(f, "the request line is malformed");
	f->one_one = f->word[7] > '0';
	f->state = FIELD;
}

/* --- headers --- */

static void end_name(struct framing *f)
{
	static const char *const names[] = { [HOST] = "host", [LENGTH] = "content-length",
					     [CODING] = "transfer-encoding", [EXPECT] = "expect" };

	f->field = OTHER;
	for (unsigned char i = HOST; i <= EXPECT; i++)
		if (word_is(f, names[i]))
			f->field = i;
	word_begin(f, f->state == NAME ? VALUE : TRAILER_VALUE);
}

static void end_value(struct framing *f)
{
	f->fields++;
	while (f->nword && f->nword < FRAMING_WORD && f->word[f->nword - 1] == ' ')
		f->nword--;
	if ((f->field == LENGTH || f->field == CODING) && (f->sized || f->chunked)) {
		malformed(f, "the length of the body is given twice");
	} else if (f->field == LENGTH) {
		f->sized = true;
		if (!word_number(f, 10, &f->left))
			malformed(f, "Content-Length is malformed");
	} else if (f->field == CODING) {
		f->chunked = true;
		if (!word_is(f, "chunked"))
			malformed(f, "Transfer-Encoding must be chunked");
	} else if (f->field == HOST) {
		if (f->named)
			malformed(f, "there must be one Host header");
		f->named = true;
	} else if (f->field == EXPECT && !word_is(f, "100-continue")) {
		refuse(f, 417, "only 100-continue can be expected");
	}
	f->state = FIELD;
}

static void end_head(struct framing *f)
{
	if (f->one_one && !f->named)
		malformed(f, "there must be one Host header");
	else if (f->chunked && !f->one_one)
		malformed(f, "chunks are of HTTP/1.1");
	else if (f->head_only && (f->chunked || f->left))
		malformed(f, "HEAD has no body");
	else if (f->left > f->body_max)
		refuse(f, 413, "the request is too large");
	word_begin(f, f->chunked ? SIZE : f->left ? BODY : WHOLE);
}

/* --- chunks --- */

static void end_size(struct framing *f)
{
	size_t n;

	if (!word_number(f, 16, &n)) {
		malformed(f, "the size of a chunk is malformed");
	} else if (n > f->body_max - f->body) {
		refuse(f, 413, "the request is too large");
	} else {
		f->body += n;
		f->left = n;
		f->state = n ? CHUNK : TRAILER;
	}
}

/* --- lines --- */

static void end_line(struct framing *f)
{
	switch (f->state) {
	case PROTOCOL:
		end_request_line(f);
		break;
	case FIELD:
		end_head(f);
		break;
	case VALUE:
		end_value(f);
		break;
	case SIZE:
		end_size(f);
		break;
	case CHUNK_END:
		word_begin(f, SIZE);
		break;
	case TRAILER:
		f->state = WHOLE;
		break;
	case TRAILER_VALUE:
		f->state = TRAILER;
		break;
	default:
		malformed(f, f->state < FIELD ? "the request line is malformed" : "a header is malformed");
	}
}

static void take_header(struct framing *f, unsigned char c)
{
	if (f->state == FIELD || f->state == TRAILER)
		word_begin(f, f->state == FIELD ? NAME : TRAILER_NAME);
	if (f->state == VALUE || f->state == TRAILER_VALUE) {
		if ((c < ' ' && c != '\t') || c == 0x7f)
			malformed(f, "a header is malformed");
		if (c != ' ' || f->nword) /* a tab is left in what matters: some take it for a space */
			word_add(f, c);
	} else if (c == ':' && f->nword) {
		end_name(f);
	} else if (is_token(c)) {
		word_add(f, c);
	} else {
		malformed(f, "the name of a header is malformed");
	}
}

/* A byte of a line, and not of its end. */
static void take_char(struct framing *f, unsigned char c)
{
	if (f->state == METHOD) {
		if (c == ' ' && f->nword)
			end_method(f);
		else if (is_token(c))
			word_add(f, c);
		else
			malformed(f, "the request line is malformed");
	} else if (f->state < PROTOCOL) {
		if (!take_target(f, c))
			malformed(f, "the target is malformed");
	} else if (f->state == PROTOCOL) {
		word_add(f, c);
	} else if (f->state == SIZE) { /* refused here: nothing else bounds a line that never ends */
		word_add(f, c);
		if (f->nword > DIGITS_MAX)
			malformed(f, "the size of a chunk is malformed");
	} else if (f->state == CHUNK_END) {
		malformed(f, "a chunk is longer than it says");
	} else {
		take_header(f, c);
	}
}

static void take_byte(struct framing *f, unsigned char c)
{
	bool strict = f->state == SIZE || f->state == CHUNK_END;

	if (!strict && ++f->head > FRAMING_HEAD_MAX)
		malformed(f, "the headers are too large");
	else if (f->cr ? c != '\n' : c == '\n' && strict)
		malformed(f, "a line does not end as it should");
	else if (c == '\n')
		end_line(f);
	else if (c != '\r')
		take_char(f, c);
	f->cr = c == '\r';
}

size_t framing_take(struct framing *f, const unsigned char *p, size_t n)
{
	size_t done = 0;

	while (done < n && f->state != WHOLE && !f->status) {
		if (f->state == BODY || f->state == CHUNK) {
			size_t some = n - done < f->left ? n - done : f->left;

			done += some;
			f->left -= some;
			if (f->left == 0)
				f->state = f->state == BODY ? WHOLE : CHUNK_END;
		} else {
			take_byte(f, p[done++]);
		}
	}
	return done;
}

const struct framing_refusal *framing_refusal(const struct framing *f)
{
	static const struct framing_refusal rows[] = {
		{ 413, "Content Too Large", "too_large" }, { 417, "Expectation Failed", "unsupported" },
		{ 501, "Not Implemented", "method" }, { 400, "Bad Request", "malformed_request" }
	};
	size_t i = 0;

	while (rows[i].status != f->status && i < COUNT(rows) - 1)
		i++;
	return &rows[i];
}
