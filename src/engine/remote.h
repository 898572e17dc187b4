#pragma once
#include <jansson.h>

#include "base/ctx.h"
#include "net/net.h"

/* What engines over HTTP have in common: one call with its retries, and the reading of JSON answers. */

enum remote_verdict { /* what an answer means */
	REMOTE_DONE,
	REMOTE_AGAIN,     /* the server's trouble, which may pass: 500, 502, 503 … */
	REMOTE_THROTTLED, /* too many requests; it was not carried out. Tried again until the deadline */
	REMOTE_REFRESH,   /* credentials have expired or the clock is off: build anew with `refresh`, once */
	REMOTE_FAILED     /* final; judge has set the error */
};

struct remote_policy { /* zeroes are the defaults */
	unsigned attempts;   /* in all, the first included, those not that were throttled; 0: 3 */
	int64_t deadline_ms; /* for all attempts and pauses; 0: 30000 */
	int64_t base_ms;     /* longest first pause; each next one may be twice as long; 0: 200 */
	int64_t cap_ms;      /* longest pause of ours; 0: 20000 */
};

struct remote_call {
	/* The request of one attempt, with token or signature, in the arena of that attempt. */
	int (*build)(void *arg, struct arena *, bool refresh, struct net_request *ret, struct err *);
	/* For every verdict but REMOTE_DONE the error says what the server said, with its request id. */
	enum remote_verdict (*judge)(void *arg, struct arena *, const struct net_answer *, struct err *);
	void *arg;
	/* It makes something, so it must not be carried out twice: tried again only when it certainly was not. */
	bool once;
};

/* Makes the call, with pauses of a random length ("full jitter") or as long as the server asks for (Retry-After,
 * retry-after-ms, x-ms-retry-after-ms, x-amz-retry-after). From any thread. When the last attempt failed too its error
 * is returned, ERR_REMOTE unless judge said otherwise. */
int remote_call(struct net_client *, struct arena *, const struct remote_policy *, const struct remote_call *,
		struct net_answer *ret, struct err *) NODISCARD;

/* From now on JSON is wiped when it is freed: tokens and keys come in it. Before anything was parsed. */
void remote_wipe(void);
/* The handle of a parsed answer; duplicate members are refused. ERR_REMOTE when it is not a JSON object. */
int remote_json(struct bytes body, json_t **ret, struct err *) NODISCARD;
DEFINE_AUTO(json_t, json_decref)
/* The member at a path such as "data.keys"; NULL when absent. */
json_t *remote_member(json_t *, const char *path);
/* The same as text; NULL when absent or not a string. Lives as long as the JSON. */
const char *remote_text(json_t *, const char *path);
/* Text from a server, safe to print: escaped and cut at 300 bytes; "" for NULL. */
char *remote_say(struct arena *, const char *);
