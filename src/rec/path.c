/* The file of a record. Only the first %s of the type's path is replaced, and only by an id that the caller has
 * checked. */
#include <string.h>

#include "rec/schema.h"

char *schema_path(struct arena *a, const struct schema *s, const char *id)
{
	const char *at = strstr(s->path, "%s");

	if (at == NULL)
		return arena_strdup(a, s->path);
	return arena_printf(a, "%.*s%s%s", (int)(at - s->path), s->path, id, at + 2);
}
