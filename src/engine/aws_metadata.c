/* Credentials that the machine has: containers (ECS, EKS Pod Identity) and instances (IMDSv2). Guarantees: proxies
 * never see these requests; nothing but https, or http to the addresses that AWS has set aside, is asked for a
 * container's credentials; version 1 of the instance's service, which a confused proxy could be made to ask, is not
 * used. */
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "base/tm.h"
#include "engine/aws_keys.h"

enum { META_MS = 2000, MAX_TOKEN = 1 << 16 };

struct get {
	const char *method, *what, *url;
	const struct net_header *headers;
	size_t n;
};

static int build(void *arg, struct arena *a, bool refresh, struct net_request *ret, struct err *e)
{
	const struct get *g = arg;

	(void)a, (void)refresh, (void)e;
	*ret = (struct net_request){ .method = g->method, .url = g->url, .headers = g->headers, .nheaders = g->n,
				     .what = g->what };
	return 0;
}

static enum remote_verdict judge(void *arg, struct arena *a, const struct net_answer *answer, struct err *e)
{
	const struct get *g = arg;

	(void)a;
	if (answer->status == 200 || answer->status == 404)
		return REMOTE_DONE;
	err_set(e, answer->status == 401 || answer->status == 403 ? ERR_DENIED : ERR_REMOTE, "%s: HTTP %d", g->what,
		answer->status);
	return answer->status == 429 ? REMOTE_THROTTLED : answer->status >= 500 ? REMOTE_AGAIN : REMOTE_FAILED;
}

static int ask(struct aws *w, struct net_client *client, struct arena *a, struct get *g, struct net_answer *ret,
	       struct err *e)
{
	struct remote_policy meta = { .attempts = 2, .deadline_ms = META_MS };
	const struct remote_call call = { .build = build, .judge = judge, .arg = g };

	return remote_call(client, a, client == w->meta ? &meta : &w->policy, &call, ret, e);
}

int aws_get_json(struct aws *w, struct net_client *client, struct arena *a, const char *what, const char *url,
		 const struct net_header *headers, size_t n, json_t **ret, struct err *e)
{
	struct get g = { "GET", what, url, headers, n };
	struct net_answer answer;

	if (ask(w, client, a, &g, &answer, e) != 0)
		return -1;
	if (answer.status == 404)
		return err_set(e, ERR_NOT_FOUND, "%s: HTTP 404", what);
	return remote_json(answer.body, ret, e) == 0 ? 0 : err_ctx(e, "%s", what);
}

int aws_keys_read(struct arena *a, json_t *j, const char *const names[4], struct aws_keys *ret, struct err *e)
{
	const char *text[3], *until = names[3] ? remote_text(j, names[3]) : NULL;
	int64_t expires = 0;

	for (size_t i = 0; i < 3; i++) {
		text[i] = remote_text(j, names[i]);
		if (!text[i] || !text[i][0])
			return err_set(e, ERR_REMOTE, "the answer holds no %s", names[i]);
	}
	if (until && tm_parse(until, &expires, e) != 0)
		return err_ctx(e, "%s", names[3]);
	*ret = (struct aws_keys){ .access = arena_strdup(a, text[0]), .secret = arena_strdup(a, text[1]),
				  .token = arena_strdup(a, text[2]), .expires = expires };
	return 0;
}

static const char *const key_names[] = { "AccessKeyId", "SecretAccessKey", "Token", "Expiration" };

/* --- containers --- */

static bool may_ask(const char *url)
{
	static const char *const hosts[] = { "http://169.254.170.2", "http://169.254.170.23", "http://[fd00:ec2::23]",
					     "http://localhost", "http://127.0.0.1", "http://[::1]" };

	for (size_t i = 0; i < COUNT(hosts); i++)
		if (text_has_prefix(url, hosts[i]) && strchr("/:", url[strlen(hosts[i])]) && url[strlen(hosts[i])])
			return !memchr(url, '@', strcspn(url + 7, "/") + 7);
	return text_has_prefix(url, "https://");
}

/* What proves who asks; the file is read each time, since it changes. */
static int authorization(struct arena *a, struct net_header *ret, size_t *ret_n, struct err *e)
{
	const char *file = aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
		*token = aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	struct bytes text;

	if (file) {
		if (fs_read_input(a, file, MAX_TOKEN, &text, e) != 0)
			return err_ctx(e, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
		token = arena_strndup(a, (const char *)text.p, text.n);
	}
	if (token && strpbrk(token, "\r\n"))
		return err_set(e, ERR_DENIED, "the token for the container's credentials holds a line break");
	*ret = (struct net_header){ "Authorization", token };
	*ret_n = token != NULL;
	return 0;
}

int aws_from_container(struct aws *w, struct arena *a, struct aws_keys *ret, bool *ret_found, struct err *e)
{
	const char *path = aws_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
		*url = aws_env("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	AUTO(json_t) *j = NULL;
	struct net_header h;
	size_t n;

	*ret_found = path || url;
	if (!*ret_found)
		return 0;
	if (path)
		url = arena_printf(a, "http://169.254.170.2%s%s", path[0] == '/' ? "" : "/", path);
	if (!may_ask(url))
		return err_set(e, ERR_DENIED, "AWS_CONTAINER_CREDENTIALS_FULL_URI: http is for this machine and AWS's "
			       "own addresses only");
	if (authorization(a, &h, &n, e) != 0 ||
	    aws_get_json(w, w->meta, a, "container credentials", url, &h, n, &j, e) != 0 ||
	    aws_keys_read(a, j, key_names, ret, e) != 0)
		return err_ctx(e, "the container's credentials");
	ret->source = "the container";
	return 0;
}

/* --- instances --- */

static const char *instance_url(struct arena *a, const char *path)
{
	const char *given = aws_env("AWS_EC2_METADATA_SERVICE_ENDPOINT"),
		*mode = aws_env("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
	bool ipv6 = mode && text_same_name(mode, "IPv6");
	const char *base = given ? given : ipv6 ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
	size_t n = strlen(base);

	return arena_printf(a, "%.*s%s", (int)(n && base[n - 1] == '/' ? n - 1 : n), base, path);
}

static bool instance_disabled(void)
{
	const char *off = aws_env("AWS_EC2_METADATA_DISABLED");

	return off && text_same_name(off, "true");
}

/* A token for the questions that follow. *ret NULL: this is no instance. */
static int instance_token(struct aws *w, struct arena *a, const char **ret, struct err *e)
{
	static const struct net_header ttl = { "x-aws-ec2-metadata-token-ttl-seconds", "21600" };
	struct get g = { "PUT", "imds token", instance_url(a, "/latest/api/token"), &ttl, 1 };
	struct err nobody = { 0 };
	struct net_answer answer;

	*ret = NULL;
	if (ask(w, w->meta, a, &g, &answer, &nobody) != 0) {
		if (nobody.code == ERR_DENIED) {
			*e = nobody;
			return -1;
		}
		return 0;
	}
	if (answer.status == 200 && !strpbrk((const char *)answer.body.p, "\r\n"))
		*ret = (const char *)answer.body.p;
	return 0;
}

int aws_from_instance(struct aws *w, struct arena *a, struct aws_keys *ret, bool *ret_found, struct err *e)
{
	static const char path[] = "/latest/meta-data/iam/security-credentials/";
	struct net_header token = { .name = "x-aws-ec2-metadata-token" };
	struct get g = { "GET", "imds role", instance_url(a, path), &token, 1 };
	AUTO(json_t) *j = NULL;
	struct net_answer answer;
	char *role;

	*ret_found = false;
	if (instance_disabled() || instance_token(w, a, &token.value, e) != 0)
		return instance_disabled() ? 0 : -1;
	if (!token.value)
		return 0;
	if (ask(w, w->meta, a, &g, &answer, e) != 0)
		return -1;
	role = arena_strndup(a, (const char *)answer.body.p, answer.body.n);
	role[strcspn(role, "\r\n")] = '\0';
	if (answer.status == 404 || !role[0])
		return 0;
	if (strspn(role, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+=,.@_-") != strlen(role))
		return err_set(e, ERR_REMOTE, "imds role: not the name of a role");
	if (aws_get_json(w, w->meta, a, "imds credentials", instance_url(a, arena_printf(a, "%s%s", path, role)),
			 &token, 1, &j, e) != 0 ||
	    aws_keys_read(a, j, key_names, ret, e) != 0)
		return err_ctx(e, "the instance's credentials");
	ret->source = arena_printf(a, "the instance's role %s", role);
	*ret_found = true;
	return 0;
}

int aws_instance_region(struct aws *w, struct arena *a, char **ret, struct err *e)
{
	struct net_header token = { .name = "x-aws-ec2-metadata-token" };
	AUTO(json_t) *j = NULL;
	const char *region;

	if (instance_disabled() || instance_token(w, a, &token.value, e) != 0 || !token.value)
		return e->code ? -1 : err_set(e, ERR_NOT_FOUND, "this machine is no instance of EC2");
	if (aws_get_json(w, w->meta, a, "imds document", instance_url(a, "/latest/dynamic/instance-identity/document"),
			 &token, 1, &j, e) != 0)
		return -1;
	region = remote_text(j, "region");
	if (!region)
		return err_set(e, ERR_REMOTE, "the instance's document names no region");
	*ret = arena_strdup(a, region);
	return 0;
}
