/* Private keys from files that others made: PKCS#8, PKCS#1, SEC1, DER and PEM, encrypted in the new and the old ways.
 * What the file asks for in memory and time is bounded; what comes out is a key that signs and whose halves belong
 * together. Plain key material is wiped before return. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "crypto/der.h"
#include "crypto/key_der.h"

DEFINE_AUTO(X509_SIG, X509_SIG_free)

enum { KEY_DER_MAX = 16 << 10, RSA_MAX_BITS = 16384, PASSPHRASE_MAX = 1024, TEXT_MAX = 1 << 20 };

int key_from_der(struct bytes der, EVP_PKEY **ret, struct err *e)
{
	const unsigned char *p = der.p;
	AUTO(EVP_PKEY) *key = NULL;
	const char *type;

	if (der.n > KEY_DER_MAX)
		return err_set(e, ERR_INVALID, "private key: %zu octets, more than %d", der.n, KEY_DER_MAX);
	key = key_ec_private(der);
	if (key)
		p += der.n;
	else
		key = d2i_AutoPrivateKey_ex(NULL, &p, (long)der.n, NULL, NULL);
	if (!key) {
		err_ossl(e, "private key");
		return err_set(e, ERR_INVALID, "not a private key in PKCS#8, PKCS#1 or SEC1 form");
	}
	ERR_clear_error(); /* of the decoders that did not fit */
	if (p != der.p + der.n)
		return err_set(e, ERR_INVALID, "private key: trailing bytes");
	type = EVP_PKEY_get0_type_name(key);
	if (!sigalg_default(key))
		return err_set(e, ERR_UNSUPPORTED, "private key: keys of type %s cannot sign here",
			       type ? type : "unknown");
	if (EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) > RSA_MAX_BITS)
		return err_set(e, ERR_INVALID, "private key: RSA above %d bits", RSA_MAX_BITS);
	*ret = key;
	key = NULL;
	return 0;
}

/* A file can name any public half; only a signature shows that it is the right one. */
static int check_halves(EVP_PKEY *key, struct err *e)
{
	SCOPED_BUF sig = buf_init(BUF_TEXT);
	const struct sigalg *alg = sigalg_default(key);
	struct bytes msg = bytes_of("key check");
	bool valid = false;

	if (key_sign(key, alg, msg, &sig, e))
		return err_set(e, ERR_INVALID, "private key: does not sign");
	if (key_verify(key, alg, msg, false, buf_bytes(&sig), &valid, e))
		return err_set(e, ERR_INVALID, "private key: does not verify");
	return valid ? 0
		     : err_set(e, ERR_INVALID, "private key: the private and the public half do not belong together");
}

enum form { FORM_OTHER, FORM_PLAIN, FORM_ENCRYPTED };

/* Told by the first two elements: INTEGER is a version, SEQUENCE an encryption algorithm. */
static enum form form_of(struct bytes der)
{
	struct der d = der_of(der);
	struct bytes body;
	int tag;

	if (!der_expect(&d, DER_SEQUENCE, &body))
		return FORM_OTHER;
	d = der_of(body);
	if (der_expect(&d, DER_INTEGER, NULL))
		return FORM_PLAIN;
	if (der_expect(&d, DER_SEQUENCE, NULL) && der_peek(&d, &tag) && tag == DER_OCTETSTRING)
		return FORM_ENCRYPTED;
	return FORM_OTHER;
}

/* The schemes before PBES2 (RFC 8018 6.1, RFC 7292 B): all have {salt, rounds} as parameters. */
static bool old_scheme_ok(struct bytes der)
{
	struct der d = der_of(der);
	struct bytes v;
	uint64_t rounds;

	if (!der_expect(&d, DER_SEQUENCE, &v))
		return false;
	d = der_of(v);
	if (!der_expect(&d, DER_SEQUENCE, &v))
		return false;
	d = der_of(v);
	if (!der_expect(&d, DER_OID, NULL) || !der_expect(&d, DER_SEQUENCE, &v) || !der_done(&d))
		return false;
	d = der_of(v);
	return der_expect(&d, DER_OCTETSTRING, NULL) && der_expect(&d, DER_INTEGER, &v) && der_done(&d) &&
	       der_uint(v, &rounds) && kdf_rounds_ok(rounds);
}

static int open_old_scheme(struct bytes der, const char *passphrase, EVP_PKEY **ret, struct err *e)
{
	const unsigned char *p = der.p;
	AUTO(X509_SIG) *sealed = NULL;
	AUTO(PKCS8_PRIV_KEY_INFO) *p8 = NULL;
	unsigned char *plain = NULL;
	int n, failed;

	sealed = d2i_X509_SIG(NULL, &p, (long)der.n);
	p8 = sealed ? PKCS8_decrypt(sealed, passphrase, (int)strlen(passphrase)) : NULL;
	if (!p8) {
		err_ossl(e, "encrypted private key");
		return err_set(e, ERR_DENIED, "the passphrase does not open the key");
	}
	n = i2d_PKCS8_PRIV_KEY_INFO(p8, &plain);
	if (n <= 0)
		return err_ossl(e, "private key");
	failed = key_from_der((struct bytes){ plain, (size_t)n }, ret, e);
	OPENSSL_clear_free(plain, (size_t)n);
	return failed;
}

static int open_encrypted(struct bytes der, const char *passphrase, EVP_PKEY **ret, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	unsigned char key[PBES2_KEY_MAX];
	struct err why = { 0 };
	struct bytes plain;
	struct pbes2 x;
	int failed;

	if (!passphrase)
		return err_set(e, ERR_DENIED, "the private key is encrypted and no passphrase is given");
	if (strlen(passphrase) > PASSPHRASE_MAX)
		return err_set(e, ERR_DENIED, "the passphrase is too long");
	if (pbes2_parse(der, &x, &why)) {
		if (why.code == ERR_UNSUPPORTED && old_scheme_ok(der))
			return open_old_scheme(der, passphrase, ret, e);
		*e = why;
		return -1;
	}
	failed = pbes2_derive(&x, passphrase, key, e) || pbes2_decrypt(a, &x, key, &plain, e);
	OPENSSL_cleanse(key, sizeof(key));
	if (failed)
		return -1;
	if (!key_from_der(plain, ret, e))
		return 0;
	return e->code == ERR_INVALID ? err_set(e, ERR_DENIED, "the passphrase does not open the key") : -1;
}

static int load_der(struct bytes der, const char *passphrase, EVP_PKEY **ret, struct err *e)
{
	if (der.n > 2 * KEY_DER_MAX)
		return err_set(e, ERR_INVALID, "private key: %zu octets, more than %d", der.n, KEY_DER_MAX);
	if (form_of(der) == FORM_ENCRYPTED)
		return open_encrypted(der, passphrase, ret, e);
	return key_from_der(der, ret, e);
}

/* A PEM block as OpenSSL reads it, with the headers of RFC 1421. */
struct block {
	char *label, *header;
	unsigned char *data;
	long n;
};

static void block_clear(struct block *b)
{
	OPENSSL_free(b->label);
	OPENSSL_free(b->header);
	OPENSSL_clear_free(b->data, b->n > 0 ? (size_t)b->n : 0);
	*b = (struct block){ .n = 0 };
}

/* The next block that holds a private key. */
static bool next_private(BIO *in, struct block *b)
{
	static const char *const labels[] = { "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY",
					      "EC PRIVATE KEY",
					      "DSA PRIVATE KEY" };

	while (PEM_read_bio(in, &b->label, &b->header, &b->data, &b->n) == 1) {
		for (size_t i = 0; i < COUNT(labels); i++)
			if (strcmp(b->label, labels[i]) == 0)
				return true;
		block_clear(b);
	}
	ERR_clear_error();
	return false;
}

static bool block_encrypted(const struct block *b)
{
	return strcmp(b->label, "ENCRYPTED PRIVATE KEY") == 0 || strstr(b->header, "ENCRYPTED");
}

static int give_passphrase(char *buf, int size, int rw, void *arg)
{
	size_t n = strlen(arg);

	(void)rw;
	if (n > (size_t)size)
		return -1;
	memcpy(buf, arg, n);
	return (int)n;
}

static int open_block(struct block *b, const char *passphrase, EVP_PKEY **ret, struct err *e)
{
	struct bytes der = { b->data, (size_t)b->n };
	char copy[PASSPHRASE_MAX + 1];
	EVP_CIPHER_INFO cipher;
	int opened;

	if (!strstr(b->header, "ENCRYPTED"))
		return load_der(der, passphrase, ret, e);
	if (!passphrase)
		return err_set(e, ERR_DENIED, "the private key is encrypted and no passphrase is given");
	if (PEM_get_EVP_CIPHER_INFO(b->header, &cipher) != 1)
		return err_ossl(e, "encrypted private key");
	snprintf(copy, sizeof(copy), "%s", passphrase);
	opened = PEM_do_header(&cipher, b->data, &b->n, give_passphrase, copy);
	OPENSSL_cleanse(copy, sizeof(copy));
	der.n = (size_t)b->n;
	if (opened == 1 && !key_from_der(der, ret, e))
		return 0;
	if (opened == 1 && e->code == ERR_UNSUPPORTED)
		return -1;
	ERR_clear_error();
	return err_set(e, ERR_DENIED, "the passphrase does not open the key");
}

static int load_pem(struct bytes text, const char *passphrase, EVP_PKEY **ret, struct err *e)
{
	AUTO(BIO) *in = BIO_new_mem_buf(text.p, (int)text.n);
	struct block b = { .n = 0 };
	int failed;

	if (!in)
		return err_ossl(e, "private key");
	if (!next_private(in, &b))
		return err_set(e, ERR_INVALID, "no private key found");
	failed = open_block(&b, passphrase, ret, e);
	block_clear(&b);
	if (failed || !next_private(in, &b))
		return failed;
	block_clear(&b);
	EVP_PKEY_free(*ret);
	*ret = NULL;
	return err_set(e, ERR_INVALID, "more than one private key found");
}

int key_load(struct bytes text, const char *passphrase, EVP_PKEY **ret, struct err *e)
{
	AUTO(EVP_PKEY) *key = NULL;

	if (text.n == 0 || text.n > TEXT_MAX)
		return err_set(e, ERR_INVALID, "private key: %s", text.n ? "file is too large" : "file is empty");
	if (text.p[0] == DER_SEQUENCE ? load_der(text, passphrase, &key, e) : load_pem(text, passphrase, &key, e))
		return -1;
	if (check_halves(key, e))
		return -1;
	*ret = key;
	key = NULL;
	return 0;
}

bool key_is_encrypted(struct bytes text)
{
	AUTO(BIO) *in = NULL;
	struct block b = { .n = 0 };
	bool encrypted;

	if (text.n == 0 || text.n > TEXT_MAX)
		return false;
	if (text.p[0] == DER_SEQUENCE)
		return form_of(text) == FORM_ENCRYPTED;
	in = BIO_new_mem_buf(text.p, (int)text.n);
	if (!in || !next_private(in, &b))
		return false;
	encrypted = block_encrypted(&b);
	block_clear(&b);
	return encrypted;
}
