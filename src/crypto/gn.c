/* General names: DNS names, addresses, mailboxes, URIs and the rarer kinds, between text and DER. Nothing is let
 * through that a reader of the certificate could take for another name: no NUL, no control characters, no white
 * space in host names, no empty values. */
#include "crypto/gn.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "crypto/der.h"
#include "crypto/dn.h"
#include "crypto/idn.h"
#include "crypto/name.h"

static const struct {
	const char *prefix;
	int tag;
} kinds[] = {
	{ "DNS", GN_DNS },	     { "IP", GN_IP },	       { "IP Address", GN_IP }, { "email", GN_EMAIL },
	{ "rfc822Name", GN_EMAIL },  { "URI", GN_URI },	       { "dirName", GN_DIR },	{ "otherName", GN_OTHER },
	{ "RID", GN_RID },	     { "Registered ID", GN_RID },
};

/* What kind of name a text is; *ret_rest is what follows the prefix. */
static int kind_of(const char *text, const char **ret_rest)
{
	unsigned char addr[16];

	*ret_rest = text;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		size_t n = strlen(kinds[i].prefix);

		if (strncasecmp(text, kinds[i].prefix, n) == 0 && text[n] == ':') {
			*ret_rest = text + n + 1;
			return kinds[i].tag;
		}
	}
	if (inet_pton(AF_INET, text, addr) == 1 || inet_pton(AF_INET6, text, addr) == 1)
		return GN_IP;
	if (strstr(text, "://"))
		return GN_URI;
	return strchr(text, '@') ? GN_EMAIL : GN_DNS;
}

static struct bytes tlv(struct arena *a, int tag, struct bytes content)
{
	return der_join(a, tag, &content, 1);
}

/* "10.0.0.0/8", "2001:db8::/32" or an IPv4 mask "10.0.0.0/255.0.0.0" (RFC 5280 4.2.1.10). */
static int build_subnet(struct arena *a, const char *text, struct bytes *ret, struct err *e)
{
	const char *slash = strchr(text, '/');
	char *host = slash ? arena_strndup(a, text, (size_t)(slash - text)) : NULL;
	unsigned char v[32] = { 0 };
	size_t n = host && inet_pton(AF_INET, host, v) == 1 ? 4 : host && inet_pton(AF_INET6, host, v) == 1 ? 16 : 0;
	size_t bits = 0, digits = slash ? strspn(slash + 1, "0123456789") : 0;

	if (n == 4 && digits && inet_pton(AF_INET, slash + 1, v + 4) == 1) {
		digits = 0;
	} else if (n && digits && digits <= 3 && !slash[1 + digits]) {
		for (size_t i = 1; i <= digits; i++)
			bits = bits * 10 + (size_t)(slash[i] - '0');
		for (size_t i = 0; i < bits && bits <= n * 8; i++)
			v[n + i / 8] |= (unsigned char)(0x80 >> i % 8);
	} else {
		n = 0;
	}
	if (n == 0 || bits > n * 8)
		return err_set(e, ERR_INVALID, "\"%s\" is not a network such as 10.0.0.0/8 or 2001:db8::/32",
			       text_escape(a, bytes_of(text)));
	for (size_t i = 0; i < n; i++)
		if (v[i] & ~v[n + i])
			return err_set(e, ERR_INVALID, "\"%s\" has bits outside its mask",
				       text_escape(a, bytes_of(text)));
	*ret = tlv(a, GN_IP, (struct bytes){ v, 2 * n });
	return 0;
}

static int build_ip(struct arena *a, const char *text, struct bytes *ret, struct err *e)
{
	unsigned char v[16];
	size_t n = inet_pton(AF_INET, text, v) == 1 ? 4 : inet_pton(AF_INET6, text, v) == 1 ? 16 : 0;

	if (n == 0)
		return err_set(e, ERR_INVALID, "\"%s\" is not an IPv4 or IPv6 address", text_escape(a, bytes_of(text)));
	*ret = tlv(a, GN_IP, (struct bytes){ v, n });
	return 0;
}

/* Hosts and domains of constraints. Only URI and email constraints know a leading dot (RFC 5280 4.2.1.10). */
static int build_domain(struct arena *a, int tag, const char *text, struct bytes *ret, struct err *e)
{
	bool dot = text[0] == '.';
	char *host = arena_strdup(a, text);

	if (tag == GN_EMAIL && strchr(text, '@')) {
		if (idn_mailbox(a, text, &host, e) < 0)
			return -1;
	} else if (dot && tag == GN_DNS) {
		return err_set(e, ERR_INVALID,
			       "DNS constraints have no leading dot: \"%s\" covers what is below it (RFC 5280 "
			       "4.2.1.10)",
			       text_escape(a, bytes_of(text + 1)));
	} else if (text[0] || tag != GN_DNS) { /* the empty DNS name covers all names */
		if (strchr(text, '*'))
			return err_set(e, ERR_INVALID, "\"%s\": constraints have no wildcards (RFC 5280 4.2.1.10)",
				       text_escape(a, bytes_of(text)));
		if (idn_to_ascii(a, text + dot, &host, e) < 0)
			return -1;
		host = dot ? arena_printf(a, ".%s", host) : host;
	}
	*ret = tlv(a, tag, bytes_of(host));
	return 0;
}

int gn_uri(struct arena *a, const char *uri, struct bytes *ret, struct err *e)
{
	size_t scheme = strspn(uri, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
	const char *host = uri + scheme + 3, *at, *s = uri;
	char *ascii;
	size_t n;

	if (scheme == 0 || uri[scheme] != ':' || !uri[scheme + 1] || strchr("0123456789+-.", uri[0]))
		return err_set(e, ERR_INVALID, "\"%s\" is not an absolute URI (RFC 3986 4.3)",
			       text_escape(a, bytes_of(uri)));
	/* an international host name becomes A-labels, nothing else is changed */
	if (strncmp(uri + scheme, "://", 3) == 0) {
		n = strcspn(host, "/?#");
		at = memrchr(host, '@', n);
		if (at) {
			n -= (size_t)(at + 1 - host);
			host = at + 1;
		}
		for (size_t i = 0; i < n; i++)
			if (host[i] == ':')
				n = i;
			else if (host[i] & 0x80 && s == uri) {
				size_t len = strcspn(host, ":/?#");

				if (idn_to_ascii(a, arena_strndup(a, host, len), &ascii, e) < 0)
					return -1;
				s = arena_printf(a, "%.*s%s%s", (int)(host - uri), uri, ascii, host + len);
			}
	}
	for (const char *p = s; *p; p++)
		if (*p <= ' ' || *p > '~' || strchr("\"<>\\^`{|}", *p))
			return err_set(e, ERR_INVALID,
				       "\"%s\" has characters that a URI must percent-encode (RFC 3986 2)",
				       text_escape(a, bytes_of(uri)));
	*ret = tlv(a, GN_URI, bytes_of(s));
	return 0;
}

/* "1.2.3;UTF8:text", or "1.2.3;" and DER in hexadecimal digits. */
static int build_other(struct arena *a, const char *text, struct bytes *ret, struct err *e)
{
	const char *semi = strchr(text, ';');
	struct bytes oid, value;
	struct der d;

	if (!semi || dn_oid(a, arena_strndup(a, text, (size_t)(semi - text)), &oid) < 0)
		return err_set(e, ERR_INVALID, "otherName \"%s\" must begin with an OID and a semicolon",
			       text_escape(a, bytes_of(text)));
	if (strncasecmp(semi + 1, "UTF8:", 5) == 0 || strncasecmp(semi + 1, "UTF8String:", 11) == 0) {
		value = bytes_of(strchr(semi, ':') + 1);
		for (size_t i = 0; i < value.n; i++)
			if (value.p[i] < ' ' || value.p[i] == 0x7f)
				return err_set(e, ERR_INVALID, "otherName contains a control character");
		if (value.n == 0 || !utf8_valid(value))
			return err_set(e, ERR_INVALID, "otherName is empty or not valid UTF-8");
		value = tlv(a, DER_UTF8, value);
	} else if (hex_decode(a, semi + 1, &value) < 0) {
		return err_set(e, ERR_INVALID,
			       "otherName \"%s\" has neither UTF8: nor hexadecimal digits after the semicolon",
			       text_escape(a, bytes_of(text)));
	}
	d = der_of(value);
	if (!der_next(&d, NULL, NULL, NULL) || !der_done(&d))
		return err_set(e, ERR_INVALID, "otherName \"%s\" does not hold one DER element",
			       text_escape(a, bytes_of(text)));
	*ret = DER_JOIN(a, GN_OTHER, tlv(a, DER_OID, oid), tlv(a, DER_CTX_CONS, value));
	return 0;
}

int gn_build(struct arena *a, const char *text, bool subtree, struct bytes *ret, struct err *e)
{
	int tag = kind_of(text, &text);
	struct bytes der;
	char *s;

	if (!*text && !(subtree && tag == GN_DNS) && tag != GN_DIR)
		return err_set(e, ERR_INVALID, "an alternative name is empty");
	if (subtree && (tag == GN_DNS || tag == GN_EMAIL || tag == GN_URI))
		return build_domain(a, tag, text, ret, e);
	switch (tag) {
	case GN_DNS:
	case GN_EMAIL:
		if ((tag == GN_DNS ? idn_to_ascii : idn_mailbox)(a, text, &s, e) < 0)
			return -1;
		*ret = tlv(a, tag, bytes_of(s));
		return 0;
	case GN_IP:
		return (subtree ? build_subnet : build_ip)(a, text, ret, e);
	case GN_URI:
		return gn_uri(a, text, ret, e);
	case GN_OTHER:
		return build_other(a, text, ret, e);
	case GN_RID:
		if (dn_oid(a, text, &der) < 0)
			return err_set(e, ERR_INVALID, "RID \"%s\" is not an object identifier",
				       text_escape(a, bytes_of(text)));
		break;
	default:
		if (name_parse(a, text, &der, e) < 0)
			return -1;
		if (name_empty(der))
			return err_set(e, ERR_INVALID, "dirName is empty");
	}
	*ret = tlv(a, tag, der); /* a Name is a CHOICE, hence [4] EXPLICIT */
	return 0;
}

static char *ip_text(struct arena *a, struct bytes v, bool subtree)
{
	size_t n = subtree ? v.n / 2 : v.n, bits = 0;
	char host[INET6_ADDRSTRLEN];
	bool holes = false;

	if ((v.n % 2 && subtree) || (n != 4 && n != 16))
		return NULL;
	inet_ntop(n == 4 ? AF_INET : AF_INET6, v.p, host, sizeof(host));
	if (!subtree)
		return arena_printf(a, "IP:%s", host);
	for (size_t i = 0; i < n * 8; i++) {
		bool set = v.p[n + i / 8] >> (7 - i % 8) & 1;

		holes = holes || (set && bits < i);
		bits += set;
	}
	return holes ? arena_printf(a, "IP:%s/%s", host, hex_encode(a, (struct bytes){ v.p + n, n }))
		     : arena_printf(a, "IP:%s/%zu", host, bits);
}

static char *other_text(struct arena *a, struct bytes v)
{
	struct der d = der_of(v), inner;
	struct bytes oid, wrapped, value;
	bool text = true;
	char dotted[128];
	int tag;

	if (!der_expect(&d, DER_OID, &oid) || !der_expect(&d, DER_CTX_CONS, &wrapped) || !der_done(&d) ||
	    !der_oid(oid, dotted, sizeof(dotted)))
		return NULL;
	inner = der_of(wrapped);
	if (!der_next(&inner, &tag, &value, NULL) || !der_done(&inner))
		return NULL;
	for (size_t i = 0; i < value.n; i++)
		text = text && value.p[i] >= ' ' && value.p[i] != 0x7f;
	if (tag == DER_UTF8 && text && value.n && utf8_valid(value))
		return arena_printf(a, "otherName:%s;UTF8:%.*s", dotted, (int)value.n, (const char *)value.p);
	return arena_printf(a, "otherName:%s;%s", dotted, hex_encode(a, wrapped));
}

static char *ascii_text(struct arena *a, const char *prefix, struct bytes v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] < ' ' || v.p[i] > '~')
			return NULL;
	return v.n ? arena_printf(a, "%s:%.*s", prefix, (int)v.n, (const char *)v.p) : NULL;
}

char *gn_text(struct arena *a, int tag, struct bytes v, bool subtree, struct err *e)
{
	char dotted[128], *text = NULL;

	switch (tag) {
	case GN_DNS:
		text = subtree && v.n == 0 ? arena_strdup(a, "DNS:") : ascii_text(a, "DNS", v);
		break;
	case GN_EMAIL:
		text = ascii_text(a, "email", v);
		break;
	case GN_URI:
		text = ascii_text(a, "URI", v);
		break;
	case GN_IP:
		text = ip_text(a, v, subtree);
		break;
	case GN_DIR:
		if (name_format(a, v, &text, e) < 0)
			return NULL;
		return arena_printf(a, "dirName:%s", text);
	case GN_OTHER:
		text = other_text(a, v);
		break;
	case GN_RID:
		if (der_oid(v, dotted, sizeof(dotted)))
			text = arena_printf(a, "RID:%s", dotted);
		break;
	case GN_X400:
	case GN_EDI:
		err_set(e, ERR_INVALID, "%s names are not supported", tag == GN_X400 ? "X.400" : "EDI party");
		return NULL;
	}
	if (!text)
		err_set(e, ERR_INVALID,
			"malformed general name, or one with characters that it must not have (RFC 5280 4.2.1.6)");
	return text;
}
