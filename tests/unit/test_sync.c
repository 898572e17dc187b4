/* Two clones and a bare repository between them, judged by git. */
#include "git_repo.h"
#include "state/gc.h"
#include "state/sync.h"

static char *a_dir, *b_dir;
static struct sync_report report;

static int add(const char *dir, const char *entry, const char *profile, const char *name, struct err *e)
{
	struct state *st;
	int r;

	repo = arena_strdup(mem, dir);
	st = must_open(STATE_WRITE);
	r = (entry && state_add_entry(st, "notes", entry, bytes_of(entry), e)) ||
			(profile && put_profile(st, profile, name, e)) || state_commit(st, "add", e);
	state_close(st);
	return r;
}

static int sync_of(const char *dir, struct err *e)
{
	struct state *st;
	int r;

	repo = arena_strdup(mem, dir);
	report = (struct sync_report){ 0 };
	st = opened(STATE_WRITE, e);
	r = !st || state_sync(st, NULL, &report, e);
	state_close(st);
	return r;
}

static void make(void)
{
	struct state_init_opts opts = { .name = "Test" };
	struct state_env env = env_of();
	struct err e = { 0 };

	a_dir = repo;
	b_dir = fs_join(mem, top, "b");
	ok(state_init(mem, repo, &opts, &env, NULL, NULL, &e) == 0, "init: %s", e.msg);
	ok(sync_of(a_dir, &e) && e.code == ERR_NOT_FOUND, "no remote: %s", e.msg);
	GIT("init", "-q", "--bare", "../hub.git");
	GIT("--git-dir=../hub.git", "symbolic-ref", "HEAD", "refs/heads/main");
	GIT("remote", "add", "origin", fs_join(mem, top, "hub.git"));
	ok(sync_of(a_dir, &e) == 0 && report.ledger_out && report.policy_out && !report.ledger_in, "first push: %s",
	   e.msg);
	is_str(GIT("config", "--get-all", "remote.origin.push"), "HEAD\nrefs/heads/ledger\n",
	       "a plain push sends the ledger too");
	GIT("clone", "-q", "../hub.git", b_dir);
	ok(sync_of(b_dir, &e) == 0 && !report.ledger_out && !report.policy_out, "a plain clone is complete: %s", e.msg);
}

static void both_sides(void)
{
	struct err e = { 0 };

	ok(!add(a_dir, "from-a", "pa", "A", &e) && !add(b_dir, "from-b", "pb", "B", &e), "both add: %s", e.msg);
	ok(sync_of(a_dir, &e) == 0 && report.ledger_out && !report.ledger_in, "a pushes: %s", e.msg);
	ok(sync_of(b_dir, &e) == 0 && report.ledger_merged && report.policy_merged && report.ledger_out, "b merges: %s",
	   e.msg);
	check_git("b");
	ok(sync_of(a_dir, &e) == 0 && report.ledger_in && !report.ledger_merged, "a follows: %s", e.msg);
	check_git("a");
	is_str(GIT("show", "ledger:notes/00/00/00/from-a"), "from-a", "entry of a");
	is_str(GIT("show", "ledger:notes/00/00/00/from-b"), "from-b", "entry of b");
	is_str(profile_name("pb"), "B", "the record of b is in the work tree of a");
}

static void conflicts(void)
{
	struct err e = { 0 };
	char *before;

	ok(!add(a_dir, NULL, "pa", "A2", &e) && !sync_of(a_dir, &e) && !add(b_dir, "more", "pa", "B2", &e),
	   "both change a record: %s", e.msg);
	before = GIT("rev-parse", "main", "ledger");
	ok(sync_of(b_dir, &e) && e.code == ERR_CONFLICT && strstr(e.msg, "profiles/pa.yaml"), "the file is named: %s",
	   e.msg);
	is_str(GIT("rev-parse", "main", "ledger"), before, "and nothing has changed");
	GIT("reset", "-q", "--hard", "HEAD~1");
	ok(fs_write(fs_join(mem, repo, "profiles/pa.yaml"), bytes_of("edited\n"), 0644, true, &e) == 0 &&
	   sync_of(b_dir, &e) && e.code == ERR_CONFLICT && strstr(e.msg, "not committed"),
	   "an edit is never overwritten: %s", e.msg);
	GIT("checkout", "-q", ".");
	ok(sync_of(b_dir, &e) == 0 && report.policy_in, "then it goes: %s", e.msg);
	is_str(profile_name("pa"), "A2", "policy of a");
	check_git("b after conflicts");
}

static void damage(void)
{
	struct err e = { 0 };

	ok(sync_of(a_dir, &e) == 0, "a is current: %s", e.msg);
	repo = b_dir;
	GIT("worktree", "add", "-q", "../evil", "ledger");
	GIT("-C", "../evil", "rm", "-rq", "notes");
	GIT("-C", "../evil", "-c", "user.name=u", "-c", "user.email=u@x", "commit", "-qm", "evil");
	GIT("push", "-q", "origin", "ledger");
	ok(sync_of(a_dir, &e) && e.code == ERR_CONFLICT && strstr(e.msg, "removed"),
	   "a removal in the remote ledger is refused: %s", e.msg);
	check_git("a after the refusal");
}

/* A remote that has nothing gets the ledger in several pushes, each of which it notes. */
static void pieces(void)
{
	struct state_env env = env_of();
	struct err e = { 0 };
	struct state *st;
	size_t pushes, commits;

	repo = b_dir;
	for (int i = 0; i < 4; i++)
		ok(!add(b_dir, arena_printf(mem, "piece-%d", i), NULL, NULL, &e), "an entry: %s", e.msg);
	commits = strlen(GIT("rev-list", "--first-parent", "ledger")) / 41;
	GIT("init", "-q", "--bare", "../wide.git");
	GIT("--git-dir=../wide.git", "config", "core.logAllRefUpdates", "always");
	GIT("remote", "add", "wide", fs_join(mem, top, "wide.git"));
	env.push_step = 1; /* no two commits together */
	ok(state_open(mem, b_dir, STATE_WRITE, &env, &st, &e) == 0 && state_sync(st, "wide", &report, &e) == 0,
	   "sync: %s", e.msg);
	state_close(st);
	is_str(GIT("--git-dir=../wide.git", "rev-parse", "ledger"), GIT("rev-parse", "ledger"), "all of it is there");
	pushes = strlen(GIT("--git-dir=../wide.git", "reflog", "show", "--format=%H", "ledger")) / 41;
	is_int((int64_t)pushes, (int64_t)commits, "commit by commit");
	is_str(GIT("for-each-ref", "refs/lamassu"), "", "no ref is left");
	check_git("b after pieces");
	ok(!add(b_dir, "piece-x", NULL, NULL, &e) && !add(b_dir, "piece-y", NULL, NULL, &e) &&
	   !add(b_dir, "piece-z", NULL, NULL, &e),
	   "three more: %s", e.msg);
	ok(state_open(mem, b_dir, STATE_WRITE, &env, &st, &e) == 0 && state_sync(st, "wide", &report, &e) == 0,
	   "sync: %s", e.msg);
	state_close(st);
	pushes = strlen(GIT("--git-dir=../wide.git", "reflog", "show", "--format=%H", "ledger")) / 41;
	is_int((int64_t)pushes, (int64_t)commits + 3, "only what is not there yet");
}

static void housekeeping(void)
{
	struct err e = { 0 };
	struct state *st;
	bool due = true;

	repo = a_dir;
	st = must_open(STATE_WRITE);
	ok(state_gc_due(st, &due, &e) == 0 && !due, "a small repository needs no gc");
	ok(state_gc(st, &e) == 0, "gc: %s", e.msg);
	ok(put_profile(st, "pa", "after gc", &e) == 0 && state_commit(st, "after gc", &e) == 0, "a commit after it: %s",
	   e.msg);
	state_close(st);
	check_git("after gc");
}

int main(void)
{
	begin("sync");
	make();
	both_sides();
	conflicts();
	pieces();
	damage();
	housekeeping();
	return end();
}
