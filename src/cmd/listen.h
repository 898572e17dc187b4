#pragma once
#include "cli/cli.h"
#include "model/config.h"
#include "serve/listener.h"

/* What the commands that listen have in common. */
struct listen_flags { /* what the user gave */
	const char *min_tls;
	bool no_file;       /* the certificate comes from elsewhere, or there is none: lamassu.yaml's does not count */
	int64_t port;       /* where nothing says another */
};

/* Becomes the program that has listeners. */
int listen_need(struct ctx *, struct err *) NODISCARD;
/* --tls-cert and --tls-key. A key that is no file names one of the repository. */
int listen_read_tls(struct ctx *, const char *cert, const char *key, struct listen_options *o, struct err *) NODISCARD;
/* Who acts, where to listen, TLS, its clients and logs: from the flags, else from lamassu.yaml. `o` has `listen`
 * already. */
int listen_settings(struct ctx *, const struct listen_flags *, const struct config *, const char *top,
		    struct listen_options *o, struct err *) NODISCARD;
void listen_say(const char *line); /* on standard error */
/* Prints the summary and decides on the exit status. */
int listen_end(struct ctx *, const struct schema *type, const struct summary *, struct err *) NODISCARD;
