/* A document that is accepted is written as it was understood: reading what was written gives the same record and the
 * same bytes, no text is cut at a NUL, the JSON form is JSON, and an edit changes nothing else. */
#include <stdlib.h>

#include <jansson.h>

#include "base/text.h"
#include "rec/node.h"
#include "rec/schema.h"

#include "../unit/sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void need(bool good)
{
	if (!good)
		abort();
}

static bool same_tree(const struct node *x, const struct node *y)
{
	bool same = x->kind == y->kind && x->plain == y->plain && x->flow == y->flow && x->n == y->n &&
		    x->line == y->line &&
		    x->column == y->column && x->at == y->at && x->end == y->end;

	if (same && x->kind == NODE_SCALAR)
		return strcmp(x->text, y->text) == 0;
	for (size_t i = 0; same && i < x->n; i++)
		same = same_tree(&x->items[i], &y->items[i]);
	return same;
}

/* The reader for common shapes reads what libyaml reads. */
static void check_flat(struct arena *a, struct bytes text)
{
	struct node flat, yaml;
	struct err e = { 0 };

	if (utf8_valid(text) && flat_parse(a, text, &flat))
		need(yaml_parse(a, "doc", text, &yaml, &e) == 0 && same_tree(&flat, &yaml));
}

/* A parser that is not ours takes our JSON. */
static void check_json(const struct buf *json)
{
	json_t *j = json_loadb(buf_str(json), json->n, JSON_REJECT_DUPLICATES, NULL);

	need(j);
	json_decref(j);
}

static void check_round_trip(struct arena *a, const struct sample *s)
{
	SCOPED_BUF first = buf_init(BUF_BIG), second = buf_init(BUF_BIG), json = buf_init(BUF_BIG);
	struct sample again;
	struct err e = { 0 };

	rec_emit(&sample_type, s, &first);
	need(!first.over && strlen(buf_str(&first)) == first.n);
	rec_json(&sample_type, s, 0, &json);
	check_json(&json);
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

	check_flat(a, text);
	if (rec_load(a, &sample_type, "doc", text, &s, &e) != 0) {
		need(e.code == ERR_INVALID && *e.msg);
		return 0;
	}
	check_round_trip(a, &s);
	if (rec_set(a, &sample_type, "doc", text, "metadata.key", "[value, 1]", &edited, &e) == 0) {
		struct sample changed;
		char *value;

		need(rec_load(a, &sample_type, "edited", buf_bytes(&edited), &changed, &e) == 0);
		need(rec_get(a, &sample_type, &changed, "metadata.key", &value, NULL, &e) == 0);
		need(strcmp(value, "value, 1") == 0);
		changed.metadata = s.metadata;
		need(rec_equal(&sample_type, &changed, &s));
	}
	return 0;
}
