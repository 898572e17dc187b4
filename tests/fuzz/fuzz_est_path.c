/* Paths of EST: the first letter is that of the method, the path begins at the first slash. Whatever it is, there is
 * one answer, errors are a line of text, and only known words go to the log. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "est/service.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED_ARENA *a = arena_new();
	const char *text = arena_strndup(a, (const char *)data, size);
	struct served one = { .dms = { .id = arena_strdup(a, "factory") }, .cacerts = bytes_of("0") };
	struct est_memory memory = { .v = &one, .n = 1, .unlabelled = one.dms.id };
	const struct est_options options = { 0 };
	struct post post = { .memory = &memory, .link = -1, .ctx = { .arena = a } };
	struct net_header header = { "content-type", "" };
	struct http_request in = { .arena = a, .headers = &header, .nheaders = 1, .address = "127.0.0.1" };
	struct http_response out = { 0 };

	in.method = *text == 'P' ? "POST" : *text == 'H' ? "HEAD" : "GET";
	in.path = strchr(text, '/') ? strchr(text, '/') : text;
	header.value = text;
	est_handle(&post, &options, &in, &out);
	if (out.status < 200 || out.status > 599 ||
	    (out.status >= 400 && out.status != 401 && (out.body.n == 0 || !out.reason)))
		abort();
	if (out.op && strcmp(out.op, "cacerts") != 0 && strcmp(out.op, "csrattrs") != 0 &&
	    strcmp(out.op, "simpleenroll") != 0 &&
	    strcmp(out.op, "simplereenroll") != 0 && strcmp(out.op, "serverkeygen") != 0)
		abort();
	return 0;
}
