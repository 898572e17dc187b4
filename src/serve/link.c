/* Frames between handler threads and the parent. Guarantees: a frame is sent whole or the link is broken; a broken link
 * is an error of the request that needed it, never a wait without end. */
#include "serve/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fs.h"

void link_close(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

int link_pairs(int *ours, int *theirs, size_t n, struct err *e)
{
	int pair[2];

	for (size_t i = 0; i < n; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
			err_sys(e, "socket pair");
			link_close(ours, i);
			link_close(theirs, i);
			return -1;
		}
		ours[i] = pair[0];
		theirs[i] = pair[1];
	}
	return 0;
}

void link_head(unsigned char head[LINK_HEAD], enum link_kind kind, size_t n)
{
	head[0] = (unsigned char)kind;
	for (int i = 0; i < 4; i++)
		head[1 + i] = (unsigned char)(n >> 8 * i & 0xff);
}

bool link_parse(const unsigned char head[LINK_HEAD], enum link_kind *ret_kind, size_t *ret_n)
{
	size_t n = 0;

	for (int i = 0; i < 4; i++)
		n |= (size_t)head[1 + i] << 8 * i;
	*ret_kind = (enum link_kind)head[0];
	*ret_n = n;
	return n <= LINK_MAX;
}

static int send_all(int fd, struct bytes b, struct err *e)
{
	while (b.n > 0) {
		ssize_t n = send(fd, b.p, b.n, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(e, "link to the committing process");
		b.p += n;
		b.n -= (size_t)n;
	}
	return 0;
}

int link_send(int fd, enum link_kind kind, struct bytes text, struct err *e)
{
	unsigned char head[LINK_HEAD];

	link_head(head, kind, text.n);
	return send_all(fd, (struct bytes){ head, LINK_HEAD }, e) != 0 ? -1 : send_all(fd, text, e);
}

static int receive_all(int fd, unsigned char *p, size_t n, struct err *e)
{
	while (n > 0) {
		ssize_t got = recv(fd, p, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, "link to the committing process");
		if (got == 0)
			return err_set(e, ERR_IO, "the committing process has ended");
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

int link_receive(int fd, enum link_kind *ret_kind, struct buf *ret_text, struct err *e)
{
	unsigned char head[LINK_HEAD], part[4096];
	size_t n;

	if (receive_all(fd, head, LINK_HEAD, e) != 0)
		return -1;
	if (!link_parse(head, ret_kind, &n))
		return err_set(e, ERR_IO, "a frame of the committing process is too long");
	buf_clear(ret_text);
	while (n > 0) {
		size_t take = n < sizeof(part) ? n : sizeof(part);

		if (receive_all(fd, part, take, e) != 0)
			return -1;
		buf_put(ret_text, part, take);
		n -= take;
	}
	return 0;
}

void link_put_error(struct buf *to, const struct err *e)
{
	buf_printf(to, "%d %s", (int)e->code, e->msg);
}

int link_take_error(const struct buf *from, struct err *e)
{
	char *end;
	long code = strtol(buf_str(from), &end, 10);

	if (code <= 0 || code > ERR_CANCELLED)
		code = ERR_IO;
	return err_set(e, (enum err_code)code, "%s", *end ? end + 1 : "refused");
}
