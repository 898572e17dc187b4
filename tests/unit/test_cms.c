/* CMS around keys: what is signed and encrypted comes out again for whom it is, and for nobody else; capabilities are
 * read as the standards have them; damage is an error. */
#include "tap.h"

#include "mini_pki.h"

#include "base/text.h"
#include "crypto/cms.h"
#include "crypto/csr.h"

static struct arena *a;
static struct node root, maker, client, other;
static EVP_PKEY *rsa;

static struct bytes hex(const char *text)
{
	struct bytes b = { 0 };

	if (hex_decode(a, text, &b) != 0)
		exit(99);
	return b;
}

/* A list of AES-256 in CBC mode and this. */
static int choose(const EVP_PKEY *key, const char *more, struct cms_how *how, struct err *e)
{
	struct bytes aes = hex("300b060960864801650304012a"), also = hex(more);

	*e = (struct err){ 0 };
	return cms_choose(DER_JOIN(a, DER_SEQUENCE, aes, also), key, how, e);
}

#define OAEP "06092a864886f70d010107"
#define SHA_256 "06096086480165030402010500"
#define MGF1 "06092a864886f70d010108"

static void choices(void)
{
	struct cms_how how;
	struct bytes ours;
	struct err e;

	ok(choose(rsa, "", &how, &e) == 0 && !how.oaep && EVP_CIPHER_get_nid(how.cipher) == NID_aes_256_cbc,
	   "RSA: nothing said of wrapping");
	ok(choose(rsa, "300b" OAEP, &how, &e) == 0 && how.oaep && EVP_MD_is_a(how.md, "SHA1") &&
	   EVP_MD_is_a(how.mgf1_md, "SHA1"), "OAEP as it is by default");
	ok(choose(rsa, "303c" OAEP "302f" "a00f300d" SHA_256 "a11c301a" MGF1 "300d" SHA_256, &how, &e) == 0 &&
	   how.oaep && EVP_MD_is_a(how.md, "SHA256") &&
	   EVP_MD_is_a(how.mgf1_md, "SHA256"), "OAEP with SHA-256: %s", e.msg);
	ok(choose(rsa, "301e" OAEP "3011" "a00f300d" SHA_256, &how, &e) == 0 && EVP_MD_is_a(how.mgf1_md, "SHA1"),
	   "its mask by default");
	ok(choose(rsa, "3012" OAEP "3005" "a2033001" "00", &how, &e) < 0 && e.code == ERR_UNSUPPORTED,
	   "with a label: %s", e.msg);
	ok(choose(client.key, "", &how, &e) == 0 && EVP_MD_is_a(how.kdf_md, "SHA256") &&
	   EVP_CIPHER_get_key_length(how.wrap) == 32, "EC: nothing said");
	ok(choose(client.key, "3015" "06062b8104010b01" "300b0609608648016503040105", &how, &e) == 0 &&
	   EVP_CIPHER_get_key_length(how.wrap) == 16,
	   "the wrap is in the agreement's parameters");
	ok(choose(client.key, "3008" "06062b8104010e01", &how, &e) < 0 && e.code == ERR_UNSUPPORTED,
	   "only other agreements: %s", e.msg);
	ok(cms_choose(hex("3000"), rsa, &how, &e) < 0 && e.code == ERR_UNSUPPORTED, "an empty list: %s", e.msg);
	ok(cms_choose(hex("30003000"), rsa, &how, &e) < 0 && e.code == ERR_INVALID, "two lists: %s", e.msg);
	ok(cms_choose(hex("0500"), rsa, &how, &e) < 0 && e.code == ERR_INVALID, "no list");
	for (int i = 0; i < 2; i++) {
		const EVP_PKEY *key = i ? rsa : client.key;

		ok(cms_capabilities(a, key, &ours, &e) == 0 && cms_choose(ours, key, &how, &e) == 0 &&
		   EVP_CIPHER_get_key_length(how.cipher) == 32 &&
		   EVP_MD_is_a(i ? how.md : how.kdf_md, "SHA256"), "ours are understood here: %s", e.msg);
	}
}

static void names(void)
{
	struct cert nameless = client.cert;
	struct bytes id;

	ok(bytes_equal(cms_key_id(a, &client.cert), client.cert.ski), "named as the certificate says");
	nameless.ski = (struct bytes){ 0 };
	id = cms_key_id(a, &nameless);
	AUTO(EVP_PKEY) *key = NULL;
	AUTO(X509) *x = X509_new();
	unsigned char sha1[20];
	unsigned n = 0;
	struct err e = { 0 };

	ok(cert_pubkey(&nameless, &key, &e) == 0 && x && X509_set_pubkey(x, key) == 1 &&
	   X509_pubkey_digest(x, EVP_sha1(), sha1, &n) == 1 && n == id.n &&
	   memcmp(sha1, id.p, n) == 0, "else by SHA-1 of the key");
}

static void round_trip(void)
{
	const struct bytes content = bytes_of("what is in it"), certs[] = { maker.der, root.der };
	struct bytes sd, env, back;
	struct cms_signed got;
	struct cms_how how;
	struct err e = { 0 };

	ok(cms_sign(a, OID_CT_KEY_PACKAGE, content, maker.key, certs, 2, &sd, &e) == 0, "signed %s", e.msg);
	ok(cms_verify(a, OID_CT_KEY_PACKAGE, sd, &got, &e) == 0 && bytes_equal(got.content, content) &&
	   bytes_equal(got.signer, maker.der) && got.n == 2,
	   "verified %s", e.msg);
	ok(cms_verify(a, "1.2.840.113549.1.7.1", sd, &got, &e) < 0 && e.code == ERR_INVALID, "another type: %s", e.msg);
	ok(choose(client.key, "", &how, &e) == 0 && cms_encrypt(a, sd, client.der, &how, &env, &e) == 0, "encrypted %s",
	   e.msg);
	ok(cms_decrypt(a, env, client.key, client.der, &back, &e) == 0 && bytes_equal(back, sd), "decrypted %s", e.msg);
	ok(cms_decrypt(a, env, other.key, other.der, &back, &e) < 0 && e.code == ERR_DENIED, "by nobody else: %s",
	   e.msg);
	ok(cms_decrypt(a, env, other.key, client.der, &back, &e) < 0, "with no other key: %s", e.msg);
	for (size_t i = 0; i < env.n; i++) {
		SCOPED_ARENA *scratch = arena_new();

		if (cms_decrypt(scratch, (struct bytes){ env.p, i }, client.key, client.der, &back, &e) == 0)
			ok(false, "a prefix of %zu bytes", i);
	}
	for (size_t i = 0; i < sd.n; i++) {
		SCOPED_ARENA *scratch = arena_new();
		unsigned char *bent = arena_memdup(scratch, sd.p, sd.n);

		bent[i] ^= 1;
		if (cms_verify(scratch, OID_CT_KEY_PACKAGE, (struct bytes){ bent, sd.n }, &got, &e) == 0 &&
		    !bytes_equal(got.content, content))
			ok(false, "octet %zu bent", i);
	}
}

static void attributes(void)
{
	struct bytes value = hex("040161"),
			     many[] = { csr_attribute_build(a, "1.2.3.4", value),
					csr_attribute_build(a, "1.2.3", value) }, der, got;
	struct exts exts = { 0 };
	struct csr csr;
	struct err e = { 0 };

	ext_basic_constraints(a, &exts, false, -1);
	ok(csr_build_with(a, client.cert.subject, &exts, many, 2, client.key, sigalg_default(client.key), &der,
			  &e) == 0 && csr_parse(a, der, &csr, &e) == 0 &&
	   csr.exts.n == 1, "a request with attributes %s", e.msg);
	ok(csr_attribute(&csr, "1.2.3.4", &got, &e) == 0 && bytes_equal(got, value), "is read");
	ok(csr.attributes.n > 2 && memmem(csr.attributes.p, csr.attributes.n, many[1].p, many[1].n) == csr.attributes.p,
	   "in the order of a SET OF");
}

int main(void)
{
	struct err e = { 0 };

	a = arena_new();
	root = make_node(a, NULL, "CN=Root", true, NULL, NULL);
	maker = make_node(a, &root, "CN=Maker", false, NULL, NULL);
	client = make_node(a, &root, "CN=Client", false, NULL, NULL);
	other = make_node(a, &root, "CN=Other", false, NULL, NULL);
	if (key_generate(keytype_find("RSA", 2048), &rsa, &e) != 0)
		exit(99);
	choices();
	names();
	round_trip();
	attributes();
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(root.key);
	EVP_PKEY_free(maker.key);
	EVP_PKEY_free(client.key);
	EVP_PKEY_free(other.key);
	arena_free(a);
	return done();
}
