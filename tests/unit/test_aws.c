/* Parts of the AWS engines that need no server: shared files, endpoints as botocore knows them, what services say
 * when something went wrong. */
#include <stdio.h>
#include <stdlib.h>

#include "base/fs.h"
#include "base/text.h"
#include "engine/aws_keys.h"

#include "tap.h"

static struct arena *arena;

static void test_ini(void)
{
	struct err e = { 0 };
	struct aws_ini ini;

	if (!ok(aws_ini_parse(arena, "f", bytes_of("[a]\nb=c\n  continues without an equals sign\n"), &ini, &e) == 0,
		"a value that goes on")) printf("# %s\n", e.msg);
	is_str(aws_ini_get(&ini, "a", "b"), "c", "keeps its first line");
	if (!ok(aws_ini_parse(arena, "f", bytes_of("[default]\naws_access_key_id = "
						   "AKIA1\r\nAWS_Secret_Access_Key=ab/c+d=#x # comment\n"
						    "[ profile   \"prod\" ]\nregion = us-east-1\nregion = "
							    "eu-central-1\ns3 =\n  max = 1\n"
						    "services = local\n[services local]\nkms =\n  endpoint_url = "
							    "https://kms.local\n"),
			      &ini, &e) == 0, "the usual file"))
		printf("# %s\n", e.msg);
	is_str(aws_ini_get(&ini, "default", "aws_access_key_id"), "AKIA1", "CR LF");
	is_str(aws_ini_get(&ini, "default", "aws_secret_access_key"), "ab/c+d=#x",
	       "upper case, a comment behind white space");
	is_str(aws_ini_get(&ini, "profile prod", "region"), "eu-central-1", "quotes in a section, the last of two");
	is_str(aws_ini_get(&ini, "profile prod", "s3.max"), "1", "nested");
	is_str(aws_ini_get(&ini, "profile prod", "services"), "local", "after nested ones");
	is_str(aws_ini_get(&ini, "services local", "kms.endpoint_url"), "https://kms.local", "endpoint of a service");
	is_str(aws_ini_get(&ini, "profile prod", "nothing"), NULL, "absent");
	ok(aws_ini_has(&ini, "default") && !aws_ini_has(&ini, "prod"), "sections");
}

static void test_bad_ini(void)
{
	static const char *const bad[] = { "key=value\n", "[open\n", "[a]\nwords\n", "[a]\n=x\n" };
	struct aws_ini ini;

	for (size_t i = 0; i < COUNT(bad); i++) {
		struct err e = { 0 };

		ok(aws_ini_parse(arena, "f", bytes_of(bad[i]), &ini, &e) != 0 && strstr(e.msg, "f:"), "refused: %s",
		   e.msg);
	}
	struct err e = { 0 };
	ok(aws_ini_parse(arena, "f", bytes_of("[a]\nsecret words\n"), &ini, &e) != 0 && !strstr(e.msg, "secret"),
	   "nothing of it is said");
	ok(aws_ini_parse(arena, "f", (struct bytes){ (const unsigned char *)"[a]\0\n", 5 }, &ini, &e) != 0,
	   "a NUL byte");
	ok(aws_ini_parse(arena, "f", (struct bytes){ NULL, 0 }, &ini, &e) == 0 && ini.n == 0, "an empty file");
}

static void test_endpoints(void)
{
	const struct aws_service *const services[] = { &aws_kms_service, &aws_sm_service, &aws_sts_service,
						       &aws_sso_service };
	static const char *const names[] = { "kms", "secretsmanager", "sts", "sso" };
	const char *dir = getenv("srcdir");
	char service[32], region[32], url[200];
	struct err e = { 0 };
	struct bytes text;
	int fips, dual, n = 0, good = 0;

	if (!ok(fs_read(arena, arena_printf(arena, "%s/tests/unit/aws/endpoints.txt", dir ? dir : "."), 1 << 20, &text,
			&e) == 0,
		"botocore's endpoints %s", e.msg))
		return;
	for (const char *p = (const char *)text.p; sscanf(p, "%31s %31s %d %d %199s", service, region, &fips, &dual,
							  url) == 5;
	     p = strchr(p, '\n') + 1) {
		for (size_t i = 0; i < COUNT(names); i++) {
			if (strcmp(names[i], service) != 0)
				continue;
			n++;
			if (strcmp(aws_endpoint(arena, services[i], region, fips, dual), url) == 0)
				good++;
			else
				printf("# %s %s %d %d: %s\n", service, region, fips, dual, url);
		}
	}
	is_int(n, 159, "all of them");
	is_int(good, n, "the same");
}

static void test_addresses(void)
{
	static const struct {
		const char *url, *want, *host;
	} rows[] = {
		{ "https://kms.eu-west-1.amazonaws.com/", "https://kms.eu-west-1.amazonaws.com",
		  "kms.eu-west-1.amazonaws.com" },
		{ "https://h:443", "https://h:443", "h" }, { "https://h:8443", "https://h:8443", "h:8443" },
		{ "http://127.0.0.1:4566", "http://127.0.0.1:4566", "127.0.0.1:4566" },
			{ "http://[::1]:80", "http://[::1]:80", "[::1]" },
		{ "http://localhost:4566/", "http://localhost:4566", "localhost:4566" },
		{ "http://example.org", NULL, NULL }, { "http://localhost.example.org", NULL, NULL },
			{ "http://127.0.0.1.example.org", NULL, NULL },
		{ "https://u@h", NULL, NULL }, { "https://h/path", NULL, NULL }, { "https://h?q", NULL, NULL },
			{ "ftp://h", NULL, NULL },
		{ "https://", NULL, NULL }, { "h", NULL, NULL }, { "https://a b", NULL, NULL }
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err e = { 0 };
		char *url = NULL, *host = NULL;
		bool good = aws_endpoint_check(arena, rows[i].url, &url, &host, &e) == 0;

		ok(good == (rows[i].want != NULL) && (!good ||
						      (strcmp(url, rows[i].want) == 0 &&
						       strcmp(host, rows[i].host) == 0)), "%s%s%s",
		   rows[i].url, good ? "" : ": ", e.msg);
	}
	ok(aws_region_valid("eu-west-1") && !aws_region_valid("evil.com/") && !aws_region_valid("") &&
	   !aws_region_valid("-a"), "regions");
}

static void test_faults(void)
{
	static const struct {
		const char *header, *body, *code, *message;
	} rows[] = {
		{ NULL, "{\"__type\":\"NotFoundException\",\"message\":\"m\"}", "NotFoundException", "m" },
		{ NULL, "{\"__type\":\"com.amazonaws.kms#DisabledException:http://x/\",\"Message\":\"M\"}",
		  "DisabledException", "M" },
		{ "ThrottlingException:http://internal/", "{}", "ThrottlingException", "" },
		{ NULL, "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>old &amp; "
		  "gone</Message></Error></ErrorResponse>", "ExpiredToken", "old &amp; gone" },
		{ NULL, "<html>502 Bad Gateway</html>", "", "" }, { NULL, "", "", "" },
		{ NULL, "{\"__type\":\"a\\u001b[31m\",\"message\":\"\\u001b[2J\"}", "a\\x1b[31m", "\\x1b[2J" },
		{ NULL, "{\"__type\":5,\"message\":[]}", "", "" }
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct aws_fault f;

		aws_fault_read(arena, rows[i].header, bytes_of(rows[i].body), &f);
		ok(strcmp(f.code, rows[i].code) == 0 && strcmp(f.message, rows[i].message) == 0, "%s: %s, %s",
		   rows[i].body, f.code, f.message);
	}
}

static void test_verdicts(void)
{
	static const struct {
		int status;
		const char *code, *message;
		enum remote_verdict verdict;
		enum err_code error;
	} rows[] = {
		{ 400, "ThrottlingException", "", REMOTE_THROTTLED, ERR_REMOTE },
			{ 429, "", "", REMOTE_THROTTLED, ERR_REMOTE },
		{ 500, "KMSInternalException", "", REMOTE_AGAIN, ERR_REMOTE },
			{ 502, "", "", REMOTE_AGAIN, ERR_REMOTE },
		{ 501, "", "", REMOTE_FAILED, ERR_REMOTE },
			{ 400, "ExpiredTokenException", "", REMOTE_REFRESH, ERR_DENIED },
		{ 400, "InvalidSignatureException", "Signature expired: 1 is now earlier than 2", REMOTE_REFRESH,
		  ERR_DENIED },
		{ 400, "InvalidSignatureException", "does not match", REMOTE_FAILED, ERR_DENIED },
		{ 400, "RequestExpired", "", REMOTE_REFRESH, ERR_DENIED },
			{ 400, "AccessDeniedException", "", REMOTE_FAILED, ERR_DENIED },
		{ 400, "NotFoundException", "", REMOTE_FAILED, ERR_NOT_FOUND },
			{ 400, "LimitExceededException", "", REMOTE_FAILED, ERR_REMOTE },
		{ 400, "KMSInvalidStateException", "", REMOTE_FAILED, ERR_DENIED },
			{ 403, "", "", REMOTE_FAILED, ERR_DENIED },
		{ 400, "AlreadyExistsException", "", REMOTE_FAILED, ERR_EXISTS },
			{ 400, "Unheard", "", REMOTE_FAILED, ERR_REMOTE }
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct aws_fault f = { rows[i].code, rows[i].message };
		enum err_code code = ERR_NONE;

		ok(aws_fault_judge(rows[i].status, &f, &code) == rows[i].verdict && code == rows[i].error, "%d %s",
		   rows[i].status, rows[i].code);
	}
}

static void test_dates(void)
{
	int64_t t = 0;

	ok(aws_http_date("Sat, 21 Nov 2026 15:52:15 GMT", &t) && t == 1795276335, "a date");
	ok(!aws_http_date("Sat, 21 Xov 2026 15:52:15 GMT", &t) && !aws_http_date("Sat, 21 anF 2026 15:52:15 GMT", &t),
	   "no such month");
	ok(!aws_http_date("Saturday, 21-Nov-26 15:52:15 GMT", &t) && !aws_http_date("", &t) &&
	   !aws_http_date("Sat, 41 Nov 2026 15:52:15 GMT", &t), "other forms");
}

static void test_xml(void)
{
	struct bytes x = bytes_of("<A><AccessKeyId>AKIA</AccessKeyId><B attr=\"1\">x</B><C>a<D/>b</C><E></E><F>open");

	is_str(aws_xml_text(arena, x, "AccessKeyId"), "AKIA", "an element");
	is_str(aws_xml_text(arena, x, "B"), NULL, "one with attributes");
	is_str(aws_xml_text(arena, x, "C"), NULL, "one with markup in it");
	is_str(aws_xml_text(arena, x, "E"), "", "an empty one");
	is_str(aws_xml_text(arena, x, "F"), NULL, "one that is not closed");
	is_str(aws_xml_text(arena, (struct bytes){ NULL, 0 }, "A"), NULL, "nothing");
}

int main(void)
{
	arena = arena_new();
	test_ini();
	test_bad_ini();
	test_endpoints();
	test_addresses();
	test_faults();
	test_verdicts();
	test_dates();
	test_xml();
	arena_free(arena);
	return done();
}
