#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ctx.h"
#include "base/err.h"

/* The network. Two programs are made of the same sources: `lamassu`, which links no network library and so starts fast,
 * and `lamassu-net` under libexecdir, which has all of it. net_need() makes the first become the second. */
struct net_client;

struct net_options { /* zeroes are the defaults */
	const char *ca_file;              /* PEM: trusted instead of the system's authorities */
	const char *cert_file, *key_file; /* the client's certificate and key, PEM */
	const char *key_pem;              /* the key itself, instead of key_file */
	struct evp_pkey_st *key;          /* the same for one that signs where it is; must outlive the client */
	/* HOST:PORT to connect to, whatever the URL says; TLS still checks the URL's host */
	const char *connect_to;
	bool no_verify;                   /* accept any server: only where a document says so in as many words */
	/* "sha256//BASE64" of the one SubjectPublicKeyInfo that the server may have */
	const char *pinned_key;
	/* TLS with the secret `psk`, which the server has too, instead of certificates: NULL: none */
	const char *psk_identity;
	struct bytes psk;
	bool no_proxy;                    /* past any proxy: for metadata services of the machine */
	bool fresh;                       /* a connection and a full TLS handshake for each request */
	int64_t connect_timeout_ms;       /* 0: 5000 */
	size_t answer_max;                /* bytes of a body; 0: 1 MiB */
};

struct net_header {
	const char *name, *value;
};

struct net_request {
	const char *method; /* "GET", "POST", "LIST" … */
	const char *url;
	const struct net_header *headers;
	size_t nheaders;
	struct bytes body; /* p NULL: none */
	int64_t timeout_ms; /* for all of it; 0: 60000 */
	const char *what;   /* for --verbose: "kms Sign"; nothing secret */
	/* on a connection of its own: over one that was used before it might be sent twice unseen */
	bool once;
};

struct net_answer {
	int status;
	const struct net_header *headers; /* names in lower case, of the last response only */
	size_t nheaders;
	struct bytes body; /* followed by a NUL */
};
const char *net_header(const struct net_answer *, const char *name); /* value of the first one; NULL when absent */

enum net_fault { /* why there is no answer */
	NET_FINAL,    /* trying again would not help: TLS verification, a bad URL, an answer over the limit */
	NET_NOT_SENT, /* the server has not seen the request: no such host, connection refused, TLS handshake cut off */
	NET_AGAIN     /* it may have: time-out, connection reset */
};

struct net_ops {
	/* A pool of connections with these settings, which outlive it; `ctx->note` is told of each request. Close it
	 * before the context ends. */
	int (*open)(struct ctx *, const struct net_options *, struct net_client **ret, struct err *) NODISCARD;
	void (*close)(struct net_client *);
	/* One request, no redirects, no retry; from any thread. Any status is an answer. ERR_REMOTE "https://HOST:
	 * why", without the path or the query, which may hold secrets. */
	int (*send)(struct net_client *, struct arena *, const struct net_request *, struct net_answer *ret,
		    enum net_fault *ret_fault, struct err *) NODISCARD;
	/* The certificate, PEM, that the server of an https URL shows to anybody: a handshake and nothing more. Nothing
	 * of it is verified: for a caller who knows it by other means, or asks somebody. */
	int (*peer)(struct net_client *, struct arena *, const char *url, struct bytes *ret_pem,
		    struct err *) NODISCARD;
};
extern const struct net_ops *net_here; /* NULL in `lamassu`; set once, by main */
extern const struct net_ops net_curl;  /* http.c */

/* Called before anything was written by a command that turns out to need the network: in `lamassu` it starts the same
 * command line anew in `lamassu-net`, with what was read of standard input and pipes, and returns only when that
 * fails. */
int net_need(struct ctx *, struct err *) NODISCARD;
bool net_is_url(const char *); /* http:// or https:// */
const char *net_host(const char *url); /* where the host begins, behind scheme, user and password */
/* HTTP PUT; ERR_REMOTE names the server's answer or what went wrong on the way. */
int net_put(struct ctx *, const char *url, const char *content_type, struct bytes body, struct err *) NODISCARD;
