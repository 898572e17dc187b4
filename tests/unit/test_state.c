/* The repository as a whole, judged by git itself: every test ends with `git fsck --strict` and a clean `git
 * status`. */
#include <signal.h>

#include "git_repo.h"
#include "state/locks.h"

static void make(void)
{
	struct state_init_opts opts = { .name = "Test" };
	struct state_env env = env_of();
	struct err e = { 0 };

	ok(state_init(mem, repo, &opts, &env, NULL, NULL, &e) == 0, "init: %s", e.msg);
	check_git("after init");
	ok(state_init(mem, repo, &opts, &env, NULL, NULL, &e) && e.code == ERR_EXISTS, "a second init is refused");
	char *below = fs_join(mem, repo, "below");
	ok(state_init(mem, below, &opts, &env, NULL, NULL, &e) && e.code == ERR_CONFLICT,
	   "init inside a repository is refused");
	ok(!fs_exists(below), "and makes nothing");
	is_str(GIT("show", "ledger:format"), "1\n", "the ledger's format");
}

static void records(void)
{
	struct state *st = must_open(STATE_WRITE);
	struct err e = { 0 };
	struct profile p;
	struct strv ids;

	ok(put_profile(st, "iot", "IoT", &e) == 0 && put_profile(st, "tls", "TLS", &e) == 0,
	   "two records in the overlay");
	ok(state_has(st, &profile_type, "iot") && !state_has(st, &profile_type, "no"), "has");
	ok(state_ids(st, &profile_type, &ids, &e) == 0 && ids.n == 2 && strcmp(ids.v[0], "iot") == 0,
	   "ids of the overlay");
	ok(state_commit(st, "profile: create iot", &e) == 0, "commit: %s", e.msg);
	state_close(st);
	check_git("after two records");
	is_str(profile_name("iot"), "IoT", "read back");

	st = must_open(STATE_WRITE);
	ok(state_get(st, &profile_type, "iott", &p, &e) && e.code == ERR_NOT_FOUND && strstr(e.msg, "\"iot\""),
	   "nearest: %s", e.msg);
	ok(state_get(st, &profile_type, "../x", &p, &e) && e.code == ERR_INVALID, "an id is never a path");
	ok(state_write(st, "../x", bytes_of("x"), &e) && state_write(st, ".git/config", bytes_of("x"), &e) &&
	   state_write(st, "a/.GIT/hooks/x", bytes_of("x"), &e) && state_write(st, "/etc/x", bytes_of("x"), &e) &&
	   state_write(st, "a//b", bytes_of("x"), &e) && state_write(st, "git~1/x", bytes_of("x"), &e),
	   "paths that leave the repository or reach into git are refused");
	ok(state_del(st, &profile_type, "tls", &e) == 0 && !state_has(st, &profile_type, "tls"), "del");
	ok(state_write(st, "cas/root/ca.yaml", bytes_of("id: root\n"), &e) == 0 &&
	   state_names(st, "cas/root", &ids, &e) == 0 && ids.n == 1 && strcmp(ids.v[0], "cas/root/ca.yaml") == 0,
	   "names");
	ok(state_commit(st, "mixed", &e) == 0, "commit: %s", e.msg);
	ok(state_remove(st, "cas/root", &e) == 0 && state_names(st, "cas", &ids, &e) == 0 && ids.n == 0,
	   "a folder that is gone has no name");
	ok(state_commit(st, "remove", &e) == 0, "commit: %s", e.msg);
	state_close(st);
	ok(!fs_exists(fs_join(mem, repo, "cas")), "its folder is gone from the work tree");
	check_git("after removals");
}

static void both_histories(void)
{
	struct state *st = must_open(STATE_WRITE);
	struct err e = { 0 };

	for (int i = 0; i < 300; i++)
		if (state_add_entry(st, "notes", arena_printf(mem, "n%03d.txt", i),
				    bytes_of(arena_printf(mem, "entry %d\n", i)), &e))
			break;
	ok(put_profile(st, "iot", "Two", &e) == 0 && state_commit(st, "both", &e) == 0, "300 entries and a record: %s",
	   e.msg);
	state_close(st);
	check_git("after a commit of both histories");
	is_str(GIT("show", "-s", "--format=%(trailers:key=Lamassu-Op-Id)", "ledger"),
	       GIT("show", "-s", "--format=%(trailers:key=Lamassu-Op-Id)", "main"), "the same operation id");
	is_str(GIT("show", "ledger:notes/00/00/02/n299.txt"), "entry 299\n", "folders of 128");
	st = must_open(STATE_WRITE);
	ok(state_add_entry(st, "notes", "../../x", bytes_of("x"), &e) && e.code == ERR_INVALID,
	   "an entry's name is no path");
	state_close(st);
}

static void edits(void)
{
	char *file = fs_join(mem, repo, "profiles/iot.yaml");
	struct bytes old = { 0 };
	struct err e = { 0 };
	int failed;

	ok(fs_read(mem, file, 1 << 20, &old, &e) == 0, "the record is in the work tree");
	ok(fs_write(file, bytes_of("id: iot\nname: Mine\n"), 0644, true, &e) == 0, "the user edits it");
	failed = write_profile("iot", "Ours", &e);
	ok(failed && e.code == ERR_CONFLICT && strstr(e.msg, "profiles/iot.yaml"),
	   "an uncommitted edit is in the way: %s", e.msg);
	is_str(profile_name("iot"), "Two", "policy is what is committed");
	ok(strstr(said, "profiles/iot.yaml") != NULL, "and a warning names the file");
	GIT("add", "profiles/iot.yaml");
	ok(fs_write(file, old, 0644, true, &e) == 0 && write_profile("iot", "Ours", &e) && e.code == ERR_CONFLICT,
	   "so is a staged one: %s", e.msg);
	GIT("reset", "-q", "--hard");
	ok(fs_write(fs_join(mem, repo, "mine.txt"), bytes_of("mine\n"), 0644, true, &e) == 0,
	   "another file of the user");
	GIT("add", "mine.txt");
	ok(write_profile("iot", "Ours", &e) == 0, "is not in the way: %s", e.msg);
	is_str(GIT("status", "--porcelain"), "A  mine.txt\n", "and stays staged");
	GIT("-c", "user.name=u", "-c", "user.email=u@x", "commit", "-qam", "mine");
	is_str(profile_name("iot"), "Ours", "git commit -a does not drop our record");
	check_git("after the user's commit");
}

static void dry_run(void)
{
	char *before = GIT("rev-parse", "main", "ledger");
	struct state *st = must_open(STATE_WRITE | STATE_DRY_RUN);
	struct err e = { 0 };

	ok(put_profile(st, "iot", "Dry", &e) == 0 && state_add_entry(st, "notes", "dry", bytes_of("x\n"), &e) == 0 &&
	   state_commit(st, "dry", &e) == 0,
	   "a dry run: %s", e.msg);
	state_close(st);
	ok(strstr(said, "+name: Dry") && strstr(said, "-name: Ours") && strstr(said, "notes/00/00/02/dry"),
	   "shows the change");
	is_str(GIT("rev-parse", "main", "ledger"), before, "and moves nothing");
}

static void refusals(void)
{
	char *lock = fs_join(mem, repo, ".git/index.lock");
	struct err e = { 0 };

	ok(fs_write(lock, bytes_of(""), 0644, false, &e) == 0 && write_profile("x", "X", &e) && e.code == ERR_CONFLICT,
	   "git's own lock is respected: %s",
	   e.msg);
	ok(fs_exists(lock) && unlink(lock) == 0, "and left alone");
	GIT("checkout", "-q", "--detach");
	ok(write_profile("x", "X", &e) && e.code == ERR_CONFLICT, "detached: %s", e.msg);
	GIT("checkout", "-q", "-b", "feature");
	ok(write_profile("x", "X", &e) && e.code == ERR_CONFLICT, "another branch: %s", e.msg);
	GIT("checkout", "-q", "main");
	ok(fs_write(fs_join(mem, repo, ".git/MERGE_HEAD"), bytes_of(GIT("rev-parse", "main")), 0644, true, &e) == 0 &&
	   write_profile("x", "X", &e) &&
		   e.code == ERR_CONFLICT,
	   "merging: %s", e.msg);
	unlink(fs_join(mem, repo, ".git/MERGE_HEAD"));
	is_int(symlink("/etc/passwd", fs_join(mem, repo, "profiles/evil.yaml")), 0, "a symbolic link");
	GIT("add", "-A");
	GIT("-c", "user.name=u", "-c", "user.email=u@x", "commit", "-qm", "evil");
	ok(profile_name("evil") == NULL, "is not followed");
	GIT("reset", "-q", "--hard", "HEAD~1");
	check_git("after refusals");
}

static void rollback(void)
{
	char *tip = GIT("rev-parse", "ledger");
	struct state *st;
	struct err e;

	tip[40] = '\0';
	GIT("update-ref", "refs/heads/ledger", "ledger~1");
	ok(!opened(0, &e) && e.code == ERR_CONFLICT && strstr(e.msg, tip), "a ledger that went back is refused: %s",
	   e.msg);
	GIT("update-ref", "-d", "refs/heads/ledger");
	ok(!opened(0, &e) && e.code == ERR_CONFLICT, "a ledger that is gone, too: %s", e.msg);
	GIT("branch", "ledger", tip);
	st = must_open(0);
	ok(state_clock_check(st, &e) == 0, "the clock is good");
	st->env.now = 1700000000;
	ok(state_clock_check(st, &e) && e.code == ERR_DENIED, "a clock that went back: %s", e.msg);
	state_close(st);
}

/* --- what a killed process leaves --- */

static void stale_lock(void)
{
	struct filelock l;
	struct err e = { 0 };
	struct state *st = must_open(0);

	for (size_t i = 0; i < 2; i++) {
		const char *const targets[] = { "refs/heads/main", "index" };

		ok(filelock_take(mem, st->store, st->private_dir, arena_printf(mem, "%s/.git/%s", repo, targets[i]),
				 100, &l, &e) == 0, "a lock of %s",
		   targets[i]);
		close(l.fd); /* and never given up */
	}
	state_close(st);
	ok(write_profile("iot", "Stale", &e) == 0, "stale locks of ours are recognised: %s", e.msg);
	check_git("after stale locks");
}

/* Puts main, and with it work tree and index, into the state between two steps of a commit. */
static void interrupted(const char *what, bool main_moved)
{
	char *index = fs_join(mem, repo, ".git/index"), *file = fs_join(mem, repo, "profiles/iot.yaml");
	struct intent in = { .op_id = "00112233445566778899aabbccddeeff" };
	struct bytes old_index = { 0 }, old_file = { 0 };
	struct err e = { 0 };
	struct state *st = must_open(STATE_WRITE);

	in.workdir = state_dir(st);
	in.policy_old = st->policy;
	in.ledger_old = st->ledger;
	ok(!fs_read(mem, index, 1 << 20, &old_index, &e) && !fs_read(mem, file, 1 << 20, &old_file, &e) &&
	   !put_profile(st, "iot", what, &e) &&
		   !state_add_entry(st, "notes", what, bytes_of(what), &e) && !state_commit(st, what, &e),
	   "%s: a commit %s", what, e.msg);
	in.policy_new = st->policy;
	in.ledger_new = st->ledger;
	ok(!intent_write(st, &in, &e) && !fs_write(index, old_index, 0644, true, &e) &&
	   !fs_write(file, old_file, 0644, true, &e), "%s: is interrupted", what);
	if (!main_moved)
		GIT("update-ref", "refs/heads/main", oid_hex(mem, &in.policy_old.commit));
	state_close(st);
	state_close(must_open(STATE_WRITE));
	is_str(profile_name("iot"), what, "the next command finishes it");
	ok(!fs_exists(fs_join(mem, repo, ".git/lamassu/intent")), "%s: the intent is gone", what);
	check_git(what);
}

/* A child commits until it is killed; it reports each commit through the pipe. */
static void write_for_ever(int out, int round)
{
	struct err e = { 0 };
	struct state *st = must_open(STATE_WRITE);

	for (int i = 0;; i++) {
		char name[32];

		snprintf(name, sizeof(name), "k%d-%d", round, i);
		if (state_add_entry(st, "kills", name, bytes_of(name), &e) ||
		    (i % 3 == 0 && put_profile(st, "iot", name, &e)) || state_commit(st, name, &e))
			_exit(1);
		snprintf(name, sizeof(name), "%d\n", i);
		if (write(out, name, strlen(name)) < 0)
			_exit(1);
	}
}

static void killed(void)
{
	struct err e = { 0 };
	int lost = 0, acked = 0;

	for (int round = 0; round < 6; round++) {
		int p[2], status, last = -1, i;
		char *all;
		pid_t pid;

		if (pipe(p) || (pid = fork()) < 0)
			abort();
		if (pid == 0)
			write_for_ever(p[1], round);
		close(p[1]);
		usleep((useconds_t)(150000 + 37000 * round));
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		FILE *f = fdopen(p[0], "r");
		while (fscanf(f, "%d", &i) == 1)
			last = i;
		fclose(f);
		all = GIT("ls-tree", "-r", "--name-only", "ledger", "kills");
		for (i = 0; i <= last; i++, acked++)
			lost += !strstr(all, arena_printf(mem, "/k%d-%d\n", round, i));
	}
	is_int(lost, 0, arena_printf(mem, "of %d acknowledged commits none is lost to kill -9", acked));
	ok(write_profile("iot", "After", &e) == 0, "the next command works: %s", e.msg);
	check_git("after kill -9");
}

static void packs(void)
{
	struct state *st = must_open(STATE_WRITE);
	struct strv names;
	struct err e = { 0 };

	for (int i = 0; i < 70; i++)
		if (state_add_entry(st, "notes", arena_printf(mem, "p%d", i), bytes_of(arena_printf(mem, "p %d", i)),
				    &e) || state_commit(st, "one", &e))
			break;
	is_str(e.msg, "", "70 commits in a row");
	state_close(st);
	ok(fs_list(mem, fs_join(mem, repo, ".git/objects/pack"), SIZE_MAX, &names, &e) == 0 && names.n < 2 * 40,
	   "small packs are joined: %zu files",
	   names.n);
	check_git("after joining packs");
	GIT("gc", "--quiet");
	is_str(profile_name("iot"), "After", "after the user's git gc");
}

static void concurrent_gc(void)
{
	struct state *st = must_open(STATE_WRITE);
	struct err e = { 0 };
	bool moved;

	ok(put_profile(st, "iot", "Long", &e) == 0 && state_commit(st, "one", &e) == 0 && state_pause(st, &e) == 0,
	   "a long process pauses");
	ok(write_profile("tls", "Other", &e) == 0, "another one commits: %s", e.msg);
	GIT("gc", "--quiet", "--prune=now");
	ok(state_resume(st, &moved, &e) == 0 && moved, "it resumes and sees that policy moved: %s", e.msg);
	ok(state_has(st, &profile_type, "tls"), "it finds objects that git gc has moved");
	ok(put_profile(st, "iot", "Longer", &e) == 0 && state_commit(st, "two", &e) == 0, "and commits: %s", e.msg);
	state_close(st);
	check_git("after git gc under a running process");
}

static void bare(void)
{
	struct err e = { 0 };
	char *usual = repo;

	GIT("clone", "-q", "--bare", repo, "../bare.git");
	repo = fs_join(mem, top, "bare.git");
	ok(write_profile("bare", "Bare", &e) == 0, "a bare repository: %s", e.msg);
	is_str(profile_name("bare"), "Bare", "moves without a work tree");
	GIT("worktree", "add", "-q", "../linked", "main");
	ok(write_profile("bare", "Two", &e) && e.code == ERR_CONFLICT, "but not under a work tree of it: %s", e.msg);
	repo = fs_join(mem, top, "linked");
	ok(write_profile("bare", "Two", &e) == 0, "where it works: %s", e.msg);
	check_git("in the linked work tree");
	repo = usual;
}

int main(void)
{
	begin("state");
	make();
	records();
	both_histories();
	edits();
	dry_run();
	refusals();
	rollback();
	stale_lock();
	interrupted("roll-worktree", true);
	interrupted("roll-branch", false);
	killed();
	packs();
	concurrent_gc();
	bare();
	return end();
}
