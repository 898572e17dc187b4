/* The border to OpenSSL: its error queue becomes one message of ours, and algorithms that are used over and over are
 * fetched once, because a fetch costs as much as hashing a certificate. */
#include "crypto/ossl.h"

#include <openssl/err.h>
#include <pthread.h>
#include <string.h>

int err_ossl(struct err *e, const char *what)
{
	const char *data = NULL, *reason;
	int flags = 0;
	unsigned long code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags);

	reason = code ? ERR_reason_error_string(code) : NULL;
	if (!code)
		err_set(e, ERR_CRYPTO, "%s: refused without a reason", what);
	else if (flags & ERR_TXT_STRING && data && *data)
		err_set(e, ERR_CRYPTO, "%s: %s (%s)", what, reason ? reason : "unknown reason", data);
	else
		err_set(e, ERR_CRYPTO, "%s: %s", what, reason ? reason : "unknown reason");
	ERR_clear_error();
	return -1;
}

static struct {
	const char *name;
	EVP_MD *md;
} mds[] = { { "SHA256", NULL }, { "SHA384", NULL }, { "SHA512", NULL }, { "SHA1", NULL } };

static void fetch_all(void)
{
	for (size_t i = 0; i < COUNT(mds); i++)
		mds[i].md = EVP_MD_fetch(NULL, mds[i].name, NULL);
}

const EVP_MD *ossl_md(const char *name)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, fetch_all);
	for (size_t i = 0; i < COUNT(mds); i++)
		if (strcmp(mds[i].name, name) == 0)
			return mds[i].md;
	return NULL;
}
