/* Secrets in TLS. Guarantees: always with (EC)DHE; who a client is stands in the session that its secret made, and in
 * no other, so neither a ticket nor an identity that was offered and not used can stand for it; these sessions are not
 * resumed, so that every connection proves the secret anew; an unknown identity gets as far as a wrong secret. */
#include "serve/tls_psk.h"

#include <openssl/rand.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/ossl.h"

DEFINE_AUTO(SSL_SESSION, SSL_SESSION_free)

enum { IDENTITY_MAX = 400, UNKNOWN_LEN = 32 };

/* Tickets of our own come the same way (RFC 8446 4.2.11); they are random bytes of some length, and these are texts. */
static bool is_identity(const unsigned char *p, size_t n)
{
	if (n == 0 || n > IDENTITY_MAX || !utf8_valid((struct bytes){ p, n }))
		return false;
	for (size_t i = 0; i < n; i++)
		if (p[i] < ' ' || p[i] == 0x7f)
			return false;
	return true;
}

/* Into the session, where tls_psk_of finds it: the proof, and then who it is. */
static bool note(SSL_SESSION *session, const struct tls_secret *s)
{
	unsigned char text[SHA256_LEN + TLS_WHO_MAX];
	size_t n = s->who ? strlen(s->who) : 0;

	if (n == 0 || n > TLS_WHO_MAX)
		return n == 0;
	sha256((struct bytes){ s->key, s->n }, text);
	memcpy(text + SHA256_LEN, s->who, n);
	return SSL_SESSION_set1_ticket_appdata(session, text, SHA256_LEN + n) == 1;
}

static void find(SSL *ssl, struct arena *a, const char *identity, struct tls_secret *ret)
{
	const struct tls_psk *psk = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	*ret = (struct tls_secret){ 0 };
	psk->find(a, psk->options, psk->own, identity, ret);
	if (ret->n == 0 && RAND_bytes(ret->key, UNKNOWN_LEN) == 1)
		ret->n = UNKNOWN_LEN;
}

/* TLS 1.3. The hash of such a secret is SHA-256 (RFC 8446 4.2.11). */
static int on_identity(SSL *ssl, const unsigned char *identity, size_t n, SSL_SESSION **ret)
{
	static const unsigned char suite[] = { 0x13, 0x01 }; /* TLS_AES_128_GCM_SHA256 */
	AUTO(SSL_SESSION) *session = NULL;
	struct tls_secret s;
	struct arena *a;
	bool made;

	*ret = NULL;
	if (!is_identity(identity, n))
		return 1;
	a = arena_new();
	find(ssl, a, arena_strndup(a, (const char *)identity, n), &s);
	session = SSL_SESSION_new();
	made = session && SSL_SESSION_set1_master_key(session, s.key, s.n) == 1 &&
	       SSL_SESSION_set_cipher(session, SSL_CIPHER_find(ssl, suite)) == 1 &&
	       SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1 && note(session, &s) &&
	       SSL_set_num_tickets(ssl, 0) == 1;
	OPENSSL_cleanse(&s, sizeof(s));
	arena_free(a);
	if (!made)
		return 0;
	*ret = session;
	session = NULL;
	return 1;
}

/* TLS 1.2; 1.3 calls it too where on_identity has no session, which are tickets. */
static unsigned on_old_identity(SSL *ssl, const char *identity, unsigned char *key, unsigned max)
{
	struct tls_secret s;
	struct arena *a;
	size_t n = 0;

	if (SSL_version(ssl) != TLS1_2_VERSION || !identity ||
	    !is_identity((const unsigned char *)identity, strlen(identity)))
		return 0;
	a = arena_new();
	find(ssl, a, identity, &s);
	if (s.n <= max && note(SSL_get_session(ssl), &s)) {
		memcpy(key, s.key, s.n);
		n = s.n;
	}
	OPENSSL_cleanse(&s, sizeof(s));
	arena_free(a);
	return (unsigned)n;
}

/* TLS 1.2: neither by ticket nor by id. */
static int is_once(SSL *ssl, int forward_secure)
{
	const SSL_CIPHER *c = SSL_get_pending_cipher(ssl);

	(void)forward_secure;
	return !c || SSL_CIPHER_get_auth_nid(c) == NID_auth_psk;
}

/* Which suites there are for secrets follows from those for certificates: the same ciphers. They come first: who offers
 * one has a secret. In TLS 1.3 the first suite that both sides have is taken whatever its hash, and a secret that does
 * not fit it is passed over: those that fit come first. */
static int add_suites(SSL_CTX *c, struct err *e)
{
	STACK_OF(SSL_CIPHER) *v = SSL_CTX_get_ciphers(c);
	SCOPED_BUF old = buf_init(BUF_TEXT), fit = buf_init(BUF_TEXT), rest = buf_init(BUF_TEXT),
			 all = buf_init(BUF_TEXT);
	bool gcm = false, chacha = false;

	for (int i = 0; i < sk_SSL_CIPHER_num(v); i++) {
		const SSL_CIPHER *x = sk_SSL_CIPHER_value(v, i);
		bool new = strcmp(SSL_CIPHER_get_version(x), "TLSv1.3") == 0;
		struct buf *to = !new ? &old : EVP_MD_is_a(SSL_CIPHER_get_handshake_digest(x), "SHA256") ? &fit : &rest;

		chacha = chacha || (!new && SSL_CIPHER_get_cipher_nid(x) == NID_chacha20_poly1305);
		gcm = gcm || (!new && SSL_CIPHER_get_cipher_nid(x) != NID_chacha20_poly1305);
		buf_printf(to, "%s:", SSL_CIPHER_get_name(x));
	}
	if (fit.n == 0)
		return err_set(e, ERR_INVALID, "TLS with secrets of devices needs a suite of TLS 1.3 with SHA-256, "
			       "such as TLS_AES_128_GCM_SHA256");
	buf_puts(&fit, buf_str(&rest));
	buf_printf(&all, "%s%s%s", gcm ? "kECDHEPSK+AESGCM:" : "", chacha ? "kECDHEPSK+CHACHA20:" : "", buf_str(&old));
	return SSL_CTX_set_ciphersuites(c, buf_str(&fit)) == 1 && SSL_CTX_set_cipher_list(c, buf_str(&all)) == 1
	       ? 0 : err_ossl(e, "cipher suites");
}

int tls_psk_use(SSL_CTX *c, const struct tls_psk *psk, struct err *e)
{
	if (add_suites(c, e) != 0)
		return -1;
	if (SSL_CTX_set_app_data(c, (void *)(uintptr_t)psk) != 1)
		return err_ossl(e, "TLS");
	SSL_CTX_set_psk_find_session_callback(c, on_identity);
	SSL_CTX_set_psk_server_callback(c, on_old_identity);
	SSL_CTX_set_not_resumable_session_callback(c, is_once);
	return 0;
}

const char *tls_psk_of(struct arena *a, SSL *ssl, struct bytes *ret_proof)
{
	bool resumed = SSL_version(ssl) < TLS1_3_VERSION && SSL_session_reused(ssl);
	SSL_SESSION *session = SSL_get_session(ssl);
	void *text = NULL;
	size_t n = 0;

	if (resumed || !session || SSL_SESSION_get0_ticket_appdata(session, &text, &n) != 1 || n <= SHA256_LEN)
		return NULL;
	*ret_proof = (struct bytes){ arena_memdup(a, text, SHA256_LEN), SHA256_LEN };
	return arena_strndup(a, (const char *)text + SHA256_LEN, n - SHA256_LEN);
}
