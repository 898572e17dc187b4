#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ctx.h"
#include "base/err.h"
#include "base/tm.h"
#include "rec/query.h"
#include "rec/schema.h"

/* One tree of commands yields parsing, --help at every level, manual pages, completion and "did you mean". This folder
 * knows nothing of PKI: what a command needs opened (`needs`) and the live names for completion come from two
 * callbacks. */
enum opt_kind {
	O_FLAG, /* bool */
	O_STR,  /* const char * */
	O_INT,  /* int64_t */
	O_DUR,  /* struct dur */
	O_LIST, /* struct strv: repeatable */
	O_ENUM  /* int: index into names, -1 when not given */
};
enum opt_flags { O_REQ = 1 };

struct opt {
	const char *name; /* the member's: '_' is typed as '-', one at the end (for_) is dropped */
	char letter;      /* or 0 */
	enum opt_kind kind;
	/* metavariable, shown in capitals, and completer: "ca" "profile" "engine" "key" "file" "dir" … */
	const char *arg;
	const char *doc;
	size_t off;
	unsigned flags;
	const char *const *names; /* O_ENUM: NULL-terminated */
	int64_t dflt;     /* O_INT: the value when it is not given */
};

enum operand_flags { P_OPTIONAL = 1, P_MANY = 2 };
struct operand {
	const char *name; /* metavariable and completer, lower case: "ca", "serial", "path=value" */
	const char *doc;
	size_t off;       /* const char *, or struct strv with P_MANY */
	unsigned flags;
};

enum cmd_needs {
	NEED_STATE = 1,   /* an open repository, for reading */
	/* … locked for writing; refused on another branch, a detached HEAD, in the middle of a merge */
	NEED_WRITE = 2,
	NEED_CONFIRM = 4, /* a destructive verb: asks, or takes --yes */
	NEED_LIST = 8     /* takes the list options (--filter, --sort-by, …), found in ctx through cli_query() */
};

struct cmd {
	const char *name;
	const char *brief;           /* one line, no full stop */
	const char *doc;             /* paragraphs for help and manual, separated by blank lines; may be NULL */
	const char *example;         /* command lines, one a line, for the EXAMPLES section; may be NULL */
	/* a group: its verbs, ends with NULL; run is NULL. Each verb is defined beside its function */
	const struct cmd *const *sub;
	const struct opt *opts;      /* ends with an empty row; may be NULL */
	const struct operand *operands;
	size_t argsize;              /* of the args struct that offsets refer to */
	unsigned needs;
	int (*run)(struct ctx *, void *args, struct err *);
	/* the record type, for generic verbs and for the names of list columns and filters */
	const struct schema *type;
};

/* Row macros: the option's name is the member's with '_' as '-'; the member's type is checked at compile time. */
#define OOFF(st, m, T) (offsetof(struct st, m) + 0 * sizeof(char[_Generic(((struct st *)0)->m, T : 1)]))
#define OPT(st, m, K, T, l, a, d, ...) { .name = #m, .letter = l, .kind = K, .arg = a, .doc = d, \
					 .off = OOFF(st, m, T), \
					 __VA_ARGS__ }
#define OFLAG(st, m, l, ...) OPT(st, m, O_FLAG, bool, l, NULL, __VA_ARGS__, )
#define OSTR(st, m, l, a, ...) OPT(st, m, O_STR, const char *, l, a, __VA_ARGS__, )
#define OINT(st, m, l, a, ...) OPT(st, m, O_INT, int64_t, l, a, __VA_ARGS__, )
#define ODUR(st, m, l, a, ...) OPT(st, m, O_DUR, struct dur, l, a, __VA_ARGS__, )
#define OLIST(st, m, l, a, ...) OPT(st, m, O_LIST, struct strv, l, a, __VA_ARGS__, )
#define OENUM(st, m, l, nm, ...) OPT(st, m, O_ENUM, int, l, NULL, __VA_ARGS__, .names = nm)
#define OEND { .name = NULL }
#define PARAM(st, m, n, ...) { .name = n, .off = OOFF(st, m, const char *), .doc = __VA_ARGS__ }
#define PARAMS(st, m, n, ...) { .name = n, .off = OOFF(st, m, struct strv), .flags = P_MANY, .doc = __VA_ARGS__ }
#define PARAMS_OPT(st, m, n, ...) { .name = n, .off = OOFF(st, m, struct strv), .flags = P_MANY | P_OPTIONAL, \
				    .doc = __VA_ARGS__ }

enum out_format { OUT_TABLE, OUT_JSON, OUT_YAML, OUT_ID };
enum color_mode { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

/* The options that stand before or after any command. */
struct globals {
	const char *repo; /* --repo, else $LAMASSU_REPO, else NULL */
	int output; /* enum out_format */
	int color;
	bool quiet, verbose, yes, dry_run, no_input, help, version;
	const char *message;
	const char *passphrase_file;
	int64_t passphrase_fd; /* -1: none */
	const char *token_file;
	int64_t token_fd;      /* -1: none */
	struct dur lock_timeout; /* --lock-timeout, else $LAMASSU_LOCK_TIMEOUT, else text is NULL */
	const char *at;          /* --at TIME: the clock to use, already in ctx->now */
};

struct env_doc {
	const char *name, *doc; /* a variable of the environment, for the manual */
};

struct record_page {
	const char *name;                  /* of the page: "profile" is PROGRAM-profile(5), "x.yaml" is x.yaml(5) */
	const char *brief, *doc, *example; /* as in struct cmd; example is a document */
	const struct schema *const *types; /* ends with NULL */
	/* further types that only run time knows; NULL after the last; may be NULL */
	const struct schema *(*more)(size_t i);
};

struct cli {
	const struct cmd *root; /* names that begin with "__" are left out of help, manual and completion */
	const char *version;
	const char *date;          /* of the manual pages: "November 21, 2026" */
	const struct env_doc *env; /* ends with an empty row */
	const struct record_page *records; /* manual pages of section 5; ends with an empty row; may be NULL */
	/* Opens what the command needs into ctx, before run; and closes it, after (also when prepare failed). */
	int (*prepare)(struct ctx *, const struct globals *, const struct cmd *, struct err *);
	void (*finish)(struct ctx *);
	/* Emits live names of a kind ("ca", "profile", …) for completion; silent on any failure. */
	void (*names)(struct ctx *, const char *kind, void (*emit)(void *, const char *name, const char *doc),
		      void *arg);
};

/* Runs one command line; prints its error (text, or JSON with -o json) and returns the exit status. */
int cli_main(const struct cli *, int argc, char **argv);

const struct globals *cli_globals(const struct ctx *);
const char *cli_op(const struct ctx *); /* "ca.create": the command that runs */
const struct query *cli_query(const struct ctx *); /* of a NEED_LIST command */
/* Asks "TEXT? [y/N]" on the terminal; --yes answers, and a destructive verb asks nothing in a dry run. ERR_CANCELLED
 * when refused, ERR_USAGE naming --yes without a terminal. */
int cli_confirm(struct ctx *, struct err *, const char *fmt, ...) PRINTF(3, 4) NODISCARD;

enum { CLI_DEPTH = 5 }; /* commands in a path, the program included */
/* The path from the root to the command that `words` name; an unknown word gives ERR_USAGE with the nearest one. */
int cli_find(const struct cli *, const struct strv *words, const struct cmd *path[CLI_DEPTH], size_t *ret_depth,
	     struct err *) NODISCARD;
void cli_help(const struct cli *, const struct cmd *const path[], size_t depth, struct buf *out);
/* A manual page in mdoc(7): of the program (NULL), of a noun ("ca", "lamassu-ca" or "lamassu-ca.1") or of records
 * ("lamassu-ca.5"); and the names of all pages, with their sections. */
int cli_man(const struct cli *, const char *page, struct buf *out, struct err *) NODISCARD;
void cli_man_list(const struct cli *, struct buf *out);
/* The completion script for a shell of cli_shells[]; it asks `lamassu __complete` for candidates. */
extern const char *const cli_shells[];
const char *cli_completion(size_t shell);

/* --- results (out.c): everything on stdout passes here, is buffered and checked. Commands with NEED_WRITE are muted in
 * a dry run, and no command writes a file; what would change is shown by out_diff. --- */

/* One record: a two-column listing, or JSON, YAML, id. */
int out_record(struct ctx *, const struct schema *, const void *rec, struct err *) NODISCARD;
/* A list: a table that fits the terminal (--columns a,b,c chooses), or {"list": […], "next": …}, YAML, ids. */
int out_list(struct ctx *, const struct schema *, const void *recs, size_t n, const char *next, struct err *) NODISCARD;
/* The same in parts, for lists that are too long for memory; the first rows decide the widths of the columns. */
int out_list_begin(struct ctx *, const struct schema *, struct err *) NODISCARD;
int out_list_rows(struct ctx *, const void *recs, size_t n, struct err *) NODISCARD;
int out_list_end(struct ctx *, const char *next, struct err *) NODISCARD;
/* Plain bytes (PEM, a script): to stdout, or to `path` when it is not NULL or "-". Private material: mode 0600,
 * durable, and an existing file is refused unless `force`; the rest can be had again and is not waited for. */
int out_bytes(struct ctx *, const char *path, struct bytes, bool private_, bool force, struct err *) NODISCARD;
/* "created ca root": what was done, on stdout in table format, suppressed by -q; the command's first operand alone with
 * -o id; both, as {"id", "done"}, in JSON and YAML. */
int out_done(struct ctx *, struct err *, const char *fmt, ...) PRINTF(3, 4) NODISCARD;
int out_flush(struct ctx *, struct err *) NODISCARD; /* ERR_IO if stdout could not take it; EPIPE is quiet success */
bool out_is_table(const struct ctx *);
/* The diff of a dry run, never muted; {"diff": "…"} with -o json. */
void out_diff(struct ctx *, const char *text);
