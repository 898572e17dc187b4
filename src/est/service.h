#pragma once
#include "pki/enroll.h"
#include "serve/worker.h"

/* EST (RFC 7030, RFC 8951, RFC 9908) as a service of serve/. */
struct est_options {
	struct strv dms;            /* ids; empty: all */
	bool allow_no_auth, allow_unverified_csr;
	struct strv trusted_proxies; /* addresses or CIDR */
	const char *tls_ca, *tls_name; /* where the server's certificate comes from when none is given */
	const char *listen_host;    /* first address of --listen: a name of that certificate */
	bool own_tls;               /* a certificate must be issued */
	bool no_client_certs;       /* nobody is asked for one: http.client_auth.enabled is false */
	bool need_client_certs;     /* everybody has one: http.client_auth.required is true */
	bool require_binding;       /* --require-channel-binding */
};

struct served { /* a device manager, and all that its requests need; lives as long as the policy */
	struct dms dms;
	struct authority ca;
	struct profile profile;
	struct authority *validation; /* CAs of client certificates for enrolment */
	size_t nvalidation;
	struct authority *renewal;    /* the enrolment authority and additional_validation_cas */
	size_t nrenewal;
	struct bytes cacerts;         /* PKCS#7, DER */
	struct bytes csrattrs;        /* DER; n = 0: none */
};

struct est_memory {
	struct served *v;
	size_t n;
	const char *unlabelled;    /* id of whom /.well-known/est/OP means; NULL: nobody */
	struct strv broken;        /* ids of those that cannot be served as they are now */
};

extern const struct service est_service;

/* prepare.c: everything that can be wrong with the managers, and the server's own certificate. */
int est_prepare(struct ctx *, const void *options, struct prepared *ret, struct err *) NODISCARD;
int est_certificate(struct ctx *, const void *options, struct prepared *ret, struct err *) NODISCARD;
/* learn.c */
int est_learn(struct post *, const void *options, struct err *) NODISCARD;
void est_forget(struct post *);
/* Fills what a manager's requests need from its record, on any context with a state; the key is not opened. */
int est_load(struct ctx *, const struct est_options *, const char *dms, struct served *ret, struct err *) NODISCARD;
/* The ids that are served: the options', or all. */
int est_ids(struct ctx *, const struct est_options *, struct strv *ret, struct err *) NODISCARD;
/* Of those ids, whom addresses without a name mean: est.default_dms, else the only one; NULL: nobody. */
const char *est_default(struct ctx *, const struct strv *ids);
/* Before a request is granted: the authority may issue as of now, and its key is open. */
int est_ready(struct post *, struct served *, struct refusal *) NODISCARD;
/* routes.c */
void est_handle(struct post *, const void *options, const struct http_request *, struct http_response *);

enum { REFUSAL_LATER = -1 }; /* status of a refusal: nothing is answered, the request is handled anew */

/* What an operation works with. */
struct est_call {
	struct post *post;
	const struct est_options *options;
	struct served *served;
	const struct http_request *in;
	struct http_response *out;
};
/* What the client showed in TLS, or to a proxy that is trusted. */
int client_chain(struct est_call *, const struct bytes **ret, size_t *ret_n, struct refusal *) NODISCARD;
/* first_use.c: a client that shows a renewed certificate has no use for what that replaced (revoke_after:
 * first_use). */
void est_first_use(struct est_call *);
void est_get_cacerts(struct est_call *);
void est_get_csrattrs(struct est_call *);
void est_enroll(struct est_call *);   /* simpleenroll */
void est_reenroll(struct est_call *); /* simplereenroll */
void est_keygen(struct est_call *);   /* serverkeygen */
void est_refuse(struct est_call *, const struct refusal *);
