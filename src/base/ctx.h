#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/auto.h"

struct state;
struct engines;
struct out;
struct err;

/* A secret that a command needs: --passphrase-file, --passphrase-fd, then $env, then $env_general, then a prompt. */
struct secret_ask {
	const char *what;        /* "passphrase of engine software"; shown in the prompt and in errors */
	const char *env;         /* "LAMASSU_PASSPHRASE_SOFTWARE" or NULL */
	const char *env_general; /* "LAMASSU_PASSPHRASE" or NULL */
	bool confirm;            /* a new secret: ask twice */
};

/* What one command, or one request to a listener, works with. Functions that need it take it first. */
struct ctx {
	struct arena *arena;
	int64_t now;             /* one reading of the clock for the whole command, or --at */
	bool now_given;          /* it is --at */
	struct state *state;     /* the repository; NULL where the command's row does not ask for one */
	struct engines *engines; /* opened on first use through engines_of() */
	struct out *out;         /* results; only cli/ and cmd/ use it */
	const char *actor;       /* "Name <mail>": who acts; NULL: LAMASSU_OPERATOR, or as git's configuration says */
	const char *trailers;    /* lines about that for commits, each with its end; NULL: none */
	char **argv;             /* the command line as the program was started with */
	bool dry_run;            /* nothing may be written anywhere; results are not printed */
	bool yes, no_input;      /* --yes, --no-input (or no terminal) */
	/* A warning or a note for the user; library code calls ctx_warn and never prints. */
	void (*warn)(void *arg, const char *msg);
	void (*fault)(void *arg, const char *msg); /* for ctx_fault; arg is warn_arg */
	void (*note)(void *arg, const char *msg); /* for --verbose; arg is warn_arg */
	void *warn_arg;
	/* Fetches a secret (see struct secret_ask). On success *ret is text in the arena. ERR_DENIED names what to give
	 * when there is neither a source nor a terminal. */
	int (*secret)(struct ctx *, const struct secret_ask *, char **ret, struct err *);
	void *secret_arg;
	/* Called from one thread as work advances; total 0 = unknown. May be NULL. */
	void (*progress)(void *arg, const char *what, uint64_t done, uint64_t total);
	void *progress_arg;
};

const char *ctx_actor(const struct ctx *); /* actor, else LAMASSU_OPERATOR; NULL: neither */
void ctx_warn(struct ctx *, const char *fmt, ...) PRINTF(2, 3);
/* an item of a batch that failed, by name: --quiet shows it too */
void ctx_fault(struct ctx *, const char *fmt, ...) PRINTF(2, 3);
void ctx_progress(const struct ctx *, const char *what, uint64_t done, uint64_t total);
