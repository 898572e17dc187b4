/* What a listener counts. Guarantees: memory does not grow with the number of exchanges. */
#include "serve/report.h"

#include <stdlib.h>
#include <string.h>

#include "base/tm.h"

enum { REASONS_MAX = 64, REASON_LEN = 48, BUCKETS = 200 };

struct tally {
	const char *service;
	int64_t requests, counted, renewed, refused, failed, started;
	struct {
		char name[REASON_LEN];
		int64_t n;
	} reasons[REASONS_MAX];
	size_t nreasons;
	int64_t buckets[BUCKETS]; /* of latency: each a tenth wider than the one before, from 10 microseconds */
};

static const struct field refusals_fields[] = {
	STR(refusals, reason, "Why."),
	INT(refusals, n, "How often.", .flags = F_SHOW0),
	END
};
static const struct schema refusals_type = { .name = "refusals", .doc = "Refusals for one reason",
					     .size = sizeof(struct refusals),
					     .fields = refusals_fields };

/* What every listener says, before and after what it counts. */
#define SUMMARY_HEAD STR(summary, service, "What was served.", .flags = F_KEY), \
	TIME(summary, started, "When it began to listen."), \
	TIME(summary, ended, "When it stopped."), \
	INT(summary, requests, "Requests in all.", .flags = F_SHOW0)
#define SUMMARY_TAIL INT(summary, refused, "Requests that were refused.", .flags = F_SHOW0), \
	INT(summary, failed, "Requests that failed by faults on this side.", .flags = F_SHOW0), \
	INT(summary, target, "How many were asked for; absent when no number was.", .dflt = "-1"), \
	BOOL(summary, reached, "Whether that many were reached; true without a target.", .flags = F_SHOW0), \
	OBJV(summary, refused_by, &refusals_type, "Refusals by reason."), \
	STR(summary, p50_ms, "Median latency of what was granted, milliseconds."), \
	STR(summary, p90_ms, "90 % were faster than this, milliseconds."), \
	STR(summary, p99_ms, "99 % were faster than this, milliseconds."), \
	END

static const struct field enrolling_fields[] = {
	SUMMARY_HEAD,
	INT(summary, enrolled, "Devices that got a certificate anew.", .flags = F_SHOW0),
	INT(summary, renewed, "Devices that renewed theirs.", .flags = F_SHOW0),
	SUMMARY_TAIL
};
static const struct field answering_fields[] = {
	SUMMARY_HEAD,
	INT(summary, answered, "Requests that were answered.", .flags = F_SHOW0),
	SUMMARY_TAIL
};
const struct schema enrolling_summary = { .name = "summary", .plural = "summaries", .doc = "What an EST listener did",
					  .size = sizeof(struct summary),
					  .fields = enrolling_fields };
const struct schema answering_summary = { .name = "summary", .plural = "summaries",
					  .doc = "What a validation authority did",
					  .size = sizeof(struct summary), .fields = answering_fields };

struct tally *tally_new(struct arena *a, const char *service)
{
	struct tally *t = arena_new_array(a, 1, struct tally);

	t->service = service;
	t->started = tm_now();
	return t;
}

static size_t bucket_of(int64_t micros)
{
	double edge = 10;
	size_t i = 0;

	while (i < BUCKETS - 1 && (double)micros > edge) {
		edge *= 1.1;
		i++;
	}
	return i;
}

static void add_reason(struct tally *t, const char *name, int64_t times)
{
	size_t i = 0;

	while (i < t->nreasons && strcmp(t->reasons[i].name, name) != 0)
		i++;
	if (i == REASONS_MAX)
		return;
	if (i == t->nreasons) {
		size_t n = strlen(name) < REASON_LEN ? strlen(name) : REASON_LEN - 1;

		memcpy(t->reasons[i].name, name, n);
		t->nreasons++;
	}
	t->reasons[i].n += times;
}

/* "STATUS COUNTS MICROS OP REASON [TIMES]" */
static void add_line(struct tally *t, char *line)
{
	char *p = line, *rest = NULL, *op, *reason, *times;
	long status = strtol(p, &p, 10), counts = strtol(p, &p, 10), n;
	long long micros = strtoll(p, &p, 10);

	op = strtok_r(p, " ", &rest);
	reason = strtok_r(NULL, " ", &rest);
	times = strtok_r(NULL, " ", &rest);
	n = times ? strtol(times, NULL, 10) : 1;
	t->requests += n;
	if (counts) {
		t->counted += n;
		t->renewed += op && strcmp(op, "simplereenroll") == 0 ? n : 0;
		t->buckets[bucket_of(micros)] += n;
	}
	if (report_is_fault((int)status))
		t->failed += n;
	else if (status >= 400)
		t->refused += n;
	if (status >= 400 && reason && strcmp(reason, "-") != 0)
		add_reason(t, reason, n);
}

void tally_add(struct tally *t, struct bytes done)
{
	SCOPED_ARENA *a = arena_new();
	char *text = arena_strndup(a, (const char *)done.p, done.n), *rest = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		add_line(t, line);
}

int64_t tally_counted(const struct tally *t)
{
	return t->counted;
}

int64_t tally_refused(const struct tally *t)
{
	return t->refused + t->failed;
}

static char *percentile(const struct tally *t, struct arena *a, int percent)
{
	int64_t seen = 0;
	double edge = 10;

	if (t->counted == 0)
		return NULL;
	for (size_t i = 0; i < BUCKETS; i++, edge *= 1.1) {
		seen += t->buckets[i];
		if (seen * 100 >= t->counted * percent)
			break;
	}
	return arena_printf(a, "%.1f", edge / 1000);
}

void tally_summary(const struct tally *t, struct arena *a, struct summary *ret)
{
	struct refusals *v = arena_new_array(a, t->nreasons + 1, struct refusals);

	for (size_t i = 0; i < t->nreasons; i++)
		v[i] = (struct refusals){ arena_strdup(a, t->reasons[i].name), t->reasons[i].n };
	*ret = (struct summary){ .service = arena_strdup(a, t->service), .started = t->started, .ended = tm_now(),
				 .requests = t->requests, .enrolled = t->counted - t->renewed, .renewed = t->renewed,
				 .answered = t->counted, .refused = t->refused, .failed = t->failed,
				 .target = -1, .reached = true, .refused_by = { v, t->nreasons },
				 .p50_ms = percentile(t, a, 50), .p90_ms = percentile(t, a, 90),
				 .p99_ms = percentile(t, a, 99) };
}
