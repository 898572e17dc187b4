/* A load of devices. Guarantees: each has a name, a key and a request of its own, made before its clock starts; what
 * comes back is read and must be for that key; memory does not grow with the number of devices but for eight octets
 * each. */
#include "client/load.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/pool.h"
#include "crypto/key.h"
#include "crypto/name.h"

static const struct field report_fields[] = {
	INT(load_report, count, "How many devices there were.", .flags = F_SHOW0),
	INT(load_report, enrolled, "How many got their certificate.", .flags = F_SHOW0),
	INT(load_report, failed, "How many did not.", .flags = F_SHOW0),
	STR(load_report, seconds, "How long all of it took."),
	STR(load_report, rate, "Enrolments a second."),
	STR(load_report, p50_ms, "Median time of one enrolment, its TLS handshake included, in milliseconds."),
	STR(load_report, p90_ms, "90 % were faster than this, milliseconds."),
	STR(load_report, p99_ms, "99 % were faster than this, milliseconds."),
	STR(load_report, slowest_ms, "The slowest, milliseconds."),
	STR(load_report, error, "Why the first one failed."),
	END
};
const struct schema load_report_type = { .name = "load", .plural = "loads", .doc = "What a load of devices saw",
					 .size = sizeof(struct load_report),
					 .fields = report_fields };

struct load {
	struct ctx *ctx;
	struct est *est;
	const struct load_order *order;
	int64_t *micros; /* of each device; -1: failed */
	atomic_flag told;
	struct err error; /* of who set `told` */
};

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int enrol(const struct load *l, size_t i, struct arena *a, int64_t *ret_micros, struct err *e)
{
	char *name[] = { arena_printf(a, "%s-%06zu", l->order->prefix, i + 1) };
	const struct subject_fields fields = { .common_name = { .v = name, .n = 1, .set = true } };
	const struct strv none = { 0 };
	AUTO(EVP_PKEY) *key = NULL;
	struct bytes subject, csr, leaf;
	struct est_answer answer;
	int64_t began;

	if (name_from_fields(a, &fields, &subject, e) != 0 || key_generate(l->order->type, &key, e) != 0 ||
	    est_request(a, subject, &none, key, NULL, &csr, e) != 0)
		return -1;
	began = now_us();
	if (est_send(l->est, a, EST_ENROLL, csr, &answer, e) != 0)
		return -1;
	*ret_micros = now_us() - began;
	return est_find(&answer, a, key, &leaf, e);
}

static int job(void *arg, size_t i, struct arena *shared, struct err *stop)
{
	SCOPED_ARENA *a = arena_new();
	struct load *l = arg;
	struct err e = { 0 };

	(void)shared; /* lives until all is done */
	(void)stop;
	if (enrol(l, i, a, &l->micros[i], &e) != 0) {
		l->micros[i] = -1;
		if (!atomic_flag_test_and_set(&l->told))
			l->error = e;
	}
	return 0;
}

static void tick(void *arg, size_t done)
{
	const struct load *l = arg;

	ctx_progress(l->ctx, "enrolling", done, l->order->count);
}

static int by_time(const void *x, const void *y)
{
	const int64_t *a = x, *b = y;

	return (*a > *b) - (*a < *b);
}

/* Sorted, those that failed first. */
static char *percentile(struct arena *a, const int64_t *sorted, size_t failed, size_t n, unsigned percent)
{
	size_t good = n - failed, at = failed + (good * percent + 99) / 100;
	int64_t us;

	if (good == 0)
		return NULL;
	us = sorted[at ? at - 1 : 0];
	return arena_printf(a, "%lld.%lld", (long long)us / 1000, (long long)us % 1000 / 100);
}

static void report(struct load *l, int64_t took_us, struct load_report *ret)
{
	struct arena *a = l->ctx->arena;
	size_t n = l->order->count, failed = 0;

	took_us = took_us > 0 ? took_us : 1;
	qsort(l->micros, n, sizeof(*l->micros), by_time);
	while (failed < n && l->micros[failed] < 0)
		failed++;
	*ret = (struct load_report){ .count = (int64_t)n, .enrolled = (int64_t)(n - failed), .failed = (int64_t)failed,
		.seconds = arena_printf(a, "%.3f", (double)took_us / 1e6),
		.rate = arena_printf(a, "%.1f", (double)(n - failed) * 1e6 / (double)took_us),
		.p50_ms = percentile(a, l->micros, failed, n, 50), .p90_ms = percentile(a, l->micros, failed, n, 90),
		.p99_ms = percentile(a, l->micros, failed, n, 99),
		.slowest_ms = percentile(a, l->micros, failed, n, 100),
		.error = failed ? arena_strdup(a, l->error.msg) : NULL };
}

int load_run(struct ctx *ctx, struct est *est, const struct load_order *order, struct load_report *ret, struct err *e)
{
	struct load *l = arena_new_array(ctx->arena, 1, struct load);
	int64_t began = now_us();

	*l = (struct load){ .ctx = ctx, .est = est, .order = order,
			    .micros = arena_new_array(ctx->arena, order->count, int64_t),
			    .told = ATOMIC_FLAG_INIT };
	if (pool_run(order->count, order->connections, job, l, ctx->arena, tick, e) != 0)
		return -1;
	report(l, now_us() - began, ret);
	return 0;
}
