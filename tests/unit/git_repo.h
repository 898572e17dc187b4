#pragma once
/* A repository for tests, with git as the judge of what is in it. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "model/profile.h"
#include "state/internal.h"
#include "tap.h"

static struct arena *mem;
static char *top, *repo;
static char said[4096]; /* warnings and diffs of the last transaction */

static inline void note(void *arg, const char *text)
{
	size_t n = strlen(said);

	(void)arg;
	snprintf(said + n, sizeof(said) - n, "%s\n", text);
}

static inline struct state_env env_of(void)
{
	return (struct state_env){ .actor = "Ann Operator <ann@example.org>", .now = tm_now(), .lock_timeout_ms = 200,
			.op = "test",
				   .warn = note, .diff = note };
}

/* Runs git in the repository; its output in the arena. */
static inline char *git(int *ret_status, const char *const *args)
{
	const char *argv[16] = { "git", "-C", repo };
	char *out = arena_alloc(mem, 1 << 16, 1);
	size_t n = 0, i = 3;
	int p[2], status;
	ssize_t k;

	while (*args && i < COUNT(argv) - 1)
		argv[i++] = *args++;
	if (pipe(p))
		abort();
	pid_t pid = fork();
	if (pid == 0) {
		dup2(p[1], 1);
		dup2(p[1], 2);
		close(p[0]);
		execvp("git", (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(p[1]);
	while ((k = read(p[0], out + n, (1 << 16) - 1 - n)) > 0)
		n += (size_t)k;
	close(p[0]);
	waitpid(pid, &status, 0);
	*ret_status = status;
	return out;
}
#define GIT(...) git(&git_status, (const char *const[]){ __VA_ARGS__, NULL })
static int git_status;

static inline void check_git(const char *when)
{
	char *text = GIT("fsck", "--strict", "--no-dangling");

	ok(git_status == 0, "git fsck --strict: %s", when);
	if (git_status)
		printf("# %s\n", text);
	is_str(GIT("status", "--porcelain"), "", when);
}

static inline struct state *opened(unsigned flags, struct err *e)
{
	struct state_env env = env_of();
	struct state *st = NULL;

	said[0] = '\0';
	*e = (struct err){ 0 };
	if (state_open(mem, repo, flags, &env, &st, e))
		return NULL;
	return st;
}

static inline struct state *must_open(unsigned flags)
{
	struct err e;
	struct state *st = opened(flags, &e);

	if (!st) {
		printf("Bail out! %s\n", e.msg);
		exit(1);
	}
	return st;
}

static inline int put_profile(struct state *st, const char *id, const char *name, struct err *e)
{
	struct profile p;

	rec_default(mem, &profile_type, &p);
	p.id = arena_strdup(mem, id);
	p.name = arena_strdup(mem, name);
	return state_put(st, &profile_type, id, &p, e);
}

static inline int write_profile(const char *id, const char *name, struct err *e)
{
	struct state *st = opened(STATE_WRITE, e);
	int r = !st || put_profile(st, id, name, e) || state_commit(st, "profile: write", e);

	state_close(st);
	return r;
}

static inline const char *profile_name(const char *id)
{
	struct state *st = must_open(0);
	struct err e = { 0 };
	struct profile p;
	const char *name = state_get(st, &profile_type, id, &p, &e) ? NULL : p.name;

	state_close(st);
	return name;
}

/* libgit2 forgets the match data of regular expressions that do not match, when it looks a remote up. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:pcre2_match\nleak:libpcre2\n";
}

/* A folder of its own, and nothing of the user's settings. */
static inline void begin(const char *name)
{
	mem = arena_new();
	top = arena_printf(mem, "/tmp/lamassu-%s-XXXXXX", name);
	if (!mkdtemp(top))
		abort();
	setenv("HOME", top, 1);
	setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
	setenv("LC_ALL", "C", 1);
	unsetenv("XDG_CONFIG_HOME");
	unsetenv("GIT_DIR");
	repo = arena_printf(mem, "%s/repo", top);
}

static inline int end(void)
{
	if (system(arena_printf(mem, "rm -rf '%s'", top)))
		printf("# %s is left behind\n", top);
	arena_free(mem);
	return done();
}
