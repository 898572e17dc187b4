/* EST's encodings, both layouts of base64 that clients need, and what a path means. */
#include "base/text.h"
#include "crypto/ossl.h"
#include "est/auth.h"
#include "est/service.h"
#include "est/wire.h"
#include "tap.h"

static struct arena *A;
static const struct net_header agent = { "user-agent", "curl" };

static struct http_request request(const char *path, bool named)
{
	return (struct http_request){ .arena = A, .method = "GET", .path = path, .headers = named ? &agent : NULL,
				      .nheaders = named, .address = "::1" };
}

static struct bytes der_of_length(size_t n) /* a SEQUENCE of zeros, n < 256 */
{
	unsigned char *p = arena_alloc(A, 1, n + 4);

	p[0] = 0x30;
	p[1] = 0x81;
	p[2] = (unsigned char)n;
	return (struct bytes){ p, n + 3 };
}

static bool reads(const char *text)
{
	struct bytes der;
	struct err e = { 0 };

	return wire_decode(A, bytes_of(text), &der, &e) == 0 && der.n == 131;
}

static void test_reading(void)
{
	const char *text = b64_encode(A, der_of_length(128)),
			   *pem = (const char *)pem_encode(A, "CERTIFICATE REQUEST", der_of_length(128)).p;
	struct bytes der, raw = der_of_length(128);
	struct err e = { 0 };

	ok(reads(text), "one line");
	ok(reads(arena_printf(A, "\r\n \t%.9s\r\n%s\n\n", text, text + 9)), "white space anywhere");
	ok(reads(pem), "PEM");
	ok(reads(arena_printf(A, "text before\n%s", pem)), "PEM with a text before it");
	ok(wire_decode(A, raw, &der, &e) == 0 && bytes_equal(raw, der), "DER");
	ok(!reads(arena_printf(A, "%s%s", pem, pem)), "two PEM blocks are refused");
	ok(!reads((const char *)pem_encode(A, "CERTIFICATE", raw).p), "another kind of PEM");
	ok(!reads(arena_printf(A, "%s!", text)), "a letter that is none of base64's");
	ok(!reads(arena_printf(A, "%.*s", (int)strlen(text) - 1, text)), "a length that is no multiple of four");
	ok(!reads(""), "nothing");
	ok(!reads("TUlJQg=="), "base64 of something else");
	raw.n--;
	ok(wire_decode(A, raw, &der, &e) != 0, "DER that is cut off");
	raw.n += 2;
	ok(wire_decode(A, (struct bytes){ arena_memdup(A, raw.p, raw.n - 1), raw.n }, &der, &e) != 0 || der.n != raw.n,
	   "DER with something after it");
}

static void test_layout(void)
{
	struct http_request named = request("/", true), unnamed = request("/", false);
	struct http_response out = { 0 };
	struct bytes b = wire_base64(A, &named, der_of_length(128));
	const char *text = arena_strndup(A, (const char *)b.p, b.n);

	is_int((int64_t)strcspn(text, "\n"), 64, "a client that names itself gets lines of 64");
	is_int(text[b.n - 1], '\n', "and a line end after the last");
	ok(!strchr(text, '\r'), "without CR, which GNU base64 does not read");
	b = wire_base64(A, &unnamed, der_of_length(128));
	ok(!memchr(b.p, '\n', b.n) && b.n == 176, "one that does not gets one line");
	wire_answer(&named, &out, "application/x", der_of_length(9));
	is_int(out.status, 200, "an answer is 200");
	is_str(out.headers[0].name, "Content-Transfer-Encoding", "and names the encoding");
	out = (struct http_response){ 0 };
	wire_answer_parts(&named, &out, (const struct wire_part[]){ { "application/pkcs8", der_of_length(100) },
								    { "a/b", der_of_length(3) } }, 2);
	text = arena_strndup(A, (const char *)out.body.p, out.body.n);
	ok(text_has_prefix(out.type, "multipart/mixed; boundary=") && strlen(out.type) < 90,
	   "parts have a boundary: %s", out.type);
	ok(text_has_prefix(text,
			   arena_printf(A, "--%s\r\nContent-Type: application/pkcs8\r\n", strchr(out.type, '=') + 1)),
			   "no preamble");
	is_int((int64_t)out.nheaders, 0, "the whole names no encoding, its parts do");
	for (const char *p = strchr(text, '\n'); p; p = strchr(p + 1, '\n'))
		if (p[-1] != '\r')
			ok(false, "a line end without CR");
}

static int status_of(const char *method, const char *path, const char **ret_op)
{
	struct served v[2] = { { .dms = { .id = arena_strdup(A, "a") }, .cacerts = der_of_length(3) },
			       { .dms = { .id = arena_strdup(A, "b.c") }, .cacerts = der_of_length(3) } };
	struct est_memory m = { .v = v, .n = 2, .unlabelled = v[0].dms.id };
	const struct est_options options = { 0 };
	struct post post = { .memory = &m, .link = -1 };
	struct http_request in = request(path, true);
	struct http_response out = { 0 };

	in.method = method;
	est_handle(&post, &options, &in, &out);
	*ret_op = out.realm;
	return out.status;
}

static void test_paths(void)
{
	static const struct {
		const char *method, *path;
		int status;
		const char *realm;
	} rows[] = {
		{ "GET", "/.well-known/est/cacerts", 200, "a" }, { "GET", "/.well-known/est/a/cacerts", 200, "a" },
		{ "GET", "/.well-known/est/b.c/cacerts", 200, "b.c" },
		{ "GET", "/b.c/.well-known/est/cacerts", 200, "b.c" },
		{ "GET", "/.well-known/est/%62%2ec/cacerts", 200, "b.c" },
		{ "GET", "https://x/.well-known/est/cacerts", 200, "a" },
		{ "HEAD", "/.well-known/est/cacerts", 200, "a" }, { "POST", "/.well-known/est/cacerts", 405, "a" },
		{ "GET", "/.well-known/est/csrattrs", 204, "a" }, { "GET", "/.well-known/est/simpleenroll", 405, "a" },
		{ "POST", "/.well-known/est/simpleenroll", 415, "a" }, { "POST", "/.well-known/est/fullcmc", 404, "a" },
		{ "GET", "/.well-known/est/c/cacerts", 404, NULL }, { "GET", "/.well-known/est/", 404, NULL },
		{ "GET", "", 404, NULL },
		{ "GET", "/.well-known/est/cacerts/", 404, NULL }, { "GET", "//.well-known/est/cacerts", 404, NULL },
		{ "GET", "/.well-known/est/b%2fc/cacerts", 404, NULL },
		{ "GET", "/.well-known/est/../est/cacerts", 404, NULL },
		{ "GET", "/.well-known/est/%2e%2e/cacerts", 404, NULL },
		{ "GET", "/.well-known/est/a%00/cacerts", 404, NULL },
		{ "GET", "/.well-known/est/a%2/cacerts", 404, NULL },
		{ "GET", "/.well-known/est/%2561/cacerts", 404, NULL },
		{ "GET", "http:/.well-known/est/cacerts", 404, NULL }, { "GET", "*", 404, NULL },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *realm;
		int got = status_of(rows[i].method, rows[i].path, &realm);

		ok(got == rows[i].status &&
		   (realm == rows[i].realm || (realm && rows[i].realm && strcmp(realm, rows[i].realm) == 0)),
		   "%s %s: %d", rows[i].method, rows[i].path, got);
	}
}

int main(void)
{
	A = arena_new();
	test_reading();
	test_layout();
	test_paths();
	arena_free(A);
	return done();
}
