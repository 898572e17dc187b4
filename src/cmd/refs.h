#pragma once
#include "cli/cli.h"

/* The record types of the repository, and what refers to what among them. */
struct record_type {
	const char *name; /* of `schema --type` */
	const struct schema *schema;
	/* Rules between this record and those it names, after they were found; NULL: none. */
	int (*check)(struct ctx *, const void *rec, struct err *);
};
extern const struct record_type record_types[]; /* ends with an empty row */

/* Every id that the record names must exist, and the rules of its type hold: ERR_INVALID names the field. */
int refs_check(struct ctx *, const struct schema *, const void *rec, struct err *) NODISCARD;
/* The same of a record as the transaction has it. */
int refs_check_stored(struct ctx *, const struct schema *, const char *id, struct err *) NODISCARD;
/* Who refers to the record `id` of a type: "ca devices (issuance_profile_id)". */
int refs_users(struct ctx *, const struct schema *, const char *id, struct strv *ret, struct err *) NODISCARD;
