/* OCSP and files of a validation authority over HTTP (RFC 6960 appendix A, RFC 5019, RFC 5280 4.2.1.13 and 4.2.2.1).
 * Guarantees: every OCSP request gets an OCSP answer, never an HTTP error for what it asks; what may be cached says for
 * how long. */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "base/tm.h"
#include "crypto/digest.h"
#include "va/service.h"

static char *http_date(struct arena *a, int64_t t) /* RFC 9110 5.6.7 */
{
	static const char days[] = "ThuFriSatSunMonTueWed", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct civil c = tm_civil(t);

	return arena_printf(a, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * (t / 86400 % 7), c.day,
			    months + 3 * (c.month - 1), c.year, c.hour, c.minute, c.second);
}

void va_send(const struct http_request *in, struct http_response *out, struct va_answer *answer, int64_t now)
{
	struct arena *a = in->arena;
	const char *have = http_field(in, "if-none-match");

	out->op = answer->op;
	out->realm = answer->realm;
	out->subject = answer->subject;
	out->reason = answer->reason;
	out->type = answer->type;
	out->counts = true;
	out->status = 200;
	out->body = answer->body;
	if (!answer->keep || strcmp(in->method, "POST") == 0) {
		http_add_header(out, "Cache-Control", "no-store");
		return;
	}
	if (!answer->tag)
		answer->tag = arena_printf(a, "\"%s\"", sha256_hex(a, answer->body));
	http_add_header(out, "ETag", answer->tag);
	http_add_header(out, "Last-Modified", http_date(a, answer->from));
	http_add_header(out, "Expires", http_date(a, answer->until));
	http_add_header(out, "Cache-Control", arena_printf(a, "max-age=%lld, public, no-transform, must-revalidate",
							   (long long)(answer->until > now ? answer->until - now : 0)));
	if (have && (strcmp(have, "*") == 0 || strstr(have, answer->tag))) {
		out->status = 304;
		out->body = (struct bytes){ 0 };
		out->type = NULL;
	}
}

void va_answer(struct post *post, const struct http_request *in, struct http_response *out, struct va_answer *answer)
{
	struct state_at at;

	va_send(in, out, answer, post->ctx.now);
	if (!answer->keep)
		return;
	state_at(post->ctx.state, &at);
	answers_keep(((struct va_shared *)worker_shared(post))->answers, in, &at, post->ctx.now, answer);
}

/* --- OCSP --- */

/* What follows /ocsp/ in a GET: base64 or base64url, percent-encoded or not. Bytes n = 0: neither. */
static struct bytes from_path(struct arena *a, const char *s)
{
	char *text = url_decode(a, bytes_of(s));
	struct bytes der = { 0 };

	for (char *p = text; p && *p; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
	return text && b64url_decode(a, bytes_of(text), &der) == 0 ? der : (struct bytes){ 0 };
}

static void ocsp(struct post *post, const struct http_request *in, struct http_response *out, struct bytes request)
{
	struct va_memory *m = post->memory;
	struct ocsp_answer a;

	ocsp_answer(&post->ctx, &m->ocsp, request, &a);
	va_answer(post, in, out, &(struct va_answer){ .body = a.der, .type = "application/ocsp-response", .op = "ocsp",
						      .realm = a.ca,
		  .subject = a.serial, .reason = a.status, .from = a.this_update, .until = a.next_update,
		  .keep = a.good_to_cache });
}

static bool is_ocsp_post(const struct http_request *in)
{
	return strcmp(in->method, "POST") == 0 && (strcmp(in->path, "/ocsp") == 0 || strcmp(in->path, "/ocsp/") == 0);
}

static bool is_ocsp_type(const struct http_request *in)
{
	static const char want[] = "application/ocsp-request";
	const char *type = http_field(in, "content-type");

	return type && strncasecmp(type, want, sizeof(want) - 1) == 0;
}

/* --- certificates of authorities --- */

static void certificate(struct post *post, const char *file, const struct http_request *in, struct http_response *out)
{
	const struct va_memory *m = post->memory;

	out->op = "ca";
	for (size_t i = 0; i < m->ncas; i++) {
		const struct authority *ca = &m->cas[i];

		if (strcmp(file,
			   arena_printf(in->arena, "%s.cer",
					hex_encode(in->arena, authority_key_id(in->arena, ca)))) != 0)
			continue;
		va_answer(post, in, out, &(struct va_answer){ .body = ca->cert.der, .type = "application/pkix-cert",
			  .op = "ca", .realm = ca->rec.id, .from = ca->cert.not_before, .until = post->ctx.now + 86400,
			  .keep = true });
		return;
	}
	http_text(in->arena, out, 404, "not_found", "no such certificate");
}

static bool reads(const struct http_request *in)
{
	return strcmp(in->method, "GET") == 0 || strcmp(in->method, "HEAD") == 0;
}

void *va_share(void)
{
	struct arena *a = arena_new(); /* never freed */
	struct va_shared *all = arena_new_array(a, 1, struct va_shared);

	*all = (struct va_shared){ answers_new(a), renewals_new(a) };
	return all;
}

static bool quick(void *shared, const struct state_at *at, int64_t now, const struct http_request *in,
		  struct http_response *out)
{
	struct va_answer answer;

	if (!(is_ocsp_post(in) ? is_ocsp_type(in) : reads(in)) ||
	    !answers_find(((struct va_shared *)shared)->answers, in, at, now, &answer))
		return false;
	va_send(in, out, &answer, now);
	return true;
}

void va_handle(struct post *post, const void *options, const struct http_request *in, struct http_response *out)
{
	if (is_ocsp_post(in) && is_ocsp_type(in)) {
		ocsp(post, in, out, in->body);
	} else if (is_ocsp_post(in)) {
		http_text(in->arena, out, 415, "media_type", "Content-Type must be application/ocsp-request");
	} else if (!reads(in)) {
		http_text(in->arena, out, 405, "method",
			  "OCSP requests are posted to /ocsp; all else is read with GET");
		http_add_header(out, "Allow", "GET, HEAD, POST");
	} else if (text_has_prefix(in->path, "/ocsp/") && in->path[6]) {
		ocsp(post, in, out, from_path(in->arena, in->path + 6));
	} else if (text_has_prefix(in->path, "/crl/")) {
		va_crl(post, options, in->path + 5, in, out);
	} else if (text_has_prefix(in->path, "/ca/")) {
		certificate(post, in->path + 4, in, out);
	} else {
		http_text(in->arena, out, 404, "not_found", "there are /ocsp, /crl/ and /ca/");
	}
}

const struct service va_service = { .name = "va-serve", .prepare = va_prepare, .learn = va_learn, .forget = va_forget,
				    .handle = va_handle, .share = va_share, .quick = quick, .threads = 8,
				    .counts_answers = true, .requests = 10000, .counted = "answered" };
