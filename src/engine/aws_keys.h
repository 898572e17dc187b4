#pragma once
#include "engine/aws.h"

/* Credentials of an AWS engine. */

/* Keys that are good for the next request, copied into the arena; newer than `than`, if that is not 0. From any
 * thread; only one fetches at a time, and the others go on with what they have as long as it is good. */
int aws_keys_get(struct aws *, struct arena *, unsigned than, struct aws_keys *ret, unsigned *ret_generation,
		 struct err *) NODISCARD;

/* --- where they come from; *ret_found false: it is not set up --- */
int aws_from_environment(struct aws *, struct arena *, struct aws_keys *ret, bool *ret_found, struct err *) NODISCARD;
int aws_from_profile_role(struct aws *, struct arena *, struct aws_keys *ret, bool *ret_found, struct err *) NODISCARD;
int aws_from_web_identity(struct aws *, struct arena *, struct aws_keys *ret, bool *ret_found, struct err *) NODISCARD;
int aws_from_sso(struct aws *, struct arena *, struct aws_keys *ret, bool *ret_found, struct err *) NODISCARD;
int aws_from_profile(struct aws *, struct arena *, struct aws_keys *ret, bool *ret_found, struct err *) NODISCARD;
int aws_from_container(struct aws *, struct arena *, struct aws_keys *ret, bool *ret_found, struct err *) NODISCARD;
int aws_from_instance(struct aws *, struct arena *, struct aws_keys *ret, bool *ret_found, struct err *) NODISCARD;

struct aws_files {
	struct aws_ini config, credentials;
	const char *config_path, *credentials_path;
};
int aws_files_read(struct arena *, struct aws_files *ret, struct err *) NODISCARD;
/* A setting of a profile, from the credentials file if it is there; NULL: absent. */
const char *aws_profile_get(const struct aws_files *, struct arena *, const char *profile, const char *key);
const char *aws_env(const char *name); /* NULL when empty too */

/* Where a service is: AWS_ENDPOINT_URL_…, the profile, AWS's own. The config's address is for the engine's service
 * only. */
int aws_locate(const struct aws *, struct arena *, const struct aws_files *, const struct aws_service *,
	       const char *region, char **ret_url, char **ret_host, struct err *) NODISCARD;

struct aws_role {
	const char *arn, *session, *external_id;
	const char *web_token; /* NULL: AssumeRole with keys */
	const char *region;
	int64_t secs;          /* 0: the service's default */
};
int aws_assume(struct aws *, struct arena *, const struct aws_role *, const struct aws_keys *, struct aws_keys *ret,
	       struct err *) NODISCARD;
/* Text of the first element of this name, without attributes; NULL when there is none or it holds markup. */
char *aws_xml_text(struct arena *, struct bytes, const char *name);
/* A GET that answers with JSON; 404 gives *ret NULL. */
int aws_get_json(struct aws *, struct net_client *, struct arena *, const char *what, const char *url,
		 const struct net_header *, size_t n, json_t **ret, struct err *) NODISCARD;
/* Keys from JSON members; a missing one is an error. `expires` is RFC 3339 or NULL. */
int aws_keys_read(struct arena *, json_t *, const char *const names[4], struct aws_keys *ret, struct err *) NODISCARD;
int aws_instance_region(struct aws *, struct arena *, char **ret, struct err *) NODISCARD;
