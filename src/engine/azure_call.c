/* Calls of a vault (Key Vault REST). Guarantees: the token goes to the vault's own origin only; a token that is refused
 * is renewed once, with the claims that the vault asks for (continuous access evaluation); what makes something is
 * never made twice; every message has the service's code and its request id. */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "engine/azure.h"

struct attempt {
	struct azure *az;
	const struct azure_request *request;
	const char *url;
	uint64_t serial;    /* of the token that was used last */
	const char *claims; /* that the vault asked for */
};

static int build(void *arg, struct arena *a, bool refresh, struct net_request *ret, struct err *e)
{
	struct attempt *x = arg;
	struct net_header *headers = arena_new_array(a, 3, struct net_header);
	const char *token;

	if (azure_token_get(x->az, a, refresh ? x->serial : 0, refresh ? x->claims : NULL, &token, &x->serial, e) != 0)
		return -1;
	headers[0] = (struct net_header){ "Authorization", arena_printf(a, "Bearer %s", token) };
	headers[1] = (struct net_header){ "Accept", "application/json" };
	headers[2] = (struct net_header){ "Content-Type", "application/json" };
	*ret = (struct net_request){ .method = x->request->method, .url = x->url, .headers = headers,
				     .nheaders = x->request->body.p ? 3 : 2, .body = x->request->body,
				     .what = x->request->what };
	return 0;
}

static const struct meaning {
	int status;
	const char *code; /* of error or inner error; NULL: any */
	enum remote_verdict verdict;
	enum err_code error;
	const char *hint;
} meanings[] = {
	{ 401, NULL, REMOTE_REFRESH, ERR_DENIED, "the vault refuses the token" },
	{ 403, "ForbiddenByRbac", REMOTE_FAILED, ERR_DENIED, "no role of this identity permits it" },
	{ 403, "ForbiddenByPolicy", REMOTE_FAILED, ERR_DENIED, "the access policy of the vault does not permit it" },
	{ 403, "AccessDenied", REMOTE_FAILED, ERR_DENIED, "the access policy of the vault does not permit it" },
	{ 403, "ForbiddenByFirewall", REMOTE_FAILED, ERR_DENIED, "the vault's firewall does not let this machine in" },
	{ 403, "KeyDisabled", REMOTE_FAILED, ERR_DENIED, "the key is disabled" },
	{ 403, "KeyNotYetValid", REMOTE_FAILED, ERR_DENIED, "the key is not valid yet" },
	{ 403, "KeyExpired", REMOTE_FAILED, ERR_DENIED, "the key has expired" },
	{ 403, NULL, REMOTE_FAILED, ERR_DENIED, "the vault does not permit it" },
	{ 404, NULL, REMOTE_FAILED, ERR_NOT_FOUND, "not in the vault" },
	{ 408, NULL, REMOTE_AGAIN, ERR_REMOTE, "the vault took too long" },
	{ 409, "ObjectIsBeingDeleted", REMOTE_THROTTLED, ERR_REMOTE, "the vault is deleting it" },
	{ 409, "ObjectIsBeingRecovered", REMOTE_THROTTLED, ERR_REMOTE, "the vault is recovering it" },
	{ 409, "ObjectIsBeingCreated", REMOTE_THROTTLED, ERR_REMOTE, "the vault is making it" },
	{ 409, "ObjectIsDeletedButRecoverable", REMOTE_FAILED, ERR_EXISTS,
	  "a deleted key of this name waits for its purge" },
	{ 409, NULL, REMOTE_FAILED, ERR_CONFLICT, "the vault refuses it" },
	{ 429, NULL, REMOTE_THROTTLED, ERR_REMOTE, "too many requests for the vault" },
	{ 501, NULL, REMOTE_FAILED, ERR_REMOTE, "the vault cannot do it" },
	{ 505, NULL, REMOTE_FAILED, ERR_REMOTE, "the vault cannot do it" },
};

static const struct meaning *meaning_of(int status, const char *code, const char *inner)
{
	static const struct meaning fails = { .verdict = REMOTE_FAILED, .error = ERR_REMOTE,
					      .hint = "the vault refuses it" },
				    again = { .verdict = REMOTE_AGAIN, .error = ERR_REMOTE,
					      .hint = "the vault has failed" };

	for (size_t i = 0; i < COUNT(meanings); i++) {
		const struct meaning *m = &meanings[i];

		if (m->status == status &&
		    (!m->code || (code && strcmp(m->code, code) == 0) || (inner && strcmp(m->code, inner) == 0)))
			return m;
	}
	return status >= 500 ? &again : &fails;
}

/* Claims that a new token must carry; anything else in the header leaves the token's terms as they are. */
static void read_claims(struct attempt *x, struct arena *a, const struct net_answer *answer)
{
	const char *header = net_header(answer, "www-authenticate");
	struct azure_challenge c;
	struct err ignored = { 0 };

	x->claims = NULL;
	if (header && azure_challenge_parse(a, header, &c, &ignored) == 0)
		x->claims = c.claims;
}

static enum remote_verdict judge(void *arg, struct arena *a, const struct net_answer *answer, struct err *e)
{
	struct attempt *x = arg;
	const char *code = NULL, *inner = NULL, *text = NULL, *id = net_header(answer, "x-ms-request-id");
	const struct meaning *m;
	struct err ignored = { 0 };
	AUTO(json_t) *j = NULL;

	if (x->request->ret_status)
		*x->request->ret_status = answer->status;
	if (answer->status >= 200 && answer->status <= 299)
		return REMOTE_DONE;
	if (remote_json(answer->body, &j, &ignored) == 0) {
		code = remote_text(j, "error.code");
		inner = remote_text(j, "error.innererror.code");
		text = remote_text(j, "error.message");
	}
	m = meaning_of(answer->status, code, inner);
	if (answer->status == 401)
		read_claims(x, a, answer);
	if (text)
		text = arena_strndup(a, text, strcspn(text, "\r\n"));
	err_set(e, m->error, "%s: %s: %d%s%s%s%s%s%s%s%s%s", x->request->what, m->hint, answer->status, code ? " " : "",
		remote_say(a, code), inner ? "/" : "", remote_say(a, inner), text ? ": " : "", remote_say(a, text),
		id ? " (request " : "", remote_say(a, id),
		id ? ")" : "");
	return m->verdict;
}

/* The URL of a call. A page that the server names is asked for only where the vault itself is. */
static int make_url(const struct azure *az, struct arena *a, const struct azure_request *r, const char **ret,
		    struct err *e)
{
	size_t n = strlen(az->vault.origin);

	if (r->path[0] == '/') {
		*ret = arena_printf(a, "%s%s?%s%sapi-version=%s", az->vault.origin, r->path, r->query ? r->query : "",
				    r->query ? "&" : "", az->config->api_version);
		return 0;
	}
	if (strncasecmp(r->path, az->vault.origin, n) != 0 || r->path[n] != '/' || strpbrk(r->path, " \\\r\n#"))
		return err_set(e, ERR_REMOTE,
			       "%s: the vault sends us on to another server (%s): no token is sent there", r->what,
			       remote_say(a, arena_strndup(a, r->path, strcspn(r->path, "?"))));
	*ret = r->path;
	return 0;
}

int azure_call(struct azure *az, struct arena *a, const struct azure_request *r, json_t **ret, struct err *e)
{
	struct attempt x = { .az = az, .request = r };
	const struct remote_call call = { .build = build, .judge = judge, .arg = &x, .once = r->once };
	struct net_answer answer;

	if (make_url(az, a, r, &x.url, e) != 0 || remote_call(az->vault_client, a, &az->policy, &call, &answer, e) != 0)
		return -1;
	if (!ret)
		return 0;
	*ret = NULL;
	return answer.body.n == 0 ? 0 : remote_json(answer.body, ret, e) == 0 ? 0 : err_ctx(e, "%s", r->what);
}

char *azure_json(struct arena *a, const json_t *j)
{
	size_t n = json_dumpb(j, NULL, 0, JSON_COMPACT);
	char *text = arena_alloc(a, 1, n + 1);

	json_dumpb(j, text, n, JSON_COMPACT);
	return text;
}
