/* Bearer tokens (E9, S2). Guarantees: a token counts only when a key of the manager's set signed it with an accepted
 * algorithm, and its claims hold now; it is neither logged nor recorded, but its sub and jti are. Whoever is refused
 * learns nothing more than that. */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "est/auth.h"
#include "est/jwks.h"
#include "est/service.h"

static int denied(struct refusal *why, const struct err *e)
{
	return refuse(why, 401, "authentication_failure", "%s", e->msg);
}

/* Without a kid, or with one that is known, the set at hand decides; a kid that is not may be of a set that has just
 * changed. */
static int check_signature(struct asking *q, const struct jwt *t, struct refusal *why)
{
	const struct node *key;
	struct node set;
	struct err e = { 0 };

	if (jwks_get(q, false, &set, why) != 0)
		return -1;
	key = jwt_find_key(t, &set);
	if (!key) {
		if (jwks_get(q, true, &set, why) != 0)
			return -1;
		key = jwt_find_key(t, &set);
	}
	if (!key)
		return refuse(why, 401, "authentication_failure", "token: no key of the set is the one that signed it");
	return jwt_verify(q->http->arena, t, key, &e) == 0 ? 0 : denied(why, &e);
}

/* For the record of the certificate. */
static int remember(struct asking *q, const struct jwt *t, struct identity *who, struct refusal *why)
{
	static const char *const names[] = { "sub", "jti" };
	struct arena *a = q->http->arena;
	struct err e = { 0 };
	char *claims = NULL;

	for (size_t i = 0; i < COUNT(names); i++) {
		const char *text = est_json_str(&t->claims, names[i]);
		SCOPED_BUF quoted = buf_init(BUF_TEXT);

		if (!text)
			continue;
		json_print_text(text, &quoted);
		if (any_set(a, claims, names[i], buf_str(&quoted), &claims, &e) != 0)
			return denied(why, &e);
	}
	who->token = claims;
	return 0;
}

int auth_jwt(struct asking *q, struct identity *who, struct refusal *why)
{
	const char *field = http_field(q->http, "authorization");
	const struct jwt_auth *rules = &q->how->jwt;
	struct jwt t;
	struct err e = { 0 };

	if (!field || strncasecmp(field, "Bearer ", 7) != 0)
		return refuse(why, 401, "authentication_failure", "a bearer token is needed");
	field += 7;
	field += strspn(field, " ");
	if (jwt_parse(q->http->arena, field, &t, &e) != 0 || jwt_check_alg(&t, rules, &e) != 0)
		return denied(why, &e);
	if (check_signature(q, &t, why) != 0)
		return -1;
	if (jwt_check_claims(&t, rules, q->post->ctx.now, &e) != 0)
		return denied(why, &e);
	if (rules->device_claim) {
		who->device = est_json_str(&t.claims, rules->device_claim);
		if (!who->device)
			return refuse(why, 401, "authentication_failure", "token: names no device");
	}
	who->via = "jwt";
	return remember(q, &t, who, why);
}
