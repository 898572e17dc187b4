#pragma once
#include "state/internal.h"

/* What ledger*.c share. */

/* One question to the cache: `while (ask(&a, e)) a.r = …(a.ix, …)`. A second try is made only when the cache was
 * damaged. */
struct asking {
	struct state *st;
	struct index *ix;
	int tries, r;
	bool once; /* no second try any more */
};
bool ask(struct asking *, struct err *);
/* The cache with what is not committed yet; NULL on failure. */
struct index *ledger_reading(struct state *, struct err *);

enum { LEDGER_ROWS = 64 }; /* that are in memory at once where records are streamed */

char *ledger_stamp(struct arena *, int64_t time);          /* "20261121T120000Z": sorts as time does */
/* random for each commit, counted within it: nobody else's */
char *ledger_writer(struct state *, struct arena *);
int ledger_add_entry(struct state *, const char *kind, const char *name, const struct schema *, const void *rec,
		     struct bytes body, struct err *) NODISCARD;
