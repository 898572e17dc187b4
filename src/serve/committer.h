#pragma once
#include "base/ctx.h"
#include "serve/link.h"
#include "serve/refusals.h"

/* What the parent decides for all workers: who works on what, how many more are issued, and when what was signed is
 * durable. It opens no engine. */
struct committer;

struct committer_setup {
	const struct ctx *ctx;
	const char *dir;
	const char *op;      /* "est-serve": the operation in commits */
	const char *what;    /* "est: enrol": begins the subject of commits */
	int64_t target;      /* 0: none */
	int64_t lock_timeout_ms;
	struct refusal_log *refusals; /* NULL: none are counted */
	void (*answer)(void *arg, size_t link, enum link_kind, struct bytes text);
	void *arg;
};
struct committer *committer_new(struct arena *, const struct committer_setup *, size_t links);
void committer_free(struct committer *);

/* A frame of a thread. */
void committer_take(struct committer *, size_t link, enum link_kind, struct bytes text);
/* its thread has ended: its claim ends, what it handed over is committed */
void committer_gone(struct committer *, size_t link);
bool committer_pending(const struct committer *);     /* something waits for committer_run */
/* somebody works on a claim and will hand over, most likely soon */
bool committer_gathers(const struct committer *);
void committer_run(struct committer *);               /* one commit for all that wait; answers them */
int64_t committer_done(const struct committer *);     /* counted transactions that are durable */
