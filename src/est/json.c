/* Answers and tokens of others. Guarantees: what is not strict JSON is refused, so that nobody reads it in another way;
 * a number is no text and a text no number. */
#include "est/json.h"

#include <stdlib.h>
#include <string.h>

int est_json(struct arena *a, const char *what, struct bytes text, struct node *ret, struct err *e)
{
	const struct node *bad;
	const char *why;
	struct doc doc;

	if (text.n == 0 || doc_parse(a, what, text, &doc, e) != 0)
		return text.n == 0 ? err_set(e, ERR_INVALID, "%s: is empty", what) : -1;
	if (!doc.json || doc.root.kind != NODE_MAP)
		return err_set(e, ERR_INVALID, "%s: is no JSON object", what);
	if (any_resolve(a, &doc.root, &bad, &why) != 0)
		return err_set(e, ERR_INVALID, "%s: %s", what, why);
	*ret = doc.root;
	return 0;
}

static const struct node *scalar(const struct node *object, const char *name, bool plain)
{
	const struct node *n = node_find(object, name);

	return n && n->kind == NODE_SCALAR && n->plain == plain ? n : NULL;
}

const char *est_json_str(const struct node *object, const char *name)
{
	const struct node *n = scalar(object, name, false);

	return n ? n->text : NULL;
}

bool est_json_number(const struct node *object, const char *name, double *ret)
{
	const struct node *n = scalar(object, name, true);

	if (!n || !strchr("-0123456789", n->text[0]))
		return false;
	*ret = strtod(n->text, NULL);
	return true;
}

bool est_json_true(const struct node *object, const char *name)
{
	const struct node *n = scalar(object, name, true);

	return n && strcmp(n->text, "true") == 0;
}
