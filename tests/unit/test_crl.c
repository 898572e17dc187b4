/* CRLs and certificates as we write them: openssl reads and verifies them, and what others changed is refused. */
#include "tap.h"

#include "foreign.h"

#include "base/text.h"
#include "base/tm.h"
#include "crypto/cert.h"
#include "crypto/crl.h"
#include "crypto/key.h"
#include "crypto/name.h"

#define NOW INT64_C(1795000000)

static EVP_PKEY *fresh(const char *type)
{
	struct err e = { 0 };
	EVP_PKEY *key = NULL;

	if (key_generate(keytype_parse(type, &e), &key, &e))
		exit(99);
	return key;
}

static struct bytes name_of(struct arena *a, const char *text)
{
	struct bytes der = { 0 };
	struct err e = { 0 };

	if (name_parse(a, text, &der, &e))
		exit(99);
	return der;
}

static struct bytes root(struct arena *a, EVP_PKEY *key, const struct sigalg *alg, int64_t from, int64_t to)
{
	struct tbs t = { .not_before = from, .not_after = to };
	struct bytes der = { 0 };
	struct err e = { 0 };

	t.issuer = t.subject = name_of(a, "C=DE,O=Acme,CN=Root");
	if (key_spki(a, key, &t.spki, &e))
		exit(99);
	cert_random_serial(&t);
	ext_basic_constraints(a, &t.exts, true, -1);
	ext_key_usage(a, &t.exts, USE_CERT_SIGN | USE_CRL_SIGN);
	ext_ski(a, &t.exts, cert_key_id(a, t.spki));
	if (cert_sign(a, &t, key, alg, &der, &e))
		printf("# %s\n", e.msg);
	return der;
}

static void test_cert(const char *type, const char *alg)
{
	SCOPED_ARENA *a = arena_new();
	AUTO(EVP_PKEY) *key = fresh(type);
	struct bytes der = root(a, key, sigalg_find(alg), NOW - 60, TIME_MAX);
	char *path = foreign_file("root.pem", cert_pem(a, der));
	struct cert c = { 0 };
	struct err e = { 0 };

	is_int(openssl("verify", "-x509_strict", "-check_ss_sig", "-attime", "1795000000", "-CAfile", path, path, NULL),
	       0, alg);
	ok(openssl("x509", "-in", path, "-noout", "-text", NULL) == 0 &&
	   strstr(foreign_out, "Dec 31 23:59:59 9999 GMT") &&
		   strstr(foreign_out, "Version: 3"),
	   "%s: openssl reads it", alg);
	ok(!cert_parse(a, der, &c, &e) && c.serial.n == 16 && c.is_ca && c.not_after == TIME_MAX &&
	   cert_issued_by(&c, &c), "%s: we too %s", alg, e.msg);
}

static void test_serials(void)
{
	struct tbs t = { .serial_n = 0 };
	unsigned all = 0, both = 0xff;

	for (int i = 0; i < 1000; i++) {
		cert_random_serial(&t);
		all |= t.serial[0];
		both &= t.serial[0];
	}
	ok(t.serial_n == 16 && all == 0x7f && both == 0x40, "serials begin with 01");
}

struct expect {
	const struct crl_entry *want;
	size_t n, at;
	int wrong;
};

static int compare(void *arg, const struct crl_entry *x, struct err *e)
{
	struct expect *s = arg;
	const struct crl_entry *w = &s->want[s->at++];

	(void)e;
	if (s->at > s->n || !bytes_equal(x->serial, w->serial) || x->time != w->time || x->reason != w->reason ||
	    x->invalidity != w->invalidity || !bytes_equal(x->certificate_issuer, w->certificate_issuer))
		s->wrong++;
	return 0;
}

static int stop(void *arg, const struct crl_entry *x, struct err *e)
{
	(void)x;
	++*(int *)arg;
	return err_set(e, ERR_CANCELLED, "enough");
}

static struct crl_builder *head(struct arena *a, bool indirect)
{
	struct crl_head h = { .issuer = name_of(a, "C=DE,O=Acme,CN=Root"), .this_update = NOW,
			      .next_update = NOW + 86400 };
	char uri[] = "http://crl.example/a.crl", *uris[] = { uri };
	struct crl_idp idp = { .uris = { uris, 1, true }, .indirect = indirect };
	struct err e = { 0 };

	crl_ext_number(a, &h.exts, OID_CRL_NUMBER, "340282366920938463463374607431768211456");
	if (crl_ext_idp(a, &h.exts, &idp, &e))
		printf("# %s\n", e.msg);
	return crl_new(&h);
}

static void test_crl(const char *type, const char *alg)
{
	SCOPED_ARENA *a = arena_new();
	AUTO(EVP_PKEY) *key = fresh(type);
	AUTO(EVP_PKEY) *other = fresh(type);
	AUTO(crl_builder) *b = head(a, true);
	struct bytes other_ca = name_of(a, "CN=Other"), der = { 0 };
	struct bytes s1 = { (const unsigned char *)"\x7f\x01", 2 }, s2 = { (const unsigned char *)"\x80\x02", 2 };
	const struct crl_entry rows[] = {
		{ s1, NOW - 10, 1, 0, { 0 } },
		{ s2, NOW - 20, 0, 0, { 0 } },
		{ s1, NOW - 30, 8, NOW - 40, other_ca },
		{ s2, NOW - 30, 0, 0, other_ca },
		{ s1, NOW - 30, 10, 0, { 0 } },
	};
	struct expect seen = { rows, COUNT(rows), 0, 0 };
	struct crl c = { 0 };
	struct err e = { 0 };
	char *ca = foreign_file("ca.pem", cert_pem(a, root(a, key, sigalg_find(alg), NOW - 60, NOW + 86400))), *path;
	int calls = 0;

	for (size_t i = 0; i < COUNT(rows); i++)
		if (crl_add(b, &rows[i], &e))
			printf("# %s\n", e.msg);
	ok(crl_count(b) == COUNT(rows) && !crl_sign(a, b, key, sigalg_find(alg), &der, &e), "%s: signed %s", alg,
	   e.msg);
	path = foreign_file("a.crl", pem_encode(a, "X509 CRL", der));
	ok(openssl("crl", "-in", path, "-CAfile", ca, "-noout", "-text", NULL) == 0 &&
	   strstr(foreign_out, "verify OK") &&
		   strstr(foreign_out, "Key Compromise") && strstr(foreign_out, "Indirect CRL") &&
		   strstr(foreign_out, "Other") &&
		   strstr(foreign_out, "Serial Number: 8002"),
	   "%s: openssl verifies and reads it", alg);
	ok(!crl_parse(a, der, &c, &e) && !crl_verify(&c, key, &e) && c.this_update == NOW &&
	   c.next_update == NOW + 86400, "read %s", e.msg);
	is_str(c.number, "340282366920938463463374607431768211456", "number");
	ok(!crl_each(&c, compare, &seen, &e) && seen.at == COUNT(rows) && !seen.wrong,
	   "entries, and to whom they belong");
	ok(crl_each(&c, stop, &calls, &e) && calls == 1 && e.code == ERR_CANCELLED, "a callback can stop");
	ok(crl_verify(&c, other, &e) && e.code == ERR_CHECK, "another key: %s", e.msg);
	ok(!crl_parse(a, pem_encode(a, "X509 CRL", der), &c, &e), "from PEM");
}

static void test_refusals(void)
{
	SCOPED_ARENA *a = arena_new();
	AUTO(crl_builder) *b = head(a, false);
	struct exts x = { 0 };
	char bad[] = "http://a b/", *uris[] = { bad };
	struct crl_idp idp = { .uris = { uris, 1, true } };
	struct crl c = { 0 };
	struct err e = { 0 };

	ok(crl_add(b, &(struct crl_entry){ .reason = 1 }, &e), "no serial: %s", e.msg);
	ok(crl_add(b, &(struct crl_entry){ .serial = bytes_of("1"), .reason = 7 }, &e), "reason 7: %s", e.msg);
	ok(crl_add(b, &(struct crl_entry){ .serial = bytes_of("123456789012345678901") }, &e), "long serial: %s",
	   e.msg);
	ok(crl_ext_idp(a, &x, &idp, &e), "URI: %s", e.msg);
	ok(crl_ext_idp(a, &x, &(struct crl_idp){ .only_ca = true, .only_user = true }, &e), "both: %s", e.msg);
	ok(crl_ext_idp(a, &x, &(struct crl_idp){ .indirect = false }, &e), "empty: %s", e.msg);
	ok(crl_parse(a, bytes_of("nothing"), &c, &e) && e.code == ERR_INVALID, "not a CRL: %s", e.msg);
}

static void test_empty(void)
{
	SCOPED_ARENA *a = arena_new();
	AUTO(EVP_PKEY) *key = fresh("ecdsa:256");
	AUTO(crl_builder) *b = head(a, false);
	struct bytes der = { 0 };
	struct crl c = { 0 };
	struct err e = { 0 };
	int calls = 0;

	ok(!crl_sign(a, b, key, sigalg_default(key), &der, &e) && !crl_parse(a, der, &c, &e) && c.revoked.n == 0,
	   "empty CRL %s", e.msg);
	ok(!crl_each(&c, stop, &calls, &e) && calls == 0, "no entries");
	ok(openssl("crl", "-inform", "DER", "-in", foreign_file("e.crl", der), "-noout", "-text", NULL) == 0 &&
		   strstr(foreign_out, "No Revoked Certificates"),
	   "openssl agrees");
}

static int ignore(void *arg, const struct crl_entry *x, struct err *e)
{
	(void)arg;
	(void)x;
	(void)e;
	return 0;
}

static void test_mutations(void)
{
	SCOPED_ARENA *a = arena_new();
	AUTO(EVP_PKEY) *key = fresh("ed25519");
	AUTO(crl_builder) *b = head(a, true);
	struct crl_entry row = { bytes_of("12"), NOW, 1, NOW, name_of(a, "CN=x") };
	struct bytes good = { 0 };
	struct err e = { 0 };
	int accepted = 0;

	if (crl_add(b, &row, &e) || crl_sign(a, b, key, sigalg_default(key), &good, &e))
		exit(99);
	for (size_t i = 0; i < 9 * good.n; i++) {
		SCOPED_ARENA *tmp = arena_new();
		struct err why = { 0 };
		struct crl c = { 0 };
		size_t n = i < 8 * good.n ? good.n : i - 8 * good.n;
		unsigned char *p = malloc(n + 1);

		memcpy(p, good.p, n);
		if (n == good.n)
			p[i / 8] ^= (unsigned char)(1 << i % 8);
		p = realloc(p, n ? n : 1);
		if (!crl_parse(tmp, (struct bytes){ p, n }, &c, &why)) {
			if (crl_each(&c, ignore, NULL, &why) && !why.msg[0])
				ok(false, "refused without a reason");
			accepted += !crl_verify(&c, key, &why);
		}
		free(p);
	}
	is_int(accepted, 0, "no changed or cut CRL is accepted");
}

static void test_many(size_t n)
{
	SCOPED_ARENA *a = arena_new();
	AUTO(EVP_PKEY) *key = fresh("ecdsa:256");
	AUTO(crl_builder) *b = head(a, false);
	int64_t start = tm_mono_ms(), built, done_at;
	struct bytes der = { 0 };
	struct crl c = { 0 };
	struct err e = { 0 };
	unsigned char serial[16] = { 0x40 };

	for (size_t i = 0; i < n; i++) {
		struct crl_entry row = { { serial, sizeof(serial) }, NOW, 1, 0, { 0 } };

		memcpy(serial + 4, &i, sizeof(i));
		if (crl_add(b, &row, &e))
			exit(99);
	}
	built = tm_mono_ms();
	ok(!crl_sign(a, b, key, sigalg_default(key), &der, &e), "%zu entries %s", n, e.msg);
	done_at = tm_mono_ms();
	printf("# build %" PRId64 " ms, sign %" PRId64 " ms, %zu octets\n", built - start, done_at - built, der.n);
	ok(!crl_parse(a, der, &c, &e) && !crl_each(&c, ignore, NULL, &e) && !crl_verify(&c, key, &e), "read back %s",
	   e.msg);
	printf("# read %" PRId64 " ms\n", tm_mono_ms() - done_at);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		test_many(strtoul(argv[1], NULL, 10));
		return done();
	}
	test_cert("rsa:2048", "RSASSA_PKCS1_V1_5_SHA_256");
	test_cert("rsa:2048", "RSASSA_PSS_SHA_384");
	test_cert("ecdsa:384", "ECDSA_SHA_384");
	test_cert("ed25519", "Ed25519");
	test_serials();
	test_crl("ecdsa:256", "ECDSA_SHA_256");
	test_crl("rsa:2048", "RSASSA_PSS_SHA_256");
	test_crl("ed25519", "Ed25519");
	test_refusals();
	test_empty();
	test_mutations();
	test_many(20000);
	return done();
}
