/* TLS for listeners. Guarantees: what a client presents is only recorded here, with the proof that it has the key;
 * whether the certificate is trusted is judged where the policy is known, so that a stale one does not hinder a request
 * that needs none. Where authorities of clients are given, strangers do not get past the handshake; that grants
 * nothing. */
#include "serve/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/text.h"
#include "crypto/cert.h"
#include "crypto/ossl.h"
#include "model/http.h"
#include "serve/tickets.h"

static const char default_ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:!aNULL:!PSK";
enum { EXPORTER_LEN = 32, UNIQUE_MAX = 64, SESSION_SECS = 3600 };

static int use_certificate(SSL_CTX *c, struct bytes pem, struct err *e)
{
	AUTO(BIO) *in = BIO_new_mem_buf(pem.p, (int)pem.n);
	AUTO(X509) *leaf = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;

	if (!leaf || SSL_CTX_use_certificate(c, leaf) != 1)
		return err_ossl(e, "TLS certificate");
	for (;;) {
		X509 *more = PEM_read_bio_X509(in, NULL, NULL, NULL);

		if (!more)
			break;
		if (SSL_CTX_add0_chain_cert(c, more) != 1) {
			X509_free(more);
			return err_ossl(e, "TLS certificate chain");
		}
	}
	ERR_clear_error(); /* "no start line" ends the list */
	return 0;
}

int tls_use_key(SSL_CTX *c, EVP_PKEY *key, struct err *e)
{
	if (X509_check_private_key(SSL_CTX_get0_certificate(c), key) != 1)
		return err_set(e, ERR_CHECK, "the TLS key does not belong to the TLS certificate");
	return SSL_CTX_use_PrivateKey(c, key) == 1 ? 0 : err_ossl(e, "TLS key");
}

static int use_key(SSL_CTX *c, struct bytes pem, struct err *e)
{
	AUTO(BIO) *in = BIO_new_mem_buf(pem.p, (int)pem.n);
	AUTO(EVP_PKEY) *key = in ? PEM_read_bio_PrivateKey(in, NULL, NULL, NULL) : NULL;

	return key ? tls_use_key(c, key, e) : err_ossl(e, "TLS key");
}

static int min_version_of(const char *name, int *ret, struct err *e)
{
	static const struct {
		const char *name;
		int version;
	} rows[] = { { "TLS12", TLS1_2_VERSION }, { "TLS1.2", TLS1_2_VERSION }, { "TLSv1.2", TLS1_2_VERSION },
		     { "TLS13", TLS1_3_VERSION }, { "TLS1.3", TLS1_3_VERSION }, { "TLSv1.3", TLS1_3_VERSION } };

	*ret = TLS1_2_VERSION;
	if (!name || !*name)
		return 0;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (strcasecmp(rows[i].name, name) != 0)
			continue;
		*ret = rows[i].version;
		return 0;
	}
	return err_set(e, ERR_INVALID, "min_version \"%s\" is none of TLS12, TLS13", name);
}

/* A version of which the list names no suite keeps its own. */
static int use_ciphers(SSL_CTX *c, const struct strv *names, struct err *e)
{
	SCOPED_BUF old = buf_init(BUF_TEXT), new = buf_init(BUF_TEXT);

	for (size_t i = 0; i < names->n; i++) {
		const struct cipher_suite *found = cipher_suite_find(names->v[i]);
		struct buf *to;

		if (!found)
			return err_set(e, ERR_INVALID, "cipher suite \"%s\" is unknown or not safe enough",
				       names->v[i]);
		to = found->tls13 ? &new : &old;
		buf_printf(to, "%s%s", to->n ? ":" : "", found->openssl);
	}
	if (SSL_CTX_set_cipher_list(c, old.n ? buf_str(&old) : default_ciphers) != 1 ||
	    (new.n && SSL_CTX_set_ciphersuites(c, buf_str(&new)) != 1))
		return err_ossl(e, "cipher suites");
	return 0;
}

/* --- clients --- */

static int accept_any(X509_STORE_CTX *ctx, void *arg)
{
	(void)ctx, (void)arg;
	return 1;
}

static int add_trust(X509_STORE *store, struct bytes pem, struct err *e)
{
	AUTO(BIO) *in = BIO_new_mem_buf(pem.p, (int)pem.n);
	size_t n = 0;

	for (; in; n++) {
		AUTO(X509) *x = PEM_read_bio_X509(in, NULL, NULL, NULL);

		if (!x)
			break;
		if (X509_STORE_add_cert(store, x) != 1)
			return err_ossl(e, "authorities of clients");
	}
	ERR_clear_error(); /* "no start line" ends the list */
	return n ? 0 : err_set(e, ERR_INVALID, "authorities of clients: there is no certificate in PEM");
}

/* Any authority of the list will do as the end of the path, also one that is not a root. */
static int check_clients(SSL_CTX *c, const struct tls_settings *s, struct err *e)
{
	X509_STORE *store = SSL_CTX_get_cert_store(c);
	unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN | (s->any_date ? X509_V_FLAG_NO_CHECK_TIME : 0);

	if (add_trust(store, s->client_cas, e) != 0)
		return -1;
	return X509_STORE_set_flags(store, flags) == 1 ? 0 : err_ossl(e, "authorities of clients");
}

static int set_up_clients(SSL_CTX *c, const struct tls_settings *s, struct err *e)
{
	int mode = SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE | (s->require_client ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);

	if (s->client_cas.n && check_clients(c, s, e) != 0)
		return -1;
	if (!s->client_cas.n)
		SSL_CTX_set_cert_verify_callback(c, accept_any, NULL);
	if (!s->ask_client)
		return 0;
	SSL_CTX_set_verify(c, mode, NULL);
	/* A ticket holds the client's certificate and is a seventh of the work for a device that comes once:
	 * tls_offer_ticket(). */
	return SSL_CTX_set_num_tickets(c, 0) == 1 ? 0 : err_ossl(e, "TLS");
}

static int restrict_protocol(SSL_CTX *c, const char *min_version, const struct strv *ciphers, struct err *e)
{
	char groups[] = "X25519:P-256:P-384"; /* the macro casts const away */
	int min;

	if (min_version_of(min_version, &min, e) != 0 || use_ciphers(c, ciphers, e) != 0)
		return -1;
	if (SSL_CTX_set_min_proto_version(c, min) != 1 || SSL_CTX_set1_groups_list(c, groups) != 1)
		return err_ossl(e, "TLS");
	SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
			    SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_max_early_data(c, 0);
	SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
	return 0;
}

/* Tickets hold the client's certificate, but nothing that it sent with it: whoever needs that for his path starts
 * anew. */
static int on_ticket_made(SSL *ssl, void *arg)
{
	STACK_OF(X509) *sent = SSL_get_peer_cert_chain(ssl);

	(void)arg;
	return sk_X509_num(sent) <= 0 || SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), "chain", 5) == 1;
}

static SSL_TICKET_RETURN on_ticket_used(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t n,
					SSL_TICKET_STATUS status, void *arg)
{
	void *data = NULL;
	size_t len = 0;

	(void)ssl, (void)name, (void)n, (void)arg;
	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	if (SSL_SESSION_get0_ticket_appdata(session, &data, &len) != 1 || len > 0)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

int tls_context(const struct tls_settings *s, SSL_CTX **ret, struct err *e)
{
	static const unsigned char context[] = "lamassu";
	AUTO(SSL_CTX) *c = SSL_CTX_new(TLS_server_method());

	if (!c)
		return err_ossl(e, "TLS");
	if (restrict_protocol(c, s->min_version, &s->ciphers, e) != 0 || use_certificate(c, s->cert, e) != 0 ||
	    (s->key.n && use_key(c, s->key, e) != 0) || set_up_clients(c, s, e) != 0)
		return -1;
	if (s->psk && tls_psk_use(c, s->psk, e) != 0)
		return -1;
	if (SSL_CTX_set_session_id_context(c, context, sizeof(context) - 1) != 1 ||
	    SSL_CTX_set_session_ticket_cb(c, on_ticket_made, on_ticket_used, NULL) != 1)
		return err_ossl(e, "TLS");
	SSL_CTX_set_timeout(c, SESSION_SECS);
	if (tickets_use(c, e) != 0)
		return -1;
	*ret = c;
	c = NULL;
	return 0;
}

void tls_offer_ticket(SSL *ssl)
{
	if (SSL_version(ssl) >= TLS1_3_VERSION && SSL_new_session_ticket(ssl) != 1)
		ERR_clear_error(); /* then the next handshake is a full one */
}

/* --- who is there --- */

static struct bytes der_of_cert(struct arena *a, X509 *x)
{
	unsigned char *p = NULL;
	int n = i2d_X509(x, &p);
	struct bytes b = { 0 };

	if (n > 0)
		b = (struct bytes){ arena_memdup(a, p, (size_t)n), (size_t)n };
	OPENSSL_free(p);
	return b;
}

static void take_chain(struct arena *a, SSL *ssl, struct tls_peer *p)
{
	X509 *leaf = SSL_get0_peer_certificate(ssl);
	STACK_OF(X509) *sent = SSL_get_peer_cert_chain(ssl); /* on a server: without the leaf */
	struct bytes *v;

	if (!leaf)
		return;
	v = arena_new_array(a, PEER_CHAIN_MAX, struct bytes);
	v[p->nchain++] = der_of_cert(a, leaf);
	cert_remember(v[0], leaf);
	for (int i = 0; sent && i < sk_X509_num(sent) && p->nchain < PEER_CHAIN_MAX; i++)
		v[p->nchain++] = der_of_cert(a, sk_X509_value(sent, i));
	p->chain = v;
}

/* RFC 5929 3.1: the first Finished message, which is the server's when a session was resumed. */
static struct bytes unique_of(struct arena *a, SSL *ssl)
{
	unsigned char out[UNIQUE_MAX];
	size_t n = SSL_session_reused(ssl) ? SSL_get_finished(ssl, out, sizeof(out))
					   : SSL_get_peer_finished(ssl, out, sizeof(out));

	return (struct bytes){ arena_memdup(a, out, n), n };
}

static struct bytes exporter_of(struct arena *a, SSL *ssl)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	unsigned char out[EXPORTER_LEN];

	if (SSL_export_keying_material(ssl, out, sizeof(out), label, sizeof(label) - 1, (const unsigned char *)"", 0,
				       1) != 1)
		return (struct bytes){ 0 };
	return (struct bytes){ arena_memdup(a, out, sizeof(out)), sizeof(out) };
}

struct tls_peer *tls_peer_of(struct arena *a, SSL *ssl)
{
	struct tls_peer *p = arena_new_array(a, 1, struct tls_peer);

	p->version = arena_strdup(a, SSL_get_version(ssl));
	p->cipher = arena_strdup(a, SSL_get_cipher_name(ssl));
	take_chain(a, ssl, p);
	p->psk_identity = tls_psk_of(a, ssl, &p->psk_proof);
	if (SSL_version(ssl) == TLS1_2_VERSION)
		p->unique = unique_of(a, ssl);
	/* RFC 9266 2: TLS 1.2 needs RFC 7627 */
	if (SSL_version(ssl) >= TLS1_3_VERSION || SSL_get_extms_support(ssl) == 1)
		p->exporter = exporter_of(a, ssl);
	return p;
}
