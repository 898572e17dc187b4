/* The noun `ca`: its verbs in the order that help shows them. */
#include "cmd/ca.h"

#include <string.h>

#include "base/text.h"

const struct operand ca_operand[] =
	{ PARAM(ca_ref, ca, "ca", "The authority's id, or a serial number of its certificates."), { 0 } };

int ca_print(struct ctx *ctx, const struct authority *a, struct err *e)
{
	struct ca_view v;

	return authority_view(ctx, a, &v, e) != 0 ? -1 : out_record(ctx, &ca_view_type, &v, e);
}

int metadata_from_list(struct ctx *ctx, const struct strv *list, char **ret_json, struct err *e)
{
	char *json = *ret_json;

	for (size_t i = 0; i < list->n; i++) {
		const char *eq = strchr(list->v[i], '=');
		if (eq == NULL || eq == list->v[i])
			return err_set(e, ERR_USAGE, "--metadata \"%s\" is not of the form key=value",
				       text_escape(ctx->arena, bytes_of(list->v[i])));
		if (any_set(ctx->arena, json, arena_strndup(ctx->arena, list->v[i], (size_t)(eq - list->v[i])), eq + 1,
			    &json, e) != 0)
			return -1;
	}
	*ret_json = json;
	return 0;
}

static const struct cmd *const verbs[] = {
	&ca_create_cmd, &ca_import_cmd, &ca_request_cmd, &ca_install_cmd, &ca_list_cmd, &ca_show_cmd, &ca_tree_cmd,
	&ca_lint_cmd, &ca_set_cmd,
	&ca_metadata_cmd, &ca_sign_cmd, &ca_reissue_cmd, &ca_revoke_cmd, &ca_enable_cmd, &ca_disable_cmd,
	&ca_delete_cmd, &ca_crl_cmd, &ca_ocsp_cmd,
	&ca_export_cmd, &ca_certs_cmd, &ca_stats_cmd, &ca_compromise_cmd, NULL
};

const struct cmd ca_cmd = {
	.name = "ca", .brief = "Certificate authorities", .sub = verbs,
	.doc = "Makes, shows and uses certificate authorities: roots, subordinates to any depth, and authorities whose "
	       "parent or key is elsewhere."
};
