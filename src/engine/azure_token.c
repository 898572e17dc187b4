/* The token of an open engine. Guarantees: one thread at a time asks for a token, the others wait for its result or go
 * on with the one that is still good; it is renewed before it ends; credentials that were refused are not tried again;
 * tokens are wiped when they are replaced. */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "base/tm.h"
#include "engine/azure.h"

enum { RETRY_MS = 30000 }; /* after a renewal that failed while the old token is good */

/* --- the challenge: whom the vault takes tokens from, and for what --- */

struct probe {
	struct azure *az;
	struct azure_challenge challenge;
	struct arena *keep;
};

static int build_probe(void *arg, struct arena *a, bool refresh, struct net_request *ret, struct err *e)
{
	const struct probe *p = arg;

	(void)refresh, (void)e;
	*ret = (struct net_request){ .method = "GET", .what = "challenge",
				     .url = arena_printf(a, "%s/keys?maxresults=1&api-version=%s", p->az->vault.origin,
							 p->az->config->api_version) };
	return 0;
}

static enum remote_verdict judge_probe(void *arg, struct arena *a, const struct net_answer *answer, struct err *e)
{
	struct probe *p = arg;
	const char *header = net_header(answer, "www-authenticate");

	if (!p->az->config->verify_challenge_resource && (answer->status != 401 || !header)) { /* an emulator */
		p->challenge.resource = p->az->resource;
		p->challenge.scope = arena_printf(p->keep, "%s/.default", p->az->resource);
		return REMOTE_DONE;
	}
	(void)a;
	if (answer->status == 401 && header)
		return azure_challenge_parse(p->keep, header, &p->challenge, e) == 0 ? REMOTE_DONE : REMOTE_FAILED;
	err_set(e, ERR_REMOTE, "%s: answers %d where it should ask for a token: is this a key vault?",
		p->az->vault.origin, answer->status);
	if (answer->status == 429)
		return REMOTE_THROTTLED;
	if (answer->status == 408 || (answer->status >= 500 && answer->status != 501 && answer->status != 505))
		return REMOTE_AGAIN;
	return REMOTE_FAILED;
}

static bool tenant_allowed(const struct azure *az, const char *tenant)
{
	const struct strv *also = &az->config->allowed_tenants;

	if (strcasecmp(az->tenant, tenant) == 0)
		return true;
	for (size_t i = 0; i < also->n; i++)
		if (strcmp(also->v[i], "*") == 0 || strcasecmp(also->v[i], tenant) == 0)
			return true;
	return false;
}

static int ask_vault(struct azure *az, struct arena *a, struct err *e)
{
	struct probe p = { .az = az, .keep = az->own };
	const struct remote_call call = { .build = build_probe, .judge = judge_probe, .arg = &p };
	struct azure_challenge *c = &p.challenge;
	struct net_answer answer;

	if (remote_call(az->vault_client, a, &az->policy, &call, &answer, e) != 0)
		return -1;
	if (!c->scope)
		return err_set(e, ERR_REMOTE, "%s: the challenge names neither a resource nor a scope",
			       az->vault.origin);
	if (az->config->verify_challenge_resource && azure_challenge_check(a, c, az->vault.host, e) != 0)
		return -1;
	/* A name cannot be compared with an id; Entra refuses the wrong one of them. */
	if (az->tenant && c->tenant && strlen(az->tenant) == 36 && !tenant_allowed(az, c->tenant))
		return err_set(e, ERR_DENIED,
			       "the vault belongs to tenant %s, not to %s: allowed_tenants does not name it", c->tenant,
			       az->tenant);
	az->challenge = *c;
	return 0;
}

/* --- one token for all threads --- */

static int fetch(struct azure *az, const char *claims, struct azure_token *ret, struct err *e)
{
	if (!az->challenge.scope && ask_vault(az, ret->arena, e) != 0)
		return -1;
	return azure_source_token(az, claims, ret, e);
}

/* Called with the lock, which is let go meanwhile. */
static int renew(struct azure *az, const char *claims, struct err *e)
{
	struct azure_token fresh = { .arena = arena_new(), .serial = az->token.serial + 1 };
	struct err why = { 0 };
	int rc;

	az->busy = true;
	pthread_mutex_unlock(&az->lock);
	rc = fetch(az, claims, &fresh, &why);
	pthread_mutex_lock(&az->lock);
	az->busy = false;
	if (rc == 0) {
		arena_free(az->token.arena);
		az->token = fresh;
	} else {
		arena_free(fresh.arena);
		az->failures++;
		az->why = *e = why;
	}
	pthread_cond_broadcast(&az->turn);
	return rc;
}

static int wait_for_token(struct azure *az, uint64_t refused, const char *claims, struct err *e)
{
	uint64_t failures = az->failures;

	for (;;) {
		int64_t now = tm_mono_ms();
		bool good = az->token.text && az->token.serial != refused && now < az->token.expires_at;

		if (good && (now < az->token.refresh_at || az->busy))
			return 0;
		if (!good && (az->why.code == ERR_DENIED || az->failures != failures)) {
			*e = az->why;
			return -1;
		}
		if (az->busy) {
			pthread_cond_wait(&az->turn, &az->lock);
			continue;
		}
		if (renew(az, claims, e) == 0)
			return 0;
		if (!good)
			return -1;
		*e = (struct err){ 0 };
		az->token.refresh_at = now + RETRY_MS;
		return 0;
	}
}

int azure_token_get(struct azure *az, struct arena *a, uint64_t refused, const char *claims, const char **ret,
		    uint64_t *ret_serial, struct err *e)
{
	int rc;

	pthread_mutex_lock(&az->lock);
	rc = wait_for_token(az, refused, claims, e);
	if (rc == 0) {
		*ret = arena_strdup(a, az->token.text);
		*ret_serial = az->token.serial;
	}
	pthread_mutex_unlock(&az->lock);
	return rc;
}
