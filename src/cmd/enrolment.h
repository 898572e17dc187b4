#pragma once
#include "cli/cli.h"
#include "client/est.h"
#include "client/pair.h"
#include "client/token.h"
#include "crypto/cert.h"

/* What `device enroll` and `device renew` (device_enroll.c) have in common. */
struct client_args {
	const char *device; /* enroll */
	const char *est, *label, *ca_file, *pin, *cert, *key, *user, *token_file, *psk_file, *psk_identity;
	const char *subject, *key_type, *out, *key_out, *cacerts_out, *exec;
	struct strv san;
	struct dur timeout;
	bool chain, trust_on_first_use, server_key, encrypted;
	int64_t count, connections; /* with prefix: enroll */
	int64_t days, percent;      /* with same_key: renew */
	const char *prefix;
	bool reconnect, same_key, force, remove_old_key;
};

/* One enrolment of this device. */
struct enrolment_run {
	struct ctx *ctx;
	const struct client_args *a;
	enum est_op op;
	struct est_target target;
	struct pair_paths paths;
	struct bytes subject; /* DER */
	struct strv san;
	struct est *est;
	struct pending pending;
	struct est_recipient to; /* --encrypted */
	struct token *who, *token; /* where our key is, and where the new one is or will be; NULL: in files */
	EVP_PKEY *who_key;
	struct cert old;           /* renew: the certificate that is replaced */
};

/* enrolment_server.c: who we are, and who the server is. */
int enrolment_check(const struct client_args *, struct err *) NODISCARD; /* what goes together */
int enrolment_target(struct enrolment_run *, struct err *) NODISCARD;    /* after net_need() */
int enrolment_connect(struct enrolment_run *, struct err *) NODISCARD;   /* trusts on first use, where asked to */
int enrolment_put_cas(struct ctx *, const char *path, const struct est_cas *, struct err *) NODISCARD;
/* Where the key of the client's certificate is: its file may hold both. */
const char *enrolment_key(const struct client_args *);
/* The first certificate of a file, or of a text from there. */
int enrolment_read_cert(struct arena *, const char *path, struct cert *ret, struct err *) NODISCARD;
int enrolment_first_cert(struct arena *, struct bytes text, const char *path, struct cert *ret, struct err *) NODISCARD;

/* enrolment.c: from pending_load() on, until all is in place. */
int enrolment_obtain(struct enrolment_run *, struct err *) NODISCARD;
void enrolment_end(struct enrolment_run *);
