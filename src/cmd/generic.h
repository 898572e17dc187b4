#pragma once
#include "cli/cli.h"

/* list, show, set, edit, delete and schema for any record type: cmd.type says which. */
struct generic_ref {
	const char *id;
};
struct generic_set {
	const char *id;
	struct strv assignments;
};
int generic_list(struct ctx *, void *args, const struct schema *, struct err *) NODISCARD;
int generic_show(struct ctx *, const char *id, const struct schema *, struct err *) NODISCARD;
/* path=value …; `path=` removes. */
int generic_changes(struct ctx *, const struct strv *assignments, struct rec_change **ret, struct err *) NODISCARD;
/* All of them at once. Commits "<noun>: set <id>". */
int generic_set(struct ctx *, const struct generic_set *, const struct schema *, struct err *) NODISCARD;
/* $VISUAL or $EDITOR on the record's text; validates before it commits and offers to go back. */
int generic_edit(struct ctx *, const char *id, const struct schema *, struct err *) NODISCARD;
int generic_schema(struct ctx *, const struct schema *, struct err *) NODISCARD;
/* Reads one record from a file or "-" into rec; flags given beside it are applied by the caller. */
int generic_load(struct ctx *, const char *file, const struct schema *, void *rec, struct err *) NODISCARD;

extern const struct operand generic_id_operand[];
extern const struct operand generic_set_operands[];
