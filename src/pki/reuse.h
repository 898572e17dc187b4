#pragma once
#include "base/ctx.h"

/* Two clones that had not met each accepted the same bootstrap certificate of single use (E10, E14): of the
 * certificates that were issued for it the first stands, all others are revoked, and an event says so. Puts it into the
 * transaction; *ret_n counts what was revoked. Does nothing the second time. */
int reuse_settle(struct ctx *, size_t *ret_n, struct err *) NODISCARD;
