/* The derived key of an engine in the kernel's session keyring: `kms engine unlock` leaves it there for a time, and
 * commands of the same login session find it. It is never written to a disk, and only its possessors can read it. Where
 * the kernel or a sandbox has no keyrings, engines are simply locked. */
#include <errno.h>
#include <limits.h>
#include <linux/keyctl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"
#include "crypto/digest.h"
#include "engine/sealed.h"

enum { DERIVED_MAX = 64, POSSESSOR_ALL = 0x3f000000 };

/* By number, because add_key() on KEY_SPEC_SESSION_KEYRING gives a process that has no session keyring of its own one
 * that ends with it, instead of using the user's. */
static long session(void)
{
	return syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
}

/* One clone's engine must not open with another clone's key of the same name. */
static char *description(struct engine *en, struct arena *a)
{
	char real[PATH_MAX];

	return arena_printf(a, "lamassu:%.16s:%s", sha256_hex(a, bytes_of(realpath(en->dir, real) ? real : en->dir)),
			    en->doc->id);
}

static long find(struct engine *en)
{
	SCOPED_ARENA *a = arena_new();
	long ring = session();

	return ring < 0 ? -1 : syscall(SYS_keyctl, KEYCTL_SEARCH, ring, "user", description(en, a), 0);
}

bool keyring_get(struct engine *en, struct bytes *ret)
{
	unsigned char *p = arena_alloc(en->arena, 1, DERIVED_MAX);
	long id = find(en);
	long n = id < 0 ? -1 : syscall(SYS_keyctl, KEYCTL_READ, id, p, (size_t)DERIVED_MAX);

	if (n <= 0 || n > DERIVED_MAX)
		return false;
	*ret = (struct bytes){ p, (size_t)n };
	return true;
}

int keyring_put(struct engine *en, struct bytes derived, int64_t secs, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	long ring = session(), id;

	if (secs <= 0 || secs > INT_MAX)
		return err_set(e, ERR_INVALID, "an engine is unlocked for at least a second and at most %d seconds",
			       INT_MAX);
	id = ring < 0 ? -1 : syscall(SYS_add_key, "user", description(en, a), derived.p, derived.n, ring);
	if (id < 0)
		return err_set(e, ERR_UNSUPPORTED, "the kernel's session keyring: %s", strerror(errno));
	if (syscall(SYS_keyctl, KEYCTL_SET_TIMEOUT, id, (unsigned)secs) != 0 ||
	    syscall(SYS_keyctl, KEYCTL_SETPERM, id, POSSESSOR_ALL) != 0) {
		err_sys(e, "the kernel's session keyring");
		keyring_drop(en); /* rather not unlocked than unlocked for ever */
		return -1;
	}
	return 0;
}

bool keyring_drop(struct engine *en)
{
	long id = find(en);

	return id >= 0 && syscall(SYS_keyctl, KEYCTL_INVALIDATE, id) == 0;
}
