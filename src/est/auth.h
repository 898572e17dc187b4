#pragma once
#include "pki/enroll.h"
#include "serve/worker.h"

/* Who is the client? One function for each way of E7–E9; est_authenticate picks by the manager's settings. They may
 * wait (webhook, JWKS, CRL, OCSP) but never longer than their own limits, and fail closed. */
struct served;
struct est_options;

struct asking { /* what all of them look at */
	struct post *post;
	const struct est_options *options;
	struct served *served;
	const struct dms_authentication *how;
	enum enroll_kind kind;
	const struct http_request *http;
	const struct csr *csr;
	const char *device;       /* that the CSR is for */
	const struct bytes *chain; /* the client's certificates: of TLS, or of a trusted proxy's header */
	size_t nchain;
};

bool est_auth_known(int type); /* enum dms_auth: can this listener do it? */
int est_authenticate(struct asking *, struct identity *ret, struct refusal *) NODISCARD;
/* Another party is asked between these two. wait_begin fails, with a refusal that is not sent, when it must happen
 * later. */
int wait_begin(struct asking *, struct refusal *) NODISCARD;
void wait_end(struct asking *);

/* auth_cert.c: path to one of the validation CAs, dates, usage, revocation. */
int auth_cert(struct asking *, struct identity *, struct refusal *) NODISCARD;
/* auth_hook.c: asks the manager's webhook (E8). */
int auth_webhook(struct asking *, struct identity *, struct refusal *) NODISCARD;
/* auth_jwt.c: a bearer token (E9). */
int auth_jwt(struct asking *, struct identity *, struct refusal *) NODISCARD;
/* auth_psk.c: a secret of the device in TLS, or by HTTP Basic or Digest (E9). */
int auth_psk(struct asking *, struct identity *, struct refusal *) NODISCARD;
/* service.psk */
void est_psk(struct arena *, const void *options, struct bytes own, const char *identity, struct tls_secret *);
void psk_challenge(const struct post *, const struct dms *, int store, struct http_response *);
/* Between the issue and the commit of a certificate: a credential of single use is spent on this request, in whatever
 * process. The other takes it back when the commit failed. Nothing happens to credentials that the ledger knows. */
int psk_use(struct post *, const struct dms *, const struct identity *, const char *request,
	    struct refusal *) NODISCARD;
void psk_unuse(struct post *, const struct dms *, const struct identity *);
/* For a 401: what the client is asked for (RFC 9110 11.6.1). */
void est_challenge(const struct post *, const struct served *, bool renewal, struct http_response *);
/* proxy.c: the client's certificates as a TLS-terminating proxy forwarded them; only from --trusted-proxy. *ret_n 0:
 * none. */
int proxy_chain(struct arena *, const struct est_options *, const struct http_request *, struct bytes **ret,
		size_t *ret_n, struct refusal *) NODISCARD;
/* Are those addresses some? */
int proxy_check(const struct est_options *, struct err *) NODISCARD;
/* binding.c: linking of identity and proof of possession (RFC 7030 3.5, RFC 9266, RFC 7894). A binding that is there is
 * checked whatever the policy says. */
int binding_check(const struct asking *, struct refusal *) NODISCARD;
