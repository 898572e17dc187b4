/* Lists of secrets: of one that is accepted, each line gives its device its secret and no other; no message holds any
 * of it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "pki/psk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void need(bool good)
{
	if (!good)
		abort();
}

/* Reads the list in another way than psk_list.c does. */
static void compare(struct arena *a, struct bytes list)
{
	char *text = arena_strndup(a, (const char *)list.p, list.n), *line;

	while ((line = strsep(&text, "\n")) != NULL) {
		size_t len = strlen(line);
		char *secret, *found = NULL;

		if (len && line[len - 1] == '\r')
			line[len - 1] = '\0';
		if (!*line || *line == '#')
			continue;
		secret = strchr(line, ':');
		need(secret);
		*secret++ = '\0';
		need(psk_list_find(a, list, line, &found) && strcmp(found, secret) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	SCOPED_ARENA *a = arena_new();
	struct dms dms = { .id = (char *)(uintptr_t)"d" };
	struct psk_auth *how = &dms.settings.enrollment_settings.est_rfc7030_settings.authentication.psk;
	struct bytes list = { data, n };
	struct err e = { 0 };

	if (n > 1 << 16)
		return 0;
	for (how->store = PSK_SCRYPT; how->store <= PSK_TLS; how->store++) {
		if (psk_list_check(a, &dms, list, &e) == 0)
			compare(a, list);
		else
			need(strncmp(e.msg, "line ", 5) == 0);
	}
	return 0;
}
