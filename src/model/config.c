/* lamassu.yaml: settings of the repository as a whole. Guarantees: what is absent has the default that the table
 * states; the names of branches and of the default engine are plain names, never paths. */
#include "model/config.h"

#include <string.h>

#include "base/text.h"
#include "model/dms.h"

static const struct field crl_fields[] = {
	STR(crl_policy, sync,
	    "Whether a CRL is made only after a successful sync with the remote: required, try (with a "
	    "warning) or off.",
	    .dflt = "try"),
	DUR(crl_policy, validity, "How long a CRL is valid: nextUpdate minus thisUpdate.", .dflt = "1w", .min = 60,
	    .max = INT64_C(3153600000)),
	INT(crl_policy, partitions, "How many partitions the CRLs of an authority have; 0 is one CRL for all.",
	    .dflt = "0", .max = 4096),
	BOOL(crl_policy, delta, "Whether full CRLs point to delta CRLs, made by `ca crl --delta`.", .dflt = "false"),
	END
};

static const struct schema crl_type = {
	.name = "crl", .doc = "Certificate revocation lists", .size = sizeof(struct crl_policy), .fields = crl_fields
};

static const struct field est_defaults_fields[] = {
	REF(est_defaults, default_dms, &dms_type,
	    "The device manager that addresses without a name mean (/.well-known/est/simpleenroll); absent: the only "
	    "one that is served. est-serve does not start unless it serves this one."),
	END
};
static const struct schema est_defaults_type = {
	.name = "est", .doc = "Enrolment over EST.", .size = sizeof(struct est_defaults), .fields = est_defaults_fields
};

static const struct schema identity_type;

static const char *const level_names[] = { "debug", "info", "warn", "error", "none", NULL };
static const struct field security_events_fields[] = {
	BOOL(security_events, enabled, "Write any of the classes below.", .dflt = "true"),
	BOOL(security_events, log_authentication, "Who was not who they should be: enrolments that were answered 401.",
	     .dflt = "true"),
	BOOL(security_events, log_authorization, "Who was known and may not: enrolments that were answered 403.",
	     .dflt = "true"),
	BOOL(security_events, log_ca_operations, "What happens to authorities. Nothing writes such lines yet.",
	     .dflt = "true"),
	BOOL(security_events, log_certificate_issuance, "Enrolments that succeeded, or failed for another reason.",
	     .dflt = "true"),
	END
};
static const struct schema security_events_type = {
	.name = "security_events", .doc = "Classes of events.", .size = sizeof(struct security_events),
	.fields = security_events_fields
};
static const struct field logs_fields[] = {
	ENUM(logs_settings, level, level_names,
	     "The least that is written: debug, info, warn (requests that were refused), error (faults on this side) "
	     "or none.", .dflt = "info"),
	OBJ(logs_settings, security_events, &security_events_type,
	    "Which classes of events are written to security.log and the access log; the ledger has them in any case."),
	END
};
static const struct schema logs_type = {
	.name = "logs", .doc = "What listeners write into their local logs.", .size = sizeof(struct logs_settings),
	.fields = logs_fields
};

static int identity_check(struct arena *a, void *rec, struct err *e)
{
	const struct identity_extractors *x = rec;
	struct identity_extractors none;

	rec_default(a, &identity_type, &none);
	return rec_equal(&identity_type, x, &none) ? 0 : jwt_check("jwt", &x->jwt, true, e);
}

static const struct field identity_extractors_fields[] = {
	OBJ(identity_extractors, jwt, &identity_jwt_type,
	    "Tokens (RFC 7519) by which operators are known: whose LAMASSU_TOKEN is good acts under its subject. "
	    "Device managers that accept tokens take from here what they do not say themselves. Paths are relative to "
	    "the repository."),
	END
};
static const struct schema identity_type = {
	.name = "identity_extractors", .doc = "Who somebody is.", .size = sizeof(struct identity_extractors),
	.fields = identity_extractors_fields, .check = identity_check
};

static const struct field config_fields[] = {
	INT(config, format, "Version of the repository's format.", .flags = F_REQ | F_SHOW0, .min = 1, .max = 1000000),
	STR(config, name, "Name of this PKI, for people."),
	STR(config, policy_branch, "The branch that holds policy: records are read from its tip.", .dflt = "main"),
	STR(config, ledger_branch, "The branch that holds what was issued and revoked.", .dflt = "ledger"),
	STR(config, default_engine, "The engine where keys are made when none is named.", .dflt = "software"),
	INT(config, view, "How many of the newest certificates appear as files under certs/; 0 is none.", .dflt = "0",
	    .max = 1000000),
	DUR(config, backdate,
	    "How long before the moment of issue a certificate becomes valid, for clocks that are behind.",
	    .dflt = "1m", .max = INT64_C(31536000)),
	STRV(config, va_domains,
	     "Hosts (host[:port][/path]) of the validation authority; they fill the OCSP, CRL and issuer addresses of "
	     "everything that is issued: http://HOST/ocsp, /crl/SKI.crl and /ca/SKI.cer."),
	OBJ(config, crl, &crl_type, "Certificate revocation lists."),
	OBJ(config, http, &http_type,
	    "The listeners est-serve and va-serve, where their options do not say; read when they start."),
	OBJ(config, est, &est_defaults_type, "Enrolment over EST."),
	OBJ(config, logs, &logs_type, "What listeners write into their local logs; read when they start."),
	OBJ(config, identity_extractors, &identity_type, "Who operators are, and devices that show a token."),
	END
};

static int branch_check(const char *what, const char *name, struct err *e)
{
	if (!id_valid(name))
		return err_set(e, ERR_INVALID, "%s: \"%s\" is not a plain branch name", what, name);
	return 0;
}

static int config_check(struct arena *a, void *rec, struct err *e)
{
	const struct config *c = rec;
	static const char *const syncs[] = { "required", "try", "off", NULL };
	size_t i = 0;

	(void)a;
	if (branch_check("policy_branch", c->policy_branch, e) || branch_check("ledger_branch", c->ledger_branch, e))
		return -1;
	if (strcmp(c->policy_branch, c->ledger_branch) == 0)
		return err_set(e, ERR_INVALID, "ledger_branch: must differ from policy_branch");
	if (!id_valid(c->default_engine))
		return err_set(e, ERR_INVALID, "default_engine: \"%s\" is not an id", c->default_engine);
	while (syncs[i] && strcmp(syncs[i], c->crl.sync) != 0)
		i++;
	if (syncs[i] == NULL)
		return err_set(e, ERR_INVALID, "crl.sync: \"%s\" is none of required, try, off", c->crl.sync);
	return 0;
}

const struct schema config_type = {
	.name = "config", .plural = "config", .path = "lamassu.yaml", .doc = "Settings of the repository",
	.size = sizeof(struct config), .fields = config_fields, .check = config_check
};
