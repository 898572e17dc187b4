/* `kms key create`, `import`, `move`: keys come into an engine. Guarantees: when the record could not be committed, a
 * private half that the command put into an engine is taken out again; one that was there before is not touched. */
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "cmd/kms.h"
#include "crypto/key.h"
#include "engine/engine.h"
#include "pki/keys.h"
#include "state/state.h"

/* What the two have in common. */
struct labels {
	struct strv alias, tag, metadata;
};

static int add_metadata(struct ctx *ctx, struct key *k, const char *text, struct err *e)
{
	const char *eq = strchr(text, '=');

	if (!eq || eq == text)
		return err_set(e, ERR_USAGE, "--metadata \"%s\" is not of the form key=value", text);
	return any_set(ctx->arena, k->metadata, arena_strndup(ctx->arena, text, (size_t)(eq - text)), eq + 1,
		       &k->metadata, e);
}

static int label(struct ctx *ctx, struct key *k, const struct labels *l, struct err *e)
{
	for (size_t i = 0; i < l->metadata.n; i++)
		if (add_metadata(ctx, k, l->metadata.v[i], e) != 0)
			return -1;
	for (size_t i = 0; i < l->alias.n; i++)
		if (keys_alias_add(ctx, k, l->alias.v[i], false, e) != 0)
			return -1;
	for (size_t i = 0; i < l->tag.n; i++)
		if (keys_tag(ctx, k, l->tag.v[i], false, e) != 0)
			return -1;
	return keys_put(ctx, k, e);
}

/* `made`: what the command put into an engine, and takes out again when it fails; NULL: nothing. */
static int finish(struct ctx *ctx, const char *verb, struct key *k, const struct labels *l, const struct key *made,
		  struct err *e)
{
	if (label(ctx, k, l, e) == 0 && key_commit_names(ctx, verb, k, e) == 0)
		return key_print(ctx, k, e);
	if (made)
		keys_abandon(ctx, made);
	return -1;
}

/* --- create --- */

struct create_args {
	const char *name, *key_type, *engine;
	struct labels labels;
};

static int run_create(struct ctx *ctx, void *args, struct err *e)
{
	const struct create_args *a = args;
	const struct keytype *type = keytype_parse(a->key_type, e);
	struct key k;

	if (!type || keys_create(ctx, a->engine, type, a->name, &k, e) != 0)
		return -1;
	return finish(ctx, "create", &k, &a->labels, &k, e);
}

#define LABEL(st, m, a, d) { .name = #m, .kind = O_LIST, .arg = a, .off = offsetof(struct st, labels.m), .doc = d }
#define LABEL_OPTS(st)                                                      \
	LABEL(st, alias, "name", "Another name, which no other key has."), \
	LABEL(st, tag, "tag", "A label to filter by."),                    \
	LABEL(st, metadata, "key=value", "Free data.")

static const struct opt create_opts[] = {
	OSTR(create_args, key_type, 0, "key-type",
	     "rsa:2048, rsa:3072, rsa:4096, ecdsa:224, ecdsa:256, ecdsa:384, ecdsa:521, ed25519.",
	     .flags = O_REQ),
	OSTR(create_args, engine, 0, "engine", "Where it is made. Default: the default engine."),
	LABEL_OPTS(create_args),
	OEND
};
static const struct operand create_operands[] = { PARAM(create_args, name, "name", "Name of the key, for people."),
						 OEND };

const struct cmd key_create_cmd = {
	.name = "create", .brief = "Make a key in an engine", .opts = create_opts, .operands = create_operands,
	.argsize = sizeof(struct create_args), .needs = NEED_STATE | NEED_WRITE, .run = run_create, .type = &key_type,
	.example = "lamassu kms key create code-signing --key-type ecdsa:384 --alias release"
};

/* --- import --- */

struct import_args {
	const char *file, *name, *engine;
	struct labels labels;
	bool replica, recover;
};

/* "keys/web.pem" -> "web" */
static char *base_name(struct arena *a, const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');

	if (strcmp(path, "-") == 0)
		return arena_strdup(a, "imported");
	return arena_strndup(a, base, dot && dot != base ? (size_t)(dot - base) : strlen(base));
}

/* A key out of a file: private, or public to verify with. */
static int import_file(struct ctx *ctx, const struct import_args *a, struct key *k, struct key *ret_made, struct err *e)
{
	const char *name = a->name ? a->name : base_name(ctx->arena, a->file);
	AUTO(EVP_PKEY) *key = NULL;
	struct err not_public = { 0 };
	struct bytes text;

	if (fs_read_input(ctx->arena, a->file, FS_LIMIT_CERT, &text, e) != 0)
		return -1;
	if (key_from_public_pem(text, &key, &not_public) == 0) {
		if (a->engine)
			return err_set(e, ERR_USAGE, "%s holds a public key only, which no engine keeps", a->file);
		return keys_import_public(ctx, key, name, k, e);
	}
	if (keys_read(ctx, a->file, text, &key, e) != 0)
		return -1;
	if (a->replica)
		return keys_replicate(ctx, a->engine, key, k, ret_made, e);
	if (keys_import(ctx, a->engine, key, name, k, e) != 0)
		return -1;
	*ret_made = *k;
	return 0;
}

/* A URI, or what is no file but may be a name in the engine that was given. */
static bool names_a_key(struct ctx *ctx, const struct import_args *a)
{
	const struct engine_ops *ops = a->engine ? engine_ops_of(ctx, a->engine) : NULL;
	const char *rest;

	return keys_scheme(a->file, &rest) || (ops && ops->find && strcmp(a->file, "-") != 0 && !fs_exists(a->file));
}

/* Outside of the transaction: a key that is taken back and not recorded then is where it was before it was deleted. */
static int recover(struct ctx *ctx, const struct import_args *a, struct err *e)
{
	const char *name = a->file;

	if (!a->engine)
		return err_set(e, ERR_USAGE, "--recover needs --engine");
	keys_scheme(a->file, &name);
	return engine_recover(ctx, a->engine, name, e);
}

static int run_import(struct ctx *ctx, void *args, struct err *e)
{
	const struct import_args *a = args;
	struct key k, made = { .id = NULL };

	if (a->replica && !a->engine)
		return err_set(e, ERR_USAGE, "--replica needs --engine");
	if (a->recover && recover(ctx, a, e) != 0)
		return -1;
	if (a->recover || names_a_key(ctx, a) ? keys_adopt(ctx, a->file, a->engine, a->name, &k, e) != 0
				: import_file(ctx, a, &k, &made, e) != 0)
		return -1;
	return finish(ctx, "import", &k, &a->labels, made.id ? &made : NULL, e);
}

static const struct opt import_opts[] = {
	OSTR(import_args, name, 0, "name", "Name of the key, for people. Default: that of the file."),
	OSTR(import_args, engine, 0, "engine",
	     "Where it goes, or where it is. Default: the default engine; of a URI, the one that has it."),
	OFLAG(import_args, replica, 0,
	      "The key is here already: a second engine gets it, to sign when the first one fails."),
	OFLAG(import_args, recover, 0,
	      "The engine has deleted the key and still keeps it: take it back first. Needs --engine."),
	LABEL_OPTS(import_args),
	OEND
};
static const struct operand import_operands[] = {
	PARAM(import_args, file, "file|uri",
	      "The key: PEM or DER, or - for standard input; or the URI of a key that is in an engine already, or with "
	      "--engine the name that it has there."), OEND
};

const struct cmd key_import_cmd = {
	.name = "import", .brief = "Bring a key into an engine", .opts = import_opts, .operands = import_operands,
	.argsize = sizeof(struct import_args), .needs = NEED_STATE | NEED_WRITE, .run = run_import, .type = &key_type,
	.doc = "Reads PKCS#1, PKCS#8 (encrypted too), SEC1 and PKCS#12. A public key is recorded to verify with. The "
	       "passphrase of the file comes from --passphrase-file, --passphrase-fd, LAMASSU_IMPORT_PASSPHRASE, "
	       "LAMASSU_PASSPHRASE or a prompt.\n\n"
	       "A key that is in an engine, made by any other program, gets a record here by its URI and stays "
	       "where it is: pkcs11:object=LABEL, awskms:ALIAS, azurekv:NAME, vault:NAME, or a plain name with "
	       "--engine. One that has a record already, in another engine, gets a replica.",
	.example = "lamassu kms key import old-ca.p12 --name old-ca\n"
		   "lamassu kms key import 'pkcs11:token=prod;object=issuing-ca' --name issuing"
};

/* --- move --- */

struct move_args {
	const char *key, *to;
	bool keep;
};

static int run_move(struct ctx *ctx, void *args, struct err *e)
{
	const struct move_args *a = args;
	struct key k, old, made;
	int64_t gone_at;

	if (keys_resolve(ctx, a->key, &k, e) != 0 || keys_move(ctx, &k, a->to, a->keep, &old, &made, e) != 0)
		return -1;
	if (key_commit_names(ctx, "move", &k, e) != 0) {
		if (made.id)
			keys_abandon(ctx, &made);
		return -1;
	}
	gone_at = a->keep || ctx->dry_run ? 0 : keys_destroy(ctx, &old);
	if (gone_at)
		ctx_warn(ctx, "key %s: engine %s keeps its private part until %s", a->key, old.engine_id,
			 tm_format(ctx->arena, gone_at));
	return key_print(ctx, &k, e);
}

static const struct opt move_opts[] = {
	OSTR(move_args, to, 0, "engine", "The engine that it goes to.", .flags = O_REQ),
	OFLAG(move_args, keep, 0, "Leave it in its old engine too, as a replica that signs when the new one fails."),
	OEND
};
static const struct operand move_operands[] = { PARAM(move_args, key, "key", "The key: id, alias, name or URI."),
						OEND };

const struct cmd key_move_cmd = {
	.name = "move", .brief = "Move a key to another engine", .opts = move_opts, .operands = move_operands,
	.argsize = sizeof(struct move_args), .needs = NEED_STATE | NEED_WRITE, .run = run_move, .type = &key_type,
	.doc = "The key is imported into the other engine, which proves it with a signature; then record and "
	       "authorities name that engine, in one commit, and the old one deletes it. Keys of hardware modules and "
	       "key services cannot leave them: that is refused before anything happens. A replica that is in the "
	       "other engine already takes the first place.",
	.example = "lamassu kms key move issuing-ca --to hsm"
};
