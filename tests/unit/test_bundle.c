/* PKCS#7 and PKCS#12: ours read by OpenSSL, OpenSSL's read by us, wrong passphrases, absurd costs, damage. */
#include "tap.h"

#include "mini_pki.h"

#include "crypto/bundle.h"

#include <openssl/err.h>
#include <openssl/pkcs7.h>

static struct arena *a;
static struct node root, leaf;

static void pkcs7(void)
{
	struct bytes in[] = { leaf.der, root.der }, der, none, *out;
	struct err e = { 0 };
	const unsigned char *p;
	size_t n = 0;

	ok(p7_certs(a, in, 2, &der, &e) == 0, "make");
	p = der.p;
	AUTO(PKCS7) *p7 = d2i_PKCS7(NULL, &p, (long)der.n);
	ok(p7 && p == der.p + der.n && sk_X509_num(p7->d.sign->cert) == 2, "OpenSSL reads two certificates");
	ok(p7_split(a, der, &out, &n, &e) == 0 && n == 2 && bytes_equal(out[0], leaf.der) &&
	   bytes_equal(out[1], root.der),
	   "the order stays");
	ok(p7_certs(a, NULL, 0, &none, &e) == 0 && p7_split(a, none, &out, &n, &e) == 0 && n == 0, "none");
	ok(p7_split(a, leaf.der, &out, &n, &e) < 0, "a certificate is none: %s", e.msg);
	for (size_t i = 0; i < der.n; i++) {
		SCOPED_ARENA *scratch = arena_new();

		if (p7_split(scratch, (struct bytes){ der.p, i }, &out, &n, &e) == 0)
			ok(false, "a prefix of %zu bytes", i);
	}
	ERR_clear_error();
}

static void own_p12(bool legacy)
{
	struct bytes in[] = { leaf.der, root.der }, der = { 0 };
	const unsigned char *p;
	struct err e = { 0 };
	struct p12 got = { 0 };

	ok(p12_build(a, leaf.key, in, 2, "dev 1", "sésame", legacy, &der, &e) == 0, "make %s", e.msg);
	p = der.p;
	AUTO(PKCS12) *p12 = d2i_PKCS12(NULL, &p, (long)der.n);
	AUTO(EVP_PKEY) *key = NULL;
	AUTO(X509) *x = NULL;
	STACK_OF(X509) *more = NULL;

	ok(p12 && PKCS12_parse(p12, "sésame", &key, &x, &more) == 1 && key && x && sk_X509_num(more) == 1,
	   "OpenSSL opens it");
	ok(key && EVP_PKEY_eq(key, leaf.key) == 1, "with the key");
	sk_X509_pop_free(more, X509_free);
	ok(p12_load(a, der, "sésame", &got, &e) == 0, "so do we %s", e.msg);
	ok(got.key && EVP_PKEY_eq(got.key, leaf.key) == 1 && got.ncerts == 2, "key and certificates");
	ok(got.ncerts == 2 && bytes_equal(got.certs[0], leaf.der) && bytes_equal(got.certs[1], root.der),
	   "own certificate first");
	is_str(got.name, "dev 1", "name");
	EVP_PKEY_free(got.key);
	ok(p12_load(a, der, "wrong", &got, &e) < 0 && e.code == ERR_DENIED, "wrong passphrase: %s", e.msg);
	ok(p12_load(a, der, NULL, &got, &e) < 0 && e.code == ERR_DENIED, "no passphrase: %s", e.msg);
	ok(p12_load(a, (struct bytes){ der.p, der.n - 1 }, "sésame", &got, &e) < 0 && e.code == ERR_INVALID, "cut: %s",
	   e.msg);
}

static struct bytes encoded(PKCS12 *p12)
{
	unsigned char *out = NULL;
	int n = i2d_PKCS12(p12, &out);
	struct bytes der = { arena_memdup(a, out, (size_t)n), (size_t)n };

	OPENSSL_free(out);
	return der;
}

static X509 *as_x509(struct bytes der)
{
	const unsigned char *p = der.p;

	return d2i_X509(NULL, &p, (long)der.n);
}

static void foreign_p12(void)
{
	AUTO(X509) *own = as_x509(leaf.der), *other = as_x509(root.der);
	STACK_OF(X509) *more = sk_X509_new_null();
	struct err e = { 0 };
	struct p12 got = { 0 };
	struct bytes der;

	sk_X509_push(more, other);
	AUTO(PKCS12) *empty = PKCS12_create("", "x", leaf.key, own, more, 0, 0, 1000, 1000, 0);
	AUTO(PKCS12) *plain = PKCS12_create("p", "x", leaf.key, own, more, -1, -1, 1000, 1000, 0);
	AUTO(PKCS12) *trust = PKCS12_create("p", NULL, NULL, NULL, more, 0, 0, 1000, 1000, 0);
	AUTO(PKCS12) *nomac = PKCS12_create("p", "x", leaf.key, own, NULL, 0, 0, 1000, -1, 0);
	AUTO(PKCS12) *slow = PKCS12_create("p", "x", leaf.key, own, NULL, 0, 0, 1000, 1000, 0);
	sk_X509_free(more);

	ok(p12_load(a, encoded(empty), NULL, &got, &e) == 0 && got.key && got.ncerts == 2, "empty passphrase %s",
	   e.msg);
	EVP_PKEY_free(got.key);
	ok(p12_load(a, encoded(plain), "p", &got, &e) == 0 && got.key && got.ncerts == 2, "not encrypted %s", e.msg);
	EVP_PKEY_free(got.key);
	ok(p12_load(a, encoded(trust), "p", &got, &e) == 0 && !got.key && got.ncerts == 1, "certificates only %s",
	   e.msg);
	ok(p12_load(a, encoded(nomac), "p", &got, &e) == 0 && got.key, "no MAC %s", e.msg);
	EVP_PKEY_free(got.key);
	ok(p12_load(a, encoded(nomac), "q", &got, &e) < 0 && e.code == ERR_DENIED, "no MAC, wrong passphrase: %s",
	   e.msg);

	/* the MAC's count of rounds is the last integer: 1000 = 02 02 03 e8 */
	der = encoded(slow);
	ok(der.p[der.n - 4] == 2 && der.p[der.n - 3] == 2, "rounds of the MAC are at the end");
	{
		unsigned char *d = arena_alloc(a, der.n + 2, 1);
		struct derw w = derw_init(d, der.n + 2);
		struct der top = der_of(der), in;
		struct bytes v, mac, rest;

		der_expect(&top, DER_SEQUENCE, &v);
		in = der_of(v);
		der_next(&in, NULL, NULL, &rest);
		der_next(&in, NULL, NULL, &mac);
		rest = (struct bytes){ v.p, rest.n + mac.n };
		in.p = rest.p + rest.n;
		der_expect(&in, DER_SEQUENCE, &mac);
		derw_uint(&w, 0x7fffffff);
		derw_raw(&w, mac.p, mac.n - 4);
		derw_head(&w, DER_SEQUENCE, 0);
		derw_raw(&w, rest.p, rest.n);
		derw_head(&w, DER_SEQUENCE, 0);
		ok(p12_load(a, derw_bytes(&w), "p", &got, &e) < 0 && strstr(e.msg, "rounds"), "2^31 rounds: %s", e.msg);
	}
	der = encoded(plain);
	for (size_t i = 0; i < der.n * 8; i += 7) {
		SCOPED_ARENA *scratch = arena_new();
		unsigned char *copy = arena_memdup(scratch, der.p, der.n);
		struct p12 odd = { 0 };

		copy[i / 8] ^= (unsigned char)(1 << i % 8);
		if (p12_load(scratch, (struct bytes){ copy, der.n }, "p", &odd, &e) == 0)
			EVP_PKEY_free(odd.key);
	}
	ok(true, "damage does no harm");
	ERR_clear_error();
}

int main(void)
{
	a = arena_new();
	root = make_node(a, NULL, "CN=Root", true, NULL, NULL);
	leaf = make_node(a, &root, "CN=dev-1", false, NULL, NULL);
	pkcs7();
	own_p12(false);
	own_p12(true);
	foreign_p12();
	EVP_PKEY_free(root.key);
	EVP_PKEY_free(leaf.key);
	arena_free(a);
	return done();
}
