/* Addresses of Vault in engine documents, which anybody may have written: what is taken is a URL to one host and
 * nothing more, and the names of keys become one segment of a path. */
#include <stdlib.h>
#include <string.h>

#include "engine/vault.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void need(bool good)
{
	if (!good)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	SCOPED_ARENA *a = arena_new();
	char *text = arena_strndup(a, (const char *)data, n), *path;
	struct vault_config c = { .address = text, .protocol = arena_strdup(a, "https"), .port = 8200 };
	struct vault_place p;
	struct err e = { 0 };

	if (vault_place(a, &c, &p, &e) == 0) {
		need(strncmp(p.url, "https://", 8) == 0 || strncmp(p.url, "http://", 7) == 0);
		need(!strpbrk(p.url, " \r\n\t@?#\"<>\\") && p.url[strlen(p.url) - 1] != '/');
	} else {
		need(*e.msg);
	}
	path = vault_path(a, "mount", NULL, NULL, text);
	need(strncmp(path, "mount", 5) == 0 && !strpbrk(path, " ?#:") && !strstr(path, "//"));
	need(!vault_name_ok(text) || (!strpbrk(text, "/?#% ") && text[0] != '.'));
	return 0;
}
