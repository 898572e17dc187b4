/* References to secrets in documents: ${NAME} and env:NAME (environment), file:PATH, fd:N, command:ARGV (its standard
 * output). Guarantees: a command is run where this machine allows it, without a shell; nothing is waited for longer
 * than SECRET_SECS or read beyond SECRET_MAX; no secret, and nothing that a command printed, is in a message. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "base/text.h"
#include "base/tm.h"
#include "engine/engine.h"

enum { SECRET_MAX = 1 << 16, SECRET_SECS = 30, ARGV_MAX = 64, COMMAND_MAX = 4096 };

extern char **environ;

static bool commands_allowed; /* set before anything is resolved */

void secret_allow_commands(void)
{
	commands_allowed = true;
}

bool secret_commands_allowed(void)
{
	return commands_allowed;
}

static int from_env(struct arena *a, const char *name, size_t n, char **ret, struct err *e)
{
	const char *key = arena_strndup(a, name, n), *value;

	if (n == 0 || isdigit((unsigned char)key[0]))
		return err_set(e, ERR_INVALID, "\"%s\" is not the name of an environment variable", key);
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)key[i]) && key[i] != '_')
			return err_set(e, ERR_INVALID, "\"%s\" is not the name of an environment variable", key);
	value = getenv(key);
	if (!value)
		return err_set(e, ERR_DENIED, "the environment variable %s is not set", key);
	*ret = arena_strdup(a, value);
	return 0;
}

/* Reads to the end, with a limit and a deadline, from whatever it is. */
static int read_secret(struct arena *a, int fd, int64_t deadline, char **ret, struct err *e)
{
	char *p = arena_alloc(a, 1, SECRET_MAX + 1);
	size_t n = 0;

	for (;;) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		int64_t left = deadline - tm_mono_ms();
		ssize_t got;

		if (left <= 0 || poll(&pfd, 1, (int)left) == 0)
			return err_set(e, ERR_REMOTE, "nothing came within %d seconds", SECRET_SECS);
		got = read(fd, p + n, SECRET_MAX + 1 - n);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got < 0)
			return err_sys(e, "read");
		if (got == 0)
			break;
		n += (size_t)got;
		if (n > SECRET_MAX)
			return err_set(e, ERR_INVALID, "larger than %d bytes", SECRET_MAX);
	}
	if (memchr(p, 0, n))
		return err_set(e, ERR_INVALID, "a NUL byte in a secret");
	p[n] = '\0';
	*ret = p;
	return 0;
}

static int from_file(struct arena *a, const char *path, char **ret, struct err *e)
{
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	/* Symbolic links are followed: secrets are mounted as such in containers. */
	if (fd < 0)
		return err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_DENIED, "%s: %s", path, strerror(errno));
	return read_secret(a, fd, tm_mono_ms() + SECRET_SECS * 1000, ret, e) == 0 ? 0 : err_ctx(e, "%s", path);
}

static int from_fd(struct arena *a, const char *number, char **ret, struct err *e)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(number, &end, 10);
	if (!isdigit((unsigned char)number[0]) || *end || errno || n > INT_MAX)
		return err_set(e, ERR_INVALID, "\"%s\" is not the number of a file descriptor", number);
	if (read_secret(a, (int)n, tm_mono_ms() + SECRET_SECS * 1000, ret, e) != 0)
		return err_ctx(e, "file descriptor %ld", n);
	return 0;
}

/* Splits at white space; '…' and "…" keep it, a backslash outside '…' keeps the next character. Nothing is expanded. */
static int split(struct arena *a, const char *text, char *argv[ARGV_MAX + 1], struct err *e)
{
	char *out = arena_alloc(a, 1, strlen(text) + 1), quote = '\0';
	size_t n = 0;
	bool in_word = false;

	if (strlen(text) > COMMAND_MAX)
		return err_set(e, ERR_INVALID, "the command is longer than %d bytes", COMMAND_MAX);
	for (const char *p = text;; p++) {
		if (!quote && (!*p || isspace((unsigned char)*p))) {
			if (in_word)
				*out++ = '\0';
			in_word = false;
			if (!*p)
				break;
			continue;
		}
		if (!*p)
			return err_set(e, ERR_INVALID, "a quotation in the command is not closed");
		if (!in_word) {
			if (n == ARGV_MAX)
				return err_set(e, ERR_INVALID, "the command has more than %d words", ARGV_MAX);
			argv[n++] = out;
			in_word = true;
		}
		if (quote ? *p == quote : *p == '\'' || *p == '"')
			quote = quote ? '\0' : *p;
		else if (*p == '\\' && quote != '\'' && p[1])
			*out++ = *++p;
		else
			*out++ = *p;
	}
	argv[n] = NULL;
	return n ? 0 : err_set(e, ERR_INVALID, "command: names no program");
}

/* Starts the program with nothing to read and `out` as its standard output. */
static int start(char *const argv[], int out, pid_t *ret, struct err *e)
{
	posix_spawn_file_actions_t files;
	int rc;

	if (posix_spawn_file_actions_init(&files) != 0)
		return err_set(e, ERR_IO, "out of memory");
	rc = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	if (rc == 0)
		rc = posix_spawnp(ret, argv[0], &files, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	return rc == 0 ? 0 : err_set(e, ERR_REMOTE, "%s: %s", argv[0], strerror(rc));
}

/* Waits for the end of a child, not beyond the deadline: one may close its output and live on. */
static int wait_for(pid_t pid, int64_t deadline)
{
	int status = 0;
	pid_t got;

	while ((got = waitpid(pid, &status, WNOHANG)) == 0 && tm_mono_ms() < deadline)
		poll(NULL, 0, 5);
	if (got == 0) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	return status;
}

int secret_command(struct arena *a, char *const argv[], char **ret, struct err *e)
{
	int64_t deadline = tm_mono_ms() + SECRET_SECS * 1000;
	int fds[2], status, rc;
	pid_t pid;

	if (!commands_allowed)
		return err_set(e, ERR_DENIED,
			       "the document names a program that prints it, and none is run unless this machine "
			       "allows it: git config lamassu.allowCommands true, or LAMASSU_ALLOW_COMMANDS=1");
	if (pipe2(fds, O_CLOEXEC) != 0)
		return err_sys(e, "pipe");
	AUTO_FD in = fds[0];
	rc = start(argv, fds[1], &pid, e);
	close(fds[1]);
	if (rc != 0)
		return -1;
	rc = read_secret(a, in, deadline, ret, e);
	status = wait_for(pid, rc == 0 ? deadline : 0);
	if (rc != 0)
		return err_ctx(e, "%s", argv[0]);
	if (!WIFEXITED(status))
		return err_set(e, ERR_REMOTE, "%s: ended by signal %d", argv[0], WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		return err_set(e, ERR_REMOTE, "%s: exit status %d", argv[0], WEXITSTATUS(status));
	return 0;
}

static int from_command(struct arena *a, const char *text, char **ret, struct err *e)
{
	char *argv[ARGV_MAX + 1];

	return split(a, text, argv, e) != 0 ? -1 : secret_command(a, argv, ret, e);
}

static int resolve(struct arena *a, const char *ref, char **ret, struct err *e)
{
	size_t n = strlen(ref);

	if (n > 3 && strncmp(ref, "${", 2) == 0 && ref[n - 1] == '}')
		return from_env(a, ref + 2, n - 3, ret, e);
	if (text_has_prefix(ref, "env:"))
		return from_env(a, ref + 4, n - 4, ret, e);
	if (text_has_prefix(ref, "file:"))
		return from_file(a, ref + 5, ret, e);
	if (text_has_prefix(ref, "fd:"))
		return from_fd(a, ref + 3, ret, e);
	if (text_has_prefix(ref, "command:"))
		return from_command(a, ref + 8, ret, e);
	/* What stands here instead may be the secret itself: it is not shown. */
	return err_set(e, ERR_INVALID, "must be a reference: ${NAME}, env:NAME, file:PATH, fd:N or command:ARGV");
}

int secret_resolve(struct arena *a, const char *what, const char *ref, char **ret, struct err *e)
{
	char *text;
	size_t n;

	if (resolve(a, ref, &text, e) != 0)
		return err_ctx(e, "%s", what);
	n = strlen(text);
	if (n && text[n - 1] == '\n')
		text[--n] = '\0';
	if (n && text[n - 1] == '\r')
		text[--n] = '\0';
	if (n == 0)
		return err_set(e, ERR_DENIED, "%s: the secret is empty", what);
	*ret = text;
	return 0;
}

char *secret_env_name(struct arena *a, const char *prefix, const char *id)
{
	char *name = arena_printf(a, "%s%s", prefix, id);

	for (char *p = name; *p; p++)
		*p = isalnum((unsigned char)*p) ? (char)toupper((unsigned char)*p) : '_';
	return name;
}
