/* What a vault says when it wants a token: URLs and `WWW-Authenticate: Bearer` (RFC 6750 3, RFC 9110 11.6.1). All of it
 * comes from a server that is not trusted yet. Guarantees: only https (http for this machine alone), no more than one
 * value for a parameter, and a token is asked for only if it is meant for the domain that the vault is in. */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "engine/azure.h"

enum { URL_MAX = 2048, HEADER_MAX = 16384 };

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_this_machine(const char *host)
{
	return strcmp(host, "localhost") == 0 ||
	       (text_has_prefix(host, "127.") && strspn(host, "0123456789.") == strlen(host));
}

/* "host[:port]" */
static bool host_ok(const char *s, size_t n, size_t *ret_host_n)
{
	size_t host = 0, port;

	while (host < n && (is_alnum(s[host]) || (host > 0 && strchr("-._", s[host]))))
		host++;
	*ret_host_n = host;
	if (host == 0 || host == n)
		return host > 0;
	port = n - host - 1;
	return s[host] == ':' && port >= 1 && port <= 5 && strspn(s + host + 1, "0123456789") >= port;
}

int azure_url_parse(struct arena *a, const char *text, struct azure_url *ret, struct err *e)
{
	bool http = strncasecmp(text, "http://", 7) == 0;
	const char *rest = text + (http ? 7 : 8);
	size_t n, host_n;
	char *origin;

	if (strlen(text) > URL_MAX || (!http && strncasecmp(text, "https://", 8) != 0))
		return err_set(e, ERR_INVALID, "\"%.200s\" is not an https address", text_escape(a, bytes_of(text)));
	n = strcspn(rest, "/?#\\");
	if (!host_ok(rest, n, &host_n) || strpbrk(rest, "?#\\@ "))
		return err_set(e, ERR_INVALID, "\"%.200s\" is not an address of the form https://HOST[:PORT][/PATH]",
			       text_escape(a, bytes_of(text)));
	origin = arena_strndup(a, text, (size_t)(rest - text) + n);
	for (char *p = origin; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
	*ret = (struct azure_url){ origin, arena_strndup(a, origin + (rest - text), host_n),
				   arena_strdup(a, rest + n) };
	if (http && !is_this_machine(ret->host))
		return err_set(e, ERR_INVALID, "\"%.200s\": http is for this machine only",
			       text_escape(a, bytes_of(text)));
	return 0;
}

/* --- the header --- */

struct parameter {
	struct bytes name;
	char *value;
};

/* "…" with \ before a character, or a word. */
static bool take_value(struct arena *a, const char **pp, char **ret)
{
	const char *p = *pp;
	char *out = arena_alloc(a, 1, strlen(p) + 1);
	size_t n = 0;

	*ret = out;
	if (*p != '"') {
		n = strcspn(p, ", \t");
		memcpy(out, p, n);
		*pp = p + n;
		return true;
	}
	for (p++; *p && *p != '"'; p++) {
		if (*p == '\\' && p[1])
			p++;
		out[n++] = *p;
	}
	*pp = p + 1;
	return *p == '"';
}

/* The next name=value; false at the end, which is where another scheme begins, too. *ret_bad: what stands there is
 * neither. */
static bool take_parameter(struct arena *a, const char **pp, struct parameter *ret, bool *ret_bad)
{
	const char *p = *pp, *name;

	p += strspn(p, ", \t");
	name = p;
	while (is_alnum(*p) || *p == '_' || *p == '-')
		p++;
	*ret_bad = p == name && *p;
	ret->name = (struct bytes){ (const unsigned char *)name, (size_t)(p - name) };
	p += strspn(p, " \t");
	if (ret->name.n == 0 || *p != '=')
		return false;
	p++;
	p += strspn(p, " \t");
	*ret_bad = !take_value(a, &p, &ret->value);
	*pp = p;
	return !*ret_bad;
}

/* Behind "Bearer" where that is a scheme; NULL: there is none. */
static const char *find_bearer(struct arena *a, const char *p)
{
	while (*p) {
		bool after_bearer = strncasecmp(p, "Bearer", 6) == 0 && (p[6] == ' ' || p[6] == '\t');
		struct parameter skipped;
		bool bad;

		if (after_bearer)
			return p + 6;
		p += strcspn(p, ", \t");
		while (take_parameter(a, &p, &skipped, &bad))
			;
		if (bad)
			return NULL;
		p += strspn(p, ", \t");
	}
	return NULL;
}

struct raw_challenge {
	const char *authorization, *authorization_uri, *scope, *resource, *error, *claims;
};

static int read_parameters(struct arena *a, const char *p, struct raw_challenge *ret, struct err *e)
{
	const struct {
		const char *name, **to;
	} rows[] = { { "authorization", &ret->authorization }, { "authorization_uri", &ret->authorization_uri },
		     { "scope", &ret->scope },
		     { "resource", &ret->resource }, { "error", &ret->error }, { "claims", &ret->claims } };
	struct parameter x;
	bool bad;

	while (take_parameter(a, &p, &x, &bad))
		for (size_t i = 0; i < COUNT(rows); i++) {
			if (x.name.n != strlen(rows[i].name) ||
			    strncasecmp((const char *)x.name.p, rows[i].name, x.name.n) != 0)
				continue;
			if (*rows[i].to)
				return err_set(e, ERR_REMOTE, "the challenge gives %s twice", rows[i].name);
			*rows[i].to = x.value;
		}
	return bad ? err_set(e, ERR_REMOTE, "the challenge cannot be read") : 0;
}

static int read_tenant(struct arena *a, const char *authorization, const char **ret, struct err *e)
{
	struct azure_url url;
	const char *tenant;

	if (azure_url_parse(a, authorization, &url, e) != 0)
		return err_ctx(e, "authorization of the challenge");
	tenant = url.path + strspn(url.path, "/");
	tenant = arena_strndup(a, tenant, strcspn(tenant, "/"));
	for (const char *p = tenant; *p; p++)
		if (!is_alnum(*p) && *p != '-' && *p != '.')
			return err_set(e, ERR_REMOTE, "the challenge names no tenant");
	*ret = tenant[0] && strcmp(tenant, ".") != 0 && strcmp(tenant, "..") != 0 ? tenant : NULL;
	return 0;
}

static const char *without_end(struct arena *a, const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n > m && strcmp(s + n - m, end) == 0 ? arena_strndup(a, s, n - m) : s;
}

static int read_scope(struct arena *a, const struct raw_challenge *raw, struct azure_challenge *c, struct err *e)
{
	const char *resource = raw->scope ? without_end(a, raw->scope, "/.default") : raw->resource;
	struct azure_url url;

	if (!resource)
		return raw->error ? 0 : err_set(e, ERR_REMOTE, "the challenge names neither a resource nor a scope");
	resource = without_end(a, resource, "/");
	if (azure_url_parse(a, resource, &url, e) != 0)
		return err_ctx(e, "resource of the challenge");
	c->resource = resource;
	c->scope = raw->scope ? raw->scope : arena_printf(a, "%s/.default", resource);
	return 0;
}

/* Base64 as Entra sends it (RFC 4648 4 or 5), of a JSON object. */
static int read_claims(struct arena *a, const char *text, const char **ret, struct err *e)
{
	struct bytes json;

	if (b64_decode(a, bytes_of(text), &json) != 0 && b64url_decode(a, bytes_of(text), &json) != 0)
		return err_set(e, ERR_REMOTE, "the claims of the challenge are not base64");
	if (json.n == 0 || json.p[0] != '{' || !utf8_valid(json))
		return err_set(e, ERR_REMOTE, "the claims of the challenge are not JSON");
	*ret = arena_strndup(a, (const char *)json.p, json.n);
	return 0;
}

int azure_challenge_parse(struct arena *a, const char *header, struct azure_challenge *ret, struct err *e)
{
	struct raw_challenge raw = { 0 };
	struct azure_challenge c = { 0 };
	const char *p = strlen(header) <= HEADER_MAX ? find_bearer(a, header) : NULL;

	if (!p)
		return err_set(e, ERR_REMOTE, "the server asks for no Bearer token");
	if (read_parameters(a, p, &raw, e) != 0)
		return -1;
	if (!raw.authorization)
		raw.authorization = raw.authorization_uri;
	c.error = raw.error;
	if ((raw.authorization && read_tenant(a, raw.authorization, &c.tenant, e) != 0) ||
	    read_scope(a, &raw, &c, e) != 0 ||
	    (raw.claims && read_claims(a, raw.claims, &c.claims, e) != 0)) {
		e->code = ERR_REMOTE;
		return -1;
	}
	*ret = c;
	return 0;
}

int azure_challenge_check(struct arena *a, const struct azure_challenge *c, const char *vault_host, struct err *e)
{
	struct azure_url url;
	size_t n, m;

	if (azure_url_parse(a, c->resource, &url, e) != 0)
		return -1;
	n = strlen(vault_host);
	m = strlen(url.host);
	/* A bare top-level domain is nobody's. */
	if (n > m + 1 && strchr(url.host, '.') && strcasecmp(vault_host + n - m, url.host) == 0 &&
	    vault_host[n - m - 1] == '.')
		return 0;
	return err_set(e, ERR_DENIED, "the server %s asks for a token for %s, which it is no part of: no token is sent",
		       vault_host, url.host);
}
