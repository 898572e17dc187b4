/* Transactions that another process shipped: what is damaged is refused, and nothing but entries of the ledger gets
 * in. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/tm.h"
#include "state/state.h"

static int no_files(void *arg, struct state *st, struct err *e)
{
	(void)arg, (void)st, (void)e;
	return 0;
}

static char dir[] = "/tmp/fuzz_ship.XXXXXX";

static void remove_dir(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command) != 0)
		fprintf(stderr, "%s stays\n", dir);
}

static struct state *opened(void)
{
	static struct state *st;
	const struct state_env env = { .actor = "A <a@example.org>", .now = 1800000000, .lock_timeout_ms = 200,
				       .op = "test" };
	const struct state_init_opts opts = { .operator_ = "A <a@example.org>" };
	struct arena *a;
	struct err e = { 0 };

	if (st)
		return st;
	a = arena_new();
	if (!mkdtemp(dir) || atexit(remove_dir) != 0 || state_init(a, dir, &opts, &env, no_files, NULL, &e) != 0 ||
	    state_open(a, dir, STATE_WRITE, &env, &st, &e) != 0) {
		fprintf(stderr, "%s\n", e.msg);
		exit(1);
	}
	return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED_BUF again = buf_init(BUF_BIG);
	struct state *st = opened();
	struct err e = { 0 };

	if (state_receive(st, (struct bytes){ data, size }, &e) == 0) {
		if (state_ship(st, &again, &e) != 0)
			abort();
	} else if (e.msg[0] == '\0') {
		abort();
	}
	state_drop(st);
	return 0;
}
