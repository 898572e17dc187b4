#pragma once
#include "base/ctx.h"
#include "crypto/ossl.h"

/* The private keys that a worker has opened. An engine is opened once a worker, whatever the policy does meanwhile. */
struct keyring;

struct keyring *keyring_new(const struct ctx *like, const char *dir);
/* By the id of the key's record; from any thread. The caller owns a reference. */
int keyring_open(struct keyring *, const char *key_id, EVP_PKEY **ret, struct err *) NODISCARD;
