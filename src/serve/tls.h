#pragma once
#include <openssl/ssl.h>

#include "serve/exchange.h"
#include "serve/tls_psk.h"

/* TLS of the listeners: 1.2 and 1.3 with AEAD and forward secrecy only, no renegotiation, no compression, no early
 * data. */
struct tls_settings {
	struct bytes cert;        /* PEM: the server's certificate and what leads to its root */
	struct bytes key;         /* PEM, PKCS#8; empty: tls_use_key comes later */
	const char *min_version;  /* "TLS12" (default), "TLS13" */
	struct strv ciphers;      /* IANA or OpenSSL names; empty: the default */
	bool ask_client;          /* asks for a certificate; it need not be given … */
	bool require_client;      /* … but then it must */
	/* PEM: what is shown must lead to one of these authorities; empty: anything may be shown */
	struct bytes client_cas;
	bool any_date;            /* … whatever the dates: they are judged where the policy is known */
	/* secrets that clients may show instead of a certificate; NULL: none. Lives as long as the context. */
	const struct tls_psk *psk;
};
int tls_context(const struct tls_settings *, SSL_CTX **ret, struct err *) NODISCARD;
int tls_use_key(SSL_CTX *, EVP_PKEY *, struct err *) NODISCARD; /* ERR_CHECK: it is not that of the certificate */
struct tls_peer *tls_peer_of(struct arena *, SSL *);
/* With what is written next, so that the client may resume its session. */
void tls_offer_ticket(SSL *);
DEFINE_AUTO(SSL_CTX, SSL_CTX_free)
