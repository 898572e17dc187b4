#pragma once
/* Asks the openssl program what it thinks: a temporary folder, files in it, one command at a time. */
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"

static char foreign_dir[64];
static char foreign_out[1 << 16]; /* what the last command printed on both streams */

static inline void foreign_rm(void)
{
	DIR *d = opendir(foreign_dir);
	char path[512];

	for (struct dirent *x = d ? readdir(d) : NULL; x; x = readdir(d)) {
		snprintf(path, sizeof(path), "%s/%s", foreign_dir, x->d_name);
		unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(foreign_dir);
}

/* Full path of a file there; one buffer, overwritten eight calls later. */
static inline char *foreign_path(const char *name)
{
	static char paths[8][512];
	static int at;
	char *p = paths[at++ % 8];

	if (!foreign_dir[0]) {
		snprintf(foreign_dir, sizeof(foreign_dir), "/tmp/foreign-XXXXXX");
		if (!mkdtemp(foreign_dir))
			exit(99);
		atexit(foreign_rm);
	}
	snprintf(p, sizeof(paths[0]), "%s/%s", foreign_dir, name);
	return p;
}

static inline char *foreign_file(const char *name, struct bytes content)
{
	char *path = foreign_path(name);
	FILE *f = fopen(path, "wb");

	if (!f || fwrite(content.p, 1, content.n, f) != content.n || fclose(f))
		exit(99);
	return path;
}

static inline struct bytes foreign_read(const char *path)
{
	static unsigned char buf[1 << 16];
	FILE *f = fopen(path, "rb");
	size_t n = f ? fread(buf, 1, sizeof(buf), f) : 0;

	if (f)
		fclose(f);
	return (struct bytes){ buf, n };
}

/* Runs "openssl ARGS…" (NULL-terminated); its exit status. */
static inline int openssl(const char *first, ...)
{
	char name[] = "openssl", *argv[32] = { name };
	int fds[2], status = -1, n = 1;
	size_t got = 0;
	va_list ap;
	pid_t pid;
	ssize_t k;

	va_start(ap, first);
	for (const char *p = first; p && n < 31; p = va_arg(ap, const char *))
		memcpy(&argv[n++], &p, sizeof(p));
	va_end(ap);
	if (pipe(fds))
		exit(99);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		dup2(open("/dev/null", O_RDONLY), 0);
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		close(fds[0]);
		execvp("openssl", argv);
		_exit(127);
	}
	close(fds[1]);
	while ((k = read(fds[0], foreign_out + got, sizeof(foreign_out) - 1 - got)) > 0)
		got += (size_t)k;
	foreign_out[got] = '\0';
	close(fds[0]);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
