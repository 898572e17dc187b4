/* The error value and the one table that maps it to exit status, HTTP status and name. Whatever goes into a message is
 * made safe for a terminal here, so that no caller can forget it. Never prints. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const struct {
	const char *name;
	int exit, http;
} codes[] = {
	[ERR_NONE] = { "none", 0, 200 },
	[ERR_USAGE] = { "usage", 2, 400 },
	[ERR_INVALID] = { "invalid", 2, 400 },
	[ERR_NOT_FOUND] = { "not_found", 3, 404 },
	[ERR_EXISTS] = { "exists", 4, 409 },
	[ERR_CONFLICT] = { "conflict", 4, 409 },
	[ERR_DENIED] = { "denied", 5, 403 },
	[ERR_UNSUPPORTED] = { "unsupported", 1, 501 },
	[ERR_IO] = { "io", 1, 503 },
	[ERR_CRYPTO] = { "crypto", 1, 500 },
	[ERR_REMOTE] = { "remote", 6, 503 },
	[ERR_PARTIAL] = { "partial", 1, 500 },
	[ERR_CHECK] = { "check", 5, 403 },
	[ERR_CANCELLED] = { "cancelled", 130, 503 },
};

enum { MSG = sizeof(((struct err *)0)->msg) };

int (err_set)(struct err *e, enum err_code code, const char *fmt, ...)
{
	char raw[MSG]; /* the arguments may point into e->msg */
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	if (n >= MSG)
		memcpy(raw + MSG - 4, "...", 4);
	e->code = code;
	text_escape_into(e->msg, sizeof(e->msg), bytes_of(raw));
	return -1;
}

int (err_ctx)(struct err *e, const char *fmt, ...)
{
	char raw[MSG];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	n = strlen(raw);
	if (strncmp(e->msg, raw, n) == 0 && (e->msg[n] == ' ' || e->msg[n] == ':'))
		return -1;
	return err_set(e, e->code, "%s: %s", raw, e->msg);
}

int (err_sys)(struct err *e, const char *what)
{
	char text[128];

	return err_set(e, ERR_IO, "%s: %s", what, strerror_r(errno, text, sizeof(text)));
}

int err_exit_status(enum err_code code)
{
	return codes[code].exit;
}

int err_http_status(enum err_code code)
{
	return codes[code].http;
}

const char *err_name(enum err_code code)
{
	return codes[code].name;
}
