/* Distinguished names: text to DER and back, the rules for values, merging, comparison. What we write is read again by
 * OpenSSL's X509_NAME and printed by it. */
#include "tap.h"

#include "base/text.h"
#include "crypto/der.h"
#include "crypto/idn.h"
#include "crypto/name.h"
#include "crypto/ossl.h"

static struct arena *a;

static const char *by_openssl(struct bytes der)
{
	AUTO(X509_NAME) *name = NULL;
	AUTO(BIO) *bio = BIO_new(BIO_s_mem());
	const unsigned char *p = der.p;
	char *text;
	long n;

	name = d2i_X509_NAME(NULL, &p, (long)der.n);
	if (!name || p != der.p + der.n)
		return "not read by OpenSSL";
	X509_NAME_print_ex(bio, name, 0, (XN_FLAG_RFC2253 & ~XN_FLAG_DN_REV & ~ASN1_STRFLGS_ESC_MSB));
	n = BIO_get_mem_data(bio, &text);
	return n > 0 ? arena_strndup(a, text, (size_t)n) : "";
}

static void good(const char *text, const char *openssl, const char *ours)
{
	struct err e = { 0 };
	struct bytes der = { 0 }, again = { 0 };
	char *out = NULL;

	if (!ok(name_parse(a, text, &der, &e) == 0, "parse %s %s", text_escape(a, bytes_of(text)), e.msg))
		return;
	is_str(by_openssl(der), openssl, text);
	ok(name_format(a, der, &out, &e) == 0, "format");
	is_str(out, ours, "as we print it");
	ok(name_parse(a, out, &again, &e) == 0 && bytes_equal(der, again), "what is printed reads as the same: %s",
	   e.msg);
	ok(name_check(der, &e) == 0, "passes the check: %s", e.msg);
}

static void bad(const char *text, const char *why)
{
	struct err e = { 0 };
	struct bytes der;

	ok(name_parse(a, text, &der, &e) < 0 && strstr(e.msg, why), "refused: %s (%s)", text_escape(a, bytes_of(text)),
	   e.msg);
}

static void texts(void)
{
	char *cn = arena_alloc(a, 80, 1);

	good("CN=Acme Root CA,O=Acme Corp,C=US", "CN=Acme Root CA,O=Acme Corp,C=US",
	     "CN=Acme Root CA,O=Acme Corp,C=US");
	good("/CN=Acme Root CA/O=Acme, Inc./C=US", "CN=Acme Root CA,O=Acme\\, Inc.,C=US",
	     "CN=Acme Root CA,O=Acme\\, Inc.,C=US");
	good(" CN = a , O = \"x, y\" ", "CN=a,O=x\\, y", "CN=a,O=x\\, y");
	good("CN=a+serialNumber=7,OU=b", "CN=a+serialNumber=7,OU=b", "CN=a+serialNumber=7,OU=b");
	good("CN=\\ a\\ ,O=\\#b\\2c\\C3\\A9", "CN=\\ a\\ ,O=\\#b\\,é", "CN=\\ a\\ ,O=\\#b\\,é");
	good("DC=example,DC=com,UID=jo,emailAddress=jo@example.com",
	     "DC=example,DC=com,UID=jo,emailAddress=jo@example.com",
	     "DC=example,DC=com,UID=jo,emailAddress=jo@example.com");
	good("CN=Müller GmbH \xf0\x9f\x94\x91", "CN=Müller GmbH \xf0\x9f\x94\x91", "CN=Müller GmbH \xf0\x9f\x94\x91");
	good("1.3.6.1.4.1.99999.1=x,2.5.4.3=y", "1.3.6.1.4.1.99999.1=#0C0178,CN=y", "1.3.6.1.4.1.99999.1=#0c0178,CN=y");
	good("CN=#0c0161", "CN=a", "CN=a");
	good("C=#0c025553", "C=US", "C=US"); /* in the type of string that it must have */
	good("email=jo@bücher.example", "emailAddress=jo@xn--bcher-kva.example",
	     "emailAddress=jo@xn--bcher-kva.example");
	good("", "", "");
	bad("CN", "TYPE=VALUE");
	bad("=x", "TYPE=VALUE");
	bad("CN=", "empty");
	bad("CN=a,", "ends with");
	bad("CN=a+", "ends with");
	bad("XX=a", "unknown attribute type");
	bad("C=USA", "at most 2");
	bad("C=1x", "two letters");
	bad("CN=a\\", "backslash");
	bad("CN=\\00", "backslash");
	bad("CN=a\nb", "control");
	bad("CN=\xff", "UTF-8");
	bad("serialNumber=a*b", "PrintableString");
	bad("DC=exa mple", "host name");
	bad("CN=\"abc", "not closed");
	bad("CN=#0c01", "DER");
	memset(cn, 'x', 68);
	memcpy(cn, "CN=", 3);
	bad(cn, "65 characters");
	cn[67] = 0;
	good(cn, cn, cn);
}

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

static void fields(void)
{
	struct subject_fields f = { .common_name = list("dev-1", NULL), .country = list("ES", NULL),
				    .organization_unit = list("one", "two", NULL),
				    .organization = list("Acme", NULL) };
	struct subject_fields back, two = { .organization_unit = list("A", "B", NULL) };
	struct subject_fields bad_country = { .country = list("USA", NULL) };
	struct bytes der, base, merged;
	struct err e = { 0 };

	ok(name_from_fields(a, &f, &der, &e) == 0, "from fields %s", e.msg);
	is_str(by_openssl(der), "C=ES,O=Acme,OU=one,OU=two,CN=dev-1", "order of P7");
	ok(name_fields(a, der, &back, &e) == 0 && back.organization_unit.n == 2, "and back");
	is_str(back.organization_unit.v[1], "two", "values keep their order");
	is_str(name_cn(a, der), "dev-1", "common name");
	ok(name_from_fields(a, &bad_country, &der, &e) < 0, "country of three letters is refused: %s", e.msg);

	ok(name_parse(a, "C=US,OU=x,CN=sensor,OU=y,UID=7,O=Old", &base, &e) == 0, "base");
	ok(name_merge(a, base, &f, &merged, &e) == 0, "merge %s", e.msg);
	is_str(by_openssl(merged), "C=ES,OU=one,OU=two,CN=dev-1,UID=7,O=Acme", "fields win in the place of the first");
	ok(name_parse(a, "CN=a+OU=x+UID=1,OU=y", &base, &e) == 0, "base with a set");
	ok(name_merge(a, base, &two, &merged, &e) == 0, "merge %s", e.msg);
	ok(strstr(by_openssl(merged), ",OU=B") != NULL && strstr(by_openssl(merged), "OU=A+"), "sets stay sets: %s",
	   by_openssl(merged));
	ok(name_parse(a, "OU=y+CN=a", &base, &e) == 0 &&
	   name_merge(a, base, &(struct subject_fields){ 0 }, &merged, &e) == 0 &&
		   bytes_equal(base, merged),
	   "nothing to merge changes nothing");
	ok(name_parse(a, "", &base, &e) == 0 && name_merge(a, base, &f, &merged, &e) == 0 &&
	   name_from_fields(a, &f, &der, &e) == 0 &&
		   bytes_equal(merged, der),
	   "an empty base takes all fields");
	ok(name_empty(base) && !name_empty(der), "empty");
}

/* A name with one attribute in any string type. */
static struct bytes foreign(int tag, const char *value, size_t n, const char *type)
{
	struct derw w = derw_init(arena_alloc(a, 64, 1), 64);

	derw_tlv(&w, tag, value, n);
	derw_oid(&w, type);
	derw_head(&w, DER_SEQUENCE, 0);
	derw_head(&w, DER_SET, 0);
	derw_head(&w, DER_SEQUENCE, 0);
	return derw_bytes(&w);
}

static void strings(void)
{
	struct bytes bmp = foreign(DER_BMP, "\0A\0c\0m\0\xe9", 8, "2.5.4.10"), merged;
	struct bytes utf8 = foreign(DER_UTF8, "acm\xc3\xa9", 5, "2.5.4.10"), c = foreign(DER_UTF8, "US", 2, "2.5.4.6");
	struct bytes nul = foreign(DER_UTF8, "a\0b", 3, "2.5.4.3"), t61 = foreign(DER_T61, "\xe9", 1, "2.5.4.10");
	struct bytes printable = foreign(DER_PRINTABLE, "Big   Co ", 9, "2.5.4.10");
	struct bytes surrogate = foreign(DER_BMP, "\xd8\0\xdc\0", 4, "2.5.4.10");
	struct bytes odd = foreign(DER_BMP, "\0a\0", 3, "2.5.4.10");
	struct bytes lower = foreign(DER_UTF8, "big co", 6, "2.5.4.10");
	struct bytes other = foreign(DER_UTF8, "bigco", 5, "2.5.4.10");
	struct err e = { 0 };
	char *text;

	ok(name_format(a, bmp, &text, &e) == 0, "format BMPString");
	is_str(text, "O=Acm\xc3\xa9", "BMPString as UTF-8");
	ok(name_format(a, t61, &text, &e) == 0, "format T61String");
	is_str(text, "O=\xc3\xa9", "T61String as Latin-1");
	ok(name_equal(bmp, utf8), "equal whatever the string type and case");
	ok(name_equal(printable, lower) && !name_equal(lower, other), "runs of spaces count as one");
	ok(name_merge(a, bmp, &(struct subject_fields){ 0 }, &merged, &e) == 0 && name_equal(merged, bmp) &&
	   merged.p[11] == DER_UTF8,
	   "merging renews the string type");
	ok(name_merge(a, c, &(struct subject_fields){ 0 }, &merged, &e) == 0 && merged.p[11] == DER_PRINTABLE,
	   "country becomes PrintableString");
	ok(name_check(nul, &e) < 0, "NUL is refused: %s", e.msg);
	ok(name_check(surrogate, &e) < 0 && name_check(odd, &e) < 0, "broken BMPString is refused: %s", e.msg);
	ok(name_format(a, nul, &text, &e) == 0 && strstr(text, "2.5.4.3=#0c03610062"), "but shown: %s", text);
}

static void hosts(void)
{
	static const struct {
		const char *in, *out;
	} t[] = {
		{ "example.com", "example.com" },
		{ "*.Example.com", "*.Example.com" },
		{ "bücher.example", "xn--bcher-kva.example" },
		{ "Bücher.example", "xn--bcher-kva.example" },
		{ "faß.de", "xn--fa-hia.de" },
		{ "ελλάδα.gr", "xn--hxakic4aa.gr" },
		{ "日本語.jp", "xn--wgv71a119e.jp" },
		{ "한국.kr", "xn--3e0b707e.kr" },
		{ "правда.рф", "xn--80aafi6cg.xn--p1ai" },
		{ "a_b", "a_b" },
		{ "ÉCOLE.fr", NULL }, { "cafe\xcc\x81.fr", NULL }, { "ﬁ.example", NULL }, { "x..y", NULL },
		{ "", NULL },
		{ "-a.b", NULL }, { "a-.b", NULL }, { "a.*", NULL }, { "*a.b", NULL }, { "a b", NULL }, { "a.", NULL },
		{ "\xff", NULL }, { "שלום.il", NULL },
	};
	char label[70];

	for (size_t i = 0; i < COUNT(t); i++) {
		struct err e = { 0 };
		char *out = NULL;
		int rc = idn_to_ascii(a, t[i].in, &out, &e);

		if (t[i].out)
			is_str(rc == 0 ? out : e.msg, t[i].out, t[i].in);
		else
			ok(rc < 0 && e.msg[0], "refused: %s (%s)", t[i].in, e.msg);
	}
	memset(label, 'a', sizeof(label));
	for (size_t n = 63; n <= 64; n++) {
		struct err e = { 0 };
		char *out;

		label[n] = 0;
		ok((idn_to_ascii(a, label, &out, &e) == 0) == (n == 63), "a label of %zu characters", n);
		label[n] = 'a';
	}
}

/* Each bit flipped and each prefix: never a crash, and what is accepted is stable. */
static void mutations(void)
{
	struct err e = { 0 };
	struct bytes der;
	size_t accepted = 0, unstable = 0;

	ok(name_parse(a, "CN=Acme Root CA+OU=x,O=Acm\xc3\xa9,C=US,DC=example,1.2.3=y", &der, &e) == 0, "base");
	for (size_t i = 0; i < der.n * 8 + der.n; i++) {
		SCOPED_ARENA *scratch = arena_new();
		unsigned char *copy = arena_memdup(scratch, der.p, der.n);
		struct bytes m = { copy, i < der.n * 8 ? der.n : i - der.n * 8 }, again;
		char *text, *twice;

		if (m.n == der.n)
			copy[i / 8] ^= (unsigned char)(1 << i % 8);
		e = (struct err){ 0 };
		if (name_format(scratch, m, &text, &e) < 0)
			continue;
		accepted++;
		if (name_check(m, &e) < 0 || name_parse(scratch, text, &again, &e) < 0)
			continue;
		unstable += name_format(scratch, again, &twice, &e) < 0 || strcmp(text, twice) != 0;
	}
	ok(accepted > 0, "%zu damaged names are still names", accepted);
	is_int((int64_t)unstable, 0, "what is printed reads as the same");
}

int main(void)
{
	a = arena_new();
	texts();
	fields();
	strings();
	hosts();
	mutations();
	arena_free(a);
	return done();
}
