#pragma once
#include <stdbool.h>

#include "base/bytes.h"
#include "base/ctx.h"
#include "base/err.h"

/* The network. Two programs are made of the same sources: `lamassu`, which links no network library and so starts fast, and
 * `lamassu-net` under libexecdir, which has all of it. net_need() makes the first become the second. */
struct net_ops {
	/* HTTP PUT. ERR_REMOTE names the server's answer or what went wrong on the way. */
	int (*put)(struct ctx *, const char *url, const char *content_type, struct bytes body, struct err *);
};
extern const struct net_ops *net_here; /* NULL in `lamassu`; set once, by main */
extern const struct net_ops net_curl;        /* http.c */

/* Called before anything was written or standard input was read by a command that turns out to need the network: in `lamassu`
 * it starts the same command line anew in `lamassu-net` and returns only when that fails. */
int net_need(struct ctx *, struct err *) NODISCARD;
bool net_is_url(const char *); /* http:// or https:// */
