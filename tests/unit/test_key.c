/* Keys: what openssl writes we read, what we write openssl opens, what is weak is named, what is damaged is refused. */
#include "tap.h"

#include "foreign.h"

#include "base/text.h"
#include "crypto/cert.h"
#include "crypto/key.h"
#include "crypto/key_der.h"

static const char pass[] = "correct horse", other_pass[] = "battery staple";

static EVP_PKEY *fresh(const char *type)
{
	struct err e = { 0 };
	EVP_PKEY *key = NULL;
	const struct keytype *t = keytype_parse(type, &e);

	if (!t || key_generate(t, &key, &e)) {
		printf("Bail out! %s\n", e.msg);
		exit(99);
	}
	return key;
}

static void test_types(void)
{
	static const char *const types[] = { "rsa:2048", "RSA 3072", "ecdsa:224", "ec-256", "P-384", "ECDSA P-521",
					     "ed25519" };
	struct err e = { 0 };

	for (size_t i = 0; i < COUNT(types); i++) {
		SCOPED_ARENA *a = arena_new();
		AUTO(EVP_PKEY) *key = fresh(types[i]);
		AUTO(EVP_PKEY) *back = NULL;
		AUTO(EVP_PKEY) *read = NULL;
		struct bytes spki = { 0 };
		char *pem = NULL;

		is_str(keytype_of(key)->name, keytype_parse(types[i], &e)->name, types[i]);
		ok(!key_spki(a, key, &spki, &e) && !key_from_spki(spki, &back, &e) && key_matches(key, back),
		   "SPKI there and back");
		ok(!key_public_pem(a, key, &pem, &e) && !key_from_public_pem(bytes_of(pem), &read, &e) &&
		   key_matches(key, read),
		   "PEM there and back");
		is_int(openssl("pkey", "-pubin", "-noout", "-in", foreign_file("pub.pem", bytes_of(pem)), NULL), 0,
		       "openssl reads it");
		is_str(key_weakness(key), NULL, "not weak");
		is_int((int64_t)strlen(key_id(a, spki)), 64, "id");
	}
	ok(!keytype_parse("rsa:1024", &e) && e.code == ERR_INVALID && strstr(e.msg, "rsa:2048"), "unknown type: %s",
	   e.msg);
	ok(!keytype_find("RSA", 1024) && keytype_find("ECDSA", 521), "table by algorithm and bits");
	is_str(key_strength("RSA", 2048), "MEDIUM", "strength");
	is_str(key_strength("RSA", 3072), "HIGH", "strength");
	is_str(key_strength("RSA", 1024), "LOW", "strength");
	is_str(key_strength("ECDSA", 224), "LOW", "strength");
	is_str(key_strength("ECDSA", 256), "MEDIUM", "strength");
	is_str(key_strength("ECDSA", 384), "HIGH", "strength");
	is_str(key_strength("Ed25519", 256), "HIGH", "strength");
	is_str(key_strength("DSA", 3072), "LOW", "strength");
}

/* A form of private key as openssl makes it: arguments after "-in plain -out file". */
struct form {
	const char *name, *cmd;
	const char *args[8];
	bool encrypted;
};

static void check_form(const struct form *f, const char *plain, EVP_PKEY *want)
{
	char *out = foreign_path("form");
	const char *const *x = f->args;
	struct bytes text;
	AUTO(EVP_PKEY) *good = NULL;
	EVP_PKEY *bad = NULL;
	struct err e = { 0 };

	if (!ok(openssl(f->cmd, "-in", plain, "-out", out, x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], NULL) == 0,
		"%s: made", f->name)) {
		printf("# %s\n", foreign_out);
		return;
	}
	text = foreign_read(out);
	is_int(key_is_encrypted(text), f->encrypted, "encrypted or not");
	ok(!key_load(text, f->encrypted ? pass : NULL, &good, &e) && key_matches(good, want), "%s: read %s", f->name,
	   e.msg);
	if (!f->encrypted)
		return;
	ok(key_load(text, other_pass, &bad, &e) && e.code == ERR_DENIED && !bad, "%s: wrong passphrase: %s", f->name,
	   e.msg);
	ok(key_load(text, NULL, &bad, &e) && e.code == ERR_DENIED, "%s: no passphrase: %s", f->name, e.msg);
	ok(key_load(text, "", &bad, &e) && e.code == ERR_DENIED, "%s: empty passphrase", f->name);
}

static void test_load(void)
{
#define ENC "-passout", "pass:correct horse"
	static const struct form forms[] = {
		{ "PKCS#8", "pkcs8", { "-topk8", "-nocrypt" }, false },
		{ "PKCS#8 DER", "pkcs8", { "-topk8", "-nocrypt", "-outform", "DER" }, false },
		{ "traditional", "pkey", { "-traditional" }, false },
		{ "traditional DER", "pkey", { "-traditional", "-outform", "DER" }, false },
		{ "PBKDF2 SHA-256", "pkcs8", { "-topk8", "-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA256", ENC },
		  true },
		{ "PBKDF2 SHA-1", "pkcs8", { "-topk8", "-v2", "aes128", "-v2prf", "hmacWithSHA1", ENC }, true },
		{ "PBKDF2 3DES DER", "pkcs8", { "-topk8", "-v2", "des3", "-outform", "DER", ENC }, true },
		{ "scrypt", "pkcs8", { "-topk8", "-scrypt", "-scrypt_N", "1024", ENC }, true },
		{ "PKCS#12 scheme", "pkcs8", { "-topk8", "-v1", "PBE-SHA1-3DES", ENC }, true },
		{ "PEM headers", "pkey", { "-traditional", "-aes256", ENC }, true },
		{ "PEM headers 3DES", "pkey", { "-traditional", "-des3", ENC }, true },
	};
	static const char *const types[] = { "rsa:2048", "ecdsa:384", "ed25519" };
	struct err e = { 0 };

	for (size_t t = 0; t < COUNT(types); t++) {
		SCOPED_ARENA *a = arena_new();
		AUTO(EVP_PKEY) *key = fresh(types[t]);
		struct bytes pem = { 0 };
		char *plain;

		ok(!key_plain_pem(a, key, &pem, &e), "%s: plain", types[t]);
		plain = arena_strdup(a, foreign_file("plain.pem", pem));
		for (size_t i = 0; i < COUNT(forms); i++)
			if (t < 2 || strcmp(forms[i].cmd, "pkcs8") == 0) /* Ed25519 has no traditional form */
				check_form(&forms[i], plain, key);
	}
}

static void test_load_limits(void)
{
	SCOPED_ARENA *a = arena_new();
	AUTO(EVP_PKEY) *one = fresh("ecdsa:256");
	AUTO(EVP_PKEY) *two = fresh("ecdsa:256");
	EVP_PKEY *bad = NULL;
	static const unsigned char key[PBES2_KEY_MAX];
	struct key_seal seal = { .salt = bytes_of("0123456789abcdef") };
	struct bytes pem1 = { 0 }, pem2 = { 0 }, der = { 0 };
	struct err e = { 0 };
	char *both;
	static const struct {
		int kdf;
		int64_t rounds, n, r, p;
	} costs[] = { { KDF_PBKDF2, 2000000000, 0, 0, 0 },
		      { KDF_PBKDF2, 0, 0, 0, 0 },	   { KDF_SCRYPT, 0, 1 << 30, 8, 1 },
		      { KDF_SCRYPT, 0, 1 << 20, 8, 1 },	   { KDF_SCRYPT, 0, 1000, 8, 1 },
		       { KDF_SCRYPT, 0, 1 << 14, 8, 1 << 20 },
		      { KDF_SCRYPT, 0, 1 << 14, 1 << 20, 1 }, { KDF_SCRYPT, 0, 0, 8, 1 },
		      { KDF_SCRYPT, 0, 1 << 16, 0, 1 } };

	for (size_t i = 0; i < COUNT(costs); i++) {
		seal.kdf = costs[i].kdf;
		seal.iterations = costs[i].rounds;
		seal.n = costs[i].n;
		seal.r = costs[i].r;
		seal.p = costs[i].p;
		ok(!pbes2_encrypt(a, &seal, key, bytes_of("x"), &der, &e) && key_load(der, pass, &bad, &e) &&
		   e.code == ERR_INVALID,
		   "costly file: %s", e.msg);
	}
	ok(!key_plain_pem(a, one, &pem1, &e) && !key_plain_pem(a, two, &pem2, &e), "two keys");
	both = arena_printf(a, "%s%s", (const char *)pem1.p, (const char *)pem2.p);
	ok(key_load(bytes_of(both), NULL, &bad, &e) && e.code == ERR_INVALID && !bad, "two keys in one file: %s",
	   e.msg);
	both = arena_printf(a, "%s-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
			    (const char *)pem1.p);
	ok(!key_load(bytes_of(both), NULL, &bad, &e), "a certificate after the key is left alone");
	EVP_PKEY_free(bad);
	bad = NULL;
	ok(key_load(bytes_of("hello"), NULL, &bad, &e) && e.code == ERR_INVALID, "not a key: %s", e.msg);
	ok(key_load(bytes_of(""), NULL, &bad, &e) && e.code == ERR_INVALID, "nothing: %s", e.msg);
	is_int(openssl("genpkey", "-algorithm", "X25519", "-out", foreign_path("x.pem"), NULL), 0, "X25519");
	ok(key_load(foreign_read(foreign_path("x.pem")), NULL, &bad, &e) && e.code == ERR_UNSUPPORTED,
	   "cannot sign: %s", e.msg);
}

/* SEC1 carries both halves; a foreign public half must be seen. */
static void test_halves(void)
{
	AUTO(EVP_PKEY) *one = fresh("ecdsa:256");
	EVP_PKEY *bad = NULL;
	unsigned char *der = NULL;
	struct err e = { 0 };
	AUTO(EVP_PKEY) *two = fresh("ecdsa:256");
	unsigned char point[65];
	size_t n = 0;
	int len = i2d_PrivateKey(one, &der);

	ok(EVP_PKEY_get_octet_string_param(two, "pub", point, sizeof(point), &n) == 1 && n == 65 && len > 65, "parts");
	memcpy(der + len - 65, point, 65);
	ok(key_load((struct bytes){ der, (size_t)len }, NULL, &bad, &e) && e.code == ERR_INVALID,
	   "foreign public half: %s", e.msg);
	OPENSSL_free(der);
}

static void test_seal(int kdf, const char *name)
{
	SCOPED_ARENA *a = arena_new();
	struct key_seal seal = { 0 };
	struct bytes derived = { 0 }, wrong = { 0 }, pem = { 0 }, again = { 0 };
	static const char *const types[] = { "ecdsa:256", "ed25519", "rsa:2048" };
	struct err e = { 0 };

	ok(!key_seal_new(a, kdf, &seal, &e) && !key_derive(a, &seal, pass, &derived, &e) &&
	   !key_derive(a, &seal, other_pass, &wrong, &e),
	   "%s: derived", name);
	for (size_t i = 0; i < COUNT(types); i++) {
		AUTO(EVP_PKEY) *key = fresh(types[i]);
		AUTO(EVP_PKEY) *back = NULL;
		AUTO(EVP_PKEY) *loaded = NULL;
		EVP_PKEY *bad = NULL;
		char *path;

		ok(!key_seal_pem(a, &seal, derived, key, &pem, &e) && !key_seal_pem(a, &seal, derived, key, &again, &e),
		   "%s: sealed", types[i]);
		ok(kdf == KDF_NONE || !bytes_equal(pem, again), "fresh IV each time");
		path = foreign_file("sealed.pem", pem);
		is_int(openssl("pkey", "-in", path, "-passin", "pass:correct horse", "-noout", "-check", NULL), 0,
		       "openssl opens it");
		ok(!key_unseal_pem(a, &seal, derived, pem, &back, &e) && key_matches(key, back), "unsealed %s", e.msg);
		ok(!key_load(pem, pass, &loaded, &e) && key_matches(key, loaded), "loaded like any other %s", e.msg);
		if (kdf == KDF_NONE)
			continue;
		ok(openssl("pkey", "-in", path, "-passin", "pass:battery staple", "-noout", NULL) != 0,
		   "not with another passphrase");
		ok(key_unseal_pem(a, &seal, wrong, pem, &bad, &e) && e.code == ERR_DENIED, "wrong: %s", e.msg);
		ok(key_unseal_pem(a, &seal, (struct bytes){ 0 }, pem, &bad, &e) && e.code == ERR_DENIED, "locked: %s",
		   e.msg);
		seal.iterations++;
		seal.p++;
		ok(key_unseal_pem(a, &seal, derived, pem, &bad, &e) && e.code == ERR_DENIED, "other seal: %s", e.msg);
		seal.iterations--;
		seal.p--;
	}
}

static struct bytes rsa_spki(struct arena *a, const BIGNUM *n, uint64_t exponent)
{
	unsigned char *big = arena_alloc(a, 4096, 1);
	struct derw w = derw_init(arena_alloc(a, 8192, 1), 8192);

	derw_uint(&w, exponent);
	derw_int_bytes(&w, big, (size_t)BN_bn2bin(n, big));
	derw_head(&w, DER_SEQUENCE, 0);
	derw_raw(&w, "", 1);
	derw_head(&w, DER_BITSTRING, 0);
	derw_raw(&w, "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00", 15);
	derw_head(&w, DER_SEQUENCE, 0);
	return derw_bytes(&w);
}

/* A modulus that is a power of 65537 modulo every small prime, as the flawed library made them. */
static BIGNUM *roca_modulus(void)
{
	static const unsigned primes[] = { 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73,
					   79, 83, 89, 97,
					   101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167 };
	AUTO(BIGNUM) *m = BN_new();
	AUTO(BIGNUM) *base = BN_new();
	AUTO(BIGNUM) *x = BN_new();
	BIGNUM *n = BN_new();
	BN_CTX *bc = BN_CTX_new();

	BN_one(m);
	for (size_t i = 0; i < COUNT(primes); i++)
		BN_mul_word(m, primes[i]);
	BN_set_word(base, 65537);
	BN_set_word(x, 123456789);
	BN_mod_exp(n, base, x, m, bc);
	BN_rand(x, 2047 - BN_num_bits(m) + 2, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ANY);
	BN_mul(x, x, m, bc);
	BN_add(n, n, x);
	if (!BN_is_odd(n))
		BN_add(n, n, m);
	BN_CTX_free(bc);
	return n;
}

static void weak(struct bytes spki, const char *want, const char *what)
{
	AUTO(EVP_PKEY) *key = NULL;
	struct err e = { 0 };
	const char *why = key_from_spki(spki, &key, &e) ? e.msg : key_weakness(key);

	ok(why && strstr(why, want), "%s: %s", what, why ? why : "(not weak)");
}

static struct bytes spki_of_curve(struct arena *a, const char *curve, const char *encoding)
{
	char *key = foreign_path("weak.pem"), *pub = foreign_path("weak.der");
	struct bytes der;

	if (openssl("ecparam", "-name", curve, "-genkey", "-noout", "-param_enc", encoding, "-out", key, NULL) ||
	    openssl("pkey", "-in", key, "-pubout", "-outform", "DER", "-out", pub, "-ec_param_enc", encoding, NULL))
		printf("# %s", foreign_out);
	der = foreign_read(pub);
	return (struct bytes){ arena_memdup(a, der.p, der.n), der.n };
}

static void test_weak(void)
{
	SCOPED_ARENA *a = arena_new();
	AUTO(BIGNUM) *n = BN_new();
	AUTO(BIGNUM) *roca = roca_modulus();
	unsigned char ed[44] = "\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21";
	static const char infinity[] = "\x30\x19\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
		"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x02\x00";

	BN_rand(n, 2048, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ODD);
	weak(rsa_spki(a, n, 1), "exponent is 1", "RSA e = 1");
	weak(rsa_spki(a, n, 4), "exponent is even", "RSA e = 4");
	weak(rsa_spki(a, n, 0), "exponent is even", "RSA e = 0");
	BN_clear_bit(n, 0);
	weak(rsa_spki(a, n, 65537), "even", "RSA modulus even");
	BN_rand(n, 2047, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ODD);
	weak(rsa_spki(a, n, 65537), "below 2048", "RSA 2047");
	BN_rand(n, 16392, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ODD);
	weak(rsa_spki(a, n, 65537), "above 16384", "RSA 16392");
	ok(BN_num_bits(roca) >= 2048, "ROCA modulus");
	weak(rsa_spki(a, roca, 65537), "ROCA", "ROCA");
	weak(spki_of_curve(a, "prime256v1", "explicit"), "explicit", "explicit parameters");
	weak(spki_of_curve(a, "secp192k1", "named_curve"), "below 224", "small curve");
	weak(spki_of_curve(a, "secp256k1", "named_curve"), "not one of", "other curve");
	weak(spki_of_curve(a, "sect283k1", "named_curve"), "not one of", "binary curve");
	weak((struct bytes){ (const unsigned char *)infinity, sizeof(infinity) }, "infinity", "infinity");
	weak((struct bytes){ (const unsigned char *)infinity, sizeof(infinity) - 1 }, "not a SubjectPublicKeyInfo",
	     "cut");
	for (unsigned sign = 0; sign < 2; sign++) {
		memset(ed + 12, 0, 32);
		ed[43] = (unsigned char)(sign << 7);
		weak((struct bytes){ ed, 44 }, "small order", "Ed25519 y = 0");
		ed[12] = 1;
		weak((struct bytes){ ed, 44 }, "small order", "Ed25519 identity");
	}
	is_int(openssl("genpkey", "-algorithm", "RSA-PSS", "-outform", "DER", "-out", foreign_path("pss.der"), NULL), 0,
	       "RSA-PSS key");
	is_int(openssl("pkey", "-in", foreign_path("pss.der"), "-pubout", "-outform", "DER", "-out",
		       foreign_path("pss.pub"), NULL), 0, "made");
	weak(foreign_read(foreign_path("pss.pub")), "not supported", "RSA-PSS key");
}

/* Every bit flipped, every prefix: never a crash, never bytes accepted that are not there. */
static void mutate(struct bytes good, void (*try)(struct bytes), const char *what)
{
	SCOPED_ARENA *a = arena_new();

	for (size_t i = 0; i < good.n; i++) {
		unsigned char *cut = malloc(i + 1);
		struct bytes copy = { arena_memdup(a, good.p, good.n), good.n };
		unsigned char *p;

		memcpy(cut, good.p, i);
		try((struct bytes){ cut, i });
		free(cut);
		memcpy(&p, &copy.p, sizeof(p));
		p[i] ^= (unsigned char)(1 << i % 8);
		try(copy);
	}
	ok(true, "%s: %zu mutations survived", what, 2 * good.n);
}

static void try_spki(struct bytes b)
{
	AUTO(EVP_PKEY) *key = NULL;
	struct err e = { 0 };

	if (!key_from_spki(b, &key, &e))
		key_weakness(key);
}

static void try_load(struct bytes b)
{
	AUTO(EVP_PKEY) *key = NULL;
	struct err e = { 0 };

	if (key_load(b, pass, &key, &e) && !e.msg[0])
		ok(false, "failed without a message");
	key_is_encrypted(b);
}

static void test_mutations(void)
{
	static const char *const types[] = { "ecdsa:256", "ed25519", "rsa:2048" };
	struct key_seal seal = { .kdf = KDF_PBKDF2, .iterations = 1, .salt = bytes_of("salt") };
	struct err e = { 0 };

	for (size_t i = 0; i < COUNT(types); i++) {
		SCOPED_ARENA *a = arena_new();
		AUTO(EVP_PKEY) *key = fresh(types[i]);
		struct bytes spki = { 0 }, pem = { 0 }, plain = { 0 }, derived = { 0 }, text;

		if (key_spki(a, key, &spki, &e) || key_derive(a, &seal, pass, &derived, &e) ||
		    key_plain_pem(a, key, &plain, &e) ||
		    key_seal_pem(a, &seal, derived, key, &pem, &e))
			exit(99);
		mutate(spki, try_spki, types[i]);
		if (i == 2) /* RSA of damaged numbers takes long */
			continue;
		text = plain;
		if (!pem_next(a, &text, NULL, NULL, &plain))
			exit(99);
		mutate(plain, try_load, "plain DER");
		mutate(pem, try_load, "sealed PEM");
		if (!pem_next(a, &pem, NULL, NULL, &plain))
			exit(99);
		mutate(plain, try_load, "sealed DER");
	}
}

/* 8 octets stand for any curve's. */
static void test_raw_signatures(void)
{
	static const struct {
		const char *raw, *der; /* der NULL: refused */
	} rows[] = {
		{ "0102030405060708", "300c0204010203040204" "05060708" },
		{ "8102030485060708", "300e020500810203040205008506" "0708" },
		{ "0000000100000080", "300702010102020080" },
		{ "0080000000000001", "300902040080000002" "0101" },
		{ "0000000000000001", NULL },
		{ "0000000100000000", NULL },
		{ "01020304050607", NULL },
		{ "010203040506070809", NULL },
		{ "", NULL },
	};
	SCOPED_ARENA *a = arena_new();

	for (size_t i = 0; i < COUNT(rows); i++) {
		SCOPED_BUF der = buf_init(BUF_TEXT);
		struct err e = { 0 };
		struct bytes raw;

		ok(hex_decode(a, rows[i].raw, &raw) == 0, "vector %zu", i);
		if (!rows[i].der)
			ok(key_ecdsa_der(raw, 8, &der, &e) != 0 && e.code == ERR_CRYPTO && der.n == 0,
			   "raw %s is refused", rows[i].raw);
		else if (ok(key_ecdsa_der(raw, 8, &der, &e) == 0, "raw %s is taken", rows[i].raw))
			is_str(hex_encode(a, buf_bytes(&der)), rows[i].der,
			       "and is DER with leading zeros as DER wants them");
	}
}

int main(void)
{
	test_raw_signatures();
	test_types();
	test_load();
	test_load_limits();
	test_halves();
	test_seal(KDF_SCRYPT, "scrypt");
	test_seal(KDF_PBKDF2, "PBKDF2");
	test_seal(KDF_NONE, "plain");
	test_weak();
	test_mutations();
	return done();
}
