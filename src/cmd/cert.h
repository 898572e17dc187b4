#pragma once
#include "cli/cli.h"
#include "model/ledger_records.h"

extern const struct cmd cert_cmd; /* the noun `cert` */
/* Verbs, by file. */
extern const struct cmd cert_list_cmd, cert_show_cmd, cert_expiring_cmd, cert_metadata_cmd;  /* cert_show.c */
/* cert_new.c, cert_take.c */
extern const struct cmd cert_issue_cmd, cert_renew_cmd, cert_import_cmd;
extern const struct cmd cert_revoke_cmd, cert_hold_cmd, cert_unhold_cmd;                     /* cert_revoke.c */
/* cert_export.c, cert_chain.c */
extern const struct cmd cert_export_cmd, cert_chain_cmd, cert_verify_cmd;

struct cert_args { /* verbs that take one certificate */
	const char *cert, *ca;
};
#define CERT_REF_DOC "Serial number (8 digits or more of it will do when that is unique), SHA-256 fingerprint, or file."
#define CERT_CA_DOC "Only among the certificates of this authority."
extern const struct operand cert_operand[];
extern const struct opt cert_ca_opt[]; /* --ca alone */

/* Certificates as they stand now, after a commit: one whole, or several as a list. */
int cert_print(struct ctx *, const struct certrec *, size_t n, struct err *) NODISCARD;
