#pragma once
#include "state/state.h"

/* What `repo verify` and the hook of a server must know of the two histories themselves, before anybody looks at
 * certificates: that they can be read, that the ledger only ever grew, and that no private key ever got in. */
struct inspector { /* where the results go; texts live until the arena of the command ends */
	struct arena *arena;
	void (*found)(void *arg, const char *object, const char *problem, const char *repair);
	void (*note)(void *arg, const char *text); /* worth knowing, not wrong */
	void (*tick)(void *arg, uint64_t done);    /* may be NULL */
	void *arg;
};

/* Every commit of both histories that this clone has not found right before (`all`: of all there are): none of the
 * ledger's changed or removed an entry, no file of any holds a private key. Foreign commits on the ledger are noted. */
void inspect_history(struct state *, bool all, const struct inspector *);
/* Every file of the policy branch's tip can be read and is a file. */
void inspect_policy(struct state *, const struct inspector *);
/* Remembers that all of it was right, so that the next inspection goes on from here. */
void inspect_accept(struct state *);

struct raw_entry {
	const char *path;
	struct bytes text;
};
enum { INSPECT_CHUNK = 1024 };
/* All entries of the ledger's tip, at most INSPECT_CHUNK at a time; what cannot be read, or holds a private key, is
 * reported. */
int inspect_entries(struct state *, int (*cb)(void *arg, const struct raw_entry *, size_t n, struct err *), void *arg,
		    const struct inspector *, struct err *) NODISCARD;

/* What somebody pushes to a server: lines "<old> <new> <ref>" as git gives them to its pre-receive hook. Works on the
 * bare repository, or GIT_DIR, and sees what is in quarantine. */
int inspect_push(const char *dir, struct bytes lines, const struct inspector *, struct err *) NODISCARD;
