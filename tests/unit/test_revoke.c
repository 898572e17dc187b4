/* Cascades that are larger than memory should be: they are committed on the way, and one that was cut off goes on. */
#include <stdlib.h>

#include "base/ctx.h"
#include "base/tm.h"
#include "pki/revoke.h"
#include "state/ledger.h"
#include "tap.h"

enum { ISSUED = 10, CHUNK = 3 };

static struct arena *A;
static char dir[] = "/tmp/test_revoke.XXXXXX";
static int64_t now;

static void must(int r, const struct err *e)
{
	if (r == 0)
		return;
	printf("Bail out! %s\n", e->msg);
	exit(1);
}

static int no_files(void *arg, struct state *st, struct err *e)
{
	(void)arg;
	(void)st;
	(void)e;
	return 0;
}

static void opened(struct ctx *ctx)
{
	struct state_env env = { .actor = "Ann Operator <ann@example.org>", .now = now, .lock_timeout_ms = 200,
				 .op = "test" };
	struct err e = { 0 };

	*ctx = (struct ctx){ .arena = A, .now = now };
	must(state_open(A, dir, STATE_WRITE, &env, &ctx->state, &e), &e);
}

static void add(struct state *st, int number, const char *ca, const char *ca_id)
{
	struct certrec r = { .serial_number = arena_printf(A, "%032x", number + 1), .ca = arena_strdup(A, ca),
			     .partition = -1, .ca_id = arena_strdup(A, ca_id), .revocation_reason = -1,
			     .not_before = now - 1000, .not_after = now + 1000, .issued_at = now,
			     .fingerprint = arena_printf(A, "%064x", number + 1) };
	struct err e = { 0 };

	must(ledger_add_cert(st, &r, bytes_of("-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----\n"), &e),
	     &e);
}

static int count(struct state *st, int status)
{
	struct cert_count *v;
	struct err e = { 0 };
	int64_t sum = 0;
	size_t n;

	must(ledger_count(st, &v, &n, &e), &e);
	for (size_t i = 0; i < n; i++)
		sum += v[i].status == status ? v[i].n : 0;
	return (int)sum;
}

static int commits(void)
{
	char cmd[100], line[20] = "";
	FILE *f;

	snprintf(cmd, sizeof(cmd), "git -C %s rev-list --count ledger", dir);
	f = popen(cmd, "r");
	if (!f || !fgets(line, sizeof(line), f) || pclose(f) != 0)
		return -1;
	return atoi(line);
}

static size_t cascade(struct ctx *ctx, size_t chunk)
{
	struct authority a = { .rec = { .id = arena_strdup(A, "devices") },
			       .cert = { .der = bytes_of("there is one") } };
	struct revoke_order o = { .action = REVOKE_REVOKE, .reason = 4, .chunk = chunk, .subject = "test: cascade" };
	struct err e = { 0 };
	size_t n = 0;

	must(revoke_authority(ctx, &a, &o, true, &n, &e), &e);
	return n;
}

static void test_cascade(void)
{
	struct err e = { 0 };
	struct ctx ctx;
	int before;

	opened(&ctx);
	add(ctx.state, 0, "root", "devices");
	for (int i = 1; i <= ISSUED; i++)
		add(ctx.state, i, "devices", NULL);
	must(state_commit(ctx.state, "test: issue", &e), &e);
	before = commits();
	is_int((int64_t)cascade(&ctx, CHUNK), ISSUED + 1, "the authority's certificate and all that it issued");
	is_int(commits() - before, (ISSUED + 1) / CHUNK, "a commit for each whole chunk");
	state_close(ctx.state);

	opened(&ctx);
	is_int(count(ctx.state, CERT_REVOKED), (ISSUED + 1) / CHUNK * CHUNK,
	       "cut off before the last commit: whole chunks are there");
	is_int((int64_t)cascade(&ctx, CHUNK), (ISSUED + 1) % CHUNK, "the second call revokes what is left");
	must(state_commit(ctx.state, "test: cascade", &e), &e);
	is_int(count(ctx.state, CERT_ACTIVE), 0, "nothing is live");
	is_int(count(ctx.state, CERT_REVOKED), ISSUED + 1, "each is revoked once");
	state_close(ctx.state);
}

static void test_whole(void)
{
	struct err e = { 0 };
	struct ctx ctx;
	int before;

	opened(&ctx);
	for (int i = 1; i <= ISSUED; i++)
		add(ctx.state, 100 + i, "devices", NULL);
	must(state_commit(ctx.state, "test: issue", &e), &e);
	before = commits();
	is_int((int64_t)cascade(&ctx, 0), ISSUED, "without chunks");
	is_int(commits() - before, 0, "nothing is committed on the way");
	state_close(ctx.state);
}

int main(void)
{
	struct state_init_opts opts = { .name = "test" };
	struct state_env env = { .actor = "Ann Operator <ann@example.org>", .op = "test" };
	struct err e = { 0 };
	char cmd[100];

	A = arena_new();
	now = env.now = tm_now();
	must(mkdtemp(dir) ? state_init(A, dir, &opts, &env, no_files, NULL, &e) : err_sys(&e, dir), &e);
	test_cascade();
	test_whole();
	arena_free(A);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ok(system(cmd) == 0, "removed");
	return done();
}
