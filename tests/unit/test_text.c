/* Encodings, UTF-8, escaping and names. */
#include "base/text.h"

#include "tap.h"

static const struct {
	const char *plain, *b64, *hex;
} encoded[] = { /* RFC 4648 10 */
	{ "", "", "" },
	{ "f", "Zg==", "66" },
	{ "fo", "Zm8=", "666f" },
	{ "foo", "Zm9v", "666f6f" },
	{ "foob", "Zm9vYg==", "666f6f62" },
	{ "fooba", "Zm9vYmE=", "666f6f6261" },
	{ "foobar", "Zm9vYmFy", "666f6f626172" },
	{ "\xff\xfe\xfb", "//77", "fffefb" },
};

static void test_encodings(struct arena *a)
{
	static const char *const bad_b64[] = { "Z", "Zg", "Zg=", "Zg===", "=", "====", "Z===", "Zh==", "Zm9=",
					       "Zg==Zg==", "Zg=a",
					       "Zm9v!", "Zm-_", "Zm9v\x01", "\xc3\xa9gg" };
	static const char *const bad_hex[] = { "0", "0g", "g0", "0x12", "12 34", "12:34" };
	struct bytes b;

	for (size_t i = 0; i < COUNT(encoded); i++) {
		is_str(b64_encode(a, bytes_of(encoded[i].plain)), encoded[i].b64, "base64 is written");
		is_str(hex_encode(a, bytes_of(encoded[i].plain)), encoded[i].hex, "hex is written");
		ok(b64_decode(a, bytes_of(encoded[i].b64), &b) == 0 && bytes_equal(b, bytes_of(encoded[i].plain)),
		   "base64 is read");
		ok(hex_decode(a, encoded[i].hex, &b) == 0 && bytes_equal(b, bytes_of(encoded[i].plain)), "hex is read");
	}
	ok(b64_decode(a, bytes_of(" Zm\r\n9v\tYg =\n="), &b) == 0 && bytes_equal(b, bytes_of("foob")),
	   "base64 may be folded");
	ok(hex_decode(a, "fFaB", &b) == 0 && bytes_equal(b, bytes_of("\xff\xab")), "hex may be upper case");
	ok(b64_decode(a, (struct bytes){ NULL, 0 }, &b) == 0 && b.n == 0, "nothing is nothing");
	for (size_t i = 0; i < COUNT(bad_b64); i++)
		ok(b64_decode(a, bytes_of(bad_b64[i]), &b) == -1, "base64 \"%s\" is refused", bad_b64[i]);
	ok(b64_decode(a, (struct bytes){ (const unsigned char *)"Zm9\0", 4 }, &b) == -1,
	   "base64 with a NUL is refused");
	for (size_t i = 0; i < COUNT(bad_hex); i++)
		ok(hex_decode(a, bad_hex[i], &b) == -1, "hex \"%s\" is refused", bad_hex[i]);
}

static void test_url_forms(struct arena *a)
{
	static const char *const bad[] = { "A", "AA=", "AAA==", "A===", "=", "AB", "AAB", "+_8", "-/8", "AA\n", " AA",
					   "AA==AA", "AAAAA" };
	static const unsigned char odd[] = { 0xfb, 0xff, 0xbf, 0x3e };
	struct bytes b;

	is_str(b64url_encode(a, (struct bytes){ odd, 4 }), "-_-_Pg", "base64url has its own digits and no padding");
	is_str(b64url_encode(a, (struct bytes){ NULL, 0 }), "", "nothing is nothing");
	ok(b64url_decode(a, bytes_of("-_-_Pg"), &b) == 0 && bytes_equal(b, (struct bytes){ odd, 4 }),
	   "base64url is read");
	ok(b64url_decode(a, bytes_of("-_-_Pg=="), &b) == 0 && bytes_equal(b, (struct bytes){ odd, 4 }),
	   "with padding too");
	for (size_t i = 0; i < COUNT(bad); i++)
		ok(b64url_decode(a, bytes_of(bad[i]), &b) == -1, "base64url \"%s\" is refused",
		   text_escape(a, bytes_of(bad[i])));
	ok(b64url_decode(a, (struct bytes){ (const unsigned char *)"AA\0A", 4 }, &b) == -1,
	   "base64url with a NUL is refused");
	is_str(url_encode(a, bytes_of("aZ09-._~ +/?&=%\xc3\xa9:")), "aZ09-._~%20%2B%2F%3F%26%3D%25%C3%A9%3A",
	       "URLs are encoded");
	is_str(url_encode(a, (struct bytes){ (const unsigned char *)"\0", 1 }), "%00", "a NUL too");
	is_str(url_decode(a, bytes_of("a%20B%2f%c3%A9+")), "a B/\xc3\xa9+", "and decoded; a plus is a plus");
	ok(!url_decode(a, bytes_of("%")) && !url_decode(a, bytes_of("%2")) && !url_decode(a, bytes_of("%2x")) &&
	   !url_decode(a, bytes_of("a%00")),
	   "what is cut off or hides a NUL is not");
	is_str(url_decode(a, (struct bytes){ (const unsigned char *)"%41%42", 3 }), "A",
	       "only so many bytes are looked at");
}

static void test_all_bytes(struct arena *a)
{
	unsigned char all[256];
	bool same = true;

	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (unsigned char)(i * 167 + 13);
	for (size_t n = 0; n <= sizeof(all); n++) {
		struct bytes in = { all, n }, x, y;

		same = same && b64_decode(a, bytes_of(b64_encode(a, in)), &x) == 0 && bytes_equal(in, x);
		same = same && hex_decode(a, hex_encode(a, in), &y) == 0 && bytes_equal(in, y);
		same = same && b64url_decode(a, bytes_of(b64url_encode(a, in)), &x) == 0 && bytes_equal(in, x);
	}
	ok(same, "every length reads back");
}

static const struct {
	const char *in;
	bool valid;
	const char *escaped;
} texts[] = {
	{ "plain", true, "plain" },
	{ "", true, "" },
	{ "back\\slash", true, "back\\slash" },
	{ "Gr\xc3\xbc\xc3\x9f" "e \xe2\x82\xac \xf0\x9f\x94\x91", true, "Gr\xc3\xbc\xc3\x9f"
									"e \xe2\x82\xac \xf0\x9f\x94\x91" },
	{ "a\x1b[31mb", true, "a\\x1b[31mb" },
	{ "one\ntwo\r\t\x7f", true, "one\\x0atwo\\x0d\\x09\\x7f" },
	{ "\xc2\x9b" "31m", true, "\\xc2\\x9b31m" },		       /* C1: CSI */
	{ "x\xe2\x80\xaegpj.exe", true, "x\\xe2\\x80\\xaegpj.exe" },   /* right-to-left override */
	{ "x\xe2\x81\xa6y\xe2\x81\xa9", true, "x\\xe2\\x81\\xa6y\\xe2\\x81\\xa9" },
	{ "x\xd8\x9cy", true, "x\\xd8\\x9cy" },
	{ "x\xe2\x80\xa8y", true, "x\\xe2\\x80\\xa8y" },	       /* line separator */
	{ "\xff", false, "\\xff" },
	{ "\x80", false, "\\x80" },
	{ "\xc3", false, "\\xc3" },
	{ "\xc3(", false, "\\xc3(" },
	{ "\xe2\x82", false, "\\xe2\\x82" },
	{ "\xc0\xaf", false, "\\xc0\\xaf" },			       /* overlong '/' */
	{ "\xe0\x80\xaf", false, "\\xe0\\x80\\xaf" },
	{ "\xf0\x80\x80\xaf", false, "\\xf0\\x80\\x80\\xaf" },
	{ "\xed\xa0\x80", false, "\\xed\\xa0\\x80" },		       /* a surrogate */
	{ "\xf4\x90\x80\x80", false, "\\xf4\\x90\\x80\\x80" },	       /* beyond U+10FFFF */
	{ "\xf8\x88\x80\x80\x80", false, "\\xf8\\x88\\x80\\x80\\x80" },
};

static void test_utf8(struct arena *a)
{
	char small[8];

	for (size_t i = 0; i < COUNT(texts); i++) {
		ok(utf8_valid(bytes_of(texts[i].in)) == texts[i].valid, "%s is %svalid UTF-8", texts[i].escaped,
		   texts[i].valid ? "" : "not ");
		is_str(text_escape(a, bytes_of(texts[i].in)), texts[i].escaped, "escaped");
		is_str(text_escape(a, bytes_of(texts[i].escaped)), texts[i].escaped, "escaping again changes nothing");
	}
	ok(!utf8_valid((struct bytes){ (const unsigned char *)"a\0b", 3 }), "a NUL is not text");
	is_str(text_escape(a, (struct bytes){ (const unsigned char *)"a\0b", 3 }), "a\\x00b", "a NUL is escaped");
	text_escape_into(small, sizeof(small), bytes_of("1234\xe2\x82\xac"));
	is_str(small, "1234\xe2\x82\xac", "what fits just fits");
	text_escape_into(small, sizeof(small), bytes_of("12345\xe2\x82\xac"));
	is_str(small, "12345", "a character is not cut");
	text_escape_into(small, sizeof(small), bytes_of("1234\x1bx"));
	is_str(small, "1234", "nor an escape");
	is_str(text_count(a, 1, "CRL", NULL), "1 CRL", "one");
	is_str(text_count(a, 0, "CRL", NULL), "0 CRLs", "none");
	is_str(text_count(a, 1, "authority", "authorities"), "1 authority", "one of another kind");
	is_str(text_count(a, 12, "authority", "authorities"), "12 authorities", "many of them");
	text_escape_into(small, 1, bytes_of("1"));
	is_str(small, "", "a buffer of one byte");
	is_int((int64_t)utf8_width("abc"), 3, "ASCII is one column");
	is_int((int64_t)utf8_width("Gr\xc3\xbc\xc3\x9f" "e"), 5, "so is Latin");
	is_int((int64_t)utf8_width("e\xcc\x81"), 1, "a combining mark is none");
	is_int((int64_t)utf8_width("\xe8\xaf\x81\xe4\xb9\xa6"), 4, "Han is two each");
	is_int((int64_t)utf8_width(""), 0, "nothing is none");
}

static void test_names(struct arena *a)
{
	static const char *const verbs[] = { "create", "list", "show", "certificate", "revoke", "reissue", "import",
					     NULL };
	static const struct {
		const char *got, *want;
	} near[] = {
		{ "creat", "create" },	 { "craete", "create" },    { "lst", "list" },	 { "shwo", "show" },
		{ "cert", "certificate" },
		{ "REVOKE", "revoke" }, { "reisue", "reissue" }, { "Import", "import" }, { "frobnicate", NULL },
		{ "x", NULL },		 { "", NULL },		    { "xy", NULL },
	};
	static const char *const good_ids[] = { "a", "0", "iot-device", "a.b_c-d",
						"0123456789012345678901234567890123456789012345678901234567890123" };
	static const char *const bad_ids[] = { "", ".", "..", ".git", "-x", "_x", "A", "a/b", "../x", "a b", "a\n",
					       "\xc3\xa9", "a\x1b",
					       "01234567890123456789012345678901234567890123456789012345678901234" };
	char huge[200];

	for (size_t i = 0; i < COUNT(near); i++)
		is_str(text_nearest(near[i].got, verbs), near[i].want, near[i].got);
	memset(huge, 'c', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	is_str(text_nearest(huge, verbs), NULL, "a name without end is near nothing");
	for (size_t i = 0; i < COUNT(good_ids); i++)
		ok(id_valid(good_ids[i]), "\"%s\" is an id", good_ids[i]);
	for (size_t i = 0; i < COUNT(bad_ids); i++)
		ok(!id_valid(bad_ids[i]), "\"%s\" is not an id", text_escape(a, bytes_of(bad_ids[i])));
	ok(text_same_name("keyCompromise", "key_compromise"), "keyCompromise = key_compromise");
	ok(text_same_name("CA-Compromise", "cACompromise"), "CA-Compromise = cACompromise");
	ok(text_same_name("", "_"), "nothing = _");
	ok(!text_same_name("key", "keys") && !text_same_name("keys", "key"), "key is not keys");
	ok(text_has_prefix("profile", "pro") && text_has_prefix("x", "") && !text_has_prefix("pr", "pro"), "prefixes");
}

static void test_token(struct arena *a)
{
	static const char nul[] = "abc\0def";
	static const struct {
		const char *text, *want; /* NULL: refused */
	} cases[] = {
		{ "abc.def", "abc.def" }, { "abc\n", "abc" }, { " \t\r\nabc \t\r\n", "abc" }, { "!~", "!~" },
		{ "", NULL }, { " \n", NULL }, { "a b", NULL }, { "a\nb", NULL }, { "a\x7f", NULL }, { "\001", NULL },
		{ "a\xc3\xa9", NULL },
	};
	struct err e = { 0 };
	char *token;

	for (size_t i = 0; i < COUNT(cases); i++) {
		token = NULL;
		ok((text_token(a, bytes_of(cases[i].text), &token, &e) == 0) == !!cases[i].want, "a token, or none: %s",
		   text_escape(a, bytes_of(cases[i].text)));
		is_str(token, cases[i].want, "the token itself");
	}
	ok(text_token(a, (struct bytes){ 0 }, &token, &e) != 0 && e.code == ERR_INVALID, "nothing is no token");
	ok(text_token(a, (struct bytes){ (const unsigned char *)nul, sizeof(nul) - 1 }, &token, &e) != 0,
	   "no NUL in a token");
}

static void test_items(struct arena *a)
{
	struct strv v = text_items(a, ";a b|;c;", ";|");

	ok(v.set && v.n == 2, "empty items are dropped");
	is_str(v.v[0], "a b", "the first item");
	is_str(v.v[1], "c", "the last item");
	ok(text_items(a, "", ",").n == 0 && text_items(a, ",", ",").n == 0, "no items");
}

int main(void)
{
	SCOPED_ARENA *a = arena_new();

	test_encodings(a);
	test_url_forms(a);
	test_all_bytes(a);
	test_utf8(a);
	test_names(a);
	test_token(a);
	test_items(a);
	return done();
}
