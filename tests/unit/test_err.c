/* Errors, warnings, and what becomes of hostile text in them. */
#include "base/err.h"

#include <errno.h>

#include "base/ctx.h"
#include "tap.h"

static const struct {
	enum err_code code;
	const char *name;
	int exit, http;
} codes[] = {
	{ ERR_NONE, "none", 0, 200 },
	{ ERR_USAGE, "usage", 2, 400 },
	{ ERR_INVALID, "invalid", 2, 400 },
	{ ERR_NOT_FOUND, "not_found", 3, 404 },
	{ ERR_EXISTS, "exists", 4, 409 },
	{ ERR_CONFLICT, "conflict", 4, 409 },
	{ ERR_DENIED, "denied", 5, 403 },
	{ ERR_UNSUPPORTED, "unsupported", 1, 501 },
	{ ERR_IO, "io", 1, 503 },
	{ ERR_CRYPTO, "crypto", 1, 500 },
	{ ERR_REMOTE, "remote", 6, 503 },
	{ ERR_PARTIAL, "partial", 1, 500 },
	{ ERR_CHECK, "check", 5, 403 },
	{ ERR_CANCELLED, "cancelled", 130, 503 },
};

static void test_messages(void)
{
	struct err e = { 0 };
	char huge[3000];

	is_int(err_set(&e, ERR_INVALID, "field \"%s\": %d", "x\x1b[0m\n", 7), -1, "err_set gives -1");
	is_str(e.msg, "field \"x\\x1b[0m\\x0a\": 7", "control bytes are escaped");
	is_int(err_ctx(&e, "profile %s", "p1"), -1, "err_ctx gives -1");
	is_str(e.msg, "profile p1: field \"x\\x1b[0m\\x0a\": 7", "context comes first");
	is_int(e.code, ERR_INVALID, "and keeps the code");
	err_set(&e, ERR_DENIED, "outer: %s", e.msg);
	is_str(e.msg, "outer: profile p1: field \"x\\x1b[0m\\x0a\": 7", "a message may quote itself");
	errno = EACCES;
	is_int(err_sys(&e, "open"), -1, "err_sys gives -1");
	is_str(e.msg, "open: Permission denied", "with the reason of the system");
	is_int(e.code, ERR_IO, "as ERR_IO");
	memset(huge, 'x', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	err_set(&e, ERR_INVALID, "%s", huge);
	is_int((int64_t)strlen(e.msg), sizeof(e.msg) - 1, "a huge message is cut");
	is_str(e.msg + sizeof(e.msg) - 4, "...", "and says so");
	memset(huge, '\x1b', sizeof(huge) - 1);
	err_set(&e, ERR_INVALID, "%s", huge);
	ok(strlen(e.msg) < sizeof(e.msg) && !strchr(e.msg, '\x1b'), "a huge hostile message too");
}

static void keep(void *arg, const char *msg)
{
	snprintf(arg, 64, "%s", msg);
}

static void test_warnings(void)
{
	char got[64] = "";
	struct ctx ctx = { .warn = keep, .warn_arg = got };

	ctx_warn(&ctx, "shortened to %s", "x\x9by\n");
	is_str(got, "shortened to x\\x9by\\x0a", "a warning reaches its taker, escaped");
	ctx.warn = NULL;
	ctx_warn(&ctx, "nobody listens");
	is_str(got, "shortened to x\\x9by\\x0a", "without a taker it is dropped");
}

int main(void)
{
	for (size_t i = 0; i < COUNT(codes); i++) {
		is_str(err_name(codes[i].code), codes[i].name, codes[i].name);
		is_int(err_exit_status(codes[i].code), codes[i].exit, "exit status");
		is_int(err_http_status(codes[i].code), codes[i].http, "HTTP status");
	}
	test_messages();
	test_warnings();
	return done();
}
