/* The one table of key types and the one table of signature algorithms. AlgorithmIdentifiers are constants, never
 * built: whatever signs, a certificate carries these bytes. Nothing else in the program may name an algorithm's
 * parameters. */
#include "crypto/algs.h"

#include <ctype.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "crypto/ossl.h"

/* clang-format off */
const struct keytype keytypes[] = {
	{ "rsa:2048",  "RSA",     2048, "RSA",       NULL },
	{ "rsa:3072",  "RSA",     3072, "RSA",       NULL },
	{ "rsa:4096",  "RSA",     4096, "RSA",       NULL },
	{ "ecdsa:224", "ECDSA",   224,  "EC",        "P-224" },
	{ "ecdsa:256", "ECDSA",   256,  "EC",        "P-256" },
	{ "ecdsa:384", "ECDSA",   384,  "EC",        "P-384" },
	{ "ecdsa:521", "ECDSA",   521,  "EC",        "P-521" },
	{ "ed25519",   "Ed25519", 256,  "ED25519",   NULL },
	{ "ml-dsa:44", "ML-DSA",  44,   "ML-DSA-44", NULL },
	{ "ml-dsa:65", "ML-DSA",  65,   "ML-DSA-65", NULL },
	{ "ml-dsa:87", "ML-DSA",  87,   "ML-DSA-87", NULL },
	{ 0 },
};

/* RFC 4055, 5758, 8410, 9881. The hashes inside RSASSA-PSS carry NULL parameters, as OpenSSL writes them. */
#define ID(s) { (const unsigned char *)(s), sizeof(s) - 1 }
#define RSA(n) "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01" n
#define SHA2(n) "\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02" n
#define PSS(n, salt) ID("\x30\x41" RSA("\x0a") "\x30\x34\xa0\x0f\x30\x0d" SHA2(n) "\x05\x00" \
	"\xa1\x1c\x30\x1a" RSA("\x08") "\x30\x0d" SHA2(n) "\x05\x00" "\xa2\x03\x02\x01" salt)
#define PSS_NO_NULL(n, salt) ID("\x30\x3d" RSA("\x0a") "\x30\x30\xa0\x0d\x30\x0b" SHA2(n) \
	"\xa1\x1a\x30\x18" RSA("\x08") "\x30\x0b" SHA2(n) "\xa2\x03\x02\x01" salt)
#define ECDSA(n) ID("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03" n)
#define MLDSA(n) ID("\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03" n)

const struct sigalg sigalgs[] = {
	{ "RSASSA_PKCS1_V1_5_SHA_256", "RSA", "SHA256", false, ID("\x30\x0d" RSA("\x0b") "\x05\x00") },
	{ "RSASSA_PKCS1_V1_5_SHA_384", "RSA", "SHA384", false, ID("\x30\x0d" RSA("\x0c") "\x05\x00") },
	{ "RSASSA_PKCS1_V1_5_SHA_512", "RSA", "SHA512", false, ID("\x30\x0d" RSA("\x0d") "\x05\x00") },
	{ "RSASSA_PSS_SHA_256", "RSA", "SHA256", true, PSS("\x01", "\x20") },
	{ "RSASSA_PSS_SHA_384", "RSA", "SHA384", true, PSS("\x02", "\x30") },
	{ "RSASSA_PSS_SHA_512", "RSA", "SHA512", true, PSS("\x03", "\x40") },
	{ "ECDSA_SHA_256", "EC", "SHA256", false, ECDSA("\x02") },
	{ "ECDSA_SHA_384", "EC", "SHA384", false, ECDSA("\x03") },
	{ "ECDSA_SHA_512", "EC", "SHA512", false, ECDSA("\x04") },
	{ "Ed25519", "ED25519", NULL, false, ID("\x30\x05\x06\x03\x2b\x65\x70") },
	{ "ML_DSA_44", "ML-DSA-44", NULL, false, MLDSA("\x11") },
	{ "ML_DSA_65", "ML-DSA-65", NULL, false, MLDSA("\x12") },
	{ "ML_DSA_87", "ML-DSA-87", NULL, false, MLDSA("\x13") },
	{ 0 },
};

/* Other spellings that are read but never written (RFC 4055 2.1 and 5: absent parameters must be accepted). */
static const struct {
	const char *name;
	struct bytes der;
} spellings[] = {
	{ "RSASSA_PSS_SHA_256", PSS_NO_NULL("\x01", "\x20") },
	{ "RSASSA_PSS_SHA_384", PSS_NO_NULL("\x02", "\x30") },
	{ "RSASSA_PSS_SHA_512", PSS_NO_NULL("\x03", "\x40") },
	{ "RSASSA_PKCS1_V1_5_SHA_256", ID("\x30\x0b" RSA("\x0b")) },
	{ "RSASSA_PKCS1_V1_5_SHA_384", ID("\x30\x0b" RSA("\x0c")) },
	{ "RSASSA_PKCS1_V1_5_SHA_512", ID("\x30\x0b" RSA("\x0d")) },
};
/* clang-format on */

/* Letters and digits only, lower case: "ECDSA P-256" and "ecdsa_p256" are alike. */
static void squeeze(const char *s, char *out, size_t size)
{
	size_t n = 0;

	for (; *s && n + 1 < size; s++)
		if (isalnum((unsigned char)*s))
			out[n++] = (char)tolower((unsigned char)*s);
	out[n] = 0;
}

static bool names_keytype(const char *squeezed, const struct keytype *k)
{
	char name[32], group[32], bits[32];

	squeeze(k->name, name, sizeof(name));
	if (strcmp(squeezed, name) == 0)
		return true;
	if (strcmp(k->ossl, "ED25519") == 0)
		return strcmp(squeezed, "ed25519256") == 0;
	if (!k->group)
		return false;
	squeeze(k->group, group, sizeof(group)); /* "p256" */
	squeeze(k->name + strlen("ecdsa:"), bits, sizeof(bits));
	if (strncmp(squeezed, "ec", 2) == 0) {
		squeezed += strncmp(squeezed, "ecdsa", 5) == 0 ? 5 : 2;
		if (strcmp(squeezed, bits) == 0)
			return true;
	}
	return strcmp(squeezed, group) == 0;
}

const struct keytype *keytype_parse(const char *text, struct err *e)
{
	SCOPED_BUF known = buf_init(BUF_TEXT);
	char squeezed[32];

	squeeze(text, squeezed, sizeof(squeezed));
	for (const struct keytype *k = keytypes; k->name; k++) {
		if (!names_keytype(squeezed, k)) {
			buf_printf(&known, "%s%s", k == keytypes ? "" : ", ", k->name);
			continue;
		}
		if (!keytype_available(k)) {
			err_set(e, ERR_UNSUPPORTED, "key type %s needs OpenSSL 3.5 or later", k->name);
			return NULL;
		}
		return k;
	}
	err_set(e, ERR_INVALID, "key type \"%.40s\" is not known; the known types are %s", text, buf_str(&known));
	return NULL;
}

const struct keytype *keytype_find(const char *algorithm, int64_t bits)
{
	for (const struct keytype *k = keytypes; k->name; k++)
		if (text_same_name(k->algorithm, algorithm) && k->bits == bits)
			return k;
	return NULL;
}

const struct keytype *keytype_of(const EVP_PKEY *key)
{
	const char *asked = "";
	char group[64] = "";
	int curve = NID_undef;
	bool is = false;

	if (EVP_PKEY_is_a(key, "EC")) { /* the group may go by either of its names */
		if (EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1)
			curve = OBJ_txt2nid(group);
		if (curve == NID_undef)
			return NULL;
	}
	for (const struct keytype *k = keytypes; k->name; k++) {
		if (strcmp(asked, k->ossl) != 0) {
			asked = k->ossl;
			is = EVP_PKEY_is_a(key, asked);
		}
		if (!is)
			continue;
		if (k->group ? curve == EC_curve_nist2nid(k->group) : strcmp(k->ossl, "RSA") != 0 ||
		    EVP_PKEY_get_bits(key) == k->bits)
			return k;
	}
	return NULL;
}

bool keytype_available(const struct keytype *k)
{
	EVP_KEYMGMT *found;
	bool available;

	if (strcmp(k->algorithm, "ML-DSA") != 0)
		return true;
	found = EVP_KEYMGMT_fetch(NULL, k->ossl, NULL);
	available = found != NULL;
	EVP_KEYMGMT_free(found);
	ERR_clear_error();
	return available;
}

const struct sigalg *sigalg_find(const char *name)
{
	for (const struct sigalg *s = sigalgs; s->name; s++)
		if (text_same_name(s->name, name))
			return s;
	return NULL;
}

const struct sigalg *sigalg_default(const EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);

	if (EVP_PKEY_is_a(key, "EC"))
		return sigalg_find(bits > 384 ? "ECDSA_SHA_512" : bits > 256 ? "ECDSA_SHA_384" : "ECDSA_SHA_256");
	for (const struct sigalg *s = sigalgs; s->name; s++)
		if (EVP_PKEY_is_a(key, s->ossl))
			return s;
	return NULL;
}

const struct sigalg *sigalg_by_der(struct bytes der)
{
	for (const struct sigalg *s = sigalgs; s->name; s++)
		if (bytes_equal(s->der, der))
			return s;
	for (size_t i = 0; i < COUNT(spellings); i++)
		if (bytes_equal(spellings[i].der, der))
			return sigalg_find(spellings[i].name);
	return NULL;
}

bool sigalg_fits(const struct sigalg *alg, const EVP_PKEY *key)
{
	return EVP_PKEY_is_a(key, alg->ossl);
}
