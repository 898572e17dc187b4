/* Verbs that every record type has, written once. Guarantees: what is stored was validated, and an editor session that
 * fails validation changes nothing. */
#include "cmd/generic.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "cmd/refs.h"
#include "state/state.h"

const struct operand generic_id_operand[] = { PARAM(generic_ref, id, "id", "The record's id."), { 0 } };
const struct operand generic_set_operands[] = {
	PARAM(generic_set, id, "id", "The record's id."),
	PARAMS(generic_set, assignments, "path=value", "A field and its new value; an empty value removes the field."),
	{ 0 }
};

int generic_list(struct ctx *ctx, void *args, const struct schema *type, struct err *e)
{
	size_t n;
	void *recs = state_all(ctx->state, type, &n, e);
	char *next;

	(void)args;
	if (!recs || query_run(ctx->arena, cli_query(ctx), type, recs, &n, ctx->now, &next, e) != 0)
		return -1;
	return out_list(ctx, type, recs, n, next, e);
}

int generic_show(struct ctx *ctx, const char *id, const struct schema *type, struct err *e)
{
	void *rec = arena_alloc(ctx->arena, 1, type->size);

	return state_get(ctx->state, type, id, rec, e) != 0 ? -1 : out_record(ctx, type, rec, e);
}

int generic_changes(struct ctx *ctx, const struct strv *assignments, struct rec_change **ret, struct err *e)
{
	struct rec_change *v = arena_new_array(ctx->arena, assignments->n + 1, struct rec_change);

	for (size_t i = 0; i < assignments->n; i++) {
		const char *text = assignments->v[i], *eq = strchr(text, '=');

		if (eq == NULL || eq == text)
			return err_set(e, ERR_USAGE, "\"%s\" is not of the form path=value",
				       text_escape(ctx->arena, bytes_of(text)));
		v[i] = (struct rec_change){ arena_strndup(ctx->arena, text, (size_t)(eq - text)),
					    eq[1] ? eq + 1 : NULL };
	}
	*ret = v;
	return 0;
}

int generic_set(struct ctx *ctx, const struct generic_set *a, const struct schema *type, struct err *e)
{
	struct rec_change *v;

	if (generic_changes(ctx, &a->assignments, &v, e) != 0 ||
	    state_set_all(ctx->state, type, a->id, v, a->assignments.n, e) != 0 ||
	    refs_check_stored(ctx, type, a->id, e) != 0 ||
	    state_commit(ctx->state, arena_printf(ctx->arena, "%s: set %s", type->name, a->id), e) != 0)
		return -1;
	return generic_show(ctx, a->id, type, e);
}

int generic_load(struct ctx *ctx, const char *file, const struct schema *type, void *rec, struct err *e)
{
	const char *name = strcmp(file, "-") == 0 ? "standard input" : file;
	struct bytes text;

	if (fs_read_input(ctx->arena, file, REC_MAX_BYTES, &text, e) != 0 ||
	    rec_load(ctx->arena, type, name, text, rec, e) != 0)
		return -1;
	if (ctx->state == NULL || refs_check(ctx, type, rec, e) == 0)
		return 0;
	rec_place(ctx->arena, type, name, text, arena_strdup(ctx->arena, e->msg), e);
	return -1;
}

int generic_schema(struct ctx *ctx, const struct schema *type, struct err *e)
{
	SCOPED_BUF b = buf_init(BUF_TEXT);

	schema_json(type, &b);
	return out_bytes(ctx, NULL, buf_bytes(&b), false, false, e);
}

/* --- edit --- */

/* The editor is the user's own shell text (as in git), run by sh with the file as its argument. */
static int run_editor(const char *editor, const char *file, struct err *e)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return err_sys(e, "fork");
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", "eval \"$0\" '\"$1\"'", editor, file, (char *)NULL);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "waitpid");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(e, ERR_CANCELLED, "the editor \"%s\" ended with an error; nothing changed", editor);
	return 0;
}

static int edit_once(struct ctx *ctx, const char *editor, const char *file, const char *path, const char *id,
		     const struct schema *type, struct bytes before, bool *ret_changed, struct err *e)
{
	void *rec = arena_alloc(ctx->arena, 1, type->size);
	struct bytes after;

	if (run_editor(editor, file, e) != 0 || fs_read(ctx->arena, file, REC_MAX_BYTES, &after, e) != 0)
		return -1;
	*ret_changed = !bytes_equal(before, after);
	if (!*ret_changed)
		return 0;
	if (rec_load(ctx->arena, type, path, after, rec, e) != 0 || refs_check(ctx, type, rec, e) != 0 ||
	    state_write(ctx->state, path, after, e) != 0)
		return -1;
	return state_get(ctx->state, type, id, rec, e);
}

static int edit_file(struct ctx *ctx, const char *file, const char *path, const char *id, const struct schema *type,
		     struct bytes before, struct err *e)
{
	const char *editor = getenv("VISUAL") && *getenv("VISUAL") ? getenv("VISUAL") : getenv("EDITOR");
	bool changed;

	if (editor == NULL || *editor == '\0')
		return err_set(e, ERR_USAGE, "no editor: set EDITOR or VISUAL");
	for (;;) {
		struct err bad = { 0 }, no = { 0 };

		if (edit_once(ctx, editor, file, path, id, type, before, &changed, &bad) == 0)
			break;
		ctx_warn(ctx, "%s", bad.msg);
		if (bad.code != ERR_INVALID || ctx->yes || cli_confirm(ctx, &no, "go back to the editor?") != 0) {
			*e = bad;
			return -1;
		}
	}
	if (!changed)
		return out_done(ctx, e, "%s %s unchanged", type->name, id);
	if (state_commit(ctx->state, arena_printf(ctx->arena, "%s: edit %s", type->name, id), e) != 0)
		return -1;
	return generic_show(ctx, id, type, e);
}

int generic_edit(struct ctx *ctx, const char *id, const struct schema *type, struct err *e)
{
	char *path = schema_path(ctx->arena, type, id);
	char *file = arena_printf(ctx->arena, "%s/edit.%d.yaml", state_private(ctx->state), (int)getpid());
	struct bytes before;
	int rc;

	if (!id_valid(id))
		return err_set(e, ERR_USAGE, "\"%s\" is not an id", text_escape(ctx->arena, bytes_of(id)));
	if (state_read(ctx->state, path, &before, e) != 0 || fs_write(file, before, 0600, true, e) != 0)
		return -1;
	rc = edit_file(ctx, file, path, id, type, before, e);
	unlink(file);
	return rc;
}
