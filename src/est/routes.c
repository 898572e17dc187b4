/* From a request to an operation. Guarantees: a path means one thing, whatever its encoding; what is refused is refused
 * before the body is looked at, in this order: path, method, media type, then the operation's own checks; every refusal
 * is one line of plain text, and a 401 has none. */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "est/auth.h"
#include "est/service.h"

struct route {
	const char *op, *method;
	bool pkcs10; /* the body is a request for a certificate */
	void (*run)(struct est_call *);
};

static const struct route routes[] = {
	{ "cacerts", "GET", false, est_get_cacerts },
	{ "csrattrs", "GET", false, est_get_csrattrs },
	{ "simpleenroll", "POST", true, est_enroll },
	{ "simplereenroll", "POST", true, est_reenroll },
	{ "serverkeygen", "POST", true, est_keygen },
};

enum { PATH_MAX_LEN = 1024, SEGMENTS_MAX = 4 };

/* --- the path --- */

/* One segment, decoded once. What would change its meaning (a slash, a control byte, a dot alone) is refused. */
static char *segment(struct arena *a, const char *s, size_t n)
{
	char *out = url_decode(a, (struct bytes){ (const unsigned char *)s, n });

	for (const char *p = out; p && *p; p++)
		if ((unsigned char)*p <= ' ' || *p == '/' || *p == '\\' || *p == 0x7f)
			return NULL;
	return !out || !*out || strcmp(out, ".") == 0 || strcmp(out, "..") == 0 ? NULL : out;
}

/* "/a/b" -> a, b; 0 when it is none of ours. A scheme and a host before it (RFC 9112 3.2.2) are passed over. */
static size_t split(struct arena *a, const char *path, char *v[SEGMENTS_MAX])
{
	size_t n = 0;

	if (strncasecmp(path, "https://", 8) == 0)
		path = path + 8 + strcspn(path + 8, "/");
	if (*path != '/')
		return 0;
	while (*path == '/') {
		size_t len = strcspn(++path, "/");

		if (n == SEGMENTS_MAX || (v[n] = segment(a, path, len)) == NULL)
			return 0;
		n++;
		path += len;
	}
	return n;
}

struct place {
	const char *label, *op; /* label NULL: none */
};

static bool is_prefix(char *const *v)
{
	return strcmp(v[0], ".well-known") == 0 && strcmp(v[1], "est") == 0;
}

/* /.well-known/est/OP, /.well-known/est/LABEL/OP, and /LABEL/.well-known/est/OP of clients that know no labels. */
static bool find_place(struct arena *a, const char *path, struct place *ret)
{
	char *v[SEGMENTS_MAX];
	size_t n = split(a, path, v);

	if (n == 3 && is_prefix(v))
		*ret = (struct place){ NULL, v[2] };
	else if (n == 4 && is_prefix(v))
		*ret = (struct place){ v[2], v[3] };
	else if (n == 4 && is_prefix(v + 1))
		*ret = (struct place){ v[0], v[3] };
	else
		return false;
	return true;
}

/* --- what is asked for --- */

static struct served *find_served(const struct est_memory *m, const char *label)
{
	for (size_t i = 0; label && i < m->n; i++)
		if (strcmp(m->v[i].dms.id, label) == 0)
			return &m->v[i];
	return NULL;
}

static bool is_broken(const struct est_memory *m, const char *label)
{
	for (size_t i = 0; label && i < m->broken.n; i++)
		if (strcmp(m->broken.v[i], label) == 0)
			return true;
	return false;
}

static const struct route *find_route(const char *op)
{
	for (size_t i = 0; i < COUNT(routes); i++)
		if (strcmp(routes[i].op, op) == 0)
			return &routes[i];
	return NULL;
}

static bool is_pkcs10(const char *type)
{
	static const char wanted[] = "application/pkcs10";
	size_t n = sizeof(wanted) - 1;

	return type && strncasecmp(type, wanted, n) == 0 && strchr("; \t", type[n]);
}

static bool method_fits(const struct route *r, const char *method)
{
	return strcmp(method, r->method) == 0 || (strcmp(method, "HEAD") == 0 && strcmp(r->method, "GET") == 0);
}

static void run(struct est_call *call, const struct route *r)
{
	const struct http_request *in = call->in;

	if (!method_fits(r, in->method)) {
		http_text(in->arena, call->out, 405, "method", "%s takes %s only", r->op, r->method);
		http_add_header(call->out, "Allow", strcmp(r->method, "GET") == 0 ? "GET, HEAD" : r->method);
		return;
	}
	if (http_field(in, "content-encoding") && strcasecmp(http_field(in, "content-encoding"), "identity") != 0) {
		http_text(in->arena, call->out, 415, "media_type", "Content-Encoding is not supported");
		return;
	}
	if (r->pkcs10 && !is_pkcs10(http_field(in, "content-type"))) {
		http_text(in->arena, call->out, 415, "media_type", "Content-Type must be application/pkcs10");
		return;
	}
	r->run(call);
}

void est_refuse(struct est_call *call, const struct refusal *why)
{
	struct arena *a = call->in->arena;

	if (why->status == REFUSAL_LATER) {
		call->out->later = true;
		return;
	}
	http_text(a, call->out, why->status, why->reason, "%s", why->text);
	/* a body with a 401 ends some clients; with a 202 none is read */
	if (why->status == 401 || why->status == 202) {
		call->out->type = NULL;
		call->out->body = (struct bytes){ 0 };
	}
	if (why->status == 401)
		est_challenge(call->post, call->served, strcmp(call->out->op, "simplereenroll") == 0, call->out);
	if (why->retry_after)
		http_add_header(call->out, "Retry-After", arena_printf(a, "%lld", (long long)why->retry_after));
	else if (why->status == 503 || why->status == 429)
		http_add_header(call->out, "Retry-After", why->status == 429 ? "60" : "5");
}

void est_handle(struct post *post, const void *options, const struct http_request *in, struct http_response *out)
{
	const struct est_memory *m = post->memory;
	struct est_call call = { .post = post, .options = options, .in = in, .out = out };
	const struct route *r;
	struct place place;
	const char *label;

	if (strlen(in->path) > PATH_MAX_LEN) {
		http_text(in->arena, out, 414, "malformed_request", "the path is longer than %d bytes", PATH_MAX_LEN);
		return;
	}
	if (!find_place(in->arena, in->path, &place)) {
		http_text(in->arena, out, 404, "not_found", "there is nothing here; EST is at /.well-known/est/");
		return;
	}
	r = find_route(place.op);
	out->op = r ? r->op : NULL; /* logs and counts know our words only */
	label = place.label ? place.label : m->unlabelled;
	call.served = find_served(m, label);
	if (call.served)
		out->realm = call.served->dms.id;
	if (!r)
		http_text(in->arena, out, 404, "not_found", "no such operation");
	else if (!call.served && is_broken(m, label))
		est_refuse(&call, &(struct refusal){ .status = 503, .reason = "repository",
							.text = "the device manager cannot be served as it is now" });
	else if (!call.served)
		http_text(in->arena, out, 404, "unknown_dms", "%s",
			  place.label ? "no such device manager" : "name the device manager in the path");
	else
		run(&call, r);
}

/* 403 is said to those who are known and may not; all else failed before that. */
static const char *event_of(const char *op, int status)
{
	const struct route *r = find_route(op);

	if (!r || !r->pkcs10)
		return NULL;
	return status == 403 ? "authorization.denied" : strcmp(op, "simplereenroll") == 0
	       ? "reenrollment.failed" : "enrollment.failed";
}

static enum log_class class_of(const char *op, int status)
{
	const struct route *r = find_route(op);

	if (!r || !r->pkcs10)
		return CLASS_NONE;
	return status == 401 ? CLASS_AUTHENTICATION : status == 403 ? CLASS_AUTHORIZATION : CLASS_ISSUANCE;
}

/* Threads mostly wait for commits, each of which takes along all that wait. */
const struct service est_service = { .name = "est-serve", .prepare = est_prepare, .certificate = est_certificate,
				     .learn = est_learn, .forget = est_forget, .handle = est_handle, .psk = est_psk,
				     .threads = 16, .counted = "enrolled", .event = event_of, .class = class_of,
				     .judges_dates = true };
