#pragma once
#include "base/ctx.h"
#include "crypto/cert.h"
#include "crypto/ossl.h"
#include "net/net.h"

/* Whom the server is to encrypt a key to that it makes (RFC 7030 4.4.1.2): the holder of a certificate, RSA or EC. */
struct est_recipient {
	EVP_PKEY *key;    /* borrowed */
	struct cert cert;
};

/* A client of EST (RFC 7030, RFC 8951). net_need() comes first. */
struct est_target {
	const char *url;           /* https://HOST[:PORT], or that with a path that ends in /.well-known/est[/LABEL] */
	const char *label;         /* NULL: none, or it is in the URL */
	const char *ca_file;       /* PEM; NULL: the system's authorities */
	const char *pin;           /* SHA-256 of the server's certificate in hex: instead of authorities; NULL: none */
	const char *cert_file, *key_file; /* who we are, PEM; NULL: nobody */
	EVP_PKEY *key;             /* instead of key_file, for one that signs where it is; NULL: none */
	const char *authorization; /* the whole value of the header; NULL: none */
	/* TLS with the secret that both sides share: no certificates, and none is trusted; NULL: none */
	const char *psk_identity;
	struct bytes psk;
	int64_t patience_ms;       /* for one operation with its retries; 0: two minutes */
	const struct est_recipient *to; /* EST_KEYGEN: the key must come encrypted to that one; NULL: it must not */
	bool fresh;                /* a connection and a full handshake for each request */
};

struct est; /* ends with the context's arena */
int est_open(struct ctx *, const struct est_target *, struct est **ret, struct err *) NODISCARD;
void est_close(struct est *); /* NULL is allowed */
/* The same, once, with whatever server is there: *ret_fingerprint is that of its certificate, for a person to compare.
 * All that follows is said to a server with that key. */
int est_open_unknown(struct ctx *, const struct est_target *, struct est **ret, char **ret_fingerprint,
		     struct err *) NODISCARD;

/* The authorities that the server distributes (4.1), DER. */
struct est_cas {
	struct bytes *v;
	size_t n;
};
int est_get_cas(struct est *, struct arena *, struct est_cas *ret, struct err *) NODISCARD;
/* of an https URL: is it this machine? */
int est_has_host(const char *url, bool *ret_loopback, struct err *) NODISCARD;

/* Request and answer. From any thread, each with its own arena. ERR_DENIED: the server refuses (4xx); ERR_REMOTE: it
 * may take it later, the same request can be sent again. est_recipient NULL: nothing is encrypted. */
enum est_op { EST_ENROLL, EST_REENROLL, EST_KEYGEN };
int est_request(struct arena *, struct bytes subject_der, const struct strv *san, EVP_PKEY *,
		const struct est_recipient *, struct bytes *ret_der, struct err *) NODISCARD;
struct est_answer {
	struct bytes *certs; /* not judged yet */
	size_t n;
	EVP_PKEY *key;       /* EST_KEYGEN: the server's making, owned by the caller; else NULL */
	struct bytes sealed; /* EST_KEYGEN to a recipient: that key, for est_unseal */
};
int est_send(struct est *, struct arena *, enum est_op, struct bytes csr_der, struct est_answer *ret,
	     struct err *) NODISCARD;

/* The certificate among those of an answer that is for the key; ERR_CHECK when there is none. */
int est_find(const struct est_answer *, struct arena *, const EVP_PKEY *key, struct bytes *ret_leaf,
	     struct err *) NODISCARD;
/* Does it lead to a root of the server's authorities (to any of them, when none is a root)? The chain has what is
 * between, in order. ERR_CHECK says what is wrong. */
struct est_chain {
	struct bytes leaf;
	struct bytes *v;
	size_t n;
};
int est_judge(struct ctx *, const struct est_answer *, const struct est_cas *, struct bytes leaf, struct est_chain *ret,
	      struct err *) NODISCARD;

/* sealed.c: the key of an answer, when it is signed by somebody who leads to the server's authorities. */
int est_unseal(struct ctx *, const struct est_answer *, const struct est_recipient *, const struct est_cas *,
	       EVP_PKEY **ret, struct err *) NODISCARD;
enum { EST_RECIPIENT_ATTRIBUTES = 2 };
int est_recipient_attributes(struct arena *, const struct est_recipient *, struct bytes ret[EST_RECIPIENT_ATTRIBUTES],
			     struct err *) NODISCARD;
