/* The ledger's fold and its cache, on a real repository that git fast-import writes: no state of ours but index.db. */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/text.h"
#include "state/entry.h"
#include "state/index.h"
#include "tap.h"

#define NOW INT64_C(1800000000) /* 2027-01-15 */
#define DAY 86400

static struct arena *A;
static char dir[] = "/tmp/test_ledger.XXXXXX";
static char *db_path;
static struct store *store;

/* --- a ledger written by git --- */

static FILE *import;
static int commits;

static void run(const char *fmt, ...)
{
	char cmd[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (system(cmd) != 0) {
		printf("Bail out! %s\n", cmd);
		exit(1);
	}
}

static void commit_begin(void)
{
	char cmd[200];

	snprintf(cmd, sizeof(cmd), "git -C %s fast-import --quiet --force", dir);
	import = popen(cmd, "w");
	fprintf(import, "commit refs/heads/ledger\ncommitter T <t@example.com> %d +0000\ndata 0\n", ++commits);
	if (commits > 1)
		fprintf(import, "from refs/heads/ledger^0\n");
}

static void put(const char *path, const char *text)
{
	fprintf(import, "M 100644 inline %s\ndata %zu\n%s\n", path, strlen(text), text);
}

static struct oid commit_end(void)
{
	struct err e = { 0 };
	struct oid tip = { { 0 } };
	bool found = false;

	if (pclose(import) != 0 || store_ref(store, "refs/heads/ledger", &found, &tip, &e) != 0 || !found)
		printf("Bail out! commit: %s\n", e.msg);
	return tip;
}

static const char pem[] = "-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----\n";

/* Serial numbers of the tests: 16 octets that end in n. */
static char *serial(int n)
{
	return arena_printf(A, "5f3a%028x", (unsigned)n);
}

static struct certrec cert(int n, const char *ca)
{
	struct certrec r = { .serial_number = serial(n), .ca = arena_strdup(A, ca), .partition = -1,
			     .revocation_reason = -1 };

	r.profile = arena_strdup(A, n % 2 ? "odd" : "even");
	r.common_name = arena_printf(A, "device-%d", n);
	r.subject = arena_printf(A, "CN=device-%d,O=Acme Corp", n);
	r.device = n % 3 ? NULL : arena_printf(A, "unit %d", n);
	r.san.v = arena_new_array(A, 2, char *);
	r.san.v[0] = arena_printf(A, "DNS:host%d.example.com", n);
	r.san.v[1] = arena_strdup(A, "IP:2001:db8::1");
	r.san.n = 2;
	r.san.set = true;
	r.not_before = NOW - 100 * DAY;
	r.not_after = NOW + (n - 10) * DAY;
	r.issued_at = NOW - (1000 - n) * DAY;
	r.fingerprint = arena_printf(A, "%08x%.24s%s", (unsigned)n * 2654435761u, serial(0), serial(n + 1000));
	r.key_id = arena_printf(A, "%s%s", serial(n + 7000), r.serial_number);
	r.request_sha256 = n == 5 ? arena_printf(A, "%s%s", serial(1), serial(2)) : NULL;
	return r;
}

static char *text_of(const struct schema *sc, const void *rec, const char *body)
{
	SCOPED_BUF b = buf_init(BUF_TEXT);

	rec_emit(sc, rec, &b);
	buf_puts(&b, body);
	return arena_strdup(A, buf_str(&b));
}

static void put_cert(const struct certrec *r, const char *folder)
{
	put(arena_printf(A, "issued/%s/%s.pem", folder, r->serial_number), text_of(&certrec_type, r, pem));
}

static void put_revocation(int n, const char *ca, const char *writer, int action, const char *reason, int64_t time,
			   int64_t recorded)
{
	struct revocation r = { .serial_number = serial(n), .ca = arena_strdup(A, ca), .action = action, .time = time,
				.recorded = recorded, .reason = arena_strdup(A, reason) };

	put(arena_printf(A, "revoked/00/00/00/%s.%s.yaml", r.serial_number, writer), text_of(&revocation_type, &r, ""));
}

static void put_meta(int n, const char *ca, const char *writer, const char *key, const char *value, int64_t time)
{
	struct metachange m = { .kind = arena_strdup(A, "certificate"), .id = arena_printf(A, "%s/%s", ca, serial(n)),
				.key = arena_strdup(A, key), .value = arena_strdup(A, value), .time = time };

	put(arena_printf(A, "meta/00/00/00/%s.%s.yaml", serial(n), writer), text_of(&metachange_type, &m, ""));
}

/* --- the cache --- */

static struct index *open_index(void)
{
	struct err e = { 0 };
	struct index *ix = NULL;

	if (index_open(A, db_path, &ix, &e) != 0)
		printf("# open: %s\n", e.msg);
	return ix;
}

static void sync_to(struct index *ix, const struct oid *tip, const char *what)
{
	struct err e = { 0 };

	if (!ok(index_sync(ix, store, tip, NULL, NULL, &e) == 0, "%s", what))
		printf("# %s\n", e.msg);
}

static struct certrec get(struct index *ix, int n, const char *ca)
{
	struct cert_ref ref = { .ca = ca, .serial = serial(n) };
	struct certrec *v = NULL;
	struct err e = { 0 };
	size_t count = 0;

	if (index_find(ix, A, &ref, NOW, &v, &count, &e) != 0 || count != 1) {
		printf("# serial %d: %zu found %s\n", n, count, e.msg);
		return (struct certrec){ .status = -1 };
	}
	return v[0];
}

static void is_status(struct index *ix, int n, int status, int reason, int64_t at, const char *what)
{
	struct certrec c = get(ix, n, NULL);

	if (!ok(c.status == status && c.revocation_reason == reason && c.revoked_at == at, "%s", what))
		printf("# status %d reason %d at %" PRId64 "\n", c.status, c.revocation_reason, c.revoked_at);
}

/* "1 3 7" for the numbers of the certificates found, in order; or the error. */
static char *listed(struct index *ix, const char *filters, const char *sort, bool desc, int64_t page, int64_t offset,
		    bool *more)
{
	struct query q = { .sort_by = sort, .desc = desc, .page_size = page, .offset = offset };
	SCOPED_BUF b = buf_init(BUF_TEXT);
	struct err e = { 0 };
	int64_t *ids;
	size_t n;

	q.filters = arena_new_array(A, 8, struct filter);
	for (char *f = arena_strdup(A, filters), *next; f && *f; f = next) {
		next = strchr(f, '&');
		if (next)
			*next++ = '\0';
		if (filter_parse(A, f, &q.filters[q.nfilters++], &e) != 0)
			return arena_strdup(A, e.msg);
	}
	if (index_query(ix, A, &(struct query_target){ 0 }, &q, NOW, &ids, &n, more, &e) != 0)
		return arena_strdup(A, e.msg);
	for (size_t i = 0; i < n; i++) {
		struct certrec c;

		if (index_get(ix, A, ids[i], NOW, &c, &e) != 0)
			return arena_strdup(A, e.msg);
		buf_printf(&b, "%s%ld", i ? " " : "", strtol(c.serial_number + 24, NULL, 16));
	}
	return arena_strdup(A, buf_str(&b));
}

static void is_list(struct index *ix, const char *filters, const char *want)
{
	bool more;

	is_str(listed(ix, filters, "serial_number", false, 0, 0, &more), want, filters);
}

/* --- revocations: rows of entries and what they fold to --- */

static const struct fold_row {
	const char *what;
	struct {
		const char *writer;
		int action;
		const char *reason;
		int64_t time, recorded;
	} entries[4];
	int status, reason;
	int64_t at;
} fold_rows[] = {
	{ "a revocation", { { "a", REVOKE_REVOKE, "key_compromise", 100, 110 } }, CERT_REVOKED, 1, 100 },
	{ "no reason is unspecified", { { "a", REVOKE_REVOKE, NULL, 100, 110 } }, CERT_REVOKED, 0, 100 },
	{ "the earliest revocation wins",
	  { { "a", REVOKE_REVOKE, "superseded", 200, 210 }, { "b", REVOKE_REVOKE, "key_compromise", 100, 300 } },
	  CERT_REVOKED, 1, 100 },
	{ "ties go to the name",
	  { { "b", REVOKE_REVOKE, "superseded", 100, 1 }, { "a", REVOKE_REVOKE, "key_compromise", 100, 2 } },
	  CERT_REVOKED, 1, 100 },
	{ "a hold", { { "a", REVOKE_HOLD, NULL, 100, 110 } }, CERT_HELD, 6, 100 },
	{ "a revocation with certificate_hold is a hold", { { "a", REVOKE_REVOKE, "certificate_hold", 100, 110 } },
	  CERT_HELD, 6, 100 },
	{ "a released hold", { { "a", REVOKE_HOLD, NULL, 100, 110 }, { "b", REVOKE_UNHOLD, NULL, 200, 210 } },
	  CERT_ACTIVE, -1, 0 },
	{ "released and held again",
	  { { "a", REVOKE_HOLD, NULL, 100, 110 }, { "b", REVOKE_UNHOLD, NULL, 200, 210 },
	    { "c", REVOKE_HOLD, NULL, 300, 310 } },
	  CERT_HELD, 6, 300 },
	{ "holds count by when they were recorded, not by name",
	  { { "z", REVOKE_HOLD, NULL, 100, 110 }, { "a", REVOKE_UNHOLD, NULL, 50, 210 } }, CERT_ACTIVE, -1, 0 },
	{ "a revocation beats a later release",
	  { { "a", REVOKE_HOLD, NULL, 100, 110 }, { "b", REVOKE_REVOKE, "key_compromise", 150, 160 },
	    { "c", REVOKE_UNHOLD, NULL, 200, 210 } },
	  CERT_REVOKED, 1, 150 },
	{ "a revocation beats a later hold",
	  { { "a", REVOKE_REVOKE, "superseded", 100, 110 }, { "b", REVOKE_HOLD, NULL, 200, 210 } },
	  CERT_REVOKED, 4, 100 },
	{ "a release of nothing", { { "a", REVOKE_UNHOLD, NULL, 100, 110 } }, CERT_ACTIVE, -1, 0 },
};

/* All rows in one commit, then each entry in a commit of its own, last first: the same result. */
static struct oid write_folds(bool one_commit)
{
	struct oid tip = { { 0 } };

	if (one_commit)
		commit_begin();
	for (int k = 3; k >= 0; k--) {
		if (!one_commit)
			commit_begin();
		for (size_t i = 0; i < COUNT(fold_rows); i++) {
			const struct fold_row *r = &fold_rows[i];
			int n = (int)i + (one_commit ? 100 : 200);
			struct certrec c = cert(n, "root");

			if (r->entries[k].writer)
				put_revocation(n, "root", r->entries[k].writer, r->entries[k].action,
					       r->entries[k].reason, r->entries[k].time, r->entries[k].recorded);
			/* In the other case the certificate comes after its revocations. */
			if (k == 0)
				put_cert(&c, "00/00/01");
		}
		if (!one_commit)
			tip = commit_end();
	}
	return one_commit ? commit_end() : tip;
}

static void test_fold(struct index *ix)
{
	struct oid tip = write_folds(true);

	sync_to(ix, &tip, "revocations in one commit");
	for (int pass = 1; pass <= 2; pass++) {
		for (size_t i = 0; i < COUNT(fold_rows); i++)
			is_status(ix, (int)i + 100 * pass, fold_rows[i].status, fold_rows[i].reason, fold_rows[i].at,
				  fold_rows[i].what);
		if (pass == 1) {
			for (int k = 0; k < 1; k++)
				tip = write_folds(false);
			sync_to(ix, &tip, "revocations in many commits, certificates last");
		}
	}
}

/* --- queries --- */

static const struct {
	const char *filters, *want;
} queries[] = {
	{ "serial_number=5F:3A:00:00:00:00:00:00:00:00:00:00:00:00:00:07", "7" },
	{ "serial_number[sw]=5f3a000000000000000000000000001", "16 17 18 19" },
	{ "serial_number[in]=" "5f3a0000000000000000000000000003,zz", "3" },
	{ "common_name=device-3", "3" },
	{ "subject.common_name=device-3", "3" },
	{ "common_name[eq_ic]=DEVICE-3", "3" },
	{ "common_name[ct]=VICE-1", "1 10 11 12 13 14 15 16 17 18 19" },
	{ "common_name[ct]=-1", "1 10 11 12 13 14 15 16 17 18 19" },
	{ "common_name[ew]=9", "9 19" },
	{ "common_name[nc]=1", "0 2 3 4 5 6 7 8 9" },
	{ "common_name[in]=device-3,device-4", "3 4" },
	{ "common_name[nin]=device-3,device-4&serial_number[le]=5f3a0000000000000000000000000006", "0 1 2 5 6" },
	{ "san=DNS:host4.example.com", "4" },
	{ "san[ct]=DNS:host1", "1 10 11 12 13 14 15 16 17 18 19" },
	{ "san[sw]=DNS:host11", "11" },
	{ "san[ct]=2001:db8::1&device[ct]=unit 1", "12 15 18" },
	{ "san[ne]=DNS:host4.example.com&profile=even&not_after[lt]=2027-01-15", "0 2 6 8" },
	{ "device[ne]=unit 3&serial_number[lt]=5f3a0000000000000000000000000005", "0 1 2 4" },
	{ "profile=odd&status=EXPIRED", "1 3 5 7 9" },
	{ "status=EXPIRED", "0 1 2 3 4 5 6 7 8 9" },
	{ "status=active&profile=odd", "11 13 15 17 19" },
	{ "status[ne]=ACTIVE&profile=odd", "1 3 5 7 9" },
	{ "status[in]=EXPIRED,REVOKED&not_after[gt]=-2d", "9" },
	{ "expires[bf]=2d&status=ACTIVE", "10 11" },
	{ "valid_to[af]=8d", "19" },
	{ "valid_from[bf]=2000-01-01", "" },
	{ "issuer_meta.id=root&valid_to[ge]=2027-01-24", "19" },
	{ "key_id=5f3a0000000000000000000000001b5b5f3a0000000000000000000000000003", "3" },
	{ "fingerprint[ct]=5f3a00000000000000000000000003ea", "2" },
	{ "is_ca=true", "" },
	{ "partition[lt]=0&common_name=device-2", "2" },
	{ "metadata.site=north", "4" },
	{ "metadata.site[ne]=north&common_name[in]=device-4,device-5", "5" },
	{ "metadata.lamassu.io/a.b=x", "4" },
	{ "common_name[in]=,", "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19" },
	{ "common_name=x' OR 1=1 --", "" },
	{ "common_name[ct]=\"\"\" OR \"dev", "" },
	{ "nonsense=1", "unknown field \"nonsense\"; known are serial_number, ca, profile, subject, common_name, san, "
			"device, dms, bind, type, is_ca, ca_id, not_before, not_after, issued_at, key_id, key_type, "
			"fingerprint, request_sha256, batch, partition, metadata, status, revocation_reason, "
			"revoked_at, metadata.KEY" },
	{ "statu=1", "unknown field \"statu\"; did you mean \"status\"?; known are serial_number, ca, profile, "
		     "subject, common_name, san, device, dms, bind, type, is_ca, ca_id, not_before, not_after, "
		     "issued_at, key_id, key_type, fingerprint, request_sha256, batch, partition, metadata, status, "
		     "revocation_reason, revoked_at, metadata.KEY" },
	{ "status[gt]=ACTIVE", "status has no operator gt; known are eq, ne, in, nin" },
	{ "status=GONE", "status: unknown value \"GONE\"; known are ACTIVE, EXPIRED, REVOKED, HELD" },
	{ "not_after[ct]=2027", "not_after has no operator ct; known are eq, ne, gt, ge, lt, le, bf, af" },
	{ "not_after[bf]=soon", "not_after: \"soon\" is neither a time nor a duration from now such as 30d or -30d" },
	{ "partition=x", "partition: \"x\" is not a number" },
};

static void test_queries(struct index *ix)
{
	SCOPED_BUF all = buf_init(BUF_TEXT);
	bool more = false;
	struct cert_ref ref;
	struct certrec *v;
	struct err e = { 0 };
	size_t n;

	for (size_t i = 0; i < COUNT(queries); i++)
		is_list(ix, queries[i].filters, queries[i].want);
	is_str(listed(ix, "profile=odd", "not_after", true, 3, 0, &more), "19 17 15", "descending, first page");
	ok(more, "there is a next page");
	is_str(listed(ix, "profile=odd", "not_after", true, 3, 9, &more), "1", "descending, last page");
	ok(!more, "there is no next page");
	is_str(listed(ix, "", NULL, false, 2, 0, &more), "19 18", "of its own accord the newest come first");
	is_str(listed(ix, "", "status", false, 2, 0, &more), "10 11", "sorted by status");
	is_str(listed(ix, "", "dms", false, 2, 3, &more), "3 4", "sorted by what has no index");
	ok(strstr(listed(ix, "", "path", false, 2, 3, &more), "unknown field \"path\"") != NULL,
	   "sorting by an unknown field");

	ref = (struct cert_ref){ .serial_from = "5f3a0000", .serial_to = index_hex_last(A, "5f3a0000") };
	ok(index_find(ix, A, &ref, NOW, &v, &n, &e) == 0 && n == 8, "an abbreviated serial number finds at most 8");
	ref = (struct cert_ref){ .serial_from = "5f3a000000000000000000000000000f",
				 .serial_to = "5f3a000000000000000000000000000f" };
	ok(index_find(ix, A, &ref, NOW, &v, &n, &e) == 0 && n == 1, "both ends belong to the range");
	ref = (struct cert_ref){ .fingerprint = cert(3, "root").fingerprint };
	ok(index_find(ix, A, &ref, NOW, &v, &n, &e) == 0 && n == 1 && strcmp(v[0].serial_number, serial(3)) == 0,
	   "by fingerprint");
	ref = (struct cert_ref){ .request_sha256 = cert(5, "root").request_sha256, .ca = "root" };
	ok(index_find(ix, A, &ref, NOW, &v, &n, &e) == 0 && n == 1 && strcmp(v[0].serial_number, serial(5)) == 0,
	   "by request");
}

static void test_record(struct index *ix)
{
	struct certrec c = get(ix, 3, "root"), want = cert(3, "root");

	ok(rec_equal(&certrec_type, &c, &want), "a certificate comes back as it was recorded");
	is_str(c.path, "issued/00/00/00/5f3a0000000000000000000000000003.pem", "with the path of its entry");
	is_int(c.status, CERT_EXPIRED, "and its status as of now");
	ok(get(ix, 10, NULL).status == CERT_ACTIVE, "the last second of validity counts");
	is_str(get(ix, 4, NULL).metadata, "{\"site\":\"north\",\"lamassu.io/a.b\":\"x\"}", "metadata is folded");
}

static struct oid write_certs(void)
{
	commit_begin();
	put("format", "1\n");
	for (int i = 0; i < 20; i++) {
		struct certrec c = cert(i, "root");

		put_cert(&c, i < 10 ? "00/00/00" : "00/00/01");
	}
	put_meta(4, "root", "a", "site", "\"south\"", 100);
	put_meta(4, "root", "b", "site", "\"north\"", 200);
	put_meta(4, "root", "c", "gone", "1", 100);
	put_meta(4, "root", "d", "gone", NULL, 101);
	put_meta(4, "root", "e", "lamassu.io/a.b", "\"x\"", 300);
	put("novelties/00/00/00/1.yaml", "kind: unknown\n");
	return commit_end();
}

/* --- the rows of a CRL, CRL records, numbers --- */

struct rows {
	struct buf text;
};

static int on_row(void *arg, const struct revoked_row *r, struct err *e)
{
	struct rows *rows = arg;

	(void)e;
	buf_printf(&rows->text, "%s%d:%d%s", rows->text.n ? " " : "", r->serial[15], r->reason, r->removed ? "-" : "");
	return 0;
}

static char *revoked(struct index *ix, const char *ca, int64_t expired_before, const struct strv *only)
{
	struct rows rows = { buf_init(BUF_TEXT) };
	struct err e = { 0 };
	char *s;

	if (index_each_revoked(ix, ca, expired_before, INT64_MAX, only, on_row, &rows, &e) != 0)
		buf_puts(&rows.text, e.msg);
	s = arena_strdup(A, buf_str(&rows.text));
	buf_release(&rows.text);
	return s;
}

static struct oid write_crls(void)
{
	static const char *const numbers[] = { "9", "10", "1800000000" };

	commit_begin();
	for (int i = 0; i < 6; i++) {
		struct certrec c = cert(i, "other");

		put_cert(&c, "00/00/02");
	}
	put_revocation(0, "other", "a", REVOKE_REVOKE, "superseded", 100, 100);
	put_revocation(3, "other", "a", REVOKE_REVOKE, "key_compromise", 100, 100);
	put_revocation(2, "other", "a", REVOKE_HOLD, NULL, 100, 100);
	put_revocation(4, "other", "a", REVOKE_HOLD, NULL, 100, 100);
	put_revocation(4, "other", "b", REVOKE_UNHOLD, NULL, 100, 200);
	for (size_t i = 0; i < COUNT(numbers); i++) {
		struct crlrec r = { .ca = arena_strdup(A, "other"), .scope = arena_strdup(A, "full"),
				    .number = arena_strdup(A, numbers[i]),
				    .this_update = 100, .entries = 3 };

		put(arena_printf(A, "crls/00/00/00/other.full.%s.x.yaml", numbers[i]), text_of(&crlrec_type, &r, ""));
	}
	return commit_end();
}

static void test_crls(struct index *ix)
{
	struct strv only = { .v = (char *[]){ serial(0), serial(4), serial(5) }, .n = 3 };
	struct oid tip = write_crls();
	struct cert_count *counts;
	struct crlrec r, *all;
	struct err e = { 0 };
	bool found;
	int64_t periods[3];
	size_t n;

	sync_to(ix, &tip, "another authority");
	is_str(revoked(ix, "other", 0, NULL), "0:4 2:6 3:1", "what a full CRL lists, by serial number");
	is_str(revoked(ix, "other", NOW - 8 * DAY, NULL), "2:6 3:1", "what ended before is left out");
	is_str(revoked(ix, "other", 0, &only), "0:4 4:0-", "what a delta lists, released holds too");
	is_str(revoked(ix, "nobody", 0, NULL), "", "an authority without revocations");
	ok(index_last_crl(ix, A, "other", "full", &found, &r, &e) == 0 && found, "a CRL record");
	is_str(r.number, "1800000000", "the one with the greatest number");
	is_str(r.path, "crls/00/00/00/other.full.1800000000.x.yaml", "its path");
	ok(index_last_crl(ix, A, "other", "delta", &found, &r, &e) == 0 && !found, "no record of another scope");
	ok(index_crls(ix, A, NULL, &all, &n, &e) == 0 && n == 3 && strcmp(all[1].number, "10") == 0,
	   "all records, newest first");
	ok(index_count(ix, A, NOW, &counts, &n, &e) == 0 && n == 9, "counted by authority, profile and status");
	for (size_t i = 0; i < n; i++)
		if (strcmp(counts[i].ca, "other") == 0 && strcmp(counts[i].profile, "even") == 0 &&
		    counts[i].status == CERT_HELD)
			is_int(counts[i].n, 1, "one is held");
	ok(index_expiry(ix, NULL, NOW, NOW, 4 * DAY, 3, periods, &e) == 0 && periods[0] == 4 && periods[1] == 4 &&
	   periods[2] == 2,
	   "ends in three periods of four days");
	ok(index_expiry(ix, "other", NOW, NOW, 4 * DAY, 3, periods, &e) == 0 && periods[0] == 0, "of one authority");
	ok(index_expiry(ix, NULL, NOW, INT64_MAX - 5, INT64_MAX / 2, 3, periods, &e) != 0,
	   "periods past the end of time are refused");
}

/* --- hostile entries --- */

static const struct {
	const char *path, *text, *why; /* why NULL: ignored without a word */
} hostile[] = {
	{ "issued/00/00/07/aa.pem", "", "empty" },
	{ "issued/00/00/07/ab.pem", "serial_number: ab\n", "is required" },
	{ "issued/00/00/07/ac.pem", "serial_number: ac\nca: root\nserial_number: ac\n", "given twice" },
	{ "issued/00/00/07/ad.pem", "serial_number: &x ad\n", "anchors" },
	{ "issued/00/00/07/ae.pem", "serial_number: \"ae\\0\"\n", "NUL" },
	{ "issued/00/00/07/AF.pem", "serial_number: AF\nca: root\nfingerprint: x\n", "lower-case hex" },
	{ "issued/00/00/07/ba.pem", "-----BEGIN CERTIFICATE-----\n", "empty" },
	{ "issued/00/00/07/bb.pem", "\xff\xfe\n", "" },
	{ "issued/00/00/07/bc.pem", "{\"serial_number\": [1", "" },
	{ "issued/bd.pem", "status: ACTIVE\n", "computed" },
	{ "issued/00/00/07/be.pem", "serial_number: bf\nca: root\nfingerprint: "
	  "0000000000000000000000000000000000000000000000000000000000000000\n-----BEGIN CERTIFICATE-----\nA",
	  "does not begin" },
	{ "issued/00/00/07/bf.pem", "serial_number: bf\nca: root\nfingerprint: "
	  "0000000000000000000000000000000000000000000000000000000000000000\n", "no certificate" },
	{ "revoked/00/00/07/aa.x.yaml", "serial_number: aa\nca: ../x\naction: REVOKE\ntime: 2026-01-01\nrecorded: "
					"2026-01-01\n", "ca: must be" },
	{ "revoked/00/00/07/ab.x.yaml", "serial_number: ab\nca: x\naction: FORGIVE\ntime: 2026-01-01\nrecorded: "
					"2026-01-01\n", "FORGIVE" },
	{ "revoked/00/00/07/ac.x.yaml", "serial_number: ac\nca: x\naction: REVOKE\nreason: remove_from_crl\ntime: "
					"2026-01-01\n"
	  "recorded: 2026-01-01\n", "deltas\"" },
	{ "crls/00/00/07/a.yaml", "ca: root\nscope: all\nnumber: \"1\"\n", "scope" },
	{ "crls/00/00/07/b.yaml", "ca: root\nscope: full\nnumber: \"01\"\n", "decimal" },
	{ "meta/00/00/07/a.yaml", "kind: certificate\nid: nothing\nkey: a\ntime: 2026-01-01\n", "AUTHORITY/SERIAL" },
	{ "meta/00/00/07/b.yaml", "kind: device\nid: d\nkey: a\ntime: 2026-01-01\n", NULL },
	{ "devices/00/00/07/b.yaml", "\xff", "not UTF-8" },
	{ "README", "hello", NULL },
};

static void test_hostile(struct index *ix)
{
	struct bad_entry *bad = NULL;
	struct err e = { 0 };
	struct oid tip;
	size_t n = 0, expected = 0;

	commit_begin();
	for (size_t i = 0; i < COUNT(hostile); i++)
		put(hostile[i].path, hostile[i].text);
	put("issued/00/00/07/c0.pem", arena_printf(A, "%*s", ENTRY_MAX + 1, "x"));
	tip = commit_end();
	sync_to(ix, &tip, "hostile entries do not stop the fold");
	ok(index_bad(ix, A, &bad, &n, &e) == 0, "they are listed");
	for (size_t i = 0; i < COUNT(hostile); i++) {
		const char *why = NULL;

		for (size_t k = 0; k < n; k++)
			if (strcmp(bad[k].path, hostile[i].path) == 0)
				why = bad[k].why;
		expected += hostile[i].why != NULL;
		if (!ok(hostile[i].why ? why && (strstr(why, hostile[i].why) || strstr(why, "delta")) : !why, "%s",
			hostile[i].path))
			printf("# why: %s\n", why ? why : "(not listed)");
	}
	is_int((int64_t)n, (int64_t)expected + 1, "these and the one that is too large");
}

/* --- the cache's own troubles --- */

static void test_twins(struct index *ix)
{
	struct certrec c = cert(3, "root"), twin = cert(6, "root");
	struct bad_entry *bad;
	struct err e = { 0 };
	struct oid tip;
	size_t n = 0, more = 0;

	ok(index_bad(ix, A, &bad, &n, &e) == 0, "what is bad so far");
	c.profile = arena_strdup(A, "elsewhere");
	twin.fingerprint = cert(7, "root").fingerprint;
	commit_begin();
	put(arena_printf(A, "issued/00/00/00/%s.0.pem", c.serial_number), text_of(&certrec_type, &c, pem));
	put(arena_printf(A, "issued/00/00/08/%s.pem", twin.serial_number), text_of(&certrec_type, &twin, pem));
	tip = commit_end();
	sync_to(ix, &tip, "a certificate that was imported twice");
	is_str(get(ix, 3, "root").profile, "elsewhere", "is shown by the entry whose path comes first");
	ok(index_bad(ix, A, &bad, &more, &e) == 0 && more == n + 1 && strstr(bad[more - 1].why, "more than one"),
	   "a serial number used twice is found");
	ok(index_check(ix, store, &tip, &e) == 0, "the cache equals a fresh fold");
	if (e.code)
		printf("# %s\n", e.msg);
}

static void scribble(off_t at, const char *what)
{
	int fd = open(db_path, O_WRONLY);

	if (fd < 0 || pwrite(fd, what, strlen(what), at) < 0)
		printf("# scribble\n");
	close(fd);
}

static void test_damage(const struct oid *tip)
{
	struct index *ix = open_index();
	struct oid stamp;
	struct err e = { 0 };

	ok(index_stamp(ix, &stamp) && oid_equal(&stamp, tip), "a cache that was closed is current when it is opened");
	index_close(ix);
	scribble(0, "this is not a database, is it?");
	ix = open_index();
	ok(!index_stamp(ix, &stamp), "a damaged header: empty");
	sync_to(ix, tip, "and rebuilt");
	ok(get(ix, 3, "root").status == CERT_EXPIRED, "as it was");
	index_close(ix);
	ok(truncate(db_path, 30000) == 0, "a file that was cut");
	ix = open_index();
	if (index_stamp(ix, &stamp)) {
		bool more;

		listed(ix, "", "subject", false, 0, 0, &more);
		ok(index_damaged(ix), "is noticed at the latest by a query");
		ok(index_drop(ix, &e) == 0, "and dropped");
	}
	sync_to(ix, tip, "rebuilt");
	index_close(ix);
	ix = open_index();
	ok(index_stamp(ix, &stamp) && oid_equal(&stamp, tip), "in its file");
	index_close(ix);
}

static void test_readers(const struct oid *tip)
{
	struct index *ix;
	struct oid stamp;
	int status, bad = 0;

	unlink(db_path);
	fflush(stdout);
	for (int i = 0; i < 6; i++)
		if (fork() == 0) {
			struct index *mine = NULL;
			struct err e = { 0 };
			int r = index_open(A, db_path, &mine, &e) != 0 ||
				index_sync(mine, store, tip, NULL, NULL, &e) != 0 ||
				get(mine, 3, "root").status != CERT_EXPIRED;

			if (r)
				printf("# reader: %s\n", e.msg);
			fflush(stdout);
			index_close(mine);
			_exit(r);
		}
	while (wait(&status) > 0)
		bad += status != 0;
	is_int(bad, 0, "six readers at once build one cache");
	ix = open_index();
	ok(index_stamp(ix, &stamp) && oid_equal(&stamp, tip), "which stays");
	index_close(ix);
}

static void test_unwritable(const struct oid *old, const struct oid *tip)
{
	char *missing = db_path;
	struct index *ix;
	struct oid stamp;

	db_path = arena_printf(A, "%s/no/such/folder/index.db", dir);
	ix = open_index();
	sync_to(ix, tip, "a cache that cannot be written is private");
	ok(get(ix, 3, "root").status == CERT_EXPIRED, "and answers");
	index_close(ix);
	db_path = missing;

	ix = open_index();
	sync_to(ix, old, "a reader that comes late");
	ok(index_stamp(ix, &stamp) && oid_equal(&stamp, tip), "does not set the cache back");
	index_close(ix);
}

static void test_own(struct oid *tip)
{
	struct certrec c = cert(40, "root");
	char *text = text_of(&certrec_type, &c, pem), *short_path = arena_printf(A, "issued/%s.pem", c.serial_number);
	char *path = arena_printf(A, "issued/00/00/09/%s.pem", c.serial_number);
	struct entry mine = { .path = short_path, .text = bytes_of(text) };
	struct index *ix = open_index(), *other;
	struct err e = { 0 };
	struct oid next, stamp;
	struct revocation r = { .serial_number = serial(40), .ca = arena_strdup(A, "root"), .action = REVOKE_REVOKE,
				.time = 7, .recorded = 8 };
	struct entry both[2] = { mine, { .path = arena_printf(A, "revoked/%s.x.yaml", serial(40)),
					 .text = bytes_of(text_of(&revocation_type, &r, "")) } };

	ok(index_preview(ix, both, 1, &e) == 0 && get(ix, 40, NULL).status == CERT_ACTIVE,
	   "an entry that is not committed is seen");
	ok(index_preview(ix, both, 2, &e) == 0 && get(ix, 40, NULL).status == CERT_REVOKED, "and the next one");
	other = open_index();
	ok(get(other, 40, NULL).status == -1, "by nobody else");
	ok(get(other, 3, "root").status == CERT_EXPIRED, "who can read meanwhile");
	index_forget(ix);
	ok(get(ix, 40, NULL).status == -1, "and is forgotten");

	commit_begin();
	put(path, text);
	next = commit_end();
	mine.path = path;
	ok(index_apply_begin(ix, tip, &mine, 1) && index_stamp(other, &stamp) && oid_equal(&stamp, tip),
	   "a commit of ours is folded before it is made");
	index_apply_end(ix, NULL);
	ok(index_stamp(ix, &stamp) && oid_equal(&stamp, tip) && get(ix, 40, NULL).status == -1,
	   "and forgotten when it failed");
	if (ok(index_apply_begin(ix, tip, &mine, 1), "the next one is folded"))
		index_apply_end(ix, &next);
	ok(index_stamp(ix, &stamp) && oid_equal(&stamp, &next), "and stays");
	is_str(get(ix, 40, NULL).path, path, "with its path");
	ok(!index_apply_begin(other, tip, &mine, 1) && index_stamp(other, &stamp) && oid_equal(&stamp, &next),
	   "one that does not follow is not");
	ok(index_check(other, store, &next, &e) == 0, "the cache still equals a fresh fold");
	*tip = next;
	index_close(other);
	index_close(ix);
}

static void test_rewritten(struct oid *tip)
{
	struct index *ix = open_index();
	struct certrec c = cert(40, "root");
	struct err e = { 0 };

	c.profile = arena_strdup(A, "changed");
	commit_begin();
	put_cert(&c, "00/00/09");
	*tip = commit_end();
	sync_to(ix, tip, "an entry was changed");
	is_str(get(ix, 40, NULL).profile, "changed", "the cache is rebuilt");
	ok(index_check(ix, store, tip, &e) == 0, "and equals a fresh fold");
	commit_begin();
	fprintf(import, "deleteall\n");
	put_cert(&c, "00/00/00");
	*tip = commit_end();
	sync_to(ix, tip, "entries are gone");
	ok(get(ix, 40, NULL).status == CERT_ACTIVE && get(ix, 3, "root").status == -1, "the cache is rebuilt");
	index_close(ix);
}

static void test_check(const struct oid *tip)
{
	sqlite3 *db = NULL;
	struct index *ix = open_index();
	struct err e = { 0 };

	ok(index_check(ix, store, tip, &e) == 0, "a good cache passes");
	index_close(ix);
	ok(sqlite3_open(db_path, &db) == SQLITE_OK &&
	   sqlite3_exec(db, "UPDATE cert SET status = 2 WHERE common_name = 'device-40'", NULL, NULL,
			NULL) == SQLITE_OK, "somebody meddles");
	sqlite3_close(db);
	ix = open_index();
	ok(index_check(ix, store, tip, &e) != 0 && e.code == ERR_CHECK && strstr(e.msg, "status differs"),
	   "a wrong status is found");
	printf("# %s\n", e.msg);
	index_close(ix);
}

/* --- the fast reader reads what rec_load reads, or nothing --- */

static void same_reading(const struct schema *sc, const char *text, bool must_be_fast)
{
	union {
		struct certrec c;
		struct revocation r;
	} fast, slow;
	struct err e = { 0 };
	bool plain = entry_load_plain(A, sc, bytes_of(text), &fast) && sc->check(A, &fast, &e) == 0;
	bool loaded;

	e = (struct err){ 0 };
	loaded = rec_load(A, sc, "t", bytes_of(text), &slow, &e) == 0;
	if (plain ? !loaded || !rec_equal(sc, &fast, &slow) : must_be_fast)
		ok(false, "%s reading of:\n%s# %s", plain ? "another" : "no fast", text, e.msg);
}

static void test_lines(void)
{
	static const char odd[] = "\":'#-&*!|>%@`{}[],?\\ \t\r\n\0aZ0~=é";
	static const char *const names[] = { "DNS:*.example.com", "email:a@example.com",
					     "URI:https://example.com/a?b=c", "IP:10.0.0.1",
					     "DNS:x" };
	struct certrec c = cert(3, "root");
	char *text, *copy;
	size_t n;
	int before;

	text = text_of(&certrec_type, &c, "");
	same_reading(&certrec_type, text, true);
	c.san.n = 1;
	c.subject = arena_strdup(A, "CN=Acme: \"Root\" #1, O=\xc3\x9c");
	same_reading(&certrec_type, text_of(&certrec_type, &c, ""), false);
	c = cert(6, "devices");
	c.is_ca = true;
	c.partition = 7;
	c.san.v = arena_new_array(A, COUNT(names), char *);
	for (c.san.n = 0; c.san.n < COUNT(names); c.san.n++)
		c.san.v[c.san.n] = arena_strdup(A, names[c.san.n]);
	same_reading(&certrec_type, text_of(&certrec_type, &c, ""), true);
	c.metadata = arena_strdup(A, "{\"a\":1}");
	same_reading(&certrec_type, text_of(&certrec_type, &c, ""), false);
	before = tap_failed;
	/* Every octet replaced by every odd one; every cut; every line twice. */
	n = strlen(text);
	for (size_t i = 0; i < n; i++) {
		SCOPED_ARENA *one = arena_new();

		for (size_t k = 0; k < sizeof(odd) - 1; k++) {
			struct arena *keep = A;

			copy = arena_strdup(one, text);
			copy[i] = odd[k];
			A = one;
			if (i % 3 == k % 3)
				same_reading(&certrec_type, copy, false);
			A = keep;
		}
		same_reading(&certrec_type, arena_strndup(A, text, i), false);
	}
	for (char *l = text; *l; l += strcspn(l, "\n") + 1)
		same_reading(&certrec_type, arena_printf(A, "%s%.*s\n", text, (int)strcspn(l, "\n"), l), false);
	ok(tap_failed == before, "the fast reader reads what rec_load reads, or nothing");
}

int main(void)
{
	struct err e = { 0 };
	struct oid first, tip;
	struct index *ix;

	A = arena_new();
	if (!mkdtemp(dir))
		return 1;
	run("git init -q %s && git -C %s config gc.auto 0", dir, dir);
	db_path = arena_printf(A, "%s/.git/index.db", dir);
	if (store_open(A, dir, &store, &e) != 0) {
		printf("Bail out! %s\n", e.msg);
		return 1;
	}
	test_lines();
	first = write_certs();
	ix = open_index();
	sync_to(ix, &first, "a first fold");
	test_record(ix);
	test_queries(ix);
	test_crls(ix);
	test_fold(ix);
	test_hostile(ix);
	test_twins(ix);
	if (!index_stamp(ix, &tip))
		ok(false, "stamp");
	index_close(ix);
	test_damage(&tip);
	test_readers(&tip);
	test_unwritable(&first, &tip);
	test_own(&tip);
	test_rewritten(&tip);
	test_check(&tip);
	store_close(store);
	arena_free(A);
	run("rm -rf %s", dir);
	return done();
}
