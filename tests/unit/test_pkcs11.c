/* What tokens say: attributes in every form that modules give them in, lengths that are not true, names, several keys
 * under one, signatures of the wrong size; and PKCS#11 URIs. The token is a table (fake_token.h). */
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "base/tm.h"
#include "crypto/algs.h"
#include "crypto/key.h"

#include "fake_token.h"
#include "tap.h"

static struct arena *arena;
static struct p11 token;
static struct engine engine;
static struct p11_use use;

static const CK_KEY_TYPE rsa = CKK_RSA, ec = CKK_EC, edwards = CKK_EC_EDWARDS, aes = CKK_AES;
static const unsigned char id[] = { 0x0a, 0x0b };
static const char p256[] = "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", p521[] = "\x06\x05\x2b\x81\x04\x00\x23",
		  ed25519[] = "\x06\x03\x2b\x65\x70", ed_name[] = "\x13\x0c" "edwards25519",
			      explicit_curve[] = "\x30\x03\x02\x01\x01";

#define SET(o, type, s) fake_set((o), (type), (s), sizeof(s) - 1)

static struct fake_object *again(CK_OBJECT_CLASS class)
{
	token.nknown = 0;
	use = (struct p11_use){ .p = &token, .f = &fake_functions, .arena = arena, .s = 1 };
	fake = (struct fake_token){ .n = 0 };
	return fake_add(class);
}

static struct bytes hex(const char *text)
{
	struct bytes v = { 0 };

	(void)!hex_decode(arena, text, &v);
	return v;
}

/* The point of a new key, as it stands in a SubjectPublicKeyInfo. */
static struct bytes a_point(const char *type, struct bytes *ret_spki)
{
	struct err e = { 0 };
	AUTO(EVP_PKEY) *key = NULL;
	const struct keytype *kt = keytype_parse(type, &e);
	size_t n = kt->group ? 1 + 2 * (((size_t)kt->bits + 7) / 8) : 32;

	if (key_generate(kt, &key, &e) != 0 || key_spki(arena, key, ret_spki, &e) != 0)
		abort();
	return (struct bytes){ ret_spki->p + ret_spki->n - n, n };
}

static struct bytes join(const char *head, size_t head_n, struct bytes tail)
{
	unsigned char *p = arena_alloc(arena, 1, head_n + tail.n);

	memcpy(p, head, head_n);
	memcpy(p + head_n, tail.p, tail.n);
	return (struct bytes){ p, head_n + tail.n };
}

/* Whether the one object there gives a public key, and which. */
static bool gives(struct bytes want_spki)
{
	AUTO(EVP_PKEY) *pub = NULL;
	struct bytes spki;
	struct err e = { 0 };

	if (p11_public(&use, 1, &pub, &e) != 0)
		return false;
	return key_spki(arena, pub, &spki, &e) == 0 && (!want_spki.p || bytes_equal(spki, want_spki));
}

static bool ec_gives(const CK_KEY_TYPE *type, const char *params, size_t nparams, struct bytes point, struct bytes want)
{
	struct fake_object *o = again(CKO_PUBLIC_KEY);

	fake_set(o, CKA_KEY_TYPE, type, sizeof(*type));
	fake_set(o, CKA_EC_PARAMS, params, nparams);
	fake_set(o, CKA_EC_POINT, point.p, point.n);
	return gives(want);
}

static void test_points(void)
{
	struct bytes spki, point = a_point("ecdsa:256", &spki), other;

	ok(ec_gives(&ec, p256, 10, join("\x04\x41", 2, point), spki), "P-256: the point in an OCTET STRING");
	ok(ec_gives(&ec, p256, 10, point, spki), "P-256: a bare point");
	ok(!ec_gives(&ec, p256, 10, join("\x03\x42\x00", 3, point), spki), "P-256: no BIT STRING");
	ok(!ec_gives(&ec, p256, 10, (struct bytes){ point.p, point.n - 1 }, spki), "P-256: an octet is missing");
	other = join("\x04\x42\x04", 3, point);
	memmove((unsigned char *)(uintptr_t)other.p + 2, point.p, point.n);
	ok(!ec_gives(&ec, p256, 10, other, spki), "P-256: an octet too many");
	ok(!ec_gives(&ec, p256, 10, hex("0441040000"), spki), "P-256: a head without its point");
	ok(!ec_gives(&ec, p256, 10, (struct bytes){ point.p, 0 }, spki), "P-256: no point");
	ok(!ec_gives(&ec, p256, 10, hex("00"), spki), "P-256: infinity");
	other = join("", 0, point);
	((unsigned char *)(uintptr_t)other.p)[64] ^= 1;
	ok(!ec_gives(&ec, p256, 10, other, (struct bytes){ 0 }), "P-256: a point that is not on the curve");
	ok(!ec_gives(&ec, explicit_curve, 5, point, spki), "parameters that are no named curve");
	ok(!ec_gives(&ec, p256, 9, point, spki), "parameters that are cut off");
	ok(!ec_gives(&ec, "", 0, point, spki), "no parameters");
	ok(!ec_gives(&ec, p521, 7, point, spki), "the point of another curve");
	point = a_point("ecdsa:521", &spki);
	ok(ec_gives(&ec, p521, 7, join("\x04\x81\x85", 3, point), spki), "P-521: the point in an OCTET STRING");
	ok(ec_gives(&ec, p521, 7, join("\x04\x85", 2, point), spki), "P-521: the length that tpm2-pkcs11 writes");
	point = a_point("ed25519", &spki);
	ok(ec_gives(&edwards, ed25519, 5, join("\x04\x20", 2, point), spki), "Ed25519: in an OCTET STRING");
	ok(ec_gives(&edwards, ed_name, 14, point, spki), "Ed25519: bare, its curve by name");
	ok(!ec_gives(&edwards, ed25519, 5, join("", 0, (struct bytes){ point.p, 31 }), spki),
	   "Ed25519: an octet is missing");
	ok(!ec_gives(&edwards, "\x06\x03\x2b\x65\x71", 5,
		     hex("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
		"00112233445566778899aabbccddeeff00112233445566778800"), spki), "Ed448");
	ok(!ec_gives(&aes, p256, 10, point, spki), "a key of another type");
}

static bool rsa_gives(struct bytes n, struct bytes e)
{
	struct fake_object *o = again(CKO_PUBLIC_KEY);

	fake_set(o, CKA_KEY_TYPE, &rsa, sizeof(rsa));
	fake_set(o, CKA_MODULUS, n.p, n.n);
	fake_set(o, CKA_PUBLIC_EXPONENT, e.p, e.n);
	return gives((struct bytes){ 0 });
}

static void test_rsa(void)
{
	struct bytes spki, n, huge = { arena_alloc(arena, 1, 60000), 60000 };
	struct err e = { 0 };
	AUTO(EVP_PKEY) *key = NULL;

	if (key_generate(keytype_parse("rsa:2048", &e), &key, &e) != 0 || key_spki(arena, key, &spki, &e) != 0)
		abort();
	n = (struct bytes){ spki.p + 33, 256 };
	ok(rsa_gives(n, hex("010001")), "RSA");
	ok(rsa_gives(join("\0\0", 2, n), hex("00010001")), "RSA with zeros in front");
	ok(!rsa_gives((struct bytes){ n.p, 0 }, hex("010001")), "RSA without a modulus");
	ok(!rsa_gives(n, (struct bytes){ n.p, 0 }), "RSA without an exponent");
	memset((unsigned char *)(uintptr_t)huge.p, 0xff, huge.n);
	rsa_gives(huge, hex("010001"));
	rsa_gives(hex("00"), hex("00"));
	ok(true, "numbers that make no key do no harm");
}

static void test_lengths(void)
{
	struct fake_object *o = again(CKO_PRIVATE_KEY);
	unsigned char *large = arena_alloc(arena, 1, 70000);
	struct bytes v = { 0 };

	SET(o, CKA_LABEL, "short");
	o->v[o->n - 1].says = 500;
	ok(!p11_attr(&use, 1, CKA_LABEL, &v), "a length that grows between two questions is not believed");
	o->v[o->n - 1].says = CK_UNAVAILABLE_INFORMATION;
	ok(!p11_attr(&use, 1, CKA_LABEL, &v), "nor that there is nothing after all");
	o->v[o->n - 1].says = 3;
	ok(p11_attr(&use, 1, CKA_LABEL, &v) && v.n == 3, "a shorter one is");
	fake_set(o, CKA_ID, large, 70000);
	ok(!p11_attr(&use, 1, CKA_ID, &v), "no attribute is longer than 64 KiB");
	ok(!p11_attr(&use, 1, CKA_VALUE, &v) && !p11_attr(&use, 7, CKA_ID, &v), "what is not there");
	fake_set(o, CKA_SIGN, "\1\1", 2);
	ok(!p11_attr_true(&use, 1, CKA_SIGN), "a truth of two octets is none");
}

static const char *handle_of(struct bytes key_id, struct bytes label)
{
	struct fake_object *o = again(CKO_PRIVATE_KEY);

	if (key_id.p)
		fake_set(o, CKA_ID, key_id.p, key_id.n);
	if (label.p)
		fake_set(o, CKA_LABEL, label.p, label.n);
	return p11_handle(&use, 1);
}

static void test_names(void)
{
	const struct bytes none = { 0 }, long_id = { arena_alloc(arena, 1, 300), 300 };

	is_str(handle_of((struct bytes){ id, 2 }, bytes_of("x")), "0a0b", "a key is named by its CKA_ID");
	is_str(handle_of(none, bytes_of("two words")), "label:two words", "by its label where it has none");
	is_str(handle_of((struct bytes){ id, 0 }, bytes_of("l\xc3\xa9")), "label:l\xc3\xa9", "or an empty one");
	is_str(handle_of(long_id, bytes_of("x")), "label:x", "or one that is too long");
	is_str(handle_of(none, (struct bytes){ (const unsigned char *)"a\0b", 3 }), NULL,
	       "not by a label with NUL in it");
	is_str(handle_of(none, bytes_of("\xff\xfe")), NULL, "nor by one that is not UTF-8");
	is_str(handle_of(none, long_id), NULL, "nor by one that is too long");
	is_str(handle_of(none, none), NULL, "without either it has no name");
	is_str(p11_text(arena, (const CK_UTF8CHAR *)"lam  \0\0\0", 8), "lam", "a field without its padding");
	is_str(p11_text(arena, (const CK_UTF8CHAR *)"12345678", 8), "12345678", "a field without any");
	is_str(p11_text(arena, (const CK_UTF8CHAR *)"        ", 8), "", "an empty field");
}

static enum err_code finding(const char *handle)
{
	struct p11_known k;
	struct err e = { 0 };

	return p11_key(&use, handle, &k, &e) == 0 ? ERR_NONE : e.code;
}

static void test_finding(void)
{
	struct fake_object *o = again(CKO_PRIVATE_KEY);
	AUTO(EVP_PKEY) *pub = NULL;
	struct err e = { 0 };

	fake_set(o, CKA_ID, id, 2);
	is_int(finding("0a0b"), ERR_NONE, "one key");
	is_int(finding("0a"), ERR_NOT_FOUND, "no key");
	is_int(finding("0A0B"), ERR_NONE, "hexadecimal of either kind");
	is_int(finding("nonsense"), ERR_INVALID, "what a record should not say");
	is_int(finding(""), ERR_INVALID, "nor this");
	is_int(finding("label:"), ERR_NOT_FOUND, "an empty label");
	fake_set(fake_add(CKO_PRIVATE_KEY), CKA_ID, id, 2);
	token.nknown = 0;
	is_int(finding("0a0b"), ERR_CONFLICT, "two keys of one name");
	fake.finds_too_many = 1000;
	is_int(finding("0a0b"), ERR_REMOTE, "a module that finds more than it may");
	fake.finds_too_many = 0;
	fake.find_rv = CKR_DEVICE_REMOVED;
	is_int(finding("0a0b"), ERR_REMOTE, "a module that cannot look");
	o = again(CKO_PRIVATE_KEY);
	fake_set(o, CKA_ID, id, 2);
	fake_set(o, CKA_KEY_TYPE, &ec, sizeof(ec));
	o = fake_add(CKO_CERTIFICATE);
	fake_set(o, CKA_ID, id, 2);
	SET(o, CKA_VALUE, "\x30\x03\x02\x01\x01");
	is_int(p11_pubkey(&use, "0a0b", &pub, &e), -1, "a certificate that is none tells no public key");
	is_str(*e.msg ? "why" : "", "why", "and it is said why");
}

/* --- signatures --- */

static enum err_code signing(struct bytes sig, CK_ULONG says, size_t *ret_n)
{
	const struct sigalg *alg = sigalgs;
	const struct keyref ref = { .handle = "0a0b" };
	static const unsigned char digest[32];
	SCOPED_BUF out = buf_init(BUF_TEXT);
	struct err e = { 0 };

	while (strcmp(alg->name, "ECDSA_SHA_256") != 0)
		alg++;
	fake.signature = sig;
	fake.signature_says = says;
	*ret_n = 0;
	if (p11_sign(&engine, &ref, alg, (struct bytes){ digest, 32 }, &out, &e) != 0)
		return e.code;
	*ret_n = out.n;
	return ERR_NONE;
}

static void test_signatures(void)
{
	struct fake_object *o = again(CKO_PRIVATE_KEY);
	unsigned char *raw = arena_alloc(arena, 1, 4096);
	size_t n;

	fake_set(o, CKA_ID, id, 2);
	fake_set(o, CKA_EC_PARAMS, p256, 10);
	is_int(signing((struct bytes){ raw, 64 }, 0, &n), ERR_REMOTE, "r and s are zero");
	memset(raw, 0xff, 4096);
	is_int(signing((struct bytes){ raw, 64 }, 0, &n), ERR_NONE, "r and s with their highest bits set");
	is_int((int64_t)n, 72, "become DER");
	for (size_t len = 0; len < 70; len++)
		if (len != 64 && signing((struct bytes){ raw, len }, 0, &n) == ERR_NONE)
			break;
	is_int((int64_t)n, 0, "no other length is taken");
	is_int(signing((struct bytes){ raw, 64 }, 1 << 20, &n), ERR_REMOTE, "a length that is beyond the room for it");
	fake.sign_rv = CKR_FUNCTION_FAILED;
	fake.signs = 0;
	is_int(signing((struct bytes){ raw, 64 }, 0, &n), ERR_REMOTE, "a device that fails");
}

/* --- URIs --- */

static void test_uris(void)
{
	static const char *const bad[] = {
		"", "pkcs11", "pkcs12:object=a", "pkcs11:object", "pkcs11:id=%", "pkcs11:id=%0", "pkcs11:id=%zz",
		"pkcs11:object=%ff%",
		"pkcs11:type=elephant", "pkcs11:object=a?pin-value=1234", "pkcs11:object=a%00b",
		"pkcs11:object=a;x-odd=1;odd=2"
	};
	struct p11_wanted w;
	struct err e = { 0 };

	if (!ok(p11_uri(arena, "pkcs11:token=My%20token;serial=1;object=old-ca;id=%0a%00?module-path=/a.so", &w,
			&e) == 0, "a URI"))
		return;
	is_str(w.token, "My token", "its token");
	is_str(w.serial, "1", "its serial number");
	is_str(w.object, "old-ca", "its object");
	is_str(w.module_path, "/a.so", "its module");
	ok(w.id.n == 2 && w.id.p[0] == 10 && w.is_private && !w.model, "its id, and what it leaves open");
	ok(p11_uri(arena, "pkcs11:object=c;type=cert", &w, &e) == 0 && !w.is_private,
	   "a certificate is not a private key");
	for (size_t i = 0; i < COUNT(bad); i++) {
		e = (struct err){ 0 };
		ok(p11_uri(arena, bad[i], &w, &e) != 0 && e.code == ERR_USAGE && !strstr(e.msg, "1234"), "refused: %s",
		   bad[i]);
	}
}

/* --- calls that do not come back --- */

static int hold(void *arg, struct arena *a, struct err *e)
{
	const int *fd = arg;
	char byte;

	(void)a, (void)e;
	p11_enter("C_Hold", 1);
	while (read(*fd, &byte, 1) < 0)
		continue;
	p11_leave();
	return 0;
}

static int answer(void *arg, struct arena *a, struct err *e)
{
	*(char **)arg = arena_strdup(a, "answer");
	return err_set(e, ERR_NOT_FOUND, "and more");
}

static void test_guard(void)
{
	struct p11_guard *g = p11_guard_new(1);
	int64_t end = tm_mono_ms() + 30000;
	struct err e = { 0 };
	char *text = NULL;
	int fds[2];

	if (pipe(fds) != 0)
		abort();
	ok(p11_guarded(g, arena, answer, &text, &e) != 0 && e.code == ERR_NOT_FOUND,
	   "what a thread says comes to whoever waits");
	is_str(text, "answer", "and what it has allocated");
	e = (struct err){ 0 };
	is_int(p11_guarded(g, arena, hold, fds, &e), -1, "a call that does not come back is left");
	ok(e.code == ERR_REMOTE && strstr(e.msg, "C_Hold"), "and named: %s", e.msg);
	e = (struct err){ 0 };
	ok(p11_guarded(g, arena, answer, &text, &e) != 0 && e.code == ERR_REMOTE && p11_stuck(g),
	   "nobody else is sent in");
	if (write(fds[1], "x", 1) != 1)
		abort();
	while (p11_stuck(g) && tm_mono_ms() < end)
		usleep(1000);
	e = (struct err){ 0 };
	ok(p11_guarded(g, arena, answer, &text, &e) != 0 && e.code == ERR_NOT_FOUND, "until it has come back");
	ok(p11_guard_free(g), "nothing is left behind");
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	arena = arena_new();
	fake_engine(&token, &engine);
	test_points();
	test_rsa();
	test_lengths();
	test_names();
	test_finding();
	test_signatures();
	test_uris();
	test_guard();
	fake_close(&token);
	arena_free(arena);
	return done();
}
