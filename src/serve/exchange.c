/* Requests and responses of the listeners, without a library of the network: services and their tests work on these. */
#include "serve/exchange.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *http_field(const struct http_request *r, const char *name)
{
	const char *found = NULL;

	for (size_t i = 0; i < r->nheaders; i++) {
		if (strcmp(r->headers[i].name, name) != 0)
			continue;
		if (found)
			return ""; /* which of two counts must not depend on who reads it */
		found = r->headers[i].value;
	}
	return found;
}

void http_add_header(struct http_response *r, const char *name, const char *value)
{
	assert(r->nheaders < RESPONSE_HEADERS);
	r->headers[r->nheaders++] = (struct net_header){ name, value };
}

void http_text(struct arena *a, struct http_response *r, int status, const char *reason, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	r->status = status;
	r->reason = reason;
	r->type = "text/plain; charset=utf-8";
	r->body = bytes_of(arena_printf(a, "%s\n", line));
}
