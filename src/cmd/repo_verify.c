/* `repo verify`: is everything what it says? Exit 5 when something is wrong. As the pre-receive hook of a server it
 * judges a push. A repository that cannot even be opened is a finding as well. */
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "cmd/open.h"
#include "cmd/repo.h"
#include "pki/verify_repo.h"

enum { PUSH_MAX = 16 << 20 };

struct verify_args {
	bool full, pre_receive;
};

static int report(struct ctx *ctx, const struct finding *v, size_t n, uint64_t more, const char *one, const char *many,
		  struct err *e)
{
	if (out_list(ctx, &finding_type, v, n, NULL, e) != 0)
		return -1;
	return err_set(e, ERR_CHECK, "%s", text_count(ctx->arena, n + more, one, many));
}

static int verify_push(struct ctx *ctx, struct err *e)
{
	const char *dir = getenv("GIT_DIR"), *repo = cli_globals(ctx)->repo;
	struct finding *v;
	struct bytes lines;
	uint64_t more;
	size_t n;

	if (fs_read_input(ctx->arena, "-", PUSH_MAX, &lines, e) != 0 ||
	    repo_verify_push(ctx, repo ? repo : dir && *dir ? dir : ".", lines, &v, &n, &more, e) != 0)
		return -1;
	return n ? report(ctx, v, n, more, "reason to refuse the push", "reasons to refuse the push", e) : 0;
}

/* Opens the repository. Where that alone shows that something is wrong, that is reported like all else. */
static int open_or_report(struct ctx *ctx, struct err *e)
{
	static const struct cmd reading = { .name = "verify", .needs = NEED_STATE };
	struct finding f = { .object = arena_strdup(ctx->arena, "repository") };
	struct err why = { 0 };
	char *dir;

	if (cmd_find_repo(ctx, cli_globals(ctx), &dir, e) != 0)
		return -1;
	if (cmd_prepare(ctx, cli_globals(ctx), &reading, &why) == 0)
		return 0;
	if (why.code != ERR_NOT_FOUND && why.code != ERR_INVALID && why.code != ERR_CONFLICT && why.code != ERR_IO) {
		*e = why;
		return -1;
	}
	f.problem = why.msg;
	f.repair = arena_strdup(ctx->arena, "restore what is missing from another clone; git fsck names it");
	return report(ctx, &f, 1, 0, "problem", NULL, e);
}

static int run_verify(struct ctx *ctx, void *args, struct err *e)
{
	const struct verify_args *a = args;
	struct verified seen = { 0 };
	struct finding *v;
	uint64_t more;
	size_t n;

	if (a->pre_receive)
		return verify_push(ctx, e);
	if (open_or_report(ctx, e) != 0 || repo_verify(ctx, a->full, &v, &n, &more, &seen, e) != 0)
		return -1;
	if (n)
		return report(ctx, v, n, more, "problem", NULL, e);
	if (!out_is_table(ctx))
		return out_list(ctx, &finding_type, v, 0, NULL, e);
	return out_done(ctx, e, "nothing is wrong: %s, %s, %s",
			text_count(ctx->arena, seen.authorities, "authority", "authorities"),
			text_count(ctx->arena, seen.certificates, "certificate", NULL),
			text_count(ctx->arena, seen.crls, "CRL", NULL));
}

static const struct opt verify_opts[] = {
	OFLAG(verify_args, full, 0, "Look at the whole of both histories, not only at what is new since nothing was "
				    "found."),
	OFLAG(verify_args, pre_receive, 0, "Judge a push: run by a server's pre-receive hook, which gives it OLD NEW "
					   "REF lines."),
	OEND
};

const struct cmd repo_verify_cmd = {
	.name = "verify", .brief = "Check everything", .opts = verify_opts, .argsize = sizeof(struct verify_args),
	.run = run_verify,
	.type = &finding_type,
	.doc = "Every record and entry can be read and is named by what it holds; references lead somewhere; every "
	       "certificate is its authority's and within what that allows; serial numbers are used once; CRL "
	       "numbers grow; the cache is the fold of the ledger; the ledger only ever grew; no commit holds a "
	       "private key. Lists what is wrong and what to do, and then ends with status 5.\n\n"
	       "On a server, the hook pre-receive may be: exec lamassu repo verify --pre-receive. It refuses to "
	       "rewrite, shorten or delete the ledger, entries that are not valid, and private keys on any branch.",
	.example = "lamassu repo verify\nlamassu repo verify --full -o json"
};
