/* Work in a child. Guarantees: engines that it opens (tokens, whose modules must not be forked) and the user that it
 * becomes end with it; what it says passes through a socket pair of this process and nowhere else. */
#include "serve/apart.h"

#include <sys/wait.h>
#include <unistd.h>

#include "serve/link.h"
#include "serve/process.h"

static _Noreturn void child(struct ctx *ctx, int (*fn)(struct ctx *, void *, struct buf *, struct err *), void *arg,
			    int fd)
{
	SCOPED_BUF text = buf_init(LINK_MAX);
	struct err e = { 0 };
	enum link_kind kind = LINK_YES;

	if (fn(ctx, arg, &text, &e) != 0) {
		kind = LINK_ERROR;
		buf_clear(&text);
		link_put_error(&text, &e);
	}
	_exit(link_send(fd, kind, buf_bytes(&text), &e) == 0 ? 0 : 1);
}

int apart_receive(int fd, struct buf *ret, struct err *e)
{
	enum link_kind kind;

	if (link_receive(fd, &kind, ret, e) != 0)
		return -1;
	return kind == LINK_ERROR ? link_take_error(ret, e) : 0;
}

pid_t apart_begin(struct ctx *ctx, int (*fn)(struct ctx *, void *, struct buf *, struct err *), void *arg, int *ret_fd,
		  struct err *e)
{
	int ours, theirs;
	pid_t pid;

	if (link_pairs(&ours, &theirs, 1, e) != 0)
		return -1;
	pid = process_fork();
	if (pid == 0) {
		close(ours);
		child(ctx, fn, arg, theirs);
	}
	close(theirs);
	if (pid < 0) {
		close(ours);
		return err_sys(e, "fork");
	}
	*ret_fd = ours;
	return pid;
}

int apart_run(struct ctx *ctx, int (*fn)(struct ctx *, void *, struct buf *, struct err *), void *arg, struct buf *ret,
	      struct err *e)
{
	int fd, r, status;
	pid_t pid = apart_begin(ctx, fn, arg, &fd, e);

	if (pid < 0)
		return -1;
	r = apart_receive(fd, ret, e);
	close(fd);
	if (waitpid(pid, &status, 0) == pid && r != 0 && WIFSIGNALED(status))
		return err_set(e, ERR_IO, "preparing to serve: ended by signal %d", WTERMSIG(status));
	return r;
}
