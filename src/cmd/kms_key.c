/* `kms key list`, `show`, `alias`, `tag`, `export-public`, `delete`: records of keys. An engine that is out of reach
 * hinders none of them but the deletion of its keys. */
#include <string.h>

#include "base/text.h"
#include "cmd/kms.h"
#include "crypto/key.h"
#include "engine/engine.h"
#include "pki/keys.h"
#include "state/state.h"

struct key_args {
	const char *key;
};
static const struct operand key_operand[] = {
	PARAM(key_args, key, "key", "The key: id, alias, name or URI."), OEND
};

static const char *shown(const struct key *k)
{
	return k->name && k->name[0] ? k->name : k->id;
}

int key_print(struct ctx *ctx, const struct key *k, struct err *e)
{
	struct key view = *k;

	keys_compute(ctx, &view);
	return out_record(ctx, &key_type, &view, e);
}

/* Names are shown in the engine too, where it can: opened before the commit, told after it. */
int key_commit_names(struct ctx *ctx, const char *verb, const struct key *k, struct err *e)
{
	bool tell = !ctx->dry_run && engine_annotates(ctx, k);
	struct err why = { 0 };

	if (state_commit(ctx->state, arena_printf(ctx->arena, "key: %s %s", verb, shown(k)), e) != 0)
		return -1;
	if (tell && engine_annotate(ctx, k, &why) != 0)
		ctx_warn(ctx, "key %s: its names are not shown there: %s", shown(k), why.msg);
	return 0;
}

static int commit(struct ctx *ctx, const char *verb, const struct key *k, struct err *e)
{
	return state_commit(ctx->state, arena_printf(ctx->arena, "key: %s %s", verb, shown(k)), e);
}

/* --- list --- */

struct listing {
	struct arena *arena;
	struct key *v;
	size_t n;
};

static void add(struct listing *l, const struct key *k)
{
	l->v = arena_grow(l->arena, l->v, l->n, sizeof(*l->v));
	l->v[l->n++] = *k;
}

static int add_stranger(void *arg, const struct key *k, struct err *e)
{
	struct key view = *k;

	(void)e;
	view.created_at = 0; /* nobody here knows */
	add(arg, &view);
	return 0;
}

/* The same type with one more column, which would say nothing in a list of records alone. */
static const struct schema *with_recorded(struct arena *a)
{
	struct schema *s = arena_memdup(a, &key_type, sizeof(*s));
	size_t n = 0;

	while (s->fields[n].name)
		n++;
	struct field *f = arena_memdup(a, s->fields, (n + 1) * sizeof(*f));
	for (size_t i = 0; i < n; i++)
		if (strcmp(f[i].name, "recorded") == 0)
			f[i].flags |= F_COL;
	s->fields = f;
	return s;
}

static int run_list(struct ctx *ctx, void *args, struct err *e)
{
	bool all = cli_query(ctx)->page_size == 0;
	const struct schema *type = all ? with_recorded(ctx->arena) : &key_type;
	struct listing l = { .arena = ctx->arena };
	struct key *v;
	char *next;
	size_t n;

	(void)args;
	if (keys_all(ctx, &v, &n, e) != 0)
		return -1;
	l.v = arena_new_array(ctx->arena, 1, struct key);
	for (size_t i = 0; i < n; i++)
		add(&l, &v[i]);
	if (all && keys_strangers(ctx, add_stranger, &l, e) != 0)
		return -1;
	for (size_t i = 0; i < l.n; i++)
		keys_compute(ctx, &l.v[i]);
	if (query_run(ctx->arena, cli_query(ctx), type, l.v, &l.n, ctx->now, &next, e) != 0)
		return -1;
	return out_list(ctx, type, l.v, l.n, next, e);
}

const struct cmd key_list_cmd = {
	.name = "list", .brief = "List keys", .needs = NEED_STATE | NEED_LIST, .run = run_list, .type = &key_type,
	.doc = "With --all the engines are asked too: keys that are there without a record here are shown with "
	       "\"recorded\" false; `kms key import` of their URI makes a record.",
	.example = "lamassu kms key list --filter engine_id=software --filter strength[in]=LOW,MEDIUM\n"
		   "lamassu kms key list --all --filter recorded=false"
};

/* --- show --- */

/* What the engine says now; an engine that is out of reach does not hide the record. */
static void ask_state(struct ctx *ctx, struct key *view)
{
	static const char *const words[] = { [KEY_USABLE] = "usable", [KEY_DISABLED] = "disabled",
					     [KEY_DELETING] = "deleting", [KEY_GONE] = "gone" };
	const struct engine_ops *ops = view->has_private_key ? engine_ops_of(ctx, view->engine_id) : NULL;
	struct key_state state;
	struct err why = { 0 };

	if (!ops || !ops->state)
		return;
	if (engine_key_state(ctx, view, &state, &why) != 0) {
		if (why.code == ERR_NOT_FOUND)
			view->state = arena_strdup(ctx->arena, words[KEY_GONE]);
		else
			ctx_warn(ctx, "the state of the key is not known: %s", why.msg);
		return;
	}
	view->state = arena_strdup(ctx->arena, words[state.standing]);
	view->gone_at = state.standing == KEY_DELETING ? state.gone_at : 0;
}

static int run_show(struct ctx *ctx, void *args, struct err *e)
{
	const struct key_args *a = args;
	struct key k;

	if (keys_resolve(ctx, a->key, &k, e) != 0)
		return -1;
	ask_state(ctx, &k);
	return key_print(ctx, &k, e);
}

const struct cmd key_show_cmd = {
	.name = "show", .brief = "Show one key", .operands = key_operand, .argsize = sizeof(struct key_args),
	.needs = NEED_STATE, .run = run_show, .type = &key_type,
	.doc = "Where the engine knows states of keys it is asked for this one's; what it cannot say is a warning."
};

/* --- alias, tag --- */

struct alias_args {
	const char *key;
	struct strv names;
	bool move, remove;
};

/* The keys that lose an alias to k, as far as their engines show names; opened here, before the commit. */
static int losers(struct ctx *ctx, const struct alias_args *a, const struct key *k, struct strv *ret, struct err *e)
{
	struct key other;
	bool found;

	*ret = (struct strv){ .v = arena_new_array(ctx->arena, a->names.n + 1, char *) };
	for (size_t i = 0; a->move && i < a->names.n; i++) {
		if (keys_find(ctx, a->names.v[i], &found, &other, e) != 0)
			return -1;
		if (found && strcmp(other.id, k->id) != 0 && !ctx->dry_run && engine_annotates(ctx, &other))
			ret->v[ret->n++] = other.id;
	}
	return 0;
}

static void tell_losers(struct ctx *ctx, const struct strv *ids)
{
	for (size_t i = 0; i < ids->n; i++) {
		struct err why = { 0 };
		struct key k;

		if (state_get(ctx->state, &key_type, ids->v[i], &k, &why) != 0 || engine_annotate(ctx, &k, &why) != 0)
			ctx_warn(ctx, "its alias is still shown there: %s", why.msg);
	}
}

static int run_alias(struct ctx *ctx, void *args, struct err *e)
{
	const struct alias_args *a = args;
	struct strv lost;
	struct key k;

	if (a->move && a->remove)
		return err_set(e, ERR_USAGE, "--move and --remove exclude each other");
	if (keys_take(ctx, a->key, NULL, &k, e) != 0 || losers(ctx, a, &k, &lost, e) != 0)
		return -1;
	for (size_t i = 0; i < a->names.n; i++)
		if (a->remove ? keys_alias_remove(ctx, &k, a->names.v[i], e) != 0
			      : keys_alias_add(ctx, &k, a->names.v[i], a->move, e) != 0)
			return -1;
	if (key_commit_names(ctx, "alias", &k, e) != 0)
		return -1;
	tell_losers(ctx, &lost);
	return key_print(ctx, &k, e);
}

static const struct opt alias_opts[] = {
	OFLAG(alias_args, move, 0, "Take the alias from the key that has it."),
	OFLAG(alias_args, remove, 0, "Remove the alias."),
	OEND
};
static const struct operand alias_operands[] = {
	PARAM(alias_args, key, "key", "The key: id, alias, name or URI."),
	PARAMS(alias_args, names, "alias", "The alias."), OEND
};

const struct cmd key_alias_cmd = {
	.name = "alias", .brief = "Give a key another name, or move one", .opts = alias_opts,
	.operands = alias_operands,
	.argsize = sizeof(struct alias_args), .needs = NEED_STATE | NEED_WRITE, .run = run_alias, .type = &key_type,
	.example = "lamassu kms key alias new-root root --move"
};

struct tag_args {
	const char *key;
	struct strv tags;
	bool remove;
};

static int run_tag(struct ctx *ctx, void *args, struct err *e)
{
	const struct tag_args *a = args;
	struct key k;

	if (keys_take(ctx, a->key, NULL, &k, e) != 0)
		return -1;
	for (size_t i = 0; i < a->tags.n; i++)
		if (keys_tag(ctx, &k, a->tags.v[i], a->remove, e) != 0)
			return -1;
	return key_commit_names(ctx, "tag", &k, e) != 0 ? -1 : key_print(ctx, &k, e);
}

static const struct opt tag_opts[] = { OFLAG(tag_args, remove, 0, "Remove the tags."), OEND };
static const struct operand tag_operands[] = {
	PARAM(tag_args, key, "key", "The key: id, alias, name or URI."), PARAMS(tag_args, tags, "tag", "A tag."), OEND
};

const struct cmd key_tag_cmd = {
	.name = "tag", .brief = "Add or remove tags of a key", .opts = tag_opts, .operands = tag_operands,
	.argsize = sizeof(struct tag_args), .needs = NEED_STATE | NEED_WRITE, .run = run_tag, .type = &key_type
};

/* --- export-public --- */

struct export_args {
	const char *key, *out;
	int format;
};
enum { FORMAT_PEM, FORMAT_DER };
static const char *const formats[] = { "pem", "der", NULL };

static int run_export(struct ctx *ctx, void *args, struct err *e)
{
	const struct export_args *a = args;
	AUTO(EVP_PKEY) *pub = NULL;
	struct bytes der;
	struct key k;

	if (keys_resolve(ctx, a->key, &k, e) != 0)
		return -1;
	if (a->format != FORMAT_DER)
		return out_bytes(ctx, a->out, bytes_of(k.public_key), false, false, e);
	if (key_from_public_pem(bytes_of(k.public_key), &pub, e) != 0 || key_spki(ctx->arena, pub, &der, e) != 0)
		return -1;
	return out_bytes(ctx, a->out, der, false, false, e);
}

static const struct opt export_opts[] = {
	OSTR(export_args, out, 0, "file", "Where it goes. Default: standard output."),
	OENUM(export_args, format, 0, formats, "pem or der."),
	OEND
};
static const struct operand export_operands[] = { PARAM(export_args, key, "key", "The key: id, alias, name or URI."),
						 OEND };

const struct cmd key_export_public_cmd = {
	.name = "export-public", .brief = "Print the public key", .opts = export_opts, .operands = export_operands,
	.argsize = sizeof(struct export_args), .needs = NEED_STATE, .run = run_export
};

/* --- delete --- */

struct delete_args {
	const char *key, *reason;
	bool cancel, keep;
};

static int cancel(struct ctx *ctx, struct key *k, struct err *e)
{
	if (!k->delete_after)
		return err_set(e, ERR_CONFLICT, "key %s does not wait for its deletion", shown(k));
	k->delete_after = 0;
	k->delete_reason = NULL;
	return keys_put(ctx, k, e) != 0 || commit(ctx, "keep", k, e) != 0 ? -1 : key_print(ctx, k, e);
}

static int run_delete(struct ctx *ctx, void *args, struct err *e)
{
	const struct delete_args *a = args;
	int64_t gone_at;
	struct key k;
	bool gone;

	if (keys_resolve(ctx, a->key, &k, e) != 0)
		return -1;
	if (a->cancel)
		return cancel(ctx, &k, e);
	if (keys_delete(ctx, &k, a->reason, &gone, e) != 0 || (!a->keep && keys_may_destroy(ctx, &k, e) != 0) ||
	    cli_confirm(ctx, e, "delete key %s (%.16s)%s", shown(&k), k.id,
			k.has_private_key && !a->keep ? " for ever" : "") != 0 ||
	    commit(ctx, "delete", &k, e) != 0)
		return -1;
	if (!gone)
		return out_done(ctx, e, "key %s can be deleted from %s on", shown(&k),
				tm_format(ctx->arena, k.delete_after));
	gone_at = a->keep || ctx->dry_run ? 0 : keys_destroy(ctx, &k);
	if (gone_at)
		return out_done(ctx, e, "deleted key %s; engine %s keeps its private part, unusable, until %s",
				shown(&k), k.engine_id, tm_format(ctx->arena, gone_at));
	return out_done(ctx, e, "deleted key %s", shown(&k));
}

static const struct opt delete_opts[] = {
	OSTR(delete_args, reason, 0, "text", "Why; the ledger keeps it."),
	OFLAG(delete_args, cancel, 0, "Keep a key that waits for its deletion."),
	OFLAG(delete_args, keep, 0, "Only the record goes; the private key stays in its engine."),
	OEND
};
static const struct operand delete_operands[] = { PARAM(delete_args, key, "key", "The key: id, alias, name or URI."),
						 OEND };

const struct cmd key_delete_cmd = {
	.name = "delete", .brief = "Delete a key that nothing uses", .opts = delete_opts, .operands = delete_operands,
	.argsize = sizeof(struct delete_args), .needs = NEED_STATE | NEED_WRITE | NEED_CONFIRM, .run = run_delete,
	.doc = "Refused while an authority or a certificate is bound to the key. Where the engine has a retention, the "
	       "first call notes the wish, the key stops signing, and a call after that time deletes it. Some "
	       "services keep a deleted key for a while: until when is said, and it can be restored there."
};
