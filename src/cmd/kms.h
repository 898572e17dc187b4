#pragma once
#include "cli/cli.h"

extern const struct cmd kms_cmd; /* the noun `kms` */
/* Verbs, by file. */
extern const struct cmd engine_list_cmd, engine_show_cmd, engine_test_cmd; /* kms_engine.c */
extern const struct cmd engine_add_cmd, engine_set_cmd, engine_default_cmd, engine_remove_cmd; /* kms_engine_edit.c */
extern const struct cmd engine_passphrase_cmd, engine_unlock_cmd, engine_lock_cmd; /* kms_unlock.c */
extern const struct cmd key_create_cmd, key_import_cmd, key_move_cmd; /* kms_key_new.c */
extern const struct cmd key_list_cmd, key_show_cmd, key_alias_cmd, key_tag_cmd, key_export_public_cmd,
	key_delete_cmd; /* kms_key.c */
extern const struct cmd key_sign_cmd, key_verify_cmd; /* kms_sign.c */

struct engine_ref { /* args of verbs that take only an engine */
	const char *engine;
};
extern const struct operand engine_operand[];
/* As `kms engine show` does, but the engine is not opened: what was committed must not be done again by lamassu-net. */
int engine_print(struct ctx *, const char *id, struct err *) NODISCARD;

struct key;
int key_print(struct ctx *, const struct key *, struct err *) NODISCARD; /* as `kms key show` does */
/* Commits a change of a key's names ("key: VERB NAME") and shows them in its engine. */
int key_commit_names(struct ctx *, const char *verb, const struct key *, struct err *) NODISCARD;
