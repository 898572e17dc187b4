/* The noun `repo`: its verbs in the order that help shows them. */
#include "cmd/repo.h"

static const struct cmd *const verbs[] = {
	&repo_status_cmd, &repo_log_cmd, &repo_verify_cmd, &repo_sync_cmd, &repo_reindex_cmd, &repo_gc_cmd,
		&repo_import_cmd,
	&repo_upgrade_cmd, NULL
};

const struct cmd repo_cmd = {
	.name = "repo", .brief = "The repository itself", .sub = verbs,
	.doc = "Looks at the repository, checks it, keeps it small, meets other clones, and takes over what other "
	       "programs kept."
};
