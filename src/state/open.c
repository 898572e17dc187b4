/* Opening a repository: which branch is policy, where the ledger is, who the operator is, and every state of git in
 * which a change is refused. Reading takes no lock and writes nothing that it cannot do without, so read-only media
 * work. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "state/git_index.h"
#include "state/internal.h"
#include "state/locks.h"
#include "state/tree.h"

#define HEADS "refs/heads/"

void state_warn(struct state *st, const char *fmt, ...)
{
	char msg[1024];
	va_list ap;

	if (!st->env.warn)
		return;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	st->env.warn(st->env.warn_arg, msg);
}

/* --- finding --- */

static bool is_bare(struct arena *a, const char *dir)
{
	return fs_exists(fs_join(a, dir, "HEAD")) && fs_is_dir(fs_join(a, dir, "objects")) &&
			fs_is_dir(fs_join(a, dir, "refs"));
}

int state_discover(struct arena *a, const char *start, char **ret_dir, struct err *e)
{
	char full[PATH_MAX], *dir, *slash;

	if (!realpath(start, full))
		return err_set(e, ERR_NOT_FOUND, "%s: %s", start, strerror(errno));
	dir = arena_strdup(a, full);
	for (;;) {
		/* The second: the file is gone from the work tree, or an interrupted init has not written it yet. */
		if (is_bare(a, dir) || (fs_exists(fs_join(a, dir, ".git")) &&
					(fs_exists(fs_join(a, dir, "lamassu.yaml")) ||
					 fs_is_dir(fs_join(a, dir, ".git/lamassu"))))) {
			*ret_dir = dir;
			return 0;
		}
		slash = strrchr(dir, '/');
		if (!slash || !slash[1])
			break;
		slash[slash == dir] = '\0';
	}
	return err_set(e, ERR_NOT_FOUND,
		       "no lamassu repository in %s or above it: make one with lamassu init, or name one with --repo",
				start);
}

/* --- the operator --- */

static bool operator_valid(const char *who)
{
	const char *lt = strchr(who, '<'), *gt = lt ? strchr(lt, '>') : NULL;

	for (const char *p = who; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	return lt && gt && gt[1] == '\0' && lt > who + 1 && lt[-1] == ' ' && gt > lt + 1 && !strchr(lt + 1, '<') &&
			utf8_valid(bytes_of(who));
}

int state_find_operator(struct arena *a, const char *actor, const char *(*config)(void *arg, const char *key),
			void *arg, char **ret,
			struct err *e)
{
	const char *name = config(arg, "user.name"), *mail = config(arg, "user.email");
	const char *who = actor && *actor ? actor : config(arg, "lamassu.operator");

	if (!who && name && mail)
		who = arena_printf(a, "%s <%s>", name, mail);
	if (!who)
		return err_set(e, ERR_USAGE, "who are you? set LAMASSU_OPERATOR, or git config lamassu.operator, to "
			       "\"Name <mail>\", or git's user.name and user.email");
	if (!operator_valid(who))
		return err_set(e, ERR_USAGE, "operator \"%s\" is not of the form \"Name <mail>\"", who);
	*ret = arena_strdup(a, who);
	return 0;
}

static const char *store_key(void *arg, const char *key)
{
	return store_config(arg, key);
}

/* --- tips --- */

int state_tip(struct state *st, struct tip *t, struct err *e)
{
	if (store_ref(st->store, t->ref, &t->exists, &t->commit, e))
		return -1;
	return t->exists ? store_commit_tree(st->store, &t->commit, &t->tree, e) : 0;
}

static int set_ref(struct tip *t, const char *prefix, const char *name, struct err *e)
{
	int n = snprintf(t->ref, sizeof(t->ref), "%s%s", prefix, name);

	if (n < 0 || (size_t)n >= sizeof(t->ref))
		return err_set(e, ERR_INVALID, "branch name \"%s\" is too long", name);
	return 0;
}

static int load_config(struct state *st, const struct oid *tree, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct tree_entry t;
	struct bytes text;
	bool found;

	if (tree_find(st->store, tree, config_type.path, &found, &t, e))
		return -1;
	if (!found || !mode_is_file(t.mode))
		return err_set(e, ERR_NOT_FOUND, "%s has no committed %s: make a repository with lamassu init", st->dir,
			       config_type.path);
	if (store_read(st->store, a, &t.oid, OBJ_BLOB, FS_LIMIT_DOC, &text, e))
		return -1;
	return rec_load(st->arena, &config_type, config_type.path, text, &st->config, e);
}

/* A branch that only a remote has: for reading policy from a clone of another branch, and for making the ledger. */
static int remote_tip(struct state *st, const char *name, bool *ret_found, struct oid *ret, struct err *e)
{
	char *ref;

	*ret_found = false;
	if (store_remote_branch(st->store, st->arena, name, &ref, e))
		return -1;
	return ref ? store_ref(st->store, ref, ret_found, ret, e) : 0;
}

/* Which branch is policy stands in lamassu.yaml: HEAD's names the branch, and the branch's tip is what counts. */
static int load_policy(struct state *st, struct err *e)
{
	struct oid head, tree;
	bool found;

	if (store_ref(st->store, "HEAD", &found, &head, e))
		return -1;
	if (!found)
		return err_set(e, ERR_NOT_FOUND, "%s has no commit yet: make a repository with lamassu init", st->dir);
	if (store_commit_tree(st->store, &head, &tree, e) || load_config(st, &tree, e) ||
	    set_ref(&st->policy, HEADS, st->config.policy_branch, e) || state_tip(st, &st->policy, e))
		return -1;
	if (!st->policy.exists) {
		if (remote_tip(st, st->config.policy_branch, &found, &st->policy.commit, e))
			return -1;
		if (!found)
			return err_set(e, ERR_NOT_FOUND, "the policy branch %s is missing: git fetch origin %s:%s",
				       st->config.policy_branch,
				       st->config.policy_branch, st->config.policy_branch);
		st->policy.exists = true;
		if (store_commit_tree(st->store, &st->policy.commit, &st->policy.tree, e))
			return -1;
	}
	return oid_equal(&tree, &st->policy.tree) ? 0 : load_config(st, &st->policy.tree, e);
}

/* A clone has no local ledger: it is made from the remote's, where the medium can be written. */
static void make_ledger(struct state *st)
{
	SCOPED_ARENA *a = arena_new();
	struct err ignored = { 0 };
	struct filelock l;

	if ((st->flags & STATE_DRY_RUN) || state_private_dir(st, &ignored))
		return;
	if (ref_prepare(a, st->store, st->private_dir, st->ledger.ref, NULL, &st->ledger.commit, 1000, &l, &ignored))
		return;
	if (filelock_commit(&l, &ignored))
		state_warn(st, "%s: %s", st->ledger.ref, ignored.msg);
	filelock_drop(&l);
}

static int load_ledger(struct state *st, struct err *e)
{
	const char *name = st->config.ledger_branch;
	bool found;

	if (set_ref(&st->ledger, HEADS, name, e) || state_tip(st, &st->ledger, e))
		return -1;
	if (st->ledger.exists)
		return seen_check(st, e);
	if (remote_tip(st, name, &found, &st->ledger.commit, e) || seen_check(st, e))
		return -1;
	if (!found)
		return err_set(e, ERR_NOT_FOUND, "the ledger is missing here: git fetch origin %s:%s brings it (a "
			       "plain clone has it, --single-branch does not)", name, name);
	make_ledger(st);
	st->ledger.exists = true;
	return store_commit_tree(st->store, &st->ledger.commit, &st->ledger.tree, e);
}

/* "1\n" at the ledger's root; 0 when the branch is not a ledger at all. */
static int ledger_format(struct state *st, int64_t *ret, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	enum obj_type type;
	struct bytes text;
	struct oid o;
	bool found;

	*ret = 0;
	if (store_lookup(st->store, &st->ledger.tree, "format", &found, &type, &o, e))
		return -1;
	if (!found || type != OBJ_BLOB)
		return 0;
	if (store_read(st->store, a, &o, OBJ_BLOB, 64, &text, e))
		return -1;
	*ret = strtol((const char *)text.p, NULL, 10);
	return 0;
}

int state_check_format(struct state *st, struct err *e)
{
	int64_t ledger;

	if (ledger_format(st, &ledger, e))
		return -1;
	if (ledger < 1)
		return err_set(e, ERR_CONFLICT, "branch %s is not a lamassu ledger: it has no file \"format\"",
			       st->ledger.ref + strlen(HEADS));
	int64_t newest = ledger > st->config.format ? ledger : st->config.format;
	if (newest <= REPO_FORMAT)
		return 0;
	if (st->flags & STATE_WRITE)
		return err_set(e, ERR_UNSUPPORTED, "this repository has format %lld, and this program writes format %d "
			       "only: use a newer lamassu", (long long)newest, REPO_FORMAT);
	state_warn(st, "this repository has format %lld, newer than the %d that this program knows", (long long)newest,
		   REPO_FORMAT);
	return 0;
}

static int load_tips(struct state *st, struct err *e)
{
	return load_policy(st, e) || load_ledger(st, e) || state_check_format(st, e) ? -1 : 0;
}

/* --- writing --- */

int state_private_dir(struct state *st, struct err *e)
{
	int fd;

	if (mkdir(st->private_dir, 0700) && errno != EEXIST)
		return err_sys(e, st->private_dir);
	fd = open(st->private_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, st->private_dir);
	store_share(st->store, fd); /* keys have a folder of their own, which stays 0700 */
	close(fd);
	return 0;
}

int state_take_lock(struct state *st, struct err *e)
{
	bool died;

	if (state_private_dir(st, e) || repo_lock(st->arena, st->store, st->private_dir, st->env.op,
						  st->env.lock_timeout_ms, &st->lock_fd, &died, e))
		return -1;
	return state_recover(st, died, e);
}

/* A bare repository may have work trees; one on the policy branch would be left behind. */
static int check_linked(struct state *st, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	char *dir = fs_join(a, store_git_dir(st->store), "worktrees"), *head = arena_printf(a, "ref: %s\n",
											    st->policy.ref);
	struct strv names = { 0 };
	struct bytes text;
	struct err ignored = { 0 };

	if (fs_is_dir(dir) && fs_list(a, dir, SIZE_MAX, &names, e))
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		char *file = arena_printf(a, "%s/%s/HEAD", dir, names.v[i]);

		if (fs_read(a, file, 4096, &text, &ignored) == 0 && bytes_equal(text, bytes_of(head)))
			return err_set(e, ERR_CONFLICT, "work tree %s is on branch %s: run the command there",
				       names.v[i], st->config.policy_branch);
	}
	return 0;
}

/* States of git in which moving the policy branch would surprise: bare repositories have none of them. */
static int check_writable(struct state *st, struct err *e)
{
	const char *busy = store_busy(st->store), *branch = st->config.policy_branch;
	char *head;

	if (!store_workdir(st->store))
		return check_linked(st, e);
	if (busy)
		return err_set(e, ERR_CONFLICT, "a %s is in progress: finish or abort it first", busy);
	if (store_head(st->store, st->arena, &head, e))
		return -1;
	if (!head)
		return err_set(e, ERR_CONFLICT, "HEAD is detached: git switch %s first", branch);
	if (strcmp(head, st->policy.ref) != 0)
		return err_set(e, ERR_CONFLICT,
			       "the work tree is on branch %s and policy is on %s: git switch %s first",
					head + strlen(HEADS), branch, branch);
	return 0;
}

/* Microseconds since the second that the command's clock shows, as far as 24 bits go; 0 when that clock is another
 * (--at). */
static uint32_t micros_since(int64_t now)
{
	struct timespec t;
	int64_t n;

	clock_gettime(CLOCK_REALTIME, &t);
	n = t.tv_sec - now;
	if (n < 0 || n > 60)
		return 0;
	n = n * 1000000 + t.tv_nsec / 1000;
	return n < 0xffffff ? (uint32_t)n : 0xffffff;
}

/* Random, but for its beginning: names of entries end with it, and ties within a second go to the name, so the later of
 * two commands has the later one. */
int state_new_op(struct state *st, struct err *e)
{
	uint32_t since = micros_since(st->env.now);
	unsigned char r[16];

	if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r))
		return err_sys(e, "random numbers");
	r[0] = (unsigned char)(since >> 16);
	r[1] = (unsigned char)(since >> 8 & 0xff);
	r[2] = (unsigned char)(since & 0xff);
	for (size_t i = 0; i < sizeof(r); i++)
		snprintf(st->op_id + 2 * i, 3, "%02x", r[i]);
	return 0;
}

static int open_all(struct state *st, const char *dir, struct err *e)
{
	bool lock = (st->flags & STATE_WRITE) && !(st->flags & STATE_DRY_RUN);

	if (store_open(st->arena, dir, &st->store, e))
		return -1;
	st->dir = store_workdir(st->store) ? store_workdir(st->store) : store_git_dir(st->store);
	st->private_dir = fs_join(st->arena, store_git_dir(st->store), "lamassu");
	/* the first tells early that this is no repository of ours */
	if (lock && (load_policy(st, e) || state_take_lock(st, e)))
		return -1;
	if (load_tips(st, e))
		return -1;
	if (!(st->flags & STATE_WRITE))
		return 0;
	if (check_writable(st, e) ||
	    state_find_operator(st->arena, st->env.actor, store_key, st->store, &st->operator_, e))
		return -1;
	return state_new_op(st, e);
}

int state_open(struct arena *a, const char *dir, unsigned flags, const struct state_env *env, struct state **ret,
	       struct err *e)
{
	struct state *st = arena_alloc(a, 1, sizeof(*st));

	*st = (struct state){ .arena = a, .lasting = a, .flags = flags, .env = *env, .lock_fd = -1 };
	if (open_all(st, dir, e)) {
		state_close(st);
		return -1;
	}
	*ret = st;
	return 0;
}

void state_clear(struct state *st)
{
	arena_free(st->overlay);
	st->overlay = NULL;
	st->changes = NULL;
	st->entries = NULL;
	st->nchanges = st->nentries = 0;
}

void state_close(struct state *st)
{
	if (!st)
		return;
	state_clear(st);
	if (st->index)
		index_close(st->index);
	gitindex_close(st->seen);
	store_close(st->store);
	if (st->lock_fd >= 0)
		repo_unlock(st->lock_fd);
}

int state_pause(struct state *st, struct err *e)
{
	int fd = st->lock_fd;

	st->lock_fd = -1;
	return fd >= 0 && repo_unlock(fd) ? err_sys(e, "lock") : 0;
}

int state_resume(struct state *st, bool *ret_moved, struct err *e)
{
	struct tip policy = st->policy, ledger = st->ledger;

	gitindex_close(st->seen);
	st->seen = NULL;
	st->seen_tried = false;
	if ((!(st->flags & STATE_DRY_RUN) && state_take_lock(st, e)) || load_tips(st, e) || check_writable(st, e))
		return -1;
	*ret_moved = !oid_equal(&policy.commit, &st->policy.commit) || !oid_equal(&ledger.commit, &st->ledger.commit);
	return 0;
}

bool state_git_flag(const struct state *st, const char *key)
{
	const char *v = store_config(st->store, key);

	return v && (strcasecmp(v, "true") == 0 || strcasecmp(v, "yes") == 0 || strcasecmp(v, "on") == 0 ||
		     strcmp(v, "1") == 0);
}

const struct config *state_config(const struct state *st)
{
	return &st->config;
}

const char *state_dir(const struct state *st)
{
	return st->dir;
}

const char *state_private(const struct state *st)
{
	return st->private_dir;
}
