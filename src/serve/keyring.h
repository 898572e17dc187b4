#pragma once
#include "base/ctx.h"
#include "crypto/ossl.h"
#include "model/key.h"

/* The private keys that a worker has opened. A key is opened once a worker, whatever the policy does meanwhile. */
struct keyring;

struct keyring *keyring_new(const struct ctx *like, const char *dir);
/* By the id of the key's record; from any thread. The caller owns a reference. */
int keyring_open(struct keyring *, const char *key_id, EVP_PKEY **ret, struct err *) NODISCARD;
/* A copy of a key into an engine, which is open only meanwhile; no record is made of it. `ctx` is where results and
 * warnings go. */
int keyring_deposit(struct keyring *, const struct ctx *, const char *engine_id, EVP_PKEY *, const char *name,
		    struct key *ret, struct err *) NODISCARD;
void keyring_withdraw(struct keyring *, struct ctx *, const struct key *); /* what fails is a warning */
