#pragma once
#include "engine/aws.h"

/* Inside of the AWS KMS engine. */
struct kms {
	struct aws *aws;
	const struct aws_config *config;
	bool reached; /* keytypes() has asked */
};

json_t *kms_about(const char *key); /* {"KeyId": key} */
int kms_describe(struct kms *, struct arena *, const char *key, json_t **ret,
		 struct err *) NODISCARD; /* KeyMetadata within */
bool kms_signs(json_t *described); /* an asymmetric key for signatures that has its material, or had it */

int kms_each(struct ctx *, struct engine *, int (*cb)(void *, const struct keyref *, struct err *), void *arg,
	     struct err *) NODISCARD;
/* The key that a CreateKey has made whose answer was lost, by the tag of the request; *ret_arn NULL: there is none. */
int kms_made(struct kms *, struct arena *, const char *request, const char **ret_arn, struct err *) NODISCARD;
#define KMS_TAG_REQUEST "lamassu:request"
int kms_find(struct ctx *, struct engine *, const char *name, struct keyref *ret, struct err *) NODISCARD;
int kms_state(struct ctx *, struct engine *, const struct keyref *, struct key_state *ret, struct err *) NODISCARD;
int kms_annotate(struct ctx *, struct engine *, const struct keyref *, const struct key_notes *,
		 struct err *) NODISCARD;
/* Gives the alias to a key, also when another one has it. */
int kms_alias(struct kms *, struct arena *, const char *alias, const char *key, struct err *) NODISCARD;
