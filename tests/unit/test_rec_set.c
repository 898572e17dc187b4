/* Edits in place: rows of document, path, value -> the new document, byte for byte, or the message. Then a loop that
 * sets and removes everything everywhere and checks that nothing else changed. */
#include <stdlib.h>

#include "rec/schema.h"

#include "sample.h"
#include "tap.h"

struct row {
	const char *doc, *path, *value, *want; /* value NULL: remove; want "!…": the beginning of the message */
};

static const struct row rows[] = {
	/* a scalar gives way to a scalar; comments and order stay */
	{ "# top\nid: a   # the id\nlevel:   3 # why\n\nnote: x\n", "level", "7",
	  "# top\nid: a   # the id\nlevel:   7 # why\n\nnote: x\n" },
	{ "id: a\nnote: 'x' # y\n", "note", "a: b #c", "id: a\nnote: \"a: b #c\" # y\n" },
	{ "id: a\nnote: x\n", "note", "no", "id: a\nnote: \"no\"\n" },
	{ "id: a\nnote: x\n", "note", "\"quoted \\u00e9\"", "id: a\nnote: quoted é\n" },
	{ "id: a\nnote: x\n", "note", "\"a\": b", "id: a\nnote: \"\\\"a\\\": b\"\n" },
	{ "id: a\nnote: x\n", "note", "one\ntwo", "id: a\nnote: \"one\\ntwo\"\n" },
	{ "id: a\nnote: x\n", "note", "", "id: a\nnote: \"\"\n" },
	{ "id: a\nnote: |\n  one\n  two\n\n# c\nlevel: 1\n", "note", "x", "id: a\nnote: x\n\n# c\nlevel: 1\n" },
	{ "id: a\nnote: >-\n  one\n  two", "note", "x", "id: a\nnote: x" },
	{ "id: a\nnote: one\n  two\nlevel: 1\n", "note", "x", "id: a\nnote: x\nlevel: 1\n" },
	{ "id: a\r\nnote: x\r\nlevel: 1\r\n", "note", "z", "id: a\r\nnote: z\r\nlevel: 1\r\n" },
	{ "\xEF\xBB\xBFid: a\nnote: x\n", "note", "é", "\xEF\xBB\xBFid: a\nnote: é\n" },
	{ "id: a\nnote: ééé # ü\nlevel: 1 # ö\n", "level", "2", "id: a\nnote: ééé # ü\nlevel: 2 # ö\n" },
	{ "id: a\ndescription: x\n", "note", "z", "id: a\ndescription: z\n" },
	{ "id: a\nnote:\nlevel: 1\n", "note", "z", "id: a\nnote: z\nlevel: 1\n" },
	{ "id: a\nenabled: false\n", "enabled", "TRUE", "id: a\nenabled: true\n" },
	{ "id: a\nuntil: 2030-01-01\n", "until", "2031-01-01T00:00:00Z", "id: a\nuntil: \"2031-01-01T00:00:00Z\"\n" },
	/* lists and mappings */
	{ "id: a\ntags: [x, y] # c\n", "tags", "[z, no]", "id: a\ntags: [z, \"no\"] # c\n" },
	{ "id: a\ntags: # c\n  - x # d\n  - y\nlevel: 1\n", "tags", "[z]", "id: a\ntags: [z] # c\nlevel: 1\n" },
	{ "id: a\ntags:\n- x\n- y\nlevel: 1\n", "tags", "z", "id: a\ntags: [z]\nlevel: 1\n" },
	{ "id: a\ntags:\n- x # 0\n- y\nlevel: 1\n", "tags.0", "z", "id: a\ntags:\n- z # 0\n- y\nlevel: 1\n" },
	{ "id: a\ntags:\n- x # 0\n- y # 1\nlevel: 1\n", "tags.2", "z",
	  "id: a\ntags:\n- x # 0\n- y # 1\n- z\nlevel: 1\n" },
	{ "id: a\ntags:\n  - x\n  - y", "tags.2", "0x1F", "id: a\ntags:\n  - x\n  - y\n  - \"0x1F\"\n" },
	{ "id: a\ntags: [x]\n", "tags.1", "z, y", "id: a\ntags: [x, \"z, y\"]\n" },
	{ "id: a\ntags: []\n", "tags.0", "z", "id: a\ntags: [z]\n" },
	{ "id: a\ntags: [\n  x,\n  y\n]\n", "tags.2", "z", "id: a\ntags: [\n  x,\n  y,\n  z\n]\n" },
	{ "id: a\ntags: [x]\n", "tags.2", "z", "!tags.2: the list has 1 item" },
	{ "id: a\ntags: [x]\n", "tags.y", "z", "!tags.y: tags has no part \"y\"" },
	{ "id: a\nsizes: [1, 2]\n", "sizes.1", "3", "id: a\nsizes: [1, 3]\n" },
	{ "id: a\nsizes: [1, 2]\n", "sizes", "[]", "id: a\nsizes: []\n" },
	{ "id: a\norganization: One\n", "organization", "[A, B]", "id: a\norganization: [A, B]\n" },
	{ "id: a\norganization: One\n", "organization", "A, B", "id: a\norganization: A, B\n" },
	{ "id: a\nlimits: # c\n  mode: Duration # d\n  duration: 1y\nlevel: 1\n", "limits.duration", "2y",
	  "id: a\nlimits: # c\n  mode: Duration # d\n  duration: 2y\nlevel: 1\n" },
	{ "id: a\nlimits: {mode: Duration}\n", "limits", "{mode: time, time: 2030-01-01}",
	  "id: a\nlimits: {mode: time, time: \"2030-01-01\"}\n" },
	{ "id: a\nitems:\n  - oid: '1' # c\n  - oid: x\n    text: y\n", "items.1.text", "z",
	  "id: a\nitems:\n  - oid: '1' # c\n  - oid: x\n    text: z\n" },
	{ "id: a\nitems:\n  - oid: '1' # c\n", "items.0.text", "1.0",
	  "id: a\nitems:\n  - oid: '1' # c\n    text: \"1.0\"\n" },
	{ "id: a\nitems:\n  - oid: x\n", "items.1.oid", "1.0", "id: a\nitems:\n  - oid: x\n  - oid: \"1.0\"\n" },
	{ "id: a\nitems: [{oid: x}]\n", "items.1", "{oid: 1.10}", "id: a\nitems: [{oid: x}, {oid: \"1.10\"}]\n" },
	/* what is missing is made */
	{ "id: a", "level", "7", "id: a\nlevel: 7\n" },
	{ "id: a # c\n# end\n", "level", "7", "id: a # c\nlevel: 7\n# end\n" },
	{ "id: a\r\nnote: x\r\n", "limits.mode", "Time", "!doc:4:3: limits: time: must be given" },
	{ "id: a\r\nnote: x\r\n", "limits.mode", "Duration", "id: a\r\nnote: x\r\nlimits:\r\n  mode: Duration\r\n" },
	{ "id: a\nlimits:\n  mode: Duration\nlevel: 1\n", "limits.duration", "90d",
	  "id: a\nlimits:\n  mode: Duration\n  duration: 90d\nlevel: 1\n" },
	{ "  id: a\n  note: |\n    x\n", "level", "7", "  id: a\n  note: |\n    x\n  level: 7\n" },
	{ "id: a\nnote: |\n  x\n\n\nlevel: 1\n", "mode", "off", "id: a\nnote: |\n  x\n\n\nlevel: 1\nmode: \"off\"\n" },
	{ "id: a\nnote: |\n  x\n\n\n", "mode", "off", "id: a\nnote: |\n  x\n\n\nmode: \"off\"\n" },
	{ "id: a\nnote: |+\n  x\n\n\n", "mode", "off", "id: a\nnote: |+\n  x\n\n\nmode: \"off\"\n" },
	{ "---\nid: a\n...\n", "mode", "off", "---\nid: a\nmode: \"off\"\n...\n" },
	{ "{id: a}", "mode", "off", "{id: a, mode: \"off\"}" },
	{ "{id: a,}", "level", "1", "{id: a, level: 1,}" },
	{ "id: a\ntags: [x]\n", "items.0.oid", "z", "id: a\ntags: [x]\nitems:\n  - oid: z\n" },
	{ "id: a\n", "tags.0", "z", "id: a\ntags: [z]\n" },
	{ "id: a\n", "tags.1", "y", "!tags.1: the list tags is empty, so start at 0" },
	{ "id: a\n", "usage.cert_sign", "true", "id: a\nusage:\n  cert_sign: true\n" },
	{ "id: a\nusage:\n  CertSign: true\n", "usage.cert_sign", "false", "id: a\nusage:\n  CertSign: false\n" },
	{ "id: a\nusage: [CertSign]\n", "usage.key_encipherment", "true",
	  "id: a\nusage: {cert_sign: true, key_encipherment: true}\n" },
	{ "id: a\nusage: CertSign\n", "usage.cert_sign", NULL, "id: a\nusage: {}\n" },
	{ "id: a\nusage: {}\n", "usage.cert_sgn", "true", "!usage.cert_sgn: usage has no part" },
	/* free-form data */
	{ "id: a\n", "metadata.site", "Turin", "id: a\nmetadata:\n  site: Turin\n" },
	{ "id: a\nmetadata: {}\n", "metadata.a.b", "1.50", "id: a\nmetadata: {a: {b: 1.50}}\n" },
	{ "id: a\nmetadata:\n  x.y: {z: 1} # c\n", "metadata.x.y.z", "\"2\"",
	  "id: a\nmetadata:\n  x.y: {z: \"2\"} # c\n" },
	{ "id: a\nmetadata:\n  l: [1]\n", "metadata.l.1", "null", "id: a\nmetadata:\n  l: [1, null]\n" },
	{ "id: a\nmetadata:\n  l: [1]\n", "metadata.l.x", "null", "!metadata.l.x: there is no \"x\" in a list" },
	{ "id: a\nmetadata:\n  l: 1\n", "metadata.l", "[a, 'b c', {d: e}]",
	  "id: a\nmetadata:\n  l: [a, b c, {d: e}]\n" },
	/* JSON stays JSON */
	{ "{\"id\": \"a\", \"level\": 1}", "level", "2", "{\"id\": \"a\", \"level\": 2}" },
	{ "{\"id\":\"a\"}", "note", "é\"", "{\"id\":\"a\", \"note\": \"é\\\"\"}" },
	{ "{\n  \"id\": \"a\"\n}\n", "limits", "{mode: Duration, duration: 1y}",
	  "{\n  \"id\": \"a\",\n  \"limits\": {\"mode\":\"Duration\",\"duration\":\"1y\"}\n}\n" },
	{ "{\r\n\t\"id\": \"\\ud83d\\ude00\", \"x\": 1\r\n}", "id", "b", "!doc:2:13: x: unknown field" },
	{ "{\r\n\t\"id\": \"a\",\r\n\t\"note\": \"\\ud83d\\ude00\"\r\n}", "enabled", "false",
	  "{\r\n\t\"id\": \"a\",\r\n\t\"note\": \"\\ud83d\\ude00\",\r\n\t\"enabled\": false\r\n}" },
	/* removal */
	{ "id: a\n# about x\nnote: x # y\nlevel: 1\n", "note", NULL, "id: a\n# about x\nlevel: 1\n" },
	{ "id: a\nnote: |\n  x\n  y\nlevel: 1\n", "note", NULL, "id: a\nlevel: 1\n" },
	{ "id: a\ntags:\n  - x\n  - y\nlevel: 1\n", "tags", NULL, "id: a\nlevel: 1\n" },
	{ "id: a\ntags:\n  - x\n  - y\nlevel: 1\n", "tags.0", NULL, "id: a\ntags:\n  - y\nlevel: 1\n" },
	{ "id: a\ntags:\n  - x\nlevel: 1\n", "tags.0", NULL, "id: a\ntags: []\nlevel: 1\n" },
	{ "id: a\ntags: [x, y, z]\n", "tags.1", NULL, "id: a\ntags: [x, z]\n" },
	{ "id: a\ntags: [x, y, z]\n", "tags.0", NULL, "id: a\ntags: [y, z]\n" },
	{ "id: a\ntags: [x]\n", "tags.0", NULL, "id: a\ntags: []\n" },
	{ "id: a\nmetadata:\n  b: 1\nlevel: 1", "metadata.b", NULL, "id: a\nlevel: 1" },
	{ "id: a\nmetadata: {b: 1, c: {d: 2}}\n", "metadata.c.d", NULL, "id: a\nmetadata: {b: 1}\n" },
	{ "id: a\nitems:\n  - text: x\n    oid: y\n", "items.0.text", NULL, "id: a\nitems:\n  - oid: y\n" },
	{ "{\"id\": \"a\", \"note\": \"x\"}", "note", NULL, "{\"id\": \"a\"}" },
	{ "{\"note\": \"x\", \"id\": \"a\"}", "note", NULL, "{\"id\": \"a\"}" },
	{ "id: a\n", "id", NULL, "!doc:1:1: id: is required" },
	{ "id: a\n", "note", NULL, "!note is not set" },
	{ "id: a\n", "metadata.x", NULL, "!metadata.x is not set" },
	/* refusals */
	{ "id: a\n", "nte", "x", "!unknown field \"nte\"; did you mean \"note\"?" },
	{ "id: a\n", "limits.zzzzzz", "x", "!unknown field \"zzzzzz\"; known are " },
	{ "id: a\n", "limits.tme", "x", "!unknown field \"tme\"; did you mean \"time\"?" },
	{ "id: a\n", "status", "x", "!status: is computed" },
	{ "id: a\n", "level", "high", "!doc:2:8: level: must be an integer, not \"high\"" },
	{ "id: a\n", "level", "[", "!level:2:1: " },
	{ "id: a\n", "note.x", "y", "!note.x: note has no part \"x\"" },
	{ "id: a\n", "pin", "1234", "!doc:2:6: pin: a secret may only be given by reference" },
	{ "id: a\nnote: *x\n", "level", "1", "!doc:2:7: aliases are not accepted" },
	{ "id: a\n", "note", "\xFF", "!path and value must be UTF-8" },
	{ "id: a\n", "metadata.a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r", "1", "!doc:" },
};

static void run_row(const struct row *r)
{
	SCOPED_ARENA *a = arena_new();
	SCOPED_BUF out = buf_init(BUF_TEXT);
	struct err e = { 0 };

	if (rec_set(a, &sample_type, "doc", bytes_of(r->doc), r->path, r->value, &out, &e) == 0) {
		is_str(buf_str(&out), r->want, r->path);
		return;
	}
	bool same = *r->want == '!' && strncmp(e.msg, r->want + 1, strlen(r->want + 1)) == 0;
	ok(same, "%s: %s", r->path, e.msg);
	if (!same)
		printf("#  want: %s\n", r->want);
	ok(out.n == 0, "nothing is written");
}

/* Setting a field and removing it again gives the record back, in every layout. */
static void there_and_back(const char *doc, const char *path, const char *value)
{
	SCOPED_ARENA *a = arena_new();
	SCOPED_BUF set = buf_init(BUF_TEXT), back = buf_init(BUF_TEXT);
	struct sample before, after;
	struct err e = { 0 };
	char *text;

	if (rec_load(a, &sample_type, "doc", bytes_of(doc), &before, &e) != 0 ||
	    rec_get(a, &sample_type, &before, path, &text, NULL, &e) != 0) {
		ok(false, "%s: %s", doc, e.msg);
		return;
	}
	bool good = rec_set(a, &sample_type, "doc", bytes_of(doc), path, value, &set, &e) == 0 &&
		    rec_set(a, &sample_type, "set", buf_bytes(&set), path, NULL, &back, &e) == 0 &&
		    rec_load(a, &sample_type, "back", buf_bytes(&back), &after, &e) == 0;
	ok(good && rec_equal(&sample_type, &before, &after), "%s there and back: %s", path, e.msg);
}

int main(void)
{
	static const char *const layouts[] = {
		"id: a\n", "id: a", "{id: a}", "{\"id\":\"a\"}", "{\n  \"id\": \"a\"\n}\n", "# c\nid: a # c\n# d\n",
		"  id: a\n",
		"id: a\r\nnote: |\r\n  x\r\n", "---\nid: a\nitems:\n- oid: x\n  text: y\n...\n",
		"{id: a, tags: [\n  x,\n  y ]\n}\n",
	};
	static const char *const sets[][2] = {
		{ "level", "5" }, { "parent", "p" }, { "sizes", "[1, 2]" }, { "limits.mode", "off" },
		{ "until", "2030-01-01" },
		{ "usage.cert_sign", "true" }, { "metadata.a.b", "{c: [d, 1]}" }, { "friends", "[f, g]" },
		{ "pin", "env:P" },
		{ "country", "no" }, { "seed", "AAAA" },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		run_row(&rows[i]);
	for (size_t i = 0; i < COUNT(layouts); i++)
		for (size_t k = 0; k < COUNT(sets); k++)
			there_and_back(layouts[i], sets[k][0], sets[k][1]);
	return done();
}
