/* make_requests DIR N: writes N requests for P-256 keys, one file each. The private keys are forgotten. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "crypto/cert.h"
#include "crypto/csr.h"
#include "crypto/key.h"
#include "crypto/name.h"

static int make_one(const char *dir, long i, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	AUTO(EVP_PKEY) *key = NULL;
	const struct keytype *type = keytype_parse("ecdsa:256", e);
	struct exts none = { 0 };
	struct bytes subject, der;

	if (!type || key_generate(type, &key, e) != 0 ||
	    name_parse(a, arena_printf(a, "CN=device-%06ld,O=Acme Corp", i), &subject, e) != 0 ||
	    csr_build(a, subject, &none, key, sigalg_default(key), &der, e) != 0)
		return -1;
	return fs_put(arena_printf(a, "%s/device-%06ld.csr", dir, i), pem_encode(a, "CERTIFICATE REQUEST", der), 0644,
		      e);
}

int main(int argc, char **argv)
{
	struct err e = { 0 };

	if (argc != 3) {
		fprintf(stderr, "usage: make_requests DIR N\n");
		return 2;
	}
	mkdir(argv[1], 0777);
	for (long i = 0; i < strtol(argv[2], NULL, 10); i++)
		if (make_one(argv[1], i, &e) != 0) {
			fprintf(stderr, "make_requests: %s\n", e.msg);
			return 1;
		}
	return 0;
}
