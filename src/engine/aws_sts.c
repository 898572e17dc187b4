/* Roles: AWS's Security Token Service. Its answers are XML of which four elements matter. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/tm.h"
#include "engine/aws_keys.h"

struct question {
	struct aws *aws;
	const char *url, *host, *region;
	const struct aws_keys *keys; /* NULL: not signed */
	struct bytes body;
};

static void put(struct arena *a, struct buf *out, const char *name, const char *value)
{
	buf_printf(out, "&%s=%s", name, url_encode(a, bytes_of(value)));
}

static int build(void *arg, struct arena *a, bool refresh, struct net_request *ret, struct err *e)
{
	const struct question *q = arg;
	struct net_header *h = arena_new_array(a, 5, struct net_header);
	size_t n = 0;

	(void)refresh, (void)e;
	h[n++] = (struct net_header){ "Content-Type", "application/x-www-form-urlencoded; charset=utf-8" };
	if (q->keys) {
		struct sigv4 s = { .method = "POST", .path = "/", .headers = h, .body = q->body, .region = q->region,
				   .service = "sts", .when = aws_now(q->aws) };

		h[n++] = (struct net_header){ "X-Amz-Date", sigv4_date(a, s.when) };
		if (q->keys->token)
			h[n++] = (struct net_header){ "X-Amz-Security-Token", q->keys->token };
		h[n] = (struct net_header){ "Host", q->host };
		s.nheaders = n + 1;
		h[n++] = (struct net_header){ "Authorization", sigv4_authorization(a, &s, q->keys) };
	}
	*ret = (struct net_request){ .method = "POST", .url = q->url, .headers = h, .nheaders = n, .body = q->body,
				     .timeout_ms = q->aws->policy.deadline_ms / q->aws->policy.attempts,
				     .what = "sts AssumeRole" };
	return 0;
}

static enum remote_verdict judge(void *arg, struct arena *a, const struct net_answer *answer, struct err *e)
{
	const struct question *q = arg;
	enum remote_verdict verdict;
	bool clock = false;

	if (answer->status == 200)
		return REMOTE_DONE;
	verdict = aws_judge(q->aws, a, "sts AssumeRole", answer, &clock, e);
	return verdict == REMOTE_REFRESH && !clock ? REMOTE_FAILED : verdict;
}

static int read_keys(struct arena *a, struct bytes xml, struct aws_keys *ret, struct err *e)
{
	char *until = aws_xml_text(a, xml, "Expiration");
	struct aws_keys k = { .access = aws_xml_text(a, xml, "AccessKeyId"),
			      .secret = aws_xml_text(a, xml, "SecretAccessKey"),
			      .token = aws_xml_text(a, xml, "SessionToken") };

	if (!k.access || !k.secret || !k.token || strchr(k.access, '&') || strchr(k.secret, '&') ||
	    strchr(k.token, '&'))
		return err_set(e, ERR_REMOTE, "the answer holds no credentials");
	if (until && tm_parse(until, &k.expires, e) != 0)
		return err_ctx(e, "Expiration");
	*ret = k;
	return 0;
}

static void write_body(struct arena *a, const struct aws_role *r, struct buf *out)
{
	buf_printf(out, "Action=%s&Version=2011-06-15", r->web_token ? "AssumeRoleWithWebIdentity" : "AssumeRole");
	put(a, out, "RoleArn", r->arn);
	put(a, out, "RoleSessionName", r->session);
	if (r->secs > 0)
		buf_printf(out, "&DurationSeconds=%lld", (long long)r->secs);
	if (r->web_token)
		put(a, out, "WebIdentityToken", r->web_token);
	else if (r->external_id)
		put(a, out, "ExternalId", r->external_id);
}

int aws_assume(struct aws *w, struct arena *a, const struct aws_role *role, const struct aws_keys *keys,
	       struct aws_keys *ret, struct err *e)
{
	SCOPED_BUF body = buf_init(BUF_TEXT);
	struct question q = { .aws = w, .region = role->region, .keys = role->web_token ? NULL : keys };
	const struct remote_call call = { .build = build, .judge = judge, .arg = &q };
	struct net_answer answer;
	struct aws_files files;
	char *url, *host;

	if (!aws_region_valid(role->region))
		return err_set(e, ERR_INVALID, "region: \"%s\" is not the name of a region", role->region);
	if (aws_files_read(a, &files, e) != 0 || aws_locate(w, a, &files, &aws_sts_service, role->region, &url, &host,
							    e) != 0)
		return -1;
	write_body(a, role, &body);
	q.url = arena_printf(a, "%s/", url);
	q.host = host;
	q.body = buf_bytes(&body);
	if (remote_call(w->net, a, &w->policy, &call, &answer, e) != 0 || read_keys(a, answer.body, ret, e) != 0)
		return err_ctx(e, "assuming %s", role->arn);
	ret->source = arena_printf(a, "role %s", role->arn);
	return 0;
}
