/* The ledger as commands use it: added, committed, found again; what one transaction adds it sees at once, others after
 * the commit. */
#include <stdlib.h>

#include "base/fs.h"
#include "base/text.h"
#include "base/tm.h"
#include "state/ledger.h"
#include "tap.h"

static const char pem[] = "-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----\n";
static struct arena *A;
static char dir[] = "/tmp/test_ledger_api.XXXXXX";
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

static int no_files(void *arg, struct state *st, struct err *e)
{
	(void)arg;
	(void)st;
	(void)e;
	return 0;
}

static struct certrec cert(const char *serial, const char *ca)
{
	struct certrec r = { .serial_number = arena_strdup(A, serial), .ca = arena_strdup(A, ca), .partition = -1,
			     .revocation_reason = -1, .not_before = now - 1000, .not_after = now + 1000,
			     .issued_at = now };

	r.common_name = arena_printf(A, "cn %s", serial);
	r.fingerprint = arena_alloc(A, 65, 1);
	for (size_t i = 0; i < 64; i++)
		r.fingerprint[i] =
			"0123456789abcdef"[((size_t)serial[i % strlen(serial)] * 7 + (size_t)ca[0] + i) & 15];
	r.request_sha256 = r.fingerprint;
	return r;
}

static int add(struct state *st, const char *serial, const char *ca, struct err *e)
{
	struct certrec r = cert(serial, ca);

	return ledger_add_cert(st, &r, bytes_of(pem), e);
}

static void commit(struct state *st, const char *what)
{
	struct err e = { 0 };

	if (!ok(state_commit(st, what, &e) == 0, "%s", what))
		printf("# %s\n", e.msg);
}

static void refused(int r, const struct err *e, enum err_code code, const char *part)
{
	if (!ok(r != 0 && e->code == code && strstr(e->msg, part), "refused: %s", part))
		printf("# %d: %s\n", e->code, e->msg);
}

#define S1 "5f3a0000000000000000000000000001"
#define S2 "5f3a0000000000000000000000000002"
#define S3 "6aaa0000000000000000000000000003"

static void test_names(struct state *st)
{
	static const struct {
		const char *ref, *ca, *want;
		enum err_code code;
	} rows[] = {
		{ S1, NULL, S1, 0 },
		{ "5F:3A:00:00:00:00:00:00:00:00:00:00:00:00:00:01", NULL, S1, 0 },
		{ "6aaa0000", NULL, S3, 0 },
		{ "6AAA-00000", NULL, S3, 0 },
		{ "6aaa000", NULL, "\"6aaa000\" is not in the ledger", ERR_NOT_FOUND },
		{ "5f3a0000", NULL, "more digits", ERR_USAGE },
		{ "01", "first", "01", 0 },
		{ "1", "second", "01", 0 },
		{ "01", NULL, "--ca (first, second)", ERR_USAGE },
		{ "01", "third", "as one of third", ERR_NOT_FOUND },
		{ "sensor", NULL, "neither a serial number", ERR_USAGE },
		{ "", NULL, "neither a serial number", ERR_USAGE },
		{ "\x1b[2J", NULL, "\\x1b[2J", ERR_USAGE },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err e = { 0 };
		struct certrec c;
		int r = ledger_cert(st, rows[i].ca, rows[i].ref, &c, &e);

		if (rows[i].code)
			refused(r, &e, rows[i].code, rows[i].want);
		else if (r != 0)
			ok(false, "%s: %s", rows[i].ref, e.msg);
		else
			is_str(c.serial_number, rows[i].want, rows[i].ref);
	}
}

static void test_adding(void)
{
	struct certrec bad = cert("XY", "root"), c;
	struct state *st = opened(STATE_WRITE), *other;
	struct err e = { 0 };
	struct bytes body;

	refused(ledger_add_cert(st, &bad, bytes_of(pem), &e), &e, ERR_INVALID, "lower-case hex");
	bad = cert(S1, "../root");
	refused(ledger_add_cert(st, &bad, bytes_of(pem), &e), &e, ERR_INVALID, "ca: must be");
	bad = cert(S1, "root");
	refused(ledger_add_cert(st, &bad, bytes_of("-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n"), &e),
		&e, ERR_INVALID,
		"not a certificate");
	e = (struct err){ 0 };
	ok(add(st, S1, "root", &e) == 0 && add(st, S2, "root", &e) == 0 && add(st, S3, "root", &e) == 0,
	   "three certificates");
	ok(add(st, "01", "first", &e) == 0 && add(st, "01", "second", &e) == 0,
	   "two of other authorities, with one serial number");
	ok(ledger_cert(st, NULL, S1, &c, &e) == 0, "a transaction sees its own");
	ok(ledger_cert_pem(st, &c, &body, &e) == 0 && bytes_equal(body, bytes_of(pem)), "with the certificate");
	other = opened(0);
	refused(ledger_cert(other, NULL, S1, &c, &e), &e, ERR_NOT_FOUND, "not in the ledger");
	state_close(other);
	commit(st, "certificates");
	test_names(st);
	state_close(st);
}

static int count_cb(void *arg, const struct certrec *c, struct err *e)
{
	(void)e;
	*(int *)arg += c->status == CERT_ACTIVE;
	return 0;
}

static void test_finding(void)
{
	struct certrec want = cert(S1, "root"), c, *v;
	struct query q = { .sort_by = "serial_number", .page_size = 2 }, rest;
	struct state *st = opened(0);
	struct err e = { 0 };
	struct bytes body;
	bool found;
	char *next;
	size_t n;
	int live = 0;

	ok(ledger_cert(st, NULL, want.fingerprint, &c, &e) == 0 && strcmp(c.serial_number, S1) == 0, "by fingerprint");
	ok(ledger_cert_pem(st, &c, &body, &e) == 0 && bytes_equal(body, bytes_of(pem)), "the certificate itself");
	ok(ledger_cert_by_request(st, "root", want.request_sha256, &found, &c, &e) == 0 && found, "by request");
	ok(ledger_cert_by_request(st, "first", want.request_sha256, &found, &c, &e) == 0 && !found,
	   "another authority did not answer it");
	ok(ledger_certs(st, &q, &v, &n, &next, &e) == 0 && n == 2 && next, "a page");
	ok(query_from_bookmark(A, next, &rest, &e) == 0 && ledger_certs(st, &rest, &v, &n, &next, &e) == 0 && n == 2 &&
	   next, "the next");
	ok(strcmp(v[0].serial_number, S1) == 0, "goes on where the first ended");
	ok(query_from_bookmark(A, next, &rest, &e) == 0 && ledger_certs(st, &rest, &v, &n, &next, &e) == 0 && n == 1 &&
	   !next, "the last");
	q = (struct query){ 0 };
	ok(ledger_each_cert(st, &q, count_cb, &live, &e) == 0 && live == 5, "one at a time");
	state_close(st);
}

static struct revocation revocation(const char *serial, int action)
{
	return (struct revocation){ .serial_number = arena_strdup(A, serial), .ca = arena_strdup(A, "root"),
				    .action = action, .time = now, .recorded = now, .not_after = now + 1000 };
}

static int list_cb(void *arg, const struct revoked_row *r, struct err *e)
{
	struct buf *b = arg;

	(void)e;
	buf_printf(b, "%s%d%s", b->n ? " " : "", r->serial[r->serial_n - 1], r->removed ? "-" : "");
	return 0;
}

static char *revoked(struct state *st, const char *since)
{
	SCOPED_BUF b = buf_init(BUF_TEXT);
	const struct revoked_span span = { .as_of = INT64_MAX, .since_commit = since, .since = INT64_MAX };
	struct err e = { 0 };

	if (ledger_each_revoked(st, "root", &span, list_cb, &b, &e) != 0)
		buf_puts(&b, e.msg);
	return arena_strdup(A, buf_str(&b));
}

static void test_revoking(void)
{
	struct revocation r = revocation(S1, REVOKE_REVOKE);
	struct state *st = opened(STATE_WRITE);
	const char *first = arena_strdup(A, ledger_tip(st)), *second;
	struct certrec c;
	struct err e = { 0 };

	ok(ledger_add_revocation(st, &r, &e) == 0, "a revocation");
	r = revocation(S2, REVOKE_HOLD);
	ok(ledger_add_revocation(st, &r, &e) == 0, "a hold");
	is_str(revoked(st, NULL), "1 2", "the transaction's CRL lists them before the commit");
	commit(st, "revoke");
	is_str(revoked(st, NULL), "1 2", "and after it");
	ok(ledger_cert(st, NULL, S1, &c, &e) == 0 && c.status == CERT_REVOKED && c.revocation_reason == 0,
	   "the certificate is revoked");
	second = arena_strdup(A, ledger_tip(st));
	r = revocation(S2, REVOKE_UNHOLD);
	r.recorded++;
	ok(ledger_add_revocation(st, &r, &e) == 0, "a release");
	r = revocation(S3, REVOKE_REVOKE);
	r.time = r.recorded = now - 100000; /* by a clock that is behind */
	ok(ledger_add_revocation(st, &r, &e) == 0, "a late revocation");
	is_str(revoked(st, second), "2- 3", "a delta before the commit");
	commit(st, "release");
	is_str(revoked(st, second), "2- 3", "a delta lists what came since its base, by commit");
	is_str(revoked(st, first), "1 2- 3", "a longer delta");
	is_str(revoked(st, NULL), "1 3", "the full list");
	is_str(revoked(st, ledger_tip(st)), "", "nothing since now");
	ok(ledger_contains(st, first) && !ledger_contains(st, "00") &&
	   !ledger_contains(st, "0123456789012345678901234567890123456789"),
	   "the ledger knows its own commits");
	state_close(st);
}

static void test_crls(void)
{
	struct crlrec r = { .ca = arena_strdup(A, "root"), .scope = arena_strdup(A, "full/3"),
			    .number = arena_strdup(A, "7"),
			    .this_update = now, .entries = 2 }, got;
	struct state *st = opened(STATE_WRITE);
	struct err e = { 0 };
	unsigned char *big = arena_alloc(A, 300 << 10, 1);
	struct bytes der;
	bool found;

	ok(ledger_add_crl(st, &r, (struct bytes){ (const unsigned char *)"\x30\x00", 2 }, &e) == 0, "a CRL");
	r.number = arena_strdup(A, "8");
	r.scope = arena_strdup(A, "full");
	ok(ledger_add_crl(st, &r, (struct bytes){ big, 300 << 10 }, &e) == 0, "a large one");
	commit(st, "crl");
	ok(ledger_last_crl(st, "root", "full/3", &found, &got, &e) == 0 && found && got.stored, "its record");
	ok(ledger_crl_der(st, &got, &der, &e) == 0 && der.n == 2 && der.p[0] == 0x30, "and itself");
	ok(ledger_last_crl(st, "root", "full", &found, &got, &e) == 0 && found && !got.stored,
	   "the large one's record");
	refused(ledger_crl_der(st, &got, &der, &e), &e, ERR_NOT_FOUND, "digest only");
	state_close(st);
}

static void test_metadata(void)
{
	struct metachange m = { .kind = arena_strdup(A, "certificate"), .id = arena_strdup(A, "root/" S3),
				.key = arena_strdup(A, "site"),
				.value = arena_strdup(A, "\"north\""), .time = now };
	struct state *st = opened(STATE_WRITE);
	struct err e = { 0 };
	struct certrec c;

	ok(ledger_add_meta(st, &m, &e) == 0, "metadata");
	m.key = arena_strdup(A, "rack");
	ok(ledger_add_meta(st, &m, &e) == 0, "twice in one transaction");
	m.kind = arena_strdup(A, "device");
	m.id = arena_strdup(A, "../a b");
	ok(ledger_add_meta(st, &m, &e) == 0, "of a device with any name");
	commit(st, "metadata");
	ok(ledger_cert(st, NULL, S3, &c, &e) == 0, "read again");
	is_str(c.metadata, "{\"site\":\"north\",\"rack\":\"north\"}", "with both");
	ok(ledger_check(st, &e) == 0, "the cache equals a fresh fold");
	ok(ledger_reindex(st, NULL, NULL, &e) == 0 && ledger_check(st, &e) == 0, "also after a rebuild");
	if (e.code)
		printf("# %s\n", e.msg);
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
	if (!mkdtemp(dir) || state_init(A, dir, &opts, &env, no_files, NULL, &e) != 0) {
		printf("Bail out! %s\n", e.msg);
		return 1;
	}
	test_adding();
	test_finding();
	test_revoking();
	test_crls();
	test_metadata();
	arena_free(A);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ok(system(cmd) == 0, "removed");
	return done();
}
