/* Housekeeping that is too slow for a commit. git does the work: it alone finds good deltas between the folders of a
 * ledger, and it keeps what reflogs and .keep files protect. What it prints is an error's text, never shown
 * otherwise. */
#include "state/gc.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "state/internal.h"
#include "state/pack.h"

enum { TEXT_MAX = 600 };

extern char **environ;

static int spawn_git(char *const *argv, int out, pid_t *ret)
{
	posix_spawn_file_actions_t files;
	int r;

	if (posix_spawn_file_actions_init(&files))
		return ENOMEM;
	r = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	r = r ? r : posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	r = r ? r : posix_spawn_file_actions_adddup2(&files, out, STDERR_FILENO);
	r = r ? r : posix_spawnp(ret, argv[0], &files, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	return r;
}

/* Waits for the child and gathers the beginning of what it says. */
static int collect(pid_t pid, int in, struct buf *text)
{
	char block[512];
	int status = 0;
	ssize_t n;

	while ((n = read(in, block, sizeof(block))) > 0 || (n < 0 && errno == EINTR))
		if (n > 0 && text->n < TEXT_MAX)
			buf_put(text, block, (size_t)n);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* *ret_missing: there is no git on this machine. */
static int run_git(char *const *argv, bool *ret_missing, struct err *e)
{
	SCOPED_BUF text = buf_init(TEXT_MAX + 512);
	int p[2], r, status = 0;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC))
		return err_sys(e, "pipe");
	r = spawn_git(argv, p[1], &pid);
	close(p[1]);
	if (!r)
		status = collect(pid, p[0], &text);
	close(p[0]);
	*ret_missing = r == ENOENT || (WIFEXITED(status) && WEXITSTATUS(status) == 127);
	if (*ret_missing)
		return 0;
	if (r || status)
		return err_set(e, ERR_IO, "git gc: %s", r ? strerror(r) : text.n ? buf_str(&text) :
			       "ended with an error");
	return 0;
}

/* git on this repository, `room` for so many words more. By itself git would take 2 GiB for a million certificates,
 * most of it packs that it maps and deltas that it keeps: with these limits a sixth, and half as long again. */
static char **git_words(struct arena *a, struct state *st, size_t room, size_t *ret_n)
{
	static const char *const limits[] = { "core.packedGitWindowSize=1m", "core.packedGitLimit=16m",
					      "pack.deltaCacheSize=16m",
					      "pack.windowMemory=16m" };
	char **argv = arena_new_array(a, 2 + 2 * COUNT(limits) + room + 1, char *);
	size_t n = 0;

	argv[n++] = arena_strdup(a, "git");
	argv[n++] = arena_printf(a, "--git-dir=%s", store_git_dir(st->store));
	for (size_t i = 0; i < COUNT(limits); i++) {
		argv[n++] = arena_strdup(a, "-c");
		argv[n++] = arena_strdup(a, limits[i]);
	}
	*ret_n = n;
	return argv;
}

int state_gc(struct state *st, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	size_t n;
	char **argv = git_words(a, st, 2, &n);
	bool locked = st->lock_fd >= 0, missing, moved;
	struct err why = { 0 };
	int r;

	if (st->flags & STATE_DRY_RUN)
		return 0;
	argv[n++] = arena_strdup(a, "gc");
	argv[n++] = arena_strdup(a, "--quiet");
	if (locked && state_pause(st, e))
		return -1;
	r = run_git(argv, &missing, &why);
	if (locked && state_resume(st, &moved, e))
		return -1;
	if (r)
		return err_set(e, why.code, "%s", why.msg);
	return missing && locked ? pack_merge(st->store, st->private_dir, 2, e) : 0;
}

int state_gc_due(struct state *st, bool *ret, struct err *e)
{
	size_t n;

	if (pack_count_all(st->store, &n, e))
		return -1;
	*ret = n >= GC_PACKS;
	return 0;
}

void gc_auto(struct state *st)
{
	SCOPED_ARENA *a = arena_new();
	/* git's own automatic gc, which `init` has switched off, with our threshold; the user's hooks are not run. */
	const char *more[] = { "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=6700", "-c",
			       arena_printf(a, "gc.autoPackLimit=%d", GC_PACKS - 1), "-c", "gc.autoDetach=true", "gc",
			       "--auto", "--quiet" };
	size_t n;
	char **argv = git_words(a, st, COUNT(more), &n);
	bool due = false, missing;
	struct err why = { 0 };

	if (state_gc_due(st, &due, &why) == 0 && !due)
		return;
	for (size_t i = 0; i < COUNT(more); i++)
		argv[n++] = arena_strdup(a, more[i]);
	st->packs = 0; /* not again with the next commit */
	if (!due || run_git(argv, &missing, &why) != 0)
		state_warn(st, "many packs have gathered, and are not joined: %s", why.msg);
}
