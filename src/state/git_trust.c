/* The trust roots of TLS, read when a remote is asked and not before. libgit2 that was built with Mbed TLS, as Debian's
 * is, reads all of the machine's roots whenever it starts, which takes longer than everything else that issuing a
 * certificate does, and has no setting for it. A program's own functions stand before those of its libraries, so the
 * one below is called instead of Mbed TLS's: it notes which file was wanted. With another TLS library it is never
 * called. */
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>

#include "state/git.h"

int mbedtls_x509_crt_parse_file(void *chain, const char *path);

static char wanted[PATH_MAX]; /* "": libgit2 asked for none, or has them */
static bool awake;

int mbedtls_x509_crt_parse_file(void *chain, const char *path)
{
	int (*theirs)(void *, const char *) = NULL;

	if (awake)
		*(void **)&theirs = dlsym(RTLD_NEXT, "mbedtls_x509_crt_parse_file");
	else
		snprintf(wanted, sizeof(wanted), "%s", path);
	return theirs ? theirs(chain, path) : -1; /* to libgit2 a file that cannot be read: it trusts nobody */
}

int git_trust(struct err *e)
{
	awake = true;
	if (wanted[0] && git_libgit2_opts(GIT_OPT_SET_SSL_CERT_LOCATIONS, wanted, (char *)NULL))
		return err_git(e, ERR_IO, wanted);
	wanted[0] = '\0';
	return 0;
}
