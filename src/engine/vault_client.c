/* Requests to Vault. Guarantees: the token is asked for when it is first needed, renewed after two thirds of its time,
 * and got anew at most once a call when the server refuses it; it goes to the server of the config only and is given
 * back at the end when it was ours; a sealed server and one that stands by are named, and waiting for them is not part
 * of a call. */
#include <pthread.h>
#include <string.h>

#include "base/text.h"
#include "base/tm.h"
#include "engine/sealed.h"
#include "engine/vault.h"

enum { CLOSE_MS = 2000, SOON_MS = 5000, PATH_LEN = 1024 };

struct vault {
	struct vault_place place;
	struct net_client *client;
	struct remote_policy policy;
	pthread_mutex_t lock; /* of what follows */
	struct vault_credentials credentials;
	struct vault_lease lease;
	unsigned generation; /* of the token; 0: there is none yet */
	int64_t renew_at;    /* on the monotonic clock; 0: never */
	/* The token of this generation was got because an earlier one was refused for this path, and has opened nothing
	 * yet: when it is refused there too, it is not the token's fault. "": the present one has proved good. */
	unsigned tried;
	char tried_for[PATH_LEN];
};

bool vault_name_ok(const char *name)
{
	static const char plain[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-";
	size_t n = strlen(name);

	return n > 0 && n <= 128 && name[0] != '.' && strspn(name, plain) == n;
}

char *vault_path(struct arena *a, const char *mount, const char *kind, const char *path, const char *name)
{
	const char *const parts[] = { mount, kind, path, name };
	SCOPED_BUF b = buf_init(BUF_TEXT);

	for (size_t i = 0; i < COUNT(parts); i++) {
		for (const char *p = parts[i] ? parts[i] : ""; *p;) {
			size_t n = strcspn(p, "/");

			if (n > 0)
				buf_printf(&b, "%s%s", b.n ? "/" : "",
					   url_encode(a, (struct bytes){ (const unsigned char *)p, n }));
			p += n + (p[n] == '/');
		}
	}
	return arena_strdup(a, buf_str(&b));
}

/* --- one request --- */

struct call {
	struct vault *vault;
	const struct vault_request *r;
	const char *token; /* raw: this one or none, and no login */
	bool managed;
	unsigned generation; /* of the token that was sent */
	char *text;          /* the body */
	json_t *json;
	int status;
};

static int current_token(struct call *c, struct arena *a, bool refresh, const char **ret, struct err *e);

static int build(void *arg, struct arena *a, bool refresh, struct net_request *ret, struct err *e)
{
	struct call *c = arg;
	const struct vault_place *at = &c->vault->place;
	struct net_header *h = arena_new_array(a, 4, struct net_header);
	const char *token = c->token;
	size_t n = 0;

	if (c->managed && current_token(c, a, refresh, &token, e) != 0)
		return -1;
	h[n++] = (struct net_header){ "X-Vault-Request", "true" };
	if (token)
		h[n++] = (struct net_header){ "X-Vault-Token", token };
	if (at->namespace_)
		h[n++] = (struct net_header){ "X-Vault-Namespace", at->namespace_ };
	if (c->text)
		h[n++] = (struct net_header){ "Content-Type", "application/json" };
	*ret = (struct net_request){ .method = c->r->method, .url = arena_printf(a, "%s/v1/%s", at->url, c->r->path),
				     .headers = h, .nheaders = n, .body = bytes_of(c->text), .what = c->r->what };
	return 0;
}

/* What the server says of a failure, in one line. */
static const char *reason(struct arena *a, json_t *j)
{
	SCOPED_BUF b = buf_init(BUF_TEXT);
	json_t *errors = remote_member(j, "errors"), *item;
	size_t i;

	json_array_foreach(errors, i, item) {
		const char *s = json_string_value(item), *star = s ? strstr(s, "* ") : NULL;

		s = star ? star + 2 : s; /* "1 error occurred:\n\t* …" */
		if (s)
			buf_printf(&b, "%s%.*s", b.n ? "; " : "", (int)strcspn(s, "\n"), s);
	}
	return remote_say(a, buf_str(&b));
}

static enum remote_verdict fail(struct call *c, enum remote_verdict verdict, enum err_code code, const char *why,
				struct err *e)
{
	(void)!err_set(e, code, "%s/v1/%s: %s (%d)", c->vault->place.url, c->r->path, why, c->status);
	return verdict;
}

/* Whether another thread has logged in since this request got its token. */
static bool outdated(struct call *c)
{
	bool newer;

	pthread_mutex_lock(&c->vault->lock);
	newer = c->vault->generation != c->generation;
	pthread_mutex_unlock(&c->vault->lock);
	return newer;
}

/* Whether a token that is as new as can be was refused for the same. */
static bool is_final(struct call *c)
{
	struct vault *v = c->vault;
	bool is;

	pthread_mutex_lock(&v->lock);
	is = v->tried == c->generation && strcmp(v->tried_for, c->r->path) == 0;
	pthread_mutex_unlock(&v->lock);
	return is;
}

static void proved_good(struct call *c)
{
	struct vault *v = c->vault;

	pthread_mutex_lock(&v->lock);
	if (v->tried == c->generation)
		v->tried_for[0] = '\0';
	pthread_mutex_unlock(&v->lock);
}

static enum remote_verdict refused(struct call *c, const char *why, struct err *e)
{
	bool again = c->managed && c->vault->credentials.how != VAULT_TOKEN && !is_final(c);

	if (again && outdated(c))
		return fail(c, REMOTE_THROTTLED, ERR_DENIED, "permission denied", e);
	if (c->managed && c->vault->credentials.how == VAULT_TOKEN)
		why = "permission denied: the token has expired, or its policy does not allow this";
	else if (c->managed)
		why = "permission denied: the policies of the login do not allow this";
	return fail(c, again ? REMOTE_REFRESH : REMOTE_FAILED, ERR_DENIED, why, e);
}

static enum remote_verdict judge_failure(struct call *c, struct arena *a, const char *why, struct err *e)
{
	const char *text = *why ? why : "the server gives no reason";

	switch (c->status) {
	case 400:
		if (strstr(why, "check-and-set"))
			return fail(c, REMOTE_FAILED, ERR_CONFLICT, text, e);
		return fail(c, REMOTE_FAILED, c->managed ? ERR_REMOTE : ERR_INVALID, text, e);
	case 401:
	case 403:
		return refused(c, text, e);
	case 404:
		if (strstr(why, "no handler for route"))
			return fail(c, REMOTE_FAILED, ERR_REMOTE, "nothing is mounted there", e);
		return fail(c, REMOTE_FAILED, ERR_NOT_FOUND, "there is no such thing", e);
	case 412:
		return fail(c, REMOTE_AGAIN, ERR_REMOTE, text, e);
	case 429:
		return fail(c, REMOTE_THROTTLED, ERR_REMOTE, "too many requests for the server's quota", e);
	case 472:
	case 473:
		return fail(c, REMOTE_FAILED, ERR_REMOTE,
			    "the server stands by and does not answer this: address the active one", e);
	case 501:
		return fail(c, REMOTE_FAILED, ERR_REMOTE, "the server is not initialized", e);
	case 503:
		if (strstr(why, "sealed"))
			return fail(c, REMOTE_FAILED, ERR_REMOTE, "the server is sealed: it must be unsealed first", e);
		return fail(c, REMOTE_AGAIN, ERR_REMOTE, text, e);
	default:
		if (c->status >= 300 && c->status < 400)
			return fail(c, REMOTE_FAILED, ERR_REMOTE,
				    "the server stands by and sends its clients elsewhere: address the active one", e);
		return fail(c, c->status >= 500 ? REMOTE_AGAIN : REMOTE_FAILED, ERR_REMOTE, arena_printf(a, "%s", text),
			    e);
	}
}

static enum remote_verdict judge(void *arg, struct arena *a, const struct net_answer *answer, struct err *e)
{
	struct err no_json = { 0 };
	struct call *c = arg;

	json_decref(c->json);
	c->json = NULL;
	c->status = answer->status;
	if (answer->body.n && remote_json(answer->body, &c->json, &no_json) != 0 && c->status < 300)
		return fail(c, REMOTE_FAILED, ERR_REMOTE, no_json.msg, e);
	if (c->status >= 200 && c->status < 300) {
		if (c->managed)
			proved_good(c);
		return REMOTE_DONE;
	}
	const char *why = reason(a, c->json);

	if (c->status == 404 && !c->json)
		return fail(c, REMOTE_FAILED, ERR_REMOTE, "this is not how Vault answers", e);
	/* A missing mount is 404 too. */
	if (c->status == 404 && c->r->missing_ok && !strstr(why, "no handler for route"))
		return REMOTE_DONE;
	return judge_failure(c, a, why, e);
}

static int run(struct call *c, struct arena *a, const struct remote_policy *policy, int *ret_status, json_t **ret,
	       struct err *e)
{
	const struct remote_call how = { .build = build, .judge = judge, .arg = c, .once = c->r->once };
	struct net_answer answer;
	int rc;

	if (c->r->body) {
		size_t n = json_dumpb(c->r->body, NULL, 0, JSON_COMPACT);

		if (n == 0)
			return err_set(e, ERR_REMOTE, "%s: what is to be sent is not UTF-8", c->r->path);
		c->text = arena_alloc(a, 1, n + 1);
		json_dumpb(c->r->body, c->text, n, JSON_COMPACT);
	}
	rc = remote_call(c->vault->client, a, policy, &how, &answer, e);
	if (rc != 0) {
		json_decref(c->json);
		return -1;
	}
	*ret_status = c->status;
	*ret = c->json;
	return 0;
}

int vault_raw(struct vault *v, struct arena *a, const char *token, const struct vault_request *r, int *ret_status,
	      json_t **ret, struct err *e)
{
	struct call c = { .vault = v, .r = r, .token = token };

	return run(&c, a, &v->policy, ret_status, ret, e);
}

int vault_call(struct vault *v, struct arena *a, const struct vault_request *r, int *ret_status, json_t **ret,
	       struct err *e)
{
	struct call c = { .vault = v, .r = r, .managed = true };

	return run(&c, a, &v->policy, ret_status, ret, e);
}

/* --- the token --- */

/* With the lock held. */
static void set_renewal(struct vault *v)
{
	v->renew_at = v->lease.secs ? tm_mono_ms() + v->lease.secs * 1000 * 2 / 3 : 0;
}

static int log_in(struct vault *v, struct arena *a, struct err *e)
{
	struct vault_lease *lease = arena_new_array(a, 1, struct vault_lease);

	if (vault_login(v, a, &v->credentials, lease, e) != 0)
		return -1;
	v->lease = *lease;
	v->generation++;
	set_renewal(v);
	return 0;
}

/* Renews, or logs in anew where the token cannot live much longer. What fails here need not hinder: the token may still
 * be good. */
static void keep_alive(struct vault *v, struct arena *a)
{
	int64_t before = v->lease.secs;
	struct err ignored = { 0 };
	bool renewed = v->lease.renewable && vault_renew(v, a, &v->lease, &ignored) == 0;

	if (renewed && v->lease.secs * 2 >= before) {
		set_renewal(v);
		return;
	}
	if (v->credentials.how == VAULT_TOKEN || log_in(v, a, &ignored) != 0)
		v->renew_at = renewed || v->lease.renewable ? tm_mono_ms() + SOON_MS : 0;
}

/* A new login for a request that was refused. With the lock held. */
static int log_in_for(struct call *c, struct arena *a, struct err *e)
{
	struct vault *v = c->vault;
	size_t n = strlen(c->r->path);

	if (log_in(v, a, e) != 0)
		return -1;
	v->tried = v->generation;
	memcpy(v->tried_for, n < PATH_LEN ? c->r->path : "", n < PATH_LEN ? n + 1 : 1);
	return 0;
}

static int current_token(struct call *c, struct arena *a, bool refresh, const char **ret, struct err *e)
{
	struct vault *v = c->vault;
	int rc = 0;

	pthread_mutex_lock(&v->lock);
	if (v->generation == 0)
		rc = log_in(v, a, e);
	else if (refresh && v->generation == c->generation) /* else another thread was faster */
		rc = log_in_for(c, a, e);
	else if (v->renew_at && tm_mono_ms() >= v->renew_at)
		keep_alive(v, a);
	if (rc == 0) {
		*ret = arena_strdup(a, v->lease.token);
		c->generation = v->generation;
	}
	pthread_mutex_unlock(&v->lock);
	return rc;
}

int vault_open(struct ctx *ctx, struct engine *en, const struct vault_config *config, struct vault **ret, struct err *e)
{
	struct vault *v = arena_new_array(en->arena, 1, struct vault);

	process_harden();
	v->policy.deadline_ms = config->timeout.secs * 1000;
	if (vault_place(en->arena, config, &v->place, e) != 0 ||
	    vault_credentials(en->arena, config, &v->credentials, e) != 0 ||
	    net_here->open(ctx, &v->place.net, &v->client, e) != 0)
		return -1;
	pthread_mutex_init(&v->lock, NULL);
	if (!ctx->dry_run && vault_unseal(v, en->arena, config, e) != 0) {
		vault_close(v);
		return -1;
	}
	*ret = v;
	return 0;
}

void vault_close(struct vault *v)
{
	const struct remote_policy once = { .attempts = 1, .deadline_ms = CLOSE_MS };
	const struct vault_request r = { .method = "POST", .path = "auth/token/revoke-self",
					 .what = "give back token" };
	struct call c = { .vault = v, .r = &r, .token = v->lease.token };
	SCOPED_ARENA *a = arena_new();
	struct err ignored = { 0 };
	json_t *j = NULL;
	int status;

	if (v->lease.own && run(&c, a, &once, &status, &j, &ignored) == 0)
		json_decref(j);
	net_here->close(v->client);
	pthread_mutex_destroy(&v->lock);
}
