/* Requests: openssl's are read and verified, ours satisfy openssl, and no changed or odd request passes. */
#include "tap.h"

#include "foreign.h"

#include "base/text.h"
#include "crypto/cert.h"
#include "crypto/csr.h"
#include "crypto/key.h"
#include "crypto/name.h"

static struct bytes keep(struct arena *a, struct bytes b)
{
	return (struct bytes){ arena_memdup(a, b.p, b.n), b.n };
}

static const char config[] = "[req]\ndistinguished_name=dn\nprompt=no\nreq_extensions=ext\nattributes=att\n"
			     "[dn]\nC=DE\nO=Acme\nCN=device-1\n"
			     "[att]\nchallengePassword=secret\n"
			     "[ext]\nsubjectAltName=DNS:a.example,IP:10.0.0.1\nkeyUsage=digitalSignature\n";

struct maker {
	const char *name, *keyargs[5], *reqargs[5];
	const char *alg; /* NULL: refused by csr_verify */
};

/* Runs openssl req; the request stays in the arena. */
static bool make(struct arena *a, const struct maker *m, const char *form, struct bytes *ret)
{
	char *cnf = foreign_file("req.cnf", bytes_of(config)), *key = foreign_path("req.key"),
		    *out = foreign_path("req.out");
	const char *const *k = m->keyargs, *const *r = m->reqargs;

	if (openssl("genpkey", "-out", key, "-algorithm", k[0], k[1], k[2], k[3], k[4], NULL) ||
	    openssl("req", "-new", "-config", cnf, "-key", key, "-out", out, "-outform", form, r[0], r[1], r[2], r[3],
		    r[4], NULL)) {
		printf("# %s\n", foreign_out);
		return false;
	}
	*ret = keep(a, foreign_read(out));
	return true;
}

static void test_foreign(void)
{
	static const struct maker rows[] = {
		{ "RSA", { "RSA", "-pkeyopt", "rsa_keygen_bits:2048" }, { "-sha256" }, "RSASSA_PKCS1_V1_5_SHA_256" },
		{ "RSA-PSS",
		  { "RSA", "-pkeyopt", "rsa_keygen_bits:2048" },
		  { "-sha384", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest" },
		  "RSASSA_PSS_SHA_384" },
		{ "P-256", { "EC", "-pkeyopt", "ec_paramgen_curve:P-256" }, { "-sha256" }, "ECDSA_SHA_256" },
		{ "P-384", { "EC", "-pkeyopt", "ec_paramgen_curve:P-384" }, { "-sha384" }, "ECDSA_SHA_384" },
		{ "P-521, new header", { "EC", "-pkeyopt", "ec_paramgen_curve:P-521" }, { "-sha512", "-newhdr" },
		  "ECDSA_SHA_512" },
		{ "Ed25519", { "ED25519" }, { NULL }, "Ed25519" },
		{ "RSA 1024", { "RSA", "-pkeyopt", "rsa_keygen_bits:1024" }, { "-sha256" }, NULL },
		{ "SHA-1", { "RSA", "-pkeyopt", "rsa_keygen_bits:2048" }, { "-sha1" }, NULL },
		{ "secp256k1", { "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1" }, { "-sha256" }, NULL },
		{ "explicit",
		  { "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit" },
		  { "-sha256" },
		  NULL },
	};

	for (size_t i = 0; i < 2 * COUNT(rows); i++) {
		SCOPED_ARENA *a = arena_new();
		const struct maker *m = &rows[i / 2];
		AUTO(EVP_PKEY) *key = NULL;
		struct csr c = { 0 };
		struct bytes text;
		struct err e = { 0 };
		char *name = NULL;
		struct bytes challenge;

		if (!ok(make(a, m, i % 2 ? "DER" : "PEM", &text), "%s: made", m->name))
			continue;
		if (!ok(!csr_parse(a, text, &c, &e), "%s: parsed %s", m->name, e.msg))
			continue;
		ok(!name_format(a, c.subject, &name, &e) &&
		   strcmp(name, "CN=device-1,O=Acme,C=DE") * strcmp(name, "C=DE,O=Acme,CN=device-1") == 0,
		   "subject %s", name);
		ok(c.exts.n == 2 && exts_find(&c.exts, OID_SAN) && exts_find(&c.exts, OID_KU), "extensions");
		ok(!csr_attribute(&c, OID_CHALLENGE_PASSWORD, &challenge, &e) && challenge.n > 2, "challenge");
		if (!m->alg) {
			ok(csr_verify(&c, &key, &e) && e.code == ERR_DENIED && !key, "%s: refused: %s", m->name, e.msg);
			continue;
		}
		ok(!csr_verify(&c, &key, &e), "%s: verified %s", m->name, e.msg);
		is_str(sigalg_by_der(c.sig_alg)->name, m->alg, "algorithm");
	}
}

static struct bytes build(struct arena *a, EVP_PKEY *key, const struct sigalg *alg)
{
	struct bytes name = { 0 }, der = { 0 };
	struct exts exts = { 0 };
	struct err e = { 0 };

	ext_key_usage(a, &exts, USE_DIGITAL_SIGNATURE);
	ext_basic_constraints(a, &exts, true, 0);
	if (name_parse(a, "CN=Sub CA,O=Acme,C=DE", &name, &e) || csr_build(a, name, &exts, key, alg, &der, &e))
		printf("# %s\n", e.msg);
	return der;
}

static EVP_PKEY *fresh(const char *type)
{
	struct err e = { 0 };
	EVP_PKEY *key = NULL;

	if (key_generate(keytype_parse(type, &e), &key, &e))
		exit(99);
	return key;
}

static void test_ours(void)
{
	static const char *const rows[][2] = {
		{ "rsa:2048", "RSASSA_PSS_SHA_256" }, { "rsa:2048", "RSASSA_PKCS1_V1_5_SHA_256" },
		{ "ecdsa:256", "ECDSA_SHA_256" },
		{ "ecdsa:521", "ECDSA_SHA_512" },     { "ed25519", "Ed25519" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		SCOPED_ARENA *a = arena_new();
		AUTO(EVP_PKEY) *key = fresh(rows[i][0]);
		AUTO(EVP_PKEY) *seen = NULL;
		struct bytes der = build(a, key, sigalg_find(rows[i][1]));
		struct csr c = { 0 };
		struct err e = { 0 };

		ok(!csr_parse(a, der, &c, &e) && !csr_verify(&c, &seen, &e) && key_matches(key, seen),
		   "%s: read back %s", rows[i][1], e.msg);
		ok(openssl("req", "-verify", "-noout", "-text", "-inform", "DER", "-in", foreign_file("ours.der", der),
			   NULL) == 0 &&
			   strstr(foreign_out, "CA:TRUE, pathlen:0") && strstr(foreign_out, "CN = Sub CA"),
		   "%s: openssl verifies it", rows[i][1]);
	}
}

static void test_split(void)
{
	SCOPED_ARENA *a = arena_new();
	AUTO(EVP_PKEY) *key = fresh("ed25519");
	struct bytes der = build(a, key, sigalg_default(key)), *v = NULL;
	char *pem = arena_printf(a, "Subject: noise\n%s", (const char *)pem_encode(a, "CERTIFICATE REQUEST", der).p);
	char *neu = arena_printf(a, "%s", (const char *)pem_encode(a, "NEW CERTIFICATE REQUEST", der).p);
	char *all = arena_printf(a, "%s\n-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC "
				 "PARAMETERS-----\n%s%s", pem, neu, pem);
	struct csr c = { 0 };
	struct err e = { 0 };
	size_t n = 0;

	ok(!csr_split(a, bytes_of(all), &v, &n, &e) && n == 3 && bytes_equal(v[0], der) && bytes_equal(v[2], der),
	   "three requests");
	ok(!csr_split(a, der, &v, &n, &e) && n == 1 && bytes_equal(v[0], der), "one in DER");
	ok(csr_split(a, bytes_of("nothing"), &v, &n, &e) && e.code == ERR_INVALID, "none: %s", e.msg);
	ok(csr_split(a, bytes_of(""), &v, &n, &e) && e.code == ERR_INVALID, "empty: %s", e.msg);
	ok(csr_parse(a, bytes_of(all), &c, &e) && e.code == ERR_INVALID, "one wanted: %s", e.msg);
	pem[strlen(pem) - 60] = '!';
	ok(csr_parse(a, bytes_of(pem), &c, &e) && e.code == ERR_INVALID, "damaged PEM: %s", e.msg);
	ok(csr_parse(a, bytes_of(""), &c, &e) && e.code == ERR_INVALID, "empty: %s", e.msg);
}

/* A request put together from parts, its signature left to chance. */
static struct bytes assemble(struct arena *a, const char *version_hex, const char *attributes_hex, bool tail)
{
	AUTO(EVP_PKEY) *key = fresh("ed25519");
	struct bytes name = { 0 }, spki = { 0 }, version = { 0 }, attributes = { 0 };
	struct derw w = derw_init(arena_alloc(a, 1 << 18, 1), 1 << 18);
	struct err e = { 0 };
	size_t mark, info;

	if (name_parse(a, "CN=x", &name, &e) || key_spki(a, key, &spki, &e) || hex_decode(a, version_hex, &version) ||
	    hex_decode(a, attributes_hex, &attributes))
		exit(99);
	derw_raw(&w, "\0", tail);
	mark = derw_mark(&w);
	derw_tlv(&w, DER_BITSTRING, "\0abc", 4);
	derw_raw(&w, sigalg_find("Ed25519")->der.p, sigalg_find("Ed25519")->der.n);
	info = derw_mark(&w);
	derw_raw(&w, attributes.p, attributes.n);
	derw_raw(&w, spki.p, spki.n);
	derw_raw(&w, name.p, name.n);
	derw_raw(&w, version.p, version.n);
	derw_head(&w, DER_SEQUENCE, info);
	derw_head(&w, DER_SEQUENCE, mark);
	return derw_bytes(&w);
}

static void test_strict(void)
{
#define KU "300b0603551d0f040403020780"
#define REQ(exts) "301c06092a864886f70d01090e310f300d" exts
	static const struct {
		const char *version, *attributes, *want; /* want NULL: good */
		bool tail;
	} rows[] = {
		{ "020100", "a000", NULL, false },
		{ "020100", "", NULL, false },
		{ "020100", "a01e" REQ(KU), NULL, false },
		{ "020100", "a000", "trailing", true },
		{ "020101", "a000", "version", false },
		{ "02020000", "a000", "version", false },
		{ "0200", "a000", "version", false },
		{ "", "a000", "malformed", false },
		{ "020100", "a03c" REQ(KU) REQ(KU), "more than one extensionRequest", false },
		{ "020100", "a02d302b06092a864886f70d01090e311e300d" KU "300d" KU, "more than one extensionRequest",
		  false },
		{ "020100", "a02b302906092a864886f70d01090e311c301a" KU KU, "twice", false },
		{ "020100", "a00f300d06092a864886f70d01090e3100", "malformed attribute", false },
		{ "020100", "a0023000", "malformed attribute", false },
		{ "020100", "a08000", "malformed attributes", false },
		{ "020100", "a0000500", "malformed attributes", false },
		{ "020100", "3000", "malformed attributes", false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		SCOPED_ARENA *a = arena_new();
		struct bytes der = assemble(a, rows[i].version, rows[i].attributes, rows[i].tail);
		struct csr c = { 0 };
		struct err e = { 0 };
		bool refused = csr_parse(a, der, &c, &e);

		ok(refused == (rows[i].want != NULL) &&
		   (!refused || (e.code == ERR_INVALID && strstr(e.msg, rows[i].want))), "row %zu: %s", i,
		   e.msg[0] ? e.msg : "good");
	}
}

static void test_limits(void)
{
	SCOPED_ARENA *a = arena_new();
	SCOPED_BUF hex = buf_init(BUF_TEXT);
	struct csr c = { 0 };
	struct err e = { 0 };
	unsigned char *big = arena_alloc(a, CSR_MAX + 8, 1);
	struct derw w = derw_init(big, CSR_MAX + 8);
	char *attributes;

	for (int i = 0; i < 65; i++)
		buf_printf(&hex, "300906042a03%02x%02x04010a", 0x81 + (i >> 3), i & 7);
	attributes = arena_printf(a, "a082%04x3082%04x06092a864886f70d01090e3182%04x3082%04x%s", 65 * 11 + 23,
				  65 * 11 + 19, 65 * 11 + 4, 65 * 11, buf_str(&hex));
	ok(csr_parse(a, assemble(a, "020100", attributes, false), &c, &e) && strstr(e.msg, "more than 64"),
	   "extensions: %s", e.msg);
	derw_tlv(&w, DER_OCTETSTRING, arena_alloc(a, CSR_MAX, 1), CSR_MAX - 4);
	derw_head(&w, DER_SEQUENCE, 0);
	ok(csr_parse(a, derw_bytes(&w), &c, &e) && strstr(e.msg, "more than 65536"), "size: %s", e.msg);
}

/* Whatever bit is changed, the request is no longer accepted: all of it is signed, or the signature, or strict DER. */
static void test_mutations(const char *type)
{
	SCOPED_ARENA *a = arena_new();
	AUTO(EVP_PKEY) *key = fresh(type);
	struct bytes good = build(a, key, sigalg_default(key));
	int accepted = 0, silent = 0;

	for (size_t i = 0; i < 8 * good.n + good.n; i++) {
		SCOPED_ARENA *tmp = arena_new();
		AUTO(EVP_PKEY) *seen = NULL;
		struct err e = { 0 };
		struct csr c = { 0 };
		unsigned char *p = malloc(good.n);
		size_t n = i < 8 * good.n ? good.n : i - 8 * good.n;

		memcpy(p, good.p, good.n);
		if (n == good.n)
			p[i / 8] ^= (unsigned char)(1 << i % 8);
		else
			p = realloc(p, n ? n : 1);
		if (!csr_parse(tmp, (struct bytes){ p, n }, &c, &e) && !csr_verify(&c, &seen, &e))
			accepted++;
		else if (!e.msg[0] || e.code == ERR_NONE)
			silent++;
		free(p);
	}
	is_int(accepted, 0, "no changed or cut request is accepted");
	is_int(silent, 0, "each refusal has a reason");
}

int main(void)
{
	test_foreign();
	test_ours();
	test_split();
	test_strict();
	test_limits();
	test_mutations("ed25519");
	test_mutations("ecdsa:256");
	test_mutations("rsa:2048");
	return done();
}
