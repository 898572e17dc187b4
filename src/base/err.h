#pragma once
#include "base/auto.h"

/* What went wrong, for a caller that can handle it (code) and for a person (msg). Lives on the caller's stack, zeroed;
 * untouched on success. Message grammar: lower case, no full stop, outer context first, cause last, user text in quotes
 * with control bytes escaped, the standard's clause where one is broken, secrets never. */
enum err_code {
	ERR_NONE,
	ERR_USAGE,       /* command line                         exit 2, HTTP 400 */
	ERR_INVALID,     /* a document or request is not valid   exit 2, HTTP 400 */
	ERR_NOT_FOUND,   /*                                      exit 3, HTTP 404 */
	ERR_EXISTS,      /* the name is taken                    exit 4, HTTP 409 */
	ERR_CONFLICT,    /* in use, moved on, or in the way      exit 4, HTTP 409 */
	ERR_DENIED,      /* refused by policy or authentication  exit 5, HTTP 403 */
	ERR_UNSUPPORTED, /*                                      exit 1, HTTP 501 */
	ERR_IO,          /*                                      exit 1, HTTP 503 */
	ERR_CRYPTO,      /*                                      exit 1, HTTP 500 */
	ERR_REMOTE,      /* an engine, hook or server failed     exit 6, HTTP 503 */
	ERR_PARTIAL,     /* some items of a batch failed         exit 1           */
	ERR_CHECK,       /* what was to be verified is wrong     exit 5           */
	ERR_CANCELLED    /* the user said no, or SIGINT          exit 130         */
};

struct err {
	enum err_code code;
	char msg[1024];
};

int err_set(struct err *, enum err_code, const char *fmt, ...) PRINTF(3, 4); /* always returns -1 */
/* prefixes "fmt: " unless the message speaks of it already, keeps the code, returns -1 */
int err_ctx(struct err *, const char *fmt, ...) PRINTF(2, 3);
int err_sys(struct err *, const char *what);                  /* ERR_IO "what: strerror(errno)", returns -1 */

/* The compiler sees the -1 too, and so which variables a failure leaves unset. */
static inline int err_result(int failed)
{
	(void)failed;
	return -1;
}
#define err_set(...) err_result(err_set(__VA_ARGS__))
#define err_ctx(...) err_result(err_ctx(__VA_ARGS__))
#define err_sys(e, what) err_result(err_sys(e, what))

int err_exit_status(enum err_code);
int err_http_status(enum err_code);
const char *err_name(enum err_code); /* "not_found": the code in JSON output */
