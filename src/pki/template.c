/* ${…} in a profile's alternative names. Guarantees: a variable without a value is an error, never an empty name; what
 * is put in is not expanded again. */
#include <string.h>

#include "base/buf.h"
#include "pki/plan.h"

static int put_variable(struct buf *b, const char *name, size_t n, const struct template_vars *vars, struct err *e)
{
	const struct { const char *name, *value; } known[] = {
		{ "cn", vars->cn }, { "device_id", vars->device_id }, { "serial_number", vars->serial_number },
		{ "email", vars->email }
	};

	for (size_t i = 0; i < COUNT(known); i++) {
		if (strlen(known[i].name) != n || strncmp(known[i].name, name, n) != 0)
			continue;
		if (known[i].value == NULL || *known[i].value == '\0')
			return err_set(e, ERR_INVALID, "${%s} has no value in this request", known[i].name);
		buf_puts(b, known[i].value);
		return 0;
	}
	return err_set(e, ERR_INVALID, "\"${%.*s}\" is none of ${cn}, ${device_id}, ${serial_number}, ${email}",
		       (int)(n < 40 ? n : 40), name);
}

int template_expand(struct arena *ar, const char *text, const struct template_vars *vars, char **ret, struct err *e)
{
	SCOPED_BUF b = buf_init(4096);

	for (const char *p = text; *p;) {
		const char *end = p[0] == '$' && p[1] == '{' ? strchr(p, '}') : NULL;
		if (end == NULL) {
			buf_putc(&b, *p++);
			continue;
		}
		if (put_variable(&b, p + 2, (size_t)(end - p - 2), vars, e) != 0)
			return -1;
		p = end + 1;
	}
	if (b.over)
		return err_set(e, ERR_INVALID, "\"%.40s…\" becomes longer than 4096 bytes", text);
	*ret = arena_strdup(ar, buf_str(&b));
	return 0;
}
