/* Patience with remotes. libgit2 waits for ever for one that took the connection and says nothing. Here a timer
 * interrupts the system call in which this thread waits, once nothing has come or gone for a while, and again every
 * second until libgit2 gives up; whoever is not waiting is not disturbed. While libgit2 greets an ssh server and logs
 * in it takes an interruption for a time-out and begins to wait anew: so the connection is ended too. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "state/git.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { PATIENCE_SECS = 120, PATIENCE_MAX = 86400, BUSY_MS = 100 };

/* Connections to hosts that were made since patience began: nobody but libgit2, in this thread, makes any meanwhile. */
static void end_connections(const struct patience *p)
{
	for (int fd = 0; fd < FD_SETSIZE; fd++) {
		struct sockaddr_storage peer;
		socklen_t size = sizeof(peer);

		if (!FD_ISSET(fd, &p->others) && getpeername(fd, (struct sockaddr *)&peer, &size) == 0 &&
		    peer.ss_family != AF_UNIX)
			shutdown(fd, SHUT_RDWR);
	}
}

static int64_t cpu_ms(void)
{
	struct timespec t = { 0 };

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Without SA_RESTART the call under way ends with EINTR. Only what a signal's handler may call. */
static void interrupt(int sig, siginfo_t *info, void *context)
{
	int saved = errno;
	struct patience *p = info->si_value.sival_ptr;
	int64_t cpu = cpu_ms();

	(void)sig;
	(void)context;
	if (info->si_code == SI_TIMER && cpu - p->cpu_ms < BUSY_MS)
		end_connections(p);
	if (info->si_code == SI_TIMER)
		p->cpu_ms = cpu;
	errno = saved;
}

/* git's own setting, for http with git, for all kinds of remote here. */
static int seconds_of(struct store *s)
{
	const char *text = store_config(s, "http.lowspeedtime");
	long n = text ? strtol(text, NULL, 10) : 0;

	return n > 0 ? (int)(n < PATIENCE_MAX ? n : PATIENCE_MAX) : PATIENCE_SECS;
}

static void wind_up(struct patience *p)
{
	const struct itimerspec t = { .it_value.tv_sec = p->seconds, .it_interval.tv_sec = 1 };

	p->cpu_ms = cpu_ms();
	if (p->ticking)
		timer_settime(p->timer, 0, &t, NULL);
	clock_gettime(CLOCK_MONOTONIC, &p->last);
}

void patience_begin(struct store *s, struct patience *p)
{
	struct sigevent to = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM };
	struct sigaction act = { .sa_sigaction = interrupt, .sa_flags = SA_SIGINFO };

	to.sigev_notify_thread_id = gettid();
	to.sigev_value.sival_ptr = p;
	FD_ZERO(&p->others);
	for (int fd = 0; fd < FD_SETSIZE; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			FD_SET(fd, &p->others);
	p->seconds = seconds_of(s);
	p->ticking = sigaction(SIGALRM, &act, &p->before) == 0 && timer_create(CLOCK_MONOTONIC, &to, &p->timer) == 0;
	wind_up(p);
}

/* Before each sign of life more than a second may pass, and arming a timer costs a system call. */
void patience_renew(struct patience *p)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec != p->last.tv_sec)
		wind_up(p);
}

bool patience_end(struct patience *p)
{
	struct timespec now;

	if (!p->ticking)
		return false;
	p->ticking = false;
	timer_delete(p->timer);
	sigaction(SIGALRM, &p->before, NULL);
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - p->last.tv_sec >= p->seconds;
}

/* --- libgit2's signs of life --- */

static int on_text(const char *text, int n, void *talk)
{
	(void)text;
	(void)n;
	patience_renew(&((struct talk *)talk)->patience);
	return 0;
}

static int on_transfer(const git_indexer_progress *at, void *talk)
{
	(void)at;
	patience_renew(&((struct talk *)talk)->patience);
	return 0;
}

static int on_pack(int stage, uint32_t at, uint32_t all, void *talk)
{
	(void)stage;
	(void)at;
	(void)all;
	patience_renew(&((struct talk *)talk)->patience);
	return 0;
}

static int on_push(unsigned at, unsigned all, size_t n, void *talk)
{
	(void)at;
	(void)all;
	(void)n;
	patience_renew(&((struct talk *)talk)->patience);
	return 0;
}

void patience_listen(git_remote_callbacks *c)
{
	c->sideband_progress = on_text;
	c->transfer_progress = on_transfer;
	c->pack_progress = on_pack;
	c->push_transfer_progress = on_push;
}
