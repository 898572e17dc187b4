#pragma once
#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"

/* Listening sockets: bound by ourselves, or given by systemd (LISTEN_FDS, sd_listen_fds(3)). */
enum { SOCKETS_MAX = 16 };
struct sockets {
	int fds[SOCKETS_MAX];
	struct strv names; /* "127.0.0.1:8443": as bound */
	size_t n;
};
int sockets_open(struct arena *, const struct strv *addresses, struct sockets *ret, struct err *) NODISCARD;
void sockets_close(struct sockets *);
/* Of a connection. A client that sends its request apart from the end of its handshake waits for the ACK of that, which
 * nothing of ours takes along. */
void sockets_acknowledge(int fd);
/* Tells systemd's NOTIFY_SOCKET ("READY=1"), where there is one; what fails is ignored. */
void sockets_notify(const char *text);
/* They accept: says so in the file, if any, with their names, a line each, to systemd, and to `say`, if any. */
int sockets_ready(const struct sockets *, const char *file, void (*say)(const char *line), struct err *) NODISCARD;
