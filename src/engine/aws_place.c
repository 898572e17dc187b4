/* Regions, partitions and endpoints, as AWS's SDKs know them. Pure functions. */
#include "engine/aws_place.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"

const struct aws_service aws_kms_service = { "kms", "AWS_ENDPOINT_URL_KMS", "kms.endpoint_url", "TrentService" };
const struct aws_service aws_sm_service = { "secretsmanager", "AWS_ENDPOINT_URL_SECRETS_MANAGER",
					    "secrets_manager.endpoint_url", "secretsmanager" };
const struct aws_service aws_sts_service = { "sts", "AWS_ENDPOINT_URL_STS", "sts.endpoint_url", NULL };
const struct aws_service aws_sso_service = { "portal.sso", "AWS_ENDPOINT_URL_SSO", "sso.endpoint_url", NULL };

struct partition {
	const char *prefix; /* of its regions */
	const char *suffix, *dual_suffix;
};

static const struct partition partitions[] = { /* the last one takes all others */
	{ "cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn" },
	{ "eusc-", "amazonaws.eu", "api.amazonwebservices.eu" },
	{ "us-iso-", "c2s.ic.gov", "api.aws.ic.gov" },
	{ "us-isob-", "sc2s.sgov.gov", "api.aws.scloud" },
	{ "eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk" },
	{ "us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov" },
	{ "", "amazonaws.com", "api.aws" }
};

bool aws_region_valid(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n < 64 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n && s[0] != '-' &&
	       s[n - 1] != '-';
}

static const struct partition *partition_of(const char *region)
{
	const struct partition *p = partitions;

	while (!text_has_prefix(region, p->prefix))
		p++;
	return p;
}

char *aws_endpoint(struct arena *a, const struct aws_service *s, const char *region, bool fips, bool dual)
{
	const struct partition *p = partition_of(region);
	bool usual = !*p->prefix, china = text_has_prefix(region, "cn-");

	/* Secrets Manager answers over both protocols under its first name there. */
	if (s == &aws_sm_service && (usual || china))
		dual = false;
	/* These have no name of their own for FIPS in GovCloud: all are. */
	if ((s == &aws_sts_service || s == &aws_sso_service) && text_has_prefix(region, "us-gov-") && !dual)
		fips = false;
	return arena_printf(a, "https://%s%s.%s.%s", s->name, fips ? "-fips" : "", region,
			    dual ? p->dual_suffix : p->suffix);
}

static bool is_this_machine(const char *host, size_t n)
{
	static const char *const names[] = { "localhost", "127.0.0.1", "[::1]" };

	for (size_t i = 0; i < COUNT(names); i++)
		if (n >= strlen(names[i]) && strncmp(host, names[i], strlen(names[i])) == 0 &&
		    (n == strlen(names[i]) || host[strlen(names[i])] == ':'))
			return true;
	return false;
}

int aws_endpoint_check(struct arena *a, const char *url, char **ret_url, char **ret_host, struct err *e)
{
	bool https = text_has_prefix(url, "https://"), http = text_has_prefix(url, "http://");
	const char *host = url + (https ? 8 : http ? 7 : 0);
	size_t n = strcspn(host, "/"), port;

	if (!https && !http)
		return err_set(e, ERR_INVALID, "endpoint \"%s\": must begin with https://", url);
	if (n == 0 || host[n + strspn(host + n, "/")] != '\0')
		return err_set(e, ERR_INVALID, "endpoint \"%s\": must be a host and no more", url);
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)host[i]) && !strchr(".-:[]_", host[i]))
			return err_set(e, ERR_INVALID, "endpoint \"%s\": not a host", url);
	if (http && !is_this_machine(host, n))
		return err_set(e, ERR_INVALID, "endpoint \"%s\": http is for this machine only; others need https",
			       url);
	*ret_url = arena_strndup(a, url, (size_t)(host - url) + n);
	/* The usual port is not in the Host header. */
	port = strlen(https ? ":443" : ":80");
	if (n > port && strncmp(host + n - port, https ? ":443" : ":80", port) == 0)
		n -= port;
	*ret_host = arena_strndup(a, host, n);
	return 0;
}
