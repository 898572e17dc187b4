/* OCSP and files of a validation authority over HTTP (RFC 6960 appendix A, RFC 5019, RFC 5280 4.2.1.13 and 4.2.2.1). Guarantees: every OCSP
 * request gets an OCSP answer, never an HTTP error for what it asks; what may be cached says for how long. */
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

	return arena_printf(a, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * (t / 86400 % 7), c.day, months + 3 * (c.month - 1), c.year,
			    c.hour, c.minute, c.second);
}

void va_cache(const struct http_request *in, struct http_response *out, struct bytes body, int64_t now, int64_t from, int64_t until)
{
	struct arena *a = in->arena;
	char *tag = arena_printf(a, "\"%s\"", sha256_hex(a, body));
	const char *have = http_field(in, "if-none-match");

	out->status = 200;
	out->body = body;
	http_add_header(out, "ETag", tag);
	http_add_header(out, "Last-Modified", http_date(a, from));
	http_add_header(out, "Expires", http_date(a, until));
	http_add_header(out, "Cache-Control", arena_printf(a, "max-age=%lld, public, no-transform, must-revalidate",
							   (long long)(until > now ? until - now : 0)));
	if (have && (strcmp(have, "*") == 0 || strstr(have, tag))) {
		out->status = 304;
		out->body = (struct bytes){ 0 };
		out->type = NULL;
	}
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
	out->op = "ocsp";
	out->realm = a.ca;
	out->subject = a.serial;
	out->reason = a.status;
	out->type = "application/ocsp-response";
	out->counts = true;
	if (a.good_to_cache && strcmp(in->method, "GET") == 0) {
		va_cache(in, out, a.der, post->ctx.now, a.this_update, a.next_update);
		return;
	}
	out->status = 200;
	out->body = a.der;
	http_add_header(out, "Cache-Control", "no-store");
}

static void ocsp_post(struct post *post, const struct http_request *in, struct http_response *out)
{
	const char *type = http_field(in, "content-type");

	if (!type || strncasecmp(type, "application/ocsp-request", 24) != 0)
		http_text(in->arena, out, 415, "media_type", "Content-Type must be application/ocsp-request");
	else
		ocsp(post, in, out, in->body);
}

/* --- certificates of authorities --- */

static void certificate(struct post *post, const char *file, const struct http_request *in, struct http_response *out)
{
	const struct va_memory *m = post->memory;

	out->op = "ca";
	for (size_t i = 0; i < m->ncas; i++) {
		const struct authority *ca = &m->cas[i];

		if (strcmp(file, arena_printf(in->arena, "%s.cer", hex_encode(in->arena, authority_key_id(in->arena, ca)))) != 0)
			continue;
		out->realm = ca->rec.id;
		out->type = "application/pkix-cert"; /* RFC 2585 4.1 */
		out->counts = true;
		va_cache(in, out, ca->cert.der, post->ctx.now, ca->cert.not_before, post->ctx.now + 86400);
		return;
	}
	http_text(in->arena, out, 404, "not_found", "no such certificate");
}

void va_handle(struct post *post, const void *options, const struct http_request *in, struct http_response *out)
{
	bool get = strcmp(in->method, "GET") == 0 || strcmp(in->method, "HEAD") == 0;

	if (strcmp(in->method, "POST") == 0 && (strcmp(in->path, "/ocsp") == 0 || strcmp(in->path, "/ocsp/") == 0)) {
		ocsp_post(post, in, out);
	} else if (!get) {
		http_text(in->arena, out, 405, "method", "OCSP requests are posted to /ocsp; all else is read with GET");
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

const struct service va_service = { .name = "va-serve", .prepare = va_prepare, .learn = va_learn, .forget = va_forget, .handle = va_handle,
				    .counted = "answered" };
