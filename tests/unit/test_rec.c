/* Documents in, records out, and back: each row is a document and either what it is written as or why it is refused. */
#include <stdlib.h>

#include "base/text.h"
#include "rec/schema.h"

#include "sample.h"
#include "tap.h"

enum { ANY_KEY = 200 }; /* the longest key of free-form data */

struct row {
	const char *doc;
	const char *want; /* canonical text, or the message without "doc:" when it starts with a digit */
};

static const struct row rows[] = {
	/* the least, and the forms that a text may take */
	{ "id: a", "id: a\nhonest: false\n" },
	{ "---\nid: a\n...\n", "id: a\nhonest: false\n" },
	{ "\xEF\xBB\xBFid: a\r\nnote: b\r\n", "id: a\nnote: b\nhonest: false\n" },
	{ "{id: a, note: b}", "id: a\nnote: b\nhonest: false\n" },
	{ "{\"id\":\"a\",\"honest\":true}", "id: a\nhonest: true\n" },
	{ " \n{\"id\"\n:\"a\"\t,\t\"note\":\"\\/\\uD83D\\uDE00\\u00e9\\n\"}",
	  "id: a\nnote: |\n  /😀é\nhonest: false\n" },
	{ "id: a\ndescription: by its other name", "id: a\nnote: by its other name\nhonest: false\n" },
	/* the schema types scalars */
	{ "id: a\ncountry: no", "id: a\ncountry: \"no\"\nhonest: false\n" },
	{ "id: a\nnote: 1e3", "id: a\nnote: \"1e3\"\nhonest: false\n" },
	{ "id: a\nnote: 012", "id: a\nnote: \"012\"\nhonest: false\n" },
	{ "id: a\nnote: 1:30", "id: a\nnote: \"1:30\"\nhonest: false\n" },
	{ "id: a\nnote: 2026-01-01", "id: a\nnote: \"2026-01-01\"\nhonest: false\n" },
	{ "id: a\nnote: 12af", "id: a\nnote: 12af\nhonest: false\n" },
	{ "id: a\nnote: ''", "id: a\nnote: \"\"\nhonest: false\n" },
	{ "id: a\nnote: 'null'", "id: a\nnote: \"null\"\nhonest: false\n" },
	{ "{\"id\": \"a\", \"note\": null, \"metadata\": null}", "id: a\nhonest: false\n" },
	{ "id: a\nnote: '~'", "id: a\nnote: \"~\"\nhonest: false\n" },
	{ "id: a\nnote: '  x'", "id: a\nnote: \"  x\"\nhonest: false\n" },
	{ "id: a\nnote: 'x '", "id: a\nnote: \"x \"\nhonest: false\n" },
	{ "id: a\nnote: 'x #y'", "id: a\nnote: \"x #y\"\nhonest: false\n" },
	{ "id: a\nnote: 'x: y'", "id: a\nnote: \"x: y\"\nhonest: false\n" },
	{ "id: a\nnote: 'x:'", "id: a\nnote: \"x:\"\nhonest: false\n" },
	{ "id: a\nnote: '- x'", "id: a\nnote: \"- x\"\nhonest: false\n" },
	{ "id: a\nnote: '*:*'", "id: a\nnote: \"*:*\"\nhonest: false\n" },
	{ "id: a\nnote: '...'", "id: a\nnote: \"...\"\nhonest: false\n" },
	{ "id: a\nnote: CN=Acme, O=Äcme", "id: a\nnote: CN=Acme, O=Äcme\nhonest: false\n" },
	{ "id: a\nnote: http://x.example/?a=b&c", "id: a\nnote: http://x.example/?a=b&c\nhonest: false\n" },
	{ "id: a\nnote: \"a\\tb\\e\\x7f\\N\\L\\uFEFF\\\"\\\\\"",
	  "id: a\nnote: \"a\\tb\\x1B\\x7F\\x85\\u2028\\uFEFF\\\"\\\\\"\nhonest: false\n" },
	{ "id: a\nnote: |\n  one\n   two\n\n  three\n", "id: a\nnote: |\n  one\n   two\n\n  three\nhonest: false\n" },
	{ "id: a\nnote: |-\n  one\n  two\n", "id: a\nnote: |-\n  one\n  two\nhonest: false\n" },
	{ "id: a\nnote: |+\n  one\n\n", "id: a\nnote: \"one\\n\\n\"\nhonest: false\n" },
	{ "id: a\nnote: |2\n   one\n  two\n", "id: a\nnote: \" one\\ntwo\\n\"\nhonest: false\n" },
	{ "id: a\nnote: \"\\n\"", "id: a\nnote: \"\\n\"\nhonest: false\n" },
	/* every kind */
	{ "id: a\nlevel: +7\npath_length: 0\nenabled: FALSE",
	  "id: a\nlevel: 7\npath_length: 0\nenabled: false\nhonest: false\n" },
	{ "id: a\nlevel: 0\npath_length: -1\nenabled: true\ncountry: DE\nbackdate: 1m", "id: a\nhonest: false\n" },
	{ "id: a\nmode: TIME", "id: a\nhonest: false\nmode: Time\n" },
	{ "id: a\nmode: off", "id: a\nhonest: false\nmode: \"off\"\n" },
	{ "id: a\nusage: {digital_signature: true, cert_sign: false}",
	  "id: a\nhonest: false\nusage:\n  digital_signature: true\n" },
	{ "id: a\nusage: [CertSign, key-encipherment]",
	  "id: a\nhonest: false\nusage:\n  key_encipherment: true\n  cert_sign: true\n" },
	{ "id: a\nusage: DigitalSignature", "id: a\nhonest: false\nusage:\n  digital_signature: true\n" },
	{ "id: a\nusage: []", "id: a\nhonest: false\n" },
	{ "id: a\nbackdate: 60s", "id: a\nhonest: false\nbackdate: 60s\n" },
	{ "id: a\nbackdate: 0s", "id: a\nhonest: false\nbackdate: 0s\n" },
	{ "id: a\nuntil: 2030-01-31T13:00:00+01:00", "id: a\nhonest: false\nuntil: 2030-01-31T12:00:00Z\n" },
	{ "id: a\nseed: AAEC/w==", "id: a\nhonest: false\nseed: AAEC/w==\n" },
	{ "id: a\norganization: One", "id: a\nhonest: false\norganization: One\n" },
	{ "id: a\norganization: [One]", "id: a\nhonest: false\norganization: One\n" },
	{ "id: a\norganization: [One, 'T,wo']", "id: a\nhonest: false\norganization: [One, \"T,wo\"]\n" },
	{ "id: a\norganization: []", "id: a\nhonest: false\norganization: []\n" },
	{ "id: a\ntags:\n- x\n- yes\n", "id: a\nhonest: false\ntags: [x, \"yes\"]\n" },
	{ "id: a\ntags: [aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb]",
	  "id: a\nhonest: false\ntags:\n  - aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n  - "
	  "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n" },
	{ "id: a\nsizes: [2048, 384]", "id: a\nhonest: false\nsizes: [2048, 384]\n" },
	{ "id: a\nsizes: []", "id: a\nhonest: false\nsizes: []\n" },
	{ "id: a\nlimits: {mode: time, time: 2030-01-01}",
	  "id: a\nhonest: false\nlimits:\n  mode: Time\n  time: 2030-01-01T00:00:00Z\n" },
	{ "id: a\nlimits: {mode: duration, duration: 1y2w}",
	  "id: a\nhonest: false\nlimits:\n  mode: Duration\n  duration: 1y2w\n" },
	{ "id: a\nitems: [{oid: 1.2.3}, {text: b, oid: '4'}]",
	  "id: a\nhonest: false\nitems:\n  - oid: \"1.2.3\"\n  - oid: \"4\"\n    text: b\n" },
	{ "id: a\nparent: b\nfriends: c", "id: a\nhonest: false\nparent: b\nfriends: c\n" },
	{ "id: a\npin: ${HSM_PIN}", "id: a\nhonest: false\npin: \"${HSM_PIN}\"\n" },
	{ "id: a\npin: file:/run/pin", "id: a\nhonest: false\npin: file:/run/pin\n" },
	{ "id: a\nmetadata: {}", "id: a\nhonest: false\nmetadata: {}\n" },
	{ "id: a\nmetadata: text", "id: a\nhonest: false\nmetadata: text\n" },
	{ "id: a\nmetadata: {b: null, a: [1, +2, 0x1F, 0o17, 1.50, .5, 5., 1E3, 007, '8'], c: {d: True, e: ~, f: "
	  "no, 1: ''}}",
	  "id: a\nhonest: false\nmetadata:\n  b: null\n  a: [1, 2, 31, 15, 1.50, 0.5, 5.0, 1e3, \"007\", \"8\"]\n  c:\n"
	  "    d: true\n    e: null\n    f: \"no\"\n    \"1\": \"\"\n" },
	{ "id: a\nmetadata: [[1], [], {}, [{a: b, c: [[x]]}], |\n  1\n  2\n]",
	  "2:45: found character that cannot start any token" },
	{ "id: a\nmetadata: [[1], [], {}, [{a: b, c: [[x]]}], 'x y']",
	  "id: a\nhonest: false\nmetadata:\n  - [1]\n  - []\n  - {}\n  -\n    - a: b\n      c:\n        - [x]\n "
	  " - x y\n" },
	/* refusals: place, path, reason, nearest name */
	{ "", "1:1: the document is empty" },
	{ "# nothing\n", "2:1: the document is empty" },
	{ "- a", "1:1: must be a mapping" },
	{ "a", "1:1: must be a mapping" },
	{ "note: x", "1:1: id: is required" },
	{ "id: A", "1:5: id: not a valid id" },
	{ "id: ../x", "1:5: id: not a valid id" },
	{ "id: a\nid: b", "2:1: id: given twice" },
	{ "id: a\nnote: b\ndescription: c", "3:1: note: given twice" },
	{ "id: a\nenabld: true", "2:1: enabld: unknown field; did you mean \"enabled\"?" },
	{ "id: a\nlimits: {mode: Time, tme: x}", "2:22: limits.tme: unknown field; did you mean \"time\"?" },
	{ "id: a\nitems: [{oid: x}, {oid: y, oid: z}]", "2:28: items.1.oid: given twice" },
	{ "id: a\nitems: [{text: x}]", "2:9: items.0.oid: is required" },
	{ "id: a\nlimits: {mode: Time}", "2:9: limits: time: must be given" },
	{ "id: a\nnote:", "2:6: note: must not be empty or null" },
	{ "id: a\nnote: ~", "2:7: note: must not be empty or null" },
	{ "{\"id\": null,\n \"note\": null}", "1:8: id: must not be empty or null" },
	{ "id: a\nnote: null\nnote: null", "3:1: note: given twice" },
	{ "id: a\nnote: [x]", "2:7: note: must be a text, not a list" },
	{ "id: a\nlevel: x", "2:8: level: must be an integer, not \"x\"" },
	{ "id: a\nlevel: '5'", "2:8: level: must be an integer, not \"5\"" },
	{ "id: a\nlevel: 1.5", "2:8: level: must be an integer" },
	{ "id: a\nlevel: 101", "2:8: level: must be from -5 to 100" },
	{ "id: a\nlevel: 99999999999999999999", "2:8: level: must be from -5 to 100" },
	{ "id: a\nenabled: yes", "2:10: enabled: must be true or false, not \"yes\"" },
	{ "id: a\nenabled: 'true'", "2:10: enabled: must be true or false" },
	{ "id: a\nmode: Tim", "2:7: mode: \"Tim\" is not one of Duration, Time, off; did you mean \"Time\"?" },
	{ "id: a\nusage: {cert_sgn: true}", "2:9: usage: \"cert_sgn\" is not one of digital_signature, "
					    "key_encipherment, cert_sign; did you mean \"cert_sign\"?" },
	{ "id: a\nusage: [cert_sign, CertSign]", "2:20: usage.cert_sign: given twice" },
	{ "id: a\nbackdate: soon", "2:11: backdate: " },
	{ "id: a\nlimits: {mode: Duration, duration: 0s}", "2:36: limits.duration: must be from 1s to 100y" },
	{ "id: a\nuntil: tomorrow", "2:8: until: " },
	{ "id: a\nseed: '*'", "2:7: seed: must be base64" },
	{ "id: a\ntags: x", "2:7: tags: must be a list" },
	{ "id: a\ntags: [x, [y]]", "2:11: tags.1: must be a text, not a list" },
	{ "id: a\nsizes: [1, x]", "2:12: sizes.1: must be an integer" },
	{ "id: a\nparent: B/C", "2:9: parent: \"B/C\" is not a valid id" },
	{ "id: a\npin: 123456", "2:6: pin: a secret may only be given by reference" },
	{ "id: a\npin: ${}", "2:6: pin: a secret may only be given by reference" },
	{ "id: a\npin: 'env:'", "2:6: pin: a secret may only be given by reference" },
	{ "id: a\nstatus: ok", "2:1: status: is computed and cannot be given" },
	{ "id: a\nmetadata: {a: 1, b: 2, a: 3}", "2:24: metadata: this key is given twice" },
	{ "id: a\nmetadata: {a: .inf}", "2:15: metadata: infinity" },
	{ "id: a\nmetadata: {a: 9223372036854775808}", "2:15: metadata: a number this large must be quoted" },
	{ "id: a\nmetadata: {a: 1e999}", "2:15: metadata: a number this large must be quoted" },
	{ "id: &x a\nnote: *x", "1:5: anchors are not accepted" },
	{ "id: *x", "1:5: aliases are not accepted" },
	{ "id: !!str a", "1:5: tags are not accepted" },
	{ "id: ! a", "1:5: tags are not accepted" },
	{ "? [a]\n: b", "1:3: a key must be a scalar" },
	{ "id: a\n---\nid: b", "2:1: a second document is not accepted" },
	{ "id: \"a\\0b\"", "1:5: a NUL character is not accepted" },
	{ "{\"id\": \"a\\u0000b\"}", "1:16: a NUL character is not accepted" },
	{ "{\"id\": \"a\", \"note\": \"\\uD83D\"}", "1:28: half of a surrogate pair" },
	{ "{\"id\": \"a\", \"note\": \"\\uDE00\\uD83D\"}", "1:28: half of a surrogate pair" },
	{ "{\"id\": \"a\"} x", "1:13: text after the end" },
	{ "{\"id\": \"a\", \"b\"}", "1:13: b: unknown field" },
	{ "id: a\nnote: \"\x01\"", "2:8: control characters are not allowed" },
	{ "id: a\n\tnote: b", "2:1: found a tab character" },
	{ "id: a\nnote: \xFF\n", "2:1: not UTF-8 text" },
	{ "id: a\nnote: \xC3\n", "2:1: not UTF-8 text" },
	{ "id: '\x1B[31mred'", "1:6: control characters" },
};

static void run_row(const struct row *r)
{
	SCOPED_ARENA *a = arena_new();
	SCOPED_BUF first = buf_init(BUF_TEXT), second = buf_init(BUF_TEXT);
	struct sample s = { .level = 42 }, again;
	struct err e = { 0 };
	bool good = strncmp(r->want, "id:", 3) == 0;

	if (rec_load(a, &sample_type, "doc", bytes_of(r->doc), &s, &e) != 0) {
		bool same = !good && strncmp(e.msg, "doc:", 4) == 0 &&
			    strncmp(e.msg + 4, r->want, strlen(r->want)) == 0;

		ok(same, "refused: %s", text_escape(a, bytes_of(r->doc)));
		if (!same)
			printf("#   got: %s\n#  want: %s\n", e.msg, r->want);
		ok(s.level == 42 && e.code == ERR_INVALID, "the record is untouched");
		return;
	}
	rec_emit(&sample_type, &s, &first);
	ok(strncmp(buf_str(&first), r->want, strlen(r->want)) == 0, "%s", text_escape(a, bytes_of(r->doc)));
	if (strncmp(buf_str(&first), r->want, strlen(r->want)) != 0)
		printf("#   got: %s\n#  want: %s\n", text_escape(a, buf_bytes(&first)),
		       text_escape(a, bytes_of(r->want)));
	if (rec_load(a, &sample_type, "again", buf_bytes(&first), &again, &e) != 0) {
		ok(false, "reads its own output: %s", e.msg);
		return;
	}
	rec_emit(&sample_type, &again, &second);
	is_str(buf_str(&second), buf_str(&first), "the second writing equals the first");
	ok(rec_equal(&sample_type, &s, &again), "the second record equals the first");
}

/* Text that nobody writes by hand, and the beginning of what is said about it. */
static void refuse(const char *what, struct bytes text, const char *why)
{
	SCOPED_ARENA *a = arena_new();
	struct sample s;
	struct err e = { 0 };

	bool refused = rec_load(a, &sample_type, "doc", text, &s, &e) == -1;
	ok(refused && e.code == ERR_INVALID && strncmp(e.msg, why, strlen(why)) == 0, "%s: %s", what, e.msg);
}

static void repeat(struct buf *b, const char *s, size_t n)
{
	while (n--)
		buf_puts(b, s);
}

static void test_hostile(void)
{
	SCOPED_BUF b = buf_init(BUF_BIG);

	buf_puts(&b, "id: a\nmetadata:\n  a: &a [x,x,x,x,x,x,x,x,x]\n");
	for (char c = 'b'; c < 'z'; c++)
		buf_printf(&b, "  %c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c - 1, c - 1, c - 1, c - 1, c - 1,
			   c - 1, c - 1, c - 1);
	refuse("alias bomb", buf_bytes(&b), "doc:3:6: anchors are not accepted");

	buf_clear(&b);
	buf_puts(&b, "id: a\nnote: ");
	repeat(&b, "0123456789abcdef", 10 << 16);
	refuse("10 MB", buf_bytes(&b), "doc: larger than 1048576 bytes");

	buf_clear(&b);
	repeat(&b, "[", 1 << 19);
	refuse("deep flow", buf_bytes(&b), "doc:1:17: nested too deeply");
	buf_clear(&b);
	buf_puts(&b, "{\"id\":\"a\",\"metadata\":");
	repeat(&b, "[", 1 << 19);
	refuse("deep JSON", buf_bytes(&b), "doc:1:37: nested too deeply");
	buf_clear(&b);
	repeat(&b, "- ", 1 << 18);
	refuse("deep block", buf_bytes(&b), "doc:1:33: nested too deeply");
	buf_clear(&b);
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "%*sa:\n", i, "");
	refuse("deep mappings", buf_bytes(&b), "doc:17:17: nested too deeply");

	buf_clear(&b);
	buf_puts(&b, "id: a\nmetadata: [");
	repeat(&b, "1,", REC_MAX_NODES);
	refuse("many values", buf_bytes(&b), "doc:2:");
	buf_clear(&b);
	buf_puts(&b, "id: a\nmetadata: {");
	for (int i = 0; i < 40000; i++)
		buf_printf(&b, "k%d: 1, ", i * 7919 % 40000);
	buf_puts(&b, "k1: 2}");
	refuse("many keys, one of them twice", buf_bytes(&b), "doc:2:");
	buf_clear(&b);
	buf_puts(&b, "id: a\nmetadata: {");
	repeat(&b, "k", ANY_KEY + 1);
	buf_puts(&b, ": 2}");
	refuse("long key", buf_bytes(&b), "doc:2:12: metadata: this key is too long");

	refuse("NUL byte", (struct bytes){ (const unsigned char *)"id: a\nnote: x\0y\n", 16 },
	       "doc:2:1: not UTF-8 text");
	refuse("UTF-16", (struct bytes){ (const unsigned char *)"\xFF\xFEi\0d\0", 6 }, "doc:1:1: not UTF-8 text");
	refuse("nothing", (struct bytes){ NULL, 0 }, "doc:1:1: the document is empty");
}

/* What reads must be written, and read again as the same. */
static bool stable(struct bytes text)
{
	SCOPED_ARENA *a = arena_new();
	SCOPED_BUF first = buf_init(BUF_TEXT), second = buf_init(BUF_TEXT);
	struct sample s, again;
	struct err e = { 0 };

	if (rec_load(a, &sample_type, "doc", text, &s, &e) != 0)
		return e.code == ERR_INVALID && *e.msg;
	rec_emit(&sample_type, &s, &first);
	if (rec_load(a, &sample_type, "again", buf_bytes(&first), &again, &e) != 0)
		return false;
	rec_emit(&sample_type, &again, &second);
	return strcmp(buf_str(&first), buf_str(&second)) == 0 && rec_equal(&sample_type, &s, &again);
}

static void test_mutations(void)
{
	static const char *const docs[] = {
		"id: a\nnote: \"q\\u00e9\\n\"\nlevel: -3\nlimits:\n  mode: Time # c\n  time: 2030-01-01\ntags: [x, "
		"'y z']\n"
		"items:\n  - oid: 1.2\n    text: |\n      l1\n      l2\n  - {oid: x}\npin: ${P}\nusage: [CertSign]\n"
		"metadata: {a: [1.5, ~, {b: no}]}\n",
		"{\"id\": \"a\", \"note\": \"\\ud83d\\ude00\\/\", \"sizes\": [1, 22], \"limits\": {\"mode\": \"off\"}, "
		"\"metadata\": {\"x\": -1.5e+3, \"y\": [true, null]}}",
	};

	for (size_t d = 0; d < COUNT(docs); d++) {
		size_t n = strlen(docs[d]), bad = 0;
		char *copy = malloc(n);

		for (size_t i = 0; i < n; i++) {
			memcpy(copy, docs[d], n);
			for (int bit = 0; bit < 8; bit++) {
				copy[i] = (char)(docs[d][i] ^ 1 << bit);
				bad += !stable((struct bytes){ (const unsigned char *)copy, n });
			}
			copy[i] = docs[d][i];
			bad += !stable((struct bytes){ (const unsigned char *)copy, i });
		}
		free(copy);
		is_int((int64_t)bad, 0, "every flipped bit and every prefix is refused or stable");
	}
}

/* Records that were built in memory are held to the same rules. */
static void test_check(void)
{
	SCOPED_ARENA *a = arena_new();
	struct sample_item items[2] = { { .oid = arena_strdup(a, "1") }, { 0 } };
	struct sample s;
	struct err e = { 0 };

	rec_default(a, &sample_type, &s);
	is_str(s.country, "DE", "a default");
	is_int(s.backdate.secs, 60, "a default duration");
	ok(rec_check(a, &sample_type, &s, &e) == -1, "required");
	is_str(e.msg, "id: is required", "required");
	s.id = arena_strdup(a, "No!");
	ok(rec_check(a, &sample_type, &s, &e) == -1 && strncmp(e.msg, "id: not a valid id", 18) == 0, "%s", e.msg);
	s.id = arena_strdup(a, "a");
	ok(rec_check(a, &sample_type, &s, &e) == 0, "good");
	s.limits.mode = MODE_TIME;
	ok(rec_check(a, &sample_type, &s, &e) == -1, "a rule of a part");
	is_str(e.msg, "limits: time: must be given", "its path");
	s.limits.time = 1;
	s.items = (struct vec){ items, 2 };
	ok(rec_check(a, &sample_type, &s, &e) == -1, "an item of a list");
	is_str(e.msg, "items.1: oid: is required", "its path");
}

struct open_record {
	char *id, *config;
};
static const struct field open_fields[] = {
	STR(open_record, id, "Identifier.", .flags = F_REQ),
	ANY(open_record, config, "Whatever is not named.", .flags = F_REST),
	END
};
static const struct schema open_type = { "open", "opens", NULL, "Open.", sizeof(struct open_record), open_fields,
					 NULL };

static void test_rest(void)
{
	static const char *const docs[][2] = {
		{ "id: a", NULL },
		{ "id: a\nconfig: {x: 1}", "{\"x\":1}" },
		{ "id: a\nx: 1\nconfig: {y: [no]}\nz: {}", "{\"x\":1,\"y\":[\"no\"],\"z\":{}}" },
		{ "id: a\nx: 1\nconfig: {x: 2}", "!doc:3:10: config: this key is given twice" },
		{ "id: a\nconfig: {x: 2}\nconfig: {y: 1}", "!doc:3:1: config: given twice" },
		{ "id: a\nconfig: 1", "!doc:2:9: config: must be a mapping" },
	};

	for (size_t i = 0; i < COUNT(docs); i++) {
		SCOPED_ARENA *a = arena_new();
		struct open_record r = { 0 };
		struct err e = { 0 };
		int rc = rec_load(a, &open_type, "doc", bytes_of(docs[i][0]), &r, &e);

		is_str(rc == 0 ? r.config : arena_printf(a, "!%s", e.msg), docs[i][1], docs[i][0]);
	}
	SCOPED_ARENA *a = arena_new();
	SCOPED_BUF out = buf_init(BUF_TEXT);
	struct err e = { 0 };
	ok(rec_set(a, &open_type, "doc", bytes_of("id: a\npin: x\n"), "pin", "y z", &out, &e) == 0, "set beside %s",
	   e.msg);
	is_str(buf_str(&out), "id: a\npin: y z\n", "set beside");
}

int main(void)
{
	test_check();
	test_rest();
	for (size_t i = 0; i < COUNT(rows); i++)
		run_row(&rows[i]);
	test_hostile();
	test_mutations();
	return done();
}
