/* Questions to the person at the terminal, and secrets from wherever they were promised. Asks on /dev/tty, so standard
 * input may carry data. A typed secret is not echoed; a signal while it is typed gives the terminal its echo back.
 * Secrets stay in the arena (wiped at the end) and appear in no message. */
#include "cli/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"

enum { SECRET_MAX = 4096, TRIES = 3 };

static volatile sig_atomic_t got_signal;

static void on_signal(int sig)
{
	got_signal = sig;
}

/* One line from the terminal without its end; -1 on end of file or a signal. */
static int read_line(int fd, char *line, size_t cap)
{
	size_t n = 0;
	char c;

	for (;;) {
		ssize_t got = read(fd, &c, 1);

		if (got < 0 && errno == EINTR && !got_signal)
			continue;
		if (got <= 0)
			return -1;
		if (c == '\n' || c == '\r')
			break;
		if (n + 1 < cap)
			line[n++] = c;
	}
	line[n] = '\0';
	return 0;
}

/* Shows `text` and reads the answer, without echo if it is secret. */
static int ask(struct ctx *ctx, const char *text, bool secret, char *line, size_t cap, struct err *e)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction catch = { .sa_handler = on_signal }, saved[COUNT(signals)];
	AUTO_FD fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios before, quiet;
	bool silenced;
	int rc;

	if (fd < 0)
		return err_set(e, ERR_DENIED, "no terminal to ask on");
	progress_erase(&ctx->out->progress);
	got_signal = 0;
	for (size_t i = 0; i < COUNT(signals); i++)
		sigaction(signals[i], &catch, &saved[i]);
	silenced = secret && tcgetattr(fd, &before) == 0;
	if (silenced) {
		quiet = before;
		quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
		quiet.c_cc[VSUSP] = _POSIX_VDISABLE; /* a shell must not get a terminal without echo */
		tcsetattr(fd, TCSAFLUSH, &quiet);
	}
	rc = fs_write_fd(fd, bytes_of(text), e);
	if (rc == 0 && read_line(fd, line, cap) != 0)
		rc = err_set(e, ERR_CANCELLED, "cancelled");
	if (silenced)
		tcsetattr(fd, TCSAFLUSH, &before);
	if ((secret || rc != 0) && fs_write_fd(fd, bytes_of("\n"), &(struct err){ 0 }) != 0)
		rc = -1;
	for (size_t i = 0; i < COUNT(signals); i++)
		sigaction(signals[i], &saved[i], NULL);
	if (got_signal && got_signal != SIGINT)
		raise(got_signal);
	return rc;
}

int cli_confirm(struct ctx *ctx, struct err *e, const char *fmt, ...)
{
	char what[512], line[16];
	const char *text;
	va_list ap;

	if (ctx->yes || (ctx->dry_run && ctx->out->cmd->needs & NEED_CONFIRM))
		return 0;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (*what && what[strlen(what) - 1] == '?')
		what[strlen(what) - 1] = '\0';
	text = text_escape(ctx->arena, bytes_of(what));
	if (ctx->no_input)
		return err_set(e, ERR_USAGE, "%s: give --yes, as nobody can be asked here", text);
	if (ask(ctx, arena_printf(ctx->arena, "%s? [y/N] ", text), false, line, sizeof(line), e) != 0)
		return -1;
	if (strcmp(line, "y") == 0 || strcmp(line, "Y") == 0 || strcmp(line, "yes") == 0)
		return 0;
	return err_set(e, ERR_CANCELLED, "%s: not confirmed, nothing is changed", text);
}

static int missing(const struct secret_ask *q, struct err *e)
{
	const char *one = q->env ? q->env : q->env_general, *two = q->env ? q->env_general : NULL;

	return err_set(e, ERR_DENIED, "%s is needed: give --passphrase-file%s%s%s%s", q->what, one ? ", or set " : "",
		       one ? one : "", two ? " or " : "", two ? two : "");
}

/* The first line of what was read. */
static int first_line(struct arena *a, struct bytes text, const char *source, const char **ret, struct err *e)
{
	size_t n = 0;

	while (n < text.n && text.p[n] != '\n')
		n++;
	if (memchr(text.p, '\0', n))
		return err_set(e, ERR_INVALID, "%s: a secret cannot hold a NUL byte", source);
	if (n > 0 && text.p[n - 1] == '\r')
		n--;
	if (n == 0)
		return err_set(e, ERR_INVALID, "%s: the first line is empty", source);
	*ret = arena_strndup(a, (const char *)text.p, n);
	return 0;
}

/* From a descriptor that may be a socket or a pipe; it can be read only once. */
static int read_descriptor(struct arena *a, int64_t fd, const char **ret, struct err *e)
{
	unsigned char *p = arena_alloc(a, 1, SECRET_MAX);
	size_t n = 0;

	while (n < SECRET_MAX) {
		ssize_t got = read((int)fd, p + n, SECRET_MAX - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, "--passphrase-fd");
		if (got == 0)
			return first_line(a, (struct bytes){ p, n }, "--passphrase-fd", ret, e);
		n += (size_t)got;
	}
	return err_set(e, ERR_INVALID, "--passphrase-fd: longer than %d bytes", SECRET_MAX);
}

static int read_given(struct ctx *ctx, struct err *e)
{
	const struct globals *g = &ctx->out->globals;
	struct bytes text;

	if (ctx->out->secret)
		return 0;
	if (g->passphrase_fd >= 0)
		return read_descriptor(ctx->arena, g->passphrase_fd, &ctx->out->secret, e);
	if (fs_read_input(ctx->arena, g->passphrase_file, SECRET_MAX, &text, e) != 0)
		return err_ctx(e, "--passphrase-file");
	return first_line(ctx->arena, text, "--passphrase-file", &ctx->out->secret, e);
}

static int prompt(struct ctx *ctx, const struct secret_ask *q, char **ret, struct err *e)
{
	char *first = arena_alloc(ctx->arena, 1, SECRET_MAX), *again = arena_alloc(ctx->arena, 1, SECRET_MAX);
	const char *text = arena_printf(ctx->arena, "%s: ", q->what);
	const char *text_again = arena_printf(ctx->arena, "%s, again: ", q->what);

	for (int i = 0; i < TRIES; i++) {
		if (ask(ctx, text, true, first, SECRET_MAX, e) != 0)
			return e->code == ERR_DENIED ? missing(q, e) : -1;
		if (q->confirm && *first && ask(ctx, text_again, true, again, SECRET_MAX, e) != 0)
			return -1;
		if (*first && (!q->confirm || strcmp(first, again) == 0)) {
			*ret = first;
			return 0;
		}
		say(ctx->out, "", *first ? "the two are not the same, try again" : "it cannot be empty, try again");
	}
	return err_set(e, ERR_CANCELLED, "%s: given up after %d attempts", q->what, TRIES);
}

int cli_secret(struct ctx *ctx, const struct secret_ask *q, char **ret, struct err *e)
{
	const struct globals *g = &ctx->out->globals;
	const char *env;

	if (g->passphrase_file || g->passphrase_fd >= 0) {
		if (read_given(ctx, e) != 0)
			return -1;
		*ret = arena_strdup(ctx->arena, ctx->out->secret);
		return 0;
	}
	env = q->env ? getenv(q->env) : NULL;
	if ((env == NULL || *env == '\0') && q->env_general)
		env = getenv(q->env_general);
	if (env && *env) {
		*ret = arena_strdup(ctx->arena, env);
		return 0;
	}
	return ctx->no_input ? missing(q, e) : prompt(ctx, q, ret, e);
}
