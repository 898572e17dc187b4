/* What a field table says about itself: JSON Schema and manual page, and the views that JSON and YAML output give. */
#include "rec/schema.h"

#include "sample.h"
#include "tap.h"

static bool has(const struct buf *b, const char *part)
{
	return ok(strstr(buf_str(b), part) != NULL, "has %s", part);
}

static void test_json_schema(void)
{
	SCOPED_BUF b = buf_init(BUF_TEXT);
	SCOPED_ARENA *a = arena_new();
	char *version;

	schema_json(&sample_type, &b);
	version = any_get(a, buf_str(&b), "$schema");
	is_str(version, "https://json-schema.org/draft/2020-12/schema", "is JSON and says which dialect");
	is_str(any_get(a, buf_str(&b), "required"), "[\"id\"]", "required fields");
	is_str(any_get(a, buf_str(&b), "additionalProperties"), "false", "no others");
	char *properties = any_get(a, buf_str(&b), "properties");
	is_str(any_get(a, properties, "level"),
	       "{\"type\":\"integer\",\"minimum\":-5,\"maximum\":100,\"description\":\"A number.\"}", "an integer");
	is_str(any_get(a, properties, "mode"), "{\"enum\":[\"Duration\",\"Time\",\"off\"],\"description\":\"How.\"}",
	       "an enum");
	is_str(any_get(a, properties, "enabled"),
	       "{\"type\":\"boolean\",\"description\":\"On or off.\",\"default\":true}",
	       "a default");
	is_str(any_get(a, any_get(a, properties, "limits"), "required"), "[\"mode\"]", "a nested object");
	is_str(any_get(a, properties, "metadata"), "{\"description\":\"Whatever.\"}", "anything");
	is_str(any_get(a, properties, "status"), NULL, "computed fields are not in it");
	is_str(any_get(a, any_get(a, properties, "description"), "deprecated"), "true", "other names are deprecated");
}

static void test_manual(void)
{
	SCOPED_BUF b = buf_init(BUF_TEXT);

	schema_mdoc(&sample_type, &b);
	has(&b, ".Bl -tag -width Ds\n.It Cm \"id\" Pq text, required\nIdentifier.\n");
	has(&b, "Any text.\nWith two sentences.\n");
	has(&b, "One of\n.Cm \"Duration\" ,\n.Cm \"Time\" ,\n.Cm \"off\" .\n");
	has(&b, "From -5 to 100.\n");
	has(&b, "The default is\n.Ql \"DE\" .\n");
	has(&b, "Also accepted as\n.Cm \"description\" .\n");
	has(&b, ".It Cm \"status\" Pq text, computed\n");
}

static void test_views(void)
{
	static const char doc[] = "{id: a, note: \"x\\ny\\e\", pin: 'env:PIN', usage: cert_sign, metadata: {b: 1.50, "
				  "a: [no]}, organization: [One], sizes: [], items: [{oid: x}]}";
	SCOPED_ARENA *a = arena_new();
	SCOPED_BUF json = buf_init(BUF_TEXT), pretty = buf_init(BUF_TEXT), yaml = buf_init(BUF_TEXT);
	struct sample s;
	struct err e = { 0 };

	ok(rec_load(a, &sample_type, "doc", bytes_of(doc), &s, &e) == 0, "loads %s", e.msg);
	s.status = arena_strdup(a, "ACTIVE");
	s.until = 1900000000;
	rec_json(&sample_type, &s, 0, &json);
	is_str(buf_str(&json),
	       "{\"id\":\"a\",\"note\":\"x\\ny\\u001b\",\"country\":\"DE\",\"level\":0,"
	       "\"enabled\":true,\"honest\":false,"
	       "\"mode\":\"Duration\",\"usage\":{\"cert_sign\":true},\"backdate\":\"1m\","
	       "\"until\":\"2030-03-17T17:46:40Z\","
	       "\"organization\":\"One\",\"sizes\":[],\"items\":[{\"oid\":\"x\",\"text\":\"none\"}],\"pin\":\"***\","
	       "\"metadata\":{\"b\":1.50,\"a\":[\"no\"]},\"status\":\"ACTIVE\"}",
	       "JSON");
	rec_json(&sample_type, &s, 2, &pretty);
	has(&pretty, "{\n  \"id\": \"a\",\n");
	has(&pretty, "  \"sizes\": [],\n");
	has(&pretty, "    {\n      \"oid\": \"x\",\n");
	s.note = arena_strdup(a, "\xF0\x9F"); /* from a certificate, say */
	s.status = arena_strdup(a, "\xFF""x");
	rec_show_yaml(&sample_type, &s, &yaml);
	has(&yaml, "note: \"\\\\xf0\\\\x9f\"\n");
	has(&yaml, "pin: \"***\"\n");
	has(&yaml, "until: 2030-03-17T17:46:40Z\n");
	has(&yaml, "status: \"\\\\xffx\"\n");
}

static void test_paths(void)
{
	static const char doc[] = "{id: a, limits: {mode: Time, time: 2030-01-01}, tags: [x, 'y, z'], pin: 'env:PIN', "
				  "usage: [cert_sign, digital_signature], items: [{oid: o}], "
				  "metadata: {a.b: {c: [1, {d: deep}]}, n: null, t: text}}";
	static const char *const rows[][2] = {
		{ "id", "a" }, { "limits.mode", "Time" }, { "limits.time", "2030-01-01T00:00:00Z" },
		{ "tags", "x, y, z" },
		{ "tags.1", "y, z" }, { "tags.2", NULL }, { "pin", "***" }, { "usage", "digital_signature, cert_sign" },
		{ "usage.key_encipherment", "false" }, { "items", "{\"oid\":\"o\",\"text\":\"none\"}" },
		{ "items.0.oid", "o" },
		{ "items.1.oid", NULL }, { "metadata.a.b.c.1.d", "deep" }, { "metadata.a.b.c", "1, {\"d\":\"deep\"}" },
		{ "metadata.n", NULL }, { "metadata.t", "text" }, { "metadata.x.y", NULL }, { "until", NULL },
		{ "path_length", NULL }, { "note", NULL }, { "Level", "0" }, { "backdate", "1m" },
	};
	SCOPED_ARENA *a = arena_new();
	const struct field *f;
	struct sample s;
	struct err e = { 0 };
	char *text;

	ok(rec_load(a, &sample_type, "doc", bytes_of(doc), &s, &e) == 0, "loads %s", e.msg);
	for (size_t i = 0; i < COUNT(rows); i++) {
		ok(rec_get(a, &sample_type, &s, rows[i][0], &text, NULL, &e) == 0, "%s %s", rows[i][0], e.msg);
		is_str(text, rows[i][1], rows[i][0]);
	}
	ok(rec_get(a, &sample_type, &s, "limits.time", &text, &f, &e) == 0 && f->kind == F_TIME, "the field of a path");
	ok(rec_get(a, &sample_type, &s, "leven", &text, NULL, &e) == -1, "unknown");
	is_str(e.msg, "unknown field \"leven\"; did you mean \"level\"?", "nearest name");
}

static int collect(void *arg, const char *key, const char *value)
{
	struct buf *b = arg;

	buf_printf(b, "%s=%s;", key, value);
	return 0;
}

static void test_any(void)
{
	SCOPED_ARENA *a = arena_new();
	SCOPED_BUF b = buf_init(BUF_TEXT);
	struct err e = { 0 };
	char *j;

	ok(any_set(a, NULL, "a", "1.50", &j, &e) == 0, "set");
	is_str(j, "{\"a\":1.50}", "a number as written");
	ok(any_set(a, j, "b", "no \"json\"", &j, &e) == 0 && any_set(a, j, "a", "{\"x\":[]}", &j, &e) == 0, "set more");
	is_str(j, "{\"a\":{\"x\":[]},\"b\":\"no \\\"json\\\"\"}", "order is kept");
	is_str(any_get(a, j, "b"), "no \"json\"", "a text");
	is_str(any_get(a, j, "a"), "{\"x\":[]}", "a mapping");
	is_str(any_get(a, j, "c"), NULL, "absent");
	is_str(any_get(a, NULL, "c"), NULL, "nothing");
	ok(any_each(a, j, collect, &b) == 0, "each");
	is_str(buf_str(&b), "a={\"x\":[]};b=no \"json\";", "each");
	ok(any_unset(a, j, "a", &j, &e) == 0, "unset");
	is_str(j, "{\"b\":\"no \\\"json\\\"\"}", "unset");
	ok(any_unset(a, j, "a", &j, &e) == -1 && e.code == ERR_NOT_FOUND, "unset what is absent");
	ok(any_set(a, "[1]", "a", "1", &j, &e) == -1, "not a mapping");
	ok(any_set(a, j, "a", "\xFF", &j, &e) == -1, "not UTF-8");
}

int main(void)
{
	test_json_schema();
	test_manual();
	test_views();
	test_paths();
	test_any();
	return done();
}
