/* PKCS#11 modules: foreign code in this process. Guarantees: a module that was not met before, or that has changed
 * since, is loaded in a child process first, so that one that crashes, ends the process or hangs costs a line of text;
 * each is loaded once in a process, and never unmapped. Nothing here forks after a module was loaded. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/tm.h"
#include "crypto/digest.h"
#include "engine/pkcs11.h"
#include "rec/schema.h"

enum { PROBE_SECS = 10 };
#define PROBE "lamassu-pkcs11-probe" /* the child's argv[0]: nothing that a user types */

extern char **environ;

static struct p11_module *modules;

/* --- the child --- */

/* Says on standard output what came of it, as a struct err; one that says nothing has crashed. */
int p11_child(int argc, char **argv)
{
	const struct rlimit none = { 0, 0 };
	struct err e = { 0 };
	SCOPED_ARENA *a = arena_new();
	struct p11_token *tokens;
	CK_FUNCTION_LIST *f;
	size_t n;
	void *lib;
	int out, null;

	if (argc != 2 || strcmp(argv[0], PROBE) != 0)
		return -1;
	out = dup(STDOUT_FILENO);
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	setrlimit(RLIMIT_CORE, &none);
	for (int sig = 1; sig < SIGSYS; sig++)
		signal(sig, SIG_DFL);
	if (out < 0 || null < 0 || dup2(null, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0)
		return 1;
	if (p11_load(a, argv[1], &lib, &f, &e) == 0 && p11_tokens(a, lib, &tokens, &n, &e) == 0)
		p11_unload(lib);
	_exit(write(out, &e, sizeof(e)) == (ssize_t)sizeof(e) ? 0 : 1);
}

static int start(const char *path, int out, pid_t *ret)
{
	char name[] = PROBE;
	char *argv[] = { name, (char *)(uintptr_t)path, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	sigset_t none;
	int rc = posix_spawn_file_actions_init(&files);

	if (rc != 0)
		return rc;
	rc = posix_spawnattr_init(&how);
	if (rc != 0) {
		posix_spawn_file_actions_destroy(&files);
		return rc;
	}
	sigemptyset(&none); /* threads of the guard take no signals */
	posix_spawnattr_setsigmask(&how, &none);
	posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK);
	rc = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	if (rc == 0)
		rc = posix_spawn(ret, "/proc/self/exe", &files, &how, argv, environ);
	posix_spawnattr_destroy(&how);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

/* What the child says; false when it ended or went on without a word. */
static bool hear(int fd, struct err *said, bool *ret_late)
{
	int64_t deadline = tm_mono_ms() + PROBE_SECS * 1000;
	size_t n = 0;

	*ret_late = false;
	while (n < sizeof(*said)) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		int64_t left = deadline - tm_mono_ms();
		ssize_t got;

		if (left <= 0 || poll(&pfd, 1, (int)left) == 0) {
			*ret_late = true;
			return false;
		}
		got = read(fd, (char *)said + n, sizeof(*said) - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		n += (size_t)got;
	}
	said->msg[sizeof(said->msg) - 1] = '\0';
	return true;
}

static int probe(const char *path, struct err *e)
{
	struct err said = { 0 };
	int fds[2], status = 0;
	bool heard, late;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return err_sys(e, "pipe");
	AUTO_FD in = fds[0];
	status = start(path, fds[1], &pid);
	close(fds[1]);
	if (status != 0) /* no /proc: then without this safety */
		return 0;
	heard = hear(in, &said, &late);
	if (heard || late)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (heard && said.code == ERR_NONE)
		return 0;
	if (heard)
		return err_set(e, said.code, "%s", said.msg);
	if (late)
		return err_set(e, ERR_REMOTE,
			       "module_path: %s does not answer: it was still being initialized after %d seconds",
			       path, PROBE_SECS);
	if (WIFSIGNALED(status))
		return err_set(e, ERR_REMOTE, "module_path: %s crashes while it is loaded (signal %d, %s)", path,
			       WTERMSIG(status), strsignal(WTERMSIG(status)));
	return err_set(e, ERR_REMOTE, "module_path: %s ends the process that loads it (status %d)", path,
		       WEXITSTATUS(status));
}

/* --- what is known of modules: <dir>/modules/<digest of the path> --- */

static char *facts(struct arena *a, const struct p11_module *m, const struct stat *st)
{
	return arena_printf(a, "%s %lld %lld.%09ld %s\n", m->path, (long long)st->st_size,
			    (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec, sha256_hex(a, bytes_of(m->env)));
}

/* The document comes from whoever may push to the repository, and must not make a program run that came with it. */
static int check_trust(const struct p11_module *m, const struct stat *st, struct err *e)
{
	if ((st->st_uid == 0 && (st->st_mode & 022) == 0) || secret_commands_allowed())
		return 0;
	return err_set(e, ERR_DENIED, "module_path: %s does not belong to root alone, and is not loaded unless this "
		       "machine allows it: git config lamassu.allowCommands true, or LAMASSU_ALLOW_COMMANDS=1",
		       m->path);
}

/* What is known is forgotten while the module is being loaded: one that crashes or hangs then, though it did not
 * before, is met in a child the next time. */
static int load(struct arena *a, const char *dir, struct p11_module *m, struct err *e)
{
	const char *now;
	const char *folder = dir ? fs_join(a, dir, "modules") : NULL;
	const char *file = folder ? arena_printf(a, "%s/%.16s", folder, sha256_hex(a, bytes_of(m->path))) : NULL;
	struct err ignored = { 0 };
	struct bytes had = { 0 };
	struct stat st;

	if (stat(m->path, &st) != 0)
		return err_set(e, ERR_REMOTE, "module_path: %s: %s", m->path, strerror(errno));
	if (check_trust(m, &st, e) != 0)
		return -1;
	now = facts(a, m, &st);
	if (file)
		(void)!fs_read(a, file, FS_LIMIT_DOC, &had, &ignored);
	if (!bytes_equal(had, bytes_of(now)) && probe(m->path, e) != 0)
		return -1;
	if (had.n)
		unlink(file);
	if (p11_load(a, m->path, &m->lib, &m->f, e) != 0)
		return -1;
	/* Not to remember it costs time, not more. */
	if (file && fs_mkdirs(folder, 0700, &ignored) == 0)
		(void)!fs_put(file, bytes_of(now), 0600, &ignored);
	return 0;
}

/* --- the table --- */

static int set_variable(void *arg, const char *name, const char *value)
{
	if (setenv(name, value, 1) != 0)
		return err_set(arg, ERR_INVALID, "module_extra_options.env: \"%s\" is not the name of a variable",
			       name);
	return 0;
}

static int open_new(const char *path, const char *env, const char *dir, struct p11_module **ret, struct err *e)
{
	struct arena *a = arena_new();
	struct p11_module *m = arena_new_array(a, 1, struct p11_module);

	*m = (struct p11_module){ .arena = a, .path = arena_strdup(a, path), .env = arena_strdup(a, env), .users = 1 };
	if (any_each(a, m->env, set_variable, e) != 0 || load(a, dir, m, e) != 0) {
		arena_free(a);
		return -1;
	}
	m->next = modules;
	*ret = modules = m;
	return 0;
}

int p11_module_open(const char *path, const char *env, const char *dir, struct p11_module **ret, struct err *e)
{
	char real[PATH_MAX];
	const char *name = realpath(path, real) ? real : path;
	struct p11_module *m = modules;

	env = env ? env : "{}";
	while (m && strcmp(m->path, name) != 0)
		m = m->next;
	if (!m)
		return open_new(name, env, dir, ret, e);
	if (strcmp(m->env, env) != 0)
		return err_set(e, ERR_CONFLICT,
			       "module_extra_options.env: another engine has loaded the same module with other "
						"variables, and it can be loaded only once");
	m->users++;
	*ret = m;
	return 0;
}

void p11_module_close(struct p11_module *m)
{
	struct p11_module **at = &modules;

	if (--m->users)
		return;
	while (*at != m)
		at = &(*at)->next;
	*at = m->next;
	p11_unload(m->lib);
	arena_free(m->arena);
}
