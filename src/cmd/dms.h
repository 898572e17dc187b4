#pragma once
#include "cli/cli.h"
#include "model/dms.h"

extern const struct cmd dms_cmd; /* the noun `dms` */
/* Verbs, by file. */
extern const struct cmd dms_cacerts_cmd, dms_csrattrs_cmd; /* dms_est.c */
extern const struct cmd dms_check_cmd;                     /* dms_check.c */

/* What a document alone cannot tell: its authorities have keys, its profile is one for devices. ERR_INVALID names the
 * field. */
int dms_check_uses(struct ctx *, const void *dms, struct err *) NODISCARD;
