/* Session tickets. Guarantees: a ticket is read for two hours at most, and by nobody who learns what a listener knows
 * afterwards: each hour's key and what leads to the next one follow from the hour before by HKDF (RFC 5869), which has
 * no way back, and what was before is wiped. Keys are in memory only. One thread for each context. */
#include "serve/tickets.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/arena.h"
#include "base/tm.h"
#include "crypto/ossl.h"

enum { NAME_LEN = 16, KEY_LEN = 32, HOUR_MS = 3600 * 1000 };

struct ticket_key {
	unsigned char name[NAME_LEN], cipher[KEY_LEN], mac[KEY_LEN];
};

struct ring {
	struct {
		unsigned char seed[KEY_LEN]; /* of the next hour */
		struct ticket_key key;
	} now;
	struct ticket_key before;
	int64_t began_ms, hour; /* since then */
};

static int ring_index = -1; /* of SSL_CTX's ex_data */

DEFINE_AUTO(EVP_KDF, EVP_KDF_free)
DEFINE_AUTO(EVP_KDF_CTX, EVP_KDF_CTX_free)

static void next_hour(struct ring *r)
{
	static char mode[] = "EXPAND_ONLY", digest[] = "SHA256", info[] = "lamassu session tickets";
	AUTO(EVP_KDF) *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_HKDF, NULL);
	AUTO(EVP_KDF_CTX) *c = EVP_KDF_CTX_new(kdf);
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MODE, mode, 0),
				OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
				OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, r->now.seed, KEY_LEN),
				OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, sizeof(info) - 1),
				OSSL_PARAM_construct_end() };
	unsigned char next[sizeof(r->now)];

	if (!c || EVP_KDF_derive(c, next, sizeof(next), params) != 1)
		out_of_memory();
	r->before = r->now.key;
	memcpy(&r->now, next, sizeof(next));
	OPENSSL_cleanse(next, sizeof(next));
	r->hour++;
}

void tickets_turn(SSL_CTX *context, int64_t now_ms)
{
	struct ring *r = context && ring_index >= 0 ? SSL_CTX_get_ex_data(context, ring_index) : NULL;

	while (r && r->hour < (now_ms - r->began_ms) / HOUR_MS)
		next_hour(r);
}

static const struct ticket_key *find(const struct ring *r, const unsigned char name[NAME_LEN])
{
	if (memcmp(name, r->now.key.name, NAME_LEN) == 0)
		return &r->now.key;
	return r->hour > 0 && memcmp(name, r->before.name, NAME_LEN) == 0 ? &r->before : NULL;
}

/* As SSL_CTX_set_tlsext_ticket_key_evp_cb(3) has it: 0 there is no such key, 1, 2 the client should get another
 * ticket. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
		     int seal)
{
	static char digest[] = "SHA256";
	SSL_CTX *context = SSL_get_SSL_CTX(ssl);
	struct ring *r = SSL_CTX_get_ex_data(context, ring_index);
	const struct ticket_key *k;
	OSSL_PARAM params[3];

	tickets_turn(context, tm_mono_ms());
	k = seal ? &r->now.key : find(r, name);
	if (!k)
		return 0;
	params[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)k->mac, KEY_LEN);
	params[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
	params[2] = OSSL_PARAM_construct_end();
	if (seal) {
		memcpy(name, k->name, NAME_LEN);
		if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
			return -1;
	}
	if (EVP_MAC_CTX_set_params(mac, params) != 1 ||
	    EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->cipher, iv, seal) != 1)
		return -1;
	return k == &r->now.key ? 1 : 2;
}

static void on_context_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	(void)parent, (void)ad, (void)idx, (void)argl, (void)argp;
	OPENSSL_clear_free(ptr, sizeof(struct ring));
}

int tickets_use(SSL_CTX *c, struct err *e)
{
	struct ring *r = OPENSSL_zalloc(sizeof(*r));

	if (!r)
		out_of_memory();
	if (ring_index < 0)
		ring_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_context_free);
	if (RAND_bytes((unsigned char *)&r->now, sizeof(r->now)) != 1 || SSL_CTX_set_ex_data(c, ring_index, r) != 1) {
		OPENSSL_clear_free(r, sizeof(*r));
		return err_ossl(e, "keys of TLS sessions");
	}
	r->began_ms = tm_mono_ms();
	return SSL_CTX_set_tlsext_ticket_key_evp_cb(c, on_ticket) == 1 ? 0 : err_ossl(e, "keys of TLS sessions");
}
