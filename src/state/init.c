/* Making a repository: an empty folder, or one that git manages already. Everything that can be refused is refused
 * before the first byte is written; the first commit of both histories is made at the end, so an interrupted init is
 * simply repeated. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/text.h"
#include "state/internal.h"
#include "state/tree.h"

#define HEADS "refs/heads/"

struct init {
	struct arena *arena;
	char *dir;
	const struct state_init_opts *opts;
	const struct state_env *env;
	int (*fill)(void *arg, struct state *, struct err *);
	void *arg;
};

static const char *user_key(void *arg, const char *key)
{
	return store_user_config(arg, key);
}

static const char *repo_key(void *arg, const char *key)
{
	return store_config(arg, key);
}

static const char *actor_of(const struct init *in)
{
	return in->env->actor && *in->env->actor ? in->env->actor : in->opts->operator_;
}

static bool is_git(struct arena *a, const char *dir)
{
	return fs_exists(fs_join(a, dir, ".git")) || (fs_exists(fs_join(a, dir, "HEAD")) &&
						      fs_is_dir(fs_join(a, dir, "objects")));
}

/* A folder of its own: not inside another repository, and with nothing in it that might be in the way. */
static int check_folder(struct init *in, struct err *e)
{
	struct strv names = { 0 };
	char *above, *at = arena_strdup(in->arena, in->dir), *slash;

	if (is_git(in->arena, in->dir))
		return 0;
	while (!fs_is_dir(at)) {
		slash = strrchr(at, '/');
		if (slash)
			slash[slash == at] = '\0';
		else
			at = arena_strdup(in->arena, ".");
	}
	above = store_above(in->arena, at);
	if (above)
		return err_set(e, ERR_CONFLICT, "%s is inside the repository %s: a PKI has a repository of its own",
			       in->dir, above);
	if (fs_is_dir(in->dir) && fs_list(in->arena, in->dir, SIZE_MAX, &names, e))
		return -1;
	if (names.n)
		return err_set(e, ERR_CONFLICT, "%s is neither empty nor managed by git: it has %s", in->dir,
			       names.v[0]);
	return 0;
}

/* --- the branches --- */

static int check_policy(struct state *st, struct err *e)
{
	const char *busy = store_busy(st->store);
	struct tree_entry t;
	bool found;
	char *head;

	if (busy)
		return err_set(e, ERR_CONFLICT, "a %s is in progress: finish or abort it first", busy);
	if (store_head(st->store, st->arena, &head, e))
		return -1;
	if (!head || strlen(head) >= sizeof(st->policy.ref))
		return err_set(e, ERR_CONFLICT, "HEAD is detached: git switch to the branch that is to hold policy");
	memcpy(st->policy.ref, head, strlen(head) + 1);
	if (state_tip(st, &st->policy, e))
		return -1;
	if (!st->policy.exists)
		return 0;
	if (tree_find(st->store, &st->policy.tree, config_type.path, &found, &t, e))
		return -1;
	return found ? err_set(e, ERR_EXISTS, "%s is a lamassu repository already", st->dir) : 0;
}

static int check_ledger(struct state *st, const char *name, struct err *e)
{
	char *remote;

	if (!id_valid(name))
		return err_set(e, ERR_USAGE, "--ledger-branch: \"%s\" is not a plain branch name", name);
	memcpy(st->ledger.ref, HEADS, sizeof(HEADS));
	memcpy(st->ledger.ref + strlen(HEADS), name, strlen(name) + 1); /* at most 64 bytes */
	if (state_tip(st, &st->ledger, e) || store_remote_branch(st->store, st->arena, name, &remote, e))
		return -1;
	if (st->ledger.exists || remote)
		return err_set(e, ERR_CONFLICT, "branch %s exists and is not a ledger of lamassu: choose another with "
			       "--ledger-branch NAME", remote ? remote : name);
	return 0;
}

/* --- the first files --- */

/* Adds the lines that a file of git's needs and does not have. */
static int add_lines(struct state *st, const char *path, const char *const *lines, struct err *e)
{
	SCOPED_BUF out = buf_init(FS_LIMIT_DOC);
	struct bytes old = { 0 };
	struct err why = { 0 };

	if (state_read(st, path, &old, &why) && why.code != ERR_NOT_FOUND)
		return err_set(e, why.code, "%s", why.msg);
	buf_put(&out, old.p, old.n);
	if (old.n && old.p[old.n - 1] != '\n')
		buf_putc(&out, '\n');
	for (; *lines; lines++) {
		char *whole = arena_printf(st->arena, "\n%s\n", *lines);
		char *had = arena_printf(st->arena, "\n%s\n", buf_str(&out));

		if (!strstr(had, whole))
			buf_printf(&out, "%s\n", *lines);
	}
	return state_write(st, path, buf_bytes(&out), e);
}

static int put_config(struct state *st, const struct init *in, struct err *e)
{
	struct config c;

	rec_default(st->arena, &config_type, &c);
	c.format = REPO_FORMAT;
	c.name = arena_strdup(st->arena, in->opts->name);
	c.policy_branch = st->policy.ref + strlen(HEADS);
	c.ledger_branch = st->ledger.ref + strlen(HEADS);
	st->config = c;
	return state_put(st, &config_type, NULL, &c, e);
}

static int put_files(struct state *st, const struct init *in, struct err *e)
{
	static const char *const attributes[] = { "* -text", NULL }, *const ignore[] = { "certs/", "*.key", "*.p12",
			NULL };
	char *format = arena_printf(st->arena, "%d\n", REPO_FORMAT);

	if (add_lines(st, ".gitattributes", attributes, e) || add_lines(st, ".gitignore", ignore, e) ||
	    put_config(st, in, e) || state_overlay_entry(st, "format", bytes_of(format), e))
		return -1;
	return in->fill ? in->fill(in->arg, st, e) : 0;
}

/* --- git's settings of this repository --- */

static int put_settings(struct state *st, const struct init *in, struct err *e)
{
	/* git's automatic housekeeping would repack a busy ledger at the worst moment; `repo gc` does it. */
	static const char *const settings[][2] = { { "gc.auto", "0" }, { "gc.autopacklimit", "0" },
			{ "maintenance.auto", "false" } };

	for (size_t i = 0; i < COUNT(settings); i++)
		if (store_config_set(st->store, settings[i][0], settings[i][1], e))
			return -1;
	if (in->opts->operator_)
		return store_config_set(st->store, "lamassu.operator", in->opts->operator_, e);
	return 0;
}

static int run(struct state *st, const struct init *in, struct err *e)
{
	if (store_open(st->arena, in->dir, &st->store, e))
		return -1;
	st->dir = store_workdir(st->store) ? store_workdir(st->store) : store_git_dir(st->store);
	st->private_dir = fs_join(st->arena, store_git_dir(st->store), "lamassu");
	/* What a killed init had published already is finished first: the checks see a repository then. */
	if (fs_is_dir(st->private_dir) && state_take_lock(st, e))
		return -1;
	if (check_policy(st, e) || check_ledger(st, in->opts->ledger_branch ? in->opts->ledger_branch : "ledger", e) ||
	    state_find_operator(st->arena, actor_of(in), repo_key, st->store, &st->operator_, e) ||
	    put_settings(st, in, e) || (st->lock_fd < 0 && state_take_lock(st, e)) || state_new_op(st, e) ||
	    store_set_push(st->store, st->private_dir, st->ledger.ref + strlen(HEADS), e) || put_files(st, in, e))
		return -1;
	return state_commit(st, in->opts->name ? arena_printf(st->arena, "repo: init %s", in->opts->name)
					       : "repo: init", e);
}

int state_init(struct arena *a, const char *dir, const struct state_init_opts *opts, const struct state_env *env,
	       int (*fill)(void *arg, struct state *, struct err *), void *arg, struct err *e)
{
	struct init in = { a, arena_strdup(a, dir), opts, env, fill, arg };
	struct state *st = arena_alloc(a, 1, sizeof(*st));
	char *operator_;
	int r;

	*st = (struct state){ .arena = a, .lasting = a, .flags = STATE_WRITE, .env = *env, .lock_fd = -1 };
	if (check_folder(&in, e))
		return -1;
	if (!is_git(a, dir) && (state_find_operator(a, actor_of(&in), user_key, a, &operator_, e) ||
				fs_mkdirs(dir, 0777, e) || store_make(dir, e)))
		return -1;
	r = run(st, &in, e);
	state_close(st);
	return r;
}
