#pragma once
#include "rec/schema.h"

/* What becomes of exchanges: a line in the access log, and numbers for the summary. */

struct exchange;
/* In a handler thread, when the answer is ready. */
void report_exchange(int link, int access_log, const struct exchange *);

/* In the parent. */
struct refusals {
	char *reason;
	int64_t n;
};
struct summary {
	char *service;
	int64_t started, ended;
	int64_t requests, counted, renewed, refused, failed; /* failed: by faults on our side */
	int64_t target;             /* 0: none */
	bool reached;
	struct vec refused_by;      /* struct refusals */
	char *p50, *p90, *p99;      /* latency of what was counted, milliseconds as text; NULL: nothing was */
};
extern const struct schema summary_type;

struct tally; /* counts while the listener runs */
struct tally *tally_new(struct arena *, const char *service);
void tally_add(struct tally *, struct bytes done); /* the text of a LINK_DONE frame */
int64_t tally_counted(const struct tally *);
int64_t tally_refused(const struct tally *);
void tally_summary(const struct tally *, struct arena *, struct summary *ret);
