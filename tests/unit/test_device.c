/* Devices as the ledger adds them up: whatever order entries come in, whatever happens within a second, and by the
 * deltas of their managers. */
#include <stdlib.h>

#include "base/text.h"
#include "base/tm.h"
#include "model/dms.h"
#include "state/ledger.h"
#include "tap.h"

enum { DAY = 86400 };
static const char pem[] = "-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----\n";
static struct arena *A;
static char dir[] = "/tmp/test_device.XXXXXX";
static int64_t now;

static struct state *opened(unsigned flags)
{
	struct state_env env = { .actor = "Ann Operator <ann@example.org>", .now = now, .lock_timeout_ms = 200,
				 .op = "test" };
	struct err e = { 0 };
	struct state *st = NULL;

	if (state_open(A, dir, flags, &env, &st, &e) != 0) {
		printf("Bail out! %s\n", e.msg);
		exit(1);
	}
	return st;
}

/* A manager whose deltas are 10 and 2 days. */
static int fill(void *arg, struct state *st, struct err *e)
{
	static const char text[] = "id: quick\nsettings:\n  enrollment_settings:\n    enrollment_ca: ca\n    "
				   "est_rfc7030_settings:\n"
				   "      authentication:\n        type: psk\n  reenrollment_settings:\n    "
				   "preventive_delta: 10d\n"
				   "    critical_delta: 2d\n";

	(void)arg;
	return state_write(st, "dms/quick.yaml", bytes_of(text), e);
}

static void act(struct state *st, int action, const char *id, const char *dms)
{
	struct device_entry x = { .device = arena_strdup(A, id), .action = action,
				  .dms = dms ? arena_strdup(A, dms) : NULL };
	struct err e = { 0 };

	if (!ok(ledger_add_device(st, &x, &e) == 0, "entry %d of %s", action, id))
		printf("# %s\n", e.msg);
}

static struct certrec cert(const char *serial, const char *device, int64_t from, int64_t days)
{
	struct certrec r = { .serial_number = arena_strdup(A, serial), .ca = arena_strdup(A, "ca"), .partition = -1,
			     .revocation_reason = -1, .not_before = from, .not_after = now + days * DAY,
			     .issued_at = now, .device = arena_strdup(A, device) };

	r.fingerprint = arena_alloc(A, 65, 1);
	for (size_t i = 0; i < 64; i++)
		r.fingerprint[i] = "0123456789abcdef"[((size_t)serial[i % 32] * 7 + i) & 15];
	return r;
}

static void issue(struct state *st, const char *serial, const char *device, int64_t from, int64_t days)
{
	struct certrec r = cert(serial, device, from, days);
	struct err e = { 0 };

	if (!ok(ledger_add_cert(st, &r, bytes_of(pem), &e) == 0, "certificate of %s", device))
		printf("# %s\n", e.msg);
}

static void revoke(struct state *st, const char *serial)
{
	struct revocation r = { .serial_number = arena_strdup(A, serial), .ca = arena_strdup(A, "ca"),
				.action = REVOKE_REVOKE, .reason = arena_strdup(A, "superseded"), .time = now,
				.recorded = now };
	struct err e = { 0 };

	ok(ledger_add_revocation(st, &r, &e) == 0, "revocation of %.4s", serial);
}

static void commit(struct state *st)
{
	struct err e = { 0 };

	if (!ok(state_commit(st, "test", &e) == 0, "commit") ||
	    !ok(ledger_check(st, &e) == 0, "the cache equals a fresh fold"))
		printf("# %s\n", e.msg);
}

static void is_status(struct state *st, const char *id, const char *want)
{
	struct err e = { 0 };
	struct device d;

	if (!ok(ledger_device(st, id, &d, &e) == 0, "%s is there", id))
		printf("# %s\n", e.msg);
	else
		is_str(device_status_names[d.status], want, id);
}

#define S(n) #n "f3a000000000000000000000000000" #n

static void test_life(void)
{
	struct state *st = opened(STATE_WRITE);
	struct err e = { 0 };
	struct device d;

	act(st, DEVICE_REGISTER, "a/b \xc3\xa9", "quick");
	is_status(st, "a/b \xc3\xa9", "NO_IDENTITY");
	issue(st, S(1), "a/b \xc3\xa9", now, 365);
	is_status(st, "a/b \xc3\xa9", "ACTIVE");
	commit(st);
	issue(st, S(2), "a/b \xc3\xa9", now + 1, 5);
	is_status(st, "a/b \xc3\xa9", "RENEWAL_PENDING");
	revoke(st, S(1));
	is_status(st, "a/b \xc3\xa9", "RENEWAL_PENDING");
	commit(st);
	ok(ledger_device(st, "a/b \xc3\xa9", &d, &e) == 0 && d.identity.active_version == 1, "the second version");
	is_str(d.identity.versions, "{\"0\":\"" S(1) "\",\"1\":\"" S(2) "\"}", "both versions");
	is_str(d.identity.serial_number, S(2), "the newer is active");
	revoke(st, S(2));
	is_status(st, "a/b \xc3\xa9", "REVOKED");
	act(st, DEVICE_DECOMMISSION, "a/b \xc3\xa9", NULL);
	is_status(st, "a/b \xc3\xa9", "DECOMMISSIONED");
	act(st, DEVICE_DELETE, "a/b \xc3\xa9", NULL);
	act(st, DEVICE_REGISTER, "a/b \xc3\xa9", "other");
	is_status(st, "a/b \xc3\xa9", "NO_IDENTITY");
	commit(st);
	is_status(st, "a/b \xc3\xa9", "NO_IDENTITY");
	act(st, DEVICE_DELETE, "a/b \xc3\xa9", NULL);
	commit(st);
	ok(ledger_device(st, "a/b \xc3\xa9", &d, &e) != 0 && e.code == ERR_NOT_FOUND, "deleted");
	state_close(st);
}

static void test_events(void)
{
	static const char *const want[] = { "CREATED", "DECOMMISSIONED", "DELETED", "CREATED", "DELETED", "PROVISIONED",
					    "REVOKED", "RENEWED",
					    "REVOKED" };
	struct state *st = opened(0);
	struct device_event *v = NULL;
	struct err e = { 0 };
	size_t n = 0;

	ok(ledger_device_events(st, "a/b \xc3\xa9", &v, &n, &e) == 0 && n == COUNT(want), "its history outlives it");
	for (size_t i = 0; i < n && i < COUNT(want); i++)
		is_str(v[i].type, want[i], "event");
	is_str(n ? v[0].actor : NULL, "Ann Operator <ann@example.org>", "who");
	state_close(st);
}

static void test_changes(void)
{
	struct state *st = opened(STATE_WRITE);
	struct device_entry x = { .device = arena_strdup(A, "c"), .action = DEVICE_REGISTER,
				  .metadata = arena_strdup(A, "{\"a\":1,\"b\":\"x\"}"),
				  .tags = { .v = (char *[]){ arena_strdup(A, "one") }, .n = 1, .set = true } };
	struct err e = { 0 };
	struct device d;

	ok(ledger_add_device(st, &x, &e) == 0, "registered");
	x = (struct device_entry){ .device = x.device, .action = DEVICE_CHANGE,
				   .metadata = arena_strdup(A, "{\"b\":null,\"c\":\"2\"}") };
	ok(ledger_add_device(st, &x, &e) == 0, "metadata");
	x = (struct device_entry){ .device = x.device, .action = DEVICE_CHANGE, .alias = arena_strdup(A, "gate"),
				   .tags = { .set = true } };
	ok(ledger_add_device(st, &x, &e) == 0, "alias, and no tags");
	commit(st);
	ok(ledger_device(st, "c", &d, &e) == 0, "read");
	is_str(d.metadata, "{\"a\":1,\"c\":\"2\"}", "merged");
	is_str(d.alias, "gate", "alias");
	is_int((int64_t)d.tags.n, 0, "tags are gone");
	x.alias = arena_strdup(A, "");
	ok(ledger_add_device(st, &x, &e) == 0, "no alias");
	ok(ledger_device(st, "c", &d, &e) == 0 && !d.alias, "is removed");
	x.device = arena_strdup(A, "bad\nid");
	ok(ledger_add_device(st, &x, &e) != 0 && strstr(e.msg, "bad\\x0aid"), "no line breaks in an id");
	state_close(st);
}

static int64_t matching(struct state *st, const char *filter)
{
	struct err e = { 0 };
	struct filter f;
	struct query q = { .filters = &f, .nfilters = 1, .page_size = 100 };
	struct device *v;
	char *next;
	size_t n = 0;

	if (filter_parse(A, filter, &f, &e) != 0 || ledger_devices(st, &q, &v, &n, &next, &e) != 0) {
		printf("# %s\n", e.msg);
		return -1;
	}
	return (int64_t)n;
}

static void test_queries(void)
{
	static const struct {
		const char *filter;
		int64_t want;
	} rows[] = {
		{ "status=NO_IDENTITY", 2 }, { "status=active", 2 }, { "status=RENEWAL_PENDING", 1 },
		{ "status=EXPIRING_SOON", 2 },
		{ "status=EXPIRED", 1 }, { "status[ne]=EXPIRED", 7 }, { "status[in]=EXPIRED,NO_IDENTITY", 3 },
		{ "dms=quick", 4 },
		{ "dms_owner=usual", 3 }, { "id[sw]=q-", 4 }, { "tags[ct]=x", 0 }, { "expires[bf]=3d", 2 },
	};
	static const struct {
		const char *id, *dms;
		int64_t days;
	} devices[] = { { "q-1", "quick", 100 }, { "q-2", "quick", 9 }, { "q-3", "quick", 1 }, { "q-4", "quick", -1 },
			{ "u-1", "usual", 20 }, { "u-2", "usual", 100 }, { "u-3", "usual", 0 } };
	struct state *st = opened(STATE_WRITE);
	int64_t counts[DEVICE_STATUSES];
	struct query all = { 0 };
	struct err e = { 0 };

	for (size_t i = 0; i < COUNT(devices); i++) {
		act(st, DEVICE_REGISTER, devices[i].id, devices[i].dms);
		if (devices[i].days)
			issue(st, arena_printf(A, "7%zu3a0000000000000000000000000000", i), devices[i].id,
			      now - 2 * DAY, devices[i].days);
	}
	commit(st);
	for (size_t i = 0; i < COUNT(rows); i++)
		is_int(matching(st, rows[i].filter), rows[i].want, rows[i].filter);
	ok(ledger_device_counts(st, &all, counts, &e) == 0, "counted");
	is_int(counts[DEVICE_NO_IDENTITY], 2, "without identity");
	is_int(counts[DEVICE_EXPIRING_SOON], 2, "expiring soon");
	is_int(counts[DEVICE_ACTIVE] + counts[DEVICE_RENEWAL_PENDING] + counts[DEVICE_EXPIRED], 4, "the rest");
	is_int(matching(st, "color=red"), -1, "an unknown field");
	ok(ledger_reindex(st, NULL, NULL, &e) == 0 && matching(st, "status=EXPIRING_SOON") == 2,
	   "the same after a rebuild");
	state_close(st);
}

/* Every order of adding: one result. */
static void test_order(void)
{
	static char one[] = "one", two[] = "two", n[] = "n";
	static const size_t orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 },
					    { 2, 1, 0 } };
	const struct device_entry entries[] = {
		{ .action = DEVICE_REGISTER, .time = 100, .seq = 1, .dms = one },
		{ .action = DEVICE_REGISTER, .time = 101, .seq = 1, .dms = two },
		{ .action = DEVICE_CHANGE, .time = 101, .seq = 2, .alias = n },
	};
	struct state *st = opened(STATE_WRITE);
	struct err e = { 0 };
	struct device d;

	for (size_t k = 0; k < COUNT(orders); k++) {
		char *id = arena_printf(A, "order-%zu", k);

		for (size_t i = 0; i < 3; i++) {
			struct device_entry x = entries[orders[k][i]];

			x.device = id;
			ok(ledger_add_device(st, &x, &e) == 0, "order %zu", k);
			ok(ledger_find_device(st, id, &(bool){ false }, &d, &e) == 0, "folded on the way");
		}
		ok(ledger_device(st, id, &d, &e) == 0 && strcmp(d.dms, "one") == 0 && d.alias && d.created_at == 100,
		   "the first registration wins");
	}
	commit(st);
	state_close(st);
}

int main(void)
{
	struct state_init_opts opts = { .name = "test" };
	struct state_env env = { .actor = "Ann Operator <ann@example.org>", .op = "test" };
	struct err e = { 0 };
	char cmd[100];

	A = arena_new();
	now = tm_now();
	env.now = now;
	if (!mkdtemp(dir) || state_init(A, dir, &opts, &env, fill, NULL, &e) != 0) {
		printf("Bail out! %s\n", e.msg);
		return 1;
	}
	test_life();
	test_events();
	test_changes();
	test_queries();
	test_order();
	arena_free(A);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ok(system(cmd) == 0, "removed");
	return done();
}
