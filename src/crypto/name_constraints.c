/* Name constraints (RFC 5280 4.2.1.10) before anything is signed: the subject and all alternative names of a
 * certificate must lie inside what its issuer may certify. What cannot be compared counts against the name. */
#include <string.h>

#include "base/text.h"
#include "crypto/cert.h"
#include "crypto/dn.h"
#include "crypto/gn.h"
#include "crypto/name.h"

struct names { /* one of the certificate, or one base of a subtree */
	struct {
		int tag;
		struct bytes v;
	} *v;
	size_t n;
};

static void add(struct arena *a, struct names *l, int tag, struct bytes v)
{
	l->v = arena_grow(a, l->v, l->n, sizeof(*l->v));
	l->v[l->n].tag = tag;
	l->v[l->n++].v = v;
}

static bool same_text(struct bytes x, struct bytes y)
{
	return x.n == y.n && (x.n == 0 || strncasecmp((const char *)x.p, (const char *)y.p, x.n) == 0);
}

static struct bytes tail(struct bytes s, size_t n)
{
	return (struct bytes){ s.p + (s.n - n), n };
}

/* `host` is `domain` or below it. A leading dot in the domain, which RFC 5280 does not give DNS names, asks for a
 * name below. */
static bool below(struct bytes host, struct bytes domain)
{
	if (domain.n == 0)
		return true;
	if (host.n < domain.n || !same_text(tail(host, domain.n), domain))
		return false;
	return domain.p[0] == '.' ? host.n > domain.n : host.n == domain.n || host.p[host.n - domain.n - 1] == '.';
}

/* A host of URI or mail: that host itself, or with a leading dot all below. */
static bool host_matches(struct bytes host, struct bytes base)
{
	if (base.n == 0 || base.p[0] != '.')
		return same_text(host, base);
	return host.n > base.n && same_text(tail(host, base.n), base);
}

static bool dns_matches(struct bytes name, struct bytes base, bool excluded)
{
	struct bytes rest = name.n > 2 && name.p[0] == '*' ? tail(name, name.n - 2) : (struct bytes){ 0 };

	/* "*.example.com" stands for "www.example.com" too */
	return below(name, base) || (excluded && rest.n && below(base, rest));
}

static bool email_matches(struct bytes name, struct bytes base)
{
	const unsigned char *at = memrchr(name.p, '@', name.n), *base_at = base.n ? memrchr(base.p, '@', base.n) : NULL;
	size_t local = at ? (size_t)(at - name.p) : 0;
	struct bytes host = at ? tail(name, name.n - local - 1) : name;

	if (!base_at)
		return host_matches(host, base);
	return at && local == (size_t)(base_at - base.p) && memcmp(name.p, base.p, local) == 0 &&
	       same_text(host, tail(base, base.n - local - 1));
}

/* A name without a host is never permitted and always excluded: verifiers refuse it. */
static bool uri_matches(struct bytes name, struct bytes base, bool excluded)
{
	const unsigned char *p = memmem(name.p, name.n, "://", 3), *end = name.p + name.n;
	struct bytes host;

	if (!p)
		return excluded;
	host.p = p += 3;
	while (p < end && !memchr("/?#", *p, 3))
		if (*p++ == '@')
			host.p = p;
	host.n = (size_t)(p - host.p);
	p = memchr(host.p, ':', host.n);
	if (p)
		host.n = (size_t)(p - host.p);
	return host.n ? host_matches(host, base) : excluded;
}

static bool ip_matches(struct bytes name, struct bytes base)
{
	if (base.n != 2 * name.n)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if ((name.p[i] ^ base.p[i]) & base.p[name.n + i])
			return false;
	return true;
}

/* The base's RDNs are the first ones of the name. */
static bool dir_matches(struct arena *a, struct bytes name, struct bytes base)
{
	struct err ignored = { 0 };
	struct dn d, b;

	if (dn_read(a, name, &d, &ignored) < 0 || dn_read(a, base, &b, &ignored) < 0 || d.n < b.n)
		return false;
	if (d.n > b.n && d.v[b.n].joins)
		return false;
	d.n = b.n;
	return name_equal(dn_write(a, &d), dn_write(a, &b));
}

static bool matches(struct arena *a, int tag, struct bytes name, struct bytes base, bool excluded)
{
	switch (tag) {
	case GN_DNS:
		return dns_matches(name, base, excluded);
	case GN_EMAIL:
		return email_matches(name, base);
	case GN_URI:
		return uri_matches(name, base, excluded);
	case GN_IP:
		return ip_matches(name, base);
	case GN_DIR:
		return dir_matches(a, name, base);
	default:
		return bytes_equal(name, base);
	}
}

static int read_subtrees(struct arena *a, struct bytes list, struct names *out, struct err *e)
{
	struct der d = der_of(list), one;
	struct bytes v;
	int tag;

	while (!der_done(&d)) {
		if (!der_expect(&d, DER_SEQUENCE, &v))
			return err_set(e, ERR_INVALID, "malformed nameConstraints (RFC 5280 4.2.1.10)");
		one = der_of(v);
		if (!der_next(&one, &tag, &v, NULL) || !der_done(&one)) /* minimum and maximum must not be there */
			return err_set(e, ERR_INVALID, "malformed nameConstraints (RFC 5280 4.2.1.10)");
		add(a, out, tag, v);
	}
	return 0;
}

static int read_constraints(struct arena *a, struct bytes nc, struct names *permitted, struct names *excluded,
			    struct err *e)
{
	struct der d = der_of(nc);
	struct bytes v;

	if (!der_expect(&d, DER_SEQUENCE, &v) || !der_done(&d))
		return err_set(e, ERR_INVALID, "malformed nameConstraints (RFC 5280 4.2.1.10)");
	d = der_of(v);
	if (der_expect(&d, DER_CTX_CONS, &v) && read_subtrees(a, v, permitted, e) < 0)
		return -1;
	if (der_expect(&d, DER_CTX_CONS + 1, &v) && read_subtrees(a, v, excluded, e) < 0)
		return -1;
	return der_done(&d) ? 0 : err_set(e, ERR_INVALID, "malformed nameConstraints (RFC 5280 4.2.1.10)");
}

static bool looks_like_host(const char *s)
{
	return strchr(s, '.') &&
	       s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.*_")] == 0;
}

/* All names that constraints speak about. Common names count as DNS names where there are no others, as OpenSSL has
 * it: a certificate that verifiers would refuse is not worth signing. */
static int collect(struct arena *a, struct bytes subject, struct bytes san, struct names *out, struct err *e)
{
	struct subject_fields f;
	struct der d = der_of(san);
	struct bytes v = { 0 };
	bool dns = false;
	int tag;

	if (san.n && (!der_expect(&d, DER_SEQUENCE, &v) || !der_done(&d)))
		return err_set(e, ERR_INVALID, "malformed subjectAltName (RFC 5280 4.2.1.6)");
	for (d = der_of(v); !der_done(&d);) {
		if (!der_next(&d, &tag, &v, NULL))
			return err_set(e, ERR_INVALID, "malformed subjectAltName (RFC 5280 4.2.1.6)");
		add(a, out, tag, v);
		dns = dns || tag == GN_DNS;
	}
	if (name_empty(subject))
		return 0;
	add(a, out, GN_DIR, subject);
	if (name_fields(a, subject, &f, e) < 0)
		return -1;
	for (size_t i = 0; i < f.email.n; i++)
		add(a, out, GN_EMAIL, bytes_of(f.email.v[i]));
	for (size_t i = 0; i < f.common_name.n && !dns; i++)
		if (looks_like_host(f.common_name.v[i]))
			add(a, out, GN_DNS, bytes_of(f.common_name.v[i]));
	return 0;
}

static const char *show(struct arena *a, int tag, struct bytes v, bool subtree)
{
	struct err ignored = { 0 };
	const char *text = gn_text(a, tag, v, subtree, &ignored);

	return text ? text_escape(a, bytes_of(text)) : "a name";
}

static int check_one(struct arena *a, int tag, struct bytes v, const struct names *permitted,
		     const struct names *excluded, struct err *e)
{
	const char *only = NULL;

	for (size_t i = 0; i < excluded->n; i++)
		if (excluded->v[i].tag == tag && matches(a, tag, v, excluded->v[i].v, true))
			return err_set(e, ERR_DENIED,
				       "\"%s\" lies in \"%s\", which the issuer's constraints exclude (RFC 5280 "
				       "4.2.1.10)",
				       show(a, tag, v, false), show(a, tag, excluded->v[i].v, true));
	for (size_t i = 0; i < permitted->n; i++) {
		if (permitted->v[i].tag != tag)
			continue;
		if (matches(a, tag, v, permitted->v[i].v, false))
			return 0;
		only = only ? only : show(a, tag, permitted->v[i].v, true);
	}
	if (!only)
		return 0;
	return err_set(e, ERR_DENIED,
		       "\"%s\" is not in what the issuer's name constraints permit, such as \"%s\" (RFC 5280 4.2.1.10)",
		       show(a, tag, v, false), only);
}

int cert_check_name_constraints(struct arena *a, struct bytes nc_value, struct bytes subject, struct bytes san_value,
				struct err *e)
{
	struct names permitted = { 0 }, excluded = { 0 }, names = { 0 };

	if (read_constraints(a, nc_value, &permitted, &excluded, e) < 0 ||
	    collect(a, subject, san_value, &names, e) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (check_one(a, names.v[i].tag, names.v[i].v, &permitted, &excluded, e) < 0)
			return -1;
	return 0;
}
