#pragma once
#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"

/* Where a service of AWS is. */
struct aws_service {
	const char *name;    /* of signatures and hosts: "kms" */
	const char *variable, *setting; /* of an address instead of AWS's own */
	const char *target; /* what X-Amz-Target begins with */
};
extern const struct aws_service aws_kms_service, aws_sm_service, aws_sts_service, aws_sso_service;

bool aws_region_valid(const char *); /* fit to be part of a host name */
/* "https://kms.eu-west-1.amazonaws.com" */
char *aws_endpoint(struct arena *, const struct aws_service *, const char *region, bool fips, bool dual_stack);
/* An address that somebody gave: https, or http on this machine; no path, no query. *ret_host is what the Host
 * header says. */
int aws_endpoint_check(struct arena *, const char *url, char **ret_url, char **ret_host, struct err *) NODISCARD;
