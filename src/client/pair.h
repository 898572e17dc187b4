#pragma once
#include <stdbool.h>

#include "base/bytes.h"
#include "base/ctx.h"
#include "crypto/ossl.h"

/* Key and certificate of a device on its disk, and the enrolment that is under way. What is under way lives in one file
 * beside the key, "KEY.pending": the new key and its request before the request is sent, the certificate too before
 * anything is replaced. Whenever a run is cut off the next one goes on from there: with the same request, for which the
 * server gives the same certificate, or with putting the files in place. The file goes when all is done. */
struct pair_paths {
	const char *cert, *key; /* equal: one file with both, which is replaced in one step */
	bool elsewhere;         /* the key is in a token: `key` only names CERT.pending, and no file has a key */
};

struct pending {
	EVP_PKEY *key;      /* owned by the caller; NULL: nothing is under way, or the key is elsewhere */
	struct bytes csr;   /* DER; n = 0: nothing is under way */
	struct bytes certs; /* PEM; n = 0: not issued yet */
	struct bytes old;   /* DER: the certificate that is replaced, where its key is elsewhere; n = 0: none */
};
/* What is there and can be read. */
int pending_load(struct ctx *, const struct pair_paths *, struct pending *ret, struct err *) NODISCARD;
/* Durable when it returns. */
int pending_save(struct ctx *, const struct pair_paths *, const struct pending *, struct err *) NODISCARD;
/* Key and certificate in place of the old ones. Permissions of files that are there already are kept. */
int pending_install(struct ctx *, const struct pair_paths *, const struct pending *, struct err *) NODISCARD;
int pending_done(struct ctx *, const struct pair_paths *, struct err *) NODISCARD;
