/* Where a Vault server is: from the config in any of the forms that people have it in, else from the environment that
 * Vault's own tools use. Guarantees: nothing but https, save for http on this machine; no user, query or fragment in a
 * URL; TLS is always verified. Opens nothing. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "engine/vault.h"

enum { ANSWER_MAX = 32 << 20 }; /* a list of half a million keys */

const char *const vault_login_names[] = { "auto", "token", "approle", "kubernetes", "cert", NULL };
const char *const vault_host_aka[] = { "host", NULL };
const char *const vault_ca_aka[] = { "ca_cert_file", "ca_cert", "cacert", NULL };

struct parts { /* of an address as people write it in pieces */
	const char *protocol, *host, *base_path;
	int64_t port;
	const char *ca, *cert, *key;
};

/* A member by any of its names, ignoring case; NULL when absent. */
static json_t *member(json_t *j, const char *const *names)
{
	const char *key;
	json_t *value;

	json_object_foreach(j, key, value)
		for (const char *const *n = names; *n; n++)
			if (text_same_name(key, *n))
				return value;
	return NULL;
}

static const char *text_of(struct arena *a, json_t *j, const char *const *names)
{
	return arena_strdup(a, json_string_value(member(j, names)));
}

/* {ca_file, cert_file, key_file}, beside the host or under `tls`. */
static int take_tls(struct arena *a, json_t *j, struct parts *p, struct err *e)
{
	static const char *const ca[] = { "ca_file", "ca_cert_file", "ca_cert", "cacert", "ca", NULL };
	static const char *const cert[] = { "cert_file", "client_cert", "client_cert_file", "certificate", NULL };
	static const char *const key[] = { "key_file", "client_key", "client_key_file", NULL };
	static const char *const skip[] = { "insecure_skip_verify", "skip_verify", "insecure", NULL };

	if (json_is_true(member(j, skip)))
		return err_set(e, ERR_INVALID, "address: the server is always verified; name its authority in ca_file");
	p->ca = json_is_string(member(j, ca)) ? text_of(a, j, ca) : p->ca;
	p->cert = json_is_string(member(j, cert)) ? text_of(a, j, cert) : p->cert;
	p->key = json_is_string(member(j, key)) ? text_of(a, j, key) : p->key;
	return 0;
}

static int take_port(json_t *j, int64_t *ret, struct err *e)
{
	int64_t port = json_is_string(j) ? atoll(json_string_value(j)) : json_integer_value(j);

	if (!j)
		return 0;
	if (port < 1 || port > 65535)
		return err_set(e, ERR_INVALID, "address: port: must be from 1 to 65535");
	*ret = port;
	return 0;
}

static int take_mapping(struct arena *a, json_t *j, struct parts *p, struct err *e)
{
	static const char *const host[] = { "host", "hostname", "address", "url", NULL };
	static const char *const protocol[] = { "protocol", "scheme", NULL };
	static const char *const port[] = { "port", NULL }, *const base[] = { "base_path", "path", NULL };
	static const char *const tls[] = { "tls", "tls_config", NULL };
	json_t *t = member(j, tls);

	p->host = text_of(a, j, host);
	p->base_path = text_of(a, j, base);
	if (member(j, protocol))
		p->protocol = text_of(a, j, protocol);
	if (json_is_false(t) && !member(j, protocol))
		p->protocol = "http";
	if (!p->host || !p->protocol)
		return err_set(e, ERR_INVALID, "address: needs a host, and protocol must be a text");
	if (take_port(member(j, port), &p->port, e) != 0 || take_tls(a, j, p, e) != 0)
		return -1;
	return json_is_object(t) ? take_tls(a, t, p, e) : 0;
}

static const char *from_env(const char *name)
{
	static const char *const prefixes[] = { "VAULT_", "BAO_", NULL };
	char full[64];

	for (const char *const *p = prefixes; *p; p++) {
		size_t n = strlen(*p);
		const char *value;

		memcpy(full, *p, n);
		strncpy(full + n, name, sizeof(full) - n - 1);
		full[sizeof(full) - 1] = '\0';
		value = getenv(full);
		if (value && *value)
			return value;
	}
	return NULL;
}

static bool local_host(const char *host, size_t n)
{
	return (n == 9 && strncasecmp(host, "localhost", 9) == 0) || (n > 4 && strncmp(host, "127.", 4) == 0) ||
	       (n == 5 && strncmp(host, "[::1]", 5) == 0);
}

/* Refuses what must not be in the URL and takes the slashes off its end. */
static int check_url(struct arena *a, const char *url, char **ret, struct err *e)
{
	bool plain = text_has_prefix(url, "http://");
	const char *host = strstr(url, "://");
	size_t n = strlen(url), host_n;

	if (!plain && !text_has_prefix(url, "https://"))
		return err_set(e, ERR_INVALID, "address: \"%s\" is neither https:// nor http://",
			       text_escape(a, bytes_of(url)));
	host += 3;
	host_n = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)url[i] <= ' ' || (unsigned char)url[i] >= 0x7f || strchr("@?#\\\"<>", url[i]))
			return err_set(e, ERR_INVALID, "address: a URL of the form https://HOST:PORT is needed");
	if (host_n == 0 || strspn(host, "/") || n > 1024)
		return err_set(e, ERR_INVALID, "address: names no host");
	if (plain && !local_host(host, host_n))
		return err_set(e, ERR_INVALID,
			       "address: http shows tokens and keys to everybody on the way: use https");
	while (n > 0 && url[n - 1] == '/')
		n--;
	*ret = arena_strndup(a, url, n);
	return 0;
}

static char *join(struct arena *a, const struct parts *p)
{
	const char *base = p->base_path ? p->base_path + strspn(p->base_path, "/") : "";
	bool bare6 = strchr(p->host, ':') && p->host[0] != '[';

	return arena_printf(a, "%s://%s%s%s:%d%s%s", p->protocol, bare6 ? "[" : "", p->host, bare6 ? "]" : "",
			    (int)p->port, *base ? "/" : "", base);
}

static int find_url(struct arena *a, const struct vault_config *c, struct parts *p, char **ret, struct err *e)
{
	const char *url = from_env("ADDR");
	AUTO(json_t) *j = c->address ? json_loads(c->address, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL) : NULL;

	if (c->address && !json_is_string(j) && !json_is_object(j))
		return err_set(e, ERR_INVALID, "address: must be a URL or a mapping");
	if (json_is_object(j) && take_mapping(a, j, p, e) != 0)
		return -1;
	if (json_is_string(j))
		p->host = arena_strdup(a, json_string_value(j));
	if (p->host)
		return check_url(a, strstr(p->host, "://") ? p->host : join(a, p), ret, e);
	if (!url)
		return err_set(e, ERR_INVALID, "address: must be given, here or by VAULT_ADDR");
	return check_url(a, url, ret, e);
}

int vault_place(struct arena *a, const struct vault_config *c, struct vault_place *ret, struct err *e)
{
	struct parts p = { c->protocol, c->hostname, c->base_path, c->port, c->ca_file, c->cert_file, c->key_file };
	struct vault_place place = { .namespace_ = c->namespace_ ? c->namespace_ : from_env("NAMESPACE") };

	if (c->insecure_skip_verify)
		return err_set(e, ERR_INVALID,
			       "insecure_skip_verify: the server is always verified; name its authority in ca_file");
	if (find_url(a, c, &p, &place.url, e) != 0)
		return -1;
	place.net = (struct net_options){ .ca_file = arena_strdup(a, p.ca ? p.ca : from_env("CACERT")),
					  .cert_file = arena_strdup(a, p.cert ? p.cert : from_env("CLIENT_CERT")),
					  .key_file = arena_strdup(a, p.key ? p.key : from_env("CLIENT_KEY")),
					  .answer_max = ANSWER_MAX };
	*ret = place;
	return 0;
}
