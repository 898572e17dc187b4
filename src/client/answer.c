/* Reading the answers of EST servers. Guarantees: nothing is read beyond the body, no part is taken for what it does
 * not say it is, and what comes out is DER that its own parser has yet to judge. */
#include "client/answer.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "crypto/bundle.h"
#include "crypto/cert.h"
#include "crypto/der.h"

enum { PARTS_MAX = 8, BOUNDARY_MAX = 70 };

/* base64, PEM or DER. */
static int decode(struct arena *a, struct bytes body, struct bytes *ret, struct err *e)
{
	struct bytes left = body;

	if (body.n > 1 && body.p[0] == DER_SEQUENCE && (body.p[1] & 0x80)) {
		*ret = body; /* no letter of base64 follows the first */
		return 0;
	}
	if (body.n > 11 && memmem(body.p, body.n, "-----BEGIN ", 11)) {
		if (pem_next(a, &left, NULL, NULL, ret) && ret->n)
			return 0;
		return err_set(e, ERR_INVALID, "the answer is damaged PEM");
	}
	if (body.n == 0 || b64_decode(a, body, ret) != 0)
		return err_set(e, ERR_INVALID, "the answer is not base64 (RFC 8951 3.1)");
	return 0;
}

int answer_certs(struct arena *a, struct bytes body, struct bytes **ret, size_t *ret_n, struct err *e)
{
	struct bytes der, *v;
	size_t n;

	if (decode(a, body, &der, e) != 0 || p7_split(a, der, &v, &n, e) != 0)
		return -1;
	if (n == 0 || n > ANSWER_CERTS_MAX)
		return err_set(e, ERR_INVALID, "the answer holds %zu certificates, not 1 to %d", n, ANSWER_CERTS_MAX);
	*ret = v;
	*ret_n = n;
	return 0;
}

/* --- multipart/mixed, RFC 2046 5.1 --- */

/* The value of boundary= in a Content-Type; NULL when there is none that is valid. */
static char *boundary_of(struct arena *a, const char *type)
{
	const char *p = type;
	size_t n;

	if (!type || strncasecmp(type, "multipart/mixed", 15) != 0)
		return NULL;
	do {
		p = strchr(p, ';');
		if (!p)
			return NULL;
		p += 1 + strspn(p + 1, " \t");
	} while (strncasecmp(p, "boundary=", 9) != 0);
	p += 9;
	n = *p == '"' ? strcspn(p + 1, "\"") : strcspn(p, "; \t");
	return n == 0 || n > BOUNDARY_MAX ? NULL : arena_strndup(a, p + (*p == '"'), n);
}

/* The next line without its end; false: no more. */
static bool next_line(struct bytes *text, struct bytes *ret)
{
	const unsigned char *end;

	if (text->n == 0)
		return false;
	end = memchr(text->p, '\n', text->n);
	*ret = (struct bytes){ text->p, end ? (size_t)(end - text->p) : text->n };
	text->n -= ret->n + (end != NULL);
	text->p += ret->n + (end != NULL);
	if (ret->n && ret->p[ret->n - 1] == '\r')
		ret->n--;
	return true;
}

struct part {
	const char *type; /* of its header, "" when there is none */
	struct bytes body;
};

/* 0: another line; 1: a boundary; 2: the last one. */
static int is_boundary(struct bytes line, const char *boundary)
{
	size_t n = strlen(boundary);

	if (line.n < n + 2 || memcmp(line.p, "--", 2) != 0 || memcmp(line.p + 2, boundary, n) != 0)
		return 0;
	if (line.n >= n + 4 && memcmp(line.p + n + 2, "--", 2) == 0)
		return 2;
	for (size_t i = n + 2; i < line.n; i++) /* white space may follow */
		if (line.p[i] != ' ' && line.p[i] != '\t')
			return 0;
	return 1;
}

/* From behind a boundary to before the next one; the kind of that one, 0 when the text ended first. */
static int read_part(struct arena *a, struct bytes *text, const char *boundary, struct part *ret)
{
	const char *name = "content-type:";
	struct bytes line;
	int kind;

	*ret = (struct part){ .type = "" };
	while (next_line(text, &line) && line.n > 0) {
		kind = is_boundary(line, boundary);
		if (kind)
			return kind; /* a part without a body */
		if (line.n > strlen(name) && strncasecmp((const char *)line.p, name, strlen(name)) == 0) {
			char *type = arena_strndup(a, (const char *)line.p + strlen(name), line.n - strlen(name));

			ret->type = type + strspn(type, " \t");
		}
	}
	ret->body.p = text->p;
	while (next_line(text, &line)) {
		kind = is_boundary(line, boundary);
		if (kind) {
			ret->body.n = (size_t)(line.p - ret->body.p);
			return kind;
		}
	}
	return 0;
}

static bool is_type(const struct part *p, const char *type)
{
	size_t n = strlen(type);

	return strncasecmp(p->type, type, n) == 0 && strchr("; \t", p->type[n]) != NULL;
}

static bool is_encrypted_key(const struct part *p)
{
	const char *at = is_type(p, "application/pkcs7-mime") ? strcasestr(p->type, "smime-type=") : NULL;

	return at && strncasecmp(at + 11 + (at[11] == '"'), "server-generated-key", 20) == 0;
}

static int take_part(struct arena *a, const struct part *part, struct answer_key *r, struct err *e)
{
	bool encrypted = is_encrypted_key(part);

	if (!r->der.n && (encrypted || is_type(part, "application/pkcs8"))) {
		if (decode(a, part->body, &r->der, e) != 0)
			return err_ctx(e, "the key");
		r->encrypted = encrypted;
	} else if (!r->certs.n && !encrypted && is_type(part, "application/pkcs7-mime")) {
		r->certs = part->body;
	}
	return 0;
}

int answer_keygen(struct arena *a, const char *content_type, struct bytes body, struct answer_key *ret, struct err *e)
{
	const char *boundary = boundary_of(a, content_type);
	struct answer_key r = { 0 };
	struct bytes line;
	struct part part;
	int kind = 0;

	if (!boundary)
		return err_set(e, ERR_INVALID, "the answer is no multipart/mixed with a boundary (RFC 7030 4.4.2)");
	while (kind != 1 && next_line(&body, &line))
		kind = is_boundary(line, boundary);
	for (int i = 0; kind == 1 && i < PARTS_MAX; i++) {
		kind = read_part(a, &body, boundary, &part);
		if (kind && take_part(a, &part, &r, e) != 0)
			return -1;
	}
	if (kind != 2 || !r.der.n || !r.certs.n)
		return err_set(e, ERR_INVALID, "the answer has no part with a key, none with a certificate, or no end "
			       "(RFC 7030 4.4.2)");
	*ret = r;
	return 0;
}
