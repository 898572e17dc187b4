#pragma once
#include "cli/cli.h"
#include "pki/authority.h"

extern const struct cmd ca_cmd; /* the noun `ca` */
/* Verbs, by file. */
/* ca_new.c */
extern const struct cmd ca_create_cmd, ca_import_cmd, ca_request_cmd, ca_install_cmd, ca_reissue_cmd;
/* ca_show.c */
extern const struct cmd ca_list_cmd, ca_show_cmd, ca_tree_cmd, ca_lint_cmd, ca_certs_cmd, ca_stats_cmd, ca_export_cmd;
/* ca_life.c */
extern const struct cmd ca_revoke_cmd, ca_enable_cmd, ca_disable_cmd, ca_delete_cmd, ca_compromise_cmd, ca_set_cmd,
ca_metadata_cmd;
extern const struct cmd ca_sign_cmd; /* ca_sign.c */
extern const struct cmd ca_crl_cmd, ca_ocsp_cmd;  /* ca_crl.c */

struct ca_ref { /* args of verbs that take only an authority */
	const char *ca;
};
extern const struct operand ca_operand[];
/* Prints an authority as `ca show` does. */
int ca_print(struct ctx *, const struct authority *, struct err *) NODISCARD;
/* "k=v" list into a JSON object; *ret_json is what there was, or NULL. */
int metadata_from_list(struct ctx *, const struct strv *, char **ret_json, struct err *) NODISCARD;
/* Whether publishing its CRLs needs the network: to be asked before anything is written (net/net.h). */
int ca_crl_need(struct ctx *, const struct ca *, struct err *) NODISCARD;
/* Syncs with the remote as crl.sync says, before CRLs are made; records that were read before may have changed. */
int ca_crl_sync(struct ctx *, struct err *) NODISCARD;
/* Makes, records and publishes the full CRLs of an authority, and commits; prints nothing. They go to `folder` too
 * unless it is NULL. */
int ca_crl_now(struct ctx *, const char *id, const char *folder, struct err *) NODISCARD;
