#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "rec/schema.h"

/* What a list command was asked for, for records in memory and for rows of the cache alike. Grammar of a filter:
 * field[op]value, field[op]=value or field=value; ops eq ne ct nc sw ew gt ge lt le bf af in nin, each also with _ic;
 * times absolute (RFC 3339, date) or relative to now ("30d" = 30 days ahead, "-30d" = 30 days ago). */
enum filter_op { OP_EQ, OP_NE, OP_CT, OP_NC, OP_SW, OP_EW, OP_GT, OP_GE, OP_LT, OP_LE, OP_BF, OP_AF, OP_IN, OP_NIN };

struct filter {
	const char *field;
	enum filter_op op;
	bool ignore_case; /* [ct] always ignores case */
	const char *value;
};

struct query {
	struct filter *filters;
	size_t nfilters;
	const char *sort_by; /* NULL: the type's own order */
	bool desc;
	int64_t page_size;   /* 0: all */
	int64_t offset;      /* from the bookmark */
};

/* Parses one --filter; unknown operators list the known ones. The field is checked by whoever runs the query. */
int filter_parse(struct arena *, const char *text, struct filter *ret, struct err *) NODISCARD;
/* A bookmark is opaque to users: it carries the whole query and the offset, base64url. */
char *query_bookmark(struct arena *, const struct query *, int64_t next_offset);
int query_from_bookmark(struct arena *, const char *bookmark, struct query *ret, struct err *) NODISCARD;
/* A point in time from a filter value: RFC 3339, a date, or a duration relative to now. */
int query_time(const char *value, int64_t now, int64_t *ret, struct err *) NODISCARD;

/* Whether a path is a field of such records; ERR_USAGE lists the known ones. */
int query_field(struct arena *, const struct schema *, const char *path, struct err *) NODISCARD;

/* Filters, sorts and cuts an array of n records in place (small sets: profiles, authorities, keys). *ret_next is NULL
 * on the last page. An unknown field lists the known ones. */
int query_run(struct arena *, const struct query *, const struct schema *, void *recs, size_t *n, int64_t now,
	      char **ret_next, struct err *) NODISCARD;
