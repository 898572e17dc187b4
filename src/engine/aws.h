#pragma once
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "engine/aws_ini.h"
#include "engine/aws_place.h"
#include "engine/aws_sigv4.h"
#include "engine/engine.h"
#include "engine/remote.h"

/* Inside of the engines of AWS: what KMS and Secrets Manager have in common. */
enum aws_auth { AWS_AUTH_DEFAULT, AWS_AUTH_STATIC, AWS_AUTH_ROLE };
extern const char *const aws_auth_names[], *const aws_access_key_aka[], *const aws_secret_aka[], *const aws_token_aka[],
	*const aws_endpoint_aka[];

struct aws_config { /* settings of both kinds; each has a table of those that it knows */
	char *region, *profile, *access_key_id, *secret_access_key, *session_token;
	int auth_method;
	char *role_arn, *role_session_name, *external_id;
	char *endpoint_url, *ca_file;
	bool fips, dual_stack;
	struct dur timeout;
	int64_t max_attempts;
	/* AWS_KMS */
	char *key_spec, *key_usage, *alias;
	bool multi_region;
	int64_t pending_window_days;
	/* AWS_SECRETS_MANAGER */
	char *prefix, *kms_key_id, *passphrase;
	bool unencrypted;
	int64_t recovery_window_days;
};

#define AWS_FIELDS \
	STR(aws_config, region, "Region. Default: AWS_REGION, AWS_DEFAULT_REGION, the profile, the machine's own."), \
	STR(aws_config, profile, \
	    "Profile of ~/.aws/config and ~/.aws/credentials. Default: AWS_PROFILE, \"default\"."), \
	ENUM(aws_config, auth_method, aws_auth_names, \
	     "default: credentials from where AWS's own tools take them; static: access_key_id and " \
	     "secret_access_key; role: role_arn is assumed. What is given says the same.", .dflt = "default"), \
	STR(aws_config, access_key_id, "Access key, or a reference to one.", .aka = aws_access_key_aka), \
	STR(aws_config, secret_access_key, "Its secret: a reference.", .flags = F_SECRET, .aka = aws_secret_aka), \
	STR(aws_config, session_token, "Token of a session: a reference.", .flags = F_SECRET, .aka = aws_token_aka), \
	STR(aws_config, role_arn, "Role to assume with these credentials."), \
	STR(aws_config, role_session_name, "Name of the session, which CloudTrail shows.", .dflt = "lamassu"), \
	STR(aws_config, external_id, "External id that the role asks for."), \
	STR(aws_config, endpoint_url, "Address instead of AWS's own: a VPC endpoint, a test server.", \
	    .aka = aws_endpoint_aka), \
	STR(aws_config, ca_file, \
	    "PEM file of the authorities to trust instead of the system's. Default: AWS_CA_BUNDLE."), \
	BOOL(aws_config, fips, \
	    "Use the endpoints with FIPS 140 modules. Also: AWS_USE_FIPS_ENDPOINT.", .dflt = "false"), \
	BOOL(aws_config, dual_stack, \
	    "Use the endpoints with IPv6. Also: AWS_USE_DUALSTACK_ENDPOINT.", .dflt = "false"), \
	DUR(aws_config, timeout, \
	    "Longest time of a call, with all its attempts.", .dflt = "30s", .min = 1, .max = 600), \
	INT(aws_config, max_attempts, \
	    "Attempts when the service fails; throttling has more.", .dflt = "3", .min = 1, \
	    .max = 20)

int aws_config_check(struct arena *, const struct aws_config *, struct err *) NODISCARD; /* what both kinds want */

struct aws { /* a service as one engine uses it; calls come from several threads */
	const struct aws_service *service;
	const struct aws_config *config;
	struct aws_keys given; /* of the config; access NULL: none */
	const char *profile;
	bool profile_named;    /* by somebody: it must exist */
	const char *region, *url, *host;
	bool fips, dual_stack;
	struct net_client *net, *meta; /* meta: for services of this machine, past proxies */
	struct remote_policy policy;
	atomic_llong skew;     /* the service's clock less ours, in seconds */
	pthread_mutex_t lock;  /* of what follows */
	pthread_cond_t changed;
	bool busy;             /* somebody fetches keys */
	struct arena *kept;    /* where keys are */
	struct aws_keys keys;
	unsigned generation;   /* of keys; 0: there are none yet */
	int64_t retry_at;      /* keys are old, and there were no new ones: try again then */
	unsigned failures;     /* fetches that brought nothing, and what the last one said */
	struct err why;
};

int aws_open(struct ctx *, struct engine *, const struct aws_service *, const struct aws_config *, struct aws **ret,
	     struct err *) NODISCARD;
void aws_close(struct aws *);
/* One operation. `in` is taken over. `once` as in struct remote_call. ret may be NULL. */
int aws_call(struct aws *, struct arena *, const char *operation, json_t *in, bool once, json_t **ret,
	     struct err *) NODISCARD;
int64_t aws_now(struct aws *); /* the service's clock */

struct aws_fault { /* what a service says went wrong */
	const char *code;    /* "ThrottlingException"; "" when it names none */
	const char *message; /* safe to print */
};
/* From JSON or XML, or from the header x-amzn-errortype, which may be NULL. */
void aws_fault_read(struct arena *, const char *header, struct bytes body, struct aws_fault *ret);
/* What a code means for the call; e gets the code that callers see. */
enum remote_verdict aws_fault_judge(int status, const struct aws_fault *, enum err_code *ret);
/* What an answer that is not 200 means, with the message for it; *ret_clock: the clock was off and is put right. */
enum remote_verdict aws_judge(struct aws *, struct arena *, const char *what, const struct net_answer *,
			      bool *ret_clock, struct err *);
bool aws_http_date(const char *, int64_t *ret); /* "Sat, 21 Nov 2026 15:52:15 GMT" */

/* Tags of ours, of the characters that AWS takes. */
#define AWS_TAG_PREFIX "lamassu:tag:"
char *aws_tag_text(struct arena *, const char *, size_t max);
char *aws_tag_key(struct arena *, const char *tag); /* with the prefix */
char *aws_tag_value(struct arena *, const char *);  /* NULL gives "" */

extern const struct engine_ops aws_kms_engine, aws_sm_engine;
