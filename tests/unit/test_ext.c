/* Extensions: each kind is built, printed by OpenSSL, read back by us, and damaged bit by bit. */
#include "tap.h"

#include "base/text.h"
#include "crypto/cert.h"
#include "crypto/name.h"

#include <openssl/x509v3.h> /* last: its KU_ macros are not ours */

static struct arena *a;

static struct strv list(const char *one, ...)
{
	struct strv l = { .set = true };
	va_list ap;

	va_start(ap, one);
	for (const char *s = one; s; s = va_arg(ap, const char *)) {
		l.v = arena_grow(a, l.v, l.n, sizeof(*l.v));
		l.v[l.n++] = arena_strdup(a, s);
	}
	va_end(ap);
	return l;
}

/* As `openssl x509 -text` prints it, on one line; "critical" in front. */
static const char *by_openssl(const struct ext *x)
{
	AUTO(BIO) *bio = BIO_new(BIO_s_mem());
	ASN1_OBJECT *oid = OBJ_txt2obj(x->oid, 1);
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509_EXTENSION *ext;
	char *text;
	long n;

	ASN1_OCTET_STRING_set(value, x->value.p, (int)x->value.n);
	ext = X509_EXTENSION_create_by_OBJ(NULL, oid, x->critical, value);
	if (x->critical)
		BIO_puts(bio, "critical ");
	if (X509V3_EXT_print(bio, ext, X509V3_EXT_ERROR_UNKNOWN, 0) != 1)
		BIO_puts(bio, "not read by OpenSSL");
	X509_EXTENSION_free(ext);
	ASN1_OCTET_STRING_free(value);
	ASN1_OBJECT_free(oid);
	n = BIO_get_mem_data(bio, &text);
	text = n > 0 ? arena_strndup(a, text, (size_t)n) : arena_strdup(a, "");
	for (char *p = text; *p; p++)
		*p = *p == '\n' ? '|' : *p;
	return text;
}

/* What versions of OpenSSL print differently: "othername: UPN::x" or "UPN:x", with a line end after the last or not. */
static char *plain(const char *text)
{
	char *out = arena_strdup(a, text), *to = out;

	for (const char *p = text; *p; p++)
		if (!(p[0] == ':' && p[1] == ':' && strstr(text, "othername")) && !(p[0] == '|' && p[1] == '\0'))
			*to++ = *p;
	*to = '\0';
	return out;
}

static void is_ext(const struct exts *x, const char *oid, const char *openssl, const char *ours)
{
	const struct ext *one = exts_find(x, oid);

	if (!ok(one != NULL, "has %s", oid))
		return;
	is_str(plain(by_openssl(one)), plain(openssl), "as OpenSSL reads it");
	is_str(ext_describe(a, one), ours, "as we describe it");
}

static void simple(void)
{
	struct exts x = { 0 };
	struct err e = { 0 };
	struct strv eku = list("serverAuth", "clientAuth", "1.3.6.1.4.1.99999.5", NULL), back;
	struct strv stamp = list("timeStamping", NULL), both = list("timeStamping", "clientAuth", NULL), none = { 0 };
	unsigned char id[] = { 1, 2, 3, 0xff };
	bool ca;
	int64_t len;
	unsigned bits;

	ext_basic_constraints(a, &x, true, 0);
	is_ext(&x, OID_BC, "critical CA:TRUE, pathlen:0", "basicConstraints critical: CA, path length 0");
	ext_basic_constraints(a, &x, true, -1);
	is_ext(&x, OID_BC, "critical CA:TRUE", "basicConstraints critical: CA");
	ext_basic_constraints(a, &x, false, -1);
	is_ext(&x, OID_BC, "CA:FALSE", "basicConstraints: end entity");
	is_int((int64_t)x.n, 1, "one of a kind");
	for (unsigned i = 1; i < 512; i++) {
		ext_key_usage(a, &x, i);
		if (ext_parse_key_usage(exts_find(&x, OID_KU)->value, &bits, &e) < 0 || bits != i)
			break;
	}
	is_int(bits, 511, "all sets of key usage bits survive");
	is_ext(&x, OID_KU,
	       "critical Digital Signature, Non Repudiation, Key Encipherment, Data Encipherment, Key Agreement, "
	       "Certificate Sign, CRL Sign, Encipher Only, Decipher Only",
	       "keyUsage critical: digitalSignature, contentCommitment, keyEncipherment, dataEncipherment, "
	       "keyAgreement, keyCertSign, cRLSign, encipherOnly, decipherOnly");
	ext_key_usage(a, &x, 1 | 1 << 2);
	is_ext(&x, OID_KU, "critical Digital Signature, Key Encipherment",
	       "keyUsage critical: digitalSignature, keyEncipherment");
	ok(ext_eku(a, &x, &eku, &e) == 0, "usages");
	is_ext(&x, OID_EKU, "TLS Web Server Authentication, TLS Web Client Authentication, 1.3.6.1.4.1.99999.5",
	       "extKeyUsage: serverAuth, clientAuth, 1.3.6.1.4.1.99999.5");
	ok(ext_parse_eku(a, exts_find(&x, OID_EKU)->value, &back, &e) == 0 && back.n == 3, "and back");
	ok(ext_eku(a, &x, &stamp, &e) == 0, "time stamping");
	is_ext(&x, OID_EKU, "critical Time Stamping", "extKeyUsage critical: timeStamping");
	ok(ext_eku(a, &x, &both, &e) < 0, "time stamping is alone: %s", e.msg);
	x = (struct exts){ 0 };
	ok(ext_eku(a, &x, &none, &e) == 0 && x.n == 0, "no usage, no extension");
	ext_ski(a, &x, (struct bytes){ id, 4 });
	is_ext(&x, OID_SKI, "01:02:03:FF", "subjectKeyIdentifier: 010203ff");
	ext_aki(a, &x, (struct bytes){ id, 4 });
	is_ext(&x, OID_AKI, strstr(by_openssl(exts_find(&x, OID_AKI)), "keyid") ? "keyid:01:02:03:FF" : "01:02:03:FF",
	       "authorityKeyIdentifier: 010203ff");
	ext_must_staple(a, &x);
	is_ext(&x, OID_TLS_FEATURE, "status_request", "tlsFeature: status_request (must staple)");
	ext_ocsp_nocheck(a, &x);
	is_ext(&x, OID_OCSP_NOCHECK, "", "ocspNoCheck: yes");
	ok(ext_parse_basic_constraints((struct bytes){ (const unsigned char *)"\x30\x03\x02\x01\x05", 5 }, &ca, &len,
				       &e) < 0,
	   "a path length without CA is refused: %s", e.msg);
	ok(ext_parse_basic_constraints((struct bytes){ (const unsigned char *)"\x30\x03\x01\x01\x01", 5 }, &ca, &len,
				       &e) < 0,
	   "TRUE must be 0xff");
	ok(ext_parse_key_usage((struct bytes){ (const unsigned char *)"\x03\x02\x07\x00", 4 }, &bits, &e) < 0,
	   "no bit: %s", e.msg);
	ok(ext_parse_key_usage((struct bytes){ (const unsigned char *)"\x03\x03\x06\x80\x40", 5 }, &bits, &e) < 0,
	   "bit 9: %s", e.msg);
}

static void places(void)
{
	struct exts x = { 0 };
	struct err e = { 0 };
	struct strv crl = list("http://a.example/ca.crl", "http://b.example/ca.crl", NULL);
	struct strv bad = list("a.example/ca.crl", NULL);
	struct strv ocsp = list("http://ocsp.example", NULL), issuer = list("http://a.example/ca.cer", NULL);
	struct strv idn = list("http://bücher.example:8080/ü", NULL), idn2 = list("http://bücher.example:8080/x", NULL);
	struct policy_info p[] = { { arena_strdup(a, "2.5.29.32.0"), NULL, NULL },
				   { arena_strdup(a, "1.3.6.1.4.1.99999.2"), arena_strdup(a, "https://cps.example/"),
				     arena_strdup(a, "Für Geräte") } };
	struct name_constraints nc =
		{ list("DNS:example.com", "IP:10.0.0.0/8", "email:example.com", "URI:.example.com", NULL),
				       list("DNS:bad.example.com", "IP:2001:db8::/32", "dirName:O=Evil", NULL) };

	ok(ext_cdp(a, &x, OID_CDP, &crl, (struct bytes){ 0 }, &e) == 0, "distribution points %s", e.msg);
	is_ext(&x, OID_CDP, "Full Name:|  URI:http://a.example/ca.crl|  URI:http://b.example/ca.crl",
	       "cRLDistributionPoints: URI:http://a.example/ca.crl, URI:http://b.example/ca.crl");
	ok(ext_cdp(a, &x, OID_FRESHEST, &crl, (struct bytes){ 0 }, &e) == 0, "freshest");
	ok(strstr(by_openssl(exts_find(&x, OID_FRESHEST)), "URI:http://a.example/ca.crl") != NULL, "freshest CRL");
	ok(ext_cdp(a, &x, OID_CDP, &bad, (struct bytes){ 0 }, &e) < 0, "no scheme: %s", e.msg);
	ok(ext_cdp(a, &x, OID_CDP, &idn, (struct bytes){ 0 }, &e) < 0, "path not ASCII: %s", e.msg);
	ok(ext_cdp(a, &x, OID_CDP, &idn2, (struct bytes){ 0 }, &e) == 0, "international host");
	is_ext(&x, OID_CDP, "Full Name:|  URI:http://xn--bcher-kva.example:8080/x",
	       "cRLDistributionPoints: URI:http://xn--bcher-kva.example:8080/x");
	ok(ext_aia(a, &x, &ocsp, &issuer, &e) == 0, "aia");
	is_ext(&x, OID_AIA, "OCSP - URI:http://ocsp.example|CA Issuers - URI:http://a.example/ca.cer",
	       "authorityInfoAccess: OCSP URI:http://ocsp.example, CA issuers URI:http://a.example/ca.cer");
	ok(ext_policies(a, &x, p, 2, &e) == 0, "policies");
	is_ext(&x, OID_CP,
	       "Policy: X509v3 Any Policy|Policy: 1.3.6.1.4.1.99999.2|  CPS: https://cps.example/|  User Notice:|    "
	       "Explicit Text: F\xc3\xbcr Ger\xc3\xa4te",
	       "certificatePolicies: 2.5.29.32.0, 1.3.6.1.4.1.99999.2");
	ok(ext_name_constraints(a, &x, &nc, &e) == 0, "name constraints %s", e.msg);
	is_ext(&x, OID_NC,
	       "critical Permitted:|  DNS:example.com|  IP:10.0.0.0/255.0.0.0|  email:example.com|  "
	       "URI:.example.com|Excluded:|  DNS:bad.example.com|  IP:2001:DB8:0:0:0:0:0:0/FFFF:FFFF:0:0:0:0:0:0|  "
	       "DirName:O = Evil",
	       "nameConstraints critical: permitted DNS:example.com, permitted IP:10.0.0.0/8, permitted "
	       "email:example.com, permitted URI:.example.com, excluded DNS:bad.example.com, excluded "
	       "IP:2001:db8::/32, excluded dirName:O=Evil");
	for (size_t i = 0; i < 5; i++) {
		static const char *const wrong[] =
			{ "DNS:.example.com", "IP:10.0.0.1/8", "IP:10.0.0.0/33", "IP:10.0.0.0", "DNS:*.a" };
		struct name_constraints one = { list(wrong[i], NULL), { 0 } };

		ok(ext_name_constraints(a, &x, &one, &e) < 0, "%s: %s", wrong[i], e.msg);
	}
}

static void alt_names(void)
{
	static const char *const bad[] =
		{ "",	      "DNS:",	 "DNS:a b",    "IP:1.2.3",  "email:x",	    "email:a b@c", "URI:x",
					   "URI:a:\n", "RID:3.1", "otherName:x", "otherName:1.2;zz",
					   "otherName:1.2;0c05", "dirName:",
					   "dirName:XX", "DNS:*.*.a", "IP:1.2.3.4/8", "otherName:1.2;UTF8:" };
	struct exts x = { 0 };
	struct err e = { 0 };
	struct bytes value = { 0 }, again;
	struct strv back, in = list("a.example", "DNS:*.b.example", "10.1.2.3", "IP:2001:db8::1", "jo@example.com",
				    "https://x.example/y",
				    "URI:urn:dev:mac:0024befffe804ff1", "RID:1.2.3.4", "dirName:CN=x\\,y,O=z",
				    "otherName:1.3.6.1.4.1.311.20.2.3;UTF8:jo@corp", "otherName:1.2.3.4;0201ff",
				    "DNS:a.example", NULL);

	ok(san_build(a, &in, &value, &e) == 0, "build %s", e.msg);
	exts_add(a, &x, OID_SAN, false, value);
	is_ext(&x, OID_SAN,
	       "DNS:a.example, DNS:*.b.example, IP Address:10.1.2.3, IP Address:2001:DB8:0:0:0:0:0:1, "
	       "email:jo@example.com, URI:https://x.example/y, URI:urn:dev:mac:0024befffe804ff1, Registered "
	       "ID:1.2.3.4, DirName:/CN=x,y/O=z, othername: UPN::jo@corp, othername: 1.2.3.4::<unsupported>",
	       "subjectAltName: DNS:a.example, DNS:*.b.example, IP:10.1.2.3, IP:2001:db8::1, email:jo@example.com, "
	       "URI:https://x.example/y, URI:urn:dev:mac:0024befffe804ff1, RID:1.2.3.4, dirName:CN=x\\,y,O=z, "
	       "otherName:1.3.6.1.4.1.311.20.2.3;UTF8:jo@corp, otherName:1.2.3.4;0201ff");
	ok(san_parse(a, value, &back, &e) == 0 && back.n == 11, "parse, and a double name is written once");
	ok(san_build(a, &back, &again, &e) == 0 && bytes_equal(value, again), "what is parsed builds the same");
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct strv one = list(bad[i], NULL);

		e = (struct err){ 0 };
		ok(san_build(a, &one, &again, &e) < 0 && e.msg[0], "refused \"%s\": %s",
		   text_escape(a, bytes_of(bad[i])), e.msg);
	}
	ok(san_parse(a, (struct bytes){ (const unsigned char *)"\x30\x05\x82\x03" "a\0b", 7 }, &back, &e) < 0,
	   "NUL: %s", e.msg);
	ok(san_parse(a, (struct bytes){ (const unsigned char *)"\x30\x00", 2 }, &back, &e) < 0, "empty: %s", e.msg);
}

static void custom(void)
{
	static const struct {
		const char *asn1, *der, *hex;
	} t[] = {
		{ "UTF8String:é", NULL, "0c02c3a9" },	{ "INTEGER:5", NULL, "020105" },
			{ "INTEGER:-129", NULL, "0202ff7f" },
		{ "INTEGER:128", NULL, "02020080" },	{ "INTEGER:0", NULL, "020100" },
		{ "INTEGER:-9223372036854775808", NULL, "02088000000000000000" },	  { "BOOLEAN:true", NULL,
											    "0101ff" },
		{ "OCTETSTRING:00ff", NULL, "040200ff" },
		{ "NULL", NULL, "0500" },	  { "OID:1.2.840", NULL, "06032a8648" },
		{ "IA5String:x", NULL, "160178" },	{ "PrintableString:x", NULL, "130178" },
		{ NULL, "0500", "0500" },
		{ "INTEGER:", NULL, NULL },		{ "INTEGER:9223372036854775808", NULL, NULL },
		{ "BOOLEAN:x", NULL, NULL },
		{ "PrintableString:*", NULL, NULL },	{ "FOO:1", NULL, NULL },	  { NULL, "05", NULL },
		{ NULL, "050000", NULL },
		{ NULL, NULL, NULL },			{ "NULL", "0500", NULL },	  { "NULL:x", NULL, NULL },
	};

	for (size_t i = 0; i < COUNT(t); i++) {
		struct custom_extension c = { .oid = arena_strdup(a, "1.2.3.4"), .der = arena_strdup(a, t[i].der),
					      .asn1 = arena_strdup(a, t[i].asn1) };
		struct exts x = { 0 };
		struct err e = { 0 };
		int rc = ext_custom(a, &x, &c, &e);

		if (t[i].hex)
			is_str(rc == 0 ? hex_encode(a, x.v[0].value) : e.msg, t[i].hex, t[i].asn1 ? t[i].asn1
			       : t[i].der);
		else
			ok(rc < 0 && e.msg[0], "refused: %s", e.msg);
	}
}

/* A list of all kinds: written, read, and then damaged. */
static void whole(void)
{
	static unsigned char buf[4096];
	struct derw w = derw_init(buf, sizeof(buf));
	struct exts x = { 0 }, back = { 0 };
	struct err e = { 0 };
	struct strv names = list("a.example", "10.0.0.1", NULL), uris = list("http://a.example/", NULL);
	struct strv eku = list("clientAuth", NULL);
	struct name_constraints nc = { list("DNS:a", NULL), list("IP:10.0.0.0/8", NULL) };
	struct bytes der, san = { 0 };
	size_t read = 0;

	ext_basic_constraints(a, &x, true, 3);
	ext_key_usage(a, &x, 0x61);
	ok(ext_eku(a, &x, &eku, &e) == 0 && ext_cdp(a, &x, OID_CDP, &uris, (struct bytes){ 0 }, &e) == 0 &&
	   ext_aia(a, &x, &uris, &uris, &e) == 0 &&
		   san_build(a, &names, &san, &e) == 0 && ext_name_constraints(a, &x, &nc, &e) == 0,
	   "make all");
	exts_add(a, &x, OID_SAN, false, san);
	exts_write(&w, &x);
	der = derw_bytes(&w);
	ok(!w.over && exts_parse(a, der, &back, &e) == 0 && back.n == x.n, "write and read %s", e.msg);
	for (size_t i = 0; i < x.n; i++)
		ok(strcmp(x.v[i].oid, back.v[i].oid) == 0 && x.v[i].critical == back.v[i].critical &&
			   bytes_equal(x.v[i].value, back.v[i].value),
		   "%s", x.v[i].oid);
	for (size_t i = 0; i < der.n * 9; i++) {
		SCOPED_ARENA *scratch = arena_new();
		unsigned char *copy = arena_memdup(scratch, der.p, der.n);
		struct bytes m = { copy, i < der.n * 8 ? der.n : i - der.n * 8 };

		if (m.n == der.n)
			copy[i / 8] ^= (unsigned char)(1 << i % 8);
		if (exts_parse(scratch, m, &back, &e) < 0)
			continue;
		read++;
		for (size_t k = 0; k < back.n; k++)
			ext_describe(scratch, &back.v[k]);
	}
	ok(read > 0 && read < der.n * 8, "%zu damaged lists are still lists", read);
}

static void constraints(void)
{
	static const struct {
		const char *permitted, *excluded, *subject, *san;
		bool good;
	} t[] = {
		{ "DNS:example.com", NULL, "CN=x", "DNS:example.com", true },
		{ "DNS:example.com", NULL, "CN=x", "DNS:A.Example.COM", true },
		{ "DNS:example.com", NULL, "CN=x", "DNS:badexample.com", false },
		{ "DNS:example.com", NULL, "CN=x", "DNS:example.com.evil.org", false },
		{ "DNS:example.com", NULL, "CN=x", "IP:10.0.0.1", true },
		{ "DNS:example.com", NULL, "CN=www.evil.org", NULL, false },
		{ "DNS:example.com", NULL, "CN=Acme Sensor 7", NULL, true },
		{ NULL, "DNS:secret.example.com", "CN=x", "DNS:*.example.com", false },
		{ NULL, "DNS:secret.example.com", "CN=x", "DNS:www.example.com", true },
		{ NULL, "DNS:", "CN=x", "DNS:a", false },
		{ "IP:10.0.0.0/8", NULL, "CN=x", "IP:10.255.0.1", true },
		{ "IP:10.0.0.0/8", NULL, "CN=x", "IP:11.0.0.1", false },
		{ "IP:10.0.0.0/8", NULL, "CN=x", "IP:2001:db8::1", false },
		{ "IP:2001:db8::/33", NULL, "CN=x", "IP:2001:db8:7fff::1", true },
		{ "IP:2001:db8::/33", NULL, "CN=x", "IP:2001:db8:8000::1", false },
		{ "email:example.com", NULL, "CN=x", "email:jo@example.com", true },
		{ "email:example.com", NULL, "CN=x", "email:jo@a.example.com", false },
		{ "email:.example.com", NULL, "CN=x", "email:jo@a.example.com", true },
		{ "email:jo@example.com", NULL, "CN=x", "email:jo@EXAMPLE.com", true },
		{ "email:jo@example.com", NULL, "CN=x", "email:Jo@example.com", false },
		{ "email:example.com", NULL, "CN=x,email=jo@evil.org", NULL, false },
		{ "URI:example.com", NULL, "CN=x", "URI:https://example.com/a@b", true },
		{ "URI:example.com", NULL, "CN=x", "URI:https://example.com@evil.org/", false },
		{ "URI:example.com", NULL, "CN=x", "URI:https://u@example.com:8443/", true },
		{ "URI:.example.com", NULL, "CN=x", "URI:https://a.example.com", true },
		{ "URI:.example.com", NULL, "CN=x", "URI:https://example.com", false },
		{ "URI:example.com", NULL, "CN=x", "URI:urn:x", false },
		{ NULL, "URI:example.com", "CN=x", "URI:urn:x", false },
		{ NULL, "URI:example.com", "CN=x", "URI:https:///a", false },
		{ NULL, "URI:example.com", "CN=x", "URI:https://example.org", true },
		{ "dirName:C=US,O=Acme", NULL, "C=US,O=acme,CN=x", NULL, true },
		{ "dirName:C=US,O=Acme", NULL, "O=Acme,C=US,CN=x", NULL, false },
		{ "dirName:C=US,O=Acme", NULL, "C=US", NULL, false },
		{ NULL, "dirName:O=Evil", "O=Evil,CN=x", NULL, false },
	};

	for (size_t i = 0; i < COUNT(t); i++) {
		struct name_constraints nc = { t[i].permitted ? list(t[i].permitted, NULL) : (struct strv){ 0 },
					       t[i].excluded ? list(t[i].excluded, NULL) : (struct strv){ 0 } };
		struct strv names = t[i].san ? list(t[i].san, NULL) : (struct strv){ 0 };
		struct bytes subject = { 0 }, san = { 0 };
		struct exts x = { 0 };
		struct err e = { 0 };
		int rc;

		if (ext_name_constraints(a, &x, &nc, &e) < 0 || name_parse(a, t[i].subject, &subject, &e) < 0 ||
		    (names.n && san_build(a, &names, &san, &e) < 0)) {
			ok(false, "row %zu: %s", i, e.msg);
			continue;
		}
		rc = cert_check_name_constraints(a, x.v[0].value, subject, san, &e);
		ok((rc == 0) == t[i].good, "%s %s: %s %s: %s", t[i].permitted ? t[i].permitted : "not",
		   t[i].excluded ? t[i].excluded : "", t[i].subject, t[i].san ? t[i].san : "", rc ? e.msg : "good");
	}
}

int main(void)
{
	a = arena_new();
	simple();
	places();
	alt_names();
	custom();
	whole();
	constraints();
	arena_free(a);
	return done();
}
