#pragma once
#include "pki/issue.h"

/* Signing many requests: parsed, judged and signed on all cores, committed in chunks by one thread, results in order.
 * An interrupted run of the same batch goes on where it was, without issuing twice. */
struct batch_item {
	const char *name;     /* for people and for output files */
	const char *path;     /* read when its turn comes, or NULL: */
	struct bytes text;    /* the request itself */
	/* outcome */
	struct err err;       /* code ERR_NONE: signed */
	struct certrec rec;
	struct bytes der;
	const char *warning;
	bool resumed;         /* issued by the interrupted run */
};

struct batch {
	struct authority *ca; /* its key is open */
	struct profile *profile;
	struct wishes wishes;
	struct batch_item *items;
	size_t n;
	bool atomic;          /* all or none, in one commit */
	unsigned jobs;        /* threads; 0: one per core, or what the engine can have in flight */
	/* Called after each durable commit with the items of the chunk, good and bad, in order; their memory lives
	 * until it returns. In a dry run nothing is durable. */
	int (*done)(void *arg, const struct batch_item *, size_t n, struct err *);
	void *arg;
	size_t failed;        /* outcome: how many are bad; an atomic batch has issued nothing then */
};
enum { BATCH_CHUNK = 1000 };

int batch_run(struct ctx *, struct batch *, struct err *) NODISCARD;

/* Requests from a file, a folder (*.csr *.req *.p10 *.der *.pem) or "-" (concatenated PEM, one DER, or a tar of
 * them). */
int batch_collect(struct ctx *, const struct strv *sources, struct batch_item **ret, size_t *ret_n,
		  struct err *) NODISCARD;
