#pragma once
#include "base/buf.h"
#include "base/ctx.h"

/* Runs `fn` in a process of its own, and fills *ret with what it left in `out`; its failure is ours. What it opened ends with it. */
int apart_run(struct ctx *, int (*fn)(struct ctx *, void *arg, struct buf *out, struct err *), void *arg, struct buf *ret, struct err *) NODISCARD;
