#pragma once
#include "est/auth.h"

/* A document at a URL: a key set, a CRL. */
struct wanted {
	const char *url, *ca_file; /* ca_file NULL: the system's authorities */
	const char *what;          /* "key set": for warnings */
	int64_t fresh_ms;          /* fetched anew when it is older … */
	int64_t keep_ms;           /* … and in use so long when that fails */
	size_t max;                /* bytes */
	bool again;                /* what is at hand does not do; fetched anew unless that was done a moment ago */
	int (*check)(struct arena *, struct bytes, struct err *); /* is it one at all? Else the former stays */
};
/* Asks for it, now, and keeps nothing. */
int kept_fetch(struct ctx *, struct arena *, const struct wanted *, struct bytes *ret, struct err *) NODISCARD;
/* *ret n = 0: it cannot be had. Fails only when it must happen later (wait_begin). Lives as long as the request. */
int kept_get(struct asking *, const struct wanted *, struct bytes *ret, struct refusal *) NODISCARD;
