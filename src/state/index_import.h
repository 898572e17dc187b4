#pragma once
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

/* The certificate database of cfssl (SQLite): read only, and believed in nothing. */
struct cfssl_row {
	char *serial;      /* decimal */
	char *label, *aki, *status, *pem;
	int64_t reason;
	char *revoked_at, *expiry; /* as they stand there */
};
/* cb's row lives until it returns. ERR_INVALID where the file is no such database. */
int cfssl_each(const char *path, int (*cb)(void *arg, const struct cfssl_row *, struct err *), void *arg,
	       struct err *) NODISCARD;
