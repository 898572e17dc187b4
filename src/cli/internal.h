#pragma once
#include "base/buf.h"
#include "cli/cli.h"

/* Shared inside cli/ only. */
enum { CLI_WIDTH = 80 }; /* where no terminal says otherwise */

struct list_args { /* the options of every command with NEED_LIST */
	struct strv filter;
	const char *sort_by;
	int sort_mode;
	int64_t page_size; /* INT64_MIN: not given */
	const char *bookmark;
	bool all;
	const char *columns;
};
extern const struct opt global_opts[], list_opts[];
extern const char *const output_names[], *const color_names[];

void globals_init(struct globals *);
int globals_env(struct globals *, struct err *) NODISCARD; /* fills in from the environment what was not given */
int list_query(struct arena *, const struct list_args *, struct query *ret, struct err *) NODISCARD;

/* --- parse.c: a command line, word by word, so that completion can stop anywhere --- */
struct opt_table {
	const struct opt *opts; /* at most 64 */
	void *base;             /* what the rows' offsets refer to */
	uint64_t seen;          /* bit i: row i was given */
};
enum { TABLE_CMD, TABLE_LIST, TABLE_GLOBAL, TABLE_COUNT };

struct parser {
	struct arena *arena;
	const struct cmd *path[CLI_DEPTH];
	size_t depth;
	struct opt_table tables[TABLE_COUNT];
	void *args;                    /* of the leaf command; NULL before one is reached */
	const struct operand *operand; /* the next one to fill; its name is NULL when all are */
	const struct opt *pending;     /* an option that waits for its value */
	struct opt_table *pending_table;
	bool only_operands; /* after "--" */
	struct globals globals;
	struct list_args list;
};

void parser_init(struct parser *, struct arena *, const struct cmd *root);
int parser_word(struct parser *, char *word, struct err *) NODISCARD;
int parser_end(struct parser *, struct err *) NODISCARD; /* nothing that is required may be missing */
const struct opt *parser_opt(struct parser *, const char *name, size_t n, struct opt_table **ret_table);

static inline bool cmd_hidden(const struct cmd *c)
{
	return c->name[0] == '_';
}
char *opt_name(struct arena *, const struct opt *); /* as typed, without the dashes */
char *metavar(struct arena *, const char *name);     /* in capitals */

/* --- out.c, table.c --- */
struct listing {
	const struct schema *type;
	char **cols;
	size_t ncols;
	size_t *width; /* NULL until the first rows */
	size_t rows;
};

struct progress {
	int64_t start_ms;         /* 0: not yet */
	_Atomic int64_t drawn_ms; /* 0: nothing is on the screen; warnings from other threads erase it */
	uint64_t done;
	bool enabled;
};

struct out {
	struct arena *arena;
	const struct cli *cli;
	const struct cmd *cmd;
	const char *op;
	const char *operand; /* the first one, or NULL */
	struct globals globals;
	struct query query;
	const char *columns; /* --columns or NULL */
	struct buf buf;      /* what stdout has not got yet */
	struct buf diff;     /* of a dry run, for formats other than table */
	bool gone;           /* the reader of stdout went away */
	bool bold;
	size_t width; /* of the terminal on stdout; 0: not a terminal, never cut */
	struct listing list;
	struct progress progress;
	const char *secret; /* of --passphrase-file or --passphrase-fd, once read */
};

void out_open(struct out *);                               /* after globals are known */
int out_finish(struct ctx *, struct err *) NODISCARD;      /* the last flush */
bool out_muted(const struct ctx *);
void json_text(struct arena *, struct buf *, const char *); /* a JSON string, or null */
int table_columns(struct arena *, const struct schema *, const char *columns, struct listing *ret,
		  struct err *) NODISCARD;
int table_rows(struct out *, const void *recs, size_t n, struct err *) NODISCARD;
int table_record(struct out *, const struct schema *, const void *rec, struct err *) NODISCARD;

size_t term_width(int fd);            /* 0 when fd is not a terminal */
bool term_color(int mode, int fd);

/* --- prompt.c, progress.c --- */
int cli_secret(struct ctx *, const struct secret_ask *, char **ret, struct err *) NODISCARD;
void progress_draw(void *out, const char *what, uint64_t done, uint64_t total);
void progress_erase(struct progress *);
/* One line on stderr, "lamassu: KIND: TEXT", with control bytes escaped. */
void say(struct out *, const char *kind, const char *text);

/* --- complete.c --- */
/* Candidates for the last of `words`, "candidate<TAB>doc" a line; "@file" and "@dir" ask the shell for paths. */
void cli_complete(const struct cli *, struct ctx *, size_t n, char **words, struct buf *out);
