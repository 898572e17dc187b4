/* Listening sockets. Guarantees: no descriptor leaves this process by exec; a given socket is a listening one of this
 * process. */
#include "serve/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/text.h"

enum { BACKLOG = 1024, SD_FIRST_FD = 3 };

static int name_of(struct arena *a, int fd, char **ret, struct err *e)
{
	struct sockaddr_storage s;
	socklen_t n = sizeof(s);
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getsockname(fd, (struct sockaddr *)&s, &n) != 0)
		return err_sys(e, "listening socket");
	if (getnameinfo((struct sockaddr *)&s, n, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return err_set(e, ERR_INVALID, "a listening socket that is not one of the internet");
	*ret = arena_printf(a, s.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return 0;
}

static int add(struct arena *a, struct sockets *s, int fd, struct err *e)
{
	const int one = 1;

	if (s->n == SOCKETS_MAX)
		return err_set(e, ERR_INVALID, "more than %d listening addresses", SOCKETS_MAX);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	/* for those it accepts: an answer does not wait for the ticket's ACK */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (name_of(a, fd, &s->names.v[s->n], e) != 0)
		return -1;
	s->fds[s->n++] = fd;
	s->names.n = s->n;
	return 0;
}

/* --- given by systemd --- */

static int take_given(struct arena *a, struct sockets *s, struct err *e)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	long n = fds ? strtol(fds, NULL, 10) : 0;

	if (!pid || strtol(pid, NULL, 10) != (long)getpid())
		return 0;
	for (long i = 0; i < n; i++) {
		int fd = SD_FIRST_FD + (int)i, listens = 0;
		socklen_t len = sizeof(listens);

		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) != 0 || !listens)
			return err_set(e, ERR_INVALID, "descriptor %d of LISTEN_FDS is not a listening socket", fd);
		if (add(a, s, fd, e) != 0)
			return -1;
	}
	return 0;
}

/* --- bound by ourselves --- */

static int split(struct arena *a, const char *text, char **ret_host, char **ret_port, struct err *e)
{
	const char *colon = strrchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;

	if (!colon || !colon[1] || colon[1 + strspn(colon + 1, "0123456789")] || strlen(colon + 1) > 5 ||
	    strtol(colon + 1, NULL, 10) > 65535)
		return err_set(e, ERR_USAGE, "\"%s\" is not of the form ADDRESS:PORT, with a port up to 65535", text);
	if (n >= 2 && text[0] == '[' && text[n - 1] == ']')
		*ret_host = arena_strndup(a, text + 1, n - 2);
	else if (memchr(text, ':', n))
		return err_set(e, ERR_USAGE, "\"%s\": an IPv6 address stands in brackets: [::1]:8443", text);
	else
		*ret_host = arena_strndup(a, text, n);
	*ret_port = arena_strdup(a, colon + 1);
	return 0;
}

static int bind_one(const struct addrinfo *ai)
{
	int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC, ai->ai_protocol), one = 1, saved;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static int open_one(struct arena *a, const char *text, struct sockets *s, struct err *e)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_ADDRCONFIG };
	struct addrinfo *list = NULL;
	char *host, *port;
	int rc, fd = -1;

	if (split(a, text, &host, &port, e) != 0)
		return -1;
	rc = getaddrinfo(*host ? host : NULL, port, &hints, &list);
	if (rc != 0)
		return err_set(e, ERR_USAGE, "%s: %s", text, gai_strerror(rc));
	for (struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next)
		fd = bind_one(ai);
	if (list)
		freeaddrinfo(list);
	return fd < 0 ? err_sys(e, text) : add(a, s, fd, e);
}

int sockets_open(struct arena *a, const struct strv *addresses, struct sockets *ret, struct err *e)
{
	struct sockets s = { .names.v = arena_new_array(a, SOCKETS_MAX, char *) };
	int r = take_given(a, &s, e);
	bool given = s.n > 0;

	for (size_t i = 0; r == 0 && !given && i < addresses->n; i++)
		r = open_one(a, addresses->v[i], &s, e);
	if (r == 0 && s.n == 0)
		r = err_set(e, ERR_USAGE, "no address to listen on: give --listen");
	if (r != 0)
		sockets_close(&s);
	else
		*ret = s;
	return r;
}

void sockets_close(struct sockets *s)
{
	for (size_t i = 0; i < s->n; i++)
		close(s->fds[i]);
	s->n = 0;
}

void sockets_acknowledge(int fd)
{
	const int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
}

void sockets_notify(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	AUTO_FD fd = -1;
	socklen_t n;

	if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(to.sun_path))
		return;
	memcpy(to.sun_path, path, strlen(path));
	n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (to.sun_path[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&to, n) < 0)
		return;
}

int sockets_ready(const struct sockets *s, const char *file, void (*say)(const char *line), struct err *e)
{
	SCOPED_BUF text = buf_init(BUF_TEXT);
	SCOPED_ARENA *a = arena_new();

	for (size_t i = 0; i < s->n; i++)
		buf_printf(&text, "%s\n", s->names.v[i]);
	if (file && fs_put(file, buf_bytes(&text), 0644, e) != 0)
		return -1;
	sockets_notify("READY=1");
	for (size_t i = 0; i < s->n && say; i++)
		say(arena_printf(a, "listening on %s", s->names.v[i]));
	return 0;
}
