#pragma once
#include <sys/types.h>

#include "base/buf.h"
#include "base/ctx.h"

/* Runs `fn` in a process of its own, and fills *ret with what it left in `out`; its failure is ours. What it opened
 * ends with it. */
int apart_run(struct ctx *, int (*fn)(struct ctx *, void *arg, struct buf *out, struct err *), void *arg,
	      struct buf *ret, struct err *) NODISCARD;

/* The same by halves, for who has more to do meanwhile: *ret_fd can be read, and then closed, when it is done; the
 * caller waits for the child. */
pid_t apart_begin(struct ctx *, int (*fn)(struct ctx *, void *arg, struct buf *out, struct err *), void *arg,
		  int *ret_fd, struct err *) NODISCARD;
int apart_receive(int fd, struct buf *ret, struct err *) NODISCARD;
