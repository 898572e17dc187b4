#pragma once
#include <openssl/ssl.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"

/* TLS with secrets that clients share with the service (RFC 8446 4.2.11, RFC 8442), next to certificates. */
enum { TLS_SECRET_MAX = 64, TLS_WHO_MAX = 512 };

struct tls_secret {
	unsigned char key[TLS_SECRET_MAX];
	size_t n;
	/* what the service calls the client; NULL: nobody, whose handshake fails with a key that nobody has */
	const char *who;
};

struct tls_psk {
	/* In the middle of a handshake, on the event thread: waits for nobody, and costs the same whether there is such
	 * a client. */
	void (*find)(struct arena *, const void *options, struct bytes own, const char *identity,
		     struct tls_secret *ret);
	const void *options;
	struct bytes own; /* as worker_own */
};

int tls_psk_use(SSL_CTX *, const struct tls_psk *, struct err *) NODISCARD;
/* After the handshake. NULL: there was no secret, or a certificate took its place. *ret_proof is the SHA-256 of the
 * secret. */
const char *tls_psk_of(struct arena *, SSL *, struct bytes *ret_proof);
