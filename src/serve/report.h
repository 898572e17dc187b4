#pragma once
#include "rec/schema.h"

/* What becomes of exchanges: a line in the access log, and numbers for the summary. */

struct exchange;
struct service;
struct logs_settings;
struct access_log {
	int fd; /* -1: none */
	const struct logs_settings *settings; /* what is written */
	const struct service *service;
};
/* In a handler thread, when the answer is ready. */
void report_exchange(int link, const struct access_log *, const struct exchange *);

/* The same for answers of the event thread, which come in masses: like ones become one line, sent by report_flush. */
enum { REPORT_KINDS = 16, DONE_MAX = 128 };
struct report_batch {
	struct {
		char text[DONE_MAX];
		unsigned times;
	} v[REPORT_KINDS];
	size_t n;
};
/* sends when it is full */
void report_gather(struct report_batch *, int link, const struct access_log *, const struct exchange *);
void report_flush(struct report_batch *, int link);

/* A fault on our side. */
static inline bool report_is_fault(int status)
{
	return status >= 500 && status != 501; /* which is a method that nobody knows */
}

/* In the parent. */
struct refused;
/* the text of a LINK_REFUSED frame, which *ret points into */
bool report_read(struct bytes refusal, struct refused *ret);
struct refusals {
	char *reason;
	int64_t n;
};
struct summary {
	char *service;
	int64_t started, ended;
	int64_t requests, enrolled, renewed, answered, refused, failed; /* failed: by faults on our side */
	int64_t target;             /* -1: none */
	bool reached;
	struct vec refused_by;      /* struct refusals */
	char *p50_ms, *p90_ms, *p99_ms; /* latency of what was granted, milliseconds as text; NULL: nothing was */
};
extern const struct schema enrolling_summary, answering_summary; /* both of struct summary */

struct tally; /* counts while the listener runs */
struct tally *tally_new(struct arena *, const char *service);
void tally_add(struct tally *, struct bytes done); /* the text of a LINK_DONE frame: a line or several */
int64_t tally_counted(const struct tally *);
int64_t tally_refused(const struct tally *);
void tally_summary(const struct tally *, struct arena *, struct summary *ret);
