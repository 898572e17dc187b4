/* Who a process is, how much it may open, and its children. Guarantees: after process_become no privilege of before is
 * left, or it fails; a signal that comes for a child tells the parent nothing. */
#include "serve/process.h"

#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

int process_become(const char *name, struct err *e)
{
	const struct passwd *pw = getpwnam(name);

	if (!pw)
		return err_set(e, ERR_USAGE, "--user %s: there is no such user", name);
	if (setgid(pw->pw_gid) != 0 || initgroups(name, pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0)
		return err_sys(e, name);
	/* Else libraries look for settings in a home that is not theirs to read. */
	if (setenv("HOME", pw->pw_dir, 1) != 0 || setenv("USER", name, 1) != 0 || setenv("LOGNAME", name, 1) != 0 ||
	    unsetenv("XDG_CONFIG_HOME") != 0)
		return err_sys(e, name);
	return 0;
}

void process_raise_files(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &r) != 0)
			return; /* fewer connections, then */
	}
}

pid_t process_fork(void)
{
	static const int handled[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
	sigset_t wait, before;
	pid_t pid;

	sigemptyset(&wait);
	for (size_t i = 0; i < COUNT(handled); i++)
		sigaddset(&wait, handled[i]);
	sigprocmask(SIG_BLOCK, &wait, &before);
	pid = fork();
	for (size_t i = 0; pid == 0 && i < COUNT(handled); i++)
		if (signal(handled[i], SIG_DFL) == SIG_IGN)
			signal(handled[i], SIG_IGN);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}
