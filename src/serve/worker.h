#pragma once
#include "base/ctx.h"
#include "crypto/ossl.h"
#include "model/key.h"
#include "serve/exchange.h"
#include "serve/logs.h"
#include "serve/report.h"
#include "serve/server.h"
#include "serve/tls_psk.h"
#include "state/state.h"

/* A worker: one process with an event thread (server.c) and a few handler threads, each at a post of its own. Requests
 * are handled in straight lines that may wait: for the parent's commit, for a webhook, for an engine. */
struct worker;

struct post { /* where a handler thread works */
	/* arena: of the request; state: follows the repository; engines: those of the worker must be used */
	struct ctx ctx;
	struct arena *lasting;   /* lives until the policy moves */
	void *memory;            /* what the service has learnt from the policy; in `lasting` */
	struct worker *worker;
	int link;                /* to the parent; -1: none */
	bool claimed;
	/* post_claim has found another policy: whatever is answered now, the request is handled anew */
	bool moved;
};

struct prepared { /* what workers need and only the first look can make */
	struct bytes tls_cert, tls_key; /* PEM; empty: plain HTTP */
	/* in place of tls_key: a key record, whose engine each worker opens; NULL: none */
	char *tls_key_id;
	struct bytes own;               /* the service's, for worker_own: keys that it made */
	/* PEM: authorities whose certificates clients may show, beside those of the options */
	struct bytes client_cas;
	bool psk;                       /* clients may show secrets in TLS */
	struct strv about;              /* lines for the operator, printed once it listens */
};

/* What a listener serves: EST, or a validation authority. */
struct service {
	const char *name; /* "est-serve" */
	/* Before any worker: everything that can be wrong is found here. Runs in a process of its own, so it may open
	 * engines; `ctx` has a state open for writing. */
	int (*prepare)(struct ctx *, const void *options, struct prepared *ret, struct err *);
	/* Likewise, while it listens: what `prepare` issued as tls_cert, with its tls_key, anew, into a transaction
	 * that others commit. NULL: it issues none. */
	int (*certificate)(struct ctx *, const void *options, struct prepared *ret, struct err *);
	/* In a handler thread, at first and whenever the policy has moved: fills post->memory. */
	int (*learn)(struct post *, const void *options, struct err *);
	void (*forget)(struct post *); /* before memory is released: handles of others in it; may be NULL */
	void (*handle)(struct post *, const void *options, const struct http_request *, struct http_response *);
	/* Both or none. `share`: memory that all threads of a worker have in common, made once and never released.
	 * `quick`: on the event thread, before a request is handed to a handler thread: true when `out` is the whole
	 * answer. It waits for nothing and reads no file; `at` is where the repository was LOOK_EVERY_MS ago or
	 * later. */
	void *(*share)(void);
	bool (*quick)(void *shared, const struct state_at *at, int64_t now, const struct http_request *,
		      struct http_response *);
	/* As tls_psk.find, where `prepare` says that there are such clients; may be NULL. */
	void (*psk)(struct arena *, const void *options, struct bytes own, const char *identity,
		    struct tls_secret *ret);
	bool counts_answers; /* the target counts what was answered, not what was committed */
	unsigned threads;    /* of a worker, where the options do not say */
	unsigned requests;   /* on one connection; 0: as server_limits has it */
	const char *counted; /* "enrolled": what the target counts, for people */
	/* The type of event that a refusal of this operation is; NULL: none. NULL: nothing that is refused is one. */
	const char *(*event)(const char *op, int status);
	/* Which switch of the logs an exchange is under. NULL: none. */
	enum log_class (*class)(const char *op, int status);
	bool judges_dates; /* of clients' certificates: the handshake does not look at them */
};

struct known_secret { /* what was asked for before the workers were started */
	const char *what, *text;
};

struct worker_setup {
	const struct service *service;
	const void *options;        /* of the service */
	const char *dir;            /* the repository */
	const struct ctx *ctx;      /* of the command: warn, now_given … */
	SSL_CTX *tls;               /* NULL: plain HTTP */
	const char *tls_key_id;     /* of struct prepared */
	const int *sockets;         /* that are listened on */
	size_t nsockets;
	const int *links;           /* one for each handler thread */
	size_t nlinks;
	const struct server_limits *limits;
	int event_link;             /* the event thread's, for what it answers itself */
	const struct known_secret *secrets;
	size_t nsecrets;
	struct access_log access_log;
	struct bytes own;           /* of struct prepared */
};
/* Serves until SIGTERM, then finishes what has begun, and ends the process. */
_Noreturn void worker_run(const struct worker_setup *);

/* For ctx.secret, where ctx.secret_arg is a struct worker_setup: what is known; nobody is asked. */
int worker_secret(struct ctx *, const struct secret_ask *, char **ret, struct err *) NODISCARD;

/* The private key of a key record, opened once a worker and shared by its threads; the caller owns a reference. */
int worker_key(struct post *, const char *key_id, EVP_PKEY **ret, struct err *) NODISCARD;

/* A copy of a private key into an engine, without a record; *ret names it for worker_withdraw, which takes it out
 * again. */
int worker_deposit(struct post *, const char *engine_id, EVP_PKEY *, const char *name, struct key *ret,
		   struct err *) NODISCARD;
void worker_withdraw(struct post *, const struct key *);

void *worker_shared(const struct post *); /* what service->share made */
struct bytes worker_own(const struct post *); /* what service->prepare left */

/* Exclusive work on these keys ("device/d-1"), one claim a post at a time; waits for others. `counts`: it may be one of
 * those that the target counts. What the state shows after it is what others have committed. ERR_CONFLICT when the
 * target is reached, and when the policy has moved since the request began, which is then handled anew once the service
 * has returned. */
int post_claim(struct post *, const char *const *keys, size_t n, bool counts, struct err *) NODISCARD;
/* Commits the transaction of post->ctx.state, together with those of other threads; returns when it is durable. Ends
 * the claim. */
int post_commit(struct post *, struct err *) NODISCARD;
void post_release(struct post *); /* gives the claim up, if there is one */
/* Around what may take long because of others (a webhook, a key set, a responder): two threads of a worker stay free
 * for requests that wait for nobody. false: as many as may wait do so already; the service sets `later` in the response
 * and returns. */
bool post_wait_begin(struct post *) NODISCARD;
void post_wait_end(struct post *);
