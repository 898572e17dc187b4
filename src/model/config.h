#pragma once
#include "rec/schema.h"

/* lamassu.yaml: what holds for the whole repository. */
struct crl_policy {
	char *sync;            /* required | try | off: sync with the remote before a CRL is made (C13) */
	struct dur validity;   /* nextUpdate - thisUpdate */
	int64_t partitions;    /* 0: one CRL for all */
	bool delta;            /* full CRLs point to delta CRLs (freshestCRL) */
};

struct config {
	int64_t format;
	char *name;
	char *policy_branch;
	char *ledger_branch;
	char *default_engine;
	int64_t view;             /* newest certificates shown under certs/; 0 = off */
	struct dur backdate;      /* notBefore = now - backdate */
	struct strv va_domains;   /* host[:port][/path] that fill AIA and CDP */
	struct crl_policy crl;
};

extern const struct schema config_type;
enum { REPO_FORMAT = 1 };
