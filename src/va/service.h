#pragma once
#include "pki/ocsp.h"
#include "serve/worker.h"

/* A validation authority: OCSP, CRLs and certificates of authorities over HTTP, at the addresses that va_domains put
 * into certificates (/ocsp, /crl/SKI.crl, /ca/SKI.cer). */
struct va_options {
	struct strv cas;        /* ids; empty: all */
	int64_t validity;       /* of OCSP answers, seconds */
	bool no_delegate;       /* sign with the authorities' own keys */
	bool no_crl;            /* make no CRLs, serve those that there are */
};

struct delegate { /* a responder certificate that was issued when the listener was started, or since */
	char *ca;
	struct bytes cert;
	struct bytes key_hash;
	EVP_PKEY *key;
	const struct sigalg *alg;
	int64_t not_before, not_after;
	struct delegate *next;
};

struct va_memory {
	struct authority *cas;
	size_t ncas;
	struct ocsp_responder ocsp;
	struct delegate *delegates; /* the listener's first ones */
	size_t ndelegates;
	const struct va_options *options;
	struct post *post;
};

extern const struct service va_service;
int va_prepare(struct ctx *, const void *options, struct prepared *ret, struct err *) NODISCARD;
int va_learn(struct post *, const void *options, struct err *) NODISCARD;
void va_forget(struct post *);
void va_handle(struct post *, const void *options, const struct http_request *, struct http_response *);
/* delegates.c: the one that signs for an authority now; NULL: the authority itself does. */
const struct delegate *va_delegate(struct va_memory *, struct authority *);
/* From the bytes of va_make_delegate. The key is the caller's. */
int va_read_delegate(struct arena *, struct bytes *left, struct delegate *ret, struct err *) NODISCARD;
/* Issues one, in the transaction, and appends it. The authority's key is open. */
int va_make_delegate(struct ctx *, struct authority *, struct buf *out, struct err *) NODISCARD;
/* crl.c: the file "SKI.crl", "SKI.delta.crl", "SKI.3.crl", "SKI.3.delta.crl". */
void va_crl(struct post *, const struct va_options *, const char *file, const struct http_request *,
	    struct http_response *);
/* The authorities to serve: loaded, with a certificate. */
int va_authorities(struct ctx *, const struct va_options *, struct authority **ret, size_t *ret_n,
		   struct err *) NODISCARD;
/* The authority's key, open. */
int va_key(struct post *, struct authority *, struct err *) NODISCARD;
/* An answer apart from the request's conditions. */
struct va_answer {
	struct bytes body;
	const char *type, *op, *reason; /* of constants */
	const char *realm, *subject;
	const char *tag;     /* ETag; NULL: va_send makes it */
	int64_t from, until;
	bool keep;           /* the same request may get it again */
	bool posted;         /* filled by answers_keep */
};
/* The answer, with headers for caches (RFC 5019 6.2, RFC 9111); 304 when the client has it already. */
void va_send(const struct http_request *, struct http_response *, struct va_answer *, int64_t now);
/* The same from a handler thread, which keeps it for the worker's next requests. */
void va_answer(struct post *, const struct http_request *, struct http_response *, struct va_answer *);

/* --- what a worker keeps, used by all its threads --- */
struct va_shared {
	struct answers *answers;
	struct renewals *renewals; /* delegates.c */
};
void *va_share(void);
struct renewals *renewals_new(struct arena *);

/* --- answers.c --- */
struct answers;
struct answers *answers_new(struct arena *);
bool answers_find(struct answers *, const struct http_request *, const struct state_at *, int64_t now,
		  struct va_answer *ret);
void answers_keep(struct answers *, const struct http_request *, const struct state_at *, int64_t now,
		  const struct va_answer *);
