/* The last moments of connections (RFC 9112 9.6): a socket that is closed while something comes takes back what was
 * answered and has not arrived. Guarantees: what still comes is read and thrown away until the other side ends, is
 * silent, or had its time; number, time and amount are limited, and the oldest gives way. One thread. */
#include "serve/parting.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/tm.h"

enum { SILENCE_SECS = 2, PARTING_MS = 10000, PARTING_BYTES = 16 << 20, AT_ONCE = 16 << 10 };

struct parting {
	struct parting *prev, *next; /* oldest first */
	struct partings *all;
	struct event *readable;
	struct peer *peer;
	int64_t until_ms;
	size_t left; /* bytes that may come */
	int fd;
};

struct partings {
	struct event_base *base;
	struct parting *first, *last;
	size_t n, most;
};

static void end(struct parting *r)
{
	*(r->prev ? &r->prev->next : &r->all->first) = r->next;
	*(r->next ? &r->next->prev : &r->all->last) = r->prev;
	r->all->n--;
	if (r->peer)
		r->peer->open--;
	event_free(r->readable);
	close(r->fd);
	OPENSSL_free(r);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct parting *r = arg;
	char thrown[AT_ONCE];
	ssize_t n = what & EV_TIMEOUT ? 0 : recv(fd, thrown, sizeof(thrown), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || (size_t)n >= r->left || tm_mono_ms() >= r->until_ms)
		end(r);
	else
		r->left -= (size_t)n;
}

struct partings *partings_new(struct event_base *base, size_t most)
{
	struct partings *all = OPENSSL_zalloc(sizeof(*all));

	if (!all)
		out_of_memory();
	all->base = base;
	all->most = most;
	return all;
}

void partings_add(struct partings *all, int fd, struct peer *peer)
{
	const struct timeval silence = { .tv_sec = SILENCE_SECS };
	struct parting *r;
	int own;

	shutdown(fd, SHUT_WR);
	own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (own < 0)
		return;
	if (all->n == all->most)
		end(all->first);
	r = OPENSSL_zalloc(sizeof(*r));
	if (!r)
		out_of_memory();
	*r = (struct parting){ .all = all, .prev = all->last, .fd = own, .peer = peer, .left = PARTING_BYTES,
			       .until_ms = tm_mono_ms() + PARTING_MS,
			    .readable = event_new(all->base, own, EV_READ | EV_PERSIST, on_readable, r) };
	if (!r->readable || event_add(r->readable, &silence) != 0)
		out_of_memory();
	*(all->last ? &all->last->next : &all->first) = r;
	all->last = r;
	all->n++;
	if (peer)
		peer->open++;
}

size_t partings_open(const struct partings *all)
{
	return all->n;
}

void partings_free(struct partings *all)
{
	while (all->first)
		end(all->first);
	OPENSSL_free(all);
}
