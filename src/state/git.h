#pragma once
#include <git2.h>
#include <signal.h>
#include <sys/select.h>
#include <time.h>

#include "base/auto.h"
#include "state/store.h"

/* libgit2's side of a store, for the git*.c files of this folder only. */
DEFINE_AUTO(git_config, git_config_free)
DEFINE_AUTO(git_config_iterator, git_config_iterator_free)
DEFINE_AUTO(git_index, git_index_free)
DEFINE_AUTO(git_odb, git_odb_free)
DEFINE_AUTO(git_odb_object, git_odb_object_free)
DEFINE_AUTO(git_patch, git_patch_free)
DEFINE_AUTO(git_reference, git_reference_free)
DEFINE_AUTO(git_reference_iterator, git_reference_iterator_free)
DEFINE_AUTO(git_remote, git_remote_free)
DEFINE_AUTO(git_repository, git_repository_free)

struct store {
	struct arena *arena;
	git_repository *repo;
	git_odb *odb;
	git_config *config;  /* a snapshot, read on first use */
	git_index *index;    /* of the work tree, read on first use */
	char *git_dir;       /* common to all work trees */
	char *own_dir;       /* of this work tree: HEAD and index */
	char *workdir;       /* NULL: bare */
	unsigned shared;     /* core.sharedRepository as permission bits; 0: the umask decides */
};

/* Starts libgit2 with our settings; each call is paired with git_libgit2_shutdown. */
int git_start(struct err *) NODISCARD;
/* Before a remote is asked: lets libgit2 read the trust roots that it did without so far. */
int git_trust(struct err *) NODISCARD;
/* "what: libgit2's reason"; returns -1. */
int err_git(struct err *, enum err_code, const char *what);

/* --- git_remote.c, for git_push.c too --- */
struct patience {
	timer_t timer;
	bool ticking;
	int seconds;           /* without a sign of life, then the remote is given up */
	struct timespec last;  /* sign of life */
	int64_t cpu_ms;        /* of this thread then, or at the last interruption */
	fd_set others;         /* files that were open before */
	struct sigaction before;
};
struct talk { /* one conversation with a remote */
	struct patience patience;
	struct arena *arena;
	int asked;      /* how often credentials were wanted: none of ours works twice */
	size_t key_files; /* so many were tried */
	char *rejected; /* why the remote refused a branch, the first one */
};
int remote_open(struct store *, const char *remote, bool push, git_remote **ret, struct err *) NODISCARD;
/* An error of libgit2 in between; ERR_REMOTE. */
int remote_failed(struct talk *, const char *remote, struct err *);
int remote_credential(git_credential **ret, const char *url, const char *user, unsigned allowed, void *talk);
/* Around each conversation, in one thread; false: it did not run out. */
void patience_begin(struct store *, struct patience *);
bool patience_end(struct patience *);
void patience_renew(struct patience *);
void patience_listen(git_remote_callbacks *); /* whose payload is a struct talk */

static inline struct oid oid_of_git(const git_oid *from)
{
	struct oid to;

	memcpy(to.b, from->id, sizeof(to.b));
	return to;
}

static inline git_oid oid_to_git(const struct oid *from)
{
	git_oid to;

	memcpy(to.id, from->b, sizeof(from->b));
	return to;
}
