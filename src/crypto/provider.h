#pragma once
#include <openssl/core_dispatch.h>
#include <stdatomic.h>

#include "crypto/key.h"

/* The provider of remote keys: what provider.c (keys, loading) and provider_sign.c (signatures) share. */
struct remote { /* key data; never changes once it is made */
	atomic_int refs;
	EVP_PKEY *pub;
	struct key_backend backend;
};

struct remote *remote_ref(struct remote *);
void remote_free(void *);

/* Tables of functions for OpenSSL: for algorithms that sign digests, and for those that sign whole messages. */
extern const OSSL_DISPATCH remote_sign_digest[], remote_sign_message[];
#define REMOTE_FN(id, f) { id, (void (*)(void))(f) }
