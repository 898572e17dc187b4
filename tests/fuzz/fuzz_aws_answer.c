/* What AWS's services answer: errors in JSON and XML, credentials in XML, dates. What is to be printed is fit for a
 * terminal. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/aws_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void need_printable(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	SCOPED_ARENA *a = arena_new();
	const struct bytes in = { data, n };
	const char *text = arena_strndup(a, (const char *)data, n);
	char *token = aws_xml_text(a, in, "SessionToken");
	struct aws_fault f;
	enum err_code code = ERR_NONE;
	int64_t t;

	aws_fault_read(a, NULL, in, &f);
	need_printable(f.code);
	need_printable(f.message);
	aws_fault_judge(400, &f, &code);
	aws_fault_read(a, text, (struct bytes){ NULL, 0 }, &f);
	need_printable(f.code);
	if (code == ERR_NONE || (token && strchr(token, '<')))
		abort();
	(void)!aws_http_date(text, &t);
	return 0;
}
