/* How much a listener takes on. Guarantees: connections leave half of the files that the process may open to all else,
 * so that the oldest of them gives way before accepting fails. */
#include <sys/resource.h>

#include "serve/server.h"

const struct server_limits server_limits = { .handshakes = 256, .connections = 8192, .requests = 100, .exchanges = 512,
					     .handshake_secs = 5, .request_secs = 20, .body = 64 << 10,
					     .per_address = 2048, .handshake_rate = 1000 };

void server_limits_fit(struct server_limits *l, size_t servers)
{
	struct rlimit files;
	rlim_t most;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY)
		return;
	most = files.rlim_cur / 2 / servers;
	if (most < l->connections)
		l->connections = most > 2 ? (unsigned)most : 2;
	if (l->connections / 2 < l->handshakes)
		l->handshakes = l->connections / 2;
}
