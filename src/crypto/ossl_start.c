/* OpenSSL for a process that lives for milliseconds. Guarantees: what this program uses of OpenSSL works as ever, and
 * its configuration has the last word; left out is what costs more than a signature and nobody here asks for. */
#include <openssl/err.h>
#include <openssl/rand.h>

#include "crypto/ossl.h"

/* What is looked up by name or number all the same: digests of certificates' signatures, ciphers of encrypted PEM (RFC
 * 1421). */
static void add_names(void)
{
	static const EVP_MD *(*const digests[])(void) = { EVP_md5, EVP_sha1, EVP_sha224, EVP_sha256, EVP_sha384,
							  EVP_sha512,
		EVP_sha512_224, EVP_sha512_256, EVP_sha3_224, EVP_sha3_256, EVP_sha3_384, EVP_sha3_512 };
	static const EVP_CIPHER *(*const ciphers[])(void) = { EVP_des_ede3_cbc, EVP_aes_128_cbc, EVP_aes_192_cbc,
							      EVP_aes_256_cbc,
#ifndef OPENSSL_NO_CAMELLIA
		EVP_camellia_128_cbc, EVP_camellia_192_cbc, EVP_camellia_256_cbc,
#endif
	};

	for (size_t i = 0; i < COUNT(digests); i++)
		EVP_add_digest(digests[i]());
	for (size_t i = 0; i < COUNT(ciphers); i++)
		EVP_add_cipher(ciphers[i]());
}

/* The table of names, hundreds of them, is filled with a few: algorithms are fetched, which does without. Tables are
 * not taken down at exit: the kernel does that faster, and keys have been wiped by then. The random generator is the
 * hash one (SP 800-90A), because the default one makes OpenSSL build every cipher that it has, which costs more than
 * ten signatures; [random] of openssl.cnf, read later, still has the last word. */
void ossl_start(bool alone)
{
	const uint64_t names = OPENSSL_INIT_NO_ADD_ALL_CIPHERS | OPENSSL_INIT_NO_ADD_ALL_DIGESTS;

	OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT | (alone ? names : 0), NULL);
	if (alone)
		add_names();
	if (RAND_set_DRBG_type(NULL, "HASH-DRBG", NULL, NULL, "SHA256") != 1)
		ERR_clear_error();
}
