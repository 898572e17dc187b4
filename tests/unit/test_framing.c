/* Where requests begin and end: what is one thing only passes, however it is cut; what could be two is refused. */
#include <stdlib.h>

#include "serve/framing.h"
#include "tap.h"

enum { BODY_MAX = 1000 };

/* Cut into pieces of `step` bytes. Returns how many were taken. */
static size_t feed(struct framing *f, const char *text, size_t n, size_t step)
{
	size_t done = 0;

	framing_begin(f, BODY_MAX);
	while (done < n && !f->status && !framing_whole(f))
		done += framing_take(f, (const unsigned char *)text + done, n - done < step ? n - done : step);
	return done;
}

/* `whole`: as many bytes belong to the request; `fields`: headers before the body. */
static void accepts(const char *text, size_t whole, unsigned fields, const char *what)
{
	bool good = true;

	for (size_t step = 1; step <= strlen(text); step++) {
		struct framing f;

		good = good && feed(&f, text, strlen(text), step) == whole && framing_whole(&f) && !f.status &&
		       f.fields == fields;
	}
	ok(good, "%s", what);
}

static void refuses(const char *text, int status)
{
	bool good = true;
	char shown[60];
	int got = 0;

	for (size_t step = 1; step <= strlen(text); step++) {
		struct framing f;

		feed(&f, text, strlen(text), step);
		got = f.status;
		good = good && got == status && f.why && !framing_whole(&f);
	}
	snprintf(shown, sizeof(shown), "%s", text);
	for (char *p = shown; *p; p++)
		if (*p < ' ')
			*p = '~';
	if (!ok(good, "%d for %s", status, shown))
		printf("# %d\n", got);
}

#define HOST "Host: x\r\n"

static void test_whole(void)
{
	const char *get = "GET / HTTP/1.1\r\n" HOST "\r\n",
			  *post = "POST /a?b HTTP/1.1\r\n" HOST "Content-Length: 3\r\nX:\r\n\r\nabc";
	const char *chunks = "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:  Chunked "
							"\r\n\r\n3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\n";
	const char *trailer = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" HOST "\r\n0\r\nX-T: y\r\nHost: "
										       "z\r\n\r\n";
	char twice[80];

	accepts(get, strlen(get), 1, "no body");
	accepts(post, strlen(post), 3, "a counted body, a header without value");
	accepts(chunks, strlen(chunks), 2, "chunks");
	accepts(trailer, strlen(trailer), 2, "headers behind the body do not count");
	accepts("GET / HTTP/1.0\n\n", 16, 0, "HTTP/1.0 needs no Host; a line feed is enough");
	accepts("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 31, 1, "a star");
	accepts("GET https://h.example:8443/p HTTP/1.1\r\n" HOST "\r\n", 50, 1, "an absolute target");
	accepts("GET http://h HTTP/1.1\r\n" HOST "\r\n", 34, 1, "and one that is a host only");
	accepts("POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length:0\r\n" HOST "\r\n", 68, 3,
		"Expect; a length of zero");
	snprintf(twice, sizeof(twice), "%s%s", get, get);
	accepts(twice, strlen(get), 1, "what follows is not taken");
}

static void test_refused(void)
{
	static const char *const lines[] = { "\r\n", "nonsense\r\n", "GET\r\n", "GET /\r\n", "GET / \r\n",
					     "GET  / HTTP/1.1\r\n", " GET / HTTP/1.1\r\n",
		"GET / HTTP/1.1 \r\n", "GET / HTTP/2.0\r\n", "GET / HTTP/1.10\r\n", "GET / http/1.1\r\n",
		"GET /a b HTTP/1.1\r\n", "GET /\x01 HTTP/1.1\r\n",
		"GET /\xc3\xa4 HTTP/1.1\r\n", "GET //h/p HTTP/1.1\r\n", "GET a HTTP/1.1\r\n", "GET *a HTTP/1.1\r\n",
		"GET http:/// HTTP/1.1\r\n",
		"GET http://u@h/ HTTP/1.1\r\n", "GET http://h:/ HTTP/1.1\r\n", "GET http://h:99999/ HTTP/1.1\r\n",
		"GET http://h:1:2/ HTTP/1.1\r\n",
		"GET ftp://h/ HTTP/1.1\r\n", "GET / HTTP/1.1\rX", "GET /\r HTTP/1.1\r\n" };
	static const char *const heads[] = { "\r\n", HOST HOST "\r\n", "Host : x\r\n\r\n", HOST "A\r\n\r\n",
					     HOST ": a\r\n\r\n", HOST " folded\r\n\r\n",
		HOST "X: a\r\n\tb\r\n\r\n", HOST "X: a\x01\r\n\r\n", HOST "X: a\rb\r\n\r\n", HOST "X\tY: a\r\n\r\n",
		HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
		HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na",
		HOST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\na",
		HOST "Transfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
		HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", HOST "Transfer-Encoding: \tchunked\r\n\r\n",
		HOST "Transfer-Encoding: chunked, chunked, chunked\r\n\r\n",
		HOST "Content-Length: -1\r\n\r\n", HOST "Content-Length: +1\r\n\r\n",
		HOST "Content-Length: 0x1\r\n\r\n", HOST "Content-Length: 1,1\r\n\r\n",
		HOST "Content-Length: 1 1\r\n\r\n", HOST "Content-Length:\r\n\r\n",
		HOST "Content-Length: 99999999999999999999\r\n\r\n" };
	static const char *const chunks[] = { "zz\r\n", "\r\n", "+1\r\n", "0x1\r\n", "1 \r\n", "1;a=b\r\n", "-1\r\n",
					      "1\n", "1\rx", "1\r\nab\r\n", "1\r\na\n",
		"1\r\na\r\n\r\n", "fffffffffffffffff\r\n", "0000000000000000", "0\r\n folded\r\n", "0\r\nX\r\n",
		"0\r\nX: \x7f\r\n" };
	char text[400];

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		refuses(lines[i], 400);
	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
		snprintf(text, sizeof(text), "POST / HTTP/1.1\r\n%s", heads[i]);
		refuses(text, 400);
	}
	for (size_t i = 0; i < sizeof(chunks) / sizeof(*chunks); i++) {
		snprintf(text, sizeof(text), "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n%s",
			 chunks[i]);
		refuses(text, 400);
	}
	refuses("HEAD / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n", 400);
	refuses("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
	refuses("BREW / HTTP/1.1\r\n", 501);
	refuses("get / HTTP/1.1\r\n", 501);
	refuses("POST / HTTP/1.1\r\n" HOST "Expect: else\r\n\r\n", 417);
	refuses("POST / HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n\r\n", 413);
	refuses("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3e9\r\n", 413);
	refuses("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3e7\r\n", 413);
}

static void test_large(void)
{
	static char text[3 * FRAMING_HEAD_MAX];
	size_t n = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" HOST "X: ");
	struct framing f;

	memset(text + n, 'x', FRAMING_HEAD_MAX - n - 4);
	memcpy(text + FRAMING_HEAD_MAX - 4, "\r\n\r\n", 5);
	feed(&f, text, strlen(text), strlen(text));
	ok(framing_whole(&f), "headers of 8 KiB");
	memset(text + n, 'x', FRAMING_HEAD_MAX - n - 3);
	memcpy(text + FRAMING_HEAD_MAX - 3, "\r\n\r\n", 5);
	feed(&f, text, strlen(text), strlen(text));
	is_int(f.status, 400, "and a byte more");
	memset(text, 'x', sizeof(text));
	is_int((int64_t)feed(&f, text, sizeof(text), sizeof(text)), FRAMING_HEAD_MAX + 1,
	       "nothing is looked at for longer");
	framing_begin(&f, BODY_MAX);
	ok(framing_fresh(&f), "fresh");
	framing_take(&f, (const unsigned char *)"G", 1);
	ok(!framing_fresh(&f), "not any more");
}

int main(void)
{
	test_whole();
	test_refused();
	test_large();
	return done();
}
