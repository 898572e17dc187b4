/* Reading of credentials in a header. Guarantees: one meaning for one text: what is there twice, or not as the RFC
 * writes it, is refused. */
#include "est/http_auth.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

enum { FIELD_MAX = 4096 };

bool http_is(const char *field, const char *scheme)
{
	size_t n = strlen(scheme);

	return field && strncasecmp(field, scheme, n) == 0 && field[n] == ' ';
}

static const char *after_scheme(const char *field)
{
	field += strcspn(field, " ");
	return field + strspn(field, " ");
}

int http_basic(struct arena *a, const char *field, struct basic *ret, struct err *e)
{
	struct bytes text;
	const char *colon;

	if (strlen(field) > FIELD_MAX || !http_is(field, "Basic") ||
	    b64_decode(a, bytes_of(after_scheme(field)), &text) != 0 || !utf8_valid(text))
		return err_set(e, ERR_INVALID, "the credential is not as RFC 7617 writes it");
	colon = text.n ? memchr(text.p, ':', text.n) : NULL;
	if (!colon)
		return err_set(e, ERR_INVALID, "the credential has no colon (RFC 7617 2)");
	ret->user = arena_strndup(a, (const char *)text.p, (size_t)(colon - (const char *)text.p));
	ret->secret = (struct bytes){ (const unsigned char *)colon + 1, text.n - strlen(ret->user) - 1 };
	return 0;
}

static const struct {
	const char *name;
	size_t off;
} params[] = {
	{ "username", offsetof(struct digest, username) }, { "realm", offsetof(struct digest, realm) },
	{ "nonce", offsetof(struct digest, nonce) }, { "uri", offsetof(struct digest, uri) },
	{ "response", offsetof(struct digest, response) }, { "algorithm", offsetof(struct digest, algorithm) },
	{ "qop", offsetof(struct digest, qop) }, { "nc", offsetof(struct digest, nc) },
	{ "cnonce", offsetof(struct digest, cnonce) },
};

/* token or quoted-string at *p, which is moved past it; NULL: neither. */
static char *value(struct arena *a, const char **p)
{
	char *out, *to;
	size_t n;

	if (**p != '"') {
		n = strcspn(*p, " \t,\"=\\");
		out = n ? arena_strndup(a, *p, n) : NULL;
		*p += n;
		return out;
	}
	to = out = arena_alloc(a, 1, strlen(*p) + 1);
	for ((*p)++; **p != '"'; (*p)++) {
		if (**p == '\\')
			(*p)++;
		if (!**p)
			return NULL;
		*to++ = **p;
	}
	(*p)++;
	return out;
}

static int param(struct arena *a, const char **p, struct digest *d)
{
	size_t n = strcspn(*p, " \t=,\"");
	const char *name = *p;
	char *text;

	*p += n;
	*p += strspn(*p, " \t");
	if (n == 0 || **p != '=')
		return -1;
	(*p)++;
	*p += strspn(*p, " \t");
	text = value(a, p);
	if (!text)
		return -1;
	for (size_t i = 0; i < COUNT(params); i++) {
		char **at = (char **)(void *)((char *)d + params[i].off);

		if (strlen(params[i].name) != n || strncasecmp(params[i].name, name, n) != 0)
			continue;
		if (*at)
			return -1;
		*at = text;
	}
	return 0;
}

int http_digest(struct arena *a, const char *field, struct digest *ret, struct err *e)
{
	struct digest d = { 0 };
	const char *p;

	if (strlen(field) > FIELD_MAX || !http_is(field, "Digest"))
		return err_set(e, ERR_INVALID, "the credential is not as RFC 7616 writes it");
	for (p = after_scheme(field); *p;) {
		if (param(a, &p, &d) != 0)
			return err_set(e, ERR_INVALID, "the credential is not as RFC 7616 writes it");
		p += strspn(p, " \t");
		if (*p && *p != ',')
			return err_set(e, ERR_INVALID, "the credential is not as RFC 7616 writes it");
		p += strspn(p, " \t,");
	}
	if (!d.username || !d.realm || !d.nonce || !d.uri || !d.response || !d.qop || !d.nc || !d.cnonce)
		return err_set(e, ERR_INVALID, "the credential lacks what RFC 7616 3.4 requires");
	*ret = d;
	return 0;
}
