#pragma once
#include "serve/tls.h"
#include "serve/worker.h"

/* What the parent has for its workers besides sockets: TLS and the access log. */
struct listen_options;
struct outfit {
	const struct listen_options *o;
	struct tls_settings tls;
	struct tls_psk psk;
	const char *tls_key_id; /* of struct prepared */
	SSL_CTX *context;       /* NULL: plain HTTP */
	int log;                /* -1: none */
	struct arena *read;     /* of a later certificate and key; NULL: they are those of the start */
};
/* `ret` stays where it is: its context points into it. Released by outfit_free, also when this fails. */
int outfit_make(struct arena *, const struct listen_options *, const struct prepared *, struct outfit *ret,
		struct err *) NODISCARD;
/* Reads the files of certificate and key anew, and opens the log under its name anew. When anything is wrong all stays
 * as it was. */
int outfit_renew(struct outfit *, struct err *) NODISCARD;
/* Another certificate, and its key; nothing else. Likewise. */
int outfit_certify(struct outfit *, struct bytes cert, struct bytes key, struct err *) NODISCARD;
void outfit_free(struct outfit *);
