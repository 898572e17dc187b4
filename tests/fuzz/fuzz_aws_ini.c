/* AWS's shared files: whatever is in them, a setting that was read is found again, and messages hold nothing of it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/aws_ini.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	SCOPED_ARENA *a = arena_new();
	struct err e = { 0 };
	struct aws_ini ini;

	if (aws_ini_parse(a, "f", (struct bytes){ data, n }, &ini, &e) != 0) {
		if (strncmp(e.msg, "f:", 2) != 0)
			abort();
		return 0;
	}
	for (size_t i = 0; i < ini.n && i < 1000; i++)
		if (!aws_ini_get(&ini, ini.v[i].section, ini.v[i].key) || !aws_ini_has(&ini, ini.v[i].section))
			abort();
	return 0;
}
