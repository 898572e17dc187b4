/* What holds wherever private keys are. Guarantees: files are 0600 in folders of 0700 under any umask; a process that
 * has held a key can no longer be traced or read by other processes of the same user, and leaves no core behind. */
#include <limits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "engine/sealed.h"

void process_harden(void)
{
	const struct rlimit none = { 0, 0 };

	/* Neither can fail for a reason that we could do anything about. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &none);
}

int private_write(const char *path, struct bytes text, bool replace, struct err *e)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];
	mode_t saved;
	int rc;

	if (!slash || (size_t)(slash - path) >= sizeof(dir))
		return err_set(e, ERR_INVALID, "%s: not the path of a key file", path);
	memcpy(dir, path, (size_t)(slash - path));
	dir[slash - path] = '\0';
	saved = umask(077);
	rc = fs_mkdirs(dir, 0700, e) != 0 ? -1 : fs_write(path, text, 0600, replace, e);
	umask(saved);
	return rc;
}
