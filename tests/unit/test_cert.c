/* Certificates: what we read is what OpenSSL reads, of our own and of others' making; chains, CRLs, PEM, serial
 * numbers; and damage of every bit. */
#include "tap.h"

#include "mini_pki.h"

#include "base/text.h"
#include "crypto/bundle.h"
#include "crypto/crl.h"
#include "crypto/digest.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

static struct arena *a;
static struct node root, sub, leaf, stranger;

static X509 *openssl_reads(struct bytes der)
{
	const unsigned char *p = der.p;
	X509 *x = d2i_X509(NULL, &p, (long)der.n);

	return p == der.p + der.n ? x : NULL;
}

static int64_t seconds(const ASN1_TIME *t)
{
	struct tm tm;

	ASN1_TIME_to_tm(t, &tm);
	return timegm(&tm);
}

static void same_as_openssl(struct bytes der, const char *what)
{
	AUTO(X509) *x = openssl_reads(der);
	struct cert c = { 0 };
	struct err e = { 0 };
	const ASN1_OCTET_STRING *id;
	AUTO(BIGNUM) *serial = NULL;
	unsigned char *spki = NULL, *subject = NULL;
	char *hex;
	int n;

	if (!ok(x && cert_parse(a, der, &c, &e) == 0, "%s: read by both: %s", what, e.msg))
		return;
	serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
	hex = BN_bn2hex(serial);
	ok(strcasecmp(hex, cert_serial_hex(a, c.serial)) == 0, "serial %s", hex);
	OPENSSL_free(hex);
	ok(seconds(X509_get0_notBefore(x)) == c.not_before && seconds(X509_get0_notAfter(x)) == c.not_after,
	   "validity");
	n = i2d_X509_NAME(X509_get_subject_name(x), &subject);
	ok(bytes_equal(c.subject, (struct bytes){ subject, (size_t)n }), "subject");
	OPENSSL_free(subject);
	n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &spki);
	ok(bytes_equal(c.spki, (struct bytes){ spki, (size_t)n }), "public key");
	OPENSSL_free(spki);
	is_int(X509_get_ext_count(x), (int64_t)c.exts.n, "extensions");
	ok((X509_check_ca(x) == 1) == c.is_ca, "authority or not");
	is_int(X509_get_pathlen(x), c.path_length, "path length");
	id = X509_get0_subject_key_id(x);
	ok(id ? bytes_equal(c.ski, (struct bytes){ ASN1_STRING_get0_data(id), (size_t)ASN1_STRING_length(id) })
	   : c.ski.n == 0,
	   "subject key id");
	id = X509_get0_authority_key_id(x);
	ok(id ? bytes_equal(c.aki, (struct bytes){ ASN1_STRING_get0_data(id), (size_t)ASN1_STRING_length(id) })
	   : c.aki.n == 0,
	   "authority key id");
}

static struct bytes encoded(X509 *x)
{
	unsigned char *out = NULL;
	int n = i2d_X509(x, &out);
	struct bytes der = { arena_memdup(a, out, (size_t)n), (size_t)n };

	OPENSSL_free(out);
	return der;
}

/* Version 1, version 3 after 2049, and a serial number of 20 octets, as other tools make them. */
static struct bytes foreign(long version, int64_t not_after)
{
	AUTO(X509) *x = X509_new();
	AUTO(BIGNUM) *serial = NULL;
	AUTO(X509_NAME) *name = X509_NAME_new();

	BN_hex2bn(&serial, "ffeeddccbbaa99887766554433221100ffeeddcc");
	X509_set_version(x, version);
	BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(x));
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"old", -1, -1, 0);
	X509_set_subject_name(x, name);
	X509_set_issuer_name(x, name);
	ASN1_TIME_set(X509_getm_notBefore(x), T0);
	ASN1_TIME_set(X509_getm_notAfter(x), not_after);
	X509_set_pubkey(x, root.key);
	if (version == 2) {
		X509_EXTENSION *bc = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints,
							 "critical,CA:TRUE,pathlen:4");

		X509_add_ext(x, bc, -1);
		X509_EXTENSION_free(bc);
	}
	X509_sign(x, root.key, EVP_sha256());
	return encoded(x);
}

static void reading(void)
{
	struct bytes two = { 0 };
	struct err e = { 0 };
	struct cert c;
	char *text;

	same_as_openssl(root.der, "root");
	same_as_openssl(leaf.der, "leaf");
	same_as_openssl(foreign(0, T0 + DAY), "version 1");
	same_as_openssl(foreign(2, INT64_C(2600000000)), "2052");
	ok(cert_self_issued(&root.cert) && !cert_self_issued(&leaf.cert), "self-issued");
	ok(cert_issued_by(&leaf.cert, &sub.cert) && cert_issued_by(&sub.cert, &root.cert), "issued by");
	ok(!cert_issued_by(&leaf.cert, &root.cert) && !cert_issued_by(&leaf.cert, &stranger.cert), "not issued by");
	text = (char *)arena_memdup(a, leaf.der.p, leaf.der.n + 1);
	ok(cert_parse(a, (struct bytes){ (unsigned char *)text, leaf.der.n + 1 }, &c, &e) < 0, "trailing byte: %s",
	   e.msg);
	two = cert_pem(a, leaf.der);
	ok(cert_parse(a, two, &c, &e) == 0 && bytes_equal(c.der, leaf.der), "PEM");
	text = arena_printf(a, "serial_number: x\nsubject: \"CN=a\"\n%s", (const char *)two.p);
	ok(cert_parse(a, bytes_of(text), &c, &e) == 0, "PEM with a head");
	text = arena_printf(a, "%s%s", (const char *)two.p, (const char *)two.p);
	ok(cert_parse(a, bytes_of(text), &c, &e) < 0, "two: %s", e.msg);
	ok(cert_parse(a, bytes_of("-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n"), &c, &e) < 0,
	   "damaged: %s", e.msg);
	ok(cert_parse(a, bytes_of("hello"), &c, &e) < 0 && cert_parse(a, bytes_of(""), &c, &e) < 0, "nothing: %s",
	   e.msg);
	is_str(cert_fingerprint(a, &leaf.cert), sha256_hex(a, leaf.der), "fingerprint");
}

static void splitting(void)
{
	struct bytes all[] = { leaf.der, sub.der, root.der }, *v, p7, pem;
	struct err e = { 0 };
	char *text;
	size_t n;

	text = arena_printf(a, "# chain\r\n%s%s\n%s", (const char *)cert_pem(a, leaf.der).p,
			    (const char *)cert_pem(a, sub.der).p,
			    (const char *)cert_pem(a, root.der).p);
	ok(cert_split(a, bytes_of(text), &v, &n, &e) == 0 && n == 3 && bytes_equal(v[2], root.der), "PEM chain");
	ok(cert_split(a, leaf.der, &v, &n, &e) == 0 && n == 1, "DER");
	ok(p7_certs(a, all, 3, &p7, &e) == 0, "make PKCS#7");
	ok(cert_split(a, p7, &v, &n, &e) == 0 && n == 3 && bytes_equal(v[0], leaf.der) && bytes_equal(v[2], root.der),
	   "PKCS#7 DER");
	pem = pem_encode(a, "PKCS7", p7);
	ok(cert_split(a, pem, &v, &n, &e) == 0 && n == 3, "PKCS#7 PEM");
	ok(cert_split(a, bytes_of(b64_encode(a, p7)), &v, &n, &e) == 0 && n == 3, "bare base64");
	ok(cert_split(a, bytes_of("hello"), &v, &n, &e) < 0, "nothing: %s", e.msg);
	ok(cert_split(a, bytes_of("-----BEGIN CERTIFICATE-----\nAAAA\n"), &v, &n, &e) < 0, "no end: %s", e.msg);
}

static void serials(void)
{
	static const struct {
		const char *in, *out;
	} t[] = { { "5F:3a-01", "5f3a01" }, { "0x5F3", "5f3" }, { "5f3a", "5f3a" }, { "", NULL }, { "xyz", NULL },
		  { "5f 3a", "5f3a" },
		  { "0x", NULL }, { "5f3a\n", NULL }, { "0123456789012345678901234567890123456789012", NULL } };
	struct err e = { 0 };
	char *out;

	for (size_t i = 0; i < COUNT(t); i++) {
		int rc = serial_normalise(a, t[i].in, &out, &e);

		if (t[i].out)
			is_str(rc == 0 ? out : e.msg, t[i].out, t[i].in);
		else
			ok(rc < 0, "refused: %s", e.msg);
	}
	is_str(cert_serial_hex(a, (struct bytes){ (const unsigned char *)"\0\xff\x01", 3 }), "ff01", "no sign octet");
	is_str(cert_serial_hex(a, (struct bytes){ (const unsigned char *)"\0", 1 }), "00", "zero");
}

static struct bytes crl_of(const struct node *ca, const struct node *revoked, int64_t this_update)
{
	struct crl_head head =
		{ .issuer = ca->cert.subject, .this_update = this_update, .next_update = this_update + 30 * DAY };
	AUTO(crl_builder) *b = NULL;
	struct err e = { 0 };
	struct bytes der = { 0 };

	ext_aki(a, &head.exts, ca->cert.ski);
	crl_ext_number(a, &head.exts, OID_CRL_NUMBER, "1");
	b = crl_new(&head);
	if (revoked) {
		struct crl_entry entry = { .serial = revoked->cert.serial, .time = this_update, .reason = 1 };

		if (crl_add(b, &entry, &e) < 0)
			printf("# %s\n", e.msg);
	}
	if (crl_sign(a, b, ca->key, sigalg_default(ca->key), &der, &e) < 0)
		printf("# %s\n", e.msg);
	return der;
}

static void paths(void)
{
	struct bytes chain[] = { sub.der }, roots[] = { root.der }, part[] = { sub.der }, other[] = { stranger.der };
	struct bytes good[] = { crl_of(&sub, NULL, T0), crl_of(&root, NULL, T0) };
	struct bytes revoked[] = { crl_of(&sub, &leaf, T0), good[1] };
	struct bytes above[] = { good[0], crl_of(&root, &sub, T0) };
	int64_t now = T0 + 10 * DAY;
	struct err e = { 0 };

	ok(cert_verify(leaf.der, chain, 1, roots, 1, NULL, 0, now, &e) == 0, "chain to the root %s", e.msg);
	ok(cert_verify(leaf.der, NULL, 0, part, 1, NULL, 0, now, &e) == 0, "a trusted authority need not be a root %s",
	   e.msg);
	ok(cert_verify(leaf.der, NULL, 0, roots, 1, NULL, 0, now, &e) < 0 && e.code == ERR_CHECK,
	   "a link is missing: %s", e.msg);
	ok(cert_verify(leaf.der, chain, 1, other, 1, NULL, 0, now, &e) < 0, "another root: %s", e.msg);
	ok(cert_verify(leaf.der, chain, 1, roots, 1, NULL, 0, T0 + 101 * DAY, &e) < 0 && strstr(e.msg, "expired"),
	   "later: %s", e.msg);
	ok(cert_verify(leaf.der, chain, 1, roots, 1, NULL, 0, T0 - DAY, &e) < 0, "before: %s", e.msg);
	ok(cert_verify(leaf.der, chain, 1, roots, 1, good, 2, now, &e) == 0, "with CRLs %s", e.msg);
	ok(cert_verify(leaf.der, chain, 1, roots, 1, revoked, 2, now, &e) < 0 && strstr(e.msg, "revoked"),
	   "revoked: %s", e.msg);
	ok(cert_verify(leaf.der, chain, 1, roots, 1, above, 2, now, &e) < 0 && strstr(e.msg, "depth 1"),
	   "authority revoked: %s", e.msg);
	ok(cert_verify(leaf.der, chain, 1, roots, 1, good, 1, now, &e) < 0, "a CRL is missing: %s", e.msg);
	ok(cert_verify(leaf.der, chain, 1, roots, 1, good, 2, T0 + 40 * DAY, &e) < 0, "CRL too old: %s", e.msg);
	ok(cert_verify(leaf.der, NULL, 0, part, 1, good, 1, now, &e) == 0, "nobody revokes a trust anchor %s", e.msg);
}

/* Our check before signing and OpenSSL's check of what was signed must agree. */
static void constrained(void)
{
	static const char *const names[] =
		{ "DNS:a.example.com", "DNS:a.example.org", "DNS:bad.example.com", "IP:10.1.1.1",
					     "IP:11.1.1.1",	  "email:a@example.com", "email:a@x.example.com",
		  "URI:https://a.example.com/", "URI:https://bad.example.com/", "URI:urn:x", "URI:mailto:a@b.example",
		  "URI:file:///x" };
	struct name_constraints nc = { .permitted.set = true };
	struct exts x = { 0 };
	struct err e = { 0 };
	struct node ca;

	nc.permitted.v = arena_new_array(a, 3, char *);
	nc.permitted.n = 3;
	nc.permitted.v[0] = arena_strdup(a, "DNS:example.com");
	nc.permitted.v[1] = arena_strdup(a, "IP:10.0.0.0/8");
	nc.permitted.v[2] = arena_strdup(a, "email:example.com");
	nc.excluded.v = arena_new_array(a, 2, char *);
	nc.excluded.n = 2;
	nc.excluded.v[0] = arena_strdup(a, "DNS:bad.example.com");
	nc.excluded.v[1] = arena_strdup(a, "URI:bad.example.com");
	ok(ext_name_constraints(a, &x, &nc, &e) == 0, "constraints");
	ca = make_node(a, &root, "CN=constrained", true, NULL, &x);
	for (size_t i = 0; i < COUNT(names); i++) {
		struct node n = make_node(a, &ca, "CN=x", false, names[i], NULL);
		bool ours = cert_check_name_constraints(a, exts_find(&ca.cert.exts, OID_NC)->value, n.cert.subject,
							exts_find(&n.cert.exts, OID_SAN)->value, &e) == 0;
		bool theirs = cert_verify(n.der, &ca.der, 1, &root.der, 1, NULL, 0, T0 + DAY, &e) == 0;

		ok(ours == theirs, "%s: %s", names[i], ours ? "permitted" : e.msg);
		EVP_PKEY_free(n.key);
	}
	EVP_PKEY_free(ca.key);
}

static void mutations(void)
{
	size_t parsed = 0, stricter = 0, verified = 0;

	for (size_t i = 0; i < leaf.der.n * 9; i++) {
		SCOPED_ARENA *scratch = arena_new();
		unsigned char *copy = arena_memdup(scratch, leaf.der.p, leaf.der.n);
		struct bytes m = { copy, i < leaf.der.n * 8 ? leaf.der.n : i - leaf.der.n * 8 };
		struct err e = { 0 };
		struct cert c;

		if (m.n == leaf.der.n)
			copy[i / 8] ^= (unsigned char)(1 << i % 8);
		if (cert_parse(scratch, m, &c, &e) < 0)
			continue;
		parsed++;
		verified += cert_issued_by(&c, &sub.cert);
		for (size_t k = 0; k < c.exts.n; k++)
			ext_describe(scratch, &c.exts.v[k]);
		AUTO(X509) *x = openssl_reads(m);
		stricter += !x;
	}
	ok(parsed > 0, "%zu damaged certificates still have the form of one", parsed);
	is_int((int64_t)stricter, 0, "none that OpenSSL would not read");
	is_int((int64_t)verified, 0, "none has a good signature");
	ERR_clear_error();
}

int main(void)
{
	a = arena_new();
	root = make_node(a, NULL, "CN=Root,O=Acme", true, NULL, NULL);
	sub = make_node(a, &root, "CN=Sub,O=Acme", true, NULL, NULL);
	leaf = make_node(a, &sub, "CN=dev-1", false, "DNS:dev-1.example", NULL);
	stranger = make_node(a, NULL, "CN=Sub,O=Acme", true, NULL, NULL);
	reading();
	splitting();
	serials();
	paths();
	constrained();
	mutations();
	EVP_PKEY_free(root.key);
	EVP_PKEY_free(sub.key);
	EVP_PKEY_free(leaf.key);
	EVP_PKEY_free(stranger.key);
	arena_free(a);
	return done();
}
