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
	const struct query_target *target;
	const struct table *table;
	int64_t now;
	struct param *params;
	size_t nparams;
	struct term *terms;
	size_t nterms;
};

const struct column *query_column(const struct table *, const char *name); /* aliases too; NULL: unknown */
int query_unknown_field(struct builder *, const char *name, struct err *);
int query_add(struct builder *, const struct filter *, struct err *) NODISCARD; /* appends to terms, which has room */
const char *query_int(struct builder *, int64_t);                               /* "?N" */
const char *query_text(struct builder *, const char *);
/* index_filter.c: the condition that a certificate is neither revoked as of now nor held. */
const char *query_in_force(struct builder *);
/* index_device.c: the condition, and what may drive it; and the status as a number, for sorting and counting. */
const char *query_device_status(struct builder *, enum device_status, struct term *);
const char *query_device_status_case(struct builder *);
void query_bind(const struct builder *, sqlite3_stmt *);
