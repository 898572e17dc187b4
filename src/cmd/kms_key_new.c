/* `kms key create`, `import`: keys come into an engine. Guarantees: when the record could not be committed, the private
 * half is taken out of the engine again. */
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "cmd/kms.h"
#include "crypto/key.h"
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

static int finish(struct ctx *ctx, const char *verb, struct key *k, const struct labels *l, struct err *e)
{
	if (label(ctx, k, l, e) != 0 ||
	    state_commit(ctx->state,
			 arena_printf(ctx->arena, "key: %s %s", verb, k->name &&
				      k->name[0] ? k->name : k->id), e) != 0) {
		keys_abandon(ctx, k);
		return -1;
	}
	return key_print(ctx, k, e);
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
	return finish(ctx, "create", &k, &a->labels, e);
}

#define LABEL(st, m, a, d) { .name = #m, .kind = O_LIST, .arg = a, .off = offsetof(struct st, labels.m), .doc = d }
#define LABEL_OPTS(st)                                                      \
	LABEL(st, alias, "name", "Another name, which no other key has."), \
	LABEL(st, tag, "tag", "A label to filter by."),                    \
	LABEL(st, metadata, "key=value", "Free data.")

static const struct opt create_opts[] = {
	OSTR(create_args, key_type, 0, "keytype",
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
};

/* "keys/web.pem" -> "web" */
static char *base_name(struct arena *a, const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');

	if (strcmp(path, "-") == 0)
		return arena_strdup(a, "imported");
	return arena_strndup(a, base, dot && dot != base ? (size_t)(dot - base) : strlen(base));
}

static int run_import(struct ctx *ctx, void *args, struct err *e)
{
	const struct import_args *a = args;
	const char *name = a->name ? a->name : base_name(ctx->arena, a->file);
	AUTO(EVP_PKEY) *key = NULL;
	struct err not_public = { 0 };
	struct bytes text;
	struct key k;

	if (fs_read_input(ctx->arena, a->file, FS_LIMIT_CERT, &text, e) != 0)
		return -1;
	if (key_from_public_pem(text, &key, &not_public) == 0) {
		if (a->engine)
			return err_set(e, ERR_USAGE, "%s holds a public key only, which no engine keeps", a->file);
		if (keys_import_public(ctx, key, name, &k, e) != 0)
			return -1;
	} else if (keys_read(ctx, a->file, text, &key, e) != 0 || keys_import(ctx, a->engine, key, name, &k, e) != 0) {
		return -1;
	}
	return finish(ctx, "import", &k, &a->labels, e);
}

static const struct opt import_opts[] = {
	OSTR(import_args, name, 0, "name", "Name of the key, for people. Default: that of the file."),
	OSTR(import_args, engine, 0, "engine", "Where it goes. Default: the default engine."),
	LABEL_OPTS(import_args),
	OEND
};
static const struct operand import_operands[] = { PARAM(import_args, file, "file",
							"The key: PEM or DER, or - for standard input."), OEND };

const struct cmd key_import_cmd = {
	.name = "import", .brief = "Bring a key into an engine", .opts = import_opts, .operands = import_operands,
	.argsize = sizeof(struct import_args), .needs = NEED_STATE | NEED_WRITE, .run = run_import, .type = &key_type,
	.doc = "Reads PKCS#1, PKCS#8 (encrypted too), SEC1 and PKCS#12. A public key is recorded to verify with. The "
	       "passphrase of the file comes from --passphrase-file, --passphrase-fd, LAMASSU_IMPORT_PASSPHRASE, "
	       "LAMASSU_PASSPHRASE or a prompt.",
	.example = "lamassu kms key import old-ca.p12 --name old-ca"
};
