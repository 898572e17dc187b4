/* Key sets. Guarantees: a set that cannot be fetched stays in use for an hour after it was, then nobody gets in. Files
 * are read each time. */
#include "est/jwks.h"

#include "base/fs.h"
#include "est/kept.h"
#include "est/service.h"

enum { FRESH_MS = 300000, KEEP_MS = 3600000 };

int jwks_is_set(struct arena *a, struct bytes text, struct err *e)
{
	struct node ignored;

	return jwks_parse(a, text, &ignored, e);
}

static int by_url(struct asking *q, bool again, struct bytes *ret, struct refusal *why)
{
	const struct wanted w = { .url = q->how->jwt.public_key_url, .ca_file = q->how->jwt.ca_file, .what = "key set",
				  .fresh_ms = FRESH_MS, .keep_ms = KEEP_MS, .max = JWKS_BYTES, .again = again,
				  .check = jwks_is_set };

	if (kept_get(q, &w, ret, why) != 0)
		return -1;
	return ret->n ? 0
		      : refuse(why, 503, "key_set_unreachable", "the keys of tokens are out of reach at the moment");
}

int jwks_from_file(struct arena *a, const struct jwt_auth *j, struct node *ret, struct err *e)
{
	struct bytes text;

	return fs_read_found(a, j->public_key_file, JWKS_BYTES, &text, e) != 0 ? -1 : jwks_parse(a, text, ret, e);
}

int jwks_check_file(struct arena *a, const struct jwt_auth *j, struct err *e)
{
	struct node ignored;

	return j->public_key_file && jwks_from_file(a, j, &ignored, e) != 0 ? err_ctx(e, "%s", j->public_key_file) : 0;
}

int jwks_get(struct asking *q, bool again, struct node *ret, struct refusal *why)
{
	const struct jwt_auth *j = &q->how->jwt;
	struct bytes text;
	struct err e = { 0 };

	if (j->public_key_url) {
		if (by_url(q, again, &text, why) != 0)
			return -1;
		if (jwks_parse(q->http->arena, text, ret, &e) == 0)
			return 0;
	} else if (jwks_from_file(q->http->arena, j, ret, &e) == 0) {
		return 0;
	}
	ctx_warn(&q->post->ctx, "dms %s: key set: %s", q->served->dms.id, e.msg);
	return refuse(why, 503, "key_set_unreachable", "the keys of tokens are out of reach at the moment");
}
