/* The noun `kms`: keys and the engines that hold them; and `kms stats`. */
#include "cmd/kms.h"

#include "pki/keys.h"

static int run_stats(struct ctx *ctx, void *args, struct err *e)
{
	struct key_stats s;

	(void)args;
	return keys_stats(ctx, &s, e) != 0 ? -1 : out_record(ctx, &key_stats_type, &s, e);
}

static const struct cmd stats_cmd = {
	.name = "stats", .brief = "Count keys by engine, algorithm and strength", .needs = NEED_STATE, .run = run_stats,
	.type = &key_stats_type, .example = "lamassu kms stats -o json"
};

static const struct cmd *const engine_verbs[] = {
	&engine_add_cmd, &engine_list_cmd, &engine_show_cmd, &engine_set_cmd, &engine_test_cmd, &engine_default_cmd,
	&engine_passphrase_cmd, &engine_unlock_cmd, &engine_lock_cmd, &engine_remove_cmd, NULL
};

static const struct cmd engine_cmd = {
	.name = "engine", .brief = "Places where private keys live", .sub = engine_verbs,
	.doc = "An engine holds private keys and signs with them. The software engine keeps encrypted files in the "
	       "clone, outside of the git history.",
};

static const struct cmd *const key_verbs[] = {
	&key_create_cmd, &key_import_cmd, &key_list_cmd, &key_show_cmd, &key_sign_cmd, &key_verify_cmd, &key_alias_cmd,
		&key_tag_cmd,
	&key_export_public_cmd, &key_move_cmd, &key_delete_cmd, NULL
};

static const struct cmd key_cmd = {
	.name = "key", .brief = "Keys", .sub = key_verbs,
	.doc = "A key is named by its id or the unique beginning of it (8 digits or more), by an alias, by its name, "
	       "or "
	       "by a URI: pkcs11:, awskms:, azurekv:, vault:, file:. Wherever an authority is made, a URI may name a "
	       "key that another program has made in an engine.",
};

static const struct cmd *const verbs[] = { &engine_cmd, &key_cmd, &stats_cmd, NULL };

const struct cmd kms_cmd = {
	.name = "kms", .brief = "Keys and the engines that hold them", .sub = verbs,
	.doc = "Private keys never enter the git history: the repository holds their public parts and where the "
	       "private "
	       "parts are."
};
