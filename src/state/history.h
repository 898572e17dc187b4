#pragma once
#include "state/state.h"
#include "state/store.h"

/* The commits of a branch as they were made, and both histories as one. */
struct commit { /* texts are as the commit has them: hostile until they are printed */
	struct oid id, tree;
	struct oid *parents;
	size_t nparents;
	char *who;         /* "Name <mail>" of the author */
	int64_t time;      /* of the committer */
	char *subject;     /* first line */
	char *op, *op_id;  /* trailers; NULL where the commit is not ours */
};
int commit_read(struct store *, struct arena *, const struct oid *, struct commit *ret, struct err *) NODISCARD;
/* The value of a trailer in a commit's message: the last paragraph's last line "<name>: value"; NULL when there is
 * none. */
char *commit_trailer(struct arena *, const char *message, const char *name);

/* What one command did: its commits in either history, which have one Lamassu-Op-Id. */
struct history_op {
	int64_t time;
	char *actor, *op, *subject;
	struct strv objects; /* "ca/root", "certificate/5f3a…": filled by history_objects */
	int64_t changes;     /* how many there are */
	char *op_id;
	char *policy_commit, *ledger_commit; /* hex; NULL: that history was not touched */
};
/* Newest first. cb returns 1 to end; what it is given lives in the arena that it is given. */
typedef int history_op_fn(void *arg, struct arena *, const struct history_op *, struct err *);
int history_each(struct state *, history_op_fn *cb, void *arg, struct err *) NODISCARD;
/* From the paths that the commits changed against their first parents. Merges have none of their own. */
int history_objects(struct state *, struct arena *, struct history_op *, struct err *) NODISCARD;
