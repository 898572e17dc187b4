/* The noun `cert`: its verbs in the order that help shows them. */
#include "cmd/cert.h"

const struct operand cert_operand[] = { PARAM(cert_args, cert, "cert", CERT_REF_DOC), { 0 } };
const struct opt cert_ca_opt[] = { OSTR(cert_args, ca, 0, "ca", CERT_CA_DOC), OEND };

static const struct cmd *const verbs[] = {
	&cert_issue_cmd, &cert_list_cmd, &cert_show_cmd, &cert_verify_cmd, &cert_chain_cmd, &cert_export_cmd,
	&cert_import_cmd,
	&cert_revoke_cmd, &cert_hold_cmd, &cert_unhold_cmd, &cert_metadata_cmd, &cert_expiring_cmd, &cert_renew_cmd,
	NULL
};
const struct cmd cert_cmd = {
	.name = "cert", .brief = "Certificates", .sub = verbs,
	.doc = "Certificates are named by serial number, in any case and with or without ':' and '-' between digits, "
	       "by SHA-256 fingerprint, or by a file that holds one. Of a serial number, the first 8 digits will do "
	       "when they are unique."
};
