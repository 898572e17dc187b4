#pragma once
#include "state/index_sql.h"

/* A query on its way to SQL: parameters are numbered, so that a part of it can be run alone. */
struct param {
	const char *text; /* NULL: an integer, or octets when hex is set */
	const char *hex;
	int64_t number;
};
struct term {
	const char *sql;          /* the condition; NULL: all rows pass */
	const char *index, *drive; /* drive is implied by sql and can be answered from the index */
	const char *match;        /* a parameter for the table `words` that all rows of sql match */
};
struct builder {
	struct arena *a;
	struct index *ix;
	int64_t now;
	struct param *params;
	size_t nparams;
	struct term *terms;
	size_t nterms;
};

const struct column *query_column(const char *name); /* aliases too; NULL: unknown */
int query_unknown_field(struct arena *, const char *name, struct err *);
int query_add(struct builder *, const struct filter *, struct err *) NODISCARD; /* appends to terms, which has room */
const char *query_int(struct builder *, int64_t);                               /* "?N" */
void query_bind(const struct builder *, sqlite3_stmt *);
