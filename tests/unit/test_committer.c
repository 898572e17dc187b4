/* What the parent of a listener decides: who works on what, how many more are issued, what is durable. And the frames
 * that ask it. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "base/tm.h"
#include "serve/committer.h"
#include "state/ledger.h"
#include "tap.h"

enum { LINKS = 4 };

static char dir[] = "/tmp/test_committer.XXXXXX";
static struct arena *A;
static char said[LINKS][16]; /* the answers to each link */
static char last[256];

static void answer(void *arg, size_t link, enum link_kind kind, struct bytes text)
{
	size_t n = strlen(said[link]);

	(void)arg;
	snprintf(last, sizeof(last), "%.*s", (int)text.n, text.p ? (const char *)text.p : "");
	if (n + 1 < sizeof(said[link]))
		said[link][n] = (char)kind;
}

static struct committer *fresh(int64_t target, const char *where)
{
	static struct ctx ctx;
	struct committer_setup s = { .ctx = &ctx, .dir = where, .op = "test", .what = "test:", .target = target,
				     .lock_timeout_ms = 500, .answer = answer };

	ctx = (struct ctx){ .arena = A, .now = tm_now() };
	memset(said, 0, sizeof(said));
	return committer_new(A, &s, LINKS);
}

static void claim(struct committer *c, size_t link, bool counts, const char *key)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%c%s", counts ? '1' : '0', key);

	committer_take(c, link, LINK_CLAIM, (struct bytes){ (unsigned char *)text, (size_t)n + 1 });
}

static void release(struct committer *c, size_t link)
{
	committer_take(c, link, LINK_RELEASE, (struct bytes){ 0 });
}

static void test_turns(void)
{
	struct committer *c = fresh(0, dir);

	claim(c, 0, true, "device/a");
	claim(c, 1, true, "device/a");
	claim(c, 2, true, "device/b");
	claim(c, 3, true, "device/a");
	is_str(said[0], "Y", "the first has its turn");
	is_str(said[1], "", "the second waits for the same key");
	is_str(said[2], "Y", "another key does not wait");
	release(c, 0);
	is_str(said[1], "Y", "the second has its turn when the first gives up");
	is_str(said[3], "", "who came last waits on");
	committer_gone(c, 1);
	is_str(said[3], "Y", "a thread that ends gives its claim up");
	claim(c, 3, true, "device/c");
	is_str(said[3], "YE", "a claim within a claim is refused");
	committer_take(c, 0, LINK_CLAIM, bytes_of("1unended"));
	is_str(said[0], "YE", "a claim whose keys are not ended is refused");
	committer_free(c);
}

static void test_order(void)
{
	struct committer *c = fresh(0, dir);
	static const char both[] = "0device/a\0request/r";

	claim(c, 0, false, "device/a");
	committer_take(c, 1, LINK_CLAIM, (struct bytes){ (const unsigned char *)both, sizeof(both) });
	claim(c, 2, false, "request/r");
	is_str(said[2], "", "nobody overtakes one that waits for two keys");
	release(c, 0);
	is_str(said[1], "Y", "which has its turn first");
	release(c, 1);
	is_str(said[2], "Y", "and then the other");
	committer_free(c);
}

/* A registration of a device, as a worker ships it. */
static struct bytes shipped(const char *device)
{
	const struct state_env env = { .actor = "A <a@example.org>", .now = tm_now(), .lock_timeout_ms = 500,
				       .op = "test" };
	struct device_entry entry = { .device = arena_strdup(A, device), .action = DEVICE_REGISTER, .time = env.now };
	SCOPED_BUF text = buf_init(BUF_BIG);
	struct err e = { 0 };
	struct state *st;

	if (state_open(A, dir, 0, &env, &st, &e) != 0 || ledger_add_device(st, &entry, &e) != 0 ||
	    state_ship(st, &text, &e) != 0) {
		printf("Bail out! %s\n", e.msg);
		exit(1);
	}
	state_close(st);
	return (struct bytes){ arena_memdup(A, text.p, text.n), text.n };
}

static bool is_there(const char *device)
{
	const struct state_env env = { .now = tm_now() };
	struct err e = { 0 };
	struct device d;
	struct state *st;
	bool found = false;

	if (state_open(A, dir, 0, &env, &st, &e) != 0)
		return false;
	if (ledger_find_device(st, device, &found, &d, &e) != 0)
		found = false;
	state_close(st);
	return found;
}

static void test_commit(void)
{
	struct committer *c = fresh(0, dir);

	claim(c, 0, true, "device/a");
	claim(c, 1, true, "device/b");
	claim(c, 2, true, "device/a");
	committer_take(c, 0, LINK_RECORD, shipped("a"));
	ok(committer_gathers(c), "the second will hand over too");
	committer_take(c, 1, LINK_RECORD, shipped("b"));
	ok(!committer_gathers(c), "the third waits for the first, not the other way round");
	ok(committer_pending(c), "what was handed over is pending");
	is_str(said[0], "Y", "and not acknowledged");
	committer_gone(c, 1);
	committer_run(c);
	ok(is_there("a"), "the first is recorded");
	ok(is_there("b"), "so is that of a thread that has ended meanwhile");
	is_str(said[0], "YY", "the first is told");
	is_str(said[1], "Y", "nobody is told of the other");
	is_str(said[2], "Y", "the commit ends the claim");
	is_int(committer_done(c), 2, "both count");
	ok(!committer_pending(c), "nothing is pending");
	committer_free(c);
}

static void test_target(void)
{
	struct committer *c = fresh(1, dir);

	claim(c, 0, true, "device/t1");
	claim(c, 1, true, "device/t2");
	claim(c, 2, false, "device/t3");
	is_str(said[1], "", "one that would pass the target waits whether the other fails");
	is_str(said[2], "Y", "one that does not count goes on");
	release(c, 0);
	is_str(said[1], "Y", "its place is free again");
	claim(c, 3, true, "device/t4");
	committer_take(c, 1, LINK_RECORD, shipped("t2"));
	committer_run(c);
	is_int(committer_done(c), 1, "the target is reached");
	is_str(said[3], "F", "who waited is told so");
	claim(c, 0, true, "device/t5");
	is_str(said[0], "YF", "who comes later too");
	committer_free(c);
}

static void test_failure(void)
{
	struct committer *c = fresh(1, dir);

	claim(c, 0, true, "device/f1");
	committer_take(c, 0, LINK_RECORD, bytes_of("damaged"));
	committer_run(c);
	is_str(said[0], "YE", "a damaged transaction is an error");
	ok(last[0] >= '1' && last[0] <= '9' && strchr(last, ' '), "with its code and why: %s", last);
	is_int(committer_done(c), 0, "and does not count");
	claim(c, 0, true, "device/f1");
	is_str(said[0], "YEY", "its place is free");
	committer_free(c);
	c = fresh(0, "/nonexistent");
	claim(c, 0, true, "device/g");
	committer_take(c, 0, LINK_RECORD, bytes_of(""));
	committer_run(c);
	is_str(said[0], "YE", "a repository that is gone is an error");
	committer_free(c);
}

static void test_link(void)
{
	SCOPED_BUF big = buf_init(BUF_BIG), got = buf_init(BUF_BIG);
	unsigned char head[LINK_HEAD];
	enum link_kind kind;
	struct err e = { 0 };
	int fds[2];
	size_t n;

	link_head(head, LINK_RECORD, 0x01020304);
	ok(link_parse(head, &kind, &n) == (0x01020304 <= LINK_MAX) && kind == LINK_RECORD && n == 0x01020304,
	   "a head is read as it was written");
	link_head(head, LINK_RECORD, (size_t)LINK_MAX + 1);
	ok(!link_parse(head, &kind, &n), "one that announces too much is refused");
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
		return;
	for (int i = 0; i < 10000; i++)
		buf_printf(&big, "%d,", i);
	ok(link_send(fds[0], LINK_YES, buf_bytes(&big), &e) == 0 &&
	   link_send(fds[0], LINK_FULL, (struct bytes){ 0 }, &e) == 0, "two frames are sent");
	ok(link_receive(fds[1], &kind, &got, &e) == 0 && kind == LINK_YES &&
	   bytes_equal(buf_bytes(&got), buf_bytes(&big)), "the first arrives whole");
	ok(link_receive(fds[1], &kind, &got, &e) == 0 && kind == LINK_FULL && got.n == 0, "then the other, empty");
	ok(write(fds[0], "Y\5\0\0\0ab", 7) == 7, "a frame is cut off");
	close(fds[0]);
	ok(link_receive(fds[1], &kind, &got, &e) != 0 && e.code == ERR_IO, "which is an error: %s", e.msg);
	ok(link_send(fds[1], LINK_YES, bytes_of("x"), &e) != 0, "nobody reads any more");
	close(fds[1]);
}

static int no_files(void *arg, struct state *st, struct err *e)
{
	(void)arg, (void)st, (void)e;
	return 0;
}

int main(void)
{
	const struct state_init_opts opts = { .operator_ = "A <a@example.org>" };
	const struct state_env env = { .now = tm_now(), .actor = "A <a@example.org>", .op = "test" };
	char command[64];
	struct err e = { 0 };

	A = arena_new();
	setenv("LAMASSU_OPERATOR", "A <a@example.org>", 1);
	if (!mkdtemp(dir) || state_init(A, dir, &opts, &env, no_files, NULL, &e) != 0) {
		printf("Bail out! %s\n", e.msg);
		return 1;
	}
	test_turns();
	test_order();
	test_commit();
	test_target();
	test_failure();
	test_link();
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ok(system(command) == 0, "cleaned up");
	arena_free(A);
	return done();
}
