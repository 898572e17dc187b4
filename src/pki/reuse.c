/* Credentials of single use that served twice. Guarantees: every clone comes to the same verdict from the same ledger:
 * the enrolment that was recorded first stands, among those of one second the one with the smaller serial number. */
#include "pki/reuse.h"

#include <stdlib.h>
#include <string.h>

#include "base/tm.h"
#include "pki/device.h"
#include "pki/revoke.h"
#include "state/ledger.h"

enum { REASON_PRIVILEGE_WITHDRAWN = 9 };

struct enrolled_with {
	struct arena *a;
	struct certrec *v;
	size_t n;
};

static int collect(void *arg, const struct certrec *c, struct err *e)
{
	struct enrolled_with *w = arg;

	(void)e;
	w->v = arena_grow(w->a, w->v, w->n, sizeof(*w->v));
	w->v[w->n++] = (struct certrec){ .serial_number = arena_strdup(w->a, c->serial_number),
					 .ca = arena_strdup(w->a, c->ca),
					 .issued_at = c->issued_at };
	return 0;
}

/* The commit of an enrolment revokes the credential: both bear one time. */
static int find_at(struct ctx *ctx, const struct use *u, struct enrolled_with *w, struct err *e)
{
	char *when = tm_format(w->a, u->time);
	struct filter f[] = { { .field = "issued_at", .op = OP_EQ, .value = when },
			      { .field = "metadata." META_AUTHORIZED_BY, .op = OP_EQ, .value = u->serial_number } };
	struct query q = { .filters = f, .nfilters = COUNT(f) };

	return ledger_each_cert(ctx->state, &q, collect, w, e);
}

static int by_time(const void *x, const void *y)
{
	const struct certrec *a = x, *b = y;

	return a->issued_at != b->issued_at ? (a->issued_at > b->issued_at) - (a->issued_at < b->issued_at)
					    : strcmp(a->serial_number, b->serial_number);
}

static int end_one(struct ctx *ctx, const struct use *u, const struct certrec *key, size_t uses, size_t *n,
		   struct err *e)
{
	const struct revoke_order order = { .action = REVOKE_REVOKE, .reason = REASON_PRIVILEGE_WITHDRAWN,
					    .note = "enrolled with a bootstrap certificate that had been used" };
	struct arena *a = ctx->arena;
	struct certrec c;
	struct eventrec ev;
	struct device_entry note;

	if (ledger_cert(ctx->state, key->ca, key->serial_number, &c, e) != 0)
		return -1;
	if (c.status == CERT_REVOKED)
		return 0;
	ev = (struct eventrec){ .type = arena_strdup(a, EVENT_BOOTSTRAP_REUSED),
				.subject = arena_printf(a, "certificate/%s", u->serial_number),
				.time = ctx->now, .dms = c.dms, .device = c.device, .serial_number = c.serial_number,
				.reason = arena_strdup(a, "credential_reused"), .count = (int64_t)uses };
	if (revoke_cert(ctx, &c, &order, e) != 0 || ledger_add_event(ctx->state, &ev, e) != 0)
		return -1;
	++*n;
	if (!c.device)
		return 0;
	note = (struct device_entry){ .device = c.device, .action = DEVICE_NOTE, .time = ctx->now,
				      .type = arena_strdup(a, "BOOTSTRAP-REUSED"),
				      .reason = arena_printf(a, "bootstrap certificate %s had been used",
							     u->serial_number) };
	return ledger_add_device(ctx->state, &note, e);
}

/* The uses of one bootstrap certificate. */
static int settle_one(struct ctx *ctx, const struct use *u, size_t n, size_t *ret_n, struct err *e)
{
	struct enrolled_with w = { .a = ctx->arena };

	for (size_t i = 0; i < n; i++)
		if (find_at(ctx, &u[i], &w, e) != 0)
			return -1;
	if (w.n < 2)
		return 0;
	qsort(w.v, w.n, sizeof(*w.v), by_time);
	for (size_t i = 1; i < w.n; i++)
		if (end_one(ctx, u, &w.v[i], w.n, ret_n, e) != 0)
			return -1;
	return 0;
}

int reuse_settle(struct ctx *ctx, size_t *ret_n, struct err *e)
{
	struct use *v;
	size_t n, done = 0;

	if (ledger_reused(ctx->state, &v, &n, e) != 0)
		return -1;
	for (size_t i = 0, k; i < n; i = k) {
		for (k = i + 1; k < n && strcmp(v[i].serial_number, v[k].serial_number) == 0 &&
		     strcmp(v[i].ca, v[k].ca) == 0;)
			k++;
		if (settle_one(ctx, &v[i], k - i, &done, e) != 0)
			return -1;
	}
	*ret_n = done;
	return 0;
}
