#pragma once
#include "pki/batch.h"

/* What lets an interrupted batch go on: a small local file while it runs, named by what the batch is, holding the id
 * that its certificates carry in the ledger. */
struct journal {
	char *id;             /* NULL: this batch keeps none */
	char *path;
	int fd;               /* locked while the batch runs */
	struct certrec *done; /* what the interrupted run issued, sorted by request_sha256 */
	size_t ndone;
};
int journal_open(struct ctx *, const struct batch *, struct journal *ret, struct err *) NODISCARD;
bool journal_find(const struct journal *, const char *request_sha256, struct certrec *ret); /* safe on threads */
void journal_close(struct journal *, bool finished);
