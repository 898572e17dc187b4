#pragma once
#include "model/http.h"
#include "model/jwt.h"
#include "rec/schema.h"

/* lamassu.yaml: what holds for the whole repository. */
struct crl_policy {
	char *sync;            /* required | try | off: sync with the remote before a CRL is made (C13) */
	struct dur validity;   /* nextUpdate - thisUpdate */
	int64_t partitions;    /* 0: one CRL for all */
	bool delta;            /* full CRLs point to delta CRLs (freshestCRL) */
};

struct est_defaults {
	char *default_dms; /* whom /.well-known/est/OP is for; NULL: the only one that is served */
};

/* How much listeners write into their local logs; the ledger is not concerned. */
enum logs_level { LOGS_DEBUG, LOGS_INFO, LOGS_WARN, LOGS_ERROR, LOGS_NONE };
struct security_events {
	bool enabled, log_authentication, log_authorization, log_ca_operations, log_certificate_issuance;
};
struct logs_settings {
	int level; /* enum logs_level: the least that is written */
	struct security_events security_events;
};

struct identity_extractors {
	struct jwt_auth jwt; /* of operators; the default of managers */
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
	struct http_settings http;
	struct est_defaults est;
	struct logs_settings logs;
	struct identity_extractors identity_extractors;
};

extern const struct schema config_type;
enum { REPO_FORMAT = 1 };
