/* Signature Version 4: AWS's published test suite, and random requests that botocore signed (tests/unit/aws). */
#include <stdlib.h>

#include "base/fs.h"
#include "base/tm.h"
#include "engine/aws_sigv4.h"

#include "tap.h"

static struct arena *arena;

struct vector {
	const char *name, *method, *path, *query, *body;
	struct net_header more[4];
	const char *names, *signature;
};

#define SLASH_ONLY "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
#define FORM "application/x-www-form-urlencoded"
#define TOKEN                                                                                                     \
	"AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRq" \
	"TflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9" \
	"HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvK" \
	"Tr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="

/* clang-format off */
static const struct vector suite[] = {
	{ "get-vanilla", "GET", "/", NULL, "", { { 0 } }, "host;x-amz-date", SLASH_ONLY },
	{ "get-vanilla-empty-query-key", "GET", "/", "Param1=value1", "", { { 0 } }, "host;x-amz-date",
	  "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb" },
	{ "get-vanilla-query-order-key-case", "GET", "/", "Param2=value2&Param1=value1", "", { { 0 } },
	  "host;x-amz-date", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500" },
	{ "get-utf8", "GET", "/\xe1\x88\xb4", NULL, "", { { 0 } }, "host;x-amz-date",
	  "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85" },
	{ "get-relative", "GET", "/example/..", NULL, "", { { 0 } }, "host;x-amz-date", SLASH_ONLY },
	{ "get-relative-relative", "GET", "/example1/example2/../..", NULL, "", { { 0 } }, "host;x-amz-date",
	  SLASH_ONLY },
	{ "get-slash", "GET", "//", NULL, "", { { 0 } }, "host;x-amz-date", SLASH_ONLY },
	{ "get-slash-dot-slash", "GET", "/./", NULL, "", { { 0 } }, "host;x-amz-date", SLASH_ONLY },
	{ "get-slashes", "GET", "//example//", NULL, "", { { 0 } }, "host;x-amz-date",
	  "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84" },
	{ "get-slash-pointless-dot", "GET", "/./example", NULL, "", { { 0 } }, "host;x-amz-date",
	  "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5" },
	{ "get-space", "GET", "/example space/", NULL, "", { { 0 } }, "host;x-amz-date",
	  "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741" },
	{ "post-vanilla", "POST", "/", NULL, "", { { 0 } }, "host;x-amz-date",
	  "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b" },
	{ "post-vanilla-query", "POST", "/", "Param1=value1", "", { { 0 } }, "host;x-amz-date",
	  "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11" },
	{ "get-header-key-duplicate", "GET", "/", NULL, "",
	  { { "My-Header1", "value2" }, { "My-Header1", "value2" }, { "My-Header1", "value1" } },
		  "host;my-header1;x-amz-date",
	  "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea" },
	{ "get-header-value-order", "GET", "/", NULL, "",
	  { { "My-Header1", "value4" }, { "My-Header1", "value1" }, { "My-Header1", "value3" },
	    { "My-Header1", "value2" } },
	  "host;my-header1;x-amz-date", "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01" },
	{ "get-header-value-trim", "GET", "/", NULL, "", { { "My-Header1", " value1" },
							   { "My-Header2", " \"a   b   c\"" } },
	  "host;my-header1;my-header2;x-amz-date", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736" },
	{ "post-header-key-sort", "POST", "/", NULL, "", { { "My-Header1", "value1" } }, "host;my-header1;x-amz-date",
	  "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c" },
	{ "post-header-value-case", "POST", "/", NULL, "", { { "My-Header1", "VALUE1" } }, "host;my-header1;x-amz-date",
	  "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d" },
	{ "post-x-www-form-urlencoded", "POST", "/", NULL, "Param1=value1", { { "Content-Type", FORM } },
	  "content-type;host;x-amz-date", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a" },
	{ "post-x-www-form-urlencoded-parameters", "POST", "/", NULL, "Param1=value1",
	  { { "Content-Type", FORM "; charset=utf8" } }, "content-type;host;x-amz-date",
	  "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe" },
	{ "post-sts-header-before", "POST", "/", NULL, "", { { "X-Amz-Security-Token", TOKEN } },
	  "host;x-amz-date;x-amz-security-token", "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead" },
};
/* clang-format on */

static void published(const struct vector *v)
{
	const struct aws_keys keys = { .access = "AKIDEXAMPLE", .secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };
	struct net_header headers[6] = { { "X-Amz-Date", "20150830T123600Z" }, { "Host", "example.amazonaws.com" } };
	struct sigv4 r = { .method = v->method, .path = v->path, .query = v->query, .headers = headers, .nheaders = 2,
			   .body = bytes_of(v->body), .region = "us-east-1", .service = "service", .when = 1440938160 };
	char *want = arena_printf(arena, "AWS4-HMAC-SHA256 "
				  "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=%s, "
					  "Signature=%s", v->names, v->signature);

	for (size_t i = 0; i < COUNT(v->more) && v->more[i].name; i++)
		headers[r.nheaders++] = v->more[i];
	is_str(sigv4_authorization(arena, &r, &keys), want, v->name);
}

/* The next field of a line; ends it with NUL. */
static char *field(char **p)
{
	char *start = *p, *tab = strchr(start, '\t');

	*p = tab ? tab + 1 : start + strlen(start);
	if (tab)
		*tab = '\0';
	return start;
}

static bool random_one(char *line)
{
	enum { DATE, ACCESS, SECRET, REGION, SERVICE, METHOD, PATH, QUERY, BODY, WANT, FIELDS };
	struct net_header headers[16];
	const char *got;
	char *f[FIELDS];
	struct err e = { 0 };

	for (size_t i = 0; i < FIELDS; i++)
		f[i] = field(&line);
	struct aws_keys keys = { .access = f[ACCESS], .secret = f[SECRET] };
	struct sigv4 r = { .region = f[REGION], .service = f[SERVICE], .method = f[METHOD], .path = f[PATH],
			   .query = f[QUERY], .body = bytes_of(f[BODY]), .headers = headers };
	if (tm_parse(arena_printf(arena, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", f[DATE], f[DATE] + 4, f[DATE] + 6,
				  f[DATE] + 9, f[DATE] + 11, f[DATE] + 13), &r.when, &e) != 0)
		return false;
	while (*line && r.nheaders < COUNT(headers)) {
		char *name = field(&line), *colon = strchr(name, ':');

		*colon = '\0';
		headers[r.nheaders++] = (struct net_header){ name, colon + 1 };
	}
	got = strstr(sigv4_authorization(arena, &r, &keys), "Signature=");
	return got && strcmp(got + strlen("Signature="), f[WANT]) == 0 &&
	       strcmp(sigv4_date(arena, r.when), f[DATE]) == 0;
}

int main(void)
{
	const char *dir = getenv("srcdir");
	struct bytes text;
	struct err e = { 0 };
	int n = 0, good = 0;

	arena = arena_new();
	for (size_t i = 0; i < COUNT(suite); i++)
		published(&suite[i]);
	if (ok(fs_read(arena, arena_printf(arena, "%s/tests/unit/aws/sigv4.txt", dir ? dir : "."), 1 << 20, &text,
		       &e) == 0,
	       "requests that botocore signed%s", e.msg))
		for (char *p = arena_strndup(arena, (const char *)text.p, text.n),
		     *end; (end = strchr(p, '\n')); p = end + 1) {
			*end = '\0';
			n++;
			if (random_one(p))
				good++;
			else
				printf("# line %d differs\n", n);
		}
	is_int(n, 300, "there are 300 of them");
	is_int(good, n, "signed the same");
	arena_free(arena);
	return done();
}
