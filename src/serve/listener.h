#pragma once
#include "base/ctx.h"
#include "base/tm.h"
#include "model/config.h"
#include "serve/report.h"

struct service;

/* A listener from the first socket to the summary: est-serve and va-serve. */
struct listen_options {
	const struct service *service;
	const void *options;      /* of the service */
	const char *dir;          /* the repository */
	struct strv listen;       /* "ADDRESS:PORT", "[::1]:8443"; port 0: any */
	struct bytes tls_cert, tls_key; /* PEM; empty: what service->prepare gives */
	const char *tls_cert_file, *tls_key_file; /* whence they are, to read them anew at SIGHUP; NULL: not again */
	/* names a key of the repository, in whatever engine, in place of tls_key; NULL: none */
	const char *tls_key_ref;
	const char *min_version;
	struct strv ciphers;      /* as struct tls_settings has them */
	bool plain, ask_client;   /* plain: HTTP without TLS */
	/* a certificate that a client shows must lead to client_cas or to what service->prepare adds */
	bool check_client;
	bool require_client;      /* there must be one */
	struct bytes client_cas;  /* PEM */
	struct logs_settings logs;
	int64_t workers, threads; /* 0: one a core, what the service has a worker */
	int64_t per_address, handshake_rate; /* of server_limits; 0: those, -1: any number */
	struct strv exempt;       /* networks that are not counted */
	int64_t target;           /* 0: none */
	struct dur timeout, idle; /* text NULL: none */
	const char *stop_file;    /* once it exists, the listener ends as by SIGTERM; must not be there at first */
	const char *ready_file;   /* written, with one bound address a line, when it accepts */
	const char *access_log;   /* "-": standard output; NULL: none */
	const char *user;         /* becomes that user once the sockets are bound; NULL: stays */
	int64_t lock_timeout_ms;
	void (*say)(const char *line); /* what the operator must know once it listens; NULL: nobody asks */
	const char *commits;      /* how the subject of its commits begins */
};
/* Runs until the target is reached, the time is up, or a signal says so. ERR_CANCELLED never: an end by signal is a
 * clean end. The caller prints the summary and decides on the exit status from it. */
int listen_run(struct ctx *, const struct listen_options *, struct summary *ret, struct err *) NODISCARD;

/* lamassu.yaml as it is committed, read as that user (NULL: this one), and the folder that its paths are relative
 * to. */
int listen_config(struct ctx *, const char *dir, const char *user, struct config *ret, const char **ret_top,
		  struct err *) NODISCARD;

/* What only lamassu-net has; NULL in `lamassu`, which must become that first (net_need). Set once, by main. */
struct listen_ops {
	int (*run)(struct ctx *, const struct listen_options *, struct summary *ret, struct err *);
	int (*config)(struct ctx *, const char *dir, const char *user, struct config *ret, const char **ret_top,
		      struct err *);
	/* est/operator.h */
	int (*identify)(struct ctx *, const struct jwt_auth *rules, const char *cache, const char *token, struct err *);
	const struct service *est, *va;
};
extern const struct listen_ops *listen_here;
