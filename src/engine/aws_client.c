/* Calls of AWS's JSON services. Guarantees: each attempt is signed anew; a clock that is off and credentials that
 * expired are put right once a call; a message names service, operation, AWS's own code and request id, and no
 * secret. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/tm.h"
#include "engine/aws_keys.h"

enum { SKEW_MAX = 86400 * 365, SKEW_MIN = 30 /* seconds */, TAG_KEY_MAX = 128, TAG_VALUE_MAX = 256 };

int64_t aws_now(struct aws *w)
{
	return tm_now() + atomic_load(&w->skew);
}

/* --- one call --- */

struct call {
	struct aws *aws;
	const char *operation, *what;
	struct bytes body;
	unsigned generation; /* of the keys that were used */
	const char *source;
	bool clock;          /* what REMOTE_REFRESH was for is put right */
};

static int build(void *arg, struct arena *a, bool refresh, struct net_request *ret, struct err *e)
{
	struct call *c = arg;
	struct aws *w = c->aws;
	struct aws_keys keys;
	struct net_header *h = arena_new_array(a, 6, struct net_header);
	size_t n = 0;

	if (aws_keys_get(w, a, refresh && !c->clock ? c->generation : 0, &keys, &c->generation, e) != 0)
		return -1;
	c->source = keys.source;
	struct sigv4 s = { .method = "POST", .path = "/", .headers = h, .body = c->body, .region = w->region,
			   .service = w->service->name, .when = aws_now(w) };

	h[n++] = (struct net_header){ "X-Amz-Date", sigv4_date(a, s.when) };
	h[n++] = (struct net_header){ "X-Amz-Target", arena_printf(a, "%s.%s", w->service->target, c->operation) };
	h[n++] = (struct net_header){ "Content-Type", "application/x-amz-json-1.1" };
	if (keys.token)
		h[n++] = (struct net_header){ "X-Amz-Security-Token", keys.token };
	h[n] = (struct net_header){ "Host", w->host }; /* signed, but sent by the HTTP client itself */
	s.nheaders = n + 1;
	h[n] = (struct net_header){ "Authorization", sigv4_authorization(a, &s, &keys) };
	*ret = (struct net_request){ .method = "POST", .url = w->url, .headers = h, .nheaders = n + 1, .body = c->body,
				     .timeout_ms = w->policy.deadline_ms / w->policy.attempts,
				     .what = c->what };
	return 0;
}

/* Takes the service's clock from its answer; false when that changes nothing. */
static bool set_clock(struct aws *w, const struct net_answer *answer)
{
	const char *date = net_header(answer, "date");
	int64_t theirs, skew;

	if (!date || !aws_http_date(date, &theirs))
		return false;
	skew = theirs - tm_now();
	if (skew > SKEW_MAX || skew < -SKEW_MAX || llabs(skew - atomic_load(&w->skew)) < SKEW_MIN)
		return false;
	atomic_store(&w->skew, skew);
	return true;
}

static bool is_about_time(const struct aws_fault *f)
{
	return strcmp(f->code, "RequestExpired") == 0 || strcmp(f->code, "RequestTimeTooSkewed") == 0 ||
	       strstr(f->message, "Signature expired") || strstr(f->message, "not yet current");
}

enum remote_verdict aws_judge(struct aws *w, struct arena *a, const char *what, const struct net_answer *answer,
			      bool *ret_clock, struct err *e)
{
	const char *id = net_header(answer, "x-amzn-requestid");
	enum remote_verdict verdict;
	struct aws_fault f;
	enum err_code code;

	aws_fault_read(a, net_header(answer, "x-amzn-errortype"), answer->body, &f);
	verdict = aws_fault_judge(answer->status, &f, &code);
	*ret_clock = verdict == REMOTE_REFRESH && is_about_time(&f);
	err_set(e, code, "%s: %s%s%s (HTTP %d%s%s)", what, f.code[0] ? f.code : "failed", f.message[0] ? ": " : "",
		f.message, answer->status, id ? ", request id " : "", id ? remote_say(a, id) : "");
	if (*ret_clock && !set_clock(w, answer)) {
		err_ctx(e, "the clock of this machine differs from AWS's");
		return REMOTE_FAILED;
	}
	return verdict;
}

static enum remote_verdict judge(void *arg, struct arena *a, const struct net_answer *answer, struct err *e)
{
	struct call *c = arg;
	enum remote_verdict verdict;

	if (answer->status == 200)
		return REMOTE_DONE;
	verdict = aws_judge(c->aws, a, c->what, answer, &c->clock, e);
	if (verdict == REMOTE_REFRESH && !c->clock)
		err_ctx(e, "AWS refuses the credentials from %s", c->source);
	return verdict;
}

static int put_text(const char *text, size_t n, void *arg)
{
	buf_put(arg, text, n);
	return 0;
}

int aws_call(struct aws *w, struct arena *a, const char *operation, json_t *in, bool once, json_t **ret, struct err *e)
{
	const char *what = arena_printf(a, "%s %s", w->service->name, operation);
	SCOPED_BUF body = buf_init(BUF_TEXT);
	AUTO(json_t) *request = in;
	struct call c = { .aws = w, .operation = operation, .what = what };
	const struct remote_call call = { .build = build, .judge = judge, .arg = &c, .once = once };
	struct net_answer answer;

	if (!request || json_dump_callback(request, put_text, &body, JSON_COMPACT) != 0)
		return err_set(e, ERR_INVALID, "%s: the request holds text that is not UTF-8", what);
	c.body = buf_bytes(&body);
	if (remote_call(w->net, a, &w->policy, &call, &answer, e) != 0)
		return err_ctx(e, "%s", what);
	if (!ret)
		return 0;
	return remote_json(answer.body, ret, e) == 0 ? 0 : err_ctx(e, "%s", what);
}

/* --- tags --- */

char *aws_tag_text(struct arena *a, const char *text, size_t max)
{
	char *t = arena_strndup(a, text, strnlen(text, max));

	for (char *p = t; *p; p++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 _.:/=+-@", *p))
			*p = '_';
	return t;
}

char *aws_tag_key(struct arena *a, const char *tag)
{
	return aws_tag_text(a, arena_printf(a, AWS_TAG_PREFIX "%s", tag), TAG_KEY_MAX);
}

char *aws_tag_value(struct arena *a, const char *value)
{
	return aws_tag_text(a, value ? value : "", TAG_VALUE_MAX);
}
