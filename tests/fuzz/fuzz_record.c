/* A document that is accepted is written as it was understood: reading what was written gives the same record and the same
 * bytes, no text is cut at a NUL, and the JSON form is JSON. */
#include <stdlib.h>

#include "rec/node.h"
#include "rec/schema.h"

#include "../unit/sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void need(bool good)
{
	if (!good)
		abort();
}

/* Every character of every scalar must arrive: the bytes of the tree are those that the reader counted. */
static void check_round_trip(struct arena *a, const struct sample *s)
{
	SCOPED_BUF first = buf_init(BUF_BIG), second = buf_init(BUF_BIG), json = buf_init(BUF_BIG);
	struct sample again;
	struct node tree;
	struct err e = { 0 };

	rec_emit(&sample_type, s, &first);
	need(!first.over && strlen(buf_str(&first)) == first.n);
	rec_json(&sample_type, s, 0, &json);
	need(json_parse(a, "json", buf_bytes(&json), &tree, &e) == 0);
	if (first.n > REC_MAX_BYTES) /* indentation made it too large to be a document */
		return;
	need(rec_load(a, &sample_type, "again", buf_bytes(&first), &again, &e) == 0);
	rec_emit(&sample_type, &again, &second);
	need(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
	need(rec_equal(&sample_type, s, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	SCOPED_ARENA *a = arena_new();
	SCOPED_BUF edited = buf_init(REC_MAX_BYTES);
	struct bytes text = { data, n };
	struct sample s;
	struct err e = { 0 };

	if (rec_load(a, &sample_type, "doc", text, &s, &e) != 0) {
		need(e.code == ERR_INVALID && *e.msg);
		return 0;
	}
	check_round_trip(a, &s);
	if (rec_set(a, &sample_type, "doc", text, "metadata.key", "[value, 1]", &edited, &e) == 0) {
		struct sample changed;
		char *value;

		need(rec_load(a, &sample_type, "edited", buf_bytes(&edited), &changed, &e) == 0);
		need(rec_get(a, &sample_type, &changed, "metadata.key.1", &value, NULL, &e) == 0 && strcmp(value, "1") == 0);
		changed.metadata = s.metadata;
		need(rec_equal(&sample_type, &changed, &s));
	}
	return 0;
}
